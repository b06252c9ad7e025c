"""scripts/demo keeps its contract: env, a second run, servers kept and stopped, nothing left behind."""
import os
import shlex
import signal
import subprocess

import pytest

from harness import settings
from harness.postgres import Postgres

DEMO = os.path.join(settings.ROOT, "scripts", "demo")
PROMISED = [
    "REVCYCLE_API", "REVCYCLE_TOKEN", "REVCYCLE_PID", "REVCYCLE_BIN", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER",
    "PGPASSWORD", "CLAIMS_DROP", "BIGQUERY_ENDPOINT", "BIGQUERY_PROJECT", "BIGQUERY_DATASET", "REVCYCLE_CONFIG",
    *(f"HOSPITAL_{letter}_{word}" for letter in "AB"
      for word in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "TIMEZONE"))]


def demo(*arguments):
    """From a directory that is not the checkout's."""
    return subprocess.run([DEMO, *arguments], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, check=False)


def sourced(state):
    """What a shell has after sourcing the file."""
    names = " ".join(f'"${name}"' for name in PROMISED)
    done = subprocess.run(["sh", "-euc", f". {shlex.quote(os.path.join(state, 'env'))}; printf '%s\\n' {names}"],
                          stdout=subprocess.PIPE, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    return dict(zip(PROMISED, done.stdout.splitlines()))


def processes(state):
    """Command lines of processes that work in the state directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state in line and "pytest" not in line:
            found.append(line)
    return found


def patients(values):
    import psycopg2
    link = psycopg2.connect(host=values["PGHOST"], port=values["PGPORT"], dbname=values["PGDATABASE"],
                            user=values["PGUSER"], password=values["PGPASSWORD"])
    with link, link.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM silver.patients WHERE is_current AND NOT is_inferred")
        count = cursor.fetchone()[0]
    link.close()
    return count


@pytest.fixture
def state(tmp_path):
    path = str(tmp_path / "state")
    yield path
    demo("--state", path, "--stop")


def test_once_keep_again_and_stop(small_sample, state):
    first = demo("--data", small_sample, "--state", state, "--once", "--keep")
    assert first.returncode == 0, first.stdout[-3000:]
    for heading in ("Loaded", "Flagged", "Quarantined", "First figures"):
        assert f"\n{heading}" in first.stdout
    values = sourced(state)
    assert all(values.values()), values
    assert patients(values) == 400
    assert os.path.exists(values["REVCYCLE_CONFIG"]) and os.path.isdir(values["CLAIMS_DROP"])
    assert processes(state), "the servers are kept"

    again = subprocess.run(["sh", "-euc", f"set -a; . {shlex.quote(state)}/env; "
                            '"$REVCYCLE_BIN" --config "$REVCYCLE_CONFIG" --once'],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stdout[-2000:]

    stopped = demo("--state", state, "--stop")
    assert stopped.returncode == 0, stopped.stdout[-2000:]
    assert processes(state) == []

    second = demo("--state", state, "--once")
    assert second.returncode == 0, second.stdout[-3000:]
    assert processes(state) == []
    with Postgres(os.path.join(state, "postgresql")):
        assert patients(sourced(state)) == 400


def test_terminated_while_it_stays_up_it_leaves_nothing(small_sample, state):
    child = subprocess.Popen([DEMO, "--data", small_sample, "--state", state], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    said = []
    for line in child.stdout:
        said.append(line)
        if line.startswith("Ctrl-C stops"):
            break
    child.send_signal(signal.SIGTERM)
    said.append(child.stdout.read())
    assert child.wait(60) == 0, "".join(said)[-3000:]
    assert processes(state) == []
