"""The profile as shipped, on a cluster that is smaller than it asks for: without GPUs, or with fewer CPUs in a node."""

import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

# What asks for a GPU and for a place where there are some.
_OF_GPU: Final = frozenset({"gpu", "gpu_model", "gres", "nodes", "slurm_partition"})


class Node(NamedTuple):
    """A node in one of its partitions; ``memory`` in MB."""

    partition: str
    cpus: int
    memory: int
    has_gpu: bool


def nodes() -> list[Node]:
    """List the nodes of the cluster; nothing where SLURM does not answer."""
    command = ["sinfo", "--all", "--noheader", "--Node", "--format=%R|%c|%m|%G"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in done.stdout.splitlines():
        partition, cpus, memory, gres = line.split("|")
        found.append(Node(partition, int(cpus.rstrip("+")), int(memory.rstrip("+")), "gpu" in gres))
    return found


def fit_to_cluster(settings: Any, tell: Callable[[str], None]) -> None:
    """Take from a profile for SLURM, before rules are defined, what no node of this cluster has.

    ``settings`` are Snakemake's ``resource_settings``; ``tell`` takes messages. GPUs are only given up where there is
    none at all: trainings then run where ``default-resources`` says. On another cluster nothing is changed.
    """
    default = settings.default_resources or {}
    if "slurm_partition" not in default or not (found := nodes()):
        return
    rules: Mapping[str, Any] = settings.overwrite_resources
    if not any(node.has_gpu for node in found):
        without = [rule for rule, asked in rules.items() if "gpu" in asked]
        rules = {rule: _without_gpu(asked) if rule in without else asked for rule, asked in rules.items()}
        if without:
            tell(f"this cluster has no GPU: {', '.join(without)} run on CPUs; slurm/config.yaml asks for them")
    most = max(node.cpus for node in found)
    settings.overwrite_resources = {rule: _capped(asked, most) for rule, asked in rules.items()}
    settings.overwrite_threads = {rule: min(_number(n), most) for rule, n in settings.overwrite_threads.items()}
    settings.default_resources = _capped(default, most)


def _without_gpu(asked: Any) -> Any:
    return type(asked)({name: value for name, value in asked.items() if name not in _OF_GPU})


def _capped(asked: Any, most: int) -> Any:
    values, name = dict(asked), "cpus_per_task"
    if name in values and (number := _number(values[name])) > most:
        values[name] = type(values[name])(name, min(number, most))
    return type(asked)(values)


def _number(value: Any) -> int:
    """Read a whole number in Snakemake's wrapping."""
    return int(value.raw)
