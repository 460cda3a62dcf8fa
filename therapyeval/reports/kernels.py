"""Kernels for reports: this interpreter, its own empty profile, no standard input, gone when the report is.

On Linux a kernel is forked from a process that has loaded the libraries (fork_server) and talks over files in
a private folder; elsewhere it is an ordinary new process on TCP loopback. Imported only when a report runs.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
import weakref
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import LocalProvisioner

from therapyeval.reports import fork_server

# No history file, and no module from the working directory in place of an installed one.
_OPTIONS = ("--HistoryManager.enabled=False", "--InteractiveShellApp.ignore_cwd=True")
_SHUTDOWN_SECONDS = 2.0  # then it is killed; its temporary files go with its folder
_LONGEST_SOCKET_PATH = 90  # the system takes 107 characters; jupyter_client adds some


class ReportKernelManager(AsyncKernelManager):
    """Starts one kernel for one report; nbclient makes it and shuts it down."""

    uses_fork = fork_server.is_available()

    def __init__(self, **traits: object) -> None:
        self._folder = tempfile.mkdtemp(prefix=fork_server.FOLDER_PREFIX)
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        over_files = self.uses_fork and len(self._folder) <= _LONGEST_SOCKET_PATH
        own = {"transport": "ipc" if over_files else "tcp", "connection_file": str(Path(self._folder) / "k.json"),
               "shutdown_wait_time": _SHUTDOWN_SECONDS}
        super().__init__(**{**traits, **own})

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}", *_OPTIONS]
        return KernelSpec(argv=argv, language="python", display_name="Python 3 (ipykernel)")

    async def _async_pre_start_kernel(self, **options: object) -> tuple[list[str], dict]:
        if self.uses_fork:
            self.provisioner = ForkProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        own = dict.fromkeys(("IPYTHONDIR", "TMPDIR", "TEMP", "TMP"), self._folder)
        options |= {"env": kernel_environment() | own, "cwd": os.getcwd(),
                    "stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
        return await super()._async_pre_start_kernel(**options)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if not restart:
            self._remove_folder()


class ForkProvisioner(LocalProvisioner):
    """Like jupyter_client's own, but the process is forked from the running fork server."""

    async def launch_kernel(self, cmd: list[str], **options: object) -> dict:
        try:
            server = fork_server.running(kernel_environment())
            self.process = server.fork(cmd[cmd.index("-f"):], options["cwd"], options["env"])
        except OSError:  # no server: an ordinary process is slower, and as good
            return await super().launch_kernel(cmd, **options)
        self.pid = self.pgid = self.process.pid
        return self.connection_info


def kernel_environment() -> dict[str, str]:
    """This process's environment, with this package importable and figures drawn without a display."""
    env = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    if root != sysconfig.get_path("purelib"):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
    env.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return env


def warm_up() -> None:
    """Start loading libraries in the background, while this process loads its own."""
    if ReportKernelManager.uses_fork:
        fork_server.running(kernel_environment())
