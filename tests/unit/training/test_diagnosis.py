"""Trainings that are made to fail, and what is said of them while they run and afterwards."""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from methmix.config.load import to_yaml
from methmix.errors import InputError, RunError
from methmix.training import course
from methmix.training.__main__ import main
from methmix.training.checkpoint import load_checkpoint
from methmix.training.diagnosis import diagnose, read_course
from methmix.training.loop import Trainer
from methmix.training.monitor import Monitor
from methmix.training.pictures import Pictures
from methmix.training.validation_facts import read_facts
from methmix.training.warm_start import WarmStart

SHORT = {"training.batch_size": 25, "training.mixtures_per_epoch": 250, "training.epochs": 3, "model.dropout": 0.0}


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory):
    return {
        phase: tiny_mixtures(tiny_reference(), "validation", tmp_path_factory.mktemp(phase), phase)
        for phase in ("phase1", "phase2")
    }


@pytest.fixture
def train(mixtures, tmp_path, monkeypatch):
    """Train for a second; an MLP that does not learn is made out sooner than one that merely learns slowly."""
    monkeypatch.setattr(course, "_FIRST_STEPS", {"mlp": 4, "reference": 8})

    def run(arm="sparse", phase="phase2", presence_bias=None, reference=None, start=None, **overrides):
        settings = tiny_arm(arm, phase, **{**SHORT, **overrides})
        reference = reference or tiny_reference()
        validation = mixtures[phase]
        own = {**validation.attributes, "reference_digest": reference.content_digest}
        inputs = tiny_experiment(), reference, replace(validation, attributes=own)
        made = Trainer(settings, *inputs, tmp_path / (start.digest if start else ""), torch.device("cpu"), start=start)
        # The calibration takes longer than such a training.
        monkeypatch.setattr(made, "_calibrated", partial(load_checkpoint, made.best_checkpoint))
        if presence_bias is not None:
            with torch.no_grad():
                made.model.head.readout["presence"].bias.fill_(presence_bias)
        made.run()
        return made.folder

    return run


def mislabelled(reference):
    """Label each training donor as the next tissue."""
    names, train = reference.tissue_names, [split == "train" for split in reference.split]
    tissues = [
        names[(names.index(tissue) + of) % len(names)] for tissue, of in zip(reference.tissues, train, strict=True)
    ]
    rolled = [np.roll(row, of) for row, of in zip(reference.composition, train, strict=True)]
    return replace(reference, tissues=tissues, known_composition=np.stack(rolled))


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def texts(folder):
    events = EventAccumulator(str(folder / "logs" / "tensorboard")).Reload()
    if "diagnosis/text_summary" not in events.Tags()["tensors"]:
        return []
    return [event.tensor_proto.string_val[0].decode() for event in events.Tensors("diagnosis/text_summary")]


NO_PRESENCE = {"loss.presence_weight": 0.0}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            NO_PRESENCE,
            {
                "presence_head": "raise loss.presence_weight (now 0.0)",
                "presence_accuracy": "raise loss.presence_weight (now 0.0)",
                "dominating_loss": "raise loss.presence_weight (now 0.0)",
            },
        ),
        (
            {"training.learning_rate": 1e-9},
            {"presence_head": "raise training.learning_rate (now 1e-09)"},
        ),
        (
            {"loss.sparsity_weight": 100.0, "training.learning_rate": 0.01},
            {
                "dominating_loss": "lower loss.sparsity_weight (now 100.0)",
                "nothing_predicted": "lower loss.sparsity_weight (now 100.0)",
                "too_few_tissues": "lower loss.sparsity_weight (now 100.0)",
            },
        ),
        ({"loss.presence_weight": 100.0}, {"dominating_loss": "lower loss.presence_weight (now 100.0)"}),
        (
            {"model.presence_threshold": 0.999},
            {"nothing_predicted": "lower model.presence_threshold (now 0.999)"},
        ),
        (
            {"phase": "phase1", "model.presence_threshold": 0.001},
            {"too_many_tissues": "raise model.presence_threshold (now 0.001)"},
        ),
        (
            {"phase": "phase1", "presence_bias": 3.0, "loss.sparsity_weight": 0.0, **NO_PRESENCE},
            {
                "sparsity": "raise loss.presence_weight (now 0.0)",
                "too_many_tissues": "raise loss.presence_weight (now 0.0)",
            },
        ),
        (
            {"arm": "original", "training.warmup_fraction": 0.9},
            {"learning_rate": "lower training.warmup_fraction (now 0.9)"},
        ),
        (
            {
                "arm": "original",
                "training.learning_rate": 0.5,
                "training.epochs": 30,
                "training.early_stopping_patience": 1,
            },
            {"learning_rate": "lower training.epochs (now 30)"},
        ),
    ],
)
def test_a_training_that_fails_says_so_once_and_can_be_diagnosed(train, caplog, overrides, expected):
    folder = train(**overrides)
    findings = {finding.name: str(finding) for finding in diagnose(read_course(folder))}
    assert {name: findings[name].split("; ")[-1] for name in expected} == expected
    said = warnings(caplog)
    assert all(any(message.endswith(remedy) for message in said) for remedy in expected.values())
    *_, at_the_end = texts(folder)
    assert at_the_end.startswith(f"warnings: {len(findings)}")
    assert all(finding in at_the_end for finding in findings.values())


def test_each_warning_comes_once(train, caplog):
    train(**NO_PRESENCE, **{"training.epochs": 5})
    checks = ("presence head is not learning", "presence accuracy", "total loss")
    assert [sum(words in message for message in warnings(caplog)) for words in checks] == [1, 1, 1]


def test_a_loss_that_is_not_finite_is_diagnosed_too(train, caplog, tmp_path):
    with pytest.raises(RunError, match=r"gone wrong in epoch 1: in step \d+, the loss or a weight is not finite"):
        train(**{"training.learning_rate": 1e30})
    (finding,) = diagnose(read_course(tmp_path))
    assert finding.name == "loss_not_finite" and str(finding).endswith("lower training.learning_rate (now 1e+30)")
    assert warnings(caplog) == [str(finding)] and texts(tmp_path) == [str(finding)]


def test_what_is_learnt_of_training_donors_and_wrong_for_others_is_overfitting(train, caplog):
    """A model that was good for the donors of the validation learns training donors that contradict them."""
    good = train("original", **{"training.learning_rate": 0.01})
    weights = load_checkpoint(good / "checkpoints" / "checkpoint_best.pt").model
    contradicting = {"reference": mislabelled(tiny_reference()), "training.epochs": 8}
    for left_out, remedy in (
        (True, "raise training.weight_decay (now 0.01)"),
        (False, "turn on training.leave_donors_out (now False)"),
    ):
        caplog.clear()
        start = WarmStart(good, weights, f"left-out-{left_out}")
        folder = train("original", start=start, **contradicting, **{"training.leave_donors_out": left_out})
        (finding,) = diagnose(read_course(folder))
        assert finding.name == "overfitting" and finding.number > 1.5
        assert str(finding).endswith(remedy) and "of epoch 1;" in str(finding)
        (said,) = warnings(caplog)
        assert said.startswith("validation gets worse while the training loss falls") and said.endswith(remedy)
        assert texts(folder)[-1] == f"warnings: 1\n\noverfitting: {finding}"


def test_a_validation_that_is_not_finite_is_diagnosed_too(train, caplog, tmp_path):
    """Batch normalisation keeps the training loss finite at a rate that leaves nothing of the weights."""
    rate = {"training.learning_rate": 1e12, "training.mixtures_per_epoch": 25, "training.epochs": 2}
    with pytest.raises(RunError, match=r"gone wrong in epoch 1: after step 1, val/\w+ is nan"):
        train("original", **rate)
    (finding,) = diagnose(read_course(tmp_path))
    assert finding.name == "validation_not_finite" and "is nan in epoch 1 (by step 1)" in finding.message
    assert str(finding).endswith("lower training.learning_rate (now 1000000000000.0)")
    assert warnings(caplog) == [str(finding)] and texts(tmp_path) == [str(finding)]


@pytest.mark.parametrize("backbone", ["mlp", "reference"])
@pytest.mark.parametrize("arm", ["original", "sparse"])
def test_a_training_of_a_few_steps_says_nothing(train, caplog, monkeypatch, arm, backbone):
    monkeypatch.undo()
    folder = train(arm, **{"model.backbone": backbone, "training.epochs": 1})
    assert not warnings(caplog) and not diagnose(read_course(folder))
    (text,) = texts(folder)
    assert text.startswith("no warnings after 1 of 1 epochs") and "is judged from step" in text


def test_a_healthy_training_says_nothing(train, caplog, capsys, monkeypatch):
    """As config/tiny.yaml has it, and judged."""
    healthy = {"training.batch_size": 125, "training.mixtures_per_epoch": 1000, "training.epochs": 5}
    folder = train(**healthy, **{"model.backbone": "reference"})
    assert read_course(folder).judged and not warnings(caplog)
    (text,) = texts(folder)
    monkeypatch.setattr("sys.argv", ["training", "--diagnose", str(folder)])
    assert main() == 0
    assert capsys.readouterr().out == f"{folder} (sparse, finished)\n{text}\n"
    assert "presence accuracy" in text and "\n" not in text


def test_a_resumed_training_does_not_repeat_its_warnings(train, caplog, tmp_path):
    train(**NO_PRESENCE)
    before = warnings(caplog)
    logs = tmp_path / "logs"
    rows = read_course(tmp_path).log
    course, pictures = read_course(tmp_path), Pictures("sparse", ["Blood"], np.ones((1, 1)), 3)
    with Monitor(logs, list(rows[:-1]), course.arm, read_facts(logs), pictures) as monitor:
        monitor.epoch([{"slurm_job_id": "", "node": "", **row} for row in rows])
    assert warnings(caplog) == before


class TestCommand:
    def diagnose(self, monkeypatch, *arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", ["training", "--diagnose", *map(str, arguments)])
        return main()

    def test_warnings_are_no_failure(self, train, monkeypatch, capsys):
        folder = train(**NO_PRESENCE)
        (folder / "logs" / "training_record.json").unlink()
        assert self.diagnose(monkeypatch, folder) == 0
        first, number, *lines = capsys.readouterr().out.splitlines()
        assert first == f"{folder} (sparse, not finished)" and number == f"warnings: {len(lines)}"
        assert any(line.startswith("presence_head: the presence head is not learning") for line in lines)

    def test_a_run_of_an_earlier_version(self, train, monkeypatch, capsys):
        folder = train(**NO_PRESENCE)
        (folder / "logs" / "validation_mixtures.json").unlink()
        assert self.diagnose(monkeypatch, folder) == 0
        assert "not checked: what is compared with the validation mixtures" in capsys.readouterr().out

    def test_before_the_first_epoch_has_ended(self, train, monkeypatch, capsys):
        folder = train(**{"training.epochs": 1})
        (folder / "logs" / "training_log.csv").unlink()
        assert self.diagnose(monkeypatch, folder) == 0
        assert "no epoch has ended yet" in capsys.readouterr().out

    def test_a_folder_of_no_run(self, monkeypatch, capsys, tmp_path):
        assert self.diagnose(monkeypatch, tmp_path) == 2
        assert "is not a run folder: logs/config.yaml is missing" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("before", "after", "message"),
        [
            ("1,10,", "1,ten,", "line 2: .*'ten'"),
            ("epoch,", "epo,", "line 2: epoch is missing"),
            ("\n1,10,", "\n\x00\xff", "line 2: "),
        ],
    )
    def test_a_damaged_log(self, tmp_path, before, after, message):
        log = tmp_path / "logs" / "training_log.csv"
        log.parent.mkdir()
        (log.parent / "config.yaml").write_text(to_yaml(tiny_arm("sparse")))
        log.write_bytes("epoch,step,val/mae\n1,10,0.1\n".replace(before, after).encode("latin-1"))
        with pytest.raises(InputError, match=rf"training_log\.csv, {message}"):
            read_course(tmp_path)

    def test_there_is_a_configuration_or_a_run(self, monkeypatch, capsys):
        monkeypatch.setattr("sys.argv", ["training"])
        with pytest.raises(SystemExit, match="2"):
            main()
        assert "--config --diagnose is required" in capsys.readouterr().err
