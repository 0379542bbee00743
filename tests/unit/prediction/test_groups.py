"""Cases against controls: sums, areas under the curve, and what may be compared."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiments import ROOT
from sklearn.metrics import roc_auc_score

from methmix.config.load import check_experiment, load_experiment
from methmix.errors import InputError
from methmix.prediction.group_figure import groups as figure
from methmix.prediction.groups import N_BOOTSTRAP, auc, check_groups, compare
from methmix.prediction.page import _group
from methmix.prediction.results import Result, Run
from methmix.prediction.settings import options, sheet_and_files
from methmix.prediction.sheet import Sample, files_of_sheet, read_sheet

TISSUES = ["B", "T", "tumour", "liver"]


def cohort(sizes, nnls=True, seed=1):
    """Make samples whose sums of tumour and liver are larger in cases; those of the model are often exactly 0."""
    rng = np.random.default_rng(seed)
    run = Run(TISSUES, 100)
    for group, n in sizes.items():
        for number in range(n):
            more = 0.1 * (group != "Control")
            of_nnls, of_model = rng.uniform(0.05, 0.2, 2) + more
            of_model = max(0, of_model - 0.12)
            shares = [np.array([0.6 - s / 2, 0.4 - s / 2, s / 4, 3 * s / 4]) for s in (of_model, of_nnls)]
            sample = Sample(f"{group}{number}", Path("x"), group=group)
            run.results.append(Result(sample, 100, 100, 30.0, shares[0], nnls=shares[1] if nnls else None))
    return run


def sums(run, group, of="proportions"):
    return np.array(
        [getattr(r, of)[2:].sum() for r in run.results if r.sample.group == group and r.proportions is not None]
    )


@pytest.mark.parametrize(("n_cases", "n_controls"), [(1, 1), (3, 50), (40, 7)])
def test_the_area_is_that_of_sklearn_also_with_ties_and_repeats(n_cases, n_controls):
    rng = np.random.default_rng(n_cases)
    cases, controls = rng.integers(0, 6, n_cases) / 5, rng.integers(0, 5, n_controls) / 5
    times = [rng.multinomial(n, np.full(n, 1 / n), size=4) for n in (n_cases, n_controls)]
    found = auc(cases, controls, *times)
    for draw in range(4):
        drawn = np.repeat(cases, times[0][draw]), np.repeat(controls, times[1][draw])
        expected = roc_auc_score([1] * n_cases + [0] * n_controls, np.concatenate(drawn))
        assert found[draw] == pytest.approx(expected)


def test_groups_are_compared_with_the_controls():
    run = cohort({"Breast": 12, "Control": 20, "Ovary": 3, "": 2})
    found = compare(run, "Control", ["B", "T"], seed=1)
    assert found["of_interest"] == ["tumour", "liver"] and found["n_bootstrap"] == N_BOOTSTRAP
    controls, breast, ovary = found["groups"]
    assert [row["group"] for row in found["groups"]] == ["Control", "Breast", "Ovary"]
    assert (controls["n"], breast["n"], ovary["n"]) == (20, 12, 3) and "auc" not in controls
    for method, of in (("model", "proportions"), ("nnls", "nnls")):
        assert breast["sums"][method] == pytest.approx(sums(run, "Breast", of))
        assert breast["median"][method] == pytest.approx(np.median(sums(run, "Breast", of)))
        assert controls["mean"][method] == pytest.approx(sums(run, "Control", of).mean())
        values = np.concatenate([sums(run, "Breast", of), sums(run, "Control", of)])
        area = breast["auc"][method]
        assert area["estimate"] == pytest.approx(roc_auc_score([1] * 12 + [0] * 20, values))
        assert area["ci95"][0] < area["estimate"] < area["ci95"][1]
    difference = breast["model_minus_nnls"]
    assert difference["estimate"] == pytest.approx(
        breast["auc"]["model"]["estimate"] - breast["auc"]["nnls"]["estimate"]
    )
    assert compare(run, "Control", ["B", "T"], seed=1) == found != compare(run, "Control", ["B", "T"], seed=2)


def test_the_interval_is_that_of_resamples_within_the_groups():
    run = cohort({"Control": 30, "Breast": 15})
    rng = np.random.default_rng(3)
    cases, controls = sums(run, "Breast"), sums(run, "Control")
    label = [1] * 15 + [0] * 30
    drawn = [
        roc_auc_score(label, np.concatenate([rng.choice(cases, 15), rng.choice(controls, 30)])) for _ in range(800)
    ]
    found = compare(run, "Control", ["B", "T"], seed=1)["groups"][1]["auc"]["model"]["ci95"]
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_the_difference_of_a_method_from_itself_is_none():
    run = cohort({"Control": 9, "Breast": 9})
    run.results = [Result(r.sample, 1, 1, 1.0, r.proportions, nnls=r.proportions) for r in run.results]
    assert compare(run, "Control", ["B"], seed=1)["groups"][1]["model_minus_nnls"] == {"estimate": 0, "ci95": [0, 0]}


def test_without_numbers_or_nnls_there_is_nothing_to_compare():
    run = cohort({"Control": 2, "Breast": 2, "Ovary": 1}, nnls=False)
    run.results[-1] = Result(run.results[-1].sample, 1, 1, 1.0, None)
    rows = compare(run, "Control", ["B"], seed=1)["groups"]
    assert rows[1]["auc"].keys() == {"model"} and rows[1]["model_minus_nnls"] is None
    assert rows[2]["n"] == 0 and rows[2]["auc"] == {"model": None} and rows[2]["median"] == {"model": None}
    assert _group(rows[2])["few"] and _group(rows[2])["auc"] == {"model": ["", ""]}
    figure(compare(run, "Control", ["B"], seed=1)).draw_without_rendering()


def test_the_figure_has_a_box_for_each_group_and_method():
    found = compare(cohort({"Control": 6, "Breast": 5}), "Control", ["B", "T"], seed=1)
    axes = figure(found).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Control\n6", "Breast\n5"]
    points = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "None"]
    assert np.sort(np.concatenate(points)) == pytest.approx(
        np.sort([value for row in found["groups"] for values in row["sums"].values() for value in values])
    )


@pytest.mark.parametrize(
    ("control", "background", "message"),
    [
        ("Control", None, "expected both or neither"),
        (None, ["B"], "expected both or neither"),
        ("Healthy", ["B"], "found 'Healthy'\n  its column group has Breast, Control"),
        ("Control", ["B", "Blood"], "'Blood' is no tissue of the model\n  it knows B, T, liver, tumour"),
        ("Control", TISSUES, "so none is of interest"),
    ],
)
def test_what_cannot_be_compared_is_named(control, background, message):
    sheet = [Sample(name, Path("x"), group=name) for name in ("Control", "Breast", "")]
    with pytest.raises(InputError, match=re.escape(message)):
        check_groups(sheet, TISSUES, control, background)
    check_groups(sheet, TISSUES, "Control", ["B", "T"])
    check_groups(None, TISSUES, None, None)
    with pytest.raises(InputError, match="its column group has none"):
        check_groups(None, TISSUES, "Control", ["B"])


@pytest.mark.parametrize(
    ("sheet", "sizes"),
    [
        ("cfdna", {"Control": 93, "Breast": 41, "Colorectal": 35, "Ovarian": 13, "Cervical": 4}),
        ("gdna", {"WBC": 12, "Breast": 5, "Cervical": 6, "Colorectal": 6, "Ovarian": 3}),
        ("tissue", {"Lung": 1, "Pancreas": 1}),
    ],
)
def test_the_shipped_sheets_have_groups(sheet, sizes):
    samples = read_sheet(ROOT / "config" / f"samples_{sheet}.tsv")
    assert pd.Series([sample.group for sample in samples]).value_counts().to_dict() == sizes
    assert all(str(sample.file).startswith("METHMIX_DATA/") for sample in samples)


def settings(change, name="tiny"):
    content = load_experiment(ROOT / "config" / f"{name}.yaml").model_dump(mode="json")
    change(content)
    return check_experiment(content, Path("mine.yaml"))


def test_the_background_of_phase_3_is_the_default(tmp_path):
    plain = settings(lambda c: None)
    assert options(plain) == ["--pseudo-depth=30"]
    assert options(settings(lambda c: c["prediction"].update(control_group="Control", unknown=True))) == [
        *("--pseudo-depth=30", "--control-group=Control", "--background", "Blood", "--unknown")
    ]
    own = settings(lambda c: c["prediction"].update(control_group="Control", background=["Liver", "Lung"]))
    assert options(own)[-3:] == ["--background", "Liver", "Lung"]

    def without_phase3(content):
        content["prediction"].update(control_group="Control", checkpoint_phase="phase2")
        for phases in (content["mixtures"]["recipes"], content["arms"]):
            phases.pop("phase3")

    with pytest.raises(InputError, match=r"prediction\.background: with a control_group, expected names"):
        settings(without_phase3)


def test_public_data_of_a_sheet_is_found(tmp_path, monkeypatch):
    sheet = tmp_path / "samples.tsv"
    sheet.write_text("sample\tfile\nA\tMETHMIX_DATA/some/counts.tsv\n")
    monkeypatch.setenv("METHMIX_DATA", str(tmp_path))
    experiment = settings(lambda c: c["prediction"].update(samples=str(sheet)))
    with pytest.raises(InputError, match=r"sample A: .*some/counts.tsv: there is no such file"):
        files_of_sheet(sheet)
    (tmp_path / "some").mkdir()
    (tmp_path / "some/counts.tsv").touch()
    assert sheet_and_files(experiment, "mine.yaml") == [str(sheet), str(tmp_path / "some/counts.tsv")]
