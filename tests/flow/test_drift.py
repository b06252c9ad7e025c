"""A hospital's table that changes while it is read: nothing crashes, nothing is silently NULL, and where it is
named it is named once: the run, a line of the log, a metric, /v1/feeds."""
import contextlib

import pytest

from harness import jobs

PATIENTS = {"entity": "patients", "key": ["id"], "cursor": "changed", "page_rows": 50, "reconcile": "0", "map": {
    "source_patient_id": "id", "first_name": "first", "last_name": "last", "source_modified_at": "changed"}}
TABLE = ("CREATE TABLE t (id int PRIMARY KEY, first varchar(40), last varchar(40), extra int, "
         "changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))")
EVOLVE = {"on_new_column": "evolve", "on_missing_column": "evolve", "on_retyped_column": "evolve"}
FREEZE = dict.fromkeys(EVOLVE, "freeze")
DISCARD = dict.fromkeys(EVOLVE, "discard")


class Watched:
    """One feed under a running daemon."""

    def __init__(self, feed):
        self.feed, self.daemon = feed, feed.daemon
        self.daemon.make_token()

    def start(self, n=120):
        self.feed.play(TABLE, *(f"INSERT INTO t (id, first, last, extra) VALUES ({i}, 'Ann{'abcdefgh'[i % 8]}', "
                                f"'Lee', {i})" for i in range(n)))
        self.daemon.start()
        jobs.until(lambda: self.count() == n)
        jobs.until(lambda: self.about()["cursor"]["phase"] == "follow")
        return self

    def count(self):
        return self.feed.value("SELECT count(*) FROM silver.patients WHERE source_system = 'h' AND is_current "
                               "AND NOT is_inferred")

    def about(self):
        status, _, body = self.daemon.get("/v1/feeds/h.f")
        assert status == 200, body
        return body

    def drift(self, **wanted):
        """The newest event with these members, once there is one."""
        return jobs.until(lambda: next((line for line in self.about()["drift"]
                                        if all(line[key] == value for key, value in wanted.items())), None), 20, wanted)

    def first_name(self, patient, wanted=None, seconds=20):
        ask = lambda: self.feed.rows("SELECT first_name FROM silver.patients WHERE source_patient_id = %s AND "  # noqa: E731
                                     "is_current", str(patient))
        if wanted is None:
            return ask()[0][0]
        return jobs.until(lambda: ask() == [(wanted,)], seconds, f"{patient} is {wanted}")

    def rename(self, patient, name):
        self.feed.play(f"UPDATE t SET first = '{name}' WHERE id = {patient}")

    def alerts(self):
        return [line["drift"] for line in self.daemon.log_lines() if line.get("alert") == "schema_drift"]

    def metric(self, kind, state):
        wanted = f'revcycle_feed_drift_total{{feed="h.f",kind="{kind}",state="{state}"}} '
        return next((float(line[len(wanted):]) for line in self.daemon.get("/metrics", token=None)[2].splitlines()
                     if line.startswith(wanted)), 0)

    def frozen(self):
        """The sentence, once the feed stands still."""
        return jobs.until(lambda: self.about()["state"] == "stopped" and self.about()["last_error"])

    def reload(self, **changes):
        self.feed.write(**changes)
        self.daemon.hang_up()

    def trigger(self, mode="incremental"):
        status, _, run = self.daemon.post("/v1/jobs/h.f/runs", {"mode": mode})
        assert status == 202, run
        return jobs.await_run(self.daemon, run["id"])

    def versions(self):
        return self.feed.value("SELECT max(version) FROM silver.patients WHERE source_system = 'h'")


@pytest.fixture
def watch(make_feed, mariadb):
    def begin(server=None, n=120, **feed):
        return Watched(make_feed(server or mariadb, {**PATIENTS, **feed})).start(n)
    return begin


# -- added


def test_a_new_column_is_read_and_everything_with_it_again(watch, source_server):
    watched = watch(source_server)
    before = watched.about()["schema"]["id"]
    watched.feed.play("ALTER TABLE t ADD COLUMN note varchar(20) DEFAULT 'n' AFTER id")
    event = watched.drift(kind="column_added", state="evolved")
    assert (event["column"], event["contract"]) == ("note", "evolve")
    assert event["now"].startswith("varchar(20)") and "column note" in event["sentence"]
    schema = jobs.until(lambda: (lambda s: not s["full_due"] and s["id"] != before and s)(watched.about()["schema"]))
    assert [column["name"] for column in schema["columns"]] == ["id", "first", "last", "extra", "changed", "note"]
    run = jobs.until(lambda: watched.feed.rows("SELECT trigger, rows_read, state FROM ops.run WHERE mode = 'full'"))
    assert run[0][0] == "schema drift" and run[0][1] >= 120
    noted = watched.feed.rows("SELECT steps->0->>'note' FROM ops.run WHERE steps->0->>'note' IS NOT NULL")
    assert noted == [(event["sentence"],)]
    assert watched.alerts() == [event["sentence"]] and watched.metric("column_added", "evolved") == 1
    # every raw row once more, with the new column, and no version of anybody
    assert sum("note" in row for row in watched.feed.bronze()) == 120
    assert watched.versions() == 1
    watched.rename(7, "Zoe")
    watched.first_name(7, "Zoe")
    assert watched.feed.bronze()[-1]["note"] == "n"


def test_a_discarded_column_is_told_once_and_taken_when_the_contract_changes(watch):
    watched = watch(on_new_column="discard")
    watched.feed.play("ALTER TABLE t ADD COLUMN note varchar(20) DEFAULT 'n'")
    event = watched.drift(kind="column_added", state="discarded")
    watched.rename(1, "Zoe")
    watched.first_name(1, "Zoe")
    watched.rename(2, "Zoe")
    watched.first_name(2, "Zoe")
    assert "note" not in watched.feed.bronze()[-1]
    assert watched.alerts() == [event["sentence"]] and watched.metric("column_added", "discarded") == 1
    assert watched.feed.value("SELECT count(*) FROM ops.run WHERE mode = 'full'") == 0
    watched.reload(on_new_column="evolve")
    watched.drift(kind="column_added", state="evolved", column="note")
    assert watched.drift(kind="column_added", state="mended")["ended_at"]
    jobs.until(lambda: sum("note" in row for row in watched.feed.bronze()) == 120)


def test_a_discarded_column_that_the_map_comes_to_name_is_read(watch):
    watched = watch(on_new_column="discard")
    watched.feed.play("ALTER TABLE t ADD COLUMN middle varchar(20) DEFAULT 'Quincy'")
    watched.drift(kind="column_added", state="discarded")
    watched.reload(map={**PATIENTS["map"], "middle_name": "middle"})
    jobs.until(lambda: watched.feed.value("SELECT count(*) FROM silver.patients WHERE middle_name = 'Quincy'") == 120)


def test_a_frozen_feed_keeps_its_cursor_and_goes_on_when_the_contract_is_mended(watch):
    watched = watch(on_new_column="freeze")
    watched.feed.play("ALTER TABLE t ADD COLUMN note int")
    sentence = watched.frozen()
    assert "column note (int) is new" in sentence and "on_new_column: freeze" in sentence
    cursor = watched.about()["cursor"]
    watched.rename(3, "Zoe")
    run = watched.trigger()
    assert run["state"] == "failed" and "column note" in run["error"]["detail"] and "cursor is kept" in run["error"]["hint"]
    assert watched.about()["cursor"] == cursor and watched.first_name(3) != "Zoe"
    assert len(watched.alerts()) == 1 and watched.metric("column_added", "frozen") == 1
    watched.daemon.stop()  # a restart knows it too
    watched.daemon.start()
    assert "column note" in watched.frozen()
    watched.reload(on_new_column="evolve")
    watched.first_name(3, "Zoe")
    assert watched.drift(column="note", state="mended") and watched.drift(column="note", state="evolved")


# -- dropped, renamed


@pytest.mark.parametrize("contract", [EVOLVE, FREEZE, DISCARD], ids=["evolve", "freeze", "discard"])
def test_a_mapped_column_that_vanishes_is_never_null(watch, contract):
    watched = watch(n=20, **contract)
    watched.feed.play("ALTER TABLE t DROP COLUMN first", "UPDATE t SET last = 'Kim' WHERE id = 5")
    assert "column first" in watched.frozen()
    watched.trigger()
    assert watched.drift(kind="column_dropped", column="first", state="frozen")
    assert watched.feed.value("SELECT count(*) FROM silver.patients WHERE first_name IS NULL AND source_system = 'h' "
                              "AND NOT is_inferred") == 0
    watched.feed.play("ALTER TABLE t ADD COLUMN first varchar(40) DEFAULT 'Ann' AFTER id")
    assert watched.trigger()["state"] == "succeeded"
    assert watched.feed.rows("SELECT first_name, last_name FROM silver.patients WHERE source_patient_id = '5' "
                             "AND is_current") == [("Ann", "Kim")]
    assert watched.drift(kind="column_dropped", column="first", state="mended")


def test_a_column_nobody_needs_may_go_where_the_contract_says_so(watch):
    watched = watch(**EVOLVE)
    watched.feed.play("ALTER TABLE t DROP COLUMN extra")
    watched.drift(kind="column_dropped", column="extra", state="evolved")
    jobs.until(lambda: not watched.about()["schema"]["full_due"])
    watched.rename(3, "Zoe")
    watched.first_name(3, "Zoe")
    assert "extra" not in watched.feed.bronze()[-1] and watched.versions() == 2


def test_a_column_nobody_needs_stops_the_feed_where_the_contract_is_freeze(watch):
    watched = watch(n=20, **{**EVOLVE, "on_missing_column": "freeze"})
    watched.feed.play("ALTER TABLE t DROP COLUMN extra")
    assert "column extra (int) is gone; the feed stands still (on_missing_column: freeze)" in watched.frozen()


def test_a_renamed_column_is_told_as_that_and_the_mended_map_agrees(watch, source_server):
    watched = watch(source_server, n=20)
    watched.feed.play("ALTER TABLE t RENAME COLUMN first TO given", "UPDATE t SET given = 'Zoe' WHERE id = 4")
    sentence = watched.frozen()
    assert "column first is called given now" in sentence
    assert watched.first_name(4) != "Zoe"
    watched.reload(map={**PATIENTS["map"], "first_name": "given"})
    watched.first_name(4, "Zoe")
    assert watched.drift(kind="column_renamed", state="evolved")["now"] == "given"


# -- retyped


def test_a_retyped_column_goes_by_its_contract(watch):
    watched = watch(n=20)
    watched.feed.play("ALTER TABLE t MODIFY extra varchar(30)", "UPDATE t SET extra = 'word' WHERE id = 1")
    event = watched.drift(kind="column_retyped", state="evolved")
    assert event["column"] == "extra" and event["was"] == "int" and event["now"].startswith("varchar(30)")
    jobs.until(lambda: any(row["extra"] == "word" for row in watched.feed.bronze()))
    watched.reload(on_retyped_column="discard")
    watched.feed.play("ALTER TABLE t MODIFY extra varchar(12)")
    event = watched.drift(kind="column_narrowed", state="discarded")
    watched.rename(2, "Zoe")
    watched.first_name(2, "Zoe")
    assert "extra" not in watched.feed.bronze()[-1]
    watched.reload(on_retyped_column="freeze")
    watched.feed.play("ALTER TABLE t MODIFY last text")
    assert "column last is text" in watched.frozen()
    watched.feed.play("ALTER TABLE t MODIFY last varchar(40)")
    assert watched.trigger()["state"] == "succeeded"


CURSORS = [("DATE", "DATETIME(6)"), ("DATETIME(6)", "DATE"), ("DATETIME(6)", "TIMESTAMP(6)"), ("TIMESTAMP", "DATETIME(3)"),
           ("DATETIME(6)", "VARCHAR(40)")]


@pytest.mark.parametrize("was, now", CURSORS, ids=[f"{was}-{now}" for was, now in CURSORS])
def test_a_cursor_of_another_type_loses_nothing(make_feed, source_server, was, now):
    """Rows that change right before, while and right after: each must arrive, by its own cursor alone."""
    feed = make_feed(source_server, PATIENTS)
    watched = Watched(feed)
    stamp = "NOW(6)" if was != "DATE" else "CURDATE()"
    feed.play(f"CREATE TABLE t (id int PRIMARY KEY, first varchar(40), last varchar(40), changed {was} NOT NULL, "
              "KEY (changed))",
              *(f"INSERT INTO t VALUES ({i}, 'Ann', 'Lee', {stamp} - INTERVAL {i} DAY)" for i in range(20)))
    feed.daemon.start()
    jobs.until(lambda: watched.count() == 20)
    jobs.until(lambda: watched.about()["cursor"]["phase"] == "follow")
    feed.play(f"UPDATE t SET first = 'Before', changed = {stamp} WHERE id = 1",
              f"ALTER TABLE t MODIFY changed {now} NOT NULL",
              f"UPDATE t SET first = 'After', changed = {'NOW(6)' if now != 'DATE' else 'CURDATE()'} WHERE id = 2")
    watched.drift(column="changed", state="evolved")
    watched.first_name(1, "Before")
    watched.first_name(2, "After")
    jobs.until(lambda: watched.about()["cursor"]["phase"] == "follow")
    feed.play(f"UPDATE t SET first = 'Later', changed = {'NOW(6)' if now != 'DATE' else 'CURDATE()'} WHERE id = 3")
    watched.first_name(3, "Later")
    assert watched.count() == 20
    # a position of another type means something else: it was found anew, and the table read from its beginning
    loads = [line["rows"] for line in feed.daemon.log_lines() if line.get("message") == "first load finished"]
    assert loads == [20, 20]


@pytest.mark.parametrize("change", ["ADD COLUMN note varchar(20)", "MODIFY changed datetime(3) NOT NULL"])
def test_a_table_that_changes_at_the_end_of_a_poll_is_seen_by_the_next(watch, change):
    """Quiet polls compare with what the table was; that must not be what it became while the last poll ran."""
    watched = watch()
    watched.daemon.stop()
    watched.daemon.start_until("extract.before_remember")
    watched.feed.play(f"ALTER TABLE t {change}")
    watched.daemon.go_on()
    jobs.until(watched.daemon.is_ready, what="it has read who may ask")
    watched.drift(state="evolved")


def test_another_cursor_of_the_configuration_starts_anew(watch):
    """Its positions are another column's: rows between the two would be passed over."""
    watched = watch(n=20)
    watched.feed.play("ALTER TABLE t ADD COLUMN seen datetime(6) NOT NULL DEFAULT '2001-01-01', ADD KEY (seen)")
    watched.drift(kind="column_added", state="evolved")
    jobs.until(lambda: not watched.about()["schema"]["full_due"])
    watched.feed.play("UPDATE t SET first = 'Zoe', changed = '2001-01-01' WHERE id = 4")
    watched.reload(cursor="seen")
    watched.first_name(4, "Zoe")
    assert watched.about()["cursor"]["column"] == "seen"


# -- the table, its key


def test_a_table_that_is_renamed_and_comes_back_loses_nothing(watch, source_server):
    watched = watch(source_server, n=20)
    watched.feed.play("RENAME TABLE t TO elsewhere", "UPDATE elsewhere SET first = 'Zoe' WHERE id = 6")
    assert "no table t" in watched.frozen()
    assert watched.drift(kind="table_missing", state="frozen")["sentence"].startswith("table t is not there")
    assert watched.count() == 20
    watched.feed.play("RENAME TABLE elsewhere TO t")
    assert watched.trigger()["state"] == "succeeded"
    watched.first_name(6, "Zoe")
    assert watched.drift(kind="table_missing", state="mended")
    assert len(watched.alerts()) == 1


def test_a_key_that_allows_doubles_stops_the_feed(watch):
    watched = watch(n=20)
    watched.feed.play("ALTER TABLE t DROP PRIMARY KEY, ADD UNIQUE (id, extra)")
    sentence = watched.frozen()
    assert "the primary key is (none), no longer (id)" in sentence and "allows doubles" in sentence
    watched.feed.play("ALTER TABLE t ADD UNIQUE one (id)")
    assert watched.trigger()["state"] == "succeeded"
    assert watched.drift(kind="key_changed", state="evolved")
    watched.rename(6, "Zoe")
    watched.first_name(6, "Zoe")


# -- between the description and a page


@pytest.mark.parametrize("statement, kind", [
    ("ALTER TABLE t DROP COLUMN extra", "column_dropped"),
    ("ALTER TABLE t MODIFY extra varchar(30)", "column_retyped"),
    ("ALTER TABLE t RENAME COLUMN extra TO other", "column_renamed"),
], ids=["dropped", "retyped", "renamed"])
def test_a_table_changed_in_the_middle_of_a_load_is_noticed_at_the_next_page(make_feed, source_server, statement, kind):
    feed = make_feed(source_server, {**PATIENTS, **EVOLVE, "page_rows": 1})
    watched = Watched(feed)
    n = 300
    feed.play(TABLE, "INSERT INTO t (id, first, last, extra) VALUES " + ", ".join(
        f"({i}, 'Ann', 'Lee', {i})" for i in range(n)))
    feed.daemon.start()
    jobs.until(lambda: watched.count() > 5)
    feed.play(statement)
    assert watched.count() < n, "the load was over before the table changed"
    assert watched.drift(kind=kind, state="evolved")["column"] == "extra"
    jobs.until(lambda: watched.count() == n, 60)
    jobs.until(lambda: not watched.about()["schema"]["full_due"], 60)
    retries = [line for line in feed.daemon.get("/metrics", token=None)[2].splitlines()
               if line.startswith('revcycle_run_retries_total{job="h.f",code="40001"}')]
    assert retries and float(retries[0].split()[-1]) >= 1
    # no row was read under a list it was not described by
    schemas = dict(feed.rows("SELECT schema_id, types[array_position(columns, 'extra')] FROM ops.feed_schema"))
    assert len(schemas) == 2 and "int" in schemas.values()
    with contextlib.closing(source_server.connect(feed.hospital)) as link, link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")
        assert cursor.fetchone()[0] == n
    # under another list of texts every row is another one; a name or a type alone changes no text
    again = feed.value('SELECT count(DISTINCT source_key) FROM bronze."h__f_raw" WHERE schema_id = %s', max(schemas))
    assert again == n if kind == "column_dropped" else again > 0
    assert feed.value('SELECT count(DISTINCT source_key) FROM bronze."h__f_raw"') == n
