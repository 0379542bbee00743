"""One training from its command line: configuration, inputs, device."""

import argparse
import logging
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch

from methmix import seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.config.load import load_arm, load_experiment, parse_assignment
from methmix.devices import memory_explained, why_no_gpu
from methmix.errors import InputError
from methmix.files.mixtures import Mixtures, read_mixtures
from methmix.files.reference import Reference, read_reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.reference.build import build_reference
from methmix.training.job import slurm_job
from methmix.training.loop import Trainer
from methmix.training.parallel import Ranks, torchrun
from methmix.training.run_folder import best_checkpoint
from methmix.training.warm_start import read_start

logger = logging.getLogger("methmix")

_LESS_MEMORY = (
    "lower training.batch_size (--set training.batch_size=...), of which training.mixtures_per_epoch must be a "
    "multiple, or use a GPU with more memory that nothing else is using"
)
# Size of the dry run.
_DEBUG_REGIONS, _DEBUG_MIXTURES, _DEBUG_STEPS = 500, 64, 4


def train(options: argparse.Namespace) -> int:
    """Train an arm; ``options`` are those of ``python -m methmix.training``. Returns the exit code."""
    ranks = Ranks.of(os.environ)
    if options.processes > 1 and ranks.n_ranks == 1:
        torchrun(options.processes, "methmix.training", sys.argv[1:])
    if not ranks.first:
        # Every event is reported once.
        logger.setLevel(logging.ERROR)
    with memory_explained(_LESS_MEMORY):
        return _trained(_trainer(options, ranks), ranks)


def _trained(trainer: Trainer, ranks: Ranks) -> int:
    record, settings = trainer.state.record, trainer.arm.training
    size = f"{len(trainer.state.regions['chrom'])} regions, {len(trainer.state.tissue_names)} tissues"
    logger.info("%s: %s parameters, %s", trainer.arm.arm, f"{record['n_parameters']:,}", size)
    steps = f"{settings.total_steps} steps of {settings.batch_size} mixtures"
    device = record["device"] + (f" x {ranks.n_ranks}" if ranks.n_ranks > 1 else "")
    logger.info("%s, on %s", steps, device)
    return trainer.run()


def _trainer(options: argparse.Namespace, ranks: Ranks) -> Trainer:
    arm, experiment = _configuration(options)
    device, job = _device(options.device, options.allow_cpu, ranks), slurm_job()
    results = Path("results", experiment.name)
    if options.debug:
        arm, reference, validation = _debug_inputs(arm, experiment)
        folder = options.output or results / "debug" / arm.phase / arm.arm
        if options.output is None and ranks.first and (folder / "checkpoints").is_dir():
            # A dry run is never resumed.
            shutil.rmtree(folder / "checkpoints")
    else:
        mixtures = results / "mixtures" / f"{arm.phase}_validation_mixtures.h5"
        if not (options.reference or options.validation or mixtures.is_file()):
            made = f"snakemake {mixtures} --configfile {options.experiment or arm.experiment}"
            raise InputError(f"{mixtures}: there is no such file", f"make it: {made}; or: python -m methmix.mixtures")
        reference = read_reference(options.reference or results / "reference" / "reference.h5")
        validation = read_mixtures(options.validation or mixtures)
        folder = options.output or _own_folder(arm, options.config) or results / arm.phase / arm.arm
    options.output = folder
    start = None
    if phase := arm.training.warm_start:
        start = read_start(options.warm_start or best_checkpoint(results / phase / arm.arm), arm, reference)
    return Trainer(arm, experiment, reference, validation, folder, device, ranks, job, start)


def _own_folder(arm: ArmSettings, config: Path) -> Path | None:
    """Give the run folder that a configuration names: below the working folder or beside itself, and nowhere else."""
    if arm.output is None:
        return None
    # Links are not followed: results may be one, to another file system.
    folder, beside = (Path(os.path.normpath(path.absolute())) for path in (Path(arm.output), config.parent))
    if not any(folder.is_relative_to(place) for place in (Path.cwd(), beside)):
        raise InputError(
            f"{config}: output: {arm.output} is neither below the working folder nor beside the configuration",
            "a configuration may come from somebody else; to write there, say so: --output",
        )
    return Path(arm.output)


def _configuration(options: argparse.Namespace) -> tuple[ArmSettings, Experiment]:
    arm = load_arm(options.config, expected=options.arm)
    experiment = load_experiment(options.experiment or Path(arm.experiment))
    arm = load_arm(options.config, experiment.overrides, dict(parse_assignment(text) for text in options.set))
    if arm.phase not in experiment.mixtures.recipes:
        raise InputError(
            f"{options.config}: phase: {experiment.name} has no recipe for {arm.phase}",
            "add the phase to mixtures.recipes of the experiment, or name another one with --experiment",
        )
    if options.warm_start and arm.training.warm_start is None:
        raise InputError(
            f"--warm-start: training.warm_start of {options.config} is null",
            "name the phase that the checkpoint is of, for example --set training.warm_start=phase2",
        )
    return arm, experiment


def _device(name: str, allow_cpu: bool, ranks: Ranks) -> torch.device:
    missing = "" if name == "cpu" else why_no_gpu()
    if name != "cpu" and not missing:
        # A scheduler may show each process all GPUs of the node, or its own alone.
        device = torch.device("cuda", ranks.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device
    given = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS")
    if name != "cpu" and given and not allow_cpu:
        raise InputError(
            f"SLURM has given this job GPU {given}, but none can be used: {missing}",
            "install a torch that suits the driver (see nvidia-smi there); METHMIX_ALLOW_CPU=1 does without",
        )
    if name == "cuda" and not allow_cpu:
        raise InputError(f"--device cuda: no GPU is visible here: {missing}", "ask SLURM for one, or use --allow-cpu")
    if missing:
        logger.info("no GPU is used: %s", missing)
    return torch.device("cpu")


def _debug_inputs(arm: ArmSettings, experiment: Experiment) -> tuple[ArmSettings, Reference, Mixtures]:
    """Make the small data of a dry run from the experiment's own sources."""
    whole, few = build_reference(experiment), slice(0, _DEBUG_REGIONS)
    reference = replace(
        whole, methylated=whole.methylated[:, few], depth=whole.depth[:, few], regions=whole.regions.iloc[few]
    )
    recipe = experiment.mixtures.recipes[arm.phase]
    sampler = MixtureSampler(reference, "validation", recipe, experiment.mixtures.mean_depths)
    batch = sampler.sample(_DEBUG_MIXTURES, seeds.generator(experiment.seed, "debug"))
    validation = Mixtures(
        batch.methylation.numpy(),
        batch.depth.numpy(),
        batch.proportions,
        batch.label_proportions,
        info=[],
        tissue_names=reference.tissue_names,
        attributes={"reference_digest": reference.content_digest, "split": "validation", "phase": arm.phase},
    )
    # No other training is of these few regions.
    short = {"warm_start": None, "epochs": 1, "mixtures_per_epoch": _DEBUG_STEPS * arm.training.batch_size}
    training = arm.training.model_copy(update=short)
    return arm.model_copy(update={"training": training}), reference, validation
