"""A process that has loaded the heavy libraries once and forks itself into kernels; Linux only.

Run as `python -P -m therapyeval.reports.fork_server`, it reads one JSON request a line and answers each with
one line: {"argv", "cwd", "env"} forks a kernel and gives its `pid`, {"poll": pid} gives its exit `code`.
It opens no connection, socket or thread of its own before it forks (Arrow's allocator and OpenBLAS have threads,
and both are made for it). When its requests end, because its
client is done or was killed, it kills its kernels, removes their temporary files and ends.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module

FOLDER_PREFIX = "te-kernel-"
PRELOAD = ("ipykernel.kernelapp", "ipykernel.ipkernel", "numpy", "pandas", "pyarrow", "pyarrow.parquet", "scipy.stats",
           "statsmodels.api", "duckdb", "ibis", "ibis.backends.duckdb", "matplotlib.figure",
           "matplotlib.backends.backend_svg", "great_tables", "yaml", "pyarrow.dataset", "therapyeval.data.dataset",
           "therapyeval.pilot.evaluation", "therapyeval.pilot.sections")
THREADED = ("polars",)    # begins a thread when imported, and statsmodels imports it where it is installed


def is_available() -> bool:
    """True on Linux. Elsewhere forking a process that has loaded such libraries is unsafe or impossible."""
    return sys.platform == "linux" and hasattr(os, "fork")


class ForkServer:
    """The client's side: starts the server in the background and talks to it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen([sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(env),
                                         start_new_session=True)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> ForkedKernel:
        """Start a kernel with these arguments, working directory and environment."""
        return ForkedKernel(self, self.ask({"argv": list(argv), "cwd": cwd, "env": dict(env)})["pid"])

    def ask(self, request: Mapping[str, object]) -> dict:
        """One request and its answer.

        Raises
        ------
        OSError
            Where the server is gone.
        """
        with self._lock:
            if self._process.stdin.closed:
                raise OSError("the fork server was closed")
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise OSError("the fork server has ended")
        return json.loads(answer)

    def close(self) -> None:
        """End the server, and with it every kernel that still runs."""
        with self._lock:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()


class ForkedKernel:
    """A kernel process with the few methods of Popen that jupyter_client uses."""

    stdin = stdout = stderr = None

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid, self.returncode, self._server = pid, None, server

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                self.returncode = self._server.ask({"poll": self.pid})["code"]
            except OSError:
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


_running: dict[int, ForkServer] = {}
_starting = threading.Lock()


def running(env: Mapping[str, str]) -> ForkServer:
    """This process's fork server; the first call starts it and returns at once, while it still loads."""
    with _starting:
        server = _running.get(os.getpid())
        if server is None or not server.is_alive:
            server = _running[os.getpid()] = ForkServer(env)
            atexit.register(server.close)
    return server


def serve() -> None:
    """The server's side: load, then answer until the requests end."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _silence()
    _preload()
    children: dict[int, str] = {}  # kernel -> its folder for temporary files
    for line in requests:
        request = json.loads(line)
        if "argv" in request:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of those threads
                pid = os.fork()
            if pid == 0:
                requests.close()
                answers.close()
                _become_kernel(**request)
            children[pid] = request["env"].get("TMPDIR", "")
            answer = {"pid": pid}
        else:
            answer = {"code": _exit_code(request["poll"], children)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    for pid, folder in children.items():
        _kill_group(pid)
        os.waitpid(pid, 0)
        if os.path.basename(folder).startswith(FOLDER_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)


def _silence() -> None:
    """Nothing that an import prints may reach the answers, and no kernel may read the requests."""
    for number in (0, 1):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _preload() -> None:
    import gc

    kept_out = {name: None for name in THREADED if name not in sys.modules}
    sys.modules.update(kept_out)
    for name in PRELOAD:
        with suppress(Exception):  # what a report does not need may be absent; what it needs fails where it is used
            import_module(name)
    for name in kept_out:  # a kernel may import it
        del sys.modules[name]
    gc.collect()
    gc.freeze()


def _become_kernel(argv: list[str], cwd: str, env: dict[str, str]) -> None:
    """Turn the forked child into a kernel; never returns to the server's loop."""
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        tempfile.tempdir = None  # read TMPDIR again
        from ipykernel.kernelapp import IPKernelApp

        sys.argv = ["ipykernel_launcher", *argv]
        IPKernelApp.launch_instance(argv=[*argv, f"--IPKernelApp.parent_handle={os.getppid()}"])
    finally:
        os._exit(0)


def _exit_code(pid: int, children: dict[int, str]) -> int | None:
    if pid not in children:
        return 0
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        return None
    del children[pid]
    return os.waitstatus_to_exitcode(status)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # a child that was only just forked does not lead its group yet
        with suppress(OSError):
            kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
