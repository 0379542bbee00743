"""What the jobs of a run used, compared with what they had requested from the cluster."""

import ast
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from methmix.pages.style import EMPTY, TRUTH, drawing, labelled_rows, percent_axis
from methmix.report.arm_results import read_result

# What a request must have beside the use of the rule: Snakemake itself, up to three times in a job and less than 200 MB
# each, and the minutes in which it starts.
_SNAKEMAKE_MB, _START_MINUTES = 600, 2
_MEASURED = ["start", "end", "seconds", "memory_mb", "cores", "gpu_memory_mb", "gpu_utilisation"]
# Column -> its name in the resources of Snakemake, and in the record of a training.
_ASKED = {
    "asked_minutes": ("runtime", "minutes"),
    "asked_memory_mb": ("mem_mb", "memory_mb"),
    "asked_cores": ("cpus_per_task", "cpus"),
    "asked_gpus": ("gpu", "gpus"),
}


def read_jobs(benchmarks: Path | None, folder: Path, phase: str, arms: list[str]) -> pd.DataFrame:
    """Read what the jobs of one phase used, from Snakemake's benchmark files and the records of the trainings.

    A record has more than Snakemake measures, and is all there is of a training that was submitted by hand. The
    columns are ``job``, ``start`` and ``end`` (seconds since the epoch), ``seconds``, peak ``memory_mb`` and
    ``gpu_memory_mb``, ``cores`` (mean number kept busy), ``gpu_utilisation`` (0-1), and what was requested in
    ``asked_*``; NaN where something was not measured or not requested.
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(benchmarks.glob("*.tsv")) if benchmarks else []:
        if "phase" not in path.stem or f"_{phase}_" in path.stem:
            rows[path.stem] = _of_benchmark(path)
    for arm in arms:
        record, name = folder / arm / "logs" / "training_record.json", f"train_{phase}_{arm}"
        if record.is_file():
            rows[name] = _with_record(rows.get(name, {}), record)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*_MEASURED, *_ASKED], dtype=float)
    return table.rename_axis("job").reset_index()


def _of_benchmark(path: Path) -> dict[str, Any]:
    measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
    end, seconds = path.stat().st_mtime, float(measured["s"])
    cores = float(measured["cpu_time"]) / seconds if seconds else np.nan
    row = {"start": end - seconds, "end": end, "seconds": seconds, "memory_mb": measured["max_rss"], "cores": cores}
    asked = ast.literal_eval(measured["resources"]) if "resources" in measured.index else {}
    if "slurm_partition" in asked:
        asked = {"cpus_per_task": measured["threads"], "gpu": 0, **asked}
        row |= {column: asked.get(name, np.nan) for column, (name, _) in _ASKED.items()}
    return row


def _with_record(row: dict[str, Any], path: Path) -> dict[str, Any]:
    record = read_result(path, "train again: python -m methmix.training")["record"]
    end, seconds = path.stat().st_mtime, float(record["train_seconds"])
    row = {"start": end - seconds, "end": end, "seconds": 0.0, **row}
    if seconds > row["seconds"]:
        # The record sums over restarts; Snakemake measured the last one only.
        row["seconds"], row["cores"] = seconds, record["n_ranks"] * record["cpu_seconds"] / seconds
    row["memory_mb"] = np.nanmax([row.get("memory_mb", np.nan), record["n_ranks"] * record["peak_memory_mb"]])
    if record["gpu_peak_memory_mb"]:
        row["gpu_memory_mb"] = record["gpu_peak_memory_mb"]
    if record["gpu_samples"]:
        row["gpu_utilisation"] = record["gpu_utilisation"]
    # Where SLURM recorded nothing, what Snakemake requested stays.
    return row | {column: found for column, (_, name) in _ASKED.items() if (found := record["slurm"].get(name))}


def enough(used: float, asked: float, spare: float, beside: float, step: float) -> float:
    """Return a sufficient request: ``spare`` times the use and what is ``beside`` it, rounded up to ``step``.

    At most what was requested, which has sufficed.
    """
    return min(asked, math.ceil((used * spare + beside) / step) * step)


def rows(jobs: pd.DataFrame) -> list[dict[str, str]]:
    """Make the table of the page: used / requested, and what would be enough next time."""
    table = []
    for job in jobs.to_dict("records"):
        minutes, asked_minutes, next_time = job["seconds"] / 60, job["asked_minutes"], ""
        memory, asked_memory = job["memory_mb"], job["asked_memory_mb"]
        if not np.isnan([memory, asked_memory, asked_minutes]).any():
            next_memory = enough(memory, asked_memory, 1.5, _SNAKEMAKE_MB, 500)
            next_minutes = enough(minutes, asked_minutes, 2, _START_MINUTES, 5)
            next_time = f"{next_memory:.0f} MB, {next_minutes:.0f} min"
        time, memory = _pair(minutes, asked_minutes, "min", 1), _pair(memory, asked_memory, "MB", 0)
        cores = _pair(job["cores"], job["asked_cores"], "", 1)
        row = {"job": job["job"], "time": time, "memory": memory, "cores": cores, "gpu": _gpu(job), "enough": next_time}
        table.append(row)
    return table


def _pair(used: float, asked: float, unit: str, digits: int) -> str:
    if np.isnan(used):
        return "not measured"
    requested = "" if np.isnan(asked) else f" / {asked:.0f}"
    return f"{used:.{digits}f}{requested} {unit}".strip()


def _gpu(job: dict[Hashable, Any]) -> str:
    if np.isnan(job["gpu_memory_mb"]):
        return f"not used, {job['asked_gpus']:.0f} requested" if job["asked_gpus"] > 0 else ""
    busy = "" if np.isnan(job["gpu_utilisation"]) else f", {100 * job['gpu_utilisation']:.0f} % busy"
    asked = f" of {job['asked_gpus']:.0f}" if job["asked_gpus"] > 0 else ""
    return f"{job['gpu_memory_mb']:.0f} MB{busy}{asked}"


@drawing
def efficiency(jobs: pd.DataFrame) -> Figure | None:
    """Draw the fraction of the requested resources that each job used; None where nothing was requested."""
    asked = jobs[jobs["asked_memory_mb"].notna()]
    if not len(asked):
        return None
    panels = {
        "memory": asked["memory_mb"] / asked["asked_memory_mb"],
        "time": asked["seconds"] / 60 / asked["asked_minutes"],
        "cores": asked["cores"] / asked["asked_cores"],
    }
    figure = Figure(figsize=(11, 0.22 * len(asked) + 0.9))
    for axes, (name, fraction) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        axes.barh(range(len(asked)), 1, color=EMPTY)
        axes.barh(range(len(asked)), fraction.clip(upper=1), color=TRUTH)
        axes.set(xlim=(0, 1), title=f"{name} used / requested")
        percent_axis(axes.xaxis)
        labelled_rows(axes, asked["job"].tolist())
    return figure
