"""The training loop, readable from top to bottom."""

import hashlib
import json
import logging
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import AdamW

from methmix import cli, metrics, provenance, seeds
from methmix.config import Arm, Experiment, to_yaml
from methmix.errors import InputError, RunError
from methmix.files import Mixtures, Reference, write_text
from methmix.mixtures import MixtureSampler
from methmix.models import Model, Prediction, build_model, predict
from methmix.models.registry import n_parameters
from methmix.training.batches import TrainingBatches
from methmix.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    regions_to_tensors,
    save_checkpoint,
    summary,
)
from methmix.training.monitor import Monitor
from methmix.training.schedule import learning_rate

logger = logging.getLogger("methmix")

# Exit code of a training that was asked to stop and saved its state, so that a script can submit it again.
STOPPED = 75
_BATCH = 256
# What a training has cost adds up over its interruptions.
_COSTS = ("train_seconds", "peak_memory_mb", "gpu_peak_memory_mb")


class Trainer:
    """Trains one arm, or goes on where an interrupted training stopped.

    Parameters
    ----------
    arm, experiment
        Configuration.
    reference
        Donors; only those of the train split are mixed.
    validation
        Validation mixtures, by which the best epoch is chosen.
    folder
        Run folder; checkpoints and logs are written below it.
    device
        Where to compute.
    """

    def __init__(
        self,
        arm: Arm,
        experiment: Experiment,
        reference: Reference,
        validation: Mixtures,
        folder: Path,
        device: torch.device,
    ) -> None:
        if validation.attributes.get("reference_digest") != reference.content_digest:
            raise InputError(
                "the validation mixtures were made of another reference",
                "make them again: python -m methmix.mixtures",
            )
        made_for = (validation.attributes.get("split"), validation.attributes.get("phase"))
        if made_for != ("validation", arm.phase):
            raise InputError(
                f"the validation mixtures are of split {made_for[0]!r}, {made_for[1]!r}; "
                f"expected 'validation', {arm.phase!r}",
                "an epoch must not be chosen on other mixtures, least of all on those of the test",
            )
        self.arm = arm
        self.experiment = experiment
        self.folder = folder
        self.device = device
        self._validation = validation
        self._settings = arm.training
        recipe = experiment.mixtures.recipes[arm.phase]
        self._batches = TrainingBatches(
            MixtureSampler(reference, "train", recipe, experiment.mixtures.mean_depths),
            experiment.seed,
            arm.phase,
            self._settings.batch_size,
            self._settings.pure_fraction,
        )
        profiles = torch.from_numpy(reference.complete_profiles("train"))
        initial_seed = seeds.integer(experiment.seed, "model", arm.phase)
        self.model: Model = build_model(arm, profiles, initial_seed).to(device)
        self._optimiser = AdamW(
            self.model.parameters(),
            lr=self._settings.learning_rate,
            weight_decay=self._settings.weight_decay,
            fused=True,
        )
        self.state = Checkpoint(
            arm=arm.model_dump(mode="json"),
            seed=experiment.seed,
            tissue_names=reference.tissue_names,
            regions=regions_to_tensors(reference.regions),
            genome=str(reference.attributes.get("genome", "unknown")),
            reference_digest=reference.digest,
            identity={
                "configuration": _digest(arm.model_dump_json(exclude={"experiment"})),
                "reference": reference.content_digest,
                "mixtures": _digest(f"{experiment.seed} {recipe} {experiment.mixtures.mean_depths}"),
                "validation mixtures": hashlib.sha256(validation.methylation.tobytes()).hexdigest()[:16],
                "code": provenance.source_digest("training", "models", "mixtures", "files"),
            },
            model={},
            optimiser={},
            record={
                "train_seconds": 0.0,
                "peak_memory_mb": 0.0,
                "n_parameters": n_parameters(self.model),
                "device": _device_name(device),
                "host": platform.node(),
                "commit": provenance.commit(),
                "versions": provenance.versions(),
                "reference_notes": str(reference.attributes.get("notes", "[]")),
            },
        )
        self._stop_signal: int | None = None

    @property
    def last_checkpoint(self) -> Path:
        """Where the state is saved after every epoch."""
        return self.folder / "checkpoints" / "checkpoint_last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """Where the model of the best epoch is saved."""
        return self.folder / "checkpoints" / "checkpoint_best.pt"

    def run(self) -> int:
        """Train to the end.

        Returns
        -------
        int
            0, or `STOPPED` if a signal asked to stop; the state is then saved.

        Raises
        ------
        RunError
            The loss is not a number.
        """
        self._resume()
        if self.state.finished:
            logger.info("%s: training is finished already", self.last_checkpoint)
            self._write_record()
            return 0
        write_text(self.folder / "logs" / "config.yaml", to_yaml(self.arm))
        monitor = Monitor(self.folder / "logs", self.state.history)
        started = time.monotonic()
        before = self.state.record["train_seconds"]
        total, per_epoch = self._settings.total_steps, self._settings.steps_per_epoch
        remaining = total - self.state.step
        batches = self._batches.steps(self.state.step, total)
        try:
            with self._stop_on_signal():
                for step, methylation, proportions in cli.progress(batches, f"{self.arm.arm} steps", remaining):
                    self._step(step, methylation, proportions)
                    self.state.step = step + 1
                    self.state.record["train_seconds"] = before + time.monotonic() - started
                    if self.state.step % per_epoch == 0:
                        self._end_epoch(monitor)
                        if self.state.finished:
                            break
                    if self._stop_signal is not None and not self.state.finished:
                        self._save_last()
                        logger.warning(
                            "%s: stopped at step %d of %d; the same command goes on from there",
                            signal.Signals(self._stop_signal).name,
                            self.state.step,
                            total,
                        )
                        return STOPPED
        finally:
            batches.close()
            monitor.close()
        self._write_record()
        logger.info(
            "finished after %d steps, %.0f s; best validation MAE %.5f in epoch %d; %s",
            self.state.step,
            self.state.record["train_seconds"],
            self.state.best["val/mae"],
            self.state.best["epoch"],
            self.best_checkpoint,
        )
        return 0

    def _step(self, step: int, methylation: torch.Tensor, proportions: torch.Tensor) -> None:
        rate = learning_rate(
            step, self._settings.total_steps, self._settings.learning_rate, self._settings.warmup_fraction
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        # Dropout draws from a stream of this step, so that a resumed training repeats it exactly.
        torch.manual_seed(seeds.integer(self.experiment.seed, "dropout", self.arm.phase, step))
        methylation = methylation.to(self.device, non_blocking=True)
        parts = self.model.loss(methylation, proportions.to(self.device, non_blocking=True))
        if not torch.isfinite(parts.total):
            raise RunError(
                f"the training loss is {parts.total.item()} at step {step}",
                "lower training.learning_rate; the last good state is in checkpoint_last.pt",
            )
        self._optimiser.zero_grad(set_to_none=True)
        parts.total.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        sums = self.state.epoch_sums
        for name, value in zip(("total_loss", "mse_loss", "presence_loss", "sparsity_loss"), parts, strict=True):
            sums[name] = sums.get(name, 0.0) + value.item()
        sums["steps"] = sums.get("steps", 0.0) + 1

    def _end_epoch(self, monitor: Monitor) -> None:
        state, sums = self.state, self.state.epoch_sums
        epoch = state.step // self._settings.steps_per_epoch
        last_batch = self._batches.batch(state.step - 1)
        row = {
            "epoch": epoch,
            "step": state.step,
            "train/learning_rate": self._optimiser.param_groups[0]["lr"],
            **{f"train/{name}": value / sums["steps"] for name, value in sums.items() if name != "steps"},
            "train/presence_accuracy": self._presence_accuracy(*last_batch),
            **self._validate(),
            "seconds": round(state.record["train_seconds"], 1),
        }
        state.epoch_sums = {}
        state.history.append(row)
        improved = not state.best or row["val/mae"] < state.best["val/mae"]
        if improved:
            state.best = dict(row)
        waited = epoch - int(state.best["epoch"])
        out_of_patience = waited >= self._settings.early_stopping_patience
        state.finished = state.step == self._settings.total_steps or out_of_patience
        if self.device.type == "cuda":
            gpu_peak = torch.cuda.max_memory_allocated(self.device) / 2**20
            state.record["gpu_peak_memory_mb"] = max(state.record.get("gpu_peak_memory_mb", 0.0), round(gpu_peak, 1))
        state.record["peak_memory_mb"] = max(state.record["peak_memory_mb"], round(provenance.peak_memory_mb(), 1))
        if improved:
            save_checkpoint(self.best_checkpoint, self._snapshot(optimiser=False))
        elif state.finished:
            self._complete_best()
        self._save_last()
        monitor.epoch(state.history)
        logger.info(
            "epoch %d of %d: training loss %.5f, validation MAE %.5f, spurious %.2f, tissues %.2f%s",
            epoch,
            self._settings.epochs,
            row["train/total_loss"],
            row["val/mae"],
            row["val/spurious_per_mixture"],
            row["val/predicted_tissues"],
            " (best)" if improved else "",
        )
        if out_of_patience:
            logger.info("no better validation MAE for %d epochs: training ends here", waited)

    def _validate(self) -> dict[str, float]:
        true = self._validation.proportions
        predicted = predict(self.model, self._validation.methylation).proportions
        losses = self._validation_losses()
        return {
            **{f"val/{name}": value for name, value in losses.items()},
            # As at inference; the loss, as in training, opens the gate for the tissues that are there.
            "val/mse_loss": float(np.square(predicted - true).mean()),
            "val/presence_accuracy": metrics.presence_accuracy(true, predicted),
            "val/mae": metrics.mae(true, predicted),
            "val/predicted_tissues": metrics.predicted_tissues(predicted),
            "val/spurious_per_mixture": metrics.spurious_per_mixture(true, predicted),
        }

    def _validation_losses(self) -> dict[str, float]:
        names = ("total_loss", "mse_loss", "presence_loss", "sparsity_loss")
        sums = np.zeros(len(names))
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(self._validation), _BATCH):
                rows = slice(start, start + _BATCH)
                methylation = torch.from_numpy(self._validation.methylation[rows]).to(self.device)
                true = torch.from_numpy(self._validation.proportions[rows]).to(self.device)
                parts = self.model.loss(methylation, true)
                sums += len(true) * np.array([part.item() for part in parts])
        return dict(zip(names, (sums / len(self._validation)).tolist(), strict=True))

    def _presence_accuracy(self, methylation: torch.Tensor, true: torch.Tensor) -> float:
        predicted: Prediction = predict(self.model, methylation.numpy())
        return metrics.presence_accuracy(true.numpy(), predicted.proportions)

    def _snapshot(self, optimiser: bool) -> Checkpoint:
        values: dict[str, Any] = dict(vars(self.state))
        values["model"] = {name: tensor.detach().cpu() for name, tensor in self.model.state_dict().items()}
        values["optimiser"] = self._optimiser.state_dict() if optimiser else {}
        return Checkpoint(**values)

    def _save_last(self) -> None:
        save_checkpoint(self.last_checkpoint, self._snapshot(optimiser=True))

    def _write_record(self) -> None:
        """Write the sign that the training has ended well; the last thing it does."""
        text = json.dumps(summary(self.state), indent=2, default=str)
        write_text(self.folder / "logs" / "training_record.json", text + "\n")

    def _complete_best(self) -> None:
        """Write the record of the whole training into the checkpoint of its best epoch."""
        best = load_checkpoint(self.best_checkpoint)
        best.record, best.history, best.finished = self.state.record, self.state.history, True
        save_checkpoint(self.best_checkpoint, best)

    def _resume(self) -> None:
        if not self.last_checkpoint.is_file():
            return
        try:
            found = load_checkpoint(self.last_checkpoint)
        except InputError as error:
            self._set_aside(str(error))
            return
        differs = [name for name, value in self.state.identity.items() if found.identity.get(name) != value]
        if differs:
            self._set_aside(f"it is another training, of other {', '.join(differs)}")
            return
        if found.best and not self.best_checkpoint.is_file():
            self._set_aside("its checkpoint_best.pt is missing")
            return
        self.model.load_state_dict(found.model)
        self._optimiser.load_state_dict(found.optimiser)
        here = self.state.record
        self.state = found
        if not found.finished:
            # Where it goes on is recorded; what it has cost so far is kept.
            found.record = {**here, **{name: found.record[name] for name in _COSTS if name in found.record}}
            logger.info("going on from %s at step %d", self.last_checkpoint, found.step)

    def _set_aside(self, reason: str) -> None:
        """Keep a run that cannot be gone on with under another name, and start anew."""
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.replaced-{number}")).exists():
            number += 1
        aside.mkdir(parents=True)
        for part in ("checkpoints", "logs"):
            if (self.folder / part).exists():
                (self.folder / part).rename(aside / part)
        logger.warning(
            "the training in %s cannot be gone on with: %s; it is kept in %s, and training starts anew",
            self.folder,
            reason,
            aside,
        )

    @contextmanager
    def _stop_on_signal(self) -> Iterator[None]:
        """Save and stop after the current step when the job is told to end (SIGTERM, SIGUSR1)."""

        def note(number: int, _frame: Any) -> None:
            self._stop_signal = number

        previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
