"""The BigQuery emulator on a loopback port, its data under a state directory.

It loads two DuckDB extensions from ~/.duckdb and would fetch them when they are not there. So it
gets a HOME of its own in which they lie already, taken from the packages that ship them.
"""
import glob
import os
import sys
import sysconfig
import urllib.error
import urllib.request

from .process import Server, ServerFailed

PROJECT = "revcycle-demo"
PREFERRED_PORT = 9050


class Emulator(Server):
    name = "BigQuery emulator"
    accounts = ("root",)  # it runs as we do: it drops nothing and needs our Python environment
    start_seconds = 120

    def __init__(self, directory, outlive=False, project=PROJECT):
        super().__init__(directory, outlive)
        self.user = None
        self.project = project
        self.home = os.path.join(self.directory, "home")
        if self.port is None:
            self.port = PREFERRED_PORT

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
        return [sys.executable, os.path.join(os.path.dirname(sys.executable), "bqemulator"), "start",
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
        try:
            with urllib.request.urlopen(f"{self.endpoint()}/bigquery/v2/projects/{self.project}/datasets",
                                        timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
