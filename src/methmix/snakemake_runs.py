"""Snakemake's lock on the working directory, distinguished: of a run that lives, or left by one that was killed.

That lock names no owner and outlives it. So each run of the workflow leaves its name in ``.snakemake/runs`` when it
reads the workflow, which is before it can take the lock, and removes it when it ends.
"""

import atexit
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from methmix.files.atomic import write_text
from methmix.files.owner import Owner, is_gone, read_owner, this_process

_UNLOCK = "if nothing of it runs any more, type: snakemake --unlock"


def take_over(folder: Path = Path(".snakemake")) -> Iterator[str]:
    """Enter this process as a run; remove a lock of which no owner lives. Yields what the user should know of a lock.

    Without a word where there is no lock. Whether two runs may be at work is left to Snakemake.
    """
    me = this_process()
    own = folder / "runs" / f"{me.token}.json"
    # Entered before others are looked for: of two that begin at the same time, none takes over from the other.
    write_text(own, json.dumps(asdict(me), indent=2) + "\n")
    atexit.register(own.unlink, missing_ok=True)
    owners = {path: owner for path in own.parent.glob("*.json") if path != own and (owner := read_owner(path))}
    gone = {path: is_gone(owner, me) for path, owner in owners.items()}
    locks = [*(folder / "locks").glob("*.lock")]
    if locks:
        yield _judged(locks, [(owners[path], gone[path]) for path in owners])
    for path in (path for path in owners if gone[path]):
        path.unlink(missing_ok=True)


def _judged(locks: list[Path], runs: list[tuple[Owner, bool | None]]) -> str:
    """Say whose a lock is, and remove it if that can only be one of the dead."""
    for owner, gone in runs:
        if gone is False:
            remedy = f"scancel {owner.job_id}" if owner.job_id else f"kill {owner.process}"
            return f"another Snakemake runs in this folder ({owner}); wait for it, or end it: {remedy}"
    for owner, gone in runs:
        if gone is None:
            return f"this folder is locked by a Snakemake that cannot be seen from here ({owner}); {_UNLOCK}"
    if not runs:
        return f"this folder is locked by a Snakemake that has not left its name; {_UNLOCK}"
    for lock in locks:
        lock.unlink(missing_ok=True)
    dead = "; ".join(str(owner) for owner, _ in runs)
    return f"the lock of a Snakemake that was killed ({dead}) is taken over; jobs that it gave to SLURM may still run"
