"""The unknown component: found where there is one, and none where there is nothing foreign."""

import json
import logging
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import PHASE3, counts_table, tiny_arm, tiny_reference, without

from methmix import seeds
from methmix.errors import InputError
from methmix.formats.samples import SampleBlock
from methmix.formats.store import CountsStore
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.registry import build_model
from methmix.nnls import weighted_nnls
from methmix.prediction.__main__ import main
from methmix.prediction.deconvolve import predict_block
from methmix.prediction.sample_results import Cohort
from methmix.prediction.unknown_component import add_unknown, check_unknown, estimate
from methmix.samples.sample_sheet import Sample
from methmix.training.checkpoint import load_model

N, SHARE = 60, 0.3


@pytest.fixture(scope="module")
def whole():
    return tiny_reference()


@pytest.fixture(scope="module")
def lacking(whole):
    return without(whole, "Liver")


@pytest.fixture(scope="module")
def checkpoint(lacking_checkpoint):
    return lacking_checkpoint


def drawn(reference, split, depth, n=N, seed=4):
    return MixtureSampler(reference, split, PHASE3, [depth]).sample(n, seeds.generator(seed, "drawn", depth))


def with_liver(whole, batch, rows):
    """Replace 30 % of the reads of some samples by reads of a donor's liver."""
    rng = np.random.default_rng(4)
    donors = np.nan_to_num(whole.fractions[[row for row, name in enumerate(whole.tissues) if name == "Liver"]], nan=0.5)
    methylation, depth = batch.methylation.numpy().copy(), batch.depth.numpy().astype(int)
    for row in rows:
        methylated = np.rint(np.nan_to_num(methylation[row]) * depth[row]).astype(int)
        foreign = rng.binomial(depth[row], SHARE)
        own = rng.hypergeometric(methylated, depth[row] - methylated, depth[row] - foreign)
        reads = own + rng.binomial(foreign, donors[rng.integers(len(donors))])
        methylation[row] = np.where(depth[row] > 0, reads / np.maximum(depth[row], 1), np.nan)
    return replace(batch, methylation=torch.from_numpy(methylation)), donors.mean(axis=0)


def deconvolved(model, reference, batch):
    """Predict samples as a run does; gives the run and, in a store, those that do not fit."""
    methylation, depth = batch.methylation.numpy(), batch.depth.numpy().astype(np.float32)
    samples = [Sample(f"S{row}", "x") for row in range(len(depth))]
    block = SampleBlock([sample.name for sample in samples], methylation, depth)
    run = Cohort(reference.tissue_names, depth.shape[1], predict_block(model, block, samples, depth.shape[1]))
    rows = [row for row, result in enumerate(run.results) if result.poor_fit]
    return run, methylation[rows], depth[rows]


@pytest.mark.parametrize("depth", [100, 500])
def test_a_foreign_tissue_is_found_in_the_samples_that_do_not_fit(whole, lacking, checkpoint, depth):
    model, _ = load_model(checkpoint)
    batch, liver = with_liver(whole, drawn(lacking, "test", depth), range(0, N, 3))
    run, *flagged = deconvolved(model, lacking, batch)
    before = run.results
    with CountsStore(run.n_regions) as store:
        store.append(*flagged)
        add_unknown(run, model, store)
        profile = estimate(model.profiles.mean.double().numpy(), store)[1]
    assert run.unknown and len(run.notes) == 1
    of_flagged = np.array([result.unknown for result in run.results if result.poor_fit])
    assert len(of_flagged) >= 4 and of_flagged == pytest.approx(SHARE, abs=0.1)
    assert of_flagged.mean() == pytest.approx(SHARE, abs=0.05)
    nearest = max(np.corrcoef(mean, liver)[0, 1] for mean in model.profiles.mean.numpy())
    assert np.corrcoef(profile, liver)[0, 1] > max(0.87, nearest)
    assert all(result.unknown == 0.0 for result in run.results if not result.poor_fit)
    errors = []
    for row, (then, now) in enumerate(zip(before, run.results, strict=True)):
        assert now.prediction.proportions.sum() + now.unknown == pytest.approx(1)
        if now.poor_fit:
            true = (1 - SHARE) * batch.proportions[row]
            errors.append([np.abs(result.prediction.proportions - true).mean() for result in (then, now)])
            found = now.prediction
            assert (found.low <= found.proportions + 1e-9).all() and (found.proportions <= found.high + 1e-9).all()
        else:
            assert now.prediction is then.prediction
    # What is said of the others is better for it.
    assert np.mean(errors, axis=0)[1] < 0.7 * np.mean(errors, axis=0)[0]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_nothing_is_found_where_nothing_is_foreign(lacking, checkpoint, split):
    model, _ = load_model(checkpoint)
    for depth in (10, 100, 500):
        run, *flagged = deconvolved(model, lacking, drawn(lacking, split, depth, n=200))
        with CountsStore(run.n_regions) as store:
            store.append(*flagged)
            add_unknown(run, model, store)
        assert np.mean([result.unknown or 0 for result in run.results]) < 0.01
        assert "no unknown component is estimated" in run.notes[0]


def test_the_command_gives_a_row_to_it(whole, lacking, checkpoint, tmp_path, monkeypatch, capsys):
    batch, _ = with_liver(whole, drawn(lacking, "test", 500), range(0, N, 3))
    output = tmp_path / "p.csv"
    given = ["--checkpoint", checkpoint, "--samples", counts_table(lacking, batch, tmp_path / "counts.tsv")]
    monkeypatch.setattr(sys, "argv", ["methmix.prediction", *map(str, given), "--output", str(output), "--unknown"])
    assert main() == 0
    logging.getLogger().handlers.clear()
    capsys.readouterr()
    table = pd.read_csv(output)
    assert table["tissue"].tolist() == [*lacking.tissue_names, "unknown"] * N
    assert table.groupby("sample")["proportion"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
    of_unknown = table[table["tissue"] == "unknown"]
    assert of_unknown["limit_of_detection"].isna().all() and (of_unknown["proportion"] > 0).sum() >= 4
    record = json.loads(output.with_suffix(".json").read_text())
    shares = [sample["proportions"]["unknown"]["proportion"] for sample in record["samples"]]
    assert shares == pytest.approx(of_unknown["proportion"].tolist())
    assert [share > 0 for share in shares] == [not sample["fit"]["fits"] for sample in record["samples"]]
    assert "a shift between laboratories look the same" in output.with_suffix(".html").read_text()


def test_a_model_without_goodness_of_fit_is_refused(lacking, checkpoint):
    model, _ = load_model(checkpoint)
    check_unknown(model, lacking.tissue_names)
    with pytest.raises(InputError, match="has a tissue unknown already"):
        check_unknown(model, [*lacking.tissue_names, "unknown"])
    with pytest.raises(InputError, match="estimates no goodness of fit"):
        check_unknown(build_model(tiny_arm("sparse"), torch.rand(7, 600), seed=1), lacking.tissue_names)


def test_a_cost_is_that_of_the_penalised_problem():
    rng = np.random.default_rng(2)
    profiles, values, weights = rng.random((3, 50)), rng.random((4, 50)), rng.random((4, 50))
    cost = np.array([0.0, 0.002, 0.01])
    x = weighted_nnls(profiles, values, weights, cost)
    slope = ((x @ profiles - values) * weights) @ profiles.T + weights.sum(axis=1, keepdims=True) * cost
    assert slope[x > 0] == pytest.approx(0, abs=1e-9) and (slope >= -1e-9).all()
    assert (x > 0).any() and (weighted_nnls(profiles, values, weights) != x).any()
