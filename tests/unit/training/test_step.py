"""One optimiser step, eager and captured. What a graph does is imitated on the CPU; on a GPU it is also done."""

import copy
from contextlib import contextmanager, nullcontext

import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference

from methmix import seeds
from methmix.errors import RunError
from methmix.models.losses import TOTAL
from methmix.training import loop, step
from methmix.training.loop import Trainer
from methmix.training.step import CapturedStep, TrainingStep, learning_rate

ARMS = ["original", "sparse", "sparse on the reference"]
N_STEPS = 6
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    return tiny_mixtures(tiny_reference(), "validation", tmp_path_factory.mktemp("mixtures"))


@pytest.fixture
def trainer(validation, tmp_path):
    def make(arm, device="cpu", folder="run", **overrides):
        if arm.endswith(" on the reference"):
            arm, overrides = arm.split()[0], {"model.backbone": "reference", **overrides}
        settings = tiny_arm(arm, **{"model.dropout": 0.3, **overrides})
        data = tiny_reference(), validation, tmp_path / folder
        return Trainer(settings, tiny_experiment(), *data, torch.device(device))

    return make


def trained(run, n_steps=N_STEPS):
    for number in range(n_steps):
        run.train_step(number, run.batches.batch(number))
    return {name: tensor.cpu() for name, tensor in run.model.state_dict().items()}


def single_precision(*arguments):
    """Compute the learning rate as a graph has it."""
    return torch.tensor(learning_rate(*arguments)).item()


def in_one_piece(run, rate=learning_rate):
    """Train as one would write it down, without anything of `methmix.training.step`."""
    run.model.train()
    settings, sums = run.arm.training, {}
    for number in range(N_STEPS):
        batch = run.batches.batch(number)
        for group in run.optimiser.param_groups:
            group["lr"] = rate(number, settings.total_steps, settings.learning_rate, settings.warmup_fraction)
        torch.manual_seed(seeds.integer(run.experiment.seed, "dropout", run.arm.phase, number))
        run.optimiser.zero_grad()
        parts = run.model.loss(batch.methylation, batch.proportions, batch.depth, batch.profiles)
        parts[TOTAL].backward()
        run.optimiser.step()
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + part.item()
    return run.model.state_dict(), sums


def assert_close(first, second, rtol, atol):
    assert first.keys() == second.keys()
    # A bias of all logits of a softmax has no effect, so that its gradient is rounding, which Adam makes large.
    for name in first.keys() - {"head.readout.bias"}:
        torch.testing.assert_close(first[name], second[name], rtol=rtol, atol=atol, msg=name)


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("arm", ARMS)
def test_a_step_is_a_step_written_down_plainly(trainer, arm):
    expected, sums = in_one_piece(trainer(arm))
    run = trainer(arm)
    assert_equal(trained(run), expected)
    assert type(run._step) is TrainingStep
    assert run._step.take_sums() == pytest.approx(sums, rel=1e-12)
    assert set(run._step.take_sums().values()) == {0.0}


def test_sums_go_on_from_those_of_an_interrupted_epoch(trainer):
    run = trainer("original")
    run.state.epoch_sums = {TOTAL: 5.0}
    trained(run, 1)
    sums, alone = run._step.take_sums(), trainer("original")
    trained(alone, 1)
    assert sums[TOTAL] == pytest.approx(5 + alone._step.take_sums()[TOTAL])


class Imitation:
    """A graph on the CPU: what is done in a capture is undone, and done when it is replayed."""

    def __init__(self):
        self.captures = self.replays = 0

    def watch(self, of):
        self.of = of

    @contextmanager
    def capture(self, graph, stream, capture_error_mode):
        assert graph is self and stream is self.of._stream and capture_error_mode == "thread_local"
        assert all(parameter.grad is None for parameter in self.of._model.parameters())
        self.captures += 1
        model, optimiser = self.of._model, self.of._optimiser
        before = copy.deepcopy((model.state_dict(), optimiser.state_dict(), self.of._sums, torch.get_rng_state()))
        yield
        model.load_state_dict(before[0])
        groups = [dict(group) for group in optimiser.param_groups]
        optimiser.load_state_dict(before[1])
        for group, captured in zip(optimiser.param_groups, groups, strict=True):
            group |= captured
        self.of._sums.copy_(before[2])
        torch.set_rng_state(before[3])

    def replay(self):
        self.replays += 1
        self.of._on_inputs()


@pytest.fixture
def imitation(monkeypatch):
    """Make steps captured ones, on the CPU."""
    graph = Imitation()

    class Stream:
        def wait_stream(self, other):
            assert isinstance(other, Stream)

    def captured(*arguments):
        made = CapturedStep(*arguments)
        graph.watch(made)
        return made

    monkeypatch.setattr(loop, "training_step", captured)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
    monkeypatch.setattr(torch.cuda, "graph", graph.capture)
    return graph


@pytest.mark.parametrize("arm", ARMS)
def test_a_captured_step_replays_the_eager_one(trainer, imitation, arm):
    """The batch, the learning rate and the seed of dropout are those of each step, not those of the capture."""
    expected, sums = in_one_piece(trainer(arm), single_precision)
    run = trainer(arm)
    assert_equal(trained(run), expected)
    assert (imitation.captures, imitation.replays) == (1, N_STEPS - step._EAGER)
    assert run._step.take_sums() == pytest.approx(sums, rel=1e-12)
    # What a checkpoint has of the optimiser is as without a graph.
    (group,) = run.optimiser.state_dict()["param_groups"]
    settings = run.arm.training
    last = learning_rate(N_STEPS - 1, settings.total_steps, settings.learning_rate, settings.warmup_fraction)
    assert group["lr"] == last and group["capturable"] is False


def test_a_step_that_cannot_be_captured_says_how_to_do_without(trainer, imitation, monkeypatch):
    @contextmanager
    def refused(*_, **__):
        raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be ...")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refused)
    with pytest.raises(RunError, match=r"capturing\n  METHMIX_CUDA_GRAPHS=0 does without"):
        trained(trainer("original"))


def test_batches_of_another_size_do_not_fit_a_graph(trainer, imitation):
    run = trainer("original")
    trained(run)
    batch = run.batches.batch(0, slice(0, 7))
    with pytest.raises(RuntimeError, match="size"):
        run.train_step(0, batch)


@pytest.mark.parametrize(
    ("device", "n_ranks", "asked", "form"),
    [
        ("cuda", 1, None, "CapturedStep"),
        ("cuda", 1, "0", "TrainingStep"),
        ("cuda", 2, None, "TrainingStep"),
        ("cpu", 1, None, "TrainingStep"),
    ],
)
def test_which_steps_are_captured(monkeypatch, device, n_ranks, asked, form):
    for name in ("CapturedStep", "TrainingStep"):
        monkeypatch.setattr(step, name, lambda *arguments, name=name: name)
    monkeypatch.delenv("METHMIX_CUDA_GRAPHS", raising=False)
    if asked is not None:
        monkeypatch.setenv("METHMIX_CUDA_GRAPHS", asked)
    ranks = loop.Ranks(0, n_ranks, 0)
    assert step.training_step(None, None, None, None, ranks, torch.device(device), {}, 0) == form


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("arm", ARMS)
def test_a_graph_gives_the_weights_of_eager_steps(trainer, monkeypatch, arm):
    monkeypatch.setattr(loop, "learning_rate", single_precision)
    captured = trainer(arm, "cuda")
    found = trained(captured)
    assert type(captured._step) is CapturedStep and captured._step._graph is not None
    monkeypatch.setenv("METHMIX_CUDA_GRAPHS", "0")
    eager = trainer(arm, "cuda")
    expected = trained(eager)
    assert type(eager._step) is TrainingStep
    assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert captured._step.take_sums() == pytest.approx(eager._step.take_sums(), rel=1e-3)


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("arm", ARMS)
def test_a_graph_draws_the_dropout_of_each_step_again(trainer, arm):
    """As when a training is resumed: the steps before the capture are others then."""
    whole, part = trainer(arm, "cuda"), trainer(arm, "cuda")
    for number in range(10):
        whole.train_step(number, whole.batches.batch(number))
        if number == 4:
            part.model.load_state_dict(whole.model.state_dict())
            part.optimiser.load_state_dict(copy.deepcopy(whole.optimiser.state_dict()))
        if number > 4:
            part.train_step(number, part.batches.batch(number))
    assert_close(part.model.state_dict(), whole.model.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@on_gpu
@pytest.mark.filterwarnings("always::UserWarning")
@pytest.mark.parametrize(("arm", "most"), [("original", 0), ("sparse", 0), ("sparse on the reference", 8)])
def test_a_step_hardly_waits_for_the_gpu(trainer, arm, most, recwarn):
    """Least squares wait for the end of each of their non-negative problems and for their eigenvectors."""
    run = trainer(arm, "cuda")
    trained(run)
    batch = run.batches.batch(0)
    torch.cuda.synchronize()
    recwarn.clear()
    torch.cuda.set_sync_debug_mode("warn" if most else "error")
    try:
        run.train_step(0, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([warning for warning in recwarn if "called a synchronizing" in str(warning.message)]) <= most
