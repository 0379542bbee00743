"""What Snakemake with its SLURM plugin does not do by itself: see why a job has ended before it is submitted again.

Snakemake counts retries alike, whatever a job has died of. Here a wrong input is not tried again, a training that has
saved its state does not lose a retry, and ``attempt``, by which the profile multiplies memory, counts only the jobs
that ran out of it.
"""

import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from methmix.errors import InputError
from methmix.small_cluster import nodes

# Written by SLURM itself into the log of a job. What a program says of a GPU's memory is something else.
_SLURM: Final = r"^(?:slurmstepd|srun|slurmd)(?:-\S+)?: error:.*"
_ENDS: Final = {
    "time": re.compile(_SLURM + r"TIME LIMIT", re.MULTILINE),
    "preemption": re.compile(_SLURM + r"PREEMPTION", re.MULTILINE),
    "memory": re.compile(_SLURM + r"(?:memory limit|oom|out of memory)", re.MULTILINE | re.IGNORECASE),
    "cancelled": re.compile(_SLURM + r"CANCELLED AT", re.MULTILINE),
    # Of Snakemake, about the command of a rule.
    "input": re.compile(r"returned non-zero exit status 2\."),
}
_PLUGIN: Final = "snakemake_executor_plugin_slurm"
# Where a training saves its state, relative to the record that it writes last.
_STATE: Final = Path("checkpoints", "checkpoint_last.pt")


def why_ended(log: str) -> str:
    """Find out of the log of a SLURM job why it has ended: a key of `_ENDS`, or nothing where none can be seen."""
    return next((why for why, pattern in _ENDS.items() if pattern.search(log)), "")


class Retries:
    """Decides for each job of this run of Snakemake that has failed whether it is submitted again.

    ``of`` takes the place of the property ``restart_times`` of Snakemake's jobs, which is read when one has failed.
    ``tell`` takes messages.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._started = time.time()
        self._seen: set[Path] = set()
        self._in_vain: dict[Any, int] = defaultdict(int)
        self._saved: dict[Any, float] = {}

    def of(self, job: Any) -> int:
        """Give how often a job may be started again at most; it is, if that exceeds ``job.attempt - 1``.

        A job that is started again for another reason than memory keeps its attempt.
        """
        allowed: int = max(one.rule.restart_times for one in _members(job))
        log = self._new_log(job)
        if not allowed or log is None:
            return allowed
        why, name, saved = why_ended(log.read_text(errors="replace")), _name(job), self._has_saved(job)
        if why == "input":
            self._tell(f"{name}: exit code 2, wrong input or configuration: it is not tried again; see {log}")
            return 0
        self._in_vain[job] += not saved
        if self._in_vain[job] > allowed:
            self._tell(f"{name}: ended {self._in_vain[job]} times without progress{_REMEDIES.get(why, '')}; see {log}")
            return 0
        if why == "memory":
            # At most as often as Snakemake counts.
            return max(allowed, int(job.attempt))
        if saved:
            self._tell(f"{name}: its state is saved; it is submitted again, which does not count as a retry")
        # Snakemake adds 1 to it.
        job.attempt -= 1
        return max(allowed, int(job.attempt))

    def _new_log(self, job: Any) -> Path | None:
        """Find the log of the SLURM job that has failed; none where it could not be submitted."""
        settings = job.dag.workflow.executor_settings
        if type(settings).__module__ != _PLUGIN or not settings.logdir:
            return None
        kind = "group" if job.is_group() else "rule"
        # As the plugin names it.
        wildcards = "_".join(getattr(job, "wildcards", None) or []).replace("/", "_")
        logs = Path(settings.logdir, f"{kind}_{job.name}", wildcards).glob("*.log")
        new = [path for path in logs if path not in self._seen and path.stat().st_mtime >= self._started]
        self._seen.update(new)
        return max(new, key=lambda path: path.stat().st_mtime, default=None)

    def _has_saved(self, job: Any) -> bool:
        """Whether a training has saved its state since it was last asked about; it does so after a step at least."""
        states = [Path(record).parents[1] / _STATE for one in _members(job) for record in one.output if _trains(record)]
        latest = max((path.stat().st_mtime for path in states if path.is_file()), default=0.0)
        before, self._saved[job] = self._saved.get(job, self._started), latest
        return latest > before


_REMEDIES: Final = {
    "time": ", each time at the time limit: raise runtime of this rule in slurm/config.yaml",
    "memory": ", each time for want of memory: raise mem_mb of this rule in slurm/config.yaml",
}


def _members(job: Any) -> Iterable[Any]:
    return job.jobs if job.is_group() else [job]


def _name(job: Any) -> str:
    return " ".join([job.name, *(getattr(job, "wildcards", None) or [])])


def _trains(output: str) -> bool:
    return Path(output).name == "training_record.json"


def prepare(workflow: Any, kinds_of_jobs: Iterable[Any], tell: Callable[[str], None]) -> None:
    """Before a run of Snakemake submits its jobs to SLURM: check what they ask for, and count retries as above.

    ``kinds_of_jobs`` are Snakemake's classes; ``tell`` takes messages.

    Raises
    ------
    InputError
        If the cluster lacks a partition; it names the ones there are, and the file to edit.
    """
    if type(workflow.executor_settings).__module__ != _PLUGIN:
        return
    _check_partitions(job for job in workflow.dag.needrun_jobs() if not job.is_local)
    retries = Retries(tell)
    for kind in kinds_of_jobs:
        kind.restart_times = property(retries.of)
    _understand_cancelled()
    executor: Any = getattr(workflow.scheduler, "_executor", None)
    if workflow.executor_settings.no_account and hasattr(executor, "_fallback_account_arg"):
        # The plugin has the option, but guesses all the same.
        executor._fallback_account_arg = ""


def _check_partitions(jobs: Iterable[Any]) -> None:
    wanted = {str(job.resources["slurm_partition"]) for job in jobs if job.resources.get("slurm_partition")}
    # An option of sbatch takes several.
    missing = sorted(
        {name for names in wanted for name in names.split(",")} - (there := {node.partition for node in nodes()})
    )
    if there and missing:
        raise InputError(
            f"this cluster has no partition {', '.join(missing)}; it has {', '.join(sorted(there))}",
            "set slurm_partition in slurm/config.yaml (default-resources for CPUs, set-resources for GPUs); "
            "slurm/README.md says what else depends on the cluster",
        )


def _understand_cancelled() -> None:
    """Make the plugin see a cancelled job by ``sacct`` too, whose ``CANCELLED by 0`` it does not know and waits on."""
    plugin: Any = sys.modules.get(_PLUGIN)
    if not hasattr(plugin, "query_job_status") or not shutil.which("sacct"):
        return
    asked = plugin.query_job_status

    async def plain(*arguments: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await asked(*arguments)
        return states and {job: state.partition(" by ")[0] for job, state in states.items()}, seconds

    if asked.__name__ != "plain":
        plugin.query_job_status = plain
