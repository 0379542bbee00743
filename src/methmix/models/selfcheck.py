"""Self-check of the models: shapes, exact zeros, and that each term of the loss has a gradient."""

import sys
from collections.abc import Iterator

import torch

from methmix.config.arm import ArmSettings, OriginalArm, SparseArm
from methmix.errors import RunError
from methmix.models.deconvolver import Deconvolver, n_parameters
from methmix.models.heads import TwoStageHead
from methmix.models.registry import build_model

_N_MIXTURES, _DEPTH = 64, 30


def self_check(n_regions: int, n_tissues: int) -> None:
    """Check each head on each backbone and write the findings to standard output; RunError if a check fails."""
    torch.manual_seed(0)
    profiles = torch.rand(n_tissues, n_regions)
    rows = torch.arange(_N_MIXTURES)
    true = torch.zeros(_N_MIXTURES, n_tissues)
    true[rows, rows % n_tissues] = 0.7
    true[rows, (rows + 1) % n_tissues] = 0.3
    methylation = true @ profiles
    methylation[torch.rand_like(methylation) < 0.01] = float("nan")
    ok = True
    for name, arm in _arms():
        checks = list(check(build_model(arm, profiles, seed=0), methylation, true))
        ok &= all(passed for passed, _ in checks)
        sys.stdout.write(f"{name}\n")
        sys.stdout.writelines(f"  {'ok  ' if passed else 'FAIL'} {text}\n" for passed, text in checks)
    if not ok:
        raise RunError("a model fails its self-check, see above")


def check(model: Deconvolver, methylation: torch.Tensor, true: torch.Tensor) -> Iterator[tuple[bool, str]]:
    """Check one model on one batch; yields whether each check passed, and its finding."""
    depth = (~methylation.isnan()).float() * _DEPTH
    yield True, f"parameters: {n_parameters(model):,}"
    model.train()
    parts = model.loss(methylation, true, depth)
    for name in (f"{term}_loss" for term in model.weights):
        gradients = torch.autograd.grad(parts[name], list(model.parameters()), retain_graph=True, allow_unused=True)
        size = float(torch.stack([g.norm() for g in gradients if g is not None]).norm())
        yield size > 0, f"{name}: {float(parts[name].detach()):.4f}, gradient norm {size:.2e}"
    model.eval()
    with torch.no_grad():
        proportions = model.infer(methylation, depth).proportions
        stages = model.head(model(methylation, depth))
    yield proportions.shape == true.shape, f"proportions: shape {tuple(proportions.shape)}"
    off = float((proportions.sum(dim=1) - 1).abs().max())
    yield off < 1e-5, f"proportions sum to 1 within {off:.1e}"
    if isinstance(model.head, TwoStageHead):
        gated, zeros = int((~stages.gate).sum()), int((proportions[~stages.gate] == 0.0).sum())
        yield 0 < zeros == gated, f"tissues gated out: {gated}, exactly 0.0: {zeros}"
    else:
        yield True, f"exactly 0.0: {int((proportions == 0.0).sum())} (a sigmoid never is)"


def _arms() -> Iterator[tuple[str, ArmSettings]]:
    stages = {"use_two_stage": True, "presence_threshold": 0.5}
    weights = {"mse_weight": 1.0, "presence_weight": 1.0, "sparsity_weight": 0.01, "teacher_forcing": True}
    for backbone, suffix in (("mlp", ""), ("reference", ", backbone reference")):
        original = {"model": {"backbone": backbone}, "loss": {"mse_weight": 1.0}}
        sparse = {"model": {"backbone": backbone, **stages}, "loss": weights}
        yield f"original{suffix}", OriginalArm.model_validate({"arm": "original", "phase": "phase2", **original})
        yield f"sparse{suffix}", SparseArm.model_validate({"arm": "sparse", "phase": "phase2", **sparse})
