"""scripts/demo: the servers, the data, the daemon, and what came of it."""
import argparse
import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import sys
import time

from . import loader, remits, sample, settings, summary
from .daemon import Daemon
from .emulator import PREFERRED_PORT, Warehouse
from .mariadb import MariaDB
from .postgres import Postgres
from .process import ServerFailed

DATABASE = "revcycle"
DATASET = "healthcare_rcm"


class Stopped(Exception):
    """Ctrl-C or TERM."""


class Step:
    """A line of progress: what is being done, and how long it took."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.begun = time.monotonic()
        print(f"· {self.what} …", end="", flush=True)
        return self

    def __exit__(self, kind, error, trace):
        seconds = time.monotonic() - self.begun
        print(" stopped" if kind else f" {seconds:.1f} s", flush=True)


def arguments():
    state_home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--data", metavar="DIR", help="data of two hospitals; default: a generated sample")
    parser.add_argument("--state", metavar="DIR", default=os.path.join(state_home, "revcycled", "demo"))
    parser.add_argument("--once", action="store_true", help="one complete run, then stop")
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    parser.add_argument("--stop", action="store_true", help="stop what --keep left running")
    return parser.parse_args()


class Demo:
    def __init__(self, options):
        self.options = options
        self.state = os.path.abspath(options.state)
        self.drop = os.path.join(self.state, "claims")
        self.remits = os.path.join(self.state, "remittances")
        self.config = os.path.join(self.state, "revcycled.yaml")
        self.mark = os.path.join(self.state, "loaded")
        self.mysql = MariaDB(os.path.join(self.state, "mariadb"), options.keep)
        self.store = Postgres(os.path.join(self.state, "postgresql"), options.keep)
        self.bigquery = Warehouse(os.path.join(self.state, "bigquery"), options.keep,
                                  preferred_port=PREFERRED_PORT)
        self.servers = [self.mysql, self.store, self.bigquery]
        self.daemon = Daemon(os.path.join(self.state, "daemon"), os.environ.get("REVCYCLE_BIN"), self.config)

    # -- the parts of a run

    def start_servers(self):
        for server in self.servers:
            with Step(f"starting {server.name}"):
                server.start()

    def data_directory(self):
        """The data given, or loaded before, or the generated sample."""
        if self.options.data:
            return os.path.abspath(self.options.data)
        if self.loaded_data():
            return self.loaded_data()
        directory = os.path.join(self.state, "sample")
        if not os.path.exists(os.path.join(directory, "planted.json")):
            with Step("generating the sample: 10,000 patients, 50,000 transactions"):
                shutil.rmtree(directory, ignore_errors=True)
                sample.generate(directory)
        return directory

    def loaded_data(self):
        """Whose data the servers hold already; None before the first load is whole."""
        try:
            with open(self.mark, encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return None

    def load(self, data):
        """Once: a second run keeps the hospitals as they are by now. Half a load is made anew."""
        if self.loaded_data():
            if self.loaded_data() != data:
                raise ServerFailed(f"{self.state} holds the data of {self.loaded_data()}; "
                                   "give another --state, or remove it")
            return data
        for hospital in loader.HOSPITALS:
            with Step(f"loading {hospital} into MariaDB"):
                counts = loader.load_hospital(self.mysql, data, hospital)
            print("  " + ", ".join(f"{rows:,} {table}" for table, rows in counts.items()))
        if not self.store.has_database(DATABASE):
            self.store.create_database(DATABASE)
        files = loader.drop_claims(data, self.drop)
        print(f"· {files} claims files dropped into {self.drop}")
        if not self.options.data:
            print(f"· an X12 835 that answers {remits.drop(data, self.remits):,} claims dropped into {self.remits}")
        with open(self.mark, "w", encoding="utf-8") as file:
            file.write(data + "\n")
        return data

    def configure(self, data):
        self.daemon.choose_port()
        values = settings.values(self.mysql, self.store, self.bigquery.endpoint(), self.bigquery.project,
                                 self.state, DATABASE, self.drop, self.daemon.port)
        settings.write_config(settings.template_of(data), self.config, values)
        remits.configure(self.config, self.remits)

    def migrate(self):
        with Step("creating or upgrading the PostgreSQL schemas"):
            done = self.daemon.run("migrate", timeout=120)
        if done.returncode != 0:
            raise ServerFailed(f"migrate failed\n{done.stderr[-4000:]}")

    def prepare_token(self):
        """One token with all scopes per state directory; only its hash is in the database."""
        path = os.path.join(self.state, "token")
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                self.daemon.token = file.read().strip()
            return
        self.daemon.make_token("demo")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.daemon.token + "\n")

    def environment(self, pid):
        """What anyone may source to look at the result, or to play the hospital."""
        hospital = {}
        for name in loader.HOSPITALS:
            prefix = name.upper()
            hospital |= {
                f"{prefix}_HOST": "127.0.0.1", f"{prefix}_PORT": self.mysql.port,
                f"{prefix}_USER": "hospital", f"{prefix}_PASSWORD": self.mysql.password("hospital"),
                f"{prefix}_DATABASE": loader.database_of(name), f"{prefix}_TIMEZONE": self.mysql.zone}
        return {
            "REVCYCLE_API": self.daemon.url(), "REVCYCLE_TOKEN": self.daemon.token,
            "REVCYCLE_PID": pid, "REVCYCLE_BIN": self.daemon.binary,
            "PGHOST": "127.0.0.1", "PGPORT": self.store.port, "PGDATABASE": DATABASE,
            "PGUSER": "inspector", "PGPASSWORD": self.store.password("inspector"),
            **hospital,
            "CLAIMS_DROP": self.drop, "REMITTANCES_DROP": self.remits,
            "BIGQUERY_ENDPOINT": self.bigquery.endpoint(), "BIGQUERY_PROJECT": self.bigquery.project,
            "BIGQUERY_DATASET": DATASET, "REVCYCLE_CONFIG": self.config}

    def write_environment(self, pid):
        path = os.path.join(self.state, "env")
        with os.fdopen(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            for name, value in self.environment(pid).items():
                file.write(f"export {name}={shlex.quote(str(value))}\n")
        os.rename(path + ".new", path)

    def summarise(self):
        link = self.store.connect(DATABASE)
        try:
            summary.show(link)
        finally:
            link.close()

    # -- the two ways to run

    def run_once(self):
        self.write_environment(self.daemon.begin_once())
        print("· running: place, settle, publish, KPIs")
        with contextlib.closing(self.store.connect(DATABASE)) as link:
            progress = summary.Progress(link)
            while self.daemon.is_alive():
                progress.step()
                time.sleep(0.5)
            progress.end()
        code = self.daemon.end_once()
        if code != 0:
            print(f"revcycled --once ended with exit code {code}\n{self.daemon.log_tail(5)}", file=sys.stderr)
        self.summarise()
        self.tell_where(running=False)
        return code

    def run_on(self):
        """Stays up. The first round is over when every job has run."""
        with Step("starting the daemon"):
            self.daemon.start()
        self.write_environment(self.daemon.pid())
        print("· running: place, settle, publish, KPIs")
        with contextlib.closing(self.store.connect(DATABASE)) as link:
            progress = summary.Progress(link)
            while self.daemon.is_alive() and not self.first_round_over():
                progress.step()
                time.sleep(0.5)
            progress.end()
        self.summarise()
        self.tell_where(running=True)
        self.daemon.child.wait()
        raise ServerFailed(f"the daemon ended by itself\n{self.daemon.log_tail(5)}")

    def first_round_over(self):
        status, _, answer = self.daemon.get("/v1/jobs?limit=1000")
        if status != 200:
            return False
        given_up = ("failed", "held", "canceled")
        return all(job["last_success_at"] or (job["last_run"] and job["last_run"]["state"] in given_up)
                   for job in answer["items"])

    def tell_where(self, running):
        if running:
            token = 'curl -sH "Authorization: Bearer $REVCYCLE_TOKEN"'
            print(f"\nTry, after  . {shlex.quote(os.path.join(self.state, 'env'))}\n"
                  f'  {token} "$REVCYCLE_API/v1/status"\n'
                  f'  {token} "$REVCYCLE_API/v1/kpis/denial_reasons?by=group_code,reason_code"\n'
                  f'  {token} -X POST "$REVCYCLE_API/v1/jobs/hospital_a.patients/runs"\n'
                  f"Dashboard: {self.daemon.url('/')}   (token: {os.path.join(self.state, 'token')})\n"
                  "Ctrl-C stops everything.", flush=True)
        else:
            print(f"\nAll of it is in {self.state}; its `env` says how to reach it.", flush=True)
            if self.options.keep:
                print(f"The servers stay up until: scripts/demo --state {shlex.quote(self.state)} --stop")

    def run(self):
        self.start_servers()
        data = self.load(self.data_directory())
        self.configure(data)
        self.migrate()
        self.prepare_token()
        return self.run_once() if self.options.once else self.run_on()

    def stop(self):
        """In the order of dependence; every one is tried, whatever the one before did."""
        errors = []
        for server in [self.daemon] + ([] if self.options.keep else self.servers):
            try:
                server.stop()
            except (OSError, ServerFailed) as error:
                errors.append(f"{server.name}: {error}")
        if errors:
            raise ServerFailed("; ".join(errors))


def lock(state):
    """One demo per state directory at a time."""
    os.makedirs(state, exist_ok=True)
    file = open(os.path.join(state, "lock"), "w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ServerFailed(f"another demo is running on {state}") from None
    return file


def raise_stopped(signum, frame):
    raise Stopped()


def main():
    options = arguments()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, raise_stopped)
    code = 1
    demo = held = None
    try:
        held = lock(os.path.abspath(options.state))
        demo = Demo(options)
        if options.stop:
            options.keep = False
            return 0
        code = demo.run()
    except Stopped:
        print("\nstopping", flush=True)
        code = 0 if not options.once else 130
    except (ServerFailed, RuntimeError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        if demo is not None:
            demo.stop()
        if held is not None:
            held.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
