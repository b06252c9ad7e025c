"""The daemon under a harness's eye: started, awaited, asked over HTTP, stopped, killed."""
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

from . import jobs
from .process import Server, start_time, stat_fields

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_HELD = 0, 1, 2, 3


class Daemon(Server):
    name = "revcycled"
    stop_seconds = 15

    def __init__(self, directory, binary, config, environment=None):
        super().__init__(directory)
        self.user = None
        self.binary = binary
        self.config = config
        self.extra = dict(environment or {})
        self.arguments = []
        self.token = None
        os.makedirs(self.directory, exist_ok=True)
        self.reserved = False

    def choose_port(self):
        """Once, before the configuration that names the port is written."""
        if not self.reserved:
            super().choose_port()
            self.reserved = True
        return self.port

    def command(self):
        return [self.binary, "--config", self.config, *self.arguments]

    def environment(self):
        """Sanitizer and failpoint settings come from outside; time zone, locale and libpq's own
        variables do not."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "TZ": "UTC", "LC_ALL": "C.UTF-8", **self.extra}

    def is_ready(self):
        try:
            return self.get("/readyz", token=None)[0] == 200
        except OSError:
            return False

    # -- runs that end by themselves

    def run(self, *arguments, timeout=600, **extra):
        """A command of the daemon's, awaited: its exit code, output and log."""
        return subprocess.run(
            [self.binary, "--config", self.config, *arguments], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=timeout, check=False,
            env={**self.environment(), **extra}, cwd=self.directory)

    def once(self, timeout=600, **extra):
        return self.run("--once", timeout=timeout, **extra)

    def begin_once(self):
        """`--once` in the background with the log in a file; end_once() awaits its exit code."""
        self.arguments = ["--once"]
        self.choose_port()
        self._spawn()
        return self.child.pid

    def end_once(self, timeout=None):
        code = self.child.wait(timeout)
        self.arguments = []
        self.child = None
        os.unlink(self.pid_file)
        return code

    # -- HTTP

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, method, path, body=None, token="own", headers=None, timeout=60):
        """(status, headers, body): the body parsed when it is JSON, else text."""
        headers = dict(headers or {})
        secret = self.token if token == "own" else token
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url(path), data=data, method=method, headers=headers)
        try:
            answer = urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode("utf-8", "replace")
            kind = answer.headers.get_content_type()
            return (answer.status, answer.headers,
                    json.loads(text) if kind.endswith("json") and text else text)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def make_token(self, name="harness", scope="read,operate,phi,admin"):
        """The command prints the token once, alone on its last line."""
        done = self.run("token", "add", name, "--scope", scope, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"token add failed: {done.stderr[-2000:]}")
        self.token = done.stdout.split()[-1]
        return self.token

    # -- processes

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid()}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid()}/task"))

    def resident_bytes(self, field="VmRSS"):
        with open(f"/proc/{self.pid()}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {field}")

    def is_size_its_own(self):
        """Not under ASan and TSan, which have shadow memory and keep what was freed for a while."""
        return not any(kind in self.binary for kind in ("/sanitize-", "/threads-"))

    def start_until(self, failpoint):
        """Starts it, and awaits that it stands still at this failpoint; go_on() lets it run again."""
        self.extra = {"REVCYCLED_FAILPOINT": f"{failpoint}:stop"}
        self._spawn()
        jobs.until(self.is_stopped, what=f"it stands still at {failpoint}")

    def is_stopped(self):
        return (stat_fields(self.pid()) or "?")[0] == "T"

    def go_on(self):
        self.signal(signal.SIGCONT)

    def hang_up(self):
        self.signal(signal.SIGHUP)

    def is_alive(self):
        return self.child is not None and start_time(self.child.pid) is not None

    def log_lines(self):
        """The log as dictionaries; a line that is not JSON comes as {"raw": line}."""
        with open(self.log_file, encoding="utf-8", errors="replace") as log:
            for line in log:
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"raw": line.rstrip("\n")}
