"""The training loop, readable from top to bottom."""

import hashlib
import json
import logging
import math
import platform
import signal
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from methmix import cli, metrics, provenance, seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.config.load import to_yaml
from methmix.errors import InputError, RunError
from methmix.files.atomic import write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.least_squares import Profiles
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.losses import LossParts
from methmix.models.prediction import predict
from methmix.models.ranks import shard, sharing
from methmix.models.registry import Model, build_model, n_parameters
from methmix.rows import blocks
from methmix.training.batches import Batch, TrainingBatches
from methmix.training.checkpoint import (
    Checkpoint,
    donors,
    load_checkpoint,
    regions_to_tensors,
    save_checkpoint,
    summary,
)
from methmix.training.episodes import Episodes
from methmix.training.job import SlurmJob, Usage
from methmix.training.lock import RunLock
from methmix.training.monitor import Monitor
from methmix.training.parallel import Ranks
from methmix.training.resume import best_checkpoint, last_checkpoint, resumable
from methmix.training.schedule import learning_rate
from methmix.training.validation import LOSSES, calibrate, validate
from methmix.training.warm_start import WarmStart

logger = logging.getLogger("methmix")

_BLOCK = 100
# How a training ends that was asked to stop and has saved its state. A scheduler's warning (SIGUSR1) and the order
# to end (SIGTERM) must be told apart by the script around it: only after a warning may the job be started again.
STOPPED = {signal.SIGUSR1: 75, signal.SIGTERM: 128 + signal.SIGTERM}


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
    ranks
        This process among those that train together. Each takes its share of the rows of every batch, so that the
        weights are those of a single process but for rounding; rank 0 alone validates and writes.
    job
        The SLURM job around this process, for the record.
    start
        Weights to start with; by default random ones.
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
        self._ranks = ranks
        self._job = job
        self._start = start
        self._lock = RunLock(folder, job)
        self._validation = validation
        self._settings = arm.training
        self._shard = shard(self._settings.batch_size, ranks.rank, ranks.n_ranks)
        recipe = experiment.mixtures.recipes[arm.phase]
        episodes = None
        if self._settings.leave_donors_out or arm.model.backbone == "reference":
            episodes = Episodes(reference, arm.model.purify_donors, device)
        self._batches = TrainingBatches(
            MixtureSampler(reference, "train", recipe, experiment.mixtures.mean_depths, device),
            experiment.seed,
            arm.phase,
            self._settings.batch_size,
            self._settings.pure_fraction,
            episodes if self._settings.leave_donors_out else None,
            rows=slice(self._shard.first, self._shard.last),
        )
        profiles = torch.from_numpy(reference.complete_profiles("train"))
        initial_seed = seeds.integer(experiment.seed, "model", arm.phase)
        tissues = episodes.profiles if episodes else None
        self.model: Model = build_model(arm, profiles, initial_seed, tissues)
        self.model.to(device)
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
            regions=regions_to_tensors(reference),
            genome=str(reference.attributes.get("genome", "unknown")),
            reference_digest=reference.digest,
            identity={
                "configuration": _digest(arm.model_dump_json(exclude={"experiment"})),
                "reference": reference.content_digest,
                "mixtures": _digest(f"{experiment.seed} {recipe} {experiment.mixtures.mean_depths}"),
                "validation mixtures": _content(validation),
                "initial weights": start.digest if start else "random",
                "code": provenance.source_digest("methmix.training"),
            },
            model={},
            optimiser={},
            record={
                "n_parameters": n_parameters(self.model),
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
                "n_ranks": ranks.n_ranks,
                "warm_start": {"checkpoint": str(start.path), "weights": start.digest} if start else {},
                "host": platform.node(),
                "slurm": asdict(job) if job else {},
                "commit": provenance.commit(),
                "versions": provenance.versions(),
                "reference_notes": str(reference.attributes.get("notes", "[]")),
                "donors": donors(reference),
            },
        )
        self._sums = torch.zeros(len(LOSSES), dtype=torch.float64, device=device)
        self._stop_signal = 0

    @property
    def last_checkpoint(self) -> Path:
        """Where the state is saved after every epoch."""
        return last_checkpoint(self.folder)

    @property
    def best_checkpoint(self) -> Path:
        """Where the model of the best epoch is saved."""
        return best_checkpoint(self.folder)

    def run(self) -> int:
        """Train to the end.

        Returns
        -------
        int
            0, or the value of `STOPPED` for the signal that asked to stop; the state is then saved.

        Raises
        ------
        RunError
            The loss is not a number, or another process trains in this folder.
        """
        first = self._ranks.first
        with self._ranks.joined(), self._lock if first else nullcontext(), self._stop_on_signal():
            self._resume()
            if self.state.finished:
                logger.info("%s: training is finished already", self.last_checkpoint)
            else:
                with self._log_kept() if first else nullcontext():
                    stopped = self._train()
                if stopped:
                    return STOPPED[stopped]
            if first:
                self._lock.check()
                self._write_record()
        return 0

    def _train(self) -> signal.Signals | None:
        """Do the steps that are left; give the signal if one has stopped the training."""
        state, last = self.state, self._settings.total_steps
        if state.step:
            logger.info("going on from %s at step %d", self.last_checkpoint, state.step)
        elif self._start:
            logger.info("starting with the weights of %s", self._start.path)
        if self._ranks.first:
            write_text(self.folder / "logs" / "config.yaml", to_yaml(self.arm))
        loss = _loss_of(self.model, self._ranks)
        with (
            Usage(self.device, before=state.record) as usage,
            Monitor(self.folder / "logs", state.history) if self._ranks.first else nullcontext() as monitor,
        ):
            for step, batch in self._shown(self._batches.steps(state.step, last), last - state.step):
                self._step(step, loss, batch)
                state.step = step + 1
                if state.step % self._settings.steps_per_epoch == 0:
                    self._end_epoch(usage, monitor)
                    if state.finished:
                        break
                if stop := self._ranks.largest(self._stop_signal):
                    state.record.update(usage.totals())
                    state.epoch_sums = self._epoch_sums()
                    self._save(self.last_checkpoint, self._snapshot(optimiser=True))
                    # A rank that has nothing to save must not end, and its job with it, while the first one saves.
                    self._ranks.largest(0)
                    name = signal.Signals(stop).name
                    logger.warning(
                        "%s: stopped at step %d of %d; the same command goes on from there", name, state.step, last
                    )
                    return signal.Signals(stop)
        logger.info(
            "finished after %d steps, %.0f s; best validation MAE %.5f in epoch %d; %s",
            state.step,
            state.record["train_seconds"],
            state.best["val/mae"],
            state.best["epoch"],
            self.best_checkpoint,
        )
        return None

    def _shown(self, batches: Iterable[Any], remaining: int) -> Iterable[Any]:
        return cli.progress(batches, f"{self.arm.arm} steps", remaining) if self._ranks.first else batches

    def _step(self, step: int, loss: nn.Module, batch: Batch) -> None:
        rate = learning_rate(
            step, self._settings.total_steps, self._settings.learning_rate, self._settings.warmup_fraction
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        # Dropout draws from a stream of this step, so that a resumed training repeats it exactly.
        torch.manual_seed(seeds.integer(self.experiment.seed, "dropout", self.arm.phase, step))
        with sharing(self._shard):
            with self._mixed_precision():
                parts: LossParts = loss(batch.methylation, batch.proportions, batch.depth, batch.profiles)
            self._optimiser.zero_grad(set_to_none=True)
            # Each rank has its share of the loss, and the ranks' gradients are averaged.
            (parts.total * self._ranks.n_ranks).backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        # Not read before the epoch ends: a GPU would have to wait for each step.
        self._sums += torch.stack(parts).detach()

    def _mixed_precision(self) -> AbstractContextManager[None]:
        """Compute the products of an MLP in bfloat16 on a GPU that has it.

        A CPU spends as much on drawing the reads as on the products, and least squares need their precision.
        """
        usable = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=usable and self.arm.model.backbone == "mlp")

    def _epoch_sums(self) -> dict[str, float]:
        """Give the sums of the losses of all ranks in this epoch so far, and begin anew.

        Raises
        ------
        RunError
            One is not a number.
        """
        sums = self._ranks.summed(dict(zip(LOSSES, self._sums.tolist(), strict=True)))
        self._sums.zero_()
        if not all(math.isfinite(value) for value in sums.values()):
            raise RunError(
                f"the training loss is {sums['total_loss']} in epoch "
                f"{(self.state.step - 1) // self._settings.steps_per_epoch + 1}",
                "lower training.learning_rate; the last good state is in checkpoint_last.pt",
            )
        return sums

    def _end_epoch(self, usage: Usage, monitor: Monitor | None) -> None:
        state = self.state
        sums = self._epoch_sums()
        state.epoch_sums = {}
        state.record.update(usage.totals())
        # One rank looks at the validation mixtures; all must come to the same decision.
        row = self._ranks.told_by_first(self._row(sums) if self._ranks.first else None)
        state.history.append(row)
        improved = not state.best or row["val/mae"] < state.best["val/mae"]
        if improved:
            state.best = dict(row)
            if self._ranks.first:
                state.best |= calibrate(self.model, self._validation)
        waited = row["epoch"] - state.best["epoch"]
        out_of_patience = waited >= self._settings.early_stopping_patience
        state.finished = state.step == self._settings.total_steps or out_of_patience
        if improved:
            self._save(self.best_checkpoint, self._snapshot(optimiser=False))
        elif state.finished and self._ranks.first:
            self._complete_best()
        self._save(self.last_checkpoint, self._snapshot(optimiser=True))
        if monitor:
            monitor.epoch(state.history)
        logger.info(
            "epoch %d of %d: training loss %.5f, validation MAE %.5f, spurious %.2f, tissues %.2f%s",
            row["epoch"],
            self._settings.epochs,
            row["train/total_loss"],
            row["val/mae"],
            row["val/spurious_per_mixture"],
            row["val/predicted_tissues"],
            " (best)" if improved else "",
        )
        if out_of_patience:
            logger.info("no better validation MAE for %d epochs: training ends here", waited)

    def _row(self, sums: dict[str, float]) -> dict[str, Any]:
        """Make the row of the training log for the epoch that ends here."""
        state, per_epoch = self.state, self._settings.steps_per_epoch
        batch = self._batches.batch(state.step - 1)
        predicted = predict(self.model, batch.methylation.cpu().numpy(), batch.depth.cpu().numpy()).proportions
        return {
            "epoch": state.step // per_epoch,
            "step": state.step,
            "train/learning_rate": self._optimiser.param_groups[0]["lr"],
            **{f"train/{name}": value / per_epoch for name, value in sums.items()},
            "train/presence_accuracy": metrics.presence_accuracy(batch.proportions.cpu().numpy(), predicted),
            **validate(self.model, self._validation),
            "seconds": round(state.record["train_seconds"], 1),
            "slurm_job_id": self._job.id if self._job else "",
            "node": self._job.node if self._job else platform.node(),
        }

    def _snapshot(self, optimiser: bool) -> Checkpoint:
        values: dict[str, Any] = dict(vars(self.state))
        values["model"] = {name: tensor.detach().cpu() for name, tensor in self.model.state_dict().items()}
        values["optimiser"] = self._optimiser.state_dict() if optimiser else {}
        return Checkpoint(**values)

    def _save(self, path: Path, checkpoint: Checkpoint) -> None:
        if self._ranks.first:
            self._lock.check()
            save_checkpoint(path, checkpoint)

    def _write_record(self) -> None:
        """Write the sign that the training has ended well; the last thing it does."""
        text = json.dumps(summary(self.state), indent=2, default=str)
        write_text(self.folder / "logs" / "training_record.json", text + "\n")

    def _complete_best(self) -> None:
        """Write the record of the whole training into the checkpoint of its best epoch."""
        best = load_checkpoint(self.best_checkpoint)
        best.record, best.history, best.finished = self.state.record, self.state.history, True
        self._save(self.best_checkpoint, best)

    def _resume(self) -> None:
        found = resumable(self.folder, self.state.identity) if self._ranks.first else None
        if not self._ranks.told_by_first(found is not None):
            if self._start:
                self.model.load_state_dict(self._start.weights)
            return
        found = found or load_checkpoint(self.last_checkpoint)
        if found.step != self._ranks.told_by_first(found.step):
            raise RunError(
                f"{self.last_checkpoint}: rank {self._ranks.rank} sees another file than rank 0",
                "the nodes do not see the same files; results must be on a shared file system",
            )
        self.model.load_state_dict(found.model)
        self._optimiser.load_state_dict(found.optimiser)
        here = self.state.record
        self.state = found
        if self._ranks.first and found.epoch_sums:
            # Those of all ranks.
            self._sums.copy_(torch.tensor([found.epoch_sums[name] for name in LOSSES], dtype=torch.float64))
        if not found.finished:
            # Where it goes on is recorded; what it has cost so far is kept.
            found.record = {**here, **{name: found.record[name] for name in Usage.names if name in found.record}}

    @contextmanager
    def _log_kept(self) -> Iterator[None]:
        """Keep what is told in the run folder too, over all starts: the log of a job is its own, or its last try's."""
        path = self.folder / "logs" / "training.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter(cli.LOG_FORMAT, cli.DATE_FORMAT))
        logger.addHandler(handler)
        try:
            logger.info("%s, commit %s", self._job or f"host {platform.node()}, outside SLURM", provenance.commit())
            yield
        finally:
            logger.removeHandler(handler)
            handler.close()

    @contextmanager
    def _stop_on_signal(self) -> Iterator[None]:
        """Save and stop after the current step when the job is told to end (SIGTERM) or that it will be (SIGUSR1)."""

        def note(number: int, _frame: Any) -> None:
            # The order to end outranks the warning, whichever comes first.
            self._stop_signal = max(self._stop_signal, number)

        previous = {number: signal.signal(number, note) for number in STOPPED}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _Loss(nn.Module):
    """The loss of a model as a module of its own, which is what data-parallel training wraps."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, methylation: Tensor, true: Tensor, depth: Tensor, profiles: Profiles | None) -> LossParts:
        return self.model.loss(methylation, true, depth, profiles)


def _loss_of(model: Model, ranks: Ranks) -> nn.Module:
    if ranks.n_ranks == 1:
        return _Loss(model)
    # Running statistics are the same on every rank by construction, so they need not be sent around.
    return DistributedDataParallel(_Loss(model), forward_sync_buffers=False)


def _content(mixtures: Mixtures) -> str:
    digest = hashlib.sha256()
    for rows in blocks(len(mixtures), _BLOCK):
        digest.update(mixtures.methylation[rows].tobytes())
    return digest.hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
