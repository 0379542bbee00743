"""Disks that are full, read-only or gone, and no file left to open: one clear error, and what was there stays."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from compared import content
from forked_commands import Server
from small_stages import RUN, STAGES, Stage, beside

pytestmark = pytest.mark.slow

_PREDICTION = next(stage for stage in STAGES if stage.name == "prediction")
_REPORT = ("python", "-m", "methmix.reference", "report", "--reference", f"{RUN}/reference/reference.h5")
_DESCRIBE = ("python", "-m", "methmix.prediction", "--describe", "--format", "huggingface", *_PREDICTION.argv[3:5])
WRITERS = (
    *STAGES,
    Stage("reference report", (*_REPORT, "--output", "out/report.html"), "out"),
    Stage("model to publish", (*_DESCRIBE, "--output", "out"), "out"),
)
each_writer = pytest.mark.parametrize("stage", WRITERS, ids=lambda stage: stage.name)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system in memory."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, but: int) -> Path:
    """Fill a disk but for some bytes."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        space = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, max(space.f_bavail * space.f_bsize - but, 1))
    return filler


@pytest.fixture
def ended(server: Server, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a command; gives its exit code, and its errors, of which there is one unless the code is 0."""

    def of(folder: Path, *argv: str, **more: object) -> tuple[int, str]:
        log = tmp_path / "said.txt"
        code = server.start(folder, *argv, log=log, **more).wait()
        said = log.read_text()
        assert "Traceback" not in said and "--verbose shows" not in said and "Logging error" not in said, said
        assert said.count("error: ") == (code != 0), said
        return code, said.partition("error: ")[2]

    return of


@each_writer
def test_a_full_disk(stage, inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    with mounted(folder / "out", "size=8m"):
        ended(folder, *stage.argv)
        earlier = content(folder / "out")
        size = sum(map(len, earlier.values()))
        assert size
        if stage.name == "training":
            # What is finished is not done again.
            (folder / "out/run/checkpoints/checkpoint_last.pt").unlink()
            earlier = content(folder / "out")
        for room in (0, size // 3):
            filler = fill(folder / "out", but=room)
            code, error = ended(folder, *stage.argv)
            filler.unlink()
            assert code == 1 and "(No space left on device); what was there before is unchanged" in error
            assert "free some space there" in error
            kept = content(folder / "out")
            if stage.name == "training":
                assert all(kept[name] for name in earlier)
            else:
                assert kept == earlier
            assert not [*folder.rglob("out/**/.*.part")]
        # And then it goes on.
        assert ended(folder, *stage.argv)[0] == 0


@each_writer
def test_a_disk_that_is_mounted_read_only(stage, inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    with mounted(folder / "out", "ro"):
        code, error = ended(folder, *stage.argv)
    assert code == 2 and "cannot write here" in error and "read-only" in error.lower() and "write elsewhere" in error


@each_writer
def test_no_file_can_be_opened_any_more(stage, inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    ended(folder, *stage.argv)
    earlier = content(folder / "out")
    codes = set()
    for number in (1, 2, 3, 4, 6, 8):
        code, error = ended(folder, *stage.argv, open_files=number)
        assert code == 0 or "Too many open files" in error, error
        assert stage.name == "training" or content(folder / "out") == earlier
        codes.add(code)
    assert codes - {0}, "so many files were enough"


@each_writer
def test_an_output_that_is_a_folder(stage, inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    names = {"training": "run/training.lock", "evaluation": "per_tissue.csv", "comparison": "report.html"}
    name = names.get(stage.name, Path(stage.argv[-1]).name)
    if stage.name == "model to publish":
        name = "README.md"
    (folder / "out" / name).mkdir(parents=True)
    code, error = ended(folder, *stage.argv)
    assert code == 2 and f"out/{name}: is a folder, expected the name of a file to write" in error
    assert [path for path in (folder / "out").rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("place", ["json", "html", "_wide.csv"])
def test_any_of_several_outputs_is_a_folder(place, inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    blocked = folder / ("out/samples" + (place if place.startswith("_") else f".{place}"))
    blocked.mkdir(parents=True)
    code, error = ended(folder, *_PREDICTION.argv)
    assert code == 2 and f"{blocked.name}: is a folder" in error
    assert [*(folder / "out").iterdir()] == [blocked]


def test_a_temporary_folder_that_is_full_or_gone(inputs, ended, tmp_path):
    folder = beside(inputs, tmp_path / "it")
    # Python goes to the next one that there is.
    assert ended(folder, *_PREDICTION.argv, TMPDIR=str(tmp_path / "gone"))[0] == 0
    earlier = content(folder / "out")
    with mounted(tmp_path / "small", "size=1m"):
        fill(tmp_path / "small", but=16384)
        code, error = ended(folder, *_PREDICTION.argv, TMPDIR=str(tmp_path / "small"))
    assert code == 1 and "(No space left on device)" in error and "set TMPDIR to a folder with more room" in error
    assert str(tmp_path / "small") in error and content(folder / "out") == earlier
