import logging
from dataclasses import replace

import numpy as np
import pytest
from experiments import tiny_mixtures, tiny_reference

from methmix.evaluation import likelihood
from methmix.evaluation.likelihood import maximum_likelihood
from methmix.nnls import normalise


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    reference = tiny_reference()
    mixtures = tiny_mixtures(reference, "test", tmp_path_factory.mktemp("mixtures"))
    return reference.complete_profiles("train"), mixtures


def test_em_reaches_what_the_em_algorithm_converges_to(data):
    """The updates of CelFiE with a fixed reference, many times, from a uniform start."""
    profiles, mixtures = data
    found = normalise(maximum_likelihood(profiles, mixtures))
    assert np.allclose(found.sum(axis=1), 1)
    profiles = profiles.clip(1e-3, 1 - 1e-3)
    for row in range(5):
        depth = mixtures.depth[row].astype(float)
        methylated = np.nan_to_num(mixtures.methylation[row]).astype(float) * depth
        x = np.full(len(profiles), 1 / len(profiles))
        for _ in range(20_000):
            chance = x @ profiles
            x = x * (profiles @ (methylated / chance) + (1 - profiles) @ ((depth - methylated) / (1 - chance)))
            x /= x.sum()
        assert np.allclose(found[row], x, atol=2e-4)


def test_mixtures_with_profiles_of_their_own_in_blocks(data, monkeypatch):
    profiles, mixtures = data
    shared = maximum_likelihood(profiles, mixtures)
    sizes = []

    def own(rows):
        sizes.append(rows.stop - rows.start)
        return np.repeat(profiles[None], sizes[-1], axis=0)

    monkeypatch.setattr(likelihood, "_MOST_ENTRIES", 7 * profiles.size)
    assert maximum_likelihood(own, mixtures) == pytest.approx(shared, abs=1e-4)
    assert max(sizes) == 7 and sum(sizes) == len(mixtures)


def test_em_of_a_mixture_without_reads_is_nothing(data):
    profiles, mixtures = data
    nothing = replace(
        mixtures, methylation=np.full_like(mixtures.methylation[:], np.nan), depth=np.zeros_like(mixtures.depth[:])
    )
    assert np.isfinite(maximum_likelihood(profiles, nothing)).all()


def test_an_end_at_the_iteration_limit_is_logged_once(data, caplog, monkeypatch):
    profiles, mixtures = data
    caplog.set_level(logging.WARNING, logger="methmix")
    whole = maximum_likelihood(profiles, mixtures)
    assert not caplog.records
    monkeypatch.setattr(likelihood, "_MOST_STEPS", 1)
    monkeypatch.setattr(likelihood, "_BLOCK", 20)
    early = maximum_likelihood(profiles, mixtures)
    (record,) = caplog.records
    moved = (np.abs(early - whole).max(axis=1) > 1e-3).sum()
    number = int(record.getMessage().split(": ")[1].split(" of ")[0])
    assert moved <= number <= len(mixtures) and number > 0
    assert f"{number} of {len(mixtures)} mixtures did not converge within 1 Newton steps" in record.getMessage()
