"""The self-check of the models."""

import torch
from experiments import tiny_arm

from methmix.models.__main__ import main
from methmix.models.registry import build_model
from methmix.models.selfcheck import check


def test_self_check_passes_and_can_fail(profiles, batch, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["models", "--n-regions", "50"])
    assert main() == 0
    assert "exactly 0.0" in capsys.readouterr().out
    model = build_model(tiny_arm("sparse"), profiles, seed=0)

    def leaky(logits, gate):
        return torch.softmax(logits * gate, dim=1)

    monkeypatch.setattr("methmix.models.heads.share_mass", leaky)
    assert not all(passed for passed, _ in check(model, *batch))
