"""The gate between the stages."""

import pytest
import torch

from methmix.models.gate import open_gate, proportion_if_admitted, share_mass


def test_gate_keeps_the_most_probable_tissue_where_all_are_absent():
    gate = open_gate(torch.tensor([[-3.0, -1.0, -2.0, -5.0, -4.0]]), 0.5)
    assert gate.tolist() == [[False, True, False, False, False]]


def test_share_mass_is_a_softmax_over_the_gate_and_exactly_zero_elsewhere():
    logits = torch.tensor([[0.0, 1.0, 5.0]])
    proportions = share_mass(logits, torch.tensor([[True, True, False]]))
    expected = torch.softmax(torch.tensor([0.0, 1.0]), dim=0)
    assert torch.allclose(proportions[0, :2], expected)
    assert proportions[0, 2].item() == 0.0


def test_share_mass_of_one_tissue_is_all():
    assert share_mass(torch.tensor([[-9.0, 3.0]]), torch.tensor([[True, False]])).tolist() == [[1.0, 0.0]]


def test_proportion_if_admitted_is_the_proportion_beside_those_that_are_in():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    gate = torch.tensor([[True, True, False]])
    found = proportion_if_admitted(logits, gate)
    assert torch.allclose(found[:, :2], share_mass(logits, gate)[:, :2])
    assert found[0, 2].item() == pytest.approx(share_mass(logits, torch.ones_like(gate))[0, 2].item())
