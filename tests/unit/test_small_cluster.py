"""What is taken from the profile where a cluster has less, and that nothing is taken elsewhere."""

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.resources import Resource, Resources

from methmix import small_cluster
from methmix.small_cluster import fit_to_cluster, nodes

LARGE = "cpu|32|64000|(null)\ngpu|32|64000|gpu:a100:4\n"
SMALL = "cpu|2|7900|(null)\n"


@pytest.fixture
def cluster(monkeypatch):
    def answers(text: str) -> None:
        done = subprocess.CompletedProcess([], 0, stdout=text)
        monkeypatch.setattr(small_cluster.subprocess, "run", lambda *_, **__: done)

    return answers


def profile(cpus: int = 4) -> Any:
    train = {"slurm_partition": "gpu", "gpu": 1, "gpu_model": "a100", "nodes": 1, "cpus_per_task": cpus, "runtime": 120}
    default = {"slurm_partition": "cpu", "cpus_per_task": 2, "mem_mb": 4000}
    return SimpleNamespace(
        default_resources=resources(default),
        overwrite_resources={"train": resources(train), "evaluate": resources({"runtime": 10})},
        overwrite_threads={"train": Resource("_cores", cpus)},
    )


def resources(values: dict[str, Any]) -> Any:
    return Resources.from_mapping(values)


def plain(settings: Any) -> dict[str, Any]:
    rules = {rule: plain_values(asked) for rule, asked in settings.overwrite_resources.items()}
    threads = {rule: getattr(number, "raw", number) for rule, number in settings.overwrite_threads.items()}
    return {"default": plain_values(settings.default_resources), **rules, "threads": threads}


def plain_values(asked: Any) -> dict[str, Any]:
    return {name: value.raw for name, value in asked.items()}


def test_without_gpus_trainings_are_like_any_job(cluster):
    cluster(SMALL)
    settings, said = profile(), []
    fit_to_cluster(settings, said.append)
    expected = {"train": {"cpus_per_task": 2, "runtime": 120}, "evaluate": {"runtime": 10}, "threads": {"train": 2}}
    assert plain(settings) == {"default": plain(profile())["default"], **expected}
    assert all(isinstance(asked, Resources) for asked in settings.overwrite_resources.values())
    assert said == ["this cluster has no GPU: train run on CPUs; slurm/config.yaml asks for them"]


@pytest.mark.parametrize("text", [LARGE, ""])
def test_a_cluster_that_has_it_all_or_does_not_answer(cluster, text):
    cluster(text)
    settings, said = profile(), []
    fit_to_cluster(settings, said.append)
    assert plain(settings) == plain(profile()) and not said


def test_without_a_profile_of_slurm_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(small_cluster, "nodes", lambda: pytest.fail("asked"))
    settings = SimpleNamespace(default_resources=None)
    fit_to_cluster(settings, print)
    assert vars(settings) == {"default_resources": None}


def test_nodes_of_the_cluster(cluster, monkeypatch):
    cluster(LARGE)
    assert nodes() == [("cpu", 32, 64000, False), ("gpu", 32, 64000, True)]

    def none(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(small_cluster.subprocess, "run", none)
    assert nodes() == []
