"""Fixtures that all tests share."""

import copy
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snakemake_runs
import yaml
from filelock import FileLock
from forked_commands import Server

from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.reference.build import build_reference

REPOSITORY = Path(__file__).resolve().parents[1]

# The files that take longest: begun first, so that at the end no worker waits for another that has one still to do.
_LONGEST = (
    "test_tutorial", "test_events", "test_retries", "test_scripts", "test_kills", "test_tiny", "test_disk",
    "test_end_to_end", "test_real_samples", "test_profile", "test_laboratory_cases", "test_concurrency", "test_sweep",
    "test_workflow", "test_training", "test_parallel", "test_gpu_run", "test_ranks",
    "test_evaluate", "test_diagnosis", "test_warm_start", "test_gpu_kernel", "test_deconvolve", "test_closure",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this repository's tests."""
    parser.addoption("--kills", type=int, default=8, help="how often tests/reliability kills a command, in all")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by file; pytest-xdist keeps the order with ``--no-loadscope-reorder``."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_collection_finish() -> None:
    """Leave what all modules hold out of garbage collections, each of which would look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


def copy_checkout(to: Path) -> Path:
    """Copy what the workflow reads, so that results of the real checkout are not touched."""
    for name in ("Snakefile", "workflow", "config", "envs", "profiles", "slurm"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, to / name)
    (to / "src").symlink_to(REPOSITORY / "src")
    return to


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the process that commands are forked from, once."""
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def snakemake(request: pytest.FixtureRequest) -> Callable[..., snakemake_runs.Done]:
    """Run snakemake in a folder with the Python of the tests; what its rules run is forked from a loaded process."""

    def run(folder: Path, *arguments: str) -> snakemake_runs.Done:
        planned = {"-n", "-np", "--list"} & set(arguments)
        return snakemake_runs.run(folder, arguments, {} if planned else request.getfixturevalue("server").environment)

    return run


@pytest.fixture(scope="session")
def checkout_in() -> Callable[[Path], Path]:
    """Copy the checkout into a folder."""
    return copy_checkout


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Find a file of the real data by its name below the data folder; the test skips where it is missing."""
    folder = Path(os.environ.get("METHMIX_DATA") or REPOSITORY / ".." / "shared" / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"real data is missing: {name}; set METHMIX_DATA to a folder that has it")
        return path

    return find


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless browser, started once."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, see envs/requirements-dev.txt")
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if found is None:
        pytest.skip("needs Chromium or Chrome")
    with playwright.sync_playwright() as started:
        # Chromium has no sandbox for root.
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Content of a small experiment, to be changed by a test and validated with `Experiment`."""
    return copy.deepcopy(_SMALL)


@pytest.fixture
def write_yaml(tmp_path: Path) -> Callable[[Any], Path]:
    """Write content as YAML and give the path."""

    def write(content: Any) -> Path:
        path = tmp_path / "written.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def reference() -> Reference:
    """A small simulated reference: 6 tissues in 3 groups, 24 donors, 400 regions."""
    return build_reference(Experiment.model_validate(_SMALL))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[Path], Path]], Path]:
    """Make something in a folder of that name, once for all workers of pytest-xdist; gives the path that was made."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent

    def give(name: str, make: Callable[[Path], Path]) -> Path:
        folder, made = shared / f"once-{name}", shared / f"once-{name}.path"
        with FileLock(f"{folder}.lock"):
            if not made.is_file():
                folder.mkdir(exist_ok=True)
                made.write_text(str(make(folder)))
        return Path(made.read_text())

    return give


@pytest.fixture(scope="session")
def tiny_checkpoint(once: Callable[[str, Callable[[Path], Path]], Path]) -> Path:
    """Give a trained model of `experiments.tiny_reference`, which nobody changes."""
    # Imported here: a process that only distributes the tests need not wait for torch.
    from experiments import tiny_reference, trained

    return once("trained", partial(trained, tiny_reference()))


@pytest.fixture(scope="session")
def lacking_checkpoint(once: Callable[[str, Callable[[Path], Path]], Path]) -> Path:
    """Give a trained model of `experiments.tiny_reference` without its liver."""
    from experiments import tiny_reference, trained, without

    return once("lacking", partial(trained, without(tiny_reference(), "Liver")))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


_SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "reference": {
        "source": "simulated",
        "tissues": {
            "brain": ["Cortex", "Neuron"],
            "gut": ["Colon", "Liver"],
            "other": ["Blood", "Kidney"],
        },
        "n_regions": 400,
        "n_donors": 24,
        "coverage": 20.0,
        "donor_variation": "healthy",
        "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
    },
    "mixtures": {
        "mean_depths": [10, 100],
        "n_train_preview": 10,
        "n_validation": 20,
        "n_test": 20,
        "recipes": {"phase2": {"kind": "dirichlet", "n_tissues": [3, 4], "concentration": 2.0}},
    },
    "arms": {"phase2": {"original": "a.yaml", "sparse": "b.yaml"}},
    "evaluation": {"n_bootstrap": 100, "cuts": [0.01, 0.05]},
    "detection": {
        "background": {"Blood": 1.0},
        "spikes": [0.01, 0.1],
        "depths": [10, 100],
        "n_blank": 100,
        "n_spiked": 20,
    },
}


@pytest.fixture
def sheet_of(tmp_path):
    """Write a samples sheet."""

    def write(*rows, header=("sample", "file", "patient", "date", "name_in_file")):
        path = tmp_path / "samples.tsv"
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in (header, *rows)))
        return path

    return write
