import html
import json

import numpy as np
import pandas as pd
import pytest
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference, undrawn
from matplotlib.colors import to_rgba

from methmix.arms import ARMS, names
from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.evaluation.donor_intervals import with_donor_intervals
from methmix.evaluation.evaluate import evaluate_arm
from methmix.files.mixtures import Mixtures
from methmix.pages.miami import largest_proportion, miami
from methmix.pages.style import MISSED, SPURIOUS
from methmix.report.__main__ import main as report_main
from methmix.report.arm_differences import read_draws
from methmix.report.arm_results import read_arm, read_arms
from methmix.report.comparison import comparison_json, comparison_table
from methmix.report.donor_draws import collect_draws
from methmix.report.interactive import library
from methmix.scores import Scores
from methmix.training.loop import Trainer

pytestmark = pytest.mark.slow

COMPARED = names(compared=True)
METRICS = [
    "mae",
    "rmse",
    "r2",
    "pearson_r",
    "mae_present",
    "spurious_per_mixture",
    "false_mass",
    "exact_zero_absent",
    "missed_per_mixture",
    "presence_accuracy",
    "presence_precision",
    "presence_recall",
    "presence_f1",
    "presence_mcc",
    "presence_auprc",
    "presence_auroc",
    "presence_ece",
    "presence_ece_uncertain",
    "called_1_to_5",
    "called_5_to_10",
    "prediction_ratio",
    "predicted_tissues",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixtures")
    reference = tiny_reference()
    return reference, tiny_mixtures(reference, "validation", folder), tiny_mixtures(reference, "test", folder)


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    """A folder with the evaluations of all arms."""
    reference, validation, test = data
    folder = tmp_path_factory.mktemp("results")
    # The arms' files, which least_squares reads, are named from there.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        _evaluate_all(reference, validation, test, folder)
    return folder


def _evaluate_all(reference, validation, test, folder):
    import torch

    for arm in ARMS:
        checkpoint = None
        if ARMS[arm].kind == "trained":
            run = Trainer(tiny_arm(arm), tiny_experiment(), reference, validation, folder / arm, torch.device("cpu"))
            with undrawn():
                run.run()
            checkpoint = run.best_checkpoint
        output = folder / arm / "evaluation"
        evaluate_arm(arm, tiny_experiment(), reference, validation, test, checkpoint, output)


@pytest.mark.parametrize("arm", ARMS)
def test_metrics_json_has_every_metric_of_the_contract(results, arm):
    content = json.loads((results / arm / "evaluation" / "metrics.json").read_text())
    for name in METRICS:
        assert name in content
        assert len(content[f"{name}_ci95"]) == 2
    for name in ("train_seconds", "peak_memory_mb", "n_parameters"):
        assert content[name] >= 0
    assert (content["train_seconds"] > 0) == (ARMS[arm].kind == "trained")


@pytest.mark.parametrize("arm", ARMS)
def test_predictions(results, data, arm):
    table = pd.read_csv(results / arm / "evaluation" / "predictions.csv")
    assert list(table.columns) == [
        "mixture_id", "tissue", "true_proportion", "predicted_proportion", "presence_probability",
        "interval_low", "interval_high", "donor",
    ]  # fmt: skip
    assert len(table) == data[2].proportions.size
    sums = table.groupby("mixture_id")["predicted_proportion"].sum()
    assert np.allclose(sums, 0 if arm == "all_absent" else 1, atol=1e-6)
    assert table["presence_probability"].between(0, 1).all()
    assert np.allclose(table["true_proportion"], data[2].proportions.ravel(), atol=1e-7)


@pytest.mark.parametrize("arm", ARMS)
def test_every_entry_that_is_there_has_one_class(results, data, arm):
    table = pd.read_csv(results / arm / "evaluation" / "by_abundance.csv")
    assert table["n"].sum() == (data[2].proportions > 0).sum()
    content = json.loads((results / arm / "evaluation" / "metrics.json").read_text())
    of_present = table[table["abundance"] != "trace"]
    assert np.average(of_present["mae"], weights=of_present["n"]) == pytest.approx(content["mae_present"])
    assert content["background"] == [] and "background_mae" not in content


@pytest.mark.parametrize("arm", ARMS)
def test_tradeoff_is_of_the_validation_mixtures(results, data, arm):
    table = pd.read_csv(results / arm / "evaluation" / "tradeoff.csv")
    assert (table["split"] == "validation").all() and table["chosen"].sum() == 1 and len(table) > 2
    choices = json.loads((results / arm / "evaluation" / "metrics.json").read_text())["choices"]
    if ARMS[arm].cut:
        assert table["value"][table["chosen"]].item() == choices["cut"]
        # It was chosen among these, but for 0, which is no cut.
        assert table["mae"][table["chosen"]].item() == table["mae"][table["value"] > 0].min()
    first, last = table.iloc[0], table.iloc[-1]
    # Not at each step: what is cut goes to the others.
    assert first["spurious_per_mixture"] >= last["spurious_per_mixture"]
    assert first["missed_per_mixture"] <= last["missed_per_mixture"]


def test_arms_on_markers_choose_their_number_too(results):
    for arm in names(markers=True):
        choices = json.loads((results / arm / "evaluation" / "metrics.json").read_text())["choices"]
        assert choices["markers_per_tissue"] in (0, 50, 100, 200)


def test_cut_does_not_hide_how_the_proportions_rank(results):
    """An arm that is cut ranks tissues as it does without the cut."""
    found = [json.loads((results / arm / "evaluation/metrics.json").read_text()) for arm in ("nnls", "nnls_cut")]
    assert found[0]["presence_auroc"] == pytest.approx(found[1]["presence_auroc"], abs=1e-9)
    assert found[0]["called_1_to_5"] >= found[1]["called_1_to_5"]


def test_oracle_is_better_than_all_other_arms(results):
    mae = {arm: json.loads((results / arm / "evaluation/metrics.json").read_text())["mae"] for arm in ARMS}
    assert min(mae, key=mae.get) == "oracle"


def test_exact_zeros_survive_the_csv(results):
    table = pd.read_csv(results / "sparse" / "evaluation" / "predictions.csv")
    gated = table[table["presence_probability"] < 0.5]
    # All but a most probable tissue of mixtures where none passed.
    assert (gated["predicted_proportion"] == 0.0).mean() > 0.9
    assert not (pd.read_csv(results / "original/evaluation/predictions.csv")["predicted_proportion"] == 0).any()


def test_test_mixtures_must_be_of_the_test_split(data, tmp_path):
    reference, validation, _ = data
    with pytest.raises(InputError, match="split 'validation'"):
        evaluate_arm("nnls", tiny_experiment(), reference, validation, validation, None, tmp_path)


def test_mixtures_of_another_reference_are_refused(data, tmp_path):
    reference, validation, test = data
    other = Mixtures(
        test.methylation, test.depth, test.proportions, test.label_proportions, test.info, test.tissue_names,
        {**test.attributes, "reference_digest": "0"},
    )  # fmt: skip
    with pytest.raises(InputError, match="another reference"):
        evaluate_arm("nnls", tiny_experiment(), reference, validation, other, None, tmp_path)


def test_checkpoint_of_the_other_arm_is_refused(data, results, tmp_path):
    checkpoint = results / "original" / "checkpoints" / "checkpoint_best.pt"
    with pytest.raises(InputError, match="checkpoint of arm original, expected sparse"):
        evaluate_arm("sparse", tiny_experiment(), *data, checkpoint, tmp_path)


def test_nothing_is_chosen_on_the_test_mixtures(data, tmp_path):
    """Shuffling the test truth changes scores, but no choice and no prediction."""
    reference, validation, test = data
    other = Mixtures(
        test.methylation,
        test.depth,
        test.proportions[::-1].copy(),
        test.label_proportions[::-1].copy(),
        test.info,
        test.tissue_names,
        test.attributes,
    )
    outcomes = []
    for number, mixtures in enumerate((test, other)):
        output = tmp_path / str(number)
        evaluate_arm("nnls_cut", tiny_experiment(), reference, validation, mixtures, None, output)
        predictions = pd.read_csv(output / "predictions.csv")
        choices = json.loads((output / "metrics.json").read_text())["choices"]
        outcomes.append((predictions[["predicted_proportion", "presence_probability"]].to_numpy(), choices))
    assert np.array_equal(outcomes[0][0], outcomes[1][0])
    assert outcomes[0][1] == outcomes[1][1]


def test_comparison(results):
    read = read_arms(results, COMPARED)
    content = comparison_json(read, 100, 1, [])
    table = comparison_table(read, content["arms"])
    assert list(table["arm"]) == COMPARED
    best = min(names("control", compared=True), key=lambda arm: content["arms"][arm]["mae"])
    assert set(content) == {"arms", "sparse_minus_original", f"sparse_minus_{best}", "provenance"}
    assert content["provenance"]["over_donors"] == "not known (run snakemake donors_phase2)"
    arms, difference = content["arms"], content["sparse_minus_original"]
    assert difference["mae"]["estimate"] == pytest.approx(arms["sparse"]["mae"] - arms["original"]["mae"])
    low, high = difference["mae"]["ci95"]
    assert low <= difference["mae"]["estimate"] <= high
    # Paired: narrower than two independent intervals would be.
    widths = [arms[a]["mae_ci95"][1] - arms[a]["mae_ci95"][0] for a in ("sparse", "original")]
    assert high - low < sum(widths)
    json.dumps(content, allow_nan=False)


def test_comparison_over_draws_of_donors(results, tmp_path):
    read = read_arms(results, COMPARED)
    (own,) = collect_draws([results], COMPARED)
    halved = {arm: {name: (value or 0) / 2 for name, value in of_arm.items()} for arm, of_arm in own["arms"].items()}
    path = tmp_path / "donors.json"
    path.write_text(json.dumps({"draws": [own, {"seed": 2, "arms": halved}, {"seed": 3, "arms": halved}]}))
    content = comparison_json(read, 100, 1, read_draws(path, read))
    low, high = content["arms"]["em"]["mae_donors_ci95"]
    assert low <= content["arms"]["em"]["mae_donors_mean"] <= high
    assert content["arms"]["em"]["donor_draws"] == 3
    difference = content["sparse_minus_original"]["mae"]
    assert difference.keys() == {"estimate", "ci95", "donors_ci95", "donors_mean", "better"}
    assert content["provenance"]["over_donors"].startswith("Student intervals of the mean of 3 draws")
    table = comparison_table(read, content["arms"]).set_index("arm")
    assert table.loc["em", "mae_donors_low"] == low and table.loc["em", "mae_donors_high"] == high
    json.dumps(content, allow_nan=False)


def test_real_donors_are_left_out_in_turn(data, tmp_path):
    """Then the source is one whose donors no seed draws."""
    reference, validation, test = data
    source = {"source": "counts", "file": "mine.tsv", "genome": "hg38"}
    real = Experiment.model_validate({**tiny_experiment().model_dump(), "reference": source})
    evaluate_arm("nnls", real, reference, validation, test, None, tmp_path / "nnls" / "evaluation")
    result = read_arm(tmp_path, "nnls")
    assert {donor for info in test.info for donor in info["donors"].values()} == set(result.donors.ravel()) - {""}
    # A tissue without a donor of its own may be there, as a part of what the donors of others consist of.
    assert ((result.donors != "") == (test.label_proportions > 0)).all()
    assert (result.true[result.donors != ""] > 0).all() and (result.true[result.donors == ""] > 0).any()
    found = with_donor_intervals(Scores(result.true, result.predicted), result.donors)
    assert result.metrics["mae_donors_ci95"] == pytest.approx(found["mae_donors_ci95"])
    assert result.metrics["donor_draws"] == found["donor_draws"] > 2


def test_report_is_one_file_that_needs_no_network(results, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv",
        ["report", "comparison", "--config", str(ROOT / "config/tiny.yaml"), "--folder", str(results),
         "--output", str(tmp_path)],
    )  # fmt: skip
    assert report_main() == 0
    page = (tmp_path / "report.html").read_text()
    for outside in ('src="http', "src='http", 'href="http', "@import", "url("):
        assert outside not in page.replace(library(), "")
    assert page.count("data:image/png;base64,") >= 5
    assert "simulated: tissues and donors are drawn" in page
    assert "Mixture_10" in page and len(page) < 5e6
    assert "Over donors: not known (run snakemake donors_phase2)" in page
    assert "<b>Not known for other donors.</b>" in page
    for arm in COMPARED:
        assert ARMS[arm].legend in html.unescape(page)
        assert (tmp_path / f"miami_{arm}.png").stat().st_size > 10_000
        assert f"{arm}: " in (tmp_path / f"miami_{arm}.svg").read_text()


@pytest.mark.parametrize("phase", ["phase1", "phase3"])
def test_report_of_another_phase(data, phase, tmp_path, monkeypatch):
    reference = data[0]
    mixtures = [tiny_mixtures(reference, split, tmp_path, phase) for split in ("validation", "test")]
    for arm in ("nnls", "em"):
        evaluate_arm(arm, tiny_experiment(), reference, *mixtures, None, tmp_path / arm / "evaluation")
    monkeypatch.setattr(
        "sys.argv",
        ["report", "comparison", "--config", str(ROOT / "config/tiny.yaml"), "--folder", str(tmp_path),
         "--arms", "nnls", "em", "--output", str(tmp_path / "out")],
    )  # fmt: skip
    assert report_main() == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert tiny_experiment().mixtures.recipes[phase].words in page
    # Donors have a little of other tissues, so that every phase has traces.
    assert "minor, 5 to 20 %" in page and "trace, &lt; 1 %" in page
    content = json.loads((tmp_path / "em" / "evaluation" / "metrics.json").read_text())
    assert content["background"] == (["Blood"] if phase == "phase3" else [])
    assert ("mixtures within 3 points" in page) == ("background_mae" in content) == (phase == "phase3")
    if phase == "phase3":
        column = reference.tissue_names.index("Blood")
        off = read_arm(tmp_path, "em").predicted[:, column] - mixtures[1].proportions[:, column]
        assert content["background_mae"] == pytest.approx(np.abs(off).mean())
        assert content["background_within_3"] == pytest.approx((np.abs(off) <= 0.03).mean())


def test_report_without_an_evaluation_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv",
        ["report", "comparison", "--config", str(ROOT / "config/tiny.yaml"), "--folder", str(tmp_path),
         "--output", str(tmp_path / "out")],
    )  # fmt: skip
    assert report_main() == 2
    assert "metrics.json: there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_arms_of_different_mixtures_are_not_compared(results):
    first = read_arm(results, "nnls")
    other = results / "other" / "evaluation"
    other.mkdir(parents=True)
    for name in ("metrics.json", "per_tissue.csv", "per_mixture.csv", "by_abundance.csv", "tradeoff.csv"):
        (other / name).write_bytes((results / "nnls" / "evaluation" / name).read_bytes())
    table = pd.read_csv(results / "nnls" / "evaluation" / "predictions.csv")
    table["true_proportion"] = first.true[::-1].ravel()
    table.to_csv(other / "predictions.csv", index=False)
    with pytest.raises(InputError, match="different mixtures"):
        read_arms(results, ["nnls", "other"])


def test_miami_counts_and_draws_spurious_bars_in_their_own_colour():
    tissues = ["Blood", "Aorta"]
    true = np.array([[0.4, 0.6], [1.0, 0.0], [1.0, 0.0]])
    predicted = np.array([[0.4, 0.6], [0.93, 0.07], [0.995, 0.005]])
    figure = miami("sparse", tissues, true, predicted)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Aorta", "Blood"]
    assert "1 false positives (0.33 per mixture), 0 missed tissues (0.00 per mixture)" in axes.get_title(loc="left")
    assert _drawn(axes, SPURIOUS) == pytest.approx([-7.0]) and not _drawn(axes, MISSED)
    above = [v for p in axes.patches for v in p.get_data()[0] if v > 0]
    assert sorted(above) == pytest.approx([40, 60, 100, 100])


def _drawn(axes, shade):
    """Heights of the bars of a colour."""
    bars = [patch for patch in axes.patches if patch.get_facecolor() == to_rgba(shade)]
    return sorted(v for patch in bars for v in patch.get_data()[0] if v)


def test_miami_counts_missed_tissues_and_draws_them_in_amber():
    true = np.array([[0.4, 0.6], [0.97, 0.03], [0.991, 0.009]])
    predicted = np.array([[0.4, 0.6], [1.0, 0.0], [1.0, 0.0]])
    axes = miami("sparse", ["Blood", "Aorta"], true, predicted).axes[0]
    assert "0 false positives (0.00 per mixture), 1 missed tissues (0.33 per mixture)" in axes.get_title(loc="left")
    # The trace of 0.9 % is neither missed nor called.
    assert _drawn(axes, MISSED) == pytest.approx([3.0]) and not _drawn(axes, SPURIOUS)


def test_miami_plots_of_compared_arms_have_one_scale():
    true, predicted = np.array([[0.5, 0.5]]), np.array([[0.4, 0.6]])
    alone, compared = (
        miami("sparse", ["A", "B"], true, predicted, largest=largest).axes[0].get_ylim() for largest in (None, 0.9)
    )
    assert alone == pytest.approx((-62.4, 62.4)) and compared == pytest.approx((-93.6, 93.6))
    assert largest_proportion(true, predicted) == 0.6
