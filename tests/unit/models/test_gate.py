"""The gate between the stages."""

import pytest
import torch

from methmix.models.gate import share_if_let_in, share_mass


def test_share_mass_is_a_softmax_over_the_gate_and_exactly_zero_elsewhere():
    logits = torch.tensor([[0.0, 1.0, 5.0]])
    shares = share_mass(logits, torch.tensor([[True, True, False]]))
    expected = torch.softmax(torch.tensor([0.0, 1.0]), dim=0)
    assert torch.allclose(shares[0, :2], expected)
    assert shares[0, 2].item() == 0.0


def test_share_mass_of_one_tissue_is_all():
    assert share_mass(torch.tensor([[-9.0, 3.0]]), torch.tensor([[True, False]])).tolist() == [[1.0, 0.0]]


def test_share_if_let_in_is_the_share_beside_those_that_are_in():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    gate = torch.tensor([[True, True, False]])
    found = share_if_let_in(logits, gate)
    assert torch.allclose(found[:, :2], share_mass(logits, gate)[:, :2])
    assert found[0, 2].item() == pytest.approx(share_mass(logits, torch.ones_like(gate))[0, 2].item())
