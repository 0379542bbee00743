import csv
import json
import logging
import math
import os
import shutil
import signal
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from methmix.errors import InputError, RunError
from methmix.files.reference import Reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.training.__main__ import main
from methmix.training.batches import TrainingBatches
from methmix.training.checkpoint import check_same_data, load_checkpoint, load_model, save_checkpoint
from methmix.training.loop import Trainer
from methmix.training.monitor import Validation
from methmix.training.parallel import Ranks
from methmix.training.step import learning_rate

pytestmark = pytest.mark.usefixtures("short_calibration")

TAGS = {
    *(
        f"{split}/{name}"
        for split in ("train", "val")
        for name in (
            "mse_loss",
            "mae_loss",
            "presence_loss",
            "sparsity_loss",
            "interval_loss",
            "presence_accuracy",
            "total_loss",
        )
    ),
    "val/mae",
    "val/closed_gate",
    "val/predicted_tissues",
    "val/spurious_per_mixture",
    "val/missed_per_mixture",
    "train/learning_rate",
}


TEN = {"training.batch_size": 10, "training.mixtures_per_epoch": 100}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    reference = tiny_reference()
    return reference, tiny_mixtures(reference, "validation", tmp_path_factory.mktemp("mixtures"))


@pytest.fixture(scope="module")
def trainer_in(data):
    def make(folder, arm="sparse", experiment=None, **overrides):
        if arm.endswith(" on the reference"):
            arm, overrides = arm.split()[0], {"model.backbone": "reference", **overrides}
        return Trainer(tiny_arm(arm, **overrides), experiment or tiny_experiment(), *data, folder, torch.device("cpu"))

    return make


@pytest.fixture
def trainer(trainer_in, tmp_path):
    def make(arm="sparse", folder=tmp_path / "run", experiment=None, **overrides):
        return trainer_in(folder, arm, experiment, **overrides)

    return make


@pytest.fixture(scope="module")
def uninterrupted(trainer_in, tmp_path_factory):
    """Train an arm without a stop, once."""

    @cache
    def make(arm):
        run = trainer_in(tmp_path_factory.mktemp("whole") / "run", arm)
        assert run.run() == 0
        return run

    return make


@pytest.fixture
def finished(trainer, uninterrupted, tmp_path):
    """Give a trainer whose folder has a finished training of its own already."""
    shutil.copytree(uninterrupted("sparse").folder, tmp_path / "run")
    return trainer()


def weights(path):
    return load_checkpoint(path).model


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_learning_rate_rises_to_its_peak_and_falls_to_zero():
    rates = [learning_rate(step, 1000, 3e-4, 0.05) for step in range(1000)]
    assert rates[0] == pytest.approx(3e-4 / 50)
    assert max(rates) == pytest.approx(3e-4)
    assert int(np.argmax(rates)) == 49
    assert rates[-1] < 1e-8
    assert all(np.diff(rates[:50]) > 0) and all(np.diff(rates[50:]) < 0)


def test_batches_differ_by_step_and_repeat_by_number(data):
    recipe = tiny_experiment().mixtures.recipes["phase2"]
    sampler = MixtureSampler(data[0], "train", recipe, [30])
    settings = tiny_arm("original", **TEN, **{"training.pure_fraction": 0.2}).training
    batches = TrainingBatches(sampler, 1, settings, "phase2")
    drawn = {step: batches.batch(step) for step in range(4)}
    assert not torch.equal(drawn[0].proportions, drawn[1].proportions)
    resumed = TrainingBatches(sampler, 1, settings, "phase2").batch(2)
    assert torch.equal(resumed.methylation.nan_to_num(-1), drawn[2].methylation.nan_to_num(-1))
    assert torch.equal(resumed.depth, drawn[2].depth)
    # The pure ones are what a donor consists of.
    alone = np.isclose(drawn[0].proportions.numpy()[:, None], data[0].composition[None], atol=1e-6).all(axis=2)
    assert alone.any(axis=1).sum() == 2
    assert torch.equal(drawn[0].methylation.isnan(), drawn[0].depth == 0)


def test_rows_of_a_batch_are_those_of_the_whole(data):
    recipe = tiny_experiment().mixtures.recipes["phase2"]
    sampler = MixtureSampler(data[0], "train", recipe, [30])
    settings = tiny_arm("sparse", **TEN, **{"training.partial_fraction": 0.5}).training
    batches = TrainingBatches(sampler, 1, settings, "phase2", any_fraction=0.3)
    whole, part = batches.batch(3), batches.batch(3, slice(4, 7))
    assert torch.equal(part.proportions, whole.proportions[4:7])
    assert torch.equal(part.depth > 0, whole.depth[4:7] > 0)


@pytest.mark.slow
def test_training_reduces_the_error_and_writes_everything(trainer, data):
    run = trainer(**{"training.epochs": 4, "training.mixtures_per_epoch": 4000, "training.learning_rate": 0.003})
    assert run.run() == 0
    # What does the steps is freed while the ranks are joined: later, a rank could hang.
    assert "_step" not in vars(run)
    log = list(csv.DictReader((run.folder / "logs" / "training_log.csv").open()))
    assert len(log) == 4
    uniform = np.abs(data[1].proportions - 1 / len(data[0].tissue_names)).mean()
    assert float(log[-1]["val/mae"]) < 0.6 * uniform
    assert float(log[-1]["train/total_loss"]) < float(log[0]["train/total_loss"])
    assert float(log[-1]["train/sparsity_loss"]) < float(log[0]["train/sparsity_loss"])
    rates = [float(row["train/learning_rate"]) for row in log]
    assert max(rates) > 0.5 * 0.003 and rates[-1] < 0.1 * max(rates)
    events = EventAccumulator(str(run.folder / "logs" / "tensorboard")).Reload()
    best = {"best/mae", "best/predicted_tissues", "best/presence_accuracy"}
    best |= {f"best/{error}_per_mixture" for error in ("spurious", "missed")}
    assert set(events.Tags()["scalars"]) == TAGS | best
    assert [e.value for e in events.Scalars("val/mae")] == pytest.approx([float(r["val/mae"]) for r in log])
    assert (run.folder / "logs" / "config.yaml").read_text().startswith("experiment:")


@pytest.mark.slow
def test_tensorboard_shows_pictures_the_configuration_and_hyperparameters(trainer, pictures):
    run = trainer(**{"training.epochs": 4, "training.learning_rate": 0.003})
    run.run()
    content = EventAccumulator(str(run.folder / "logs" / "tensorboard"), size_guidance={"images": 0}).Reload()
    pictures = {"validation/miami", "validation/largest_errors", "validation/presence_calibration"}
    assert set(content.Tags()["images"]) == pictures
    assert content.Images("validation/miami")[-1].step == 4
    (text,) = content.Tensors("configuration/text_summary")
    assert "learning_rate: 0.003" in text.tensor_proto.string_val[0].decode()
    # The plugin's own names for the settings of a session and its end.
    plugin = content.summary_metadata
    (settings,) = (plugin[name].plugin_data.content for name in plugin if name == "_hparams_/session_start_info")
    found = HParamsPluginData.FromString(settings).session_start_info.hparams
    assert found["training.learning_rate"].number_value == 0.003
    assert found["loss.teacher_forcing"].string_value == "True" and found["arm"].string_value == "sparse"
    assert content.Scalars("best/mae")[0].value == pytest.approx(run.state.best["val/mae"])


def test_best_checkpoint_is_that_of_the_lowest_validation_error_and_knows_the_whole_training(trainer):
    run = trainer(**{"training.epochs": 5, "training.learning_rate": 0.05})
    run.run()
    best = load_checkpoint(run.best_checkpoint)
    errors = [row["val/mae"] for row in best.history]
    assert len(errors) == 5
    assert best.best["val/mae"] == min(errors)
    assert best.finished and best.record["train_seconds"] > 0 and best.record["peak_memory_mb"] > 50
    assert best.optimiser == {}


def test_other_ranks_wait_until_the_first_one_has_written_everything(trainer, monkeypatch):
    """SLURM ends what still runs a minute after one of them has ended."""
    run, met = trainer(**{"training.epochs": 2}), []
    largest = Ranks.largest

    def meet(ranks, number):
        met.append((run.folder / "logs/training_record.json").exists())
        return largest(ranks, number)

    monkeypatch.setattr(Ranks, "largest", meet)
    run.run()
    assert met[-1] and not any(met[:-1])


def test_the_state_is_saved_at_the_first_epoch_and_then_about_every_minute(trainer, monkeypatch):
    """Of a stopped training, the best model and the state are those of the epochs that were not saved at once."""
    run = trainer(**{"training.epochs": 4})
    saved, clock, stopped = [], [0.0], []
    monkeypatch.setattr("methmix.training.saves.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(
        "methmix.training.saves.save_checkpoint",
        lambda path, state: saved.append((path.name, state.step)) or save_checkpoint(path, state),
    )
    step = run.train_step

    def slow(number, *rest):
        step(number, *rest)
        clock[0] += 10
        if number == 12:
            stopped.append(dict(run.state.best))
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run, "train_step", slow)
    assert run.run() == 143
    # An epoch has four steps.
    assert [at for name, at in saved if name == "checkpoint_last.pt"] == [4, 12, 13]
    assert load_checkpoint(run.best_checkpoint).best == stopped[0]


def test_the_last_state_has_the_weights_of_the_last_epoch_and_not_of_the_best(trainer, monkeypatch):
    run, last, validate = trainer(), [], Validation.values
    worse = lambda of: {**validate(of), "val/mae": float(len(run.state.history))}  # noqa: E731
    monkeypatch.setattr(Validation, "values", worse)
    calibrated = run._calibrated
    monkeypatch.setattr(run, "_calibrated", lambda: last.append(run._weights()) or calibrated())
    run.run()
    assert run.state.best["epoch"] == 1
    assert_equal_weights(weights(run.last_checkpoint), last[0])


def test_checkpoint_loads_with_weights_only(uninterrupted):
    run = uninterrupted("sparse")
    for path in (run.best_checkpoint, run.last_checkpoint):
        content = torch.load(path, weights_only=True)
        assert content["tissue_names"] == run.state.tissue_names
        assert len(content["regions"]["chrom"]) == 600
        described = {"measure", "modification", "mean_methylation", "least_correlation"}
        assert set(content["regions"]) == {"chrom", "start", "end"} | described


def test_checkpoint_carries_cpg_indices_and_what_is_counted(trainer, data, tmp_path):
    regions = data[0].regions.assign(start_cpg=np.arange(600), end_cpg=np.arange(600) + 5)
    attributes = {**data[0].attributes, "measure": "fragment"}
    indexed = replace(data[0], regions=regions, attributes=attributes)
    run = Trainer(tiny_arm("sparse"), tiny_experiment(), indexed, data[1], tmp_path / "run", torch.device("cpu"))
    run.run()
    found = load_checkpoint(run.best_checkpoint)
    assert found.measure == "fragment"
    assert torch.equal(found.regions["end_cpg"], torch.arange(600) + 5)
    del found.regions["measure"]
    save_checkpoint(tmp_path / "old.pt", found)
    assert load_checkpoint(tmp_path / "old.pt").measure == "cpg"


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["original", "sparse", "sparse on the reference"])
@pytest.mark.parametrize(
    ("stop_after", "sent", "code"), [(2, signal.SIGTERM, 143), (4, signal.SIGUSR1, 75), (7, signal.SIGUSR1, 75)]
)
def test_interrupted_training_ends_with_the_same_weights(
    trainer, uninterrupted, tmp_path, monkeypatch, arm, stop_after, sent, code
):
    """Stopped in the middle of an epoch, at its end (4 steps), and in a later one."""
    whole = uninterrupted(arm)
    first = trainer(arm, tmp_path / "parts")
    step = first.train_step

    def stop(number, *rest):
        step(number, *rest)
        if number + 1 == stop_after:
            os.kill(os.getpid(), sent)

    monkeypatch.setattr(first, "train_step", stop)
    assert first.run() == code
    assert load_checkpoint(first.last_checkpoint).step == stop_after
    second = trainer(arm, tmp_path / "parts")
    assert second.run() == 0
    assert_equal_weights(weights(whole.last_checkpoint), weights(second.last_checkpoint))
    assert_equal_weights(weights(whole.best_checkpoint), weights(second.best_checkpoint))
    strip = [[{k: v for k, v in row.items() if k != "seconds"} for row in run.state.history] for run in (whole, second)]
    assert strip[0] == strip[1]


def test_signal_handlers_are_put_back(finished):
    before = signal.getsignal(signal.SIGTERM)
    finished.run()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("arm", ["original", "sparse"])
def test_losses_that_an_arm_has_not_are_logged_as_zero(trainer, arm):
    run = trainer(arm, **{"training.epochs": 1})
    run.run()
    (row,) = csv.DictReader((run.folder / "logs" / "training_log.csv").open())
    for split in ("train", "val"):
        assert float(row[f"{split}/interval_loss"]) == 0
        assert (float(row[f"{split}/presence_loss"]) == 0) == (arm == "original")


def test_finished_training_is_not_repeated(finished, caplog):
    changed = finished.last_checkpoint.stat().st_mtime_ns
    with caplog.at_level(logging.INFO, logger="methmix"):
        assert finished.run() == 0
    assert "finished already" in caplog.text
    assert finished.last_checkpoint.stat().st_mtime_ns == changed


def test_run_with_other_settings_is_kept_aside(trainer, finished, caplog):
    old = weights(finished.last_checkpoint)
    second = trainer(**{"training.learning_rate": 0.0123})
    assert second.run() == 0
    assert "of other configuration" in caplog.text
    kept = second.folder.with_name("run.replaced-1")
    assert_equal_weights(old, weights(kept / "checkpoints" / "checkpoint_last.pt"))
    assert load_checkpoint(second.last_checkpoint).arm["training"]["learning_rate"] == 0.0123


@pytest.mark.usefixtures("finished")
def test_finished_training_of_another_reference_of_the_same_regions_is_repeated(data, tmp_path, caplog):
    """The donors changed, tissues and regions did not: the old weights would be wrong, silently."""
    reference, validation = data
    flipped = replace(reference, methylated=reference.depth - reference.methylated)
    other = replace(validation, attributes={**validation.attributes, "reference_digest": flipped.content_digest})
    run = Trainer(tiny_arm("sparse"), tiny_experiment(), flipped, other, tmp_path / "run", torch.device("cpu"))
    assert run.run() == 0
    assert "of other reference" in caplog.text
    assert (tmp_path / "run.replaced-1").is_dir()


def test_training_without_its_best_checkpoint_starts_anew(finished, caplog):
    finished.best_checkpoint.unlink()
    assert finished.run() == 0
    assert "its checkpoint_best.pt is missing" in caplog.text
    assert finished.best_checkpoint.is_file()


def test_damaged_checkpoint_is_kept_aside(finished, caplog):
    finished.last_checkpoint.write_bytes(finished.last_checkpoint.read_bytes()[:1000])
    assert finished.run() == 0
    assert "damaged" in caplog.text
    assert load_checkpoint(finished.last_checkpoint).finished


def test_record_is_written_last_and_again_if_it_was_deleted(finished):
    record = finished.folder / "logs" / "training_record.json"
    content = json.loads(record.read_text())
    assert content["finished"] and content["record"]["n_parameters"] > 0
    record.unlink()
    assert finished.run() == 0
    assert json.loads(record.read_text()) == content


def test_early_stopping(trainer):
    run = trainer(**{"training.epochs": 40, "training.learning_rate": 0.5, "training.early_stopping_patience": 2})
    run.run()
    assert run.state.finished
    assert len(run.state.history) == int(run.state.best["epoch"]) + 2 < 40


@pytest.mark.parametrize("mae", [np.nan, np.inf])
def test_a_validation_that_is_not_finite_ends_the_training_and_leaves_the_best_epoch(trainer, monkeypatch, mae):
    run = trainer("original", **TEN)
    values, replaced = run._validation.values, iter([None, mae])
    monkeypatch.setattr(run._validation, "values", lambda: {**values(), **_mae(next(replaced))})
    with pytest.raises(RunError, match=rf"in epoch 2: after step 20, val/mae is {mae}\n  lower training.learning_rate"):
        run.run()
    assert load_checkpoint(run.best_checkpoint).best["epoch"] == load_checkpoint(run.last_checkpoint).step // 10 == 1
    assert not (run.folder / "logs" / "training_record.json").exists()
    rows = list(csv.DictReader((run.folder / "logs" / "training_log.csv").open()))
    assert [row["val/mae"] for row in rows][1] == str(mae)


def _mae(value):
    return {} if value is None else {"val/mae": value}


@pytest.mark.parametrize(("rate", "epochs"), [(1e12, 2), (1e30, 1)])
def test_a_training_that_goes_wrong_names_the_step_and_saves_nothing(trainer, rate, epochs):
    """Batch normalisation keeps the training loss finite at a rate that leaves nothing of the weights."""
    settings = {**TEN, "training.learning_rate": rate, "training.mixtures_per_epoch": 100, "training.epochs": epochs}
    for _ in range(2):
        # The same when it is started again: it does not pass for finished.
        run = trainer("original", **settings)
        message = rf"in epoch 1: in step \d+, .*\n  lower training.learning_rate \(now {rate:g}\).*no state is saved"
        with pytest.raises(RunError, match=message.replace("+", r"\+").replace(r"\d\+", r"\d+")):
            run.run()
    assert not run.best_checkpoint.exists() and not run.last_checkpoint.exists()
    assert not (run.folder / "logs" / "training_record.json").exists()


def test_loss_that_is_not_a_number_stops_with_a_hint(trainer):
    run = trainer()
    with torch.no_grad():
        run.model.head.readout["proportion"].weight.fill_(float("nan"))
    with pytest.raises(RunError, match="in step 1, the loss or a weight"):
        run.run()
    # The log has the epoch that failed, so that a diagnosis can name it.
    (row,) = csv.DictReader((run.folder / "logs" / "training_log.csv").open())
    assert (row["epoch"], row["step"], row["train/total_loss"], row["val/mae"]) == ("1", "1", "nan", "")


def test_mixed_precision_hides_no_overflow(trainer, monkeypatch):
    """In bfloat16, as on a GPU: a product that overflows ends the training in its step."""
    autocast = torch.autocast("cpu", torch.bfloat16, cache_enabled=False)
    monkeypatch.setattr("methmix.training.step._mixed_precision", lambda *_: autocast)
    sound = trainer("original", **TEN, **{"training.epochs": 1})
    assert sound.run() == 0
    run = trainer("original", sound.folder.with_name("overflow"), **TEN, **{"training.epochs": 1})
    train_step = run.train_step

    def overflowing(step, batch):
        if step == 6:
            with torch.no_grad():
                run.model.backbone[1].weight.fill_(3e38)
        train_step(step, batch)

    monkeypatch.setattr(run, "train_step", overflowing)
    with pytest.raises(RunError, match="in step 7, the loss or a weight is not finite"):
        run.run()
    assert not run.best_checkpoint.exists()


@pytest.mark.parametrize("what", ["weight", "buffer", "optimiser", "loss", "validation"])
def test_a_state_that_is_not_finite_is_never_saved(finished, what):
    state, path = load_checkpoint(finished.last_checkpoint), finished.last_checkpoint
    saved = path.read_bytes()
    match what:
        case "weight":
            state.model["head.readout.presence.weight"][0, 0] = torch.inf
        case "buffer":
            state.model["backbone.2.running_var"][0] = torch.nan
        case "optimiser":
            state.optimiser["state"][0]["exp_avg_sq"].view(-1)[0] = torch.inf
        case "loss":
            state.epoch_sums["total_loss"] = math.nan
        case "validation":
            state.best["val/mae"] = math.nan
    with pytest.raises(RunError, match=r"checkpoint_last\.pt: is not written: .* of step 12 is not finite"):
        save_checkpoint(path, state)
    assert path.read_bytes() == saved


def test_arms_see_the_same_training_mixtures_where_they_ask_for_the_same_kinds(trainer):
    kinds = {"training.any_fraction": 0.3, "training.partial_fraction": 0.25, "training.pure_fraction": 0.2}
    original, sparse = trainer("original", **kinds), trainer("sparse")
    for step in (0, 5):
        for a, b in zip(original.batches.batch(step)[:3], sparse.batches.batch(step)[:3], strict=True):
            assert torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
    alone, shared = trainer("original").batches.batch(0), sparse.batches.batch(0)
    assert not torch.equal(alone.proportions, shared.proportions)


@pytest.mark.parametrize("attributes", [{"split": "test"}, {"phase": "phase1"}])
def test_an_epoch_is_not_chosen_on_other_mixtures(data, tmp_path, attributes):
    reference, validation = data
    other = replace(validation, attributes={**validation.attributes, **attributes})
    with pytest.raises(InputError, match="least of all on those of the test"):
        Trainer(tiny_arm("sparse"), tiny_experiment(), reference, other, tmp_path, torch.device("cpu"))


@pytest.mark.usefixtures("finished")
def test_training_on_fewer_validation_mixtures_is_another_training(data, tmp_path, caplog):
    reference, validation = data
    half = replace(
        validation,
        methylation=validation.methylation[:50],
        depth=validation.depth[:50],
        proportions=validation.proportions[:50],
    )
    run = Trainer(tiny_arm("sparse"), tiny_experiment(), reference, half, tmp_path / "run", torch.device("cpu"))
    assert run.run() == 0
    assert "of other validation mixtures" in caplog.text


def test_training_with_another_truth_of_the_same_validation_mixtures_is_another_training(trainer, data, tmp_path):
    """The truth chooses the best epoch."""
    reference, validation = data
    other = replace(validation, proportions=validation.label_proportions)
    assert (other.proportions != validation.proportions).any()
    run = Trainer(tiny_arm("sparse"), tiny_experiment(), reference, other, tmp_path / "run", torch.device("cpu"))
    one, two = trainer().state.identity, run.state.identity
    assert [name for name in one if one[name] != two[name]] == ["validation mixtures"]


def test_validation_mixtures_of_another_reference_are_refused(data):
    other = Reference(
        data[0].methylated[:, 1:],
        data[0].depth[:, 1:],
        data[0].donors,
        data[0].tissues,
        data[0].split,
        data[0].regions.iloc[1:],
        data[0].attributes,
    )
    with pytest.raises(InputError, match="another reference"):
        Trainer(tiny_arm("sparse"), tiny_experiment(), other, data[1], None, torch.device("cpu"))  # type: ignore[arg-type]


def former_names(weights):
    """Give weights the names and calibration that they had when heads were no modules of their own."""
    weights = dict(weights)
    if of_tissues := weights.pop("head.intervals.outside", None) is not None:
        for part in ("weight", "bias"):
            name = f"head.intervals.quantiles.{part}"
            weights[name] = torch.cat([weights[name], weights[name][:1]])
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("limits.")}
        weights |= {"head.intervals.shift": torch.tensor(0.3), "limits.detection_ratio": torch.tensor(6.0)}
        weights["limits.misfit_curve"] = torch.tensor([1.0, 0.5])
    for name in ("head.prior", "head.readout.change"):
        weights.pop(name, None)
    former = {
        "head.intervals.quantiles": "interval_head",
        "head.intervals.": "interval_",
        "limits.": "",
        "head.readout.presence": "presence_head",
        "head.readout.proportion": "proportion_head",
        "head.readout": "leave" if of_tissues else "proportion_head",
    }
    named = {}
    for name, tensor in weights.items():
        now = next((now for now in former if name.startswith(now)), "")
        named[former.get(now, "") + name.removeprefix(now)] = tensor
    return named


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["original", "original on the reference", "sparse", "sparse on the reference"])
def test_a_checkpoint_of_before_loads(trainer, tmp_path, arm):
    run = trainer(arm, **{"training.epochs": 1})
    run.run()
    checkpoint = load_checkpoint(run.best_checkpoint)
    names = set(former_names(checkpoint.model))
    assert {
        "original": {"proportion_head.weight"},
        "original on the reference": {"proportion_head.weight"},
        "sparse": {"proportion_head.weight", "presence_head.bias"},
        "sparse on the reference": {"leave.bias", "interval_head.bias", "interval_shift", "misfit_curve"},
    }[arm] <= names and not any(name.startswith(("head.", "limits.")) for name in names)
    save_checkpoint(tmp_path / "former.pt", replace(checkpoint, model=former_names(checkpoint.model)))
    model, _ = load_model(tmp_path / "former.pt")
    # What an earlier calibration stated did not hold: only that is not known any more.
    calibrated = ("head.readout.change", "head.prior", "head.intervals.outside", "limits.")
    kept, expected = (
        {name: tensor for name, tensor in state.items() if not name.startswith(calibrated)}
        for state in (model.state_dict(), checkpoint.model)
    )
    assert_equal_weights(kept, expected)
    assert not {"low", "limit", "misfit_limit"} & model.estimates


@pytest.mark.slow
def test_stages_are_fitted_anew_unless_a_tissue_has_no_validation_donor(trainer, data, tmp_path):
    whole = trainer("sparse on the reference", **{"training.epochs": 1})
    assert whole.run() == 0
    assert load_checkpoint(whole.best_checkpoint).model["head.readout.change"].any(dim=1).all()
    reference = data[0]
    split = [
        "train" if tissue == "Liver" and own == "validation" else own
        for tissue, own in zip(reference.tissues, reference.split, strict=True)
    ]
    borrowing = replace(reference, split=split)
    arm = tiny_arm("sparse", **{"model.backbone": "reference", "training.epochs": 1})
    mixtures = tiny_mixtures(borrowing, "validation", tmp_path)
    run = Trainer(arm, tiny_experiment(), borrowing, mixtures, tmp_path / "borrowing", torch.device("cpu"))
    assert run.run() == 0
    assert not load_checkpoint(run.best_checkpoint).model["head.readout.change"].any()


@pytest.mark.slow
def test_presence_that_an_earlier_version_has_mapped_remains_as_mapped(trainer, tmp_path):
    run = trainer("sparse on the reference", **{"training.epochs": 1})
    run.run()
    checkpoint = load_checkpoint(run.best_checkpoint)
    del checkpoint.model["head.readout.change"]
    save_checkpoint(
        tmp_path / "former.pt",
        replace(checkpoint, model={**checkpoint.model, "head.presence_map": torch.tensor([1.4, -0.3])}),
    )
    present, former = (load_model(path)[0] for path in (run.best_checkpoint, tmp_path / "former.pt"))
    present.head.readout.change.zero_()
    hidden = torch.randn(5, 3, present.head.readout.weight.shape[1])
    learnt, mapped = (model.head.readout(hidden) for model in (present, former))
    torch.testing.assert_close(mapped["presence"], 1.4 * learnt["presence"] - 0.3)
    torch.testing.assert_close(mapped["proportion"], learnt["proportion"])


def test_a_checkpoint_of_other_tissues_or_regions_is_refused(finished, data):
    path, names = finished.best_checkpoint, data[0].tissue_names
    checkpoint = load_checkpoint(path)
    with pytest.raises(InputError, match=r"only in the model: Blood; only in the data: Spleen"):
        check_same_data(path, checkpoint, ["Spleen", *names[1:]], "x", "the reference")
    with pytest.raises(InputError, match="another region set"):
        check_same_data(path, checkpoint, names, "x", "the reference")


class TestCommand:
    def run(self, monkeypatch, *arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", ["training", *arguments])
        return main()

    def test_debug_writes_every_output(self, monkeypatch, tmp_path):
        arguments = [
            "--config", "config/phase2_sparse.yaml", "--experiment", "config/tiny.yaml", "--debug",
            "--output", str(tmp_path),
        ]  # fmt: skip
        assert self.run(monkeypatch, *arguments) == 0
        for name in (
            "checkpoints/checkpoint_best.pt",
            "checkpoints/checkpoint_last.pt",
            "logs/training_log.csv",
        ):
            assert (tmp_path / name).is_file()
        assert len(load_checkpoint(tmp_path / "checkpoints" / "checkpoint_best.pt").history) == 1

    def test_original_config_for_the_sparse_arm(self, monkeypatch, capsys):
        assert self.run(monkeypatch, "--config", "config/phase2_multitissue.yaml", "--arm", "sparse") == 2
        assert "expected sparse, found 'original'" in capsys.readouterr().err

    def test_missing_reference_says_what_makes_it(self, monkeypatch, capsys, tmp_path):
        arguments = ["--config", "config/phase2_sparse.yaml", "--reference", str(tmp_path / "reference.h5")]
        assert self.run(monkeypatch, *arguments) == 2
        assert "python -m methmix.reference build" in capsys.readouterr().err

    def test_unknown_override(self, monkeypatch, capsys):
        arguments = ["--config", "config/phase2_sparse.yaml", "--set", "training.epoch=3"]
        assert self.run(monkeypatch, *arguments) == 2
        assert "training.epoch" in capsys.readouterr().err

    def test_output_that_cannot_be_written(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "file").write_text("")
        arguments = [
            "--config", "config/phase2_sparse.yaml", "--experiment", "config/tiny.yaml", "--debug",
            "--output", str(tmp_path / "file" / "run"),
        ]  # fmt: skip
        assert self.run(monkeypatch, *arguments) == 2
        assert "cannot write here" in capsys.readouterr().err

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
    def test_gpu_that_is_not_there(self, monkeypatch, capsys):
        arguments = ["--config", "config/phase2_sparse.yaml", "--debug", "--device", "cuda"]
        assert self.run(monkeypatch, *arguments) == 2
        assert "no GPU" in capsys.readouterr().err

    def test_gpu_whose_memory_does_not_suffice(self, monkeypatch, capsys, tmp_path):
        def exhausted(*_):
            raise torch.cuda.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.44 GiB. GPU 0 has a total capacity of 79.10 GiB of which "
                "1.02 GiB is free. Including non-PyTorch memory, this process has 78.07 GiB memory in use."
            )

        monkeypatch.setattr(Trainer, "train_step", exhausted)
        arguments = [
            "--config", "config/phase2_sparse.yaml", "--experiment", "config/tiny.yaml", "--debug",
            "--output", str(tmp_path),
        ]  # fmt: skip
        assert self.run(monkeypatch, *arguments) == 1
        message = capsys.readouterr().err
        assert "2.44 GiB more are needed, 1.02 GiB of 79.10 GiB are free" in message
        assert "lower training.batch_size" in message
