"""Commands in processes that are forked from one that has loaded everything, in groups that can be killed whole.

A whole workflow starts twenty processes, each of which loads the libraries for seconds; of the moments at which such a
run is killed, hardly any would lie where something is written. The server forks what its clients ask for: a test, or
the program ``python`` that stands in the PATH of a workflow. What is forked belongs to the group of its client.
"""

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

_SOCKET = "METHMIX_FORKED_COMMANDS"
_LOADED = (
    "snakemake_loaded", "methmix.reference.build", "methmix.reference.reference_report", "methmix.mixtures.write",
    "methmix.training.train", "methmix.evaluation.evaluate", "methmix.report.comparison",
    "methmix.prediction.prediction_command", "methmix.normals.panel_command", "altair", "vl_convert", "pysam",
    # What making an optimiser loads.
    "torch._dynamo",
)  # fmt: skip
_CLIENT = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] != ["-m"]:
    os.execv("{python}", ["{python}", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["{variable}"])
    asked = dict(argv=["python", *sys.argv[1:]], cwd=os.getcwd(), env=dict(os.environ), group=os.getpgrp())
    socket.send_fds(server, [json.dumps(asked).encode() + b"\\n"], [0, 1, 2])
    answer = server.makefile().read().split()
sys.exit(int(answer[1]) if len(answer) > 1 else 137)
"""


class Running:
    """A command that runs, as the leader of a group of processes."""

    def __init__(self, connection: socket.socket) -> None:
        self._answer = connection.makefile()
        self.group = int(self._answer.readline())

    def wait(self) -> int:
        """Wait for its end; gives its exit code, 137 if it was killed."""
        return int(self._answer.readline() or 137)

    def kill(self) -> None:
        """Kill the whole group, also what joins it at this moment."""
        while alive := _members(self.group):
            for process in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.005)


class Server:
    """A process that forks commands."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "socket"
        (folder / "bin").mkdir()
        client = folder / "bin" / "python"
        client.write_text(_CLIENT.format(python=sys.executable, variable=_SOCKET))
        client.chmod(0o755)
        search = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        # With it, what a process calls ``python`` is forked from the server.
        self.environment = {"PATH": search, _SOCKET: str(self._path), "OMP_NUM_THREADS": "1"}
        self._log = (folder / "server.txt").open("wb")
        command = [sys.executable, __file__, str(self._path)]
        self._process = subprocess.Popen(command, stderr=self._log, env={**os.environ, **self.environment})
        while not self._path.exists():
            assert self._process.poll() is None, (folder / "server.txt").read_text()
            time.sleep(0.05)

    def start(self, folder: Path, *argv: str, log: Path, open_files: int | None = None, **environment: str) -> Running:
        """Start a command in a folder; ``open_files`` is how many it may open beside what is open."""
        environment = {**os.environ, **self.environment, **environment}
        asked = {"argv": argv, "cwd": str(folder), "env": environment, "group": 0}
        asked["open_files"] = open_files
        with socket.socket(socket.AF_UNIX) as connection, log.open("wb") as output:
            connection.connect(str(self._path))
            socket.send_fds(connection, [json.dumps(asked).encode() + b"\n"], [output.fileno()] * 3)
            return Running(connection)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def _members(group: int) -> list[int]:
    """List the processes of a group that are not dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def _serve(path: str) -> None:
    """Fork a process for each connection, as long as whoever started this one is there."""
    for name in _LOADED:
        importlib.import_module(name)
    # As in `snakemake_loaded`.
    gc.collect()
    gc.freeze()
    # Nobody waits for the forked ones.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.new")
        listening.listen(64)
        Path(f"{path}.new").rename(path)
        listening.settimeout(2)
        parent = os.getppid()
        while os.getppid() == parent:
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            text, files, *_ = socket.recv_fds(connection, 1 << 20, 3)
            while not text.endswith(b"\n"):
                text += connection.recv(1 << 20)
            if not os.fork():
                listening.close()
                return _become(json.loads(text), files, connection)
            connection.close()
            for file in array.array("i", files):
                os.close(file)


def _limit(free: int) -> int:
    """Find the limit of numbers below which so many are free."""
    number = 0
    while Path(f"/proc/self/fd/{number}").is_symlink() or free:
        free -= not Path(f"/proc/self/fd/{number}").is_symlink()
        number += 1
    return number


def _become(asked: dict, files: list[int], connection: socket.socket) -> None:
    """Be the command, in the group that asked for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(PermissionError):  # the job of a SLURM is in another session
        os.setpgid(0, asked["group"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir, sys.argv = None, list(asked["argv"])
    if asked.get("open_files") is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_limit(asked["open_files"]),) * 2)
    connection.sendall(f"{os.getpid()}\n".encode())
    code = 1
    try:
        if sys.argv[0] == "snakemake":
            importlib.import_module("snakemake.cli").main(sys.argv[1:])
            code = 0
        else:
            _, option, module, *arguments = sys.argv
            assert option == "-m"
            sys.argv = [module, *arguments]
            code = importlib.import_module(f"{module}.__main__").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    # As at the end of Python, but for what was loaded: to free it would copy it first.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{code}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _serve(sys.argv[1])
