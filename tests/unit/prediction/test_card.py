"""The model card."""

import sys

from methmix.files.reference import write_reference
from methmix.prediction.__main__ import main


def test_the_card_describes_the_model(checkpoint, reference, tmp_path, monkeypatch, capsys):
    write_reference(tmp_path / "reference.h5", reference)
    for more in ([], ["--reference", str(tmp_path / "reference.h5")]):
        monkeypatch.setattr(sys, "argv", ["methmix.prediction", "--checkpoint", str(checkpoint), "--describe", *more])
        assert main() == 0
        told = capsys.readouterr().out
        for line in (
            "methmix sparse model, phase3, backbone reference",
            "For research use only, not for diagnosis.",
            f"Blood ({len(reference.pool('train')['Blood'])} train,",
            "600 of none (simulated)",
            "seed 1, commit ",
            "Its reference has 8 tissues",
        ):
            assert line in told
        assert "detection_ratio: not known" not in told
