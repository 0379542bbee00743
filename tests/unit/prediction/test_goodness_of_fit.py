"""Verdicts on the fit of samples that are predicted together, and no numbers for samples of nothing."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import PHASE3, counts_table, tiny_experiment

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.prediction import Prediction, predict
from methmix.prediction.goodness_of_fit import Fit, fits_of, verdicts, words_of_shift
from methmix.training.checkpoint import load_model


def of_effects(effects, limit=1.3):
    return [Fit(effect, limit, effect, 0.1, 0.4) for effect in effects]


def like(middle, n, seed=1):
    return list(middle * np.exp(np.random.default_rng(seed).normal(0, 0.08, n)))


def test_a_cohort_that_is_beyond_its_limit_in_common_is_shifted_and_one_of_it_odd():
    found = verdicts(of_effects([*like(2.4, 20), 6.0]))
    assert found[:-1] == ["shifted"] * 20 and found[-1] == "odd"
    # The odd one out of samples that fit is not shifted, nor are several: most must be.
    assert verdicts(of_effects([*like(1.0, 20), 2.4])) == ["fits"] * 20 + ["odd"]
    assert verdicts(of_effects([*like(1.0, 20), *like(2.4, 10)]))[20:] == ["odd"] * 10


def test_a_cohort_of_worse_fit_is_shifted_even_if_most_are_within_their_limits():
    effects = like(2.2, 30)
    limit = np.quantile(effects, 0.8)
    assert verdicts(of_effects(effects, limit)) == [("shifted" if effect > limit else "fits") for effect in effects]
    # Where most fit as well as they should, patients of any misfit are odd.
    patients = [1.4, 1.7, 2.0, 2.4, 3.0]
    assert verdicts(of_effects([*like(1.0, 9), *patients]))[9:] == ["odd"] * 5


@pytest.mark.parametrize(("n", "expected"), [(1, "odd"), (7, "odd"), (8, "shifted")])
def test_few_samples_do_not_show_what_is_common(n, expected):
    assert verdicts(of_effects(like(2.4, n))) == [expected] * n


def test_equal_samples_are_like_each_other():
    assert verdicts(of_effects([2.4] * 9)) == ["shifted"] * 9


def test_without_a_limit_there_is_no_verdict_and_what_resembles_nothing_is_odd():
    fits = [*of_effects(like(2.4, 9)), Fit(), Fit(3.0), Fit(2.4, 1.3, 2.4, 0.5, 0.4)]
    assert verdicts(fits) == ["shifted"] * 9 + [None, None, "odd"]
    # Samples of nothing do not count as a laboratory.
    assert verdicts(of_effects([30.0] * 9)) == ["odd"] * 9


def test_words_of_a_shift_have_number_and_effect():
    fits = of_effects([2.0] * 9 + [1.0])
    said = words_of_shift(fits, verdicts(fits))
    assert said.startswith("9 of 10 samples are shifted") and "(median misfit 2 times" in said


def test_where_the_lines_of_the_calibration_cross_no_limit_is_known():
    found = Prediction(
        np.ones((3, 1)),
        misfit=np.array([1.0, 1.0, 1.0]),
        misfit_limit=np.array([1.5, 0.5, -2.0]),
        effect=np.array([1.0, 0.9, 0.9]),
        rmse=np.full(3, 0.1),
    )
    fits = fits_of(found, np.array([[0.0, 1.0, np.nan]] * 3))
    assert [fit.misfit_limit for fit in fits] == [1.5, None, None]
    assert fits[0].variation == 0.5 and not any(fit.resembles_nothing for fit in fits)


def without_pattern(methylation, depth):
    """Give samples of nothing in particular, at the depths of others."""
    rng = np.random.default_rng(3)

    def drawn(expected):
        return np.where(depth > 0, rng.binomial(depth.astype(int), expected) / np.maximum(depth, 1), np.nan)

    uniform = {f"{value}": drawn(np.full(depth.shape, value)) for value in (0.0, 0.2, 0.5, 0.8, 1.0)}
    order = rng.permutation(depth.shape[1])
    return {
        **uniform,
        "random": drawn(rng.random(depth.shape)),
        "inverted": 1 - methylation,
        "other regions": np.where(depth > 0, np.nan_to_num(methylation[:, order], nan=0.5), np.nan),
    }


@pytest.mark.parametrize("part", [1.0, 0.27])
@pytest.mark.parametrize("depth", [5, 10, 60, 500])
def test_samples_of_nothing_are_recognised_and_mixtures_never_are(reference, checkpoint, depth, part):
    model, _ = load_model(checkpoint)
    for phase, recipe in tiny_experiment().mixtures.recipes.items():
        rng = seeds.generator(9, "nothing", phase, depth)
        batch = MixtureSampler(reference, "test", recipe, [depth]).sample(60, rng)
        observed = rng.random(batch.depth.shape) < part
        methylation = np.where(observed, batch.methylation.numpy(), np.nan).astype(np.float32)
        reads = np.where(observed, batch.depth.numpy(), 0).astype(np.float32)
        known = fits_of(predict(model, methylation, reads), methylation)
        assert not any(fit.resembles_nothing for fit in known)
    for name, values in without_pattern(methylation, reads).items():
        values = values.astype(np.float32)
        fits = fits_of(predict(model, values, reads), values)
        assert np.mean([fit.resembles_nothing for fit in fits]) >= 0.98, name


def test_a_sample_of_nothing_gives_no_numbers(command, reference, plasma, tmp_path):
    strange = replace(plasma, methylation=plasma.methylation.clone())
    strange.methylation[2] = torch.where(plasma.depth[2] > 0, 0.8, torch.nan)
    code, said, output = command("--samples", counts_table(reference, strange, tmp_path / "counts.tsv"))
    assert code == 0 and "S2: correlation with the mean profile of the reference" in said and "no estimates" in said
    sample = json.loads(output.with_suffix(".json").read_text())["samples"][2]
    assert not sample["answered"] and sample["proportions"] == {} and sample["fit"]["verdict"] == "odd"
    assert sample["fit"]["misfit"] > sample["fit"]["misfit_limit"]
    table = pd.read_csv(output)
    assert table.loc[table["sample"] == "S2", "proportion"].isna().all()
    assert (table.loc[table["sample"] == "S2", "verdict"] == "odd").all()

    strange.methylation[:] = strange.methylation[2]
    path = counts_table(reference, strange, tmp_path / "counts.tsv")
    code, said, _ = command("--samples", path, output=tmp_path / "none" / "p.csv")
    assert code == 2 and "no sample can be one of this model" in said


def test_samples_of_another_laboratory_are_shifted_and_their_intervals_wider(command, reference, tmp_path):
    batch = MixtureSampler(reference, "test", PHASE3, [200]).sample(12, seeds.generator(5, "laboratory"))
    _, _, output = command("--samples", counts_table(reference, batch, tmp_path / "counts.tsv"))
    own = pd.read_csv(output)
    # One that measures low methylation as higher, in some regions more than in others.
    more = torch.from_numpy(np.random.default_rng(2).uniform(0, 0.5, batch.depth.shape[1]).astype(np.float32))
    other = replace(batch, methylation=batch.methylation + (1 - batch.methylation) * more)
    _, _, output = command("--samples", counts_table(reference, other, tmp_path / "counts.tsv"))
    table, record = pd.read_csv(output), json.loads(output.with_suffix(".json").read_text())
    assert (own["verdict"] == "fits").all() and (table["verdict"] == "shifted").mean() >= 0.75
    assert any("samples are shifted" in note for note in record["notes"])
    assert "samples are shifted" in output.with_suffix(".html").read_text()
    widths = [(found["interval_high"] - found["interval_low"]).mean() for found in (own, table)]
    assert widths[1] > 1.2 * widths[0]


def test_with_few_of_the_regions_intervals_are_wider_and_limits_higher(reference, checkpoint):
    model, _ = load_model(checkpoint)
    batch = MixtureSampler(reference, "test", PHASE3, [100]).sample(100, seeds.generator(7, "few regions"))
    observed = np.random.default_rng(7).random(batch.depth.shape[1]) < 0.27
    whole = predict(model, batch.methylation.numpy(), batch.depth.numpy())
    part = predict(
        model,
        np.where(observed, batch.methylation.numpy(), np.nan).astype(np.float32),
        np.where(observed, batch.depth.numpy(), 0).astype(np.float32),
    )
    widths = [(found.high - found.low).mean(axis=1) for found in (whole, part)]
    assert (widths[1] > widths[0]).mean() >= 0.95 and widths[1].mean() > 1.3 * widths[0].mean()
    # The limits of this small model rest on few mixtures of each depth.
    assert (part.limit > whole.limit).mean() >= 0.6 and np.median(part.limit) > np.median(whole.limit)
