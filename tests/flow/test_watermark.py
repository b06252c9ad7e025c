"""The cursor against a hospital that writes as awkwardly as it can: nothing is lost, and shorter rules lose.

The daemon, a poller by `> max(updated_at)`, one by our rule and one by our rule in a wrong order watch the same
tables in the same run. What the others lose shows that the hospital was awkward enough.
"""
import contextlib
import signal
import time

import pymysql
import pytest

from harness import adversary, settings
from harness.daemon import Daemon

TEMPLATE = settings.ROOT + "/tests/data/watermark.yaml.in"
WATCHED = ("instant", "civil", "second")


class Hospital:
    """Four tables, a store and a daemon that polls them."""

    def __init__(self, server, store, database, store_database, binary, directory):
        self.server, self.store = server, store
        self.database, self.store_database = database, store_database
        self.feeds = list(adversary.TABLES)
        server.create_database(database)
        adversary.make_tables(server, database)
        self.daemon = Daemon(directory / "daemon", binary, str(directory / "revcycled.yaml"))
        self.daemon.choose_port()
        values = settings.values(server, store, "http://127.0.0.1:1", "none", str(directory), store_database,
                                 "/nowhere", self.daemon.port, (database, database))
        settings.write_config(TEMPLATE, self.daemon.config, values)

    def start(self):
        if not self.daemon.token:
            self.daemon.make_token()
        self.daemon.start()
        self.wait_for_polls()

    def watermark(self, feed):
        status, _, body = self.daemon.get(f"/v1/feeds/hospital.{feed}")
        assert status == 200, body
        return body["watermark"]

    def end(self):
        self.daemon.stop()
        for (number,) in self.ask("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
                                  f" AND db = '{self.database}'"):
            with contextlib.suppress(pymysql.err.OperationalError):  # it went by itself meanwhile
                self.server.execute(f"KILL {number}")  # whatever a test that failed left behind
        self.server.drop_database(self.database)

    def ask(self, statement):
        """As `hospital`, whom the watching pollers take for a reader."""
        with contextlib.closing(self.server.connect(self.database, user="hospital")) as link, link.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def rows(self):
        return {key: number for table in adversary.TABLES for key, number in self.ask(f"SELECT id, n FROM {table}")}

    def placed(self):
        return dict(self.store.ask(self.store_database, "SELECT source_department_id, name::int FROM silver.departments "
                                   "WHERE source_system = 'hospital'"))

    def positions(self):
        return dict(self.store.ask(self.store_database, "SELECT split_part(feed, '.', 2), position FROM ops.cursor"))

    def metric(self, name):
        """{feed: value}"""
        found = {}
        for line in self.daemon.get("/metrics", token=None)[2].splitlines():
            if line.startswith(f"revcycle_{name}{{"):
                feed = line.split('feed="hospital.')[1].split('"')[0]
                found[feed] = found.get(feed, 0) + float(line.rsplit(" ", 1)[1])
        return found

    def wait_for_polls(self, count=2, seconds=30):
        """Until every feed was polled so many times from now on."""
        last, polls = self.metric("feed_last_success_timestamp_seconds"), dict.fromkeys(self.feeds, 0)
        end = time.monotonic() + seconds
        while min(polls.values()) < count:
            assert time.monotonic() < end, (polls, self.daemon.log_tail())
            time.sleep(0.02)
            now = self.metric("feed_last_success_timestamp_seconds")
            for feed in polls:
                polls[feed] += feed in now and now[feed] != last.get(feed)
            last = now


@pytest.fixture
def hospital(source_server, postgres, schema_database, binary, tmp_path, database_name):
    made = Hospital(source_server, postgres, database_name[:50], schema_database, binary, tmp_path)
    yield made
    made.end()


def lost(source, seen):
    """(rows that differ, updates they lack)"""
    differing = {key: number - seen.get(key, 0) for key, number in source.items() if seen.get(key) != number}
    return len(differing), sum(differing.values())


def table_of(lines):
    heads = ("rule", "updates", "rows that differ", "updates lost", "re-read")
    widths = [max(len(str(line[i])) for line in [heads, *lines]) for i in range(len(heads))]
    return "\n".join("  ".join(str(value).ljust(width) for value, width in zip(line, widths)) for line in [heads, *lines])


def watch(hospital, rules):
    """Pollers of each table by each rule; where the cursor is fine enough, each with a statement that races it."""
    pollers = {}
    for table in WATCHED:
        for offset, rule in enumerate(rules):
            race = None if table == "second" else adversary.Race(hospital.server, hospital.database, table, offset)
            pollers[rule, table] = adversary.Poller(hospital.server, hospital.database, table, rule, race)
            pollers[rule, table].start()
    return pollers


def judge(hospital, pollers, rules):
    """({rule: (rows that differ, updates lost)}, the table for people)"""
    source = hospital.rows()
    read, changed = (sum(hospital.metric(name).values()) for name in ("feed_rows_read_total", "feed_rows_changed_total"))
    losses = {"revcycled": lost(source, hospital.placed())}
    lines = [("revcycled", sum(source.values()), *losses["revcycled"], int(read - changed))]
    watched = {key: number for key, number in source.items() if key[0] in {table[0].upper() for table in WATCHED}}
    for rule in rules:
        mine = [pollers[rule, table] for table in WATCHED]
        losses[rule] = lost(watched, {key: number for poller in mine for key, number in poller.seen.items()})
        lines.append((rule.__name__, sum(watched.values()), *losses[rule], sum(poller.reread for poller in mine)))
    return losses, table_of(lines)


@pytest.mark.parametrize("seconds", [20, pytest.param(60, marks=pytest.mark.nightly)])
def test_no_update_is_lost_and_shorter_rules_lose_some(hospital, seconds, record_property):
    hospital.start()
    began = hospital.positions()
    rules = (adversary.naive, adversary.list_last, adversary.list_first)
    pollers = watch(hospital, rules)
    writers = adversary.Writers(hospital.server, hospital.database, seconds, seed=seconds)
    writers.start()
    writers.end()
    adversary.end_all(pollers.values())
    hospital.wait_for_polls()
    losses, table = judge(hospital, pollers, rules)
    record_property("shown", f"\n{hospital.server.name}, {seconds} s\n{table}")

    assert losses["revcycled"] == (0, 0)
    assert losses[adversary.list_first] == (0, 0)
    assert losses[adversary.naive][0] > 0, "the hospital was too tame"
    # MySQL tells the age of a statement in whole seconds: while others run, the wrong order is lucky
    if hospital.server.name == "MariaDB":
        assert losses[adversary.list_last][0] > 0, "the hospital was too tame"
    ended = hospital.positions()
    stuck = {feed: (began[feed], ended[feed]) for feed in WATCHED if ended[feed] <= began[feed]}
    assert not stuck, "a cursor that never moves proves nothing"


def test_the_list_read_last_loses_what_ends_in_between(hospital):
    hospital.start()
    for rule, loses in ((adversary.list_first, False), (adversary.list_last, True)):
        race = adversary.Race(hospital.server, hospital.database, "instant", 0)
        poller = adversary.Poller(hospital.server, hospital.database, "instant", rule, race)
        before = dict(hospital.ask("SELECT id, n FROM instant"))
        poller.start()
        while sum(dict(hospital.ask("SELECT id, n FROM instant")).values()) < sum(before.values()) + 10:
            time.sleep(0.05)
        adversary.end_all([poller])
        assert (lost(dict(hospital.ask("SELECT id, n FROM instant")), poller.seen)[0] > 0) == loses, rule.__name__
    hospital.wait_for_polls()
    assert lost(hospital.rows(), hospital.placed()) == (0, 0)


def test_a_report_does_not_hold_the_cursor_and_a_writing_statement_does(hospital):
    hospital.start()
    with contextlib.closing(hospital.server.connect(hospital.database)) as link, \
            contextlib.closing(hospital.server.connect(hospital.database)) as other:
        begin_sleeping(link, "SELECT SUM(n) FROM instant WHERE SLEEP(0.01) = 0")
        end = time.monotonic() + 20
        while not hospital.ask("SELECT 1 FROM information_schema.innodb_trx"
                               f" WHERE trx_is_read_only = 1 AND trx_mysql_thread_id = {link.thread_id()}"):
            assert time.monotonic() < end, "the report does not read"
            time.sleep(0.2)  # the list is made anew only when nobody has read it for 0.1 s
        hospital.wait_for_polls(3)
        assert hospital.metric("feed_cursor_held_seconds")["instant"] == 0
        assert hospital.watermark("instant")["quality"] == "proven" and hospital.watermark("instant")["held_by"] is None
        kill(hospital, link)
        begin_sleeping(other, "UPDATE civil SET n = n + 1 WHERE id = 'C000007' AND SLEEP(5) = 0")
        hospital.wait_for_polls(3)
        assert hospital.metric("feed_cursor_held_seconds")["instant"] > 0
        held = hospital.watermark("instant")
        assert (held["held_by"], held["thread_id"]) == ("a running statement", str(other.thread_id()))
        kill(hospital, other)
        hospital.wait_for_polls(3)
        assert hospital.metric("feed_cursor_held_seconds")["instant"] == 0


def test_an_uncommitted_row_holds_the_cursor_and_not_the_rows(hospital):
    hospital.start()
    with contextlib.closing(hospital.server.connect(hospital.database)) as link, link.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE instant SET n = 5 WHERE id = 'I000003'")
        hospital.server.execute("UPDATE instant SET n = 6 WHERE id = 'I000004'", database=hospital.database)
        hospital.wait_for_polls()
        assert hospital.watermark("instant")["held_by"] == "a row that is not committed"
        assert hospital.watermark("civil")["held_by"] is None
        assert hospital.placed()["I000004"] == 6 and hospital.placed()["I000003"] == 0
        cursor.execute("COMMIT")
    hospital.wait_for_polls()
    assert hospital.placed()["I000003"] == 5 and hospital.watermark("instant")["held_by"] is None


def test_a_row_stamped_into_the_past_is_found_and_makes_the_cursor_unproven(hospital):
    hospital.start()
    began = hospital.positions()["instant"]
    hospital.server.execute("UPDATE instant SET n = 1 WHERE id = 'I000001'", database=hospital.database)
    while hospital.positions()["instant"] == began:
        hospital.wait_for_polls(1)
    hospital.daemon.stop()
    hospital.server.execute("UPDATE instant SET n = 7, v = NOW(6) - INTERVAL 5 MINUTE WHERE id = 'I000009'",
                            database=hospital.database)
    hospital.start()  # the ten minutes behind the position are read at the first poll
    assert hospital.placed()["I000009"] == 7
    told = hospital.watermark("instant")
    assert told["quality"] == "unproven" and "behind the cursor" in told["why"]
    assert hospital.watermark("civil")["quality"] == "proven"


def test_without_process_the_cursor_is_bounded_and_says_so(hospital):
    reader = "'revcycle_ro'@'127.0.0.1'"
    hospital.server.execute(f"REVOKE PROCESS ON *.* FROM {reader}")
    try:
        hospital.start()
        told = hospital.watermark("instant")
        assert told["quality"] == "bounded" and "GRANT PROCESS" in told["why"]
        hospital.server.execute("UPDATE instant SET n = 3 WHERE id = 'I000003'", database=hospital.database)
        hospital.wait_for_polls()
        assert hospital.placed()["I000003"] == 3
    finally:
        hospital.server.execute(f"GRANT PROCESS ON *.* TO {reader}")


@pytest.fixture
def without_list(mysql):
    """A MySQL that keeps no list of its sessions."""
    def start(*options):
        mysql.stop()
        mysql.options[:] = options
        mysql.start()
    before = tuple(mysql.options)
    start(*before, "--performance-schema=OFF")
    yield mysql
    start(*before)


def test_where_no_statement_can_be_seen_the_cursor_is_bounded_and_says_so(without_list, postgres, schema_database, binary, tmp_path,
                                                                          database_name):
    hospital = Hospital(without_list, postgres, database_name[:50], schema_database, binary, tmp_path)
    try:
        hospital.start()
        told = hospital.watermark("instant")
        assert told["quality"] == "bounded" and "performance_schema = ON" in told["why"]
    finally:
        hospital.end()


def test_a_counter_is_followed(hospital):
    hospital.server.execute(
        "CREATE TABLE counted (id VARCHAR(12) NOT NULL PRIMARY KEY, n INT NOT NULL, v BIGINT NOT NULL AUTO_INCREMENT UNIQUE)",
        "INSERT INTO counted (id, n) VALUES ('K1', 1), ('K2', 2)", database=hospital.database)
    with open(hospital.daemon.config, encoding="utf-8") as file:
        text = file.read()
    day = next(line for line in text.splitlines() if line.startswith("      day:"))
    counted = day.replace("day:", "counted:").replace(", cursor_clock: server", "")
    with open(hospital.daemon.config, "w", encoding="utf-8") as file:
        file.write(text.replace(day, f"{day}\n{counted}"))
    hospital.feeds.append("counted")
    hospital.start()
    hospital.server.execute("INSERT INTO counted (id, n) VALUES ('K3', 3)",
                            "UPDATE counted SET n = 9, v = 10 WHERE id = 'K1'", database=hospital.database)
    hospital.wait_for_polls()
    assert {key: number for key, number in hospital.placed().items() if key[0] == "K"} == {"K1": 9, "K2": 2, "K3": 3}
    assert hospital.watermark("counted")["quality"] == "bounded"


def begin_sleeping(link, statement):
    """Sends a statement without waiting for its answer; returns when the server runs it."""
    link._execute_command(3, statement)  # COM_QUERY


def kill(hospital, link):
    hospital.server.execute(f"KILL {link.thread_id()}")


COUNTED = {"entity": "transactions", "key": ["id"], "cursor": "v", "page_rows": 100, "reconcile": "0",
           "map": {"source_transaction_id": "id", "amount": "n"}}


def test_a_counter_advances_between_runs_that_each_are_a_process(make_feed, mariadb):
    """What was seen of it stands with the cursor: else every --once would read the table from its beginning."""
    feed = make_feed(mariadb, COUNTED)
    feed.play("CREATE TABLE t (id int PRIMARY KEY, n int, v bigint NOT NULL UNIQUE)",
              "INSERT INTO t SELECT seq, 1, seq FROM seq_1_to_500")

    def run(later=True):
        """How many rows it read."""
        if later:  # a look-back goes by
            with contextlib.closing(feed.store.connect(feed.database)) as link, link.cursor() as cursor:
                cursor.execute("UPDATE ops.cursor SET counter_seen = ARRAY[counter_seen[1] - interval '61 s', "
                               "counter_seen[2] - interval '61 s'] WHERE feed = 'h.f'")
                link.commit()
        feed.once()
        return feed.rows("SELECT rows_read FROM ops.run WHERE job = 'h.f' ORDER BY run_id DESC LIMIT 1")[0][0]
    assert feed.daemon.once(REVCYCLED_FAILPOINT="extract.before_counter").returncode == -signal.SIGKILL
    run(later=False)
    position = "SELECT position FROM ops.cursor WHERE feed = 'h.f'"
    feed.play("INSERT INTO t VALUES (501, 1, 501)")
    run(later=False)
    assert int(feed.value(position)) < 0, "500 was the greatest a moment ago: a lower one may still be committed"
    run()
    assert feed.value(position) == "500"
    feed.play("INSERT INTO t VALUES (502, 7, 502)", "UPDATE t SET n = 9, v = 1000 WHERE id = 3")
    assert run() <= 5
    assert feed.value(position) == "501"
    assert feed.rows("SELECT source_transaction_id::int, amount::int FROM silver.transactions WHERE amount > 1 ORDER BY 1") == [
        (3, 9), (502, 7)]
    kept = feed.rows("SELECT counter_values, counter_seen, page FROM ops.cursor")
    feed.once()
    assert feed.rows("SELECT counter_values, counter_seen, page FROM ops.cursor") == kept, "a quiet poll writes nothing"
    # another cursor: what was seen of the old one says nothing of it
    feed.play("ALTER TABLE t ADD COLUMN w bigint NOT NULL DEFAULT 0, ADD KEY (w)")
    feed.write(cursor="w")
    assert feed.daemon.once(REVCYCLED_FAILPOINT="extract.before_loaded").returncode == -signal.SIGKILL
    run()
    assert int(feed.value(position)) < 0 and feed.value("SELECT counter_values[2] FROM ops.cursor") == "0"
    feed.play("UPDATE t SET n = 11, w = 5 WHERE id = 4")
    run()
    assert feed.value("SELECT amount::int FROM silver.transactions WHERE source_transaction_id = '4'") == 11
    # another server: it may not have come as far
    run()
    assert int(feed.value(position)) >= 0
    feed.store.execute("UPDATE ops.cursor SET server = server + 1", feed.database)
    run()
    assert int(feed.value(position)) < 0 and feed.value("SELECT counter_values[1] FROM ops.cursor") == ""
