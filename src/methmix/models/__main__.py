"""Check the models: shapes, parameters, exact zeros, and that each part of the loss has a gradient."""

import argparse
import sys
from typing import Any

import torch

from methmix import cli
from methmix.config.arm import (
    MlpSettings,
    OriginalLossSettings,
    ReferenceBackboneSettings,
    SparseLossSettings,
    TwoStageMlpSettings,
    TwoStageReferenceSettings,
)
from methmix.errors import RunError
from methmix.least_squares import Profiles
from methmix.models.informed import InformedOriginalModel, InformedSparseModel
from methmix.models.original import OriginalModel
from methmix.models.registry import Model, n_parameters
from methmix.models.sparse import SparseModel


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.models", __doc__ or "")
    arguments.add_argument("--n-regions", type=int, default=1000, help="regions of the models that are checked")
    arguments.add_argument("--n-tissues", type=int, default=22, help="tissues of the models that are checked")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    profiles = torch.rand(options.n_tissues, options.n_regions)
    true = torch.zeros(64, options.n_tissues)
    true[torch.arange(64), torch.arange(64) % options.n_tissues] = 0.7
    true[torch.arange(64), (torch.arange(64) + 1) % options.n_tissues] = 0.3
    methylation = true @ profiles
    methylation[torch.rand_like(methylation) < 0.01] = float("nan")
    stages: dict[str, Any] = {"use_two_stage": True, "presence_threshold": 0.5}
    mse = OriginalLossSettings(mse_weight=1.0)
    weights = SparseLossSettings(mse_weight=1.0, presence_weight=1.0, sparsity_weight=0.01, teacher_forcing=True)
    zeros = torch.zeros_like(profiles)
    known = Profiles(profiles, zeros, zeros)
    models: dict[str, Model] = {
        "original": OriginalModel(MlpSettings(backbone="mlp"), mse, profiles),
        "sparse": SparseModel(TwoStageMlpSettings(backbone="mlp", **stages), weights, profiles),
        "original, backbone reference": InformedOriginalModel(
            ReferenceBackboneSettings(backbone="reference"), mse, known
        ),
        "sparse, backbone reference": InformedSparseModel(
            TwoStageReferenceSettings(backbone="reference", **stages), weights, known
        ),
    }
    ok = True
    for name, model in models.items():
        lines = check(model, methylation, true)
        ok &= all(passed for passed, _ in lines)
        sys.stdout.write(f"{name}\n")
        sys.stdout.writelines(f"  {'ok  ' if passed else 'FAIL'} {text}\n" for passed, text in lines)
    if not ok:
        raise RunError("a model fails its self-check, see above")


def check(model: Model, methylation: torch.Tensor, true: torch.Tensor) -> list[tuple[bool, str]]:
    """Check one model on one batch; returns (passed, what was found) for each check."""
    lines = [(True, f"parameters: {n_parameters(model):,}")]
    model.train()
    sparse = isinstance(model, SparseModel | InformedSparseModel)
    depth = (~methylation.isnan()).float() * 30
    parts = model.loss(methylation, true, depth)
    for name in ("mse", "presence", "sparsity")[: 3 if sparse else 1]:
        gradients = torch.autograd.grad(
            getattr(parts, name), list(model.parameters()), retain_graph=True, allow_unused=True
        )
        size = float(torch.stack([g.norm() for g in gradients if g is not None]).norm())
        lines.append((size > 0, f"{name} loss {float(getattr(parts, name).detach()):.4f}, gradient norm {size:.2e}"))
    model.eval()
    with torch.no_grad():
        answer = model.infer(methylation, depth)
        proportions, probability = answer.proportions, answer.presence_probability
        expected = true.shape
        lines.append((proportions.shape == expected, f"proportions: shape {tuple(proportions.shape)}"))
        off = float((proportions.sum(dim=1) - 1).abs().max())
        lines.append((off < 1e-5, f"proportions sum to 1 within {off:.1e}"))
        if isinstance(model, SparseModel | InformedSparseModel) and probability is not None:
            gated = ~model.gate(torch.logit(probability))
            zeros = int((proportions[gated] == 0.0).sum())
            passed = zeros == int(gated.sum()) and zeros > 0
            lines.append((passed, f"tissues gated out: {int(gated.sum())}, exactly 0.0: {zeros}"))
        else:
            lines.append((True, f"exactly 0.0: {int((proportions == 0).sum())} (a sigmoid never is)"))
    return lines


if __name__ == "__main__":
    sys.exit(main())
