"""A server goes away under a running daemon: it says so, waits, goes on by itself, and ends right.

test_outages.py does the same to --once; here what people and Prometheus see meanwhile counts too. There as
here a database's outage is another order of deliveries: what waits for its next attempt arrives behind its
facts and a settle."""
import contextlib
import os
import signal

from prometheus_client import parser

from harness import dump, jobs
from harness.proxy import Fault, Proxy
from harness.relay import ENDS, Relay


def metric(daemon, name, **labels):
    """The sum over series with these labels."""
    families = parser.text_string_to_metric_families(daemon.get("/metrics", token=None)[2])
    return sum(sample.value for family in families for sample in family.samples
               if sample.name == name and labels.items() <= sample.labels.items())


def logged(daemon, words):
    return [line for line in daemon.log_lines() if words in str(line)]


def begin(world, edit=jobs.small_pages, **options):
    """A daemon that loads, some pages placed."""
    world.configure(edit=edit, **options)
    world.daemon.make_token()
    world.daemon.start()


def await_batches(world, number):
    jobs.until(lambda: world.value("SELECT count(*) FROM ops.batch") >= number, what=f"{number} pages are placed")


def assert_ends_equal(world, undisturbed):
    jobs.await_quiet(world.daemon, 90)
    world.daemon.stop()
    world.once()
    dump.assert_equal(undisturbed, world.dump(dump.ORDER))


def test_postgresql_stops_and_starts_under_a_loading_daemon(fresh, loaded_order_dump):
    begin(fresh)
    daemon = fresh.daemon
    await_batches(fresh, 5)
    fresh.store.stop()
    try:
        jobs.until(lambda: daemon.get("/readyz", token=None)[0] == 503, what="it is not ready")
        status, _, answer = daemon.get("/readyz", token=None)
        assert status == 503 and "PostgreSQL" in answer["detail"]
        assert daemon.get("/healthz", token=None)[0] == 200
        assert logged(daemon, "store is not reachable")
        assert metric(daemon, "revcycle_store_reachable") == 0
        jobs.until(lambda: metric(daemon, "revcycle_run_retries_total") > 0, what="a run waits for another attempt")
    finally:
        fresh.store.start()
    jobs.until(lambda: daemon.get("/readyz", token=None)[0] == 200, what="it is ready again")
    assert logged(daemon, "store is reachable")
    assert metric(daemon, "revcycle_store_reachable") == 1
    assert daemon.is_alive()
    assert_ends_equal(fresh, loaded_order_dump)


def test_a_mysql_connection_is_cut_in_the_middle_of_a_page(fresh, loaded_order_dump):
    begin(fresh)
    await_batches(fresh, 1)
    with contextlib.closing(fresh.hospital()) as holder, holder.cursor() as lock, \
            contextlib.closing(fresh.mysql.connect()) as link, link.cursor() as cursor:
        lock.execute("LOCK TABLES billing_transaction WRITE")  # the next page's statement waits for it

        def waits():
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'revcycle_ro' AND state LIKE "
                           "'Waiting for table metadata lock' AND db = %s", (fresh.hospitals[0],))
            return cursor.fetchone()
        cursor.execute(f"KILL {jobs.until(waits, what='a page waits')[0]}")
        failed = jobs.until(lambda: logged(fresh.daemon, "run failed"), what="the log says so")
    assert "no connection to the hospital's server" in failed[0]["error"], failed
    jobs.until(lambda: metric(fresh.daemon, "revcycle_run_retries_total", job="hospital_a.transactions") > 0,
               what="the retry is counted")
    assert fresh.daemon.get("/readyz", token=None)[0] == 200, "a hospital's outage is not ours"
    assert_ends_equal(fresh, loaded_order_dump)


def through(relay):
    """The hospitals' databases are reached through it."""
    def edit(text):
        assert f"port: {relay.target}" in text
        return text.replace(f"port: {relay.target}", f"port: {relay.port}")
    return edit


ONE_TABLE = {"entity": "patients", "key": ["id"], "cursor": "changed", "map": {
    "source_patient_id": "id", "first_name": "first", "source_modified_at": "changed"}}


def test_postgresql_crashes_with_a_position_it_has_not_flushed(make_feed, mariadb):
    """The rows go with it; the next poll must not take them for placed, though the source shows nothing newer."""
    feed = make_feed(mariadb, ONE_TABLE)
    feed.play("CREATE TABLE t (id int PRIMARY KEY, first varchar(40), changed datetime(6) NOT NULL DEFAULT "
              "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))",
              "INSERT INTO t (id, first, changed) VALUES (1, 'Ann', '2024-01-01')")

    def names():
        return feed.rows("SELECT first_name FROM silver.patients WHERE is_current AND source_system = 'h'")
    feed.once()
    # Whoever flushes, flushes all: the writers in the background, and whatever else the daemon commits meanwhile.
    feed.store.execute(f'ALTER DATABASE "{feed.database}" SET synchronous_commit = off')
    for (writer,) in feed.rows("SELECT pid FROM pg_stat_activity WHERE backend_type IN "
                               "('walwriter', 'background writer', 'checkpointer', 'autovacuum launcher')"):
        os.kill(writer, signal.SIGSTOP)
    feed.play("UPDATE t SET first = 'Eve'")
    feed.daemon.start_until("extract.after_advance")  # the poll has placed it
    assert names() == [("Eve",)]
    feed.store.kill()
    feed.store.start()
    assert names() == [("Ann",)], "nothing was lost: the test proved nothing"
    feed.daemon.go_on()
    jobs.until(lambda: names() == [("Eve",)], what="it is read again")


def test_mysql_connections_are_cut_in_the_tls_handshake(fresh, loaded_order_dump):
    with Relay(fresh.mysql.port, ENDS) as relay:
        begin(fresh, edit=through(relay))
        jobs.until(lambda: len(logged(fresh.daemon, "run failed")) >= len(ENDS), what="every cut is told")
        failed = logged(fresh.daemon, "run failed")
        assert all("no connection to the hospital's server" in line["error"] for line in failed), failed
        jobs.await_quiet(fresh.daemon, 90)
        assert metric(fresh.daemon, "revcycle_run_retries_total") >= len(ENDS)
        fresh.daemon.stop()
    fresh.configure()
    fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


def test_a_certificate_of_somebody_else_is_no_outage(fresh):
    """Waiting mends nothing: the feed stops, and says what to look at."""
    begin(fresh, edit=lambda text: text.replace(fresh.mysql.ca_file(), "/etc/ssl/certs/ca-certificates.crt"))
    failed = jobs.until(lambda: logged(fresh.daemon, "run failed"), what="the log says so")
    assert "TLS with the hospital's server failed" in failed[0]["error"], failed
    assert metric(fresh.daemon, "revcycle_run_retries_total") == 0


def test_the_warehouse_fails_in_every_way_at_once(fresh, loaded_order_dump):
    faults = [Fault("503", method="POST"), Fault("429", method="POST"), Fault("cut", method="POST"),
              Fault("cut_after", method="POST", body="COMMIT TRANSACTION")]
    with Proxy(fresh.emulator.port) as proxy:
        proxy.fail(*faults)
        begin(fresh, edit=lambda text: text.replace("every: 1m", "every: 1s"), endpoint=proxy.endpoint)
        jobs.until(lambda: not proxy.pending(), 60, "every fault has happened")
        jobs.until(lambda: metric(fresh.daemon, "revcycle_runs_total", job="publish", outcome="succeeded") > 0, 60,
                   "a publication succeeds")
        assert fresh.daemon.get("/readyz", token=None)[0] == 200
        assert_ends_equal(fresh, loaded_order_dump)
