"""From methylation to features."""

import torch
from experiments import tiny_arm

from methmix.models.backbone import Standardise
from methmix.models.registry import build_model


def test_backbone_has_the_layers_of_the_design_note(profiles):
    model = build_model(tiny_arm("sparse", **{"model.hidden_sizes": [512, 512, 512, 2048]}), profiles, seed=0)
    widths = [layer.out_features for layer in model.backbone if isinstance(layer, torch.nn.Linear)]
    assert widths == [512, 512, 512, 2048]
    assert {layer.p for layer in model.backbone if isinstance(layer, torch.nn.Dropout)} == {0.1}
    assert sum(isinstance(layer, torch.nn.BatchNorm1d) for layer in model.backbone) == 4


def test_missing_values_are_neutral_not_unmethylated(profiles):
    standardise = Standardise(profiles)
    n_regions = profiles.shape[1]
    value = torch.full((1, n_regions), float("nan"))
    assert (standardise(value) == 0).all()
    assert (standardise(torch.zeros(1, n_regions)) != 0).all()


def test_a_region_in_which_tissues_hardly_differ_is_not_amplified():
    profiles = torch.tensor([[0.1, 0.50], [0.9, 0.51], [0.5, 0.49]])
    marker, other = Standardise(profiles)(torch.tensor([[0.7, 0.7]]))[0]
    assert torch.isclose(marker, other)
