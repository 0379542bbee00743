"""What of a folder of results is compared between two runs: every byte but times, and the names of processes.

Times and machines stand in files of their own, or under the names below: in ``metrics.json`` (and what shows it), as
the contract has them there, and in ``training_log.csv`` and ``training_record.json``.
"""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

# Logs, TensorBoard, the costs of a training, what Snakemake measures and keeps: nothing reads them but people.
_LEFT_OUT = re.compile(r"(^|/)(\.snakemake|benchmarks|tensorboard)/|^logs/|/training\.txt$|/costs\.json$")
_TIMES = {
    *("train_seconds", "predict_seconds", "cpu_seconds", "seconds", "peak_memory_mb", "gpu_peak_memory_mb"),
    *("gpu_utilisation", "gpu_samples", "host", "slurm", "slurm_job_id", "node"),
}
# Of the page of a comparison: the last two cells of an arm, and the section with the jobs.
_COSTS_OF_ARM = re.compile(r"<td>(?:\d+ s|none|not recorded)</td><td>\d+ MB</td></tr>")
# A digest of the whole page, costs included.
_NONCE = re.compile(r"(?<=nonce[-=])\"?[0-9a-f]{32}")
_COST_SECTION = re.compile(r"<h2 id=\"cost\".*?(?=<h2|</main>|</body>)", re.DOTALL)


def content(folder: Path) -> dict[str, bytes]:
    """Read the files of a folder by their path in it, without times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    named = {str(path.relative_to(folder)): path for path in files}
    return {name: _without_times(path) for name, path in named.items() if not _LEFT_OUT.search(name)}


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Name the files that are not the same in two folders."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _without_times(path: Path) -> bytes:
    made = path.read_bytes()
    if path.suffix == ".json" and any(f'"{name}"'.encode() in made for name in _TIMES):
        return json.dumps(_but_times(json.loads(made))).encode()
    if path.name in ("training_log.csv", "comparison.csv"):
        rows = csv.DictReader(io.StringIO(made.decode()))
        return json.dumps([_but_times(row) for row in rows]).encode()
    if path.suffix == ".html":
        without = _COST_SECTION.sub("", _COSTS_OF_ARM.sub("", made.decode()))
        return _NONCE.sub("", without).encode()
    return made


def _but_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _but_times(part) for name, part in value.items() if name not in _TIMES}
    return [_but_times(part) for part in value] if isinstance(value, list) else value
