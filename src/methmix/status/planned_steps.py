"""The steps of an experiment, derived from its resolved configuration: the jobs that the rules of the workflow make.

A test compares them with what Snakemake plans.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from methmix.arms import ARMS, MAIN, names
from methmix.config.experiment import Experiment
from methmix.config.load import load_arm
from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.shipped import found
from methmix.workflow import drawn_seeds, fold_runs, seed_runs

# The phase whose comparison is Snakemake's default target, and which alone has some other targets.
_MAIN_PHASE = "phase2"


@dataclass(frozen=True)
class Step:
    """One job of the workflow; paths are relative to the folder that has ``results`` and ``logs`` in it.

    ``target`` is what one asks Snakemake for to get it, "" for what all targets need; ``of`` is the arm, the split or
    the run folder that it is about, if any. ``python -m methmix.<stage>`` writes ``output``, and has ended well where
    all ``files`` are there. It can start when everything is there that it ``needs``. ``job`` is the comment on its
    SLURM job.
    """

    target: str
    rule: str
    stage: str
    phase: str
    of: str
    output: Path
    files: tuple[Path, ...]
    log: Path
    needs: tuple[Path, ...]
    job: str


@dataclass(frozen=True)
class _Run:
    """Names the files of one run of an experiment."""

    experiment: Experiment
    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return Path("results", self.name)

    @property
    def reference(self) -> Path:
        return self.folder / "reference" / "reference.h5"

    def mixtures(self, phase: str, split: str) -> Path:
        return self.folder / "mixtures" / f"{phase}_{split}_mixtures.h5"

    def record(self, phase: str, arm: str) -> Path:
        return self.folder / phase / arm / "logs" / "training_record.json"

    def metrics(self, phase: str, arm: str) -> Path:
        return self.folder / phase / arm / "evaluation" / "metrics.json"

    def step(
        self,
        rule: str,
        stage: str,
        log: str,
        output: Path,
        *needs: Path,
        target: str = "",
        phase: str = "",
        of: str = "",
        files: tuple[str, ...] = (),
    ) -> Step:
        """Make a step; without ``files`` in it, the output is a file itself."""
        log_file = Path("logs", self.name, f"{log}.log")
        # As the executor plugin writes it: in the order of the wildcards in the output.
        job = "_".join((f"rule_{rule}_wildcards", *filter(None, (self.name, phase, of))))
        made = tuple(output / file for file in files) or (output,)
        return Step(target, rule, stage, phase, of, output, made, log_file, needs, job)


def planned_steps(experiment: Experiment, root: Path) -> list[Step]:
    """List the steps of an experiment in the order in which they are done, those of targets never asked for included.

    A repetition of an experiment, as the workflow makes it (``results/<name>-seed<n>``), has no targets of its own:
    what is compared of it is evaluated.
    """
    run = _Run(experiment, root, experiment.name)
    # The record of an experiment has all keys, that of a repetition an empty section.
    repeated = not experiment.repeats.model_fields_set
    phases = [phase for phase in experiment.mixtures.recipes if experiment.arms.get(phase)]
    steps = [run.step("reference", "reference", "reference", run.reference)]
    if not repeated:
        page = run.folder / "reference" / "reference_report.html"
        steps.append(run.step("reference_report", "reference", "reference_report", page, run.reference))
    for phase in phases:
        steps += _of_phase(run, phase, repeated)
    if not repeated:
        for phase in phases:
            steps += _donors(run, phase)
        steps += _further(run)
    return steps


def _of_phase(run: _Run, phase: str, repeated: bool) -> Iterator[Step]:
    """Yield the steps from mixtures to the comparison."""
    files = run.experiment.arms[phase]
    for split in SPLITS if not repeated else SPLITS[1:]:
        yield run.step(
            "mixtures", "mixtures", f"mixtures_{phase}_{split}", run.mixtures(phase, split), run.reference,
            target=phase, phase=phase, of=split,
        )  # fmt: skip
    for arm, file in files.items():
        start = _warm_start(found(file, run.root))
        yield run.step(
            "train", "training", f"train_{phase}_{arm}", run.folder / phase / arm,
            run.reference, run.mixtures(phase, "validation"), *([run.record(start, arm)] if start else []),
            target=phase, phase=phase, of=arm, files=("logs/training_record.json",),
        )  # fmt: skip
    evaluated = _evaluated(run.experiment) if repeated else names(compared=True)
    for method in evaluated:
        rule = "model" if method in files else "part" if ARMS[method].of_main else "control"
        yield run.step(
            f"evaluate_{rule}", "evaluation", f"evaluate_{phase}_{method}", run.folder / phase / method / "evaluation",
            run.reference, run.mixtures(phase, "validation"), run.mixtures(phase, "test"),
            *([run.record(phase, method)] if method in files else []),
            target=phase, phase=phase, of=method, files=("metrics.json", "predictions.csv", "per_tissue.csv"),
        )  # fmt: skip
    if not repeated:
        yield run.step(
            "compare", "report", f"compare_{phase}", run.folder / phase / "comparison",
            *(run.metrics(phase, arm) for arm in evaluated), *(run.record(phase, arm) for arm in files),
            target=phase, phase=phase, files=("comparison.csv", "comparison.json", "report.html"),
        )  # fmt: skip


def _evaluated(experiment: Experiment) -> list[str]:
    """Name the arms that are evaluated in a repetition: all, or for an ablation alone the selected."""
    return names() if experiment.reference.drawn_donors or "-fold" in experiment.name else names(selected=True)


def _donors(run: _Run, phase: str) -> Iterator[Step]:
    """Yield the steps that pool draws of donors."""
    target, folder = f"donors_{phase}", run.folder / phase / "donors"
    runs = seed_runs({"name": run.name}, drawn_seeds(run.experiment))
    evaluated = [_Run(run.experiment, run.root, name).metrics(phase, arm) for name in runs for arm in names()]
    files = ("donors.csv", "donors.json", "donors.png", "report.html")
    yield run.step("draw_donors", "report", target, folder, *evaluated, target=target, phase=phase, files=files)
    page = run.folder / phase / "comparison" / "report.html"
    yield run.step(
        "compare_over_donors", "report", f"compare_{phase}_over_donors", folder / "comparison.done",
        folder / "donors.json", page, target=target, phase=phase,
    )  # fmt: skip


def _further(run: _Run) -> Iterator[Step]:
    """Yield what only the main phase has, and the prediction."""
    experiment, phase = run.experiment, _MAIN_PHASE
    if configured := experiment.arms.get(phase):
        records = [run.record(phase, arm) for arm in configured]
        if experiment.detection:
            detection, target = run.folder / phase / "detection", "detection_limit"
            yield run.step(
                "detection", "detection", f"detection_{phase}", detection,
                *records, run.reference, run.mixtures(phase, "validation"),
                target=target, phase=phase, files=("scores.npz", "detection.csv", "limits.csv", "detection.json"),
            )  # fmt: skip
            yield run.step(
                "detection_report", "report", f"detection_report_{phase}", detection / "detection.html",
                detection / "detection.json", target=target, phase=phase,
            )  # fmt: skip
        yield run.step(
            "measure_robustness", "robustness", f"robustness_{phase}", run.folder / phase / "robustness",
            run.record(phase, MAIN), run.reference,
            target="robustness", phase=phase, files=("robustness.json", "robustness.csv", "report.html"),
        )  # fmt: skip
        repeats = experiment.repeats
        if repeats.folds:
            runs = fold_runs(experiment.model_dump(mode="json"), repeats.folds)
            evaluated = [_Run(experiment, run.root, name).metrics(phase, arm) for name in runs for arm in names()]
            yield run.step(
                "pool_folds", "report", f"folds_{phase}", run.folder / phase / "folds", *evaluated,
                target=f"folds_{phase}", phase=phase, files=("folds.csv", "folds.json", "report.html"),
            )  # fmt: skip
    if prediction := experiment.prediction:
        yield run.step(
            "prediction", "prediction", "prediction", run.folder / "prediction" / "predictions.csv",
            run.record(prediction.checkpoint_phase, MAIN), run.reference, target="predict",
        )  # fmt: skip
        if prediction.control_group:
            yield run.step(
                "measure_spikes", "spikes", "spikes", run.folder / "spikes",
                run.record(prediction.checkpoint_phase, MAIN), run.reference,
                target="spike_plasma", files=("spikes.json", "spikes.csv", "report.html"),
            )  # fmt: skip


def found_trainings(folder: Path, known: list[Step]) -> Iterator[Step]:
    """Yield the trainings that were begun in a folder of results and are not among the known steps.

    These are the points of a sweep and the variants of an ablation; dry runs are left out. ``folder`` is
    ``<root>/results/<name>``.
    """
    root, name = folder.parent.parent, folder.name
    outputs = {step.output for step in known}
    for configuration in sorted(folder.rglob("logs/config.yaml")):
        path = configuration.parents[1]
        output = path.relative_to(root)
        phase, *parts = path.relative_to(folder).parts
        if output in outputs or phase == "debug":
            continue
        log = Path("logs", name, "_".join((*parts[:1], phase, *parts[1:])) + ".log")
        record = output / "logs" / "training_record.json"
        yield Step("", "train", "training", phase, "/".join(parts), output, (record,), log, (), "")


@cache
def _warm_start(path: Path) -> str | None:
    """Name the phase that the training of an arm starts from; None also where its file is not here."""
    try:
        return load_arm(path).training.warm_start
    except InputError:
        return None
