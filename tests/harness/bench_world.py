"""What the bench measures on: two private servers, the generated hospital, a store, one daemon; and how a
process is measured from outside.

Jobs are never due by themselves (every 12 h): a run is asked for, or is the first after the start.
"""
import contextlib
import datetime
import http.client
import os
import re
import select
import subprocess
import tempfile
import threading
import time

import yaml

from . import adversary, bench_data, jobs, loader, process, sample, settings
from .daemon import Daemon
from .mariadb import MariaDB
from .postgres import Postgres, binary_directory

DATABASE, STORE, QUIET = "hospital_a_db", "revcycle", "quiet"
DIMENSIONS = ("patients", "providers", "departments", "encounters")  # what transactions name
TICKS = os.sysconf("SC_CLK_TCK")
RUN_SECONDS = 3600
MARIADB = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")

# What \copy fills with the claims file: typed, logged, and nothing else.
TYPES = {**dict.fromkeys(("ServiceDate", "ClaimDate", "ModifiedDate"), "date"),
         **dict.fromkeys(("ClaimAmount", "PaidAmount", "Deductible", "Coinsurance", "Copay"), "numeric(14,2)")}
COLUMNS = ", ".join(name + " " + TYPES.get(name, "text") for name in sample.CLAIM_COLUMNS)


# -- a process, from outside


def peak_resident(pid):
    """MiB. Not ru_maxrss: that remembers the size of the process that forked."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = re.search(r"VmHWM:\s+(\d+)", status.read())
            return int(found.group(1)) / 1024 if found else 0.0
    return 0.0


def cpu_seconds(pid):
    """User and system time of all its threads (proc(5), fields 14 and 15 of stat); 0 when it has ended meanwhile."""
    fields = process.stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def children_of(parent):
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if (process.stat_fields(pid) or (None, -1))[1] == str(parent)]


def measured(command, **environment):
    """A program from its start to its end: (seconds of wall, seconds of CPU, peak MiB, output)."""
    with tempfile.TemporaryFile("w+") as out:
        begun, peak = time.monotonic(), 0.0
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment})
        handle = os.pidfd_open(child.pid)
        while not select.select([handle], [], [], 0.02)[0]:
            peak = max(peak, peak_resident(child.pid))
        os.close(handle)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode != 0:
            raise RuntimeError(f"{os.path.basename(command[0])} ended with {child.returncode}: {out.read()[-2000:]}")
        return wall, usage.ru_utime + usage.ru_stime, peak, out.read()


class Probe(threading.Thread):
    """Asks the API again and again, in turn, until the `with` ends: {path: [ms, …]}."""

    PATHS = ("/metrics", "/v1/jobs")
    PAUSE = 0.012  # the API takes 100 requests a second per token

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.link = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        self.headers = {"Authorization": f"Bearer {daemon.token}"}
        self.times = {path: [] for path in self.PATHS}
        self.enough = threading.Event()

    def run(self):
        while not self.enough.wait(self.PAUSE):
            for path in self.PATHS:
                begun = time.perf_counter()
                self.link.request("GET", path, headers=self.headers)
                with self.link.getresponse() as answer:
                    answer.read()
                    if answer.status == 200:
                        self.times[path].append((time.perf_counter() - begun) * 1000)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.enough.set()
        self.join()
        self.link.close()

    def p99(self, path):
        times = sorted(self.times[path])
        return times[len(times) * 99 // 100]


# -- a run, as the API tells it


def instant(text):
    return datetime.datetime.fromisoformat(text)


def run_seconds(run):
    return (instant(run["finished_at"]) - instant(run["started_at"])).total_seconds()


def succeeded(run):
    if run["state"] != "succeeded":
        raise RuntimeError(f"the run of {run['job']} is {run['state']}: {run['error']}")
    return run


class World:
    def __init__(self, directory, build, rows):
        self.directory = directory
        self.build = build
        self.sizes = bench_data.Sizes(rows)
        self.mysql = MariaDB(os.path.join(directory, "mariadb"), options=MARIADB)
        self.store = Postgres(os.path.join(directory, "postgresql"), by_socket=True)
        self.config = os.path.join(directory, "revcycled.yaml")
        self.drop = os.path.join(directory, "claims")
        self.daemon = Daemon(os.path.join(directory, "daemon"), os.path.join(build, "revcycled"), self.config)
        self.claims_file = os.path.join(directory, bench_data.CLAIMS_FILE)

    # -- life

    def make(self):
        os.makedirs(self.drop)
        bench_data.generate(self.directory, self.sizes)
        self.mysql.start()
        self.store.start()
        bench_data.load(self.mysql, DATABASE, self.directory)
        self.daemon.choose_port()

    def end(self):
        for server in (self.daemon, self.mysql, self.store):
            server.stop()

    def make_store(self):
        """An empty one, with a token."""
        self.store.drop_database(STORE)
        self.store.create_database(STORE)
        self.configure(DIMENSIONS)
        self.command("migrate")
        self.daemon.make_token()

    def configure(self, feeds, claims=False):
        """These feeds of hospital A, perhaps its claims, no BigQuery."""
        values = settings.values(self.mysql, self.store, "http://127.0.0.1:1", "none", self.directory, STORE, self.drop,
                                 self.daemon.port)
        settings.write_config(sample.TEMPLATE, self.config, values)
        with open(self.config, encoding="utf-8") as file:
            config = yaml.safe_load(jobs.rarely(file.read()))
        hospital = config["sources"]["hospital_a"]
        hospital["feeds"] = {name: {**hospital["feeds"][name], "reconcile": "0"} for name in feeds}
        config["sources"] = {"hospital_a": hospital}
        monthly = config["claims"]["monthly"]
        monthly["from"] = [entry for entry in monthly["from"] if entry["source"] == "hospital_a"]
        for part in ("bigquery",) if claims else ("bigquery", "claims"):
            config.pop(part)
        with open(self.config, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False)

    def command(self, *arguments):
        done = self.daemon.run(*arguments, timeout=RUN_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"revcycled {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")

    @contextlib.contextmanager
    def running(self):
        self.daemon.start()
        try:
            yield self.daemon
        finally:
            self.daemon.stop()

    def calm(self):
        """As autovacuum and the checkpointer leave the store after a while."""
        self.store.execute("VACUUM (ANALYZE)", STORE)
        self.store.execute("CHECKPOINT")

    # -- other programs

    def pipe(self, verb, *more):
        """The C pipe."""
        dsn = f"{self.store.dsn(STORE, 'postgres')} password={self.store.password('postgres')}"
        return measured([os.path.join(self.build, "cpipe"), verb, "127.0.0.1", str(self.mysql.port), "revcycle_ro",
                         self.mysql.password("revcycle_ro"), DATABASE, dsn, *more])

    def copy_claims(self, key=""):
        """The claims file into one plain table, by psql; with `key` into one that has what the C pipe's has."""
        self.store.execute("DROP TABLE IF EXISTS plain", STORE)
        self.store.execute(f"CREATE TABLE plain ({COLUMNS}{key})", STORE)
        return measured([os.path.join(binary_directory(), "psql"), "-X", "-d", self.store.dsn(STORE, "postgres"), "-c",
                         f"\\copy plain FROM '{self.claims_file}' WITH (FORMAT csv, HEADER)"],
                        PGPASSWORD=self.store.password("postgres"))

    # -- the hospital at work

    def play(self, statement):
        """One statement of the hospital's: (the hospital's clock just before, rows it changed)."""
        link = self.mysql.connect(DATABASE, user="hospital")
        with contextlib.closing(link), link.cursor() as cursor:
            cursor.execute("SELECT CAST(NOW(6) AS CHAR)")
            before = cursor.fetchone()[0]
            return before, cursor.execute(statement)

    @contextlib.contextmanager
    def held(self):
        """A statement of the hospital's that runs meanwhile: it holds the cursor, what is behind it is read again."""
        with contextlib.closing(self.mysql.connect(DATABASE, user="hospital")) as link:
            link._execute_command(3, f"DO SLEEP({RUN_SECONDS})")  # COM_QUERY; nobody waits for its answer
            time.sleep(0.5)
            yield
            self.mysql.execute(f"KILL {link.thread_id()}")

    # -- persons

    def load_persons(self, rows):
        bench_data.load_persons(self.mysql, DATABASE, self.directory, rows)

    def must_have_linked(self, rows):
        """Everybody who stands there twice is one person, nobody else is, and every row says so."""
        with contextlib.closing(self.store.connect(STORE)) as link, link.cursor() as cursor:
            cursor.execute("SELECT array_agg(source_patient_id ORDER BY source_patient_id) FROM silver.patients "
                           "WHERE is_current AND source_system <> '' GROUP BY person_id HAVING count(*) > 1")
            found = [members for members, in cursor.fetchall()]
        wrong = [members for members in found if members[1:] != [bench_data.second_number(members[0])]]
        if wrong or len(found) != rows // 20:
            raise RuntimeError(f"{len(found)} persons of {rows // 20} have two numbers, {len(wrong)} of them wrongly")

    # -- many feeds

    def poll_quiet_feeds(self, count, seconds):
        """So many feeds of one table, polled every second while nothing changes: shares of a core that the daemon, the
        source and the store take."""
        self.mysql.create_database(QUIET)
        adversary.make_tables(self.mysql, QUIET)
        self.make_store()
        values = settings.values(self.mysql, self.store, "http://127.0.0.1:1", "none", self.directory, STORE, self.drop,
                                 self.daemon.port, (QUIET, QUIET))
        settings.write_config(os.path.join(settings.ROOT, "tests", "data", "watermark.yaml.in"), self.config, values)
        with open(self.config, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        feed = {**config["sources"]["hospital"]["feeds"]["instant"], "table": "instant", "every": "1s"}
        config["sources"]["hospital"]["feeds"] = {f"feed_{number}": feed for number in range(count)}
        with open(self.config, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False)
        with self.running():
            self.await_idle()
            time.sleep(5)  # the first polls describe and judge
            before = self.all_cpu_seconds()
            time.sleep(seconds)
            return [(after - begun) / seconds for begun, after in zip(before, self.all_cpu_seconds())]

    def all_cpu_seconds(self):
        """(the daemon's, the source's, the store's with its backends)"""
        store = self.store.pid()
        return (cpu_seconds(self.daemon.pid()), cpu_seconds(self.mysql.pid()),
                sum(map(cpu_seconds, [store, *children_of(store)])))

    # -- two daemons

    def configure_hospitals(self, path, daemon, hospitals):
        """As many hospitals of one table, the same rows under other names."""
        self.configure(["transactions"])
        with open(self.config, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        hospital = config["sources"]["hospital_a"]
        config["sources"] = {name: hospital for name in hospitals}
        config["server"]["listen"] = f"127.0.0.1:{daemon.port}"
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False)

    def load_hospitals(self, hospitals, n_daemons):
        """Their first loads at once into an empty store, by one daemon or each by its own: (seconds from the first page to
        the last, seconds of CPU of the daemons together). Nothing is settled meanwhile."""
        self.make_store()
        other_config = os.path.join(self.directory, "other.yaml")
        other = Daemon(os.path.join(self.directory, "other"), self.daemon.binary, other_config)
        other.choose_port()
        other.token = self.daemon.token
        daemons = [self.daemon, other][:n_daemons]
        self.configure_hospitals(other_config, other, hospitals)
        self.configure_hospitals(self.config, self.daemon, hospitals if n_daemons == 1 else hospitals[:1])
        try:
            for daemon in daemons:  # the second finds the first hospital taken
                daemon.start()
            self.daemon.post("/v1/jobs/settle/pause")
            runs = [self.first_run(f"{name}.transactions", daemon)
                    for name, daemon in zip(hospitals, daemons * len(hospitals))]
            cpu = sum(cpu_seconds(daemon.pid()) for daemon in daemons)
        finally:
            other.stop()
            self.daemon.stop()
        if any(run["rows_read"] < self.sizes.transactions for run in runs):
            raise RuntimeError("a first load read too few rows")
        begun, ended = min(instant(run["started_at"]) for run in runs), max(instant(run["finished_at"]) for run in runs)
        return (ended - begun).total_seconds(), cpu

    # -- runs

    def ask(self, job, mode="incremental"):
        """Asks for a run, or joins the one under way, and awaits its end."""
        status, headers, answer = self.daemon.post(f"/v1/jobs/{job}/runs", {"mode": mode})
        if status not in (202, 409):
            raise RuntimeError(f"{job}: {status} {answer}")
        run = answer["run"] if status == 409 else headers["Location"].rsplit("/", 1)[1]
        return succeeded(jobs.await_run(self.daemon, run, RUN_SECONDS))

    def first_run(self, job, daemon=None):
        """The first run that did something since the daemon's start, awaited."""
        daemon = daemon or self.daemon

        def begun():
            return jobs.jobs(daemon)[job]["last_run"]
        return succeeded(jobs.await_run(daemon, jobs.until(begun, RUN_SECONDS)["id"], RUN_SECONDS))

    def await_idle(self):
        """Until nothing runs and nothing is about to."""
        def is_idle():
            found = jobs.jobs(self.daemon)
            return all(job["state"] == "idle" for job in found.values()) and not any(
                found[name]["next_due_at"] for name in ("settle", "kpi"))
        jobs.until(is_idle, RUN_SECONDS)

    def make_next_claims(self):
        """The claims file once more, of other claims."""
        path = self.claims_file.replace(bench_data.CLAIMS_FILE, bench_data.NEXT_CLAIMS_FILE)
        with open(self.claims_file, encoding="utf-8") as old, open(path, "w", encoding="utf-8") as new:
            new.writelines(line.replace("CA", "CB", 1) if line.startswith("CA") else line for line in old)
        return path

    def drop_claims(self, path, job):
        """Drops a file, and awaits the run that takes it."""
        def last():
            return (jobs.jobs(self.daemon)[job]["last_run"] or {}).get("id")
        before = last()
        loader.drop_file(path, self.drop)
        begun = jobs.until(lambda: last() if last() != before else None, RUN_SECONDS)
        return succeeded(jobs.await_run(self.daemon, begun, RUN_SECONDS))
