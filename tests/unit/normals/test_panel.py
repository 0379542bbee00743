"""A panel as a whole: nobody is in his own, what it states holds for people it has not seen, and files are guarded."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from unit.normals.conftest import TISSUES, donors, fractions, made, plasma, profiles

from methmix.errors import InputError
from methmix.files.seal import seal
from methmix.normals.background import fit_background
from methmix.normals.excess import estimate_excess
from methmix.normals.panel_file import check_counted, check_panel, read_panel, write_panel
from methmix.normals.spiked_controls import spiked
from methmix.prediction.group_comparison import auc


def estimate(panel, methylated, depth):
    return panel.estimate(torch.from_numpy(profiles()), *fractions(methylated, depth))


def test_a_control_is_compared_with_all_the_others(lab):
    panel, counts = lab.panel, (lab.controls.methylated, lab.controls.depth)
    found, own = estimate(panel, *counts)
    assert own.all()
    methylation, depth = fractions(*counts)
    for row in (0, 7):
        others = np.arange(len(depth)) != row
        background = fit_background(methylation[others], depth[others], panel.shrinkage)
        alone = estimate_excess(background, torch.from_numpy(profiles()), methylation[[row]], depth[[row]])
        torch.testing.assert_close(found.row(row).amounts, alone.amounts)
        torch.testing.assert_close(found.row(row).misfit, alone.misfit)


def test_a_control_under_another_name_is_recognised_and_others_are_not(lab):
    methylated, depth = lab.controls.methylated[[3]].copy(), lab.controls.depth[[3]].copy()
    assert estimate(lab.panel, methylated, depth)[1].tolist() == [True]
    depth[0, 0] += 1
    assert estimate(lab.panel, methylated, depth)[1].tolist() == [False]


def test_samples_of_one_person_are_left_out_together(lab):
    patients = ["", "", "one", "other", "one", "", *["", ""] * 12]
    twice = lab.controls._replace(patients=patients)
    assert [len(own) for own in twice.of_person()] == [1, 1, 2, 1, 2, *[1] * 25]
    panel = made(patients=patients).panel
    methylation, depth = fractions(twice.methylated, twice.depth)
    others = [row for row in range(30) if row not in (2, 4)]
    background = fit_background(methylation[others], depth[others], panel.shrinkage)
    alone = estimate_excess(background, torch.from_numpy(profiles()), methylation[[2, 4]], depth[[2, 4]])
    alone = alone.doubted(panel.usual_misfit)
    for values, expected in zip(panel.crossfitted, alone, strict=True):
        torch.testing.assert_close(values[[2, 4]], expected)


@pytest.mark.slow
def test_with_shuffled_labels_the_area_is_a_half():
    areas = []
    for seed in range(6):
        own = made(n=24, seed=seed + 10)
        patients, _ = estimate(own.panel, *plasma(np.random.default_rng(seed + 900), 40))
        controls = own.panel.crossfitted
        times = np.ones((1, 40), dtype=int), np.ones((1, 24), dtype=int)
        areas.append(auc(patients.total_score.numpy(), controls.total_score.numpy(), *times)[0])
    # Standard error of the mean of six areas of 40 against 24: 0.03.
    assert abs(np.mean(areas) - 0.5) < 0.08


def test_specificity_holds_for_people_that_the_panel_has_not_seen(lab):
    found, own = estimate(lab.panel, *plasma(np.random.default_rng(77), 400))
    assert not own.any()
    stated = lab.panel.specificities[0]
    for column, scores in enumerate([*found.scores.T, found.total_score]):
        reached = float((scores <= lab.panel.thresholds[0, column]).double().mean())
        assert reached >= stated.low - 0.02, column


def test_intervals_limits_and_probabilities_hold_for_new_donors(lab):
    rng = np.random.default_rng(55)
    calibration, limit = lab.panel.calibration, lab.panel.thresholds[0, :-1]
    for amount in (0.02, 0.1):
        tissue = rng.integers(3, size=300)
        counts = spiked(*plasma(rng, 300), np.full(300, amount), donors(tissue, rng), rng)
        found, _ = estimate(lab.panel, *counts)
        amounts, error, rows = found.amounts.numpy(), found.error.numpy(), np.arange(300)
        low, high = calibration.intervals(amounts, error)
        covered = (low[rows, tissue] <= amount) & (amount <= high[rows, tissue])
        assert covered.mean() > 0.84
        absent = np.ones((300, 3), dtype=bool)
        absent[rows, tissue] = False
        assert (low[absent] == 0).mean() > 0.84
        limits = calibration.limits(error, limit)
        called = found.scores.numpy()[rows, tissue] > limit[tissue]
        assert called[limits[rows, tissue] <= amount].mean() > 0.85 if (limits <= amount).any() else True
        probability = calibration.probability(found.scores.numpy(), error, limit)
        assert probability[rows, tissue].mean() > probability[absent].mean() + 0.2


def test_fewer_reads_widen_intervals_and_raise_limits(lab):
    calibration, limit = lab.panel.calibration, lab.panel.thresholds[0, :-1]
    error = np.array([[0.005] * 3, [0.02] * 3])
    low, high = calibration.intervals(np.full((2, 3), 0.05), error)
    assert (high[1] - low[1] > high[0] - low[0]).all()
    limits = calibration.limits(error, limit)
    assert (limits[1] > limits[0]).all()


def test_a_panel_is_the_same_from_its_file(lab, tmp_path):
    path = tmp_path / "normals.h5"
    write_panel(path, lab.panel)
    read = read_panel(path)
    assert (read.tissues, read.names, read.digests) == (TISSUES, lab.controls.names, lab.controls.digests())
    np.testing.assert_array_equal(read.thresholds, lab.panel.thresholds)
    people = plasma(np.random.default_rng(4), 5)
    for own, other in zip(estimate(read, *people)[0], estimate(lab.panel, *people)[0], strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("change", ["mean", "controls/amounts", "calibration/lower", "tissues", "attributes"])
def test_a_changed_panel_is_refused(lab, tmp_path, change):
    path = tmp_path / "normals.h5"
    write_panel(path, lab.panel)
    with h5py.File(path, "r+") as file:
        if change == "attributes":
            file.attrs[change] = file.attrs[change].replace("hg38", "hg19")
        elif change == "tissues":
            file[change][0] = "liver"
        else:
            file[change][0] = file[change][0] + 0.001
    with pytest.raises(InputError, match="has no digest: truncated, changed after it was written"):
        read_panel(path)
    seal(path)
    with pytest.raises(InputError, match="digest does not hold"):
        read_panel(path)


def test_other_files_and_panels_of_other_models_are_refused(lab, tmp_path):
    path = tmp_path / "normals.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"normals\.h5: is truncated or not HDF5"):
        read_panel(path)
    with h5py.File(path, "w") as file:
        file.attrs["schema_version"] = 2
    seal(path)
    with pytest.raises(InputError, match="dataset tissues is missing"):
        read_panel(path)
    with pytest.raises(InputError, match="of another genome"):
        check_panel(path, lab.panel, {"model": "m", "genome": "hg19"})
    check_panel(path, lab.panel, {"model": "m", "genome": "hg38"})


@pytest.mark.parametrize(("counted", "modification", "refused"), [
    ("5mC", "5mC+5hmC", True), ("5mC+5hmC", "5mC", True), ("5mC", "5mC", False), (None, "5mC", False),
])  # fmt: skip
def test_a_panel_that_was_counted_otherwise_is_refused(lab, tmp_path, counted, modification, refused):
    attributes = lab.panel.attributes | ({"modification": counted} if counted else {})
    panel = replace(lab.panel, attributes=attributes)
    if not refused:
        check_counted(tmp_path, panel, modification)
        return
    with pytest.raises(InputError, match=f"counted as {counted}, .* as {modification}:".replace("+", "[+]")):
        check_counted(tmp_path, panel, modification)


@pytest.mark.parametrize(("quantity", "factor", "odd"), [
    (None, 1, []), ("misfit", 1.3, []), ("misfit", 6, [3]), ("total_score", 9, [3]),
])  # fmt: skip
def test_a_control_that_is_unlike_the_others_is_named(lab, quantity, factor, odd):
    found = lab.panel.crossfitted
    if quantity:
        values = getattr(found, quantity).clone()
        values[3] = factor * values.median()
        found = found._replace(**{quantity: values})
    panel = replace(lab.panel, crossfitted=found)
    assert panel.odd_controls == [panel.names[row] for row in odd]
