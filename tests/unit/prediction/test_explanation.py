"""The regions that drive a call, and calls that rest on few of them."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import tiny_arm

from methmix.formats.samples import SampleBlock
from methmix.formats.store import CountsStore
from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.prediction.deconvolve import predict_block
from methmix.prediction.explanation import MOST_SAMPLES, explain
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.samples.sample_sheet import Sample
from methmix.training.checkpoint import load_model

REGIONS = [f"chr1:{start}-{start + 100}" for start in range(0, 600_00, 100)]


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint)[0]


def explained(model, tissues, methylation, depth, background=()):
    """Predict and explain samples."""
    samples = [Sample(f"S{row}", "x") for row in range(len(depth))]
    block = SampleBlock([sample.name for sample in samples], methylation, depth)
    run = Cohort(tissues, 600, predict_block(model, block, samples, 600), background=list(background))
    run.presence_threshold = 0.5
    with CountsStore(600) as counts:
        counts.append(methylation, depth)
        explain(run, counts, model, partial(predict, model), REGIONS)
    return run


def spiked(model, tissues, proportion, tissue="Liver", depth=200, seed=3):
    """Reads of blood with a proportion of a tissue, as their profiles have it."""
    mean = model.profiles.mean.double().numpy().clip(0, 1)
    rest = mean[tissues.index("Blood")]
    expected = (1 - proportion) * rest + proportion * mean[tissues.index(tissue)]
    methylated = np.random.default_rng(seed).binomial(depth, expected)
    return (methylated / depth).astype(np.float32)[None], np.full((1, 600), depth, dtype=np.float32)


def test_a_call_of_a_tissue_that_is_there_rests_on_many_regions(model, reference):
    tissues = reference.tissue_names
    run = explained(model, tissues, *spiked(model, tissues, 0.2), background=["Blood"])
    [result] = run.results
    call = result.explanation["calls"][0]
    assert call["tissue"] == "Liver" and call["proportion"] == pytest.approx(0.2, abs=0.06)
    assert call["by_least_squares"] == pytest.approx(0.2, abs=0.06) and not call["rests_on_few_regions"]
    assert call["without_strongest"]["proportion"] > 0.7 * call["proportion"]
    assert 1 <= call["n_left_out"] == round(0.05 * call["n_regions"]) and 20 < call["n_regions"] < 600
    contributions = [region["contribution"] for region in call["regions"]]
    assert len(contributions) == 10 and contributions == sorted(contributions, reverse=True)
    for region in call["regions"]:
        # Each of them is nearer to what is expected with the tissue, or beyond.
        without, with_tissue, observed = (region[n] for n in ("expected_without", "expected_with", "observed"))
        assert (observed - without) * (with_tissue - without) > 0 and region["depth"] == 200
    assert all(call["tissue"] != "Blood" for call in result.explanation["calls"])
    residuals = result.explanation["residuals"]
    assert residuals["n"] == sum(residuals["histogram"]) and residuals["n_far"] < 0.05 * residuals["n"]
    sizes = [abs(region["residual"]) for region in residuals["worst"]]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 10


def test_a_call_that_an_artefact_makes_is_marked(model, reference):
    """Plain blood in which the two best marker regions of another tissue have that tissue's methylation."""
    tissues = reference.tissue_names
    methylation, depth = spiked(model, tissues, 0.0, seed=4)
    mean = model.profiles.mean.double().numpy()
    own = mean[tissues.index("Liver")]
    gap = np.abs(own - np.delete(mean, tissues.index("Liver"), axis=0)).min(axis=0)
    best = np.argsort(-gap)
    for number in range(1, 30):
        methylation[0, best[:number]] = own[best[:number]]
        run = explained(model, tissues, methylation, depth, background=["Blood"])
        calls = {call["tissue"]: call for call in run.results[0].explanation["calls"]}
        if "Liver" in calls:
            break
    assert number <= 3, "few regions suffice"
    call = calls["Liver"]
    assert call["rests_on_few_regions"] and call["regions"][0]["region"] in [REGIONS[r] for r in best[:number]]
    assert "Liver" in run.results[0].on_few_regions
    assert any(flag.startswith("on few regions: ") and "Liver" in flag for flag in run.results[0].flags(600))


def test_what_is_left_out_is_predicted_as_unobserved(model, reference):
    tissues = reference.tissue_names
    methylation, depth = spiked(model, tissues, 0.1)
    call = explained(model, tissues, methylation, depth, ["Blood"]).results[0].explanation["calls"][0]
    assert call["n_left_out"] <= 10
    gone = [REGIONS.index(region["region"]) for region in call["regions"][: call["n_left_out"]]]
    methylation[0, gone], depth[0, gone] = np.nan, 0
    again = predict(model, methylation, depth)
    own = tissues.index(call["tissue"])
    assert call["without_strongest"]["proportion"] == pytest.approx(again.proportions[0, own], abs=1e-6)
    assert call["without_strongest"]["presence_probability"] == pytest.approx(
        again.presence_probability[0, own], abs=1e-6
    )


def test_without_a_background_the_leading_tissues_are_explained(model, reference):
    tissues = reference.tissue_names
    run = explained(model, tissues, *spiked(model, tissues, 0.2))
    calls = run.results[0].explanation["calls"]
    assert [call["tissue"] for call in calls[:2]] == ["Blood", "Liver"] and len(calls) <= 4


def test_a_model_without_least_squares_gets_a_note(reference):
    made = build_model(tiny_arm("sparse"), torch.rand(8, 600), seed=1)
    results = [SampleResult(Sample("S", "x"), 600, 600, 9.0, predict(made, np.full((1, 600), 0.5)))]
    run = Cohort(reference.tissue_names, 600, results)
    with CountsStore(600) as counts:
        counts.append(np.full((1, 600), 0.5), np.full((1, 600), 9.0))
        explain(run, counts, made, partial(predict, made), REGIONS)
    assert run.notes == ["which regions drive a call is not known: this model has no least squares"]
    assert run.results[0].explanation is None


def test_table_record_and_page_explain(command, counts, tmp_path):
    code, _, output = command("--samples", counts, "--background", "Blood")
    assert code == 0
    table, record = pd.read_csv(output), json.loads(output.with_suffix(".json").read_text())
    assert record["background"] == ["Blood"] and len(record["samples"]) <= MOST_SAMPLES
    of_call = table[(table["tissue"] != "Blood") & (table["proportion"] > 0)]
    assert len(of_call) and of_call["rests_on_few_regions"].notna().all()
    assert table.drop(of_call.index)["rests_on_few_regions"].isna().all()
    for row in of_call.itertuples():
        sample = next(s for s in record["samples"] if s["sample"] == row.sample)
        call = next(c for c in sample["explanation"]["calls"] if c["tissue"] == row.tissue)
        assert call["without_strongest"]["proportion"] == pytest.approx(row.proportion_without_strongest)
        assert call["rests_on_few_regions"] == row.rests_on_few_regions
        assert (
            any("on few regions" in flag and row.tissue in flag for flag in sample["flags"]) == row.rests_on_few_regions
        )
        # Regions are those of the model, whose first is that of the card.
    page = output.with_suffix(".html").read_text()
    assert page.count("<summary>Why ") == len(of_call) and page.count("<summary>Residuals: ") == 10
    assert page.count('class="observed"') == sum(
        len(c["regions"]) for s in record["samples"] for c in s["explanation"]["calls"]
    )
    _, _, output = command("--samples", counts, "--no-explain", output=tmp_path / "bare.csv")
    assert all(s["explanation"] is None for s in json.loads(output.with_suffix(".json").read_text())["samples"])
    assert "<summary>Why " not in output.with_suffix(".html").read_text()
