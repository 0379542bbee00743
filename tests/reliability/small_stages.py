"""The smallest experiment, and the command of each of its stages."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from methmix.config.load import load_experiment

ROOT = Path(__file__).parents[2]
RUN = "results/small"
ARMS = ("sparse", "nnls")
# So that trainings are interrupted in all their parts, they are longer than their preparation.
_OVERRIDES = {
    "training.epochs": 4, "training.mixtures_per_epoch": 200, "training.batch_size": 100, "model.hidden_sizes": [16],
}  # fmt: skip


def write_experiment(path: Path) -> None:
    """Shrink config/tiny.yaml further; the arms lie beside the file."""
    content = load_experiment(ROOT / "config/tiny.yaml").model_dump(mode="json")
    content["name"] = "small"
    content["reference"]["n_regions"] = 200
    content["mixtures"].update(n_train_preview=10, n_validation=40, n_test=40)
    content["overrides"] |= _OVERRIDES
    content["evaluation"]["n_bootstrap"] = 100
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def write_samples(folder: Path) -> None:
    """Write a counts table of 16 samples of two groups, and their sheet, for the reference of the experiment."""
    from methmix.files.reference import read_reference

    reference = read_reference(folder / RUN / "reference/reference.h5")
    rng = np.random.default_rng(5)
    profiles, regions = reference.complete_profiles("test"), reference.regions
    table = pd.DataFrame({"CHROM": regions["chrom"], "START": regions["start"], "END": regions["end"]})
    sheet = ["sample\tfile\tgroup\tpatient\tdate"]
    for number in range(16):
        weights = rng.dirichlet(np.full(len(profiles), 0.5))
        depth = rng.poisson(40, len(regions))
        table[f"S{number}_METH"] = rng.binomial(depth, np.clip(weights @ profiles, 0, 1))
        table[f"S{number}_DEPTH"] = depth
        group = "healthy" if number < 12 else "ill"
        sheet.append(f"S{number}\tsamples.tsv\t{group}\tP{number % 3}\t2026-01-{number + 1:02}")
    table.to_csv(folder / "samples.tsv", sep="\t", index=False)
    (folder / "sheet.tsv").write_text("\n".join(sheet) + "\n")


@dataclass(frozen=True)
class Stage:
    """A command; ``needs`` are the folders and files that it reads, ``output`` what it writes."""

    name: str
    argv: tuple[str, ...]
    output: str
    needs: tuple[str, ...] = ()


_CONFIG = ("--config", "config/small.yaml")
_REFERENCE = ("--reference", f"{RUN}/reference/reference.h5")
_VALIDATION = f"{RUN}/mixtures/phase2_validation_mixtures.h5"
_CHECKPOINT = ("--checkpoint", f"{RUN}/phase2/sparse/checkpoints/checkpoint_best.pt")
_SHEET = ("--control-group", "healthy")
_BLOOD = ("--background", "Blood", "--normals", "none")


def _python(stage: str, *arguments: str) -> tuple[str, ...]:
    return ("python", "-m", f"methmix.{stage}", *arguments)


def mixtures(split: str) -> tuple[str, ...]:
    of = ("--phase", "phase2", "--split", split)
    return _python("mixtures", *_CONFIG, *_REFERENCE, *of, "--output", f"{RUN}/mixtures/phase2_{split}_mixtures.h5")


def training(output: str) -> tuple[str, ...]:
    inputs = (*_REFERENCE, "--validation", _VALIDATION)
    own = ("--config", "config/phase2_sparse.yaml", "--experiment", "config/small.yaml", "--device", "cpu")
    return _python("training", *own, *inputs, "--output", output)


def evaluation(arm: str, output: str) -> tuple[str, ...]:
    of_model = _CHECKPOINT if arm == "sparse" else ()
    tested = ("--validation", _VALIDATION, "--test", f"{RUN}/mixtures/phase2_test_mixtures.h5")
    return _python("evaluation", *_CONFIG, "--arm", arm, *_REFERENCE, *tested, *of_model, "--output", output)


STAGES = (
    Stage("reference", _python("reference", "build", *_CONFIG, "--output", "out/reference.h5"), "out"),
    Stage("mixtures", (*mixtures("test")[:-1], "out/mixtures.h5"), "out"),
    Stage("training", training("out/run"), "out"),
    Stage("evaluation", evaluation("sparse", "out"), "out"),
    Stage(
        "comparison",
        _python("report", "comparison", *_CONFIG, "--folder", f"{RUN}/phase2", "--arms", *ARMS, "--output", "out"),
        "out",
    ),
    Stage(
        "prediction",
        _python("prediction", *_CHECKPOINT, "--sheet", "sheet.tsv", *_SHEET, *_BLOOD, "--output", "out/samples.csv"),
        "out",
    ),
    Stage(
        "normals",
        _python("normals", "--samples", "sheet.tsv", *_CHECKPOINT, *_SHEET, "--output", "out/panel.h5"),
        "out",
    ),
)


def make_inputs(folder: Path, run: Callable[..., None]) -> None:
    """Make what the stages read; ``run`` runs a command in the folder."""
    checkout(folder)
    run(*_python("reference", "build", *_CONFIG, "--output", f"{RUN}/reference/reference.h5"))
    for split in ("validation", "test"):
        run(*mixtures(split))
    run(*training(f"{RUN}/phase2/sparse"))
    for arm in ARMS:
        run(*evaluation(arm, f"{RUN}/phase2/{arm}/evaluation"))
    write_samples(folder)


def checkout(folder: Path) -> None:
    """Give a folder what commands and workflow read of the repository."""
    for name in ("Snakefile", "workflow", "config", "envs", "profiles"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    write_experiment(folder / "config/small.yaml")


def beside(inputs: Path, folder: Path) -> Path:
    """Make a folder with the same inputs, as links."""
    folder.mkdir(parents=True)
    for path in inputs.iterdir():
        if path.name != "out" and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    return folder
