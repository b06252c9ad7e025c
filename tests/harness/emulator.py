"""The BigQuery emulator on a loopback port, its data under a state directory.

It loads two DuckDB extensions from ~/.duckdb and would fetch them when they are not there. So it
gets a HOME of its own in which they lie already, taken from the packages that ship them.

`Warehouse` is the emulator behind the strict proxy: what the daemon is given for BigQuery.
"""
import glob
import os
import sys
import sysconfig
import urllib.error
import urllib.request

from . import nursery
from .process import Server, ServerFailed
from .settings import ROOT

PROJECT = "revcycle-demo"
PREFERRED_PORT = 9050  # of the endpoint that people and the daemon talk to


def _answers(endpoint, project):
    try:
        with urllib.request.urlopen(f"{endpoint}/bigquery/v2/projects/{project}/datasets", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Program(Server):
    """A Python program: of a process of its own when it is to outlive us, else forked, which is quicker."""

    module = None  # whose main() it is

    def program(self):
        """Its sys.argv."""
        raise NotImplementedError

    def _launch(self):
        if self.outlive:
            return super()._launch()
        return nursery.start(self.module, self.program(), self.directory, self.environment(), self.log_file)


class Emulator(Program):
    name = "BigQuery emulator"
    module = "bqemulator.cli"
    accounts = ("root",)  # it runs as we do: it drops nothing and needs our Python environment
    start_seconds = 120

    def __init__(self, directory, outlive=False, project=PROJECT):
        super().__init__(directory, outlive)
        self.user = None
        self.project = project
        self.home = os.path.join(self.directory, "home")

    def prepare(self):
        os.makedirs(os.path.join(self.directory, "data"), exist_ok=True)
        packages = sysconfig.get_paths()["purelib"]
        found = glob.glob(f"{packages}/duckdb_extension_*/extensions/v*/*.duckdb_extension")
        if not found:
            raise ServerFailed("the emulator's DuckDB extensions are not installed; run scripts/deps")
        for path in found:
            version = os.path.basename(os.path.dirname(path))
            folder = os.path.join(self.home, ".duckdb", "extensions", version, "linux_amd64")
            link = os.path.join(folder, os.path.basename(path))
            os.makedirs(folder, exist_ok=True)
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(path, link)

    def command(self):
        return [sys.executable, *self.program()]

    def program(self):
        return [os.path.join(os.path.dirname(sys.executable), "bqemulator"), "start",
                "--persistent", "--data-dir", os.path.join(self.directory, "data"),
                "--rest-port", str(self.port), "--grpc-port", "0", "--project", self.project,
                "--log-level", "warning"]

    def environment(self):
        kept = ("PATH", "LANG", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
        return {**{name: os.environ[name] for name in kept if name in os.environ},
                "HOME": self.home, "TZ": "UTC"}

    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self):
        return _answers(self.endpoint(), self.project)


class ProxyServer(Program):
    """The strict proxy as a process of its own, so that it outlives whoever started it."""

    name = "proxy before the emulator"
    module = "harness.proxy"
    accounts = ("root",)

    def __init__(self, directory, emulator, outlive=False, preferred_port=None):
        super().__init__(directory, outlive)
        self.user = None
        self.emulator = emulator
        self.port = self.port or preferred_port

    def command(self):
        return [sys.executable, "-m", *self.program()]

    def program(self):
        return [self.module, str(self.emulator.port), str(self.port), os.path.join(self.directory, "jobs")]

    def environment(self):
        return {**os.environ, "PYTHONPATH": os.path.join(ROOT, "tests")}

    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self):
        return _answers(self.endpoint(), self.emulator.project)


class Warehouse:
    """Emulator and proxy as one server: the same verbs."""

    name = "BigQuery emulator"

    def __init__(self, directory, outlive=False, project=PROJECT, preferred_port=None):
        self.directory = os.path.abspath(directory)
        self.project = project
        self.emulator = Emulator(os.path.join(self.directory, "emulator"), outlive, project)
        self.proxy = ProxyServer(os.path.join(self.directory, "proxy"), self.emulator, outlive, preferred_port)

    @property
    def port(self):
        """Of the emulator itself: where another proxy, with faults, connects to."""
        return self.emulator.port

    def endpoint(self):
        return self.proxy.endpoint()

    def start(self):
        self.emulator.start()
        self.proxy.start()
        return self

    def stop(self):
        self.proxy.stop()
        self.emulator.stop()

    def kill(self):
        self.proxy.kill()
        self.emulator.kill()

    def forget_processes(self):
        """For a copy of the directory: its pid and port files tell of the original."""
        for part in (self.emulator, self.proxy):
            part.port = None
            for path in (part.pid_file, part.port_file):
                if os.path.exists(path):
                    os.unlink(path)
