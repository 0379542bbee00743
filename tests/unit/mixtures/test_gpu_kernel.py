"""The kernels for a GPU: under Triton's interpreter they draw what the loops on a CPU draw."""

import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import methmix
from methmix.devices import staged
from methmix.mixtures import gpu
from methmix.mixtures.drawn_donors import DonorPlan, _in_tensors, draw_donors
from methmix.mixtures.reads import draw_mixtures, in_tensors

pytestmark = pytest.mark.slow

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
MEAN = 7.3


def run(folder, *arguments, **environment):
    """Run the kernels apart."""
    paths = [str(Path(methmix.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "TRITON_CACHE_DIR": str(folder)}
    command = [sys.executable, str(Path(__file__).with_name("run_gpu_kernels.py")), *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def mixtures(rng, n, n_regions, depths):
    """Mixtures of one to four of nine donors with gaps, in regions some of which are never covered."""
    fractions = rng.beta(0.4, 0.4, (9, n_regions)).astype(np.float32)
    fractions[rng.random(fractions.shape) < 0.2] = np.nan
    weights = np.zeros((n, 9), dtype=np.float32)
    for number, row in enumerate(weights):
        row[rng.choice(9, 1 + number % 4, replace=False)] = rng.dirichlet(np.ones(1 + number % 4))
    coverage = rng.gamma(4, 0.25, n_regions).astype(np.float32)
    coverage[rng.random(n_regions) < 0.02] = 0
    return {
        "weights": weights,
        "fractions": fractions,
        "mean_depth": rng.choice(depths, n),
        "coverage": coverage,
        "seeds": rng.integers(2**64, size=n, dtype=np.uint64),
    }


def poisson(n, n_regions):
    return {
        "weights": np.ones((n, 1), dtype=np.float32),
        "fractions": np.full((1, n_regions), 0.3, dtype=np.float32),
        "mean_depth": np.full(n, MEAN / 0.3),
        "coverage": np.ones(n_regions, dtype=np.float32),
        "seeds": np.arange(n, dtype=np.uint64),
    }


def of_cpu(case):
    fractions, coverage = (torch.from_numpy(case[part]) for part in ("fractions", "coverage"))
    return torch.stack(draw_mixtures(case["weights"], fractions, case["mean_depth"], coverage, case["seeds"]))


def donors(case, device="cpu", foreign=None):
    """The donors of a case, by default pure."""
    profiles = [torch.from_numpy(case[part]).to(device) for part in ("mean", "variance")]
    n, n_tissues = len(case["tissue"]), len(case["mean"])
    foreign = np.zeros((n, n_tissues), dtype=np.float32) if foreign is None else foreign
    plan = DonorPlan(case["tissue"], case["size"], foreign, case["seeds"])
    new = torch.empty(n, case["mean"].shape[1], device=device)
    draw_donors(*profiles, plan, new)
    return new


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(20260102)
    return {
        # Depths on both sides of that from which counts are not of a table; regions that fill no block.
        "odd": mixtures(rng, 12, 1301, [0.0, 2.0, 30.0, 70.0]),
        "deep": mixtures(rng, 4, 512, [2000.0]),
        "one": mixtures(rng, 5, 1, [30.0]),
        "none": mixtures(rng, 0, 600, [30.0]),
        "counts": poisson(10, 1024),
        "donors": {
            "mean": rng.beta(0.4, 0.4, (3, 700)).astype(np.float32),
            "variance": rng.gamma(2, 0.001, (3, 700)).astype(np.float32),
            "tissue": rng.integers(3, size=8),
            "size": rng.lognormal(0, 0.2, 8).astype(np.float32),
            "seeds": rng.integers(2**64, size=8, dtype=np.uint64),
        },
    }


@pytest.fixture(scope="module")
def drawn(cases, tmp_path_factory):
    """What the kernels draw."""
    path = tmp_path_factory.mktemp("kernels") / "cases.npz"
    np.savez(path, **{f"{name}-{part}": values for name, case in cases.items() for part, values in case.items()})
    run(path.parent, "draw", str(path), TRITON_INTERPRET="1")
    return dict(np.load(path))


@needs_triton
@pytest.mark.parametrize("name", ["odd", "deep", "one", "none"])
def test_reads_are_those_of_the_loops(name, cases, drawn):
    expected = of_cpu(cases[name]).numpy()
    assert drawn[name].shape == expected.shape
    assert np.array_equal(drawn[name], expected, equal_nan=True)


@needs_triton
def test_the_cases_have_what_may_differ(drawn):
    methylation, depth = drawn["odd"]
    assert 0.05 < np.isnan(methylation).mean() < 0.6 and np.array_equal(np.isnan(methylation), depth == 0)
    few, many = ((depth > 0) & (depth < 30)).mean(), (depth > 60).mean()
    assert few > 0.1 and many > 0.1 and drawn["deep"][1].max() > 2000


@needs_triton
def test_counts_of_the_kernel_are_poisson(drawn):
    methylation, depth = drawn["counts"]
    counts = np.round(np.nan_to_num(methylation) * depth).astype(int).ravel()
    assert counts.mean() == pytest.approx(MEAN, abs=4 * np.sqrt(MEAN / counts.size))
    assert counts.var() == pytest.approx(MEAN, rel=0.05)
    seen = np.bincount(counts) / counts.size
    assert np.abs(seen - stats.poisson(MEAN).pmf(np.arange(len(seen)))).sum() / 2 < 0.03


@needs_triton
def test_drawn_donors_are_those_of_a_cpu(cases, drawn):
    case = cases["donors"]
    expected = donors(case).numpy()
    assert drawn["donors"] == pytest.approx(expected, abs=1e-6)
    assert np.abs(expected - case["mean"][case["tissue"]]).mean() > 0.01


def test_drawn_donors_of_loops_are_those_of_tensors(cases):
    """Also far out, where a deviation leaves nothing of a methylation or of its complement."""
    case = dict(cases["donors"])
    for size in (1, 30, 3000):
        case["size"] = np.full(8, size, dtype=np.float32)
        expected = torch.empty(8, 700)
        profiles = [torch.from_numpy(case[part]) for part in ("mean", "variance")]
        pure = DonorPlan(case["tissue"], case["size"], np.zeros((8, 3), dtype=np.float32), case["seeds"])
        _in_tensors(*profiles, pure, expected)
        assert donors(case).numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_a_drawn_donor_holds_what_is_foreign(cases):
    case = cases["donors"]
    foreign = np.random.default_rng(2).dirichlet(np.ones(4), 8)[:, :3].astype(np.float32)
    foreign[3], foreign[4, 1] = 0, 0
    pure = 1 - foreign.sum(axis=1, keepdims=True)
    expected = pure * donors(case).numpy() + foreign @ case["mean"]
    assert donors(case, foreign=foreign).numpy() == pytest.approx(expected, abs=1e-6)


@needs_triton
def test_kernels_compile_for_a_gpu_with_the_roundings_of_a_cpu(tmp_path):
    """What the interpreter does not show: types, and products that are fused with sums."""
    run(tmp_path, "compile", str(tmp_path))
    for capability in (80, 90):
        reads, donors = ((tmp_path / f"_{name}_{capability}.ptx").read_text() for name in ("draw", "deviate"))
        assert f".target sm_{capability}" in reads and "st.global" in donors
        assert not re.findall(r"fma\.rn|\.approx|div\.full", reads)
        assert "div.rn.f32" in reads and "sqrt.rn.f32" in reads
        # Right shifts of a hash fill with zeros.
        assert "shr.u64" in reads and "shr.s64" not in reads + donors


def test_without_a_device_that_runs_kernels_there_is_a_warning_and_no_error(caplog, monkeypatch):
    monkeypatch.setattr("torch.ones", lambda *_, **__: pytest.fail("no kernel can be tried without Triton"))
    gpu.kernels.cache_clear()
    monkeypatch.setitem(sys.modules, "methmix.mixtures.gpu_kernel", None)
    monkeypatch.delattr("methmix.mixtures.gpu_kernel", raising=False)
    with caplog.at_level(logging.WARNING, "methmix"):
        assert gpu.kernels(torch.device("cpu")) is None
        assert gpu.kernels(torch.device("cpu")) is None
    gpu.kernels.cache_clear()
    assert len(caplog.records) == 1 and "without Triton" in caplog.text


@pytest.mark.parametrize("found", [True, False])
def test_another_device_than_a_cpu_has_kernels_or_tensors(found, cases, monkeypatch):
    """On a device without values, so that only what is called can be seen."""
    launched = []
    kernels = SimpleNamespace(draw=lambda *inputs: launched.append(inputs), deviate=lambda *i: launched.append(i))
    monkeypatch.setattr(gpu, "kernels", lambda _: kernels if found else None)
    case = cases["odd"]
    there = torch.device("meta")
    fractions, coverage = (torch.from_numpy(case[part]).to(there) for part in ("fractions", "coverage"))
    observed, depth = draw_mixtures(case["weights"], fractions, case["mean_depth"], coverage, case["seeds"])
    new = donors(cases["donors"], there)
    assert observed.shape == depth.shape == (12, 1301) and new.shape == (8, 700)
    assert {tensor.device.type for tensor in (observed, depth, new)} == {"meta"}
    assert [launch[-1] is tensor for launch, tensor in zip(launched, (depth, new), strict=found)] == [True] * 2 * found


def test_arrays_arrive_as_they_are():
    arrays = [
        np.arange(5, dtype=np.int32),
        np.array([-(2**62) - 1, 3]),
        np.empty((0, 3), dtype=np.float32),
        np.linspace(0, 1, 7, dtype=np.float32).reshape(7, 1)[::2],
    ]
    there = staged(torch.device("cpu"), *arrays)
    for tensor, array in zip(there, arrays, strict=True):
        assert tensor.numpy().dtype == array.dtype and np.array_equal(tensor.numpy(), array)
    assert {tensor.storage_offset() * tensor.element_size() % 16 for tensor in there} == {0}
    assert len({tensor.untyped_storage().data_ptr() for tensor in there}) == 1


@pytest.fixture
def cuda():
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    device = torch.device("cuda", 0)
    if gpu.kernels(device) is None:
        pytest.skip("Triton does not run on this GPU")
    return device


def on(device, case):
    fractions, coverage = (torch.from_numpy(case[part]).to(device) for part in ("fractions", "coverage"))
    return case["weights"], fractions, case["mean_depth"], coverage, case["seeds"]


@pytest.mark.gpu
def test_on_a_gpu_reads_are_those_of_a_cpu_and_nobody_waits(cases, cuda):
    for name in ("odd", "deep", "one", "none"):
        inputs = on(cuda, cases[name])
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = torch.stack(draw_mixtures(*inputs))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(found.cpu().nan_to_num(-1), of_cpu(cases[name]).nan_to_num(-1))
        others = torch.stack(in_tensors(*inputs)).cpu()[1]
        assert (others != found.cpu()[1]).sum() <= 1e-3 * others.numel()


@pytest.mark.gpu
def test_on_a_gpu_drawn_donors_are_those_of_a_cpu(cases, cuda):
    case = cases["donors"]
    foreign = np.random.default_rng(2).dirichlet(np.ones(4), 8)[:, :3].astype(np.float32)
    assert torch.allclose(donors(case, cuda, foreign).cpu(), donors(case, foreign=foreign), rtol=0, atol=1e-5)
