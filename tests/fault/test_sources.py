"""Hospitals' servers that misbehave: every wait has an end, a hospital that hangs keeps nobody else waiting, nothing
of ours is left running at the source, and the rows are right afterwards."""
import contextlib
import ctypes
import os
import re
import signal
import socket
import threading
import time

import pytest
import yaml

from harness import dump, jobs
from harness.mariadb import SteppedMariaDB
from harness.relay import Relay

LATE_S = 4  # beyond a stated bound, on a busy machine
PATIENTS = {"entity": "patients", "key": ["id"], "cursor": "changed", "page_rows": 50, "map": {
    "source_patient_id": "id", "first_name": "first", "last_name": "last", "source_modified_at": "changed"}}
TABLE = ("CREATE TABLE t (id int PRIMARY KEY, first varchar(40), last varchar(40), "
         "changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))")
ROWS = tuple(f"INSERT INTO t (id, first, last) VALUES ({i}, 'Ann{'abcdefgh'[i % 8]}', 'Lee')" for i in range(120))
SLOW = "CREATE VIEW slow AS SELECT id, first, last, changed, SLEEP(1) AS nap FROM t"  # a second a row


@pytest.fixture
def hospital(make_feed, mariadb):
    """One table of 120 patients that the daemon has not read yet."""
    feed = make_feed(mariadb, PATIENTS)
    feed.play(TABLE, *ROWS)
    return feed


@pytest.fixture(scope="module")
def stepped(tmp_path_factory):
    with SteppedMariaDB(tmp_path_factory.mktemp("stepped"), options=("--innodb-flush-log-at-trx-commit=0",)) as server:
        yield server


@pytest.fixture
def stepped_hospital(make_feed, stepped):
    """The same on a server whose clock can be set."""
    feed = make_feed(stepped, PATIENTS)
    feed.play(TABLE, *ROWS)
    yield feed
    stepped.step(0)


def begin(feed, source=None, **changes):
    feed.source = {"timeout": "2s", **(source or {})}
    feed.write(**changes)
    feed.daemon.make_token()
    feed.daemon.start()
    return feed.daemon


def here(feed):
    return feed.rows("SELECT source_patient_id, first_name FROM silver.patients WHERE source_system = 'h' "
                     "AND is_current AND NOT is_deleted ORDER BY source_patient_id::int")


def there(feed):
    with contextlib.closing(feed.server.connect(feed.hospital)) as link, link.cursor() as cursor:
        cursor.execute("SELECT CAST(id AS char), CONCAT(UPPER(LEFT(first, 1)), LOWER(SUBSTR(first, 2))) FROM t ORDER BY id")
        return list(cursor.fetchall())


def await_equal(feed, seconds=20):
    jobs.until(lambda: here(feed) == there(feed), seconds, "the rows are those of the hospital")


def failed(daemon, words):
    return [line for line in daemon.log_lines() if "run failed" in str(line) and words in line["error"]]


def await_poll(daemon):
    """The end of a poll that had not ended."""
    before = jobs.jobs(daemon)["h.f"]["last_success_at"]
    jobs.until(lambda: jobs.jobs(daemon)["h.f"]["last_success_at"] != before, what="a poll ends")


def ours(server):
    """Statements of the daemon's account that run, and its open transactions."""
    with contextlib.closing(server.connect()) as link, link.cursor() as cursor:
        cursor.execute("SELECT p.id, p.info FROM information_schema.processlist p "
                       "LEFT JOIN information_schema.innodb_trx x ON x.trx_mysql_thread_id = p.id "
                       "WHERE p.user = 'revcycle_ro' AND (p.command NOT IN ('Sleep', 'Daemon') OR x.trx_id IS NOT NULL)")
        return cursor.fetchall()


def naps(feed):
    """Of those, the ones that read the slow view."""
    return [line for line in ours(feed.server) if "slow" in str(line[1])]


# ---- what is left at the source

def test_a_canceled_run_ends_its_statement_and_the_next_run_is_not_hit(hospital):
    hospital.play(SLOW)
    daemon = begin(hospital, {"timeout": "60s"}, table="slow")
    jobs.until(lambda: naps(hospital), what="a page is being read")
    run = jobs.jobs(daemon)["h.f"]["last_run"]["id"]
    begun = time.monotonic()
    assert daemon.post(f"/v1/runs/{run}/cancel")[0] in (200, 202)
    assert jobs.await_run(daemon, run)["state"] == "canceled"
    jobs.until(lambda: naps(hospital), what="another run reads, its reconcile's at least")
    assert time.monotonic() - begun < LATE_S
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < LATE_S, "a stop waits for nobody's statement"
    assert not ours(hospital.server)


def test_a_statement_that_could_not_be_interrupted_is_interrupted_again(hospital):
    """Ending it takes a second connection, which the server may refuse for a while."""
    lock = "ALTER USER 'revcycle_ro'@'127.0.0.1' ACCOUNT {}"
    hospital.play(SLOW)
    daemon = begin(hospital, {"timeout": "60s"}, table="slow", reconcile="0")
    jobs.until(lambda: naps(hospital), what="a page is being read")
    run = jobs.jobs(daemon)["h.f"]["last_run"]["id"]
    with contextlib.closing(hospital.server.connect()) as link, link.cursor() as cursor:
        def refused():
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")
            return int(cursor.fetchone()[1])
        before = refused()
        cursor.execute(lock.format("LOCK"))
        try:
            assert daemon.post(f"/v1/runs/{run}/cancel")[0] in (200, 202)
            jobs.until(lambda: refused() > before, what="the server refuses")
        finally:
            cursor.execute(lock.format("UNLOCK"))
    begun = time.monotonic()
    assert jobs.await_run(daemon, run)["state"] == "canceled"
    assert time.monotonic() - begun < LATE_S


def test_an_interruption_that_comes_late_does_not_hit_the_next_run(make_feed, source_server):
    """The statement has ended when the second connection gets through to end it: the next run's has not begun."""
    hospital = make_feed(source_server, PATIENTS)
    hospital.play(TABLE, *ROWS[:4], SLOW.replace("SLEEP(1)", "SLEEP(0.3)"))
    with Relay(hospital.server.port) as relay:
        daemon = begin(hospital, {"timeout": "60s", "port": relay.port}, table="slow", reconcile="0", page_rows=2)
        jobs.until(lambda: naps(hospital), what="a page is being read")
        run = jobs.jobs(daemon)["h.f"]["last_run"]["id"]
        relay.hold()
        assert daemon.post(f"/v1/runs/{run}/cancel")[0] in (200, 202)
        jobs.until(lambda: relay.n_held, what="the second connection is on its way")
        jobs.until(lambda: not naps(hospital), what="the statement ends by itself")
        chance = time.monotonic() + 1  # of a next run that does not wait for it; its time to connect is three seconds
        while time.monotonic() < chance and not naps(hospital):
            time.sleep(0.02)
        relay.lead_on()
        assert jobs.await_run(daemon, run)["state"] == "canceled"
        jobs.until(lambda: jobs.jobs(daemon)["h.f"]["last_success_at"], what="the next run ends")
    # one before may have failed: on a machine that is busy, three seconds to connect may be short
    assert hospital.rows(f"SELECT run_id::text, state FROM ops.run WHERE job = 'h.f' AND state <> 'succeeded' AND run_id >= {run}") == [
        (str(run), "canceled")]
    await_equal(hospital)


def test_a_statement_that_takes_too_long_is_ended_by_the_server_even_when_nobody_is_left_to_ask(hospital):
    hospital.play(SLOW)
    daemon = begin(hospital, table="slow")
    jobs.until(lambda: failed(daemon, "took longer than the source's `timeout`"), 3 + LATE_S, "the run fails")
    jobs.until(lambda: naps(hospital), what="it is tried again")
    daemon.kill()
    jobs.until(lambda: not ours(hospital.server), 2 + LATE_S, "nothing of ours runs")


def test_what_runs_and_what_waits_for_it_is_counted(hospital):
    hospital.play(SLOW)
    daemon = begin(hospital, {"timeout": "60s"}, table="slow", reconcile="0")

    def counted(name):
        return float(re.search(rf"^revcycle_{name} (\S+)$", daemon.get("/metrics", token=None)[2], re.M)[1])
    jobs.until(lambda: naps(hospital), what="a page is being read")
    jobs.until(lambda: counted("runs_running") == daemon.get("/v1/status")[2]["runs_running"] == 1, what="it alone runs")
    assert daemon.post("/v1/jobs/h.f/runs", {"mode": "reconcile"})[0] == 202
    jobs.until(lambda: counted("queue_depth") == counted("runs_running") == 1, what="one waits for the other")


# ---- locks, limits, restarts

def test_a_locked_table_and_a_waiting_alter_keep_nobody_longer_than_two_seconds(hospital):
    daemon = begin(hospital, {"timeout": "60s"})
    await_equal(hospital)
    with contextlib.closing(hospital.server.connect(hospital.hospital)) as link, link.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        cursor.execute("UPDATE t SET first = 'Anna' WHERE id < 7")
        begun = time.monotonic()
        jobs.until(lambda: failed(daemon, "a lock of the hospital's was in the way"), 20, "the run says so")
        assert time.monotonic() - begun < 4 * 2 + LATE_S  # four attempts
    await_equal(hospital)
    begun = time.monotonic()
    hospital.play("ALTER TABLE t ADD COLUMN extra int, FORCE", "UPDATE t SET first = 'Anne' WHERE id < 9")
    assert time.monotonic() - begun < 2 + LATE_S, "the hospital waited for us"
    await_equal(hospital)


def test_a_lock_at_the_uncommitted_read_leaves_no_read_uncommitted_behind(hospital):
    """READ UNCOMMITTED is said for one statement; one that fails before it reached a row does not use it up.
    The row stays on the first page, which the statement after it reads."""
    daemon, server = hospital.daemon, hospital.server
    hospital.source = {"timeout": "60s"}
    hospital.write(reconcile="0")
    daemon.make_token()
    daemon.start_until("extract.before_compare")  # between its two reads
    with contextlib.closing(server.connect(hospital.hospital)) as link, link.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        daemon.go_on()
        jobs.until(lambda: failed(daemon, "a lock of the hospital's was in the way"), 2 + LATE_S, "the second read fails")
        daemon.signal(signal.SIGSTOP)
        jobs.until(lambda: not ours(server), 2 + LATE_S, "a read of the next attempt's has, too, if it began")
    with contextlib.closing(server.connect(hospital.hospital)) as link, link.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET first = 'Never', changed = changed WHERE id = 5")
        daemon.go_on()
        jobs.until(lambda: jobs.jobs(daemon)["h.f"]["last_success_at"], what="a run reads to the end")
        assert not hospital.value("SELECT count(*) FROM silver.patients WHERE first_name = 'Never'")
        cursor.execute("ROLLBACK")
    await_equal(hospital)
    assert "Never" not in {row["first"] for row in hospital.bronze()}


def test_a_server_without_a_free_connection_is_asked_again(hospital):
    server = hospital.server
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(contextlib.closing(server.connect(user="hospital")))
        last = server.connect(user="hospital")
        server.execute("SET GLOBAL max_connections = 10")
        try:
            daemon = begin(hospital)
            jobs.until(lambda: failed(daemon, "has no connection left"), what="the run says so")
        finally:
            last.close()
            server.execute("SET GLOBAL max_connections = 200")
    await_equal(hospital)


def test_a_server_becomes_read_only_and_is_killed_and_started_again(hospital):
    server = hospital.server
    daemon = begin(hospital)
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")  # else a kill loses its last second of commits
    hospital.play("UPDATE t SET first = 'Ute' WHERE id = 119")
    await_equal(hospital)
    server.execute("SET GLOBAL read_only = 1")
    server.kill()
    server.start()
    hospital.play("UPDATE t SET first = 'Otto' WHERE id < 50")
    await_equal(hospital)
    assert daemon.is_alive()
    jobs.until(lambda: not ours(server), what="nothing of ours stays behind")  # a poll may be on its way


# ---- the path between

def test_a_silent_path_is_given_up_within_the_timeout_and_nothing_is_left_when_it_speaks_again(hospital):
    with Relay(hospital.server.port) as relay:
        daemon = begin(hospital, {"port": relay.port})
        await_equal(hospital)
        relay.silence()
        begun = time.monotonic()
        jobs.until(lambda: failed(daemon, "no connection to the hospital's server"), 15, "it is found")
        assert time.monotonic() - begun < 3 + LATE_S
        hospital.play("UPDATE t SET first = 'Ida' WHERE id < 60")
        jobs.until(lambda: jobs.jobs(daemon)["h.f"]["last_run"]["attempt"] > 1, 10, "it is tried again")
        relay.speak()
        await_equal(hospital)
        daemon.stop()
        jobs.until(lambda: not ours(hospital.server), what="nothing of ours runs")


def test_an_answer_that_ends_in_the_middle_is_not_taken_for_a_whole_one(hospital):
    """Longer than a record of TLS, so that rows of it have come; not of the pages that are read before the columns of the
    first are asked about once more; stamped so that only the first load reads them."""
    hospital.play("SET timestamp = 978307200",
                  "INSERT INTO t (id, first, last) SELECT seq, 'Ann', REPEAT('x', 40) FROM seq_1000_to_4999")
    with Relay(hospital.server.port) as relay:
        relay.cut_after(290_000)  # the middle of the fourth of five pages
        daemon = begin(hospital, {"port": relay.port}, page_rows=1000, reconcile="0")
        jobs.until(lambda: relay.bytes_left is None, what="the answer is cut")
        await_equal(hospital, 30)
        assert failed(daemon, "no connection to the hospital's server")
        assert len(here(hospital)) == 4120


def test_an_idle_connection_whose_end_has_gone_does_not_fail_a_run(hospital):
    """Cut while idle: the next poll finds it, and connects anew."""
    with Relay(hospital.server.port) as relay:
        daemon = begin(hospital, {"port": relay.port}, every="1s")
        await_equal(hospital)
        for name in ("Ulla", "Uwe"):
            jobs.await_quiet(daemon)
            relay.cut()
            hospital.play(f"UPDATE t SET first = '{name}' WHERE id < 60")
            await_equal(hospital)
        assert not failed(daemon, "")


def test_the_other_end_of_an_idle_connection_is_looked_for_within_forty_seconds(hospital):
    """A machine that has gone says nothing: the kernel asks, and gives up what is not confirmed."""
    daemon = begin(hospital)
    await_equal(hospital)
    found = [options for peer, options in tcp_options(daemon.pid()) if peer == hospital.server.port]
    assert found
    for asks, idle_s, interval_s, tries, unconfirmed_ms in found:
        assert asks == 1 and idle_s + interval_s * tries <= 40 and 0 < unconfirmed_ms <= 40_000


def tcp_options(pid):
    """[(the peer's port, its settings)] of a process's connections: copies of its descriptors, by pidfd_getfd(2)."""
    settings = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    syscall, pidfd_getfd = ctypes.CDLL(None).syscall, 438
    process, found = os.pidfd_open(pid), []
    for name in os.listdir(f"/proc/{pid}/fd"):
        copy = syscall(pidfd_getfd, process, int(name), 0)
        if copy < 0:
            continue  # closed meanwhile
        try:
            link = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)  # of something else
            continue
        with link, contextlib.suppress(OSError):  # it listens
            if link.family == socket.AF_INET:
                found.append((link.getpeername()[1], [link.getsockopt(*setting) for setting in settings]))
    os.close(process)
    return found


def test_another_server_takes_over_behind_the_same_address(hospital):
    """Its clock is two minutes behind; a row that had arrived is gone, another one bears a time that was passed."""
    server = hospital.server
    with Relay(server.port) as relay:
        daemon = begin(hospital, {"port": relay.port}, reconcile="12h")
        await_equal(hospital)
        jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="it was reconciled once")
        before = jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"]
        relay.refuse()
        server.execute("SET GLOBAL server_id = 77")
        try:
            hospital.play("SET timestamp = UNIX_TIMESTAMP() - 120", "UPDATE t SET first = 'Eva' WHERE id = 3")
            relay.accept()
            await_equal(hospital)
            assert any("another server answers" in str(line) for line in daemon.log_lines())
            jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"] != before, what="a reconcile follows")
        finally:
            server.execute("SET GLOBAL server_id = 1")


def test_another_servers_clock_that_is_ahead_hides_no_row_that_came_late(stepped_hospital, stepped):
    """The first had not got the row when it went; its time lies behind the cursor, and by the new clock far behind.
    The poll reads it; the reconcile that follows would find it, too, in its own time."""
    feed = stepped_hospital
    with Relay(stepped.port) as relay:
        daemon = begin(feed, {"port": relay.port}, reconcile="12h")
        await_equal(feed)
        jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="it was reconciled once")
        before = jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"]
        jobs.until(lambda: position_of(feed) > source_text(feed, "(SELECT MAX(changed) FROM t)"), what="the cursor passes them")
        relay.refuse()
        stepped.step(3600)
        stepped.execute("SET GLOBAL server_id = 77")
        try:
            feed.play("SET timestamp = UNIX_TIMESTAMP() - 3720", "UPDATE t SET first = 'Eva' WHERE id = 3")
            assert source_text(feed, "(SELECT changed FROM t WHERE id = 3)") < position_of(feed)
            relay.accept()
            await_equal(feed)
            jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"] != before, what="a reconcile follows")
            assert any("another server answers" in str(line) for line in daemon.log_lines())
            assert feed.rows("SELECT r.job FROM ops.batch b JOIN ops.run r USING (run_id) "
                             "WHERE b.feed = 'h.f' AND b.rows_changed = 1") == [("h.f",)]
        finally:
            stepped.execute("SET GLOBAL server_id = 1")


def test_another_server_takes_over_while_no_daemon_runs(hospital):
    """Its row bears a time that no look behind the cursor reaches: reconcile has to be woken for it."""
    server = hospital.server
    daemon = begin(hospital, reconcile="12h")
    await_equal(hospital)
    jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="it was reconciled once")
    daemon.stop()
    server.execute("SET GLOBAL server_id = 77")
    try:
        hospital.play("SET timestamp = UNIX_TIMESTAMP() - 7200", "UPDATE t SET first = 'Eva' WHERE id = 3")
        daemon.start()
        await_equal(hospital)
        assert any("another server answers" in str(line) for line in daemon.log_lines())
        jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="a reconcile follows")
        daemon.stop()
        log = os.path.getsize(daemon.log_file)
        daemon.start()
        jobs.await_quiet(daemon)
        with open(daemon.log_file, encoding="utf-8") as file:
            file.seek(log)
            assert "another server answers" not in file.read(), "it is known from then on"
    finally:
        server.execute("SET GLOBAL server_id = 1")


def test_a_clock_that_is_set_back_takes_the_cursor_back_and_wakes_reconcile(hospital):
    server = hospital.server
    with Relay(server.port) as relay:
        daemon = begin(hospital, {"port": relay.port}, reconcile="12h")
        await_equal(hospital)
        jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="it was reconciled once")
        before = jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"]
        server.execute("SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() - 300'")
        try:
            relay.cut()  # its sessions from now on stand five minutes back
            with contextlib.closing(server.connect(hospital.hospital, user="hospital")) as link, link.cursor() as cursor:
                cursor.execute("UPDATE t SET first = 'Pia' WHERE id = 5")
            await_equal(hospital)
            assert any("clock was set back" in str(line) for line in daemon.log_lines())
            jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"] != before, what="a reconcile follows")
        finally:
            server.execute("SET GLOBAL init_connect = ''")


def set_back(daemon):
    return sum("clock was set back" in str(line) for line in daemon.log_lines())


def position_of(feed):
    return feed.value("SELECT position FROM ops.cursor WHERE feed = 'h.f'")


def source_text(feed, expression):
    with contextlib.closing(feed.server.connect(feed.hospital)) as link, link.cursor() as cursor:
        cursor.execute(f"SELECT CAST({expression} AS char)")
        return cursor.fetchone()[0]


def await_passed(feed):
    """A first load leaves the cursor an hour behind for a moment."""
    jobs.until(lambda: (position_of(feed) or "") > source_text(feed, "(SELECT max(changed) FROM t)"), what="the cursor passes all rows")


def threads_of(server):
    with contextlib.closing(server.connect()) as link, link.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'revcycle_ro'")
        return {thread for thread, in cursor.fetchall()}


def test_a_clock_stepped_to_and_fro_under_a_living_connection_loses_nothing(stepped_hospital, stepped):
    daemon = begin(stepped_hospital, reconcile="12h")
    await_equal(stepped_hospital)
    jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"], what="it was reconciled once")
    await_passed(stepped_hospital)
    threads = threads_of(stepped)
    for n, (seconds, name) in enumerate(((-1200, "Ada"), (600, "Bea"), (-600, "Cia"), (0, "Dea"))):
        position, told = position_of(stepped_hospital), set_back(daemon)
        reconciled = jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"]
        stepped.step(seconds)
        stepped_hospital.play(f"UPDATE t SET first = '{name}' WHERE id = {n}")
        await_equal(stepped_hospital)
        if seconds < 0:
            jobs.until(lambda: set_back(daemon) > told and position_of(stepped_hospital) < position, what="it is told and goes back")
            jobs.until(lambda: jobs.jobs(daemon)["reconcile.h.f"]["last_success_at"] != reconciled, what="a reconcile follows")
        else:
            assert set_back(daemon) == told
            jobs.until(lambda: position_of(stepped_hospital) > source_text(stepped_hospital, f"(SELECT changed FROM t WHERE id = {n})"),
                       what="the cursor passes it")  # so that it has something to go back from
    assert threads <= threads_of(stepped), "the connections are those of the beginning"


def test_a_step_of_the_clock_is_not_forgotten_when_the_run_that_saw_it_fails(stepped_hospital, stepped):
    """When it is tried again the clock has passed the position once more; between the two a row was stamped."""
    feed = stepped_hospital
    daemon = begin(feed, reconcile="0")
    await_equal(feed)
    feed.play("UPDATE t SET first = 'Una' WHERE id = 1")
    with contextlib.closing(stepped.connect(feed.hospital)) as link, link.cursor() as cursor, \
            contextlib.closing(feed.store.connect(feed.database)) as store, store.cursor() as lock:
        def source(expression):
            cursor.execute(f"SELECT CAST({expression} AS char)")
            return cursor.fetchone()[0]

        def waiting():
            lock.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
            return lock.fetchall()
        jobs.until(lambda: position_of(feed) > source("(SELECT changed FROM t WHERE id = 1)"), what="the cursor passes it")
        for _ in range(3):  # the poll that moved it ends, the next asks the store once more, from then on they are quiet
            await_poll(daemon)
        position = position_of(feed)
        lock.execute("BEGIN")
        lock.execute("LOCK TABLE ops.cursor IN ACCESS EXCLUSIVE MODE")
        await_poll(daemon)  # it finds nothing, and needs nothing of the store
        stepped.step(-8)
        feed.play("UPDATE t SET first = 'Uta' WHERE id = 2")
        assert source("(SELECT changed FROM t WHERE id = 2)") < position
        pid, = jobs.until(waiting, what="a run has seen the clock, and waits")[0]
        jobs.until(lambda: source("NOW(6) - INTERVAL 1 SECOND") > position, what="the clock passes the cursor again")
        lock.execute("SELECT pg_terminate_backend(%s)", (pid,))
        jobs.until(lambda: failed(daemon, ""), what="the run fails")
        lock.execute("ROLLBACK")
    await_equal(feed)
    assert set_back(daemon) == 1


def test_a_plan_leaves_a_step_of_the_clock_to_the_poll_after_it(stepped_hospital, stepped):
    """It reads as a run does, and goes back nowhere: what it saw of the clock must not be known to the run."""
    feed = stepped_hospital
    daemon = begin(feed, reconcile="0", every="12h")
    jobs.until(lambda: jobs.jobs(daemon)["h.f"]["last_success_at"], what="the first run ends")
    stepped.step(-60)
    feed.play("UPDATE t SET first = 'Uta' WHERE id = 2")
    assert jobs.run_job(daemon, "h.f", dry_run=True)["rows_changed"] == 1
    passed = source_text(feed, "NOW(6)")  # the clock has passed the position by the next poll
    feed.store.execute(f"UPDATE ops.cursor SET position = '{passed}' WHERE feed = 'h.f'", feed.database)
    assert jobs.run_job(daemon, "h.f")["rows_changed"] == 1
    assert here(feed) == there(feed) and set_back(daemon) == 2


@contextlib.contextmanager
def row_lock(feed, number):
    """Holds this row until it ends; what a clock that is stepped does to waiting for locks is nobody's matter here."""
    with contextlib.closing(feed.server.connect(feed.hospital)) as link, link.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM t WHERE id = %s FOR UPDATE", (number,))
        yield
        cursor.execute("ROLLBACK")


def begin_waiting(feed, statement):
    """The statement in a thread of its own; returns when it runs."""
    def run():
        feed.play("SET innodb_lock_wait_timeout = 100000", statement)
    thread = threading.Thread(target=run)
    thread.start()

    def runs():
        with contextlib.closing(feed.server.connect()) as link, link.cursor() as cursor:
            cursor.execute("SELECT 1 FROM information_schema.processlist WHERE info = %s", (statement,))
            return cursor.fetchone()
    jobs.until(runs, what="the statement waits")
    return thread


def test_a_clock_stepped_forward_under_a_running_statement_loses_nothing(stepped_hospital, stepped):
    """What it writes in the end bears the time at which it began, before the step."""
    feed = stepped_hospital
    daemon = begin(feed, reconcile="0")
    await_equal(feed)
    with row_lock(feed, 5):
        waiting = begin_waiting(feed, "UPDATE t SET first = 'Uma' WHERE id = 5")
        feed.play("UPDATE t SET first = 'Ida' WHERE id = 9")
        await_equal(feed)
        stepped.step(1200)
        for _ in range(3):
            await_poll(daemon)
    waiting.join(60)
    assert not waiting.is_alive() and ("5", "Uma") in there(feed)
    await_equal(feed)
    feed.play("UPDATE t SET first = 'Eva' WHERE id = 9")
    await_equal(feed)
    feed.play("UPDATE t SET first = 'Isa' WHERE id = 10")  # the cursor passes the statement when it has ended
    await_equal(feed)
    jobs.until(lambda: position_of(feed) > source_text(feed, "NOW(6) - INTERVAL 60 SECOND"), what="the cursor goes on")


@pytest.mark.parametrize("minutes, is_ahead", [(30, True), (120, False)])
def test_a_clock_set_back_while_no_daemon_ran_is_found_when_one_starts(stepped_hospital, stepped, minutes, is_ahead):
    """By an hour, so many minutes ago: it stands before the cursor, or has passed it again since."""
    feed = stepped_hospital
    daemon = begin(feed, reconcile="0")
    await_equal(feed)
    await_passed(feed)
    daemon.stop()
    stepped.step(-3600)
    feed.store.execute(f"UPDATE ops.cursor SET position = (position::timestamp - interval '{minutes} minutes')::text",
                       feed.database)
    left = position_of(feed)
    assert (left > source_text(feed, "NOW(6)")) == is_ahead
    feed.play(f"UPDATE t SET first = 'Ada', changed = '{left}' - INTERVAL 3300 SECOND WHERE id = 3")
    daemon.start()
    await_equal(feed)
    assert set_back(daemon) == 1
    await_poll(daemon)
    daemon.stop()
    daemon.start()
    await_poll(daemon)
    assert set_back(daemon) == 1, "it is known now"


# ---- whole hospitals

def through(relay, *hospitals, **settings):
    """These hospitals are reached through the relay."""
    def edit(text):
        document = yaml.safe_load(jobs.small_pages(text))
        for name in hospitals:
            document["sources"][name].update(port=relay.port, **settings)
        return yaml.safe_dump(document, sort_keys=False)
    return edit


def test_bad_weather_in_every_way_and_the_end_is_equal(fresh, loaded_order_dump):
    daemon = fresh.daemon
    with Relay(fresh.mysql.port) as relay:
        fresh.configure(edit=through(relay, "hospital_a", "hospital_b", timeout="2s"))
        daemon.make_token()
        relay.delay_s, relay.slice_bytes, relay.bytes_per_second = 0.002, 1500, 2_000_000
        daemon.start()
        jobs.until(lambda: fresh.value("SELECT count(*) FROM ops.batch") > 3, what="pages are placed, slowly")
        for n in (3000, 20000, 9000):
            relay.cut_after(n)
            jobs.until(lambda: relay.bytes_left is None, what="an answer is cut")
        relay.silence()
        jobs.until(lambda: failed(daemon, "no connection to the hospital's server"), what="the silence is told")
        relay.speak()
        relay.refuse()
        jobs.until(lambda: len(failed(daemon, "cannot connect")) > 1, what="the refusal is told")
        relay.accept()
        relay.delay_s, relay.bytes_per_second = 0, None
        jobs.await_quiet(daemon, 90)
        daemon.stop()
        assert not ours(fresh.mysql)
    fresh.configure()
    fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


def test_a_hospital_that_hangs_keeps_no_other_waiting(fresh):
    """One worker more than hospitals: however many feeds hang, the other's rows come, and are settled."""
    daemon = fresh.daemon
    with Relay(fresh.mysql.port) as relay:
        fresh.configure(edit=lambda text: through(relay, "hospital_a", timeout="30s")(text).replace("workers: 4", "workers: 3"))
        relay.silence()
        daemon.make_token()
        daemon.start()

        def waiting():
            return [name for name, job in jobs.jobs(daemon).items()
                    if (name.startswith("hospital_b.") or name == "settle") and not job["last_success_at"]]
        jobs.until(lambda: not waiting(), 8 + LATE_S, "all of hospital_b has come, and was settled")
        told = [job["why_not"] for name, job in jobs.jobs(daemon).items() if name.startswith("hospital_a.")]
        assert any("waits for a worker" in str(why) for why in told), told
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < 12
