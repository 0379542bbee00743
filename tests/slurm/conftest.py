"""A real SLURM on loopback, and what tests do with it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import SCRIPT, Cluster
from filelock import FileLock


def missing() -> str:
    """Tell why no cluster can be started here; empty if it can."""
    absent = [name for name in ("sbatch", "slurmctld", "slurmd", "munged") if not shutil.which(name)]
    if absent:
        return f"no SLURM here ({', '.join(absent)} missing); Debian has it: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "starting a SLURM needs root"
    configuration = Path("/etc/slurm/slurm.conf")
    if configuration.exists() and "methmix test cluster" not in configuration.read_text():
        return f"{configuration} belongs to another cluster, which is left alone"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.slurm)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Cluster]:
    """Give the cluster, which the workers of pytest-xdist share: the first starts it, the last stops it."""
    if reason := missing():
        pytest.skip(reason)
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "cluster"
    lock, users = FileLock(f"{folder}.lock"), folder.with_suffix(".users")

    def count(change: int) -> int:
        number = int(users.read_text()) + change if users.is_file() else change
        users.write_text(str(number))
        return number

    with lock:
        if count(+1) == 1:
            subprocess.run(["bash", SCRIPT, "start", folder], check=True, timeout=300)
    try:
        yield Cluster(folder)
    finally:
        with lock:
            if count(-1) == 0:
                subprocess.run(["bash", SCRIPT, "stop", folder], check=True, timeout=300)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, checkout_in, snakemake) -> Path:
    """A checkout with tiny mixtures, whose trainings take long enough for something to happen to them."""
    folder = checkout_in(tmp_path_factory.mktemp("checkout"))
    done = snakemake(
        folder,
        "--configfile", "config/tiny.yaml", "--cores", "2",
        "results/tiny/mixtures/phase2_validation_mixtures.h5", "results/tiny/mixtures/phase2_test_mixtures.h5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def fresh(tmp_path: Path, checkout_in) -> Path:
    """Give a checkout of its own."""
    return checkout_in(tmp_path)


@pytest.fixture
def small_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give a cluster of one node with so many CPUs and no GPU; not while the other one is up."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path / "cluster"
    environment = {**os.environ, "CLUSTER_CPUS": str(request.param)}
    subprocess.run(["bash", SCRIPT, "start", folder], check=True, timeout=300, env=environment)
    try:
        yield Cluster(folder)
    finally:
        subprocess.run(["bash", SCRIPT, "stop", folder], check=True, timeout=300, env=environment)
