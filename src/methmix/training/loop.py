"""The training loop, readable from top to bottom."""

import logging
import math
import platform
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.optim import AdamW

from methmix import cli, seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.config.load import to_yaml
from methmix.files.atomic import write_text
from methmix.files.checkpoint_file import not_finite
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.calibration import Known, calibrate
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES
from methmix.models.prediction import batches, predict_tensors
from methmix.models.ranks import shard
from methmix.models.registry import build_model
from methmix.reference.admixture import admixture_of
from methmix.reference.profiles import training_donors
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.scores import Scores
from methmix.training.batches import Batch, Episodes, is_shrunken, training_batches
from methmix.training.checkpoint import load_checkpoint
from methmix.training.job import STOPPED, SlurmJob, StopSignal, Usage
from methmix.training.least_squares_choice import with_least_squares
from methmix.training.lock import RunLock
from methmix.training.monitor import Monitor, Validation, matching_mixtures
from methmix.training.parallel import Ranks
from methmix.training.pictures import Pictures
from methmix.training.record import BORROWED, identity_of, log_kept, record_of, write_record
from methmix.training.run_folder import restore, resumable
from methmix.training.saves import Saves
from methmix.training.soundness import failed_row, gone_wrong, not_finite_values
from methmix.training.state import Checkpoint, new_checkpoint
from methmix.training.step import TrainingStep, learning_rate, training_step
from methmix.training.validation_facts import facts_of
from methmix.training.warm_start import WarmStart

logger = logging.getLogger("methmix")

# Steps on a GPU after which it is waited for, to see whether one has gone wrong.
_LOOKED_AT = 100


class Trainer:
    """Trains one arm, or resumes an interrupted training, in a run folder; validation mixtures choose the best epoch.

    Each of several ranks takes its part of the rows of every batch, so that the weights are those of a single process
    but for rounding; rank 0 alone validates and writes. Without a ``start``, the initial weights are random.
    """

    def __init__(
        self,
        arm: ArmSettings,
        experiment: Experiment,
        reference: Reference,
        validation: Mixtures,
        folder: Path,
        device: torch.device,
        ranks: Ranks = Ranks(),  # noqa: B008 - frozen
        job: SlurmJob | None = None,
        start: WarmStart | None = None,
    ) -> None:
        validation = matching_mixtures(validation, reference, arm.phase)
        self.experiment, self.folder, self.device = experiment, folder, device
        self._reference, self._mixtures = reference, validation
        self._ranks, self._job, self._start = ranks, job, start
        self._lock, self._stop = RunLock(folder, job), StopSignal()
        self._saves = Saves(folder, self._lock)
        self.last_checkpoint, self.best_checkpoint = self._saves.last, self._saves.best
        settings = arm.training
        self._shard = shard(settings.batch_size, ranks.rank, ranks.n_ranks)
        self._donors = training_donors(reference, arm.model.purify_donors, device)
        # The same for a training on a GPU and for the control, which has none.
        on_cpu = self._donors if device.type == "cpu" else None
        self.arm, self._choice = with_least_squares(arm, experiment, reference, on_cpu)
        self.batches = training_batches(self.arm, experiment, reference, self._donors, device)
        self.model = self._initial_model(reference).to(device)
        self._validation = Validation(self.model, validation)
        self.optimiser = AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            betas=(0.9, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=True,
        )
        identity = identity_of(self.arm, experiment, reference, validation, start)
        record = record_of(self.model, device, ranks, job, start, reference)
        record["recipe"] = self._choice.record if self._choice else {}
        record["borrowed_spread"] = self._donors.borrowed_spread
        if self.model.profiles is not None:
            record["admixture"] = admixture_of(reference, self._donors)[0].record()
        self.state = new_checkpoint(self.arm, experiment.seed, reference, identity, record)

    def _initial_model(self, reference: Reference) -> Deconvolver:
        tissues = ShrunkenProfiles(self._donors).all if is_shrunken(self.arm) else self._donors.all
        profiles = torch.from_numpy(reference.complete_profiles("train"))
        return build_model(self.arm, profiles, seeds.integer(self.experiment.seed, "model", self.arm.phase), tissues)

    def run(self) -> int:
        """Train to the end; returns 0, or the value of `STOPPED` for a signal that has stopped it, the state saved."""
        first = self._ranks.first
        with self._ranks.joined(), self._lock if first else nullcontext(), self._stop:
            try:
                self._resume()
                if self.state.finished:
                    logger.info("%s: training is finished already", self.last_checkpoint)
                else:
                    with log_kept(self.folder, self._job) if first else nullcontext():
                        stopped = self._train()
                    if stopped:
                        return STOPPED[stopped]
                if first:
                    self._lock.check()
                    write_record(self.folder, self.state)
                self._await_first()
            finally:
                # While the ranks are joined: freed after them, it would wait, with Python's lock held, for a thread
                # of gloo that may be waiting for that lock.
                vars(self).pop("_step", None)
        return 0

    def _train(self) -> Signals | None:
        """Do the remaining steps; returns the signal if one has stopped the training."""
        state, last = self.state, self.arm.training.total_steps
        if state.step:
            logger.info("resuming from %s at step %d", self.last_checkpoint, state.step)
        elif self._start:
            logger.info("starting with the weights of %s", self._start.path)
        steps: Iterable[int] = range(state.step, last)
        if self._ranks.first:
            self._write_settings()
            steps = cli.progress(steps, f"{self.arm.arm} steps", last - state.step)
        with (
            Usage(self.device, before=state.record) as usage,
            self._monitor() if self._ranks.first else nullcontext() as monitor,
        ):
            for step in steps:
                self.train_step(step, self.batches.batch(step, self._shard.rows))
                state.step = step + 1
                if self.device.type == "cpu" or state.step % _LOOKED_AT == 0:
                    self._check_steps(monitor)
                if state.step % self.arm.training.steps_per_epoch == 0:
                    self._end_epoch(usage, monitor)
                    if state.finished:
                        break
                if stop := self._ranks.largest(self._stop.number):
                    self._stop_here(Signals(stop), usage, monitor)
                    return Signals(stop)
            if monitor:
                monitor.end(state.history, state.best)
        seconds = state.record["train_seconds"]
        logger.info("finished after %d steps, %.0f s; %s", state.step, seconds, self.best_checkpoint)
        logger.info("best validation MAE %(val/mae).5f in epoch %(epoch)d", state.best)
        return None

    def _monitor(self) -> Monitor:
        recipe = self.experiment.mixtures.recipes[self.arm.phase]
        true = self._mixtures.proportions.astype(float)
        pictures = Pictures(self.arm.arm, self._reference.tissue_names, true, self.arm.training.epochs)
        facts = facts_of(self._mixtures, recipe, self.arm)
        return Monitor(self.folder / "logs", self.state.history, self.arm, facts, pictures)

    def _write_settings(self) -> None:
        """Write the resolved configuration, and what was chosen for it."""
        logs = self.folder / "logs"
        write_text(logs / "config.yaml", to_yaml(self.arm))
        if self._choice:
            self._choice.log()
            write_text(logs / "recipe.csv", self._choice.table)
        if self._donors.borrowed_spread:
            logger.warning("%s", BORROWED)

    def train_step(self, step: int, batch: Batch) -> None:
        """Do one optimiser step; its number, from 0, decides the learning rate and what dropout draws."""
        settings = self.arm.training
        rate = learning_rate(step, settings.total_steps, settings.learning_rate, settings.warmup_fraction)
        # Dropout draws from a stream of this step, so that a resumed training repeats it exactly.
        self._step(batch, rate, seeds.integer(self.experiment.seed, "dropout", self.arm.phase, step))

    @cached_property
    def _step(self) -> TrainingStep:
        """What does a step; made when the ranks are joined and have the state to start with."""
        begun = self.state.epoch_sums if self._ranks.first else {}  # those of all ranks
        parts = self.arm, self.model, self.optimiser, self._shard, self._ranks, self.device
        return training_step(*parts, begun, self.state.step)

    def _end_epoch(self, usage: Usage, monitor: Monitor | None) -> None:
        """Validate, decide whether the model is better and whether training ends, save and report."""
        state, settings = self.state, self.arm.training
        sums, state.epoch_sums = self._take_sums(monitor), {}
        state.record.update(usage.totals())
        # One rank validates; all must come to the same decision.
        row = self._ranks.of_first(self._row(sums) if self._ranks.first else None)
        if wrong := not_finite_values(row):
            self._fail(monitor, row, f"after step {state.step}, {wrong[0]} is {row[wrong[0]]}")
        state.history.append(row)
        improved = row["val/mae"] < state.best.get("val/mae", math.inf)
        state.best = dict(row) if improved else state.best
        waited = row["epoch"] - state.best.get("epoch", 0)
        state.finished = state.step == settings.total_steps or waited >= settings.early_stopping_patience
        if monitor:
            self._save_epoch(improved)
            monitor.epoch(state.history)
            monitor.draw(self._validation, row["epoch"], state.finished)
        logger.info(
            "epoch %(epoch)d of %(epochs)d: training loss %(train/total_loss).5f, validation MAE %(val/mae).5f, "
            "tissues per mixture %(val/predicted_tissues).2f, false positives %(val/spurious_per_mixture).2f%(best)s",
            {**row, "epochs": settings.epochs, "best": " (best)" if improved else ""},
        )
        if waited >= settings.early_stopping_patience:
            logger.info("no lower validation MAE for %d epochs: training ends here", waited)

    def _row(self, sums: dict[str, float]) -> dict[str, Any]:
        """Make the row of the training log for the epoch that ends here."""
        state, per_epoch = self.state, self.arm.training.steps_per_epoch
        batch = self.batches.batch(state.step - 1)
        predicted = predict_tensors(self.model, batch.methylation, batch.depth).proportions
        return {
            "epoch": state.step // per_epoch,
            "step": state.step,
            "train/learning_rate": self.optimiser.param_groups[0]["lr"],
            **{f"train/{name}": sums.get(name, 0.0) / per_epoch for name in LOSSES},
            "train/presence_accuracy": Scores(batch.proportions.cpu().numpy(), predicted).value("presence_accuracy"),
            **self._validation.values(),
            "seconds": round(state.record["train_seconds"], 1),
            "slurm_job_id": self._job.id if self._job else "",
            "node": self._job.node if self._job else platform.node(),
        }

    def _take_sums(self, monitor: Monitor | None) -> dict[str, float]:
        """Return the sums of the losses of all ranks in this epoch so far, and begin anew."""
        self._check_steps(monitor)
        sums, name = self._ranks.summed(self._step.take_sums()), not_finite(self.model.state_dict())
        if name is not None or not all(map(math.isfinite, sums.values())):
            self._fail(monitor, sums, f"by step {self.state.step}, {name or 'the training loss'} is not finite")
        return sums

    def _check_steps(self, monitor: Monitor | None) -> None:
        """End the training if a step has gone wrong."""
        if number := self._step.first_wrong:
            self.state.step = number
            sums = self._ranks.summed(self._step.take_sums())
            self._fail(monitor, sums, f"in step {number}, the loss or a weight is not finite")

    def _fail(self, monitor: Monitor | None, found: dict[str, float], what: str) -> NoReturn:
        """End a training that has gone wrong: with its log, and the model of the best epoch, which may be unsaved."""
        row = failed_row(self.state.step, self.arm.training.steps_per_epoch, found)
        if monitor:
            monitor.epoch([*self.state.history, row])
            self._saves.write_best()
        raise gone_wrong(what, row, self.arm.training.learning_rate, self.last_checkpoint)

    def _stop_here(self, stop: Signals, usage: Usage, monitor: Monitor | None) -> None:
        """Save the state after a signal."""
        state = self.state
        state.record.update(usage.totals())
        state.epoch_sums = self._take_sums(monitor)
        if self._ranks.first:
            self._save_state()
        self._await_first()
        last = self.arm.training.total_steps
        logger.warning("%s: stopped at step %d of %d; the same command resumes from there", stop.name, state.step, last)

    def _await_first(self) -> None:
        """Wait until the first rank has saved: SLURM ends it soon after another one has ended."""
        self._ranks.largest(0)

    def _save_epoch(self, improved: bool) -> None:
        """Save the state now and then; at the end, the model of the best epoch is calibrated."""
        state = self.state
        if improved:
            # What goes on changing is copied; what a training was resumed with is not for use.
            kept: dict[str, Any] = {"history": list(state.history), "record": dict(state.record), "optimiser": {}}
            self._saves.keep_best(replace(state, model=self._weights(), **kept))
        if state.finished:
            self._saves.write_best()
            self._saves.keep_best(self._calibrated())
        if state.finished or self._saves.are_due:
            self._save_state()

    def _save_state(self) -> None:
        weights, optimiser = self.model.state_dict(), self.optimiser.state_dict()
        self._saves.write_state(replace(self.state, model=weights, optimiser=optimiser))

    def _calibrated(self) -> Checkpoint:
        """Calibrate the model of the best epoch."""
        best, last, reference = load_checkpoint(self.best_checkpoint), self._weights(), self._reference
        self.model.load_state_dict(best.model)
        episodes = self.batches.episodes or Episodes(reference, self._donors, is_shrunken(self.arm))
        drawn = (Known(*batch) for batch in self.batches.calibration(episodes))
        of = self._mixtures
        parts = batches(self.model, of.methylation, of.depth, of.proportions)
        left_out = (Known(methylation, depth, true, None) for methylation, depth, true in parts)
        rests_on = calibrate(
            self.model,
            drawn,
            left_out,
            real=reference.known_composition is None,
            n_independent=0 if reference.shared_tissues("validation") else reference.split.count("validation"),
        )
        self.state.best |= rests_on
        weights, state = self._weights(), self.state
        self.model.load_state_dict(last)
        return replace(best, model=weights, best=state.best, record=state.record, history=state.history, finished=True)

    def _weights(self) -> dict[str, Tensor]:
        """Copy the weights, on the device of the model."""
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _resume(self) -> None:
        """Load the state in the run folder, if it is of this training; or the weights to start with."""
        found = resumable(self.folder, self.state.identity) if self._ranks.first else None
        if not self._ranks.of_first(found is not None):
            if self._start:
                self.model.load_state_dict({**self.model.state_dict(), **self._start.weights})
            return
        found = found or load_checkpoint(self.last_checkpoint)
        restore(self.last_checkpoint, found, self.model, self.optimiser, self._ranks)
        if not found.finished:
            # The record is of where it is resumed, but includes what it has cost so far.
            spent = {name: found.record[name] for name in Usage.names if name in found.record}
            found.record = {**self.state.record, **spent}
        self.state = found
