"""Two daemons on one PostgreSQL: one is killed, stopped or cut off in the middle of a load. The other takes its jobs
when the lease has run out; nothing is placed twice, and the end is that of an undisturbed run.

As in test_daemon_outages.py an interrupted load is another order of deliveries."""
import contextlib
import os
import re
import signal

import pytest
import yaml

from harness import dump, jobs
from harness.daemon import Daemon
from harness.relay import Relay

LEASE_S = 3
LATE_S = 20  # beyond the lease, on a busy machine


def settings_of(text, port=None, store=None):
    """Small pages, a short lease; a port of its own, and a way to the store."""
    document = yaml.safe_load(jobs.small_pages(text))
    document["store"]["lease"] = f"{LEASE_S}s"
    document["bigquery"]["every"] = "2s"
    if port:
        document["server"]["listen"] = f"127.0.0.1:{port}"
    if store:
        dsn = document["store"]["dsn"]
        document["store"]["dsn"] = re.sub(r"port=\d+", f"port={store.port}", dsn)
        with open(re.search(r"passfile=(\S+)", dsn)[1], "r+", encoding="utf-8") as file:
            file.write(file.read().replace(f":{store.target}:", f":{store.port}:"))
    return yaml.safe_dump(document, sort_keys=False)


class Pair:
    """The world's own daemon, `first`, and a `second` with the same jobs."""

    def __init__(self, world):
        self.world, self.first = world, world.daemon
        self.config = os.path.join(world.directory, "second.yaml")
        self.second = Daemon(os.path.join(world.directory, "second"), self.first.binary, self.config)

    def start(self, failpoint=None, store=None):
        """The first, and when it has every lease, or stopped, the second."""
        self.world.configure()
        with open(self.world.config, encoding="utf-8") as file:
            plain = file.read()
        for path, text in ((self.config, settings_of(plain, self.second.choose_port())),
                           (self.world.config, settings_of(plain, store=store))):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.first.token = self.second.token = self.first.make_token()
        self.first.extra = {"REVCYCLED_FAILPOINT": failpoint} if failpoint else {}
        self.first._spawn() if failpoint else self.first.start()
        if failpoint:
            jobs.until(self.first.is_stopped, 60, "the first stopped")
        self.second.start()
        return self

    def await_take_over(self):
        jobs.until(lambda: not states(self.second, "elsewhere"), LEASE_S + LATE_S, "the second has every job")

    def end(self, undisturbed):
        jobs.await_quiet(self.second, 120)
        assert self.second.run("verify").returncode == 0, "the audit trail's chain is whole"
        self.first.kill()
        self.first.extra = {}
        self.second.stop()
        assert placed_twice(self.world) == []
        assert not self.world.value("SELECT count(*) FROM ops.publication WHERE state NOT IN ('succeeded', 'abandoned')")
        self.world.once()
        dump.assert_equal(undisturbed, self.world.dump(dump.ORDER))


@pytest.fixture
def pair(fresh):
    both = Pair(fresh)
    yield both
    for daemon in (both.first, both.second):
        if daemon.pid():
            daemon.kill()


def states(daemon, state):
    return {name for name, job in jobs.jobs(daemon).items() if job["state"] == state}


def await_batches(world, number):
    jobs.until(lambda: world.value("SELECT count(*) FROM ops.batch") >= number, what=f"{number} pages are placed")


def placed_twice(world):
    """Raw rows that stand in bronze more than once as they are."""
    tables = [name for name, in world.rows("SELECT relname FROM pg_class WHERE relnamespace = 'bronze'::regnamespace "
                                           "AND relkind = 'r' AND relname LIKE 'hospital%%'")]
    assert tables
    return [(table, key) for table in tables for key, in world.rows(
        f'SELECT source_key FROM bronze."{table}" GROUP BY source_key, source_hash, op HAVING count(*) > 1')]


def test_one_is_killed_and_the_other_goes_on(pair, loaded_order_dump):
    pair.start()
    everything = set(jobs.jobs(pair.second))
    assert states(pair.second, "elsewhere") == everything and not states(pair.first, "elsewhere")
    for job in jobs.jobs(pair.second).values():
        assert job["owner"].endswith("/revcycled.yaml") and job["why_not"] == "another daemon holds its lease"
    for name in ("settle", "publish"):
        status, _, answer = pair.second.post(f"/v1/jobs/{name}/runs", {})
        assert status in (409, 503) and "revcycled.yaml" in str(answer), answer
    await_batches(pair.world, 5)
    pair.first.kill()
    pair.await_take_over()
    assert all(job["owner"].endswith("/second.yaml") for job in jobs.jobs(pair.second).values())
    pair.end(loaded_order_dump)


def test_one_is_stopped_in_a_page_and_wakes_when_the_other_has_placed_it(pair, loaded_order_dump):
    """It stops with its feed's cursor row, and the placement lock, in its hands."""
    pair.start(failpoint="page.before_commit:9:stop")
    pair.await_take_over()
    assert pair.world.value("SELECT min(epoch) FROM ops.job") > 1, "a take-over has an epoch of its own"
    jobs.await_quiet(pair.second, 120)
    placed = pair.world.value("SELECT count(*) FROM ops.batch WHERE feed IS NOT NULL")
    pair.first.go_on()
    everything = set(jobs.jobs(pair.second))
    jobs.until(lambda: states(pair.first, "elsewhere") == everything, LATE_S, "it sees that it has lost its jobs")
    assert pair.world.value("SELECT count(*) FROM ops.batch WHERE feed IS NOT NULL") == placed
    pair.end(loaded_order_dump)


def test_one_starts_beside_one_that_is_stopped_while_it_opens_a_feed(pair, loaded_order_dump):
    """It stops with the tables that it makes, and its hospital, in its hands."""
    pair.start(failpoint="feed.before_opened:2:stop")
    pair.await_take_over()
    pair.end(loaded_order_dump)


def test_one_is_cut_off_from_the_database_in_silence(pair, loaded_order_dump):
    with Relay(pair.world.store.port) as relay:
        pair.start(store=relay)
        await_batches(pair.world, 5)
        relay.silence()
        pair.await_take_over()
        jobs.until(lambda: any("the leases have run out" in str(line) for line in pair.first.log_lines()),
                   what="the first gives up what it had")
        jobs.until(lambda: "revcycle_runs_running 0.0\n" in pair.first.get("/metrics", token=None)[2], LATE_S,
                   "its runs end, though nobody answers them")
        relay.speak()
        everything = set(jobs.jobs(pair.second))
        jobs.until(lambda: states(pair.first, "elsewhere") == everything, LATE_S, "it sees that it has lost its jobs")
        pair.end(loaded_order_dump)


def test_a_page_read_under_an_epoch_that_has_passed_is_dropped(fresh):
    """The fence itself: the store's sessions live, and the page comes too late all the same."""
    fresh.configure(edit=jobs.small_pages)
    fresh.daemon.make_token()
    fresh.daemon.start_until("extract.after_read:4")
    with contextlib.closing(fresh.store.connect(fresh.database)) as link, link, link.cursor() as cursor:
        cursor.execute("UPDATE ops.cursor SET epoch = epoch + 1000 WHERE feed IN "  # others stand in a page of theirs
                       "(SELECT feed FROM ops.cursor FOR UPDATE SKIP LOCKED) RETURNING feed, page")
        before = sorted(cursor.fetchall())
    fresh.daemon.go_on()
    jobs.until(lambda: any("another run moved the cursor" in str(line) for line in fresh.daemon.log_lines()),
               what="the page is dropped")
    assert before and set(before) <= set(fresh.rows("SELECT feed, page FROM ops.cursor"))
    fresh.daemon.kill()


def test_a_page_whose_position_has_moved_is_dropped_and_read_again(fresh):
    """Under the same epoch: the other half of the fence."""
    fresh.configure(edit=jobs.small_pages)
    fresh.daemon.make_token()
    fresh.daemon.start_until("extract.after_read:4")
    with contextlib.closing(fresh.store.connect(fresh.database)) as link, link, link.cursor() as cursor:
        cursor.execute("UPDATE ops.cursor SET page = page + 1000 WHERE feed IN "
                       "(SELECT feed FROM ops.cursor FOR UPDATE SKIP LOCKED) RETURNING feed")
        moved = [feed for feed, in cursor.fetchall()]
    fresh.daemon.go_on()
    retries = [f'revcycle_run_retries_total{{job="{feed}",code="40001"}}' for feed in moved]
    jobs.until(lambda: any(line in fresh.daemon.get("/metrics", token=None)[2] for line in retries),
               what="the page is dropped, and the run tried again")
    jobs.await_quiet(fresh.daemon, 90)
    fresh.daemon.kill()


@pytest.mark.parametrize("failpoint, written", [("settle.before_commit", "ops.batch WHERE feed = 'settle'"),
                                                ("kpi.before_commit", "ops.kpi_snapshot")])
def test_what_a_settle_and_a_figure_wrote_under_an_epoch_that_has_passed_is_dropped(fresh, failpoint, written):
    """As for pages: its sessions live on, and another daemon has its jobs."""
    fresh.configure(edit=settings_of)
    fresh.daemon.make_token()
    fresh.daemon.start_until(failpoint)
    before = fresh.value(f"SELECT count(*) FROM {written}")
    fresh.store.execute("UPDATE ops.job SET epoch = epoch + 1, owner = 'another', lease_until = now() + interval '1 hour' "
                        "WHERE kind IN ('settle', 'publish', 'kpi')", fresh.database)
    fresh.daemon.go_on()
    jobs.until(lambda: any("what this run wrote is dropped" in str(line) for line in fresh.daemon.log_lines()),
               what="what it wrote is dropped")
    jobs.until(lambda: {"settle", "publish", "kpi"} <= states(fresh.daemon, "elsewhere"), LATE_S, "it has lost its jobs")
    assert fresh.value(f"SELECT count(*) FROM {written}") == before
    fresh.daemon.kill()


ROWS = ", ".join(f"({i}, 'Ann{'abcdefgh'[i % 8]}', 'Lee')" for i in range(40))


@pytest.fixture
def small_feed(make_feed, mariadb):
    """A hospital with a table of forty rows, and one daemon that reads it."""
    feed = make_feed(mariadb, {
        "entity": "patients", "key": ["id"], "cursor": "changed", "reconcile": "12h", "delete_rows": 1, "delete_share": 0,
        "map": {"source_patient_id": "id", "first_name": "first", "last_name": "last", "source_modified_at": "changed"}})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, first varchar(40), last varchar(40), changed datetime(6) NOT NULL "
              "DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))",
              f"INSERT INTO t (id, first, last) VALUES {ROWS}")
    return feed


def add_daemon(feed, other_name=None):
    """A second daemon on it, under another name of the hospital perhaps; both with a short lease."""
    first, config = feed.daemon, os.path.join(feed.directory, "second.yaml")
    second = Daemon(os.path.join(feed.directory, "second"), first.binary, config)
    with open(feed.config, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    document["store"]["lease"] = f"{LEASE_S}s"
    for path, daemon, name in ((feed.config, first, "h"), (config, second, other_name or "h")):
        document["server"]["listen"] = f"127.0.0.1:{daemon.choose_port()}"
        document["sources"] = {name: source for source in document["sources"].values()}
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
    first.token = second.token = first.make_token()
    return second


@pytest.fixture
def held_pair(small_feed):
    """Two daemons on one hospital, and a reconcile of the first's that waits for a person: both, the feed, the run."""
    feed = small_feed
    first, second = feed.daemon, add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    second.start()
    feed.play("DELETE FROM t WHERE id IN (7, 8)")
    run = jobs.run_job(first, "h.f", mode="reconcile")
    assert run["state"] == "held", run
    yield first, second, feed, run["id"]
    for daemon in (first, second):
        if daemon.pid():
            daemon.kill()


def gone(feed):
    return [key for key, in feed.rows("SELECT source_patient_id FROM silver.patients WHERE is_deleted ORDER BY 1")]


def runs_held(daemon):
    return "revcycle_runs_held 1" in daemon.get("/metrics", token=None)[2]


@pytest.mark.parametrize("decision, state, deleted", [("approve", "succeeded", ["7", "8"]), ("cancel", "canceled", [])])
def test_a_run_that_waits_for_a_person_is_decided_on_at_the_daemon_that_took_over(held_pair, decision, state, deleted):
    first, second, feed, run = held_pair
    assert second.get(f"/v1/runs/{run}")[2]["state"] == "held" and not runs_held(second)
    status, _, answer = second.post(f"/v1/runs/{run}/{decision}")
    assert status == 409 and "another daemon holds the lease" in str(answer), answer
    assert first.post("/v1/jobs/settle/pause")[0] in (200, 202)
    jobs.until(lambda: feed.value("SELECT paused FROM ops.job WHERE name = 'settle'"), what="the pause is stored")
    feed.store.execute("INSERT INTO ops.run (job, mode, trigger, state, queued_at) VALUES ('h.f', 'full', 'x', 'running', now())",
                       feed.database)  # as a crash leaves it
    first.kill()
    jobs.until(lambda: not states(second, "elsewhere"), LEASE_S + LATE_S, "the second has every job")
    assert not feed.value("SELECT count(*) FROM ops.run WHERE trigger = 'x' AND state <> 'failed'")
    assert runs_held(second) and jobs.jobs(second)["reconcile.h.f"]["state"] == "held"
    assert jobs.jobs(second)["settle"]["state"] == "paused"
    assert second.post(f"/v1/runs/{run}/{decision}")[0] == 202
    jobs.until(lambda: second.get(f"/v1/runs/{run}")[2]["state"] == state, what="it is decided")
    jobs.until(lambda: feed.value("SELECT state FROM ops.run WHERE run_id = %s", run) == state, what="so the store says")
    assert gone(feed) == deleted

    def is_told():
        """The job's first turn at this daemon may hold a run of its own by then."""
        held = [line["id"] for line in second.get("/v1/runs?limit=50")[2]["items"] if line["state"] == "held"]
        return run not in held and runs_held(second) == bool(held)
    jobs.until(is_told, what="the metric says so")


def test_a_daemon_that_lost_its_jobs_decides_on_nothing(held_pair):
    """It was stopped past its lease; what a person decided meanwhile, elsewhere, stands."""
    first, second, feed, run = held_pair
    os.kill(first.pid(), signal.SIGSTOP)
    jobs.until(lambda: not states(second, "elsewhere"), LEASE_S + LATE_S, "the second has every job")
    first.go_on()
    for decision in ("approve", "cancel"):
        status, _, answer = first.post(f"/v1/runs/{run}/{decision}")
        assert status == 409 and "another daemon holds the lease" in str(answer), answer
    jobs.until(lambda: "reconcile.h.f" in states(first, "elsewhere"), LATE_S, "it sees that it has lost its jobs")
    assert not runs_held(first) and runs_held(second)
    assert second.post(f"/v1/runs/{run}/approve")[0] == 202
    for daemon in (first, second):
        jobs.until(lambda: daemon.get(f"/v1/runs/{run}")[2]["state"] == "succeeded", what="both say what became of it")
    assert gone(feed) == ["7", "8"]


def test_what_another_places_is_settled_where_that_job_is(small_feed):
    """Each has a hospital of its own; whose settle it is was told of nothing."""
    feed, first = small_feed, small_feed.daemon
    second = add_daemon(feed, other_name="i")
    first.start()
    jobs.await_quiet(first)
    second.start()
    try:
        assert "settle" in states(second, "elsewhere") and "i.f" not in states(second, "elsewhere")
        jobs.until(lambda: feed.value("SELECT count(*) FROM silver.patients WHERE source_system = 'i'") == 40, what="its rows")
        unsettled = "SELECT count(*) FROM ops.batch WHERE settled_by IS NULL"
        jobs.until(lambda: not feed.value(unsettled), LEASE_S + LATE_S, "they are settled")
        assert feed.value("SELECT count(DISTINCT person_id) FROM silver.person_link WHERE source_system = 'i'") == 40
        asked = feed.value("SELECT max(batch_id) FROM ops.batch WHERE feed = 'settle'")
        jobs.until(lambda: feed.value("SELECT batch_id FROM ops.kpi_asked WHERE feed = 'settle'") == asked, what="figures have seen it")
    finally:
        second.stop()


UNSETTLED = "SELECT count(*) FROM ops.batch WHERE settled_by IS NULL"
A_BATCH = ("INSERT INTO ops.batch (batch_id, run_id, feed, rows_read, rows_changed, rows_quarantined) "
           "VALUES (nextval('ops.batch_id_seq'), %s, %s, 1, 1, 0)")


def place_batch(feed, name, run_id, job=None):
    """As a daemon leaves it that dies in its run: a batch, what has become of the job, and the run, which is `running`."""
    with contextlib.closing(feed.store.connect(feed.database)) as link, link, link.cursor() as cursor:
        if job:
            cursor.execute(job)
        cursor.execute("INSERT INTO ops.run (run_id, job, mode, trigger, state) OVERRIDING SYSTEM VALUE "
                       "VALUES (%s, %s, 'incremental', 'schedule', 'running')", (run_id, name))
        cursor.execute(A_BATCH, (run_id, name))


@pytest.mark.parametrize("name, job", [
    ("h.f", "UPDATE ops.job SET epoch = epoch + 1, owner = 'another', lease_until = now() + interval '3 s' WHERE feed = 'h.f'"),
    ("j.f", "INSERT INTO ops.job (name, kind, feed, owner, epoch, lease_until) "
            "VALUES ('j.f', 'extract', 'j.f', 'another', 1, now() + interval '3 s')")], ids=["taken over", "unknown here"])
def test_what_one_placed_before_it_died_is_settled_by_whoever_has_settle(small_feed, name, job):
    """A feed that is taken over finds nothing new; of one that nobody else knows the run stays as it was."""
    feed, first = small_feed, small_feed.daemon
    add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    place_batch(feed, name, 900000, job)
    jobs.until(lambda: not feed.value(UNSETTLED), 2 * LEASE_S + LATE_S, "it is settled")
    assert feed.value("SELECT lease_until < now() OR owner <> 'another' FROM ops.job WHERE name = %s", name), "not in its run"


def await_renewals(feed, number):
    for _ in range(number):
        before = feed.value("SELECT lease_until FROM ops.job WHERE name = 'settle'")
        jobs.until(lambda: feed.value("SELECT lease_until FROM ops.job WHERE name = 'settle'") > before, what="leases are renewed")


def settles(daemon):
    """Also those that found nothing."""
    return sum(float(n) for n in re.findall(r'revcycle_runs_total\{job="settle",[^}]*\} (\S+)', daemon.get("/metrics", token=None)[2]))


def test_settle_is_not_called_while_a_run_goes_on_and_once_when_it_is_over(small_feed):
    feed, first = small_feed, small_feed.daemon
    add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    before = settles(first)
    assert before > 0
    place_batch(feed, "h.f", 900000)
    await_renewals(feed, 4)
    assert settles(first) == before and feed.value(UNSETTLED) == 1
    feed.store.execute("UPDATE ops.run SET state = 'succeeded' WHERE run_id = 900000", feed.database)
    jobs.until(lambda: not feed.value(UNSETTLED), LEASE_S + LATE_S, "it is settled")
    await_renewals(feed, 4)
    assert settles(first) == before + 1


def test_a_look_that_waits_for_a_lock_gives_up_and_holds_up_no_stop(small_feed, stranger):
    feed, first = small_feed, small_feed.daemon
    add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    jobs.until(lambda: jobs.is_at_rest(jobs.jobs(first)["kpi"]), what="figures have been asked")
    with stranger.cursor() as cursor:
        cursor.execute("LOCK TABLE ops.kpi_asked IN ACCESS EXCLUSIVE MODE")
    looks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%coalesce(a.batch_id, -1)%%'"
    jobs.until(lambda: feed.value(looks), LEASE_S + LATE_S, "a look waits")
    first.stop()
    assert lines(first, "news of other daemons were not looked for")


def test_a_settle_that_failed_is_tried_again_without_news(small_feed):
    """There is one daemon, and no row comes."""
    feed, first = small_feed, small_feed.daemon
    add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    feed.store.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '22000'; END $$", feed.database)
    feed.store.execute("CREATE TRIGGER refuse BEFORE INSERT ON silver.person_link EXECUTE FUNCTION refuse()", feed.database)
    failed = "SELECT count(*) FROM ops.run WHERE job = 'settle' AND state = 'failed'"
    feed.play("INSERT INTO t (id, first, last) VALUES (99, 'Zoe', 'Lee')")
    jobs.until(lambda: feed.value(failed), 60, "it has failed")
    feed.store.execute("DROP TRIGGER refuse ON silver.person_link", feed.database)
    jobs.until(lambda: not feed.value(UNSETTLED), 60, "it is settled")


@pytest.fixture
def stranger(small_feed):
    """A session of PostgreSQL that is no daemon's; what it holds it lets go with rollback()."""
    with contextlib.closing(small_feed.store.connect(small_feed.database)) as link:
        yield link


ENDED = "another daemon was not heard of any more; its sessions were ended"
LOCKED = "leases can be neither taken nor renewed: another session holds their rows of ops.job"


def lines(daemon, message):
    return [line for line in daemon.log_lines() if line.get("message") == message]


def test_rows_that_somebody_holds_keep_no_daemon_from_starting_and_no_other_job_from_running(small_feed, stranger):
    feed, first = small_feed, small_feed.daemon
    second = add_daemon(feed)
    first.start()
    jobs.await_quiet(first)
    first.stop()
    with stranger.cursor() as cursor:
        cursor.execute("SELECT FROM ops.source FOR SHARE")
        cursor.execute("SELECT FROM ops.job WHERE name IN ('h.f', 'reconcile.h.f') FOR SHARE")
    second.start()
    try:
        assert states(second, "elsewhere") == {"h.f", "reconcile.h.f"}
        assert "ops.job" in jobs.jobs(second)["h.f"]["why_not"]
        assert jobs.run_job(second, "settle")["state"] == "succeeded"
        assert [(line["job"], line["jobs"]) for line in lines(second, LOCKED)] == [("h.f", 2)]
        feed.play("INSERT INTO t (id, first, last) VALUES (99, 'Zoe', 'Lee')")
        stranger.rollback()
        jobs.until(lambda: feed.value("SELECT count(*) FROM silver.patients WHERE source_patient_id = '99'"),
                   LEASE_S + LATE_S, "the job has its lease and its turn")
        assert not states(second, "elsewhere") and len(lines(second, LOCKED)) == 1
    finally:
        second.stop()


def test_a_lease_that_somebody_keeps_from_being_renewed_runs_out_alone_and_comes_back(small_feed, stranger):
    feed, first = small_feed, small_feed.daemon
    second = add_daemon(feed)
    first.start()
    second.start()
    try:
        jobs.await_quiet(first)
        epoch = feed.value("SELECT epoch FROM ops.job WHERE name = 'settle'")
        with stranger.cursor() as cursor:
            cursor.execute("SELECT FROM ops.job WHERE name = 'settle' FOR SHARE")
        jobs.until(lambda: states(first, "elsewhere") == {"settle"}, LEASE_S + LATE_S, "it has lost the one")
        assert feed.value("SELECT count(*) FROM ops.job WHERE lease_until > now() AND owner LIKE '%%revcycled.yaml'") == 4
        feed.play("INSERT INTO t (id, first, last) VALUES (99, 'Zoe', 'Lee')")
        jobs.until(lambda: feed.value("SELECT count(*) FROM silver.patients WHERE source_patient_id = '99'"), what="the feed goes on")
        assert states(second, "elsewhere") == set(jobs.jobs(second)), "nobody takes what its owner is there to renew"
        stranger.rollback()
        jobs.until(lambda: not states(first, "elsewhere"), LEASE_S + LATE_S, "it has it again")
        assert feed.value("SELECT epoch FROM ops.job WHERE name = 'settle'") == epoch + 1
        assert [line["jobs"] for line in lines(first, LOCKED)] == [1]
        assert [line["job"] for line in lines(first, "lease lost")] == ["settle"]
        jobs.until(lambda: not feed.value("SELECT count(*) FROM ops.batch WHERE settled_by IS NULL"), what="what came is settled")
    finally:
        second.stop()


def test_a_job_that_left_the_configuration_while_somebody_held_its_row_is_freed_later(small_feed):
    """While its owner is there nobody else takes what has run out."""
    first = small_feed.daemon
    add_daemon(small_feed)
    first.start()
    jobs.await_quiet(first)
    small_feed.store.execute("INSERT INTO ops.job (name, kind, owner, epoch, lease_until) "
                             "SELECT 'h.gone', kind, owner, 1, now() FROM ops.job WHERE name = 'h.f'", small_feed.database)
    jobs.until(lambda: small_feed.value("SELECT owner IS NULL FROM ops.job WHERE name = 'h.gone'"), LEASE_S + LATE_S, "it is free")
    assert not states(first, "elsewhere")


def test_a_pause_whose_row_somebody_holds_gives_up_soon_and_says_so(small_feed, stranger):
    """There are three workers for what must not wait."""
    first = small_feed.daemon
    add_daemon(small_feed)
    first.start()
    jobs.await_quiet(first)
    with stranger.cursor() as cursor:
        cursor.execute("SELECT FROM ops.job WHERE name = 'quality' FOR SHARE")
    assert first.post("/v1/jobs/quality/pause")[0] in (200, 202)
    jobs.until(lambda: lines(first, "a pause was not stored"), 5 + LATE_S, "it is told")
    assert not lines(first, "the leases have run out; connections to the store are given up"), "nothing else ended its wait"


def test_locks_of_one_that_is_stopped_are_ended_by_another_that_wants_none_of_its_jobs(small_feed):
    """It has the placement lock, and the other's settle waits for that."""
    feed, first = small_feed, small_feed.daemon
    second = add_daemon(feed, other_name="i")
    second.start()
    try:
        jobs.await_quiet(second)
        first.start_until("page.before_commit")
        run = jobs.run_job(second, "settle")
        assert run["state"] == "succeeded", run
        jobs.until(lambda: lines(second, ENDED), what="it is told")  # by another worker, which the settle may be ahead of
        assert [line["owner"].endswith("/revcycled.yaml") for line in lines(second, ENDED)] == [True]
        assert feed.value("SELECT owner FROM ops.job WHERE name = 'h.f'").endswith("/revcycled.yaml"), "nobody took its jobs"
        first.go_on()
        first.extra = {}
        jobs.until(lambda: feed.value("SELECT count(*) FROM silver.patients WHERE source_system = 'h'") == 40, LEASE_S + LATE_S,
                   "it goes on when it wakes")
    finally:
        second.stop()
        first.kill()


def test_sessions_of_a_daemon_that_is_started_again_are_left_alone(small_feed):
    """Its leases of before have run out, and it has not taken them yet."""
    feed, first = small_feed, small_feed.daemon
    second = add_daemon(feed, other_name="i")
    first.start()
    jobs.await_quiet(first)
    first.stop()
    first.start_until("hospitals.taken")
    second.start()
    try:
        looks = feed.value("SELECT lease_until FROM ops.job WHERE name = 'settle'")
        jobs.until(lambda: feed.rows("SELECT FROM ops.job WHERE name = 'settle' AND lease_until > %s + interval '2s'", looks),
                   LEASE_S + LATE_S, "the second has looked twice")
        assert lines(second, ENDED) == []
        first.go_on()
        first.extra = {}
        jobs.until(lambda: feed.value("SELECT lease_until > now() FROM ops.job WHERE name = 'h.f'"), what="the first has its leases")
    finally:
        second.stop()
        first.kill()
