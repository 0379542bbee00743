"""A batch divided over processes trains as one process does on the whole."""

import multiprocessing
import os
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from experiments import tiny_arm
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from methmix.errors import InputError
from methmix.models.backbone import BatchNorm1d, Dropout
from methmix.models.ranks import Shard, current_shard, part_of_mean, shard, sharing, total
from methmix.models.registry import build_model

pytestmark = pytest.mark.slow

N_TISSUES, N_REGIONS, N_STEPS = 5, 30, 4
N_RANKS = (2, 3)
# Divides by neither number of processes.
WHOLE = 25
ARMS = ("original", "sparse")
# Rounding, which steps amplify; without `sharing` the models differ by far more, as a test shows.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def batch(step: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixtures of two tissues, some with traces of the others, with missing values."""
    random = torch.Generator().manual_seed(step)
    true = torch.zeros(WHOLE, N_TISSUES, dtype=dtype)
    rows = torch.arange(WHOLE)
    true[rows, rows % N_TISSUES] = 0.7
    true[rows, (rows + step + 1) % N_TISSUES] = 0.3
    # Traces, which carry no presence loss, are all in the first rows: its normaliser differs between the ranks.
    true[:6] *= 0.995
    true[:6][true[:6] == 0] = 0.005 / 3
    methylation = torch.rand(WHOLE, N_REGIONS, generator=random, dtype=dtype)
    methylation[torch.rand(WHOLE, N_REGIONS, generator=random) < 0.1] = float("nan")
    return methylation, true


class Loss(nn.Module):
    """What DistributedDataParallel wraps: its forward pass must be the one that the gradient is of."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, methylation: torch.Tensor, true: torch.Tensor) -> Any:
        return self.model.loss(methylation, true)


def train(arm: str, dtype: torch.dtype, rank: int = 0, n_ranks: int = 1, share: bool = True) -> dict[str, Any]:
    """Train for some steps; gives the loss parts of each, [N_STEPS, 4], and the state of the model."""
    profiles = torch.rand(N_TISSUES, N_REGIONS, generator=torch.Generator().manual_seed(1))
    settings = tiny_arm(arm, **{"model.hidden_sizes": [16, 12], "model.dropout": 0.3})
    model = build_model(settings, profiles, seed=3).to(dtype).train()
    loss: nn.Module = Loss(model)
    if n_ranks > 1:
        # Buckets of about one tensor, so that their reductions meet those of the layers.
        loss = DistributedDataParallel(loss, forward_sync_buffers=False, bucket_cap_mb=0.001)
    # Unlike Adam, plain descent notices the scale of a gradient.
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3)
    mine = shard(WHOLE, rank, n_ranks)
    parts = []
    for step in range(N_STEPS):
        methylation, true = batch(step, dtype)
        torch.manual_seed(step)
        optimiser.zero_grad()
        with sharing(mine) if share else nullcontext():
            found = loss(methylation[mine.rows], true[mine.rows])
            # DistributedDataParallel takes the mean of the gradients; shares of a loss want their sum.
            (found["total_loss"] * (n_ranks if share else 1)).backward()
            parts.append(total(torch.stack(list(found.values())).detach()))
        optimiser.step()
    return {"parts": torch.stack(parts), "state": model.state_dict()}


def normalise(layer: nn.Module, rows: slice) -> dict[str, torch.Tensor]:
    """Push rows of one batch through batch normalisation, forward and back."""
    random = torch.Generator().manual_seed(5)
    values, weight = (3 + 2 * torch.randn(2, WHOLE, 6, generator=random, dtype=torch.float64)).unbind()
    layer.double().train()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, 6))
        layer.bias.copy_(torch.linspace(-1, 1, 6))
    values = values[rows].requires_grad_()
    # A second batch shows what momentum makes of the running statistics.
    layer(3 * values.detach())
    found = layer(values)
    (weight[rows] * found.sin()).sum().backward()
    return {
        "found": found.detach(),
        "gradient": values.grad,
        "weight": layer.weight.grad,
        "bias": layer.bias.grad,
        **layer.state_dict(prefix="state."),
    }


def drop(layer: nn.Module, rows: slice) -> list[torch.Tensor]:
    """Drop twice, and draw once more."""
    torch.manual_seed(8)
    values = torch.linspace(1, 2, WHOLE * 7).reshape(WHOLE, 7)[rows]
    return [layer(values), layer(values), torch.rand(3)]


def work(rank: int, folder: str) -> None:
    """Do everything in one of the processes and save it: starting them is what takes time."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    for n_ranks in (n for n in N_RANKS if rank < n):
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meet-{n_ranks}",
            rank=rank,
            world_size=n_ranks,
            timeout=timedelta(seconds=60),
        )
        torch.save(compute(rank, n_ranks), f"{folder}/{rank}-of-{n_ranks}.pt")
        distributed.destroy_process_group()


def compute(rank: int, n_ranks: int) -> dict[str, Any]:
    """Give what a process finds on its shard, by name."""
    mine = shard(WHOLE, rank, n_ranks)
    found: dict[str, Any] = {f"{arm} {dtype}": train(arm, dtype, rank, n_ranks) for arm in ARMS for dtype in TOLERANCE}
    found["not shared"] = train("sparse", torch.float64, rank, n_ranks, share=False)
    with sharing(mine):
        found["normalised"] = normalise(BatchNorm1d(6), mine.rows)
        found["dropped"] = drop(Dropout(0.3), mine.rows)
        number = torch.tensor(float(rank + 1), requires_grad=True)
        summed = total(number)
        (summed * (rank + 1)).backward()
        found["total"] = (summed.item(), number.grad.item(), total(torch.tensor(rank + 1)).item())
        found["number"] = number.item()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Give the folder where the processes have saved what they found."""
    folder = tmp_path_factory.mktemp("ranks")
    # What takes long to import is imported once.
    multiprocessing.set_forkserver_preload(["torch", "methmix.training.loop"])
    torch.multiprocessing.start_processes(work, (str(folder),), nprocs=N_RANKS[-1], start_method="forkserver")
    return folder


@pytest.fixture(params=N_RANKS, ids="{} ranks".format)
def ranks(request, folder) -> list[dict[str, Any]]:
    """Give what each process found."""
    return [torch.load(folder / f"{rank}-of-{request.param}.pt") for rank in range(request.param)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("arm", ARMS)
def test_training_on_shards_is_training_on_the_whole(ranks, arm, dtype):
    expected = train(arm, dtype)
    for found in (rank[f"{arm} {dtype}"] for rank in ranks):
        torch.testing.assert_close(found["parts"], expected["parts"], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        torch.testing.assert_close(found["state"], expected["state"], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("arm", ARMS)
def test_models_of_all_ranks_are_identical(ranks, arm, dtype):
    states = [rank[f"{arm} {dtype}"]["state"] for rank in ranks]
    for state in states[1:]:
        torch.testing.assert_close(state, states[0], rtol=0, atol=0)


def test_training_on_shards_without_sharing_is_another_training(ranks):
    expected, found = train("sparse", torch.float64)["state"], ranks[0]["not shared"]["state"]
    for name in expected:
        # The last two are set by the calibration alone.
        if not name.endswith(("centre", "scale", "num_batches_tracked", "prior", "readout.change")):
            assert (expected[name] - found[name]).abs().max() > 1e-4, name


def test_batch_normalisation_is_that_of_torch_on_the_whole(ranks):
    expected = normalise(nn.BatchNorm1d(6), slice(None))
    found = [rank["normalised"] for rank in ranks]
    for name, value in expected.items():
        if name in ("found", "gradient"):
            torch.testing.assert_close(torch.cat([part[name] for part in found]), value, rtol=1e-12, atol=1e-12)
        elif name in ("weight", "bias"):
            torch.testing.assert_close(sum(part[name] for part in found), value, rtol=1e-12, atol=1e-12)
        else:
            for part in found:
                torch.testing.assert_close(part[name], value, rtol=1e-12, atol=1e-12)


def test_batch_normalisation_by_halves_is_another():
    whole, half = nn.BatchNorm1d(6), nn.BatchNorm1d(6)
    rows = shard(WHOLE, 0, 2).rows
    expected, found = normalise(whole, slice(None)), normalise(half, rows)
    assert (expected["found"][rows] - found["found"]).abs().max() > 1e-2


def test_dropout_masks_and_what_is_drawn_after_are_those_of_one_process(ranks):
    expected = drop(nn.Dropout(0.3), slice(None))
    found = [rank["dropped"] for rank in ranks]
    for k in range(2):
        assert torch.equal(torch.cat([part[k] for part in found]), expected[k])
    assert all(torch.equal(part[2], expected[2]) for part in found)


def test_total_is_the_sum_and_its_gradient_the_sum_of_gradients(ranks):
    expected = sum(range(1, len(ranks) + 1))
    assert [rank["total"] for rank in ranks] == [(expected, expected, expected)] * len(ranks)
    assert [rank["number"] for rank in ranks] == list(range(1, len(ranks) + 1))


@pytest.mark.parametrize("arm", ARMS)
def test_one_process_trains_as_with_the_layers_of_torch(arm, monkeypatch):
    """Also with a shard that is everything, which needs no process group."""
    shared, alone = train(arm, torch.float32), train(arm, torch.float32, share=False)
    monkeypatch.setattr("methmix.models.backbone.BatchNorm1d", nn.BatchNorm1d)
    monkeypatch.setattr("methmix.models.backbone.Dropout", nn.Dropout)
    expected = train(arm, torch.float32, share=False)
    assert list(expected["state"]) == list(alone["state"])
    for found in (shared, alone):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_model_predicts_from_its_running_statistics_also_while_sharing():
    layers = nn.Sequential(BatchNorm1d(4), Dropout(0.3)).eval()
    values = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = layers(values)
    with sharing(shard(9, 0, 2)):
        assert torch.equal(layers(values), expected)


@pytest.mark.parametrize(("whole", "n_ranks"), [(25, 1), (25, 2), (25, 3), (4, 4), (125, 7)])
def test_shards_are_contiguous_and_of_almost_equal_size(whole, n_ranks):
    shards = [shard(whole, rank, n_ranks) for rank in range(n_ranks)]
    assert [row for part in shards for row in range(whole)[part.rows]] == list(range(whole))
    sizes = [part.last - part.first for part in shards]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    assert sum(part.fraction for part in shards) == pytest.approx(1)


def test_too_few_rows_for_the_processes():
    with pytest.raises(InputError, match=r"batch of 3 mixtures .* 4 processes[\s\S]*at most 3 processes"):
        shard(3, 0, 4)


def test_sharing_ends_also_after_an_error():
    part = Shard(0, 2, 5)
    with pytest.raises(ValueError, match="stop"), sharing(part):
        assert current_shard() == part
        assert part_of_mean(torch.tensor(10.0)).item() == pytest.approx(4)
        raise ValueError("stop")
    assert current_shard() is None
    assert part_of_mean(torch.tensor(10.0)).item() == 10
