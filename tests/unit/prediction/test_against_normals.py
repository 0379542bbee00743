"""Prediction beside a panel of normals, by the command: made by itself, handed on, refused."""

import json

import numpy as np
import pandas as pd
import pytest
from experiments import PHASE3, counts_table

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler
from methmix.normals.__main__ import main as make_normals
from methmix.normals.panel_file import read_panel
from methmix.prediction.against_normals import beside_panel

pytestmark = pytest.mark.slow

N_CONTROLS, N_CASES = 14, 4


@pytest.fixture(scope="module")
def background():
    return list(PHASE3.composition)


@pytest.fixture(scope="module")
def laboratory(reference, background, tmp_path_factory):
    """Write samples of one laboratory, controls of blood alone and cases with 30 % of one tissue, and their sheet."""
    folder = tmp_path_factory.mktemp("laboratory")
    rng = seeds.generator(3, "laboratory")
    sampler = MixtureSampler(reference, "test", PHASE3, [60])
    columns = [reference.tissue_names.index(name) for name in background]
    truth = np.zeros((N_CONTROLS + N_CASES, len(reference.tissue_names)), dtype=np.float32)
    truth[:, columns] = rng.dirichlet(50 * np.array(list(PHASE3.composition.values())), len(truth))
    foreign = next(place for place in range(truth.shape[1]) if place not in columns)
    truth[N_CONTROLS:] *= 0.7
    truth[N_CONTROLS:, foreign] = 0.3
    file = counts_table(reference, sampler.mix(truth, np.array([60.0]), rng), folder / "counts.tsv")
    groups = ["Control"] * N_CONTROLS + ["Case"] * N_CASES
    sheet = folder / "sheet.tsv"
    rows = [f"S{row}\t{file}\t{group}\n" for row, group in enumerate(groups)]
    sheet.write_text("sample\tfile\tgroup\n" + "".join(rows))
    return sheet, reference.tissue_names[foreign]


@pytest.fixture(scope="module")
def predicted(laboratory, checkpoint, background, tmp_path_factory):
    """Predict once with the panel that a control group makes by itself."""
    from methmix.prediction.__main__ import main

    output = tmp_path_factory.mktemp("predicted") / "predictions.csv"
    arguments = ["--checkpoint", checkpoint, "--sheet", laboratory[0], "--control-group", "Control", "--output", output]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["methmix.prediction", *map(str, arguments), "--background", *background])
        assert main() == 0
    return output


def test_the_control_group_makes_a_panel_by_itself(predicted, background):
    record = json.loads(predicted.with_suffix(".json").read_text())
    panel = read_panel(predicted.with_name("predictions_normals.h5"))
    assert record["normals"]["n_controls"] == N_CONTROLS and record["normals"]["background"] == background
    assert record["normals"]["digest"] == panel.attributes["digest"]
    of_controls = [own["above_normals"]["crossfitted"] for own in record["samples"]]
    assert of_controls == [True] * N_CONTROLS + [False] * N_CASES


def test_what_is_called_has_its_amount_and_what_is_not_is_exactly_0(predicted, laboratory, background):
    table = pd.read_csv(predicted)
    np.testing.assert_allclose(table.groupby("sample")["proportion"].sum(), 1, atol=1e-6)
    assert (table["interval_low"] <= table["proportion"]).all()
    assert (table["proportion"] <= table["interval_high"]).all()
    of_interest = table[~table["tissue"].isin(background)]
    assert (of_interest.loc[of_interest["called_95"].astype(bool), "proportion"] > 0).all()
    assert (of_interest.loc[~of_interest["called_95"].astype(bool), "proportion"] == 0).all()
    assert of_interest["called_95"].sum() >= of_interest["called_99"].sum()
    cases = of_interest[(of_interest["group"] == "Case") & (of_interest["tissue"] == laboratory[1])]
    assert cases["called_95"].astype(bool).all() and cases["proportion"].between(0.15, 0.4).all()
    controls = of_interest[of_interest["group"] == "Control"]
    assert controls.groupby("sample")["proportion"].sum().mean() < 0.03


def test_a_panel_is_made_and_handed_on(predicted, laboratory, checkpoint, background, command, tmp_path, monkeypatch):
    panel = tmp_path / "normals.h5"
    arguments = ["--samples", laboratory[0], "--control-group", "Control", "--checkpoint", checkpoint]
    monkeypatch.setattr(
        "sys.argv", ["methmix.normals", *map(str, arguments), "--output", str(panel), "--background", *background]
    )
    assert make_normals() == 0
    code, _, output = command("--sheet", laboratory[0], "--normals", panel)
    assert code == 0
    columns = ["sample", "tissue", "proportion", "presence_probability", "interval_high", "called_95"]
    pd.testing.assert_frame_equal(pd.read_csv(output)[columns], pd.read_csv(predicted)[columns])


def test_without_a_panel(laboratory, command, background):
    code, _, output = command("--sheet", laboratory[0], "--normals", "none", "--control-group", "Control",
                              "--background", *background)  # fmt: skip
    assert code == 0 and json.loads(output.with_suffix(".json").read_text())["normals"] is None
    assert pd.read_csv(output)["called_95"].isna().all()
    assert not output.with_name("predictions_normals.h5").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--normals", "controls"], "--normals controls: names no controls"),
    (["--normals", "nowhere.h5"], "nowhere.h5: there is no such file"),
])  # fmt: skip
def test_what_is_no_panel_is_refused(laboratory, command, arguments, message):
    code, error, output = command("--sheet", laboratory[0], *arguments)
    assert code == 2 and message in error and not output.exists()


@pytest.fixture
def handed_on(predicted):
    return predicted.with_name("predictions_normals.h5")


def test_a_panel_brings_its_background_and_refuses_another(laboratory, command, handed_on, background):
    groups = ["--sheet", laboratory[0], "--control-group", "Control", "--normals", handed_on]
    code, _, output = command(*groups)
    assert code == 0
    assert json.loads(output.with_suffix(".json").read_text())["groups"]["background"] == background
    code, error, _ = command(*groups, "--background", *background, laboratory[1])
    assert code == 2 and f"expected that of the panel {handed_on}" in error


@pytest.mark.parametrize(("names", "message"), [
    (["Bloood"], "'Bloood' is no tissue of the model"),
    (["Liver"], "the model finds none of Liver in the controls"),
])  # fmt: skip
def test_a_background_that_the_controls_cannot_consist_of_is_refused(
    laboratory, checkpoint, names, message, tmp_path, monkeypatch, capsys
):
    arguments = ["--samples", laboratory[0], "--control-group", "Control", "--checkpoint", checkpoint]
    output = tmp_path / "normals.h5"
    given = ["methmix.normals", *map(str, arguments), "--output", str(output), "--background", *names]
    monkeypatch.setattr("sys.argv", given)
    assert make_normals() == 2 and message in capsys.readouterr().err and not output.exists()


def counts_of(sheet):
    return pd.read_csv(sheet.parent / "counts.tsv", sep="\t")


def sheet_with(folder, table, groups):
    """Write counts and the sheet of their samples, whose groups are given."""
    table.to_csv(folder / "other.tsv", sep="\t", index=False)
    rows = "".join(f"{name}\t{folder / 'other.tsv'}\t{group}\n" for name, group in groups.items())
    (folder / "other_sheet.tsv").write_text("sample\tfile\tgroup\n" + rows)
    return folder / "other_sheet.tsv"


def test_controls_of_few_regions_are_left_out_and_the_order_decides_nothing(
    laboratory, predicted, command, background, tmp_path
):
    table = counts_of(laboratory[0])
    few, empty = table[["S0_METH", "S0_DEPTH"]].copy(), 0 * table[["S0_METH", "S0_DEPTH"]]
    few.iloc[: int(0.6 * len(few))] = 0
    table[["few_METH", "few_DEPTH"]], table[["empty_METH", "empty_DEPTH"]] = few.to_numpy(), empty.to_numpy()
    groups = {f"S{row}": "Control" if row < N_CONTROLS else "Case" for row in range(N_CONTROLS + N_CASES)}
    groups = dict(reversed([*groups.items(), ("few", "Control"), ("empty", "Control")]))
    given = ["--control-group", "Control", "--background", *background]
    code, said, output = command("--sheet", sheet_with(tmp_path, table, groups), *given)
    assert code == 0 and "control few is left out of the panel" in said and "control empty is left out" in said
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["normals"]["n_controls"] == N_CONTROLS and len(record["groups"]["groups_at_one_depth"]) == 2
    columns = ["sample", "tissue", "proportion", "presence_probability", "interval_low", "interval_high", "called_95"]
    first, other = (pd.read_csv(path)[columns] for path in (predicted, output))
    other = other[~other["sample"].isin(["few", "empty"])]
    by = ["sample", "tissue"]
    pd.testing.assert_frame_equal(
        first.sort_values(by, ignore_index=True), other.sort_values(by, ignore_index=True), atol=2e-4
    )


def test_a_control_that_is_listed_twice_is_refused_by_its_names(laboratory, command, background, tmp_path):
    table = counts_of(laboratory[0])
    table[["twin_METH", "twin_DEPTH"]] = table[["S3_METH", "S3_DEPTH"]].to_numpy()
    groups = {f"S{row}": "Control" for row in range(N_CONTROLS)} | {"twin": "Control", "S14": "Case"}
    given = ["--control-group", "Control", "--background", *background]
    code, error, _ = command("--sheet", sheet_with(tmp_path, table, groups), *given)
    assert code == 2 and "controls S3 and twin of the panel have the same counts" in error


def test_a_case_among_the_controls_is_left_out_of_their_panel(laboratory, command, background, tmp_path):
    """Otherwise the tissue that it has would be normal, and be found in no other case."""
    groups = {f"S{row}": "Control" if row <= N_CONTROLS else "Case" for row in range(N_CONTROLS + N_CASES)}
    sheet = sheet_with(tmp_path, counts_of(laboratory[0]), groups)
    code, said, output = command("--sheet", sheet, "--control-group", "Control", "--background", *background)
    record = json.loads(output.with_suffix(".json").read_text())
    words = f"left out of the panel of normals, as unlike the other controls: S{N_CONTROLS};"
    assert code == 0 and words in said and any(words in note for note in record["notes"])
    assert record["normals"]["n_controls"] == N_CONTROLS
    table = pd.read_csv(output).query("tissue == @laboratory[1]").set_index("sample")
    assert table.loc[[f"S{row}" for row in range(N_CONTROLS, N_CONTROLS + N_CASES)], "called_95"].all()


def test_a_case_that_cannot_be_read_leaves_no_panel(laboratory, command, background, tmp_path):
    counts_of(laboratory[0]).assign(S15_METH=-1).to_csv(tmp_path / "wrong.tsv", sep="\t", index=False)
    rows = laboratory[0].read_text().splitlines()[: N_CONTROLS + 1]
    (tmp_path / "sheet.tsv").write_text("\n".join([*rows, f"S15\t{tmp_path / 'wrong.tsv'}\tCase\n"]))
    code, error, output = command("--sheet", tmp_path / "sheet.tsv", "--control-group", "Control",
                                  "--background", *background)  # fmt: skip
    assert code == 2 and "wrong.tsv: line 2, column S15_METH" in error and not list(output.parent.glob("*"))


def test_a_control_that_was_counted_otherwise_is_named(laboratory, command, handed_on, tmp_path):
    table = counts_of(laboratory[0])
    table.loc[0, "S2_DEPTH"] += 1
    code, _, output = command("--sheet", sheet_with(tmp_path, table, {"S2": "", "S3": ""}), "--normals", handed_on)
    record = json.loads(output.with_suffix(".json").read_text())
    assert code == 0 and [own["above_normals"]["crossfitted"] for own in record["samples"]] == [False, True]
    assert any(note.startswith("S2: named like a control of the panel") for note in record["notes"])


def test_any_presence_threshold_replaces_the_calls(laboratory, command, handed_on, background):
    code, _, output = command("--sheet", laboratory[0], "--normals", handed_on, "--presence-threshold", "0.5")
    record, table = json.loads(output.with_suffix(".json").read_text()), pd.read_csv(output)
    assert code == 0 and record["presence_threshold"] == 0.5
    assert any("called at 95 % specificity" in note for note in record["notes"])
    of_interest = table[~table["tissue"].isin(background)]
    assert (of_interest.loc[of_interest["presence_probability"] < 0.5, "proportion"] == 0).all()


def test_what_an_unknown_component_leaves_is_compared_with_the_panel_too(
    laboratory, command, handed_on, tmp_path, monkeypatch
):
    depths = []

    def recorded(panel, model, found, methylation, depth, threshold):
        depths.append(depth.mean(axis=1))
        return beside_panel(panel, model, found, methylation, depth, threshold)

    monkeypatch.setattr("methmix.prediction.deconvolve.beside_panel", recorded)
    table, rng = counts_of(laboratory[0]), np.random.default_rng(4)
    foreign = rng.random(len(table))
    for row in range(4):
        own, depth = table[f"S{row}_METH"], table[f"S{row}_DEPTH"]
        mixed = rng.binomial(own, 0.9) + rng.binomial(depth - rng.binomial(depth, 0.9), foreign)
        mixed = np.minimum(mixed, depth)
        table[f"S{N_CONTROLS + row}_METH"], table[f"S{N_CONTROLS + row}_DEPTH"] = mixed, depth
    groups = {f"S{N_CONTROLS + row}": "" for row in range(4)}
    given = ["--sheet", sheet_with(tmp_path, table, groups), "--normals", handed_on, "--unknown", "--no-explain"]
    code, error, output = command(*given)
    assert code == 0, error
    record, table = json.loads(output.with_suffix(".json").read_text()), pd.read_csv(output)
    assert (table.loc[table["tissue"] == "unknown", "proportion"] > 0).all(), record["notes"]
    np.testing.assert_allclose(table.groupby("sample")["proportion"].sum(), 1, atol=1e-6)
    of_unknown = table.loc[table["tissue"] == "unknown", "proportion"].to_numpy()
    whole, rest = depths
    np.testing.assert_allclose(rest, whole * (1 - of_unknown), rtol=1e-4)
    assert all(own["flags"][0].startswith("odd: differs from the controls") for own in record["samples"])


def test_what_is_like_no_control_but_like_a_tissue_has_estimates(laboratory, reference, command, handed_on, tmp_path):
    table, rng = counts_of(laboratory[0]), np.random.default_rng(8)
    donor = next(row for row, name in enumerate(reference.tissues) if name == laboratory[1])
    profile = np.nan_to_num(reference.fractions[donor], nan=0.5)
    depth = np.full(len(table), 2000)
    table["pure_METH"], table["pure_DEPTH"] = rng.binomial(depth, profile), depth
    groups = {"pure": ""}
    code, _, output = command("--sheet", sheet_with(tmp_path, table, groups), "--normals", handed_on)
    [sample] = json.loads(output.with_suffix(".json").read_text())["samples"]
    assert code == 0 and sample["fit"]["misfit"] > 9 * sample["fit"]["misfit_limit"]
    assert sample["answered"] and sample["proportions"][laboratory[1]]["proportion"] > 0.7
    assert sample["above_normals"]["sum"] <= 1


def test_too_few_controls_are_no_panel(laboratory, command, background, tmp_path):
    lines = laboratory[0].read_text().splitlines(keepends=True)
    few = tmp_path / "few.tsv"
    few.write_text("".join(lines[:1] + lines[1:6] + lines[-N_CASES:]))
    groups = ["--control-group", "Control", "--background", *background]
    code, error, output = command("--sheet", few, *groups, "--normals", "controls")
    assert code == 2 and "expected at least 10 controls, found 5" in error
    code, _, output = command("--sheet", few, *groups)
    assert code == 0 and json.loads(output.with_suffix(".json").read_text())["normals"] is None
