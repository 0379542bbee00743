"""The model card."""

import sys
from dataclasses import replace

from methmix.files.reference import write_reference
from methmix.prediction.__main__ import main
from methmix.training.checkpoint import load_checkpoint, save_checkpoint


def test_the_card_describes_the_model(checkpoint, reference, tmp_path, monkeypatch, capsys):
    write_reference(tmp_path / "reference.h5", reference)
    for more in ([], ["--reference", str(tmp_path / "reference.h5")]):
        monkeypatch.setattr(sys, "argv", ["methmix.prediction", "--checkpoint", str(checkpoint), "--describe", *more])
        assert main() == 0
        card = capsys.readouterr().out
        for line in (
            "methmix sparse model, phase3, backbone reference",
            "For research use only, not for diagnosis.",
            f"Blood ({len(reference.pool('train')['Blood'])} train,",
            "600 of none (simulated)",
            "seed 1, commit ",
            "Its reference has 8 tissues",
        ):
            assert line in card
        assert "last layer fitted to mixtures of validation donors too: yes" in card
        assert "Validation, best epoch, before the last layer was fitted anew" in card
        assert "limits_of_detection: known" in card and "presence_prior: 0." in card
        assert "calibrated on in-silico mixtures of donors that are drawn" in card
        prior = load_checkpoint(checkpoint).model["head.prior"].item()
        assert f"(prior; logit {prior:.2f})" in card


def test_weights_of_another_model_have_no_card(checkpoint, tmp_path, monkeypatch, capsys):
    known = load_checkpoint(checkpoint)
    name = "limits.misfit_curve"
    save_checkpoint(tmp_path / "other.pt", replace(known, model={**known.model, name: known.model[name][:1]}))
    monkeypatch.setattr(sys, "argv", ["methmix.prediction", "--checkpoint", str(tmp_path / "other.pt"), "--describe"])
    assert main() == 2
    assert "the weights are not those of its sparse model" in capsys.readouterr().err
