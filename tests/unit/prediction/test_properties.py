"""What holds for any sample: proportions are proportions, and names decide what is meant, not positions."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiments import counts_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from methmix.config.sources import CountsReference
from methmix.formats.bed import cpg_regions, read_bed
from methmix.formats.region_tables import read_atlas
from methmix.formats.regions import RegionSet
from methmix.models.prediction import predict
from methmix.prediction.deconvolve import predict_samples
from methmix.prediction.restrictions import excluded_regions
from methmix.reference.donors import read_donor_sheet, read_table_donors
from methmix.samples.sample_sheet import read_sheet
from methmix.training.checkpoint import load_model

FEW = settings(
    max_examples=8, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
SEEDS = st.integers(0, 2**31)
# Sums over regions are in single precision, and their order depends on the number of samples and on that of regions.
# The equations of similar tissues enlarge that rounding; a proportion is known to 0.005 at best.
ROUNDING = 5e-4
# Presence threshold of the model, and how much rounding moves a probability there.
THRESHOLD, AT_THRESHOLD = 0.7, 5e-3


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_model(checkpoint)


@pytest.fixture(scope="module")
def table(reference, plasma, tmp_path_factory):
    return pd.read_csv(counts_table(reference, plasma, tmp_path_factory.mktemp("table") / "t.tsv"), sep="\t")


@pytest.fixture(scope="module")
def expected(loaded, table, tmp_path_factory):
    return predicted(loaded, write(table, tmp_path_factory.mktemp("expected") / "t.tsv"))


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, sep="\t", index=False)
    return path


def predicted(loaded, path, sheet=None):
    """Predict a file, or the files of a sheet; the prediction of each sample by its name."""
    names = ("presence_threshold", "background", "control_group", "one_depth", "exclude_regions", "tissues")
    options = Namespace(unknown=False, explain=False, pseudo_depth=30, **dict.fromkeys(names))
    cohort = predict_samples(*loaded, [path], sheet, options)
    return {result.sample.name: result.prediction for result in cohort.results}


def assert_same(found, expected, names=None):
    assert found.keys() == (names or expected.keys())
    n_doubtful = 0
    for name, prediction in found.items():
        probability = prediction.presence_probability
        np.testing.assert_allclose(probability, expected[name].presence_probability, rtol=0, atol=AT_THRESHOLD)
        # A tissue right at the threshold may be called or not, and takes its proportion from the others.
        if np.abs(probability - THRESHOLD).min() < AT_THRESHOLD:
            n_doubtful += 1
        else:
            np.testing.assert_allclose(prediction.proportions, expected[name].proportions, rtol=0, atol=ROUNDING)
    assert n_doubtful <= 1


@st.composite
def any_samples(draw):
    """Methylation and depth of samples as they come, and as they should not come."""
    rng = np.random.default_rng(draw(SEEDS))
    n, n_regions = draw(st.integers(1, 4)), 600
    most = draw(st.sampled_from([1, 30, 3000, 100_000_000]))
    seen = draw(st.sampled_from([1.0, 0.5, 0.02, 1 / 600]))
    depth = rng.integers(0, most + 1, (n, n_regions)) * (rng.random((n, n_regions)) < seen)
    level = draw(st.sampled_from(["random", "none", "all", "half", "extreme"]))
    levels = {
        "random": rng.random(n_regions),
        "none": 0.0,
        "all": 1.0,
        "half": 0.5,
        "extreme": rng.random(n_regions) < 0.5,
    }
    methylated = rng.binomial(depth, np.broadcast_to(levels[level], depth.shape).astype(float))
    with np.errstate(invalid="ignore"):
        return (methylated / depth).astype(np.float32), depth.astype(np.float32)


@settings(FEW, max_examples=40)
@given(samples=any_samples())
def test_proportions_are_not_negative_and_sum_to_1(loaded, samples):
    found = predict(loaded[0], *samples)
    assert np.isfinite(found.proportions).all() and (found.proportions >= 0).all()
    np.testing.assert_allclose(found.proportions.sum(axis=1), 1, atol=1e-6)
    for bound in (found.presence_probability, found.low, found.high):
        assert ((bound >= 0) & (bound <= 1)).all()
    assert (found.low <= found.proportions).all() and (found.proportions <= found.high).all()


@FEW
@given(seed=SEEDS)
def test_the_order_of_samples_regions_and_columns_decides_nothing(loaded, table, expected, tmp_path, seed):
    rng = np.random.default_rng(seed)
    mixed = table.iloc[rng.permutation(len(table)), rng.permutation(table.shape[1])]
    assert_same(predicted(loaded, write(mixed, tmp_path / "m.tsv")), expected)


@FEW
@given(chosen=st.sets(st.integers(0, 9), min_size=1, max_size=9))
def test_a_sample_alone_or_among_others_has_the_same_answer(loaded, table, expected, tmp_path, chosen):
    names = [f"S{row}" for row in sorted(chosen)]
    columns = ["CHROM", "START", "END", *(f"{name}_{what}" for name in names for what in ("METH", "DEPTH"))]
    assert_same(predicted(loaded, write(table[columns], tmp_path / "c.tsv")), expected, set(names))


@FEW
@given(one=st.integers(0, 9), n=st.integers(1, 200))
def test_duplicated_samples_have_equal_answers(loaded, plasma, one, n):
    methylation = np.concatenate([plasma.methylation.numpy(), np.repeat(plasma.methylation.numpy()[[one]], n, axis=0)])
    depth = np.concatenate([plasma.depth.numpy(), np.repeat(plasma.depth.numpy()[[one]], n, axis=0)])
    found = predict(loaded[0], methylation, depth).proportions
    np.testing.assert_allclose(found[10:], np.repeat(found[[one]], n, axis=0), rtol=0, atol=ROUNDING)
    assert len(np.unique(found[10:] > 0, axis=0)) == 1


@FEW
@given(k=st.sampled_from([2, 3, 10, 100, 1000]))
def test_more_depth_of_the_same_reads_keeps_estimates_within_their_errors(loaded, plasma, k):
    methylation, depth = plasma.methylation.numpy(), plasma.depth.numpy().astype(np.float32)
    once, deeper = predict(loaded[0], methylation, depth), predict(loaded[0], methylation, k * depth)
    inside = (deeper.proportions >= once.low - ROUNDING) & (deeper.proportions <= once.high + ROUNDING)
    assert inside.mean() > 0.95
    moved = np.abs(deeper.proportions - once.proportions).max(axis=1)
    # With more depth, a tissue may be called that was not, and takes its proportion from the others.
    alike = ((deeper.proportions > 0) == (once.proportions > 0)).all(axis=1)
    assert moved[alike].max(initial=0) < 0.05 and moved.max() < 0.06


@FEW
@given(seed=SEEDS)
def test_names_of_a_sheet_decide(loaded, table, expected, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = write(table, tmp_path / "s.tsv")
    rows = [{"sample": f"p{row}", "file": path, "name_in_file": f"S{row}"} for row in rng.permutation(10)]
    sheet = pd.DataFrame(rows)[rng.permutation(["sample", "file", "name_in_file"])]
    found = predicted(loaded, path, read_sheet(write(sheet, tmp_path / "sheet.tsv")))
    assert list(found) == sheet["sample"].tolist()
    assert_same({f"S{name[1:]}": values for name, values in found.items()}, expected)


@FEW
@given(seed=SEEDS)
def test_donors_tissues_and_regions_are_matched_by_name(table, tmp_path, seed):
    rng = np.random.default_rng(seed)
    sheet = pd.DataFrame({"donor": [f"S{row}" for row in range(10)], "tissue": list("AABBCCDDEE"), "split": "train"})

    def read(counts, sheet):
        given = {"file": write(counts, tmp_path / "c.tsv"), "sample_sheet": write(sheet, tmp_path / "s.tsv")}
        settings = CountsReference(source="counts", genome="hg38", **{name: str(path) for name, path in given.items()})
        donors = read_table_donors(settings)
        place = pd.MultiIndex.from_frame(donors.regions[["chrom", "start"]])
        depth = pd.DataFrame(donors.depth.T, index=place, columns=donors.names)
        return depth.sort_index().sort_index(axis=1), dict(zip(donors.names, donors.tissues, strict=True))

    mixed = table.iloc[rng.permutation(len(table)), rng.permutation(table.shape[1])]
    other = sheet.iloc[rng.permutation(10), rng.permutation(3)]
    (depth, tissues), (again, also) = read(table, sheet), read(mixed, other)
    pd.testing.assert_frame_equal(depth, again)
    assert tissues == also
    by_donor = read_donor_sheet(write(other, tmp_path / "s.tsv")).set_index("donor")["split"]
    assert (by_donor == "train").all() and set(by_donor.index) == set(sheet["donor"])


@FEW
@given(seed=SEEDS)
def test_rows_of_regions_and_columns_of_atlases_are_matched_by_name(tmp_path, seed):
    rng = np.random.default_rng(seed)
    start = 1000 * np.arange(20)
    bed = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 90, "a": start + 1, "b": start + 9})
    regions = RegionSet(["chr1"] * 20, start, start + 90, "hg38", None, None, "cpg")
    order = rng.permutation(20)

    def read(rows):
        path = tmp_path / "r.bed"
        rows.to_csv(path, sep="\t", index=False, header=False)
        found = cpg_regions(regions, path)
        own = read_bed(path, cpg_indices=True).sort_values("start").reset_index(drop=True)
        rows[:5].sort_index().to_csv(path, sep="\t", index=False, header=False)
        return found.start.tolist(), found.end.tolist(), own.to_numpy().tolist(), excluded_regions(path, regions).sum()

    assert read(bed) == read(bed.iloc[order])
    atlas = bed.set_axis(["chr", "start", "end", "startCpG", "endCpG"], axis=1)
    atlas = atlas.assign(target="x", name="y", direction=rng.choice(["U", "M"], 20))
    atlas = atlas.assign(**{name: rng.random(20).round(3) for name in ("Blood", "Liver", "Colon")})
    mixed = atlas.iloc[order, rng.permutation(atlas.shape[1])]
    means = []
    for content in (atlas, mixed):
        counts = read_atlas(write(content, tmp_path / "a.tsv"))
        of_tissues = pd.DataFrame(counts.all()[0].T, index=counts.regions["start"], columns=counts.names)
        means.append(of_tissues.sort_index().sort_index(axis=1))
    pd.testing.assert_frame_equal(*means)
