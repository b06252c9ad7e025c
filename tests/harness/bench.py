"""scripts/bench: revcycled against the bare C loop, in one run, on the same servers and rows.

Every round begins with an empty store; each figure is the best of the rounds, each peak the worst; a claims file's rate
is the middle one of the rounds, each time beside the \\copy just before it. A run's wall time is what the API says
(started_at to finished_at), its CPU what the daemon's process used meanwhile, its peak the most that process has had
resident since it started. The servers' CPU is theirs and not in these columns.
"""
import argparse
import collections
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time

from .bench_world import Probe, World, cpu_seconds, peak_resident, measured, run_seconds

TRANSACTIONS, PATIENTS, CLAIMS = "hospital_a.transactions", "hospital_a.patients", "claims.monthly"
POLLS = 50
N_FEEDS, FEEDS_SECONDS = 12, 20
TWO_HOSPITALS = ("hospital_a", "hospital_z")

# One row in a hundred; and as it was, for the next round: a first load reads an hour back by the cursor.
CHANGE = {
    TRANSACTIONS: "UPDATE billing_transaction SET paid_amount = paid_amount + 1, updated_at = NOW(6) "
                  "WHERE txn_id LIKE '%50'",
    PATIENTS: "UPDATE patient_master SET street = CONCAT('1', street) WHERE pat_id LIKE '%50'",
}
UNDO = (
    "UPDATE billing_transaction SET paid_amount = paid_amount - 1, updated_at = created_at WHERE txn_id LIKE '%50'",
    "UPDATE patient_master SET street = SUBSTR(street, 2), updated_at = '2023-06-01' WHERE pat_id LIKE '%50'",
)

# What no cursor sees: a value set under its old stamp, a row deleted, a row with an old stamp. And as they were.
HIDDEN = (
    "UPDATE billing_transaction SET paid_amount = paid_amount + 1, updated_at = updated_at WHERE txn_id LIKE '%00051' LIMIT 2",
    "DELETE FROM billing_transaction WHERE txn_id LIKE '%00052' LIMIT 1",
)
# What is measured, in the order of the output.
PIPE_LOAD = "C pipe: first load"
LOAD = "first load"
SETTLE = "settle of the first load"
PIPE_CHANGED = "C pipe: 1 % changed"
CHANGED = "1 % changed, by the cursor"
SETTLE_CHANGED = "settle of the 1 % changed"
AGAIN = "those rows read again, nothing changed"
QUIET = f"nothing changed: a poll, median of {POLLS}"
RECONCILE = "reconcile, 3 rows differ"
FEEDS = f"{N_FEEDS} quiet feeds every second: cpu of each second"
ONE_DAEMON = "first loads of two hospitals, one daemon"
TWO_DAEMONS = "first loads of two hospitals, two daemons"
SCD_SAME = "patients read whole, nothing changed"
SCD_CHANGED = "patients read whole, 1 % moved"
LINK_LOAD = "first load of the patients to link"
LINK = "persons linked: settle of their first load"
COPY = "psql \\copy: claims file, one plain table"
COPY_NEXT = "psql \\copy: the same, before the next file"
COPY_KEY = "psql \\copy: the same, with a primary key"
RECEIVE = "claims file"
SETTLE_CLAIMS = "settle of the claims"
RECEIVE_NEXT = "claims file: the next, new claims"
TRANSFORM = "1,000,000 claims parsed, cleaned, hashed"
METRICS = "GET /metrics while loading, p99"
JOBS = "GET /v1/jobs while loading, p99"
WORKS = (PIPE_LOAD, LOAD, SETTLE, PIPE_CHANGED, CHANGED, SETTLE_CHANGED, AGAIN, QUIET, RECONCILE, FEEDS, ONE_DAEMON,
         TWO_DAEMONS, SCD_SAME, SCD_CHANGED, LINK_LOAD, LINK, COPY, COPY_KEY, RECEIVE, SETTLE_CLAIMS, COPY_NEXT, RECEIVE_NEXT,
         TRANSFORM, METRICS, JOBS)

Figure = collections.namedtuple("Figure", "wall cpu peak")  # seconds, seconds or None, MiB or None


def faster(work, than):
    return lambda best: best[than].wall / best[work].wall


def faster_each_time(work, than):
    """By what was measured just before it: the middle one of all rounds. The best of each may be from different minutes."""
    return lambda best: statistics.median(other / own for other, own in zip(best.walls[than], best.walls[work], strict=True))


def share(work, of):
    return lambda best: best[work].wall / best[of].wall


def wall_ms(work):
    return lambda best: best[work].wall * 1000


class Best(dict):
    """The best figure of each work by its name, and besides all its wall times in their order."""

    def __init__(self):
        super().__init__()
        self.walls = collections.defaultdict(list)

    def note(self, work, figure):
        old = self.get(work, figure)
        fastest = min(old, figure, key=lambda each: each.wall)
        self[work] = fastest._replace(peak=max(filter(None, (old.peak, figure.peak)), default=None))
        self.walls[work].append(figure.wall)


# What design section 10 asks: text, value of the best figures, "at least" or "at most", wanted, aim.
Wanted = collections.namedtuple("Wanted", "text value bound wanted aim")
AT_LEAST, AT_MOST = ">=", "<="
WANTED = (
    Wanted("first load: rate, the C pipe's is 1", faster(LOAD, PIPE_LOAD), AT_LEAST, 0.4, 0.5),
    Wanted("settle: share of the first load's time", share(SETTLE, LOAD), AT_MOST, 0.2, 0.1),
    Wanted("1 % changed: seconds", lambda best: best[CHANGED].wall, AT_MOST, 0.5, 0.3),
    Wanted("1 % changed: time, the C pipe's is 1", share(CHANGED, PIPE_CHANGED), AT_MOST, 1.0, None),
    Wanted("read again: share of the 1 % changed", share(AGAIN, CHANGED), AT_MOST, 1 / 3, None),
    Wanted("nothing changed: ms a poll", wall_ms(QUIET), AT_MOST, 30, None),
    Wanted("nothing changed: ms of CPU a poll", lambda best: best[QUIET].cpu * 1000, AT_MOST, 10, None),
    Wanted("two daemons: rate, one daemon's is 1", faster(TWO_DAEMONS, ONE_DAEMON), AT_LEAST, 1.0, None),
    Wanted("quiet feeds: share of a core, all three", lambda best: best[FEEDS].cpu, AT_MOST, 0.03, None),
    Wanted("SCD2, 1 % moved: time, reading alone (*) is 1", share(SCD_CHANGED, SCD_SAME), AT_MOST, 1.5, None),
    Wanted("persons linked: seconds", lambda best: best[LINK].wall, AT_MOST, 60, None),
    Wanted("persons linked: the store's seconds of CPU", lambda best: best[LINK].cpu, AT_MOST, 60, None),
    Wanted("claims file: rate, psql \\copy's is 1", faster_each_time(RECEIVE, COPY), AT_LEAST, 1 / 3, 0.5),
    Wanted("the next claims file: rate, psql \\copy's is 1", faster_each_time(RECEIVE_NEXT, COPY_NEXT), AT_LEAST, 1 / 3, 0.5),
    Wanted("parse and transform: million rows/s", lambda best: 1 / best[TRANSFORM].wall, AT_LEAST, 1.0, None),
    Wanted("peak resident, one feed, first load: MiB", lambda best: best[LOAD].peak, AT_MOST, 32, None),
    Wanted("peak resident, one feed, to the last poll", lambda best: best[QUIET].peak, AT_MOST, 32, None),
    Wanted("/metrics while loading: p99 ms", wall_ms(METRICS), AT_MOST, 10, None),
    Wanted("/v1/jobs while loading: p99 ms", wall_ms(JOBS), AT_MOST, 10, None),
)


class Bench:
    def __init__(self, world, rounds):
        self.world = world
        self.rounds = rounds
        self.best = Best()

    # -- figures

    def note(self, work, wall, cpu=None, peak=None):
        self.best.note(work, Figure(wall, cpu, peak))

    def asked(self, work, job, mode="incremental", least_rows=0):
        """Asks for a run and notes it when it read as many rows as it is meant to."""
        pid = self.world.daemon.pid()
        before = cpu_seconds(pid)
        run = self.world.ask(job, mode)
        if run["rows_read"] >= least_rows:
            self.note(work, run_seconds(run), cpu_seconds(pid) - before, peak_resident(pid))
        return run

    def must_read(self, run, rows):
        if run["rows_read"] < rows:
            raise RuntimeError(f"the run of {run['job']} read {run['rows_read']} rows, not {rows}")

    # -- the parts of a round

    def round(self, is_last):
        self.world.make_store()
        self.world.calm()
        self.note(PIPE_LOAD, *self.world.pipe("load")[:3])
        self.world.command("--once")  # what transactions name: read and settled before them
        self.world.calm()
        self.world.configure(["transactions"])
        with self.world.running() as daemon:
            self.first_load(daemon)
            self.change_transactions()
            self.poll()
            if is_last:  # it changes the table for good
                self.reconcile()
        self.world.configure(["patients"], claims=True)
        with self.world.running() as daemon:
            self.read_patients()
            self.receive_claims(daemon)
        self.transform()
        for statement in UNDO:
            self.world.play(statement)

    def first_load(self, daemon):
        """The daemon's start begins it."""
        with Probe(daemon) as probe:
            run = self.world.first_run(TRANSACTIONS)
        self.note(LOAD, run_seconds(run), cpu_seconds(daemon.pid()), peak_resident(daemon.pid()))
        self.must_read(run, self.world.sizes.transactions)
        self.asked(SETTLE, "settle")
        for work, path in ((METRICS, "/metrics"), (JOBS, "/v1/jobs")):
            if probe.times[path]:
                self.note(work, probe.p99(path) / 1000)
        self.world.await_idle()
        self.world.calm()

    def change_transactions(self):
        with self.world.held():
            since, rows = self.world.play(CHANGE[TRANSACTIONS])
            self.must_read(self.asked(CHANGED, TRANSACTIONS, least_rows=rows), rows)
            self.asked(SETTLE_CHANGED, "settle")
            self.world.await_idle()
            self.must_read(self.asked(AGAIN, TRANSACTIONS, least_rows=rows), rows)
        self.note(PIPE_CHANGED, *self.world.pipe("change", since)[:3])

    def poll(self):
        """Polls that find nothing: from when the changes lie further back than a poll looks."""
        while self.world.ask(TRANSACTIONS)["rows_read"] > 0:
            time.sleep(1)
        pid = self.world.daemon.pid()
        before = cpu_seconds(pid)
        walls = [run_seconds(self.world.ask(TRANSACTIONS)) for _ in range(POLLS)]
        self.note(QUIET, statistics.median(walls), (cpu_seconds(pid) - before) / POLLS, peak_resident(pid))

    def reconcile(self):
        for statement in HIDDEN:
            self.world.play(statement)
        self.asked(RECONCILE, TRANSACTIONS, "reconcile")
        self.world.await_idle()

    def load_two_hospitals(self):
        for work, n_daemons in ((ONE_DAEMON, 1), (TWO_DAEMONS, 2)):
            self.note(work, *self.world.load_hospitals(TWO_HOSPITALS, n_daemons))

    def poll_many(self):
        shares = self.world.poll_quiet_feeds(N_FEEDS, FEEDS_SECONDS)
        say("  of a core: daemon {:.3f}, source {:.3f}, store {:.3f}".format(*shares))
        self.note(FEEDS, 1.0, sum(shares))

    def read_patients(self):
        """Twice as they are, so that neither has cold caches; then with one in a hundred moved house."""
        rows = self.world.sizes.patients
        self.world.await_idle()
        for _ in range(2):
            self.must_read(self.asked(SCD_SAME, PATIENTS, "full"), rows)
        self.world.play(CHANGE[PATIENTS])
        self.must_read(self.asked(SCD_CHANGED, PATIENTS, "full"), rows)
        self.world.ask("settle")
        self.world.await_idle()

    def link_persons(self):
        """As many patients as transactions; the processor time is the store's."""
        rows = self.world.sizes.transactions
        self.world.load_persons(rows)
        self.world.make_store()
        self.world.configure(["patients"])
        with self.world.running():
            run = self.world.first_run(PATIENTS)
            self.must_read(run, rows)
            self.note(LINK_LOAD, run_seconds(run))
            before = self.world.all_cpu_seconds()[2]
            run = self.world.ask("settle")
            self.note(LINK, run_seconds(run), self.world.all_cpu_seconds()[2] - before)
        self.world.must_have_linked(rows)

    def receive_claims(self, daemon):
        self.world.calm()
        self.note(COPY, *self.world.copy_claims()[:3])
        self.note(COPY_KEY, *self.world.copy_claims(", PRIMARY KEY (ClaimID)")[:3])
        self.receive_file(RECEIVE, self.world.claims_file, daemon)
        self.asked(SETTLE_CLAIMS, "settle")
        self.world.await_idle()
        following = self.world.make_next_claims()
        self.world.calm()  # vacuumed: it finds room where the first one's rows were before their settle
        self.note(COPY_NEXT, *self.world.copy_claims()[:3])
        self.receive_file(RECEIVE_NEXT, following, daemon)
        self.world.await_idle()

    def receive_file(self, work, path, daemon):
        before = cpu_seconds(daemon.pid())
        run = self.world.drop_claims(path, CLAIMS)
        self.note(work, run_seconds(run), cpu_seconds(daemon.pid()) - before, peak_resident(daemon.pid()))
        self.must_read(run, self.world.sizes.claims)

    def transform(self):
        """bench_transform's own seconds are processor time."""
        _, _, peak, output = measured([os.path.join(self.world.build, "bench_transform")])
        rate = int(re.search(r"parse, clean and hash .* (\d+) rows/s", output).group(1))
        self.note(TRANSFORM, 1e6 / rate, 1e6 / rate, peak)

    # -- all of it

    def run(self):
        sizes = self.world.sizes
        load = os.getloadavg()[0]
        say(f"making {sizes.transactions:,} transactions, {sizes.encounters:,} encounters, {sizes.patients:,} patients")
        self.world.make()
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}")
            self.load_two_hospitals()
            self.round(is_last=number + 1 == self.rounds)
        self.poll_many()
        self.link_persons()
        show(self.best, sizes, self.rounds, load)


# -- output


def say(text):
    print(text, file=sys.stderr, flush=True)


def number(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def verdict(wanted, value):
    def meets(limit):
        return value >= limit if wanted.bound == AT_LEAST else value <= limit
    if not meets(wanted.wanted):
        return "no"
    return "aim" if wanted.aim is not None and meets(wanted.aim) else "yes"


def show(best, sizes, rounds, load):
    """`load`: the machine's before the bench began."""
    print(f"\n{sizes.transactions:,} transactions of 21 columns, {sizes.patients:,} patients, {sizes.claims:,} claims; "
          f"best of {rounds}; {os.cpu_count()} processors, load before {load:.1f}\n")
    print(f"{'work':44}{'wall s':>9}{'cpu s':>9}{'peak MiB':>10}")
    for work in WORKS:
        wall, cpu, peak = best.get(work, Figure(None, None, None))
        print(f"{work:44}{number(wall, 9, 3)}{number(cpu, 9, 3)}{number(peak, 10, 1)}")
    print(f"\n{'':46}{'measured':>10}{'wanted':>10}{'aim':>7}  met")
    for wanted in WANTED:
        try:
            value = wanted.value(best)
        except (KeyError, statistics.StatisticsError):  # not measured in this run
            print(f"{wanted.text:46}{'-':>10}")
            continue
        print(f"{wanted.text:46}{value:10.2f}{wanted.bound:>4}{wanted.wanted:6.2f}{number(wanted.aim, 7, 2)}"
              f"  {verdict(wanted, value)}")
    print("\n(*) reading, hashing and looking up: the same run over patients of whom none changed")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cache", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: sys.exit(f"{parser.prog}: stopped"))
    directory = tempfile.mkdtemp(prefix="bench.", dir=options.cache)
    world = World(directory, options.build, options.rows)
    try:
        Bench(world, options.rounds).run()
    finally:
        world.end()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
