"""GPUs: what is said of those that are missing or too small, and what is sent to them. Most of it runs without one."""

import warnings

import numpy as np
import pytest
import torch

from methmix import devices
from methmix.devices import DeviceRows, inverted, memory_explained, sent, solved, why_no_gpu
from methmix.errors import RunError

CPU = torch.device("cpu")
OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx "
    "(Triggered internally at CUDAFunctions.cpp:109.)"
)
OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.44 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.02 GiB is "
    "free. Including non-PyTorch memory, this process has 78.07 GiB memory in use."
)


def test_a_driver_that_is_too_old_is_named(monkeypatch):
    def unavailable():
        warnings.warn(OLD_DRIVER, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert why_no_gpu() == "The NVIDIA driver on your system is too old (found version 11040)"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert why_no_gpu() == f"torch {torch.__version__} sees none"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert why_no_gpu() == f"torch {torch.__version__} is built for the CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert why_no_gpu() == ""


def test_memory_that_does_not_suffice_is_explained():
    with pytest.raises(RunError) as error, memory_explained("take less"):
        raise torch.cuda.OutOfMemoryError(OUT_OF_MEMORY)
    expected = "the memory of the GPU does not suffice: 2.44 GiB more are needed, 1.02 GiB of 79.10 GiB are free"
    assert str(error.value) == f"{expected}\n  take less"
    with pytest.raises(RunError, match=r"does not suffice\n"), memory_explained("take less"):
        raise RuntimeError("CUDA error: out of memory")
    with pytest.raises(RuntimeError, match="something else"), memory_explained("take less"):
        raise RuntimeError("something else")


@pytest.mark.parametrize("stays", [False, True])
def test_rows_of_a_table_are_the_same_wherever_they_are_kept(monkeypatch, stays):
    asked = []
    monkeypatch.setattr(devices, "has_room", lambda device, size: asked.append(size) or stays)
    table = np.arange(12).reshape(6, 2)
    rows = DeviceRows(table, [5, 1, 4], CPU)
    # Only those that are named, in single precision.
    assert asked == [4 * 3 * 2]
    if stays:
        table[:] = -1
    assert torch.equal(rows[[4, 5, 4]], torch.tensor([[8.0, 9], [10, 11], [8, 9]]))
    assert rows[[]].shape == (0, 2)


def test_a_singular_matrix_is_an_error():
    matrices = torch.eye(2).expand(3, 2, 2).clone()
    assert torch.equal(solved(2 * matrices, torch.ones(3, 2)), torch.full((3, 2), 0.5))
    assert torch.equal(inverted(2 * matrices), matrices / 2)
    matrices[1] = 0
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        solved(matrices, torch.ones(3, 2))
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        inverted(matrices)


def test_on_the_cpu_nothing_is_copied():
    values = np.zeros(3)
    assert sent(values, CPU).data_ptr() == torch.from_numpy(values).data_ptr()
    assert sent([2, 0], CPU).tolist() == [2, 0] and sent([], CPU).dtype == torch.int64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_nothing_waits_for_a_gpu():
    device = torch.device("cuda")
    table = np.arange(12.0).reshape(6, 2)
    rows = DeviceRows(table, [5, 1, 4], device)
    matrices = torch.eye(22, dtype=torch.float64, device=device).expand(125, 22, 22).clone()
    right_sides = torch.ones(125, 22, dtype=torch.float64, device=device)
    solved(matrices, right_sides)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = sent(table, device), rows[[4, 5]], rows[[]], solved(matrices, right_sides), inverted(matrices)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert found[0].cpu().numpy() == pytest.approx(table) and found[1].tolist() == [[8, 9], [10, 11]]
    assert found[2].shape == (0, 2) and torch.equal(found[3], right_sides) and torch.equal(found[4], matrices)
