"""Terms of the loss."""

import pytest
import torch
from experiments import tiny_arm
from torch.nn import functional

from methmix.models import losses
from methmix.models.losses import LOSSES, TERMS, TOTAL, Scored, Term, weighted
from methmix.models.registry import build_model


@pytest.mark.parametrize("part", ["mse", "presence", "sparsity"])
def test_each_part_of_the_sparse_loss_has_a_gradient(profiles, batch, part):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    model.loss(*batch)[f"{part}_loss"].backward()
    gradients = [p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None]
    assert sum(gradients) > 0


def test_sparsity_loss_can_fall(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.loss(*batch)["sparsity_loss"].item()
    for _ in range(5):
        optimiser.zero_grad()
        model.loss(*batch)["sparsity_loss"].backward()
        optimiser.step()
    assert model.loss(*batch)["sparsity_loss"].item() < 0.8 * before


def presence_of(logits, true, threshold=0.01):
    return losses.presence_cross_entropy(Scored(true, true, logits, threshold))


def test_sparsity_loss_is_the_expected_number_of_tissues():
    logits = torch.tensor([[0.0, 100.0, -100.0, 0.0], [100.0, 100.0, 100.0, -100.0]])
    assert losses.expected_tissues(Scored(logits, logits, logits)).item() == pytest.approx(2.5)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_sparsity_loss_makes_presence_conservative_and_no_less_certain(weight):
    """One tissue that is there in half of otherwise equal mixtures: p - 1/2 + w p (1 - p) = 0 at the minimum."""
    true = torch.tensor([[1.0], [0.0]])
    logit = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([logit], max_iter=100, tolerance_grad=1e-9)

    def loss():
        optimiser.zero_grad()
        scored = Scored(true, true, logit.expand(2, 1), 0.01)
        total = weighted(scored, {"presence": 1.0, "sparsity": weight})[TOTAL]
        total.backward()
        return total

    optimiser.step(loss)
    p = torch.sigmoid(logit).item()
    assert p - 0.5 + weight * p * (1 - p) == pytest.approx(0, abs=1e-5)
    assert (p < 0.45) == (weight > 0)


def test_presence_loss_ignores_traces():
    true = torch.tensor([[0.0, 0.005, 0.01, 0.985]])
    logits = torch.tensor([[0.3, 7.0, -0.2, 1.0]])
    expected = functional.binary_cross_entropy_with_logits(
        torch.tensor([0.3, -0.2, 1.0]), torch.tensor([0.0, 1.0, 1.0])
    )
    assert presence_of(logits, true).item() == pytest.approx(expected.item())
    other = logits.clone()
    other[0, 1] = -7.0
    assert presence_of(other, true) == presence_of(logits, true)


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_relative_error_of_the_uniform_guess_is_one(name):
    true = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert weighted(Scored(true, torch.full_like(true, 0.25)), {name: 3.0})[TOTAL].item() == pytest.approx(3.0)


def test_total_is_the_weighted_sum(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0).eval()
    parts, true = model.loss(*batch), batch[1]
    relative = parts["mse_loss"] / functional.mse_loss(torch.full_like(true, 1 / true.shape[1]), true)
    expected = relative + parts["presence_loss"] + 0.01 * parts["sparsity_loss"]
    assert parts[TOTAL].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("backbone", ["mlp", "reference"])
@pytest.mark.parametrize("arm", ["original", "sparse"])
def test_what_is_logged_is_what_is_weighed(tissues, reads, arm, backbone):
    model = build_model(tiny_arm(arm, **{"model.backbone": backbone}), tissues.mean, 0, tissues)
    only_with_least_squares = {"mae", "interval"} if backbone == "mlp" else set()
    names = ["mse"] if arm == "original" else [name for name in TERMS if name not in only_with_least_squares]
    assert list(model.weights) == names
    assert list(model.loss(*reads)) == [TOTAL, *(f"{name}_loss" for name in names)]


def test_a_new_term_is_a_function_and_a_weight(profiles, batch, monkeypatch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0).eval()
    before = model.loss(*batch)
    monkeypatch.setitem(TERMS, "largest", Term(lambda scored: scored.proportions.max()))
    model.weights["largest"] = 2.0
    after = model.loss(*batch)
    assert after["largest_loss"] > 0 and (TOTAL, *(f"{name}_loss" for name in list(TERMS)[:-1])) == LOSSES
    assert after[TOTAL].item() == pytest.approx((before[TOTAL] + 2 * after["largest_loss"]).item())
