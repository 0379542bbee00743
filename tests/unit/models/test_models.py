import numpy as np
import pytest
import torch
from experiments import tiny_arm
from torch.nn import functional

from methmix.models.__main__ import check, main
from methmix.models.backbone import Standardise
from methmix.models.losses import presence_loss, relative_mse, sparsity_loss
from methmix.models.original import OriginalModel
from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.models.sparse import SparseModel, share_mass

N_TISSUES, N_REGIONS = 5, 40


@pytest.fixture
def profiles():
    return torch.rand(N_TISSUES, N_REGIONS, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def batch(profiles):
    """Mixtures of two tissues, with missing values."""
    true = torch.zeros(30, N_TISSUES)
    rows = torch.arange(30)
    true[rows, rows % N_TISSUES] = 0.7
    true[rows, (rows + 1) % N_TISSUES] = 0.3
    methylation = true @ profiles
    methylation[:, :4] = float("nan")
    return methylation, true


def test_share_mass_is_a_softmax_over_the_gate_and_exactly_zero_elsewhere():
    logits = torch.tensor([[0.0, 1.0, 5.0]])
    shares = share_mass(logits, torch.tensor([[True, True, False]]))
    expected = torch.softmax(torch.tensor([0.0, 1.0]), dim=0)
    assert torch.allclose(shares[0, :2], expected)
    assert shares[0, 2].item() == 0.0


def test_share_mass_of_one_tissue_is_all():
    assert share_mass(torch.tensor([[-9.0, 3.0]]), torch.tensor([[True, False]])).tolist() == [[1.0, 0.0]]


def test_every_gated_tissue_is_exactly_zero_at_inference(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    prediction = predict(model, batch[0].numpy())
    gated = prediction.presence_probability < 0.5
    # Where no tissue passes, the most probable one is kept.
    nothing_passes = gated.all(axis=1)
    gated[nothing_passes, prediction.presence_probability[nothing_passes].argmax(axis=1)] = False
    assert gated.any()
    assert (prediction.proportions[gated] == 0.0).all()
    assert (prediction.proportions[~gated] > 0).all()
    assert np.allclose(prediction.proportions.sum(axis=1), 1, atol=1e-9)


def test_gate_keeps_the_most_probable_tissue_where_all_are_absent(profiles):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    gate = model.gate(torch.tensor([[-3.0, -1.0, -2.0, -5.0, -4.0]]))
    assert gate.tolist() == [[False, True, False, False, False]]


def test_original_never_gives_zero(profiles, batch):
    prediction = predict(build_model(tiny_arm("original"), profiles, seed=0), batch[0].numpy())
    assert prediction.presence_probability is None
    assert (prediction.proportions > 0).all()


def test_original_is_sigmoid_and_l1(profiles, batch):
    model = build_model(tiny_arm("original"), profiles, seed=0).eval()
    weights = torch.sigmoid(model.proportion_head(model.backbone(batch[0])))
    assert torch.allclose(model(batch[0]), weights / weights.sum(dim=1, keepdim=True))


def test_use_two_stage_false_is_exactly_the_original(profiles, batch):
    off = build_model(tiny_arm("sparse", **{"model.use_two_stage": False}), profiles, seed=3)
    original = build_model(tiny_arm("original"), profiles, seed=3)
    assert type(off) is OriginalModel
    for name, value in original.state_dict().items():
        assert torch.equal(value, off.state_dict()[name]), name
    torch.manual_seed(0)
    first = off.loss(*batch).total
    torch.manual_seed(0)
    assert torch.equal(first, original.loss(*batch).total)


def test_backbone_has_the_layers_of_the_design_note(profiles):
    model = build_model(tiny_arm("sparse", **{"model.hidden_sizes": [512, 512, 512, 2048]}), profiles, seed=0)
    widths = [layer.out_features for layer in model.backbone if isinstance(layer, torch.nn.Linear)]
    assert widths == [512, 512, 512, 2048]
    assert {layer.p for layer in model.backbone if isinstance(layer, torch.nn.Dropout)} == {0.1}
    assert sum(isinstance(layer, torch.nn.BatchNorm1d) for layer in model.backbone) == 4


def test_missing_values_are_neutral_not_unmethylated(profiles):
    standardise = Standardise(profiles)
    value = torch.full((1, N_REGIONS), float("nan"))
    assert (standardise(value) == 0).all()
    assert (standardise(torch.zeros(1, N_REGIONS)) != 0).all()


@pytest.mark.parametrize("part", ["mse", "presence", "sparsity"])
def test_each_part_of_the_sparse_loss_has_a_gradient(profiles, batch, part):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    getattr(model.loss(*batch), part).backward()
    gradients = [p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None]
    assert sum(gradients) > 0


def test_sparsity_loss_can_fall(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.loss(*batch).sparsity.item()
    for _ in range(5):
        optimiser.zero_grad()
        model.loss(*batch).sparsity.backward()
        optimiser.step()
    assert model.loss(*batch).sparsity.item() < 0.8 * before


def test_sparsity_loss_is_the_expected_share_present():
    assert sparsity_loss(torch.tensor([[0.0, 100.0, -100.0, 0.0]])).item() == pytest.approx(0.5)


def test_presence_loss_ignores_traces():
    true = torch.tensor([[0.0, 0.005, 0.01, 0.985]])
    logits = torch.tensor([[0.3, 7.0, -0.2, 1.0]])
    expected = functional.binary_cross_entropy_with_logits(
        torch.tensor([0.3, -0.2, 1.0]), torch.tensor([0.0, 1.0, 1.0])
    )
    assert presence_loss(logits, true, 0.01).item() == pytest.approx(expected.item())
    other = logits.clone()
    other[0, 1] = -7.0
    assert presence_loss(other, true, 0.01) == presence_loss(logits, true, 0.01)


def test_presence_head_learns_from_its_own_labels_only(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    model.loss(*batch).mse.backward()
    assert model.presence_head.weight.grad is None


def test_relative_mse_of_the_uniform_guess_is_one():
    true = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    guess = torch.full_like(true, 0.25)
    assert relative_mse(functional.mse_loss(guess, true), true).item() == pytest.approx(1.0)


def test_total_is_the_weighted_sum(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0).eval()
    parts = model.loss(*batch)
    expected = relative_mse(parts.mse, batch[1]) + parts.presence + 0.01 * parts.sparsity
    assert parts.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_self_check_passes_and_can_fail(profiles, batch, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["models", "--n-regions", "50"])
    assert main() == 0
    assert "exactly 0.0" in capsys.readouterr().out
    model = build_model(tiny_arm("sparse"), profiles, seed=0)

    def leaky(logits, gate):
        return torch.softmax(logits * gate, dim=1)

    monkeypatch.setattr("methmix.models.sparse.share_mass", leaky)
    assert not all(passed for passed, _ in check(model, *batch))


def test_weights_do_not_depend_on_what_was_drawn_before(profiles):
    first = build_model(tiny_arm("sparse"), profiles, seed=5)
    torch.rand(10)
    second = build_model(tiny_arm("sparse"), profiles, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert isinstance(first, SparseModel)
