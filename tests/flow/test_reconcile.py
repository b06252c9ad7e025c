"""What no cursor sees: rows deleted, changed and added behind it; found by buckets, looked at twice, mended."""
import contextlib
import os
import random
import re
import signal

import jsonschema
import pytest

from harness import dump, jobs, settings
from harness.world import dump_after

FEED = "hospital_a.transactions"
TABLE = "billing_transaction"
# Far behind every cursor: no poll reads what is stamped so.
OLD = "2001-01-01 00:00:00"


def ids(world, n, feed="transactions", entity="transaction", source="hospital_a"):
    """The first ids of a table that silver has."""
    return [row[0] for row in world.rows(
        f"SELECT source_{entity}_id FROM silver.{feed} WHERE source_system = %s AND NOT is_deleted "
        "AND source_hash IS NOT NULL ORDER BY 1 LIMIT %s", source, n)]


def report(world, feed=FEED):
    """The newest report of the feed: differences and details."""
    return world.rows("SELECT differences, details FROM ops.reconciliation WHERE subject = %s "
                      "ORDER BY reconciliation_id DESC LIMIT 1", feed)[0]


def found(world, feed=FEED):
    """{missing, differing, gone}"""
    details = report(world, feed)[1]
    return tuple(details[name] for name in ("missing", "differing", "gone"))


def play_quietly(world, statement, *parameters, place=0):
    """A change that moves no cursor."""
    return world.play(f"SET STATEMENT timestamp = 978307200 FOR {statement}", *parameters, place=place)


def reconcile(world, *arguments, expect=0):
    done = world.daemon.run("reconcile", *arguments, timeout=120)
    assert done.returncode == expect, done.stdout + done.stderr[-6000:]
    return done.stdout


def test_sides_that_are_equal_are_proven_equal(loaded):
    out = reconcile(loaded)
    lines = re.findall(r"^(\S+): no difference", out, re.MULTILINE)
    feeds = loaded.value("SELECT count(DISTINCT feed) FROM ops.cursor WHERE feed NOT LIKE 'claims.%%'")
    assert len(lines) == feeds + 1 and "bigquery" in lines
    assert loaded.value("SELECT count(*) FROM ops.reconciliation WHERE differences > 0") == 0


def test_each_kind_of_difference_is_found_and_mended(loaded):
    gone, changed, rewritten = ids(loaded, 3)
    kept = loaded.counts("transactions")["hospital_a"]
    assert loaded.play(f"DELETE FROM {TABLE} WHERE txn_id = %s", gone) == 1
    assert loaded.play(f"UPDATE {TABLE} SET paid_amount = 4711, updated_at = updated_at WHERE txn_id = %s", changed) == 1
    assert loaded.play(f"INSERT INTO {TABLE} SELECT * FROM {TABLE} AS t WHERE txn_id = %s "
                       f"ON DUPLICATE KEY UPDATE amount = 0.5, updated_at = '{OLD}'", rewritten) == 2
    loaded.play(f"CREATE TABLE twin AS SELECT * FROM {TABLE} WHERE txn_id = %s", changed)
    loaded.play(f"UPDATE twin SET txn_id = 'NEW-1', updated_at = '{OLD}'")
    loaded.play(f"INSERT INTO {TABLE} SELECT * FROM twin")
    loaded.play("DROP TABLE twin")

    out = reconcile(loaded, FEED, expect=1)
    assert found(loaded) == (1, 2, 1)
    keys = dict(loaded.rows("SELECT source_transaction_id, transaction_key FROM silver.transactions "
                            "WHERE source_system = 'hospital_a'"))
    assert f"gone: {keys[gone]}" in out
    assert {str(keys[changed]), str(keys[rewritten])} == set(re.search("differing: (.*)", out)[1].split())
    assert not any(number in out for number in (gone, changed, rewritten))
    assert loaded.counts("transactions")["hospital_a"] == kept

    reconcile(loaded, FEED, "--repair")
    assert found(loaded) == (1, 2, 1)
    assert loaded.rows("SELECT is_deleted FROM silver.transactions WHERE source_transaction_id = %s", gone) == [(True,)]
    assert loaded.value("SELECT paid_amount FROM silver.transactions WHERE source_system = 'hospital_a' AND "
                        "source_transaction_id = %s", changed) == 4711
    assert loaded.counts("transactions")["hospital_a"] == kept
    assert "no difference" in reconcile(loaded, FEED)


# -- which rows are here


def test_deletes_that_moved_no_cursor_and_rows_without_one(loaded):
    """A cascade, rows whose cursor is NULL, and a table without a cursor."""
    loaded.play("SET STATEMENT foreign_key_checks = 0 FOR "  # some name a patient that is not there
                "ALTER TABLE billing_transaction ADD CONSTRAINT of_patient FOREIGN KEY (pat_id) "
                "REFERENCES patient_master (pat_id) ON DELETE CASCADE")
    patient = loaded.value("SELECT source_patient_id FROM silver.transactions WHERE source_system = 'hospital_a' "
                           "GROUP BY 1 HAVING count(*) > 2 ORDER BY 1 LIMIT 1")
    facts = loaded.value("SELECT count(*) FROM silver.transactions WHERE source_system = 'hospital_a' "
                         "AND source_patient_id = %s", patient)
    visit = ids(loaded, 1, "encounters", "encounter", "hospital_b")[0]
    loaded.play("UPDATE tblPatient SET LastChange = NULL ORDER BY PatientNo LIMIT 2", place=1)
    loaded.once()
    no_clock = loaded.value("SELECT source_patient_id FROM silver.patients WHERE source_system = 'hospital_b' "
                            "AND source_modified_at IS NULL ORDER BY 1 LIMIT 1")
    loaded.play("DELETE FROM patient_master WHERE pat_id = %s", patient)
    loaded.play("DELETE FROM tblVisit WHERE VisitNo = %s", visit, place=1)
    loaded.play("DELETE FROM tblPatient WHERE PatientNo = %s", no_clock, place=1)
    loaded.once()
    assert found(loaded, "hospital_a.patients") == (0, 0, 1)
    assert found(loaded) == (0, 0, facts)
    assert found(loaded, "hospital_b.encounters") == (0, 0, 1)
    assert found(loaded, "hospital_b.patients") == (0, 0, 1)
    assert loaded.rows("SELECT is_deleted FROM silver.patients WHERE is_current AND (source_system, source_patient_id) "
                       "IN (('hospital_a', %s), ('hospital_b', %s))", patient, no_clock) == [(True,), (True,)]
    assert loaded.value("SELECT count(*) FROM silver.transactions WHERE source_patient_id = %s AND is_deleted",
                        patient) == facts


def test_a_row_that_was_deleted_and_came_back_is_one_row(loaded):
    number = ids(loaded, 1)[0]
    key = loaded.value("SELECT transaction_key FROM silver.transactions WHERE source_transaction_id = %s", number)
    loaded.play(f"CREATE TABLE kept AS SELECT * FROM {TABLE} WHERE txn_id = %s", number)
    loaded.play(f"DELETE FROM {TABLE} WHERE txn_id = %s", number)
    reconcile(loaded, FEED, "--repair")
    loaded.play(f"INSERT INTO {TABLE} SELECT * FROM kept")
    reconcile(loaded, FEED, "--repair")
    assert found(loaded) == (1, 0, 0)
    assert loaded.rows("SELECT transaction_key, is_deleted FROM silver.transactions WHERE source_transaction_id = %s",
                       number) == [(key, False)]


def wards(page_rows=3, key="[k]"):
    """Hospital A's departments come from its table `ward`."""
    def edit(text):
        for old, new in (("table: department\n        key: [dept_id]",
                          f"table: ward\n        on_missing_column: evolve\n        page_rows: {page_rows}\n        key: {key}"),
                         ("source_department_id: dept_id\n          name:", "source_department_id: k\n          name:")):
            assert old in text
            text = text.replace(old, new, 1)
        return text
    return edit


WARD = "hospital_a.departments"


def ward_names(world):
    """{id: name} of those that came from the table `ward`: their names are small letters."""
    return dict(world.rows("SELECT source_department_id, name FROM silver.departments WHERE source_system = "
                           "'hospital_a' AND NOT is_deleted AND name ~ '^[a-z ]+$'"))


def open_entries(world, feed=WARD):
    return [row[0] for row in world.rows("SELECT natural_key FROM dq.quarantine WHERE feed = %s AND state = 'open' "
                                         "ORDER BY 1", feed)]


def test_what_quarantine_holds_counts_as_here_until_the_source_lacks_it(loaded):
    """Rows without an id, rows without a key, and rows that another one's id keeps out."""
    loaded.play("CREATE TABLE ward (k varchar(8) COLLATE utf8mb4_nopad_bin NULL UNIQUE, dept_name varchar(60))")
    loaded.play("INSERT INTO ward VALUES (NULL, 'lost'), (NULL, 'lost'), (NULL, 'found'), ('N/A', 'nobody'), "
                "('q', 'one'), (' q', 'two'), ('r', 'three')")
    loaded.configure(wards())
    loaded.play("DELETE FROM department")
    loaded.once()
    assert ward_names(loaded) == {"q": "one", "r": "three"}
    assert open_entries(loaded) == ['" q"', None, None, None]
    assert found(loaded, WARD)[:2] == (0, 0)
    assert "no difference" in reconcile(loaded, WARD)

    loaded.play("DELETE FROM ward WHERE dept_name IN ('found', 'nobody') OR k = 'q'")
    reconcile(loaded, WARD, expect=1)
    assert found(loaded, WARD) == (0, 0, 2), "the poll has given the id of the row that went to ' q'"
    reconcile(loaded, WARD, "--repair")
    assert ward_names(loaded) == {"q": "two", "r": "three"}
    assert open_entries(loaded) == [None]
    assert "no difference" in reconcile(loaded, WARD)


def test_keys_of_several_columns_and_of_a_collation_that_ignores_case(loaded):
    loaded.play("CREATE TABLE ward (part int NOT NULL, k varchar(8) COLLATE utf8mb4_general_ci NOT NULL, "
                "dept_name varchar(60), PRIMARY KEY (part, k))")
    loaded.play("INSERT INTO ward VALUES (1, 'abc', 'one'), (1, 'Y', 'two'), (2, 'z', 'three'), (2, 'last', 'four')")
    loaded.configure(wards(2, "[part, k]"))
    loaded.once()
    assert set(ward_names(loaded)) == {"ABC", "Y", "Z", "LAST"}
    loaded.play("DELETE FROM ward WHERE k = 'Y'")
    loaded.play("UPDATE ward SET k = 'ABC' WHERE k = 'abc'")
    loaded.once()
    assert ward_names(loaded) == {"ABC": "one", "Z": "three", "LAST": "four"}
    assert found(loaded, WARD)[2] == 1


def test_a_row_that_repeats_anothers_id_is_no_difference(loaded):
    """The id is a part of the key: the last row read has it, and the others are not delivered in turn."""
    loaded.play("CREATE TABLE ward (part int NOT NULL, k varchar(8) NOT NULL, dept_name varchar(60), PRIMARY KEY (part, k))")
    loaded.play("INSERT INTO ward VALUES (1, 'a', 'one'), (2, 'a', 'two'), (3, 'a', 'three'), (1, 'b', 'other')")
    loaded.configure(wards(100, "[part, k]"))
    loaded.once()
    assert ward_names(loaded)["A"] == "three"
    batches = loaded.value("SELECT max(batch_id) FROM ops.batch")
    assert "no difference" in reconcile(loaded, WARD)
    loaded.once()
    assert loaded.value("SELECT max(batch_id) FROM ops.batch") == batches


SECOND = """      more:
        entity: departments
        table: annex
        key: [k]
        every: 5m
        map:
          source_department_id: k
          name: dept_name
      providers:
"""


def test_rows_of_another_feed_of_the_same_table_are_left_alone(loaded):
    loaded.play("CREATE TABLE annex (k varchar(8) PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO annex VALUES ('X1', 'one'), ('X2', 'two')")
    loaded.configure(lambda text: text.replace("      providers:\n", SECOND, 1))
    loaded.once()
    assert set(ward_names(loaded)) == {"X1", "X2"}
    loaded.play("DELETE FROM annex WHERE k = 'X1'")
    gone = loaded.value("SELECT source_department_id FROM silver.departments WHERE source_system = 'hospital_a' AND "
                        "source_hash IS NOT NULL AND name !~ '^[a-z ]+$' ORDER BY 1 LIMIT 1")
    loaded.play("DELETE FROM department WHERE dept_id = %s", gone)
    reconcile(loaded, "hospital_a.departments", "--repair")
    assert found(loaded, "hospital_a.departments") == (0, 0, 1)
    assert set(ward_names(loaded)) == {"X1", "X2"}
    reconcile(loaded, "hospital_a.more", "--repair")
    assert set(ward_names(loaded)) == {"X2"}
    assert "no difference" in reconcile(loaded, "hospital_a.departments")


def test_a_row_that_moved_to_another_feeds_table_is_that_feeds(loaded):
    loaded.play("CREATE TABLE annex (k varchar(8) PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO department VALUES ('X7', 'seven')")
    loaded.configure(lambda text: text.replace("      providers:\n", SECOND, 1))
    loaded.once()
    loaded.play("DELETE FROM department WHERE dept_id = 'X7'")
    loaded.play("INSERT INTO annex VALUES ('X7', 'seven moved')")
    loaded.once()
    assert ward_names(loaded)["X7"] == "seven moved"
    loaded.play("UPDATE annex SET dept_name = 'seven again'")
    reconcile(loaded, "hospital_a.departments", "--repair")
    assert "X7" in ward_names(loaded), "the first feed's table lacks it, and it is none of its rows any more"
    reconcile(loaded, "hospital_a.more", "--repair")
    assert ward_names(loaded)["X7"] == "seven again"


# -- the server's hash is ours


TYPES = {
    "tinyint": ("-128", "127"), "smallint unsigned": ("0", "65535"), "mediumint": ("-8388608", "8388607"),
    "int(8) zerofill": ("0", "42"), "bigint unsigned": ("0", "18446744073709551615"),
    "bigint": ("-9223372036854775808", "9223372036854775807"), "decimal(10,2)": ("0", "-0.01"),
    "decimal(65,30)": ("-1.5", "12345678901234567890123456789012345.123456789012345678901234567891"),
    "float": ("0.1", "123456.78"), "float(9,2)": ("0.1", "12345.67"), "double": ("0.1", "1.5e300"),
    "double(12,4)": ("2", "0.00005"), "bit(7)": ("b'0'", "b'1010101'"), "bool": ("true", "false"),
    "year": ("1901", "2155"), "date": ("'1000-01-01'", "'0000-00-00'"),
    "datetime": ("'1899-12-31 23:59:59'", "'2262-01-01 00:00:00'"),
    "datetime(6)": ("'2024-02-29 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"),
    "timestamp(3)": ("'1970-01-02 12:00:01'", "'2038-01-18 00:00:00.999'"),
    "time": ("'-838:59:59'", "'838:59:59'"), "time(6)": ("'00:00:00.000001'", "'12:00:00'"),
    "char(5)": ("' a '", "''"), "varchar(20)": ("''", "'7:x-'"),
    "varchar(20) CHARACTER SET latin1": ("'Gr\u00f6\u00dfe'", "'\u20ac'"),
    "varchar(20) CHARACTER SET utf8mb3": ("'\u00e9'", "'\u4e2d'"),
    "varchar(20) COLLATE utf8mb4_bin": ("'\U0001f600'", "'a\\0b'"), "text": ("'line\\nline'", "'\\\\'"),
    "longtext": ("repeat('x', 70000)", "''"), "binary(4)": ("x'00ff'", "x''"), "varbinary(9)": ("x'00'", "x'ff80'"),
    "blob": ("x'00'", "''"), "enum('small','Gr\u00f6\u00dfe')": ("'small'", "'Gr\u00f6\u00dfe'"),
    "set('a','b')": ("'a,b'", "''"), "json": ("'{\"a\": [1, null]}'", "'\"\"'"), "point": ("POINT(1, 2)", "POINT(-1, 0.5)"),
}
ONLY = {"MariaDB": {"uuid": ("uuid()", "uuid()"), "inet6": ("'::1'", "'fe80::1'")},
        "MySQL": {"vector(2)": ("STRING_TO_VECTOR('[1, -2]')", "STRING_TO_VECTOR('[0, 0]')")}}
ALONE = {"entity": "transactions", "key": ["k"], "map": {"source_transaction_id": "k"}}


def last_report(feed):
    """The newest report of a hospital of one table."""
    done = feed.daemon.run("reconcile", "h.f", timeout=1200)
    return done, feed.value("SELECT details FROM ops.reconciliation WHERE subject = 'h.f' ORDER BY reconciliation_id DESC LIMIT 1")


def test_the_server_computes_the_hash_that_we_compute(source_server, make_feed):
    """Over every type, at its limits and NULL: else its rows would be shipped at every reconcile."""
    feed = make_feed(source_server, ALONE)
    types = {**TYPES, **ONLY[source_server.name]}
    feed.play(f"CREATE TABLE t (k varchar(8) PRIMARY KEY, {', '.join(f'c{i} {kind} NULL' for i, kind in enumerate(types))})",
              *(f"INSERT INTO t VALUES ('k{row}', {', '.join('NULL' if row == 2 else pair[row] for pair in types.values())})"
                for row in range(3)))
    feed.once()
    done, details = last_report(feed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert details["rows_there"] == details["rows_here"] == 3
    assert details["buckets"] == details["rows_shipped"] == 0


def test_three_differences_ship_few_rows(loaded):
    """Two in a thousand of a million; of these rows, those that share six buckets of 4,096."""
    loaded.play("CREATE TABLE ward (k int PRIMARY KEY, dept_name varchar(60), stamp datetime DEFAULT '2001-01-01')")
    loaded.play("INSERT INTO ward (k, dept_name) SELECT seq, 'n' FROM seq_1_to_20000")
    loaded.configure(wards(2500, "[k]\n        cursor: stamp"))
    loaded.play("DELETE FROM department")
    loaded.once()  # what the old table held is gone: twelve rows
    loaded.play("UPDATE ward SET dept_name = 'o' WHERE k IN (1, 10000)")
    loaded.play("DELETE FROM ward WHERE k = 20000")
    reconcile(loaded, WARD, expect=1)
    details = report(loaded, WARD)[1]
    assert details["rows_there"] == 19999
    assert details["buckets"] == 5 and details["rows_shipped"] <= 20000 * 2 // 1000


@pytest.mark.nightly
def test_three_differences_in_a_million_ship_two_in_a_thousand_at_most(mariadb, make_feed, record_property):
    feed = make_feed(mariadb, {**ALONE, "cursor": "stamp", "reconcile": "0", "every": "1d", "map": {
        "source_transaction_id": "k", "amount": "paid"}})
    feed.play("CREATE TABLE t (k int PRIMARY KEY, paid int, stamp datetime DEFAULT '2001-01-01', KEY (stamp))",
              "INSERT INTO t (k, paid) SELECT seq, seq % 1000 FROM seq_1_to_1000000")
    assert feed.daemon.once(timeout=1200).returncode == 0
    feed.play("UPDATE t SET paid = 4711 WHERE k IN (1, 500000)", "DELETE FROM t WHERE k = 1000000")
    _, details = last_report(feed)
    assert (details["missing"], details["differing"], details["gone"]) == (0, 2, 1)
    assert (details["rows_there"], details["buckets"]) == (999999, 5)
    record_property("shown", f"reconcile of 1,000,000 rows, 3 differences: {details['rows_shipped']} rows shipped, "
                             f"{details['rows_shipped'] / 10000:.3f} %")
    assert details["rows_shipped"] <= 2000
    feed.play("DELETE FROM t WHERE k > 1000")  # an old restore: held at once, not when every row was looked for
    assert feed.daemon.once(timeout=60).returncode == 3


def test_a_large_table_without_a_cursor_is_polled_by_buckets(loaded):
    """Only what is new or other is read of it; what is gone waits for the reconcile."""
    loaded.play("CREATE TABLE ward (k int PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO ward SELECT seq, 'n' FROM seq_1_to_300")
    loaded.configure(lambda text: jobs.rarely(wards(50, "[k]\n        read_whole_rows: 200")(text)))
    loaded.once()
    loaded.play("UPDATE ward SET dept_name = 'other' WHERE k = 7")
    loaded.play("INSERT INTO ward VALUES (301, 'new')")
    loaded.play("DELETE FROM ward WHERE k = 8")
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    names = ward_names(loaded)
    assert (len(names), names["7"], names["301"], names["8"]) == (301, "other", "new", "n")
    assert loaded.rows("SELECT rows_read, rows_changed FROM ops.run WHERE job = %s ORDER BY run_id DESC LIMIT 1",
                       WARD) == [(2, 2)]
    assert jobs.run_job(loaded.daemon, WARD)["rows_read"] == 0
    jobs.run_job(loaded.daemon, WARD, mode="reconcile")
    assert found(loaded, WARD) == (0, 0, 1) and "8" not in ward_names(loaded)


# -- the delete guard


def strict(text):
    """Three rows are too many to be deleted without asking."""
    return jobs.rarely(text).replace("        every: ", "        delete_rows: 2\n        delete_share: 0\n        every: ")


def deleted(world, feed="transactions"):
    return {row[0] for row in world.rows(f"SELECT source_{feed[:-1]}_id FROM silver.{feed} WHERE is_deleted "
                                         "AND source_system = 'hospital_a'")}


@pytest.fixture
def held(loaded):
    """A daemon whose reconcile found three rows gone, and waits: the world, the run, their ids."""
    numbers = ids(loaded, 4)[1:]
    loaded.configure(strict)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    loaded.play(f"DELETE FROM {TABLE} WHERE txn_id IN %s", numbers)
    run = jobs.run_job(loaded.daemon, FEED, mode="reconcile")
    assert (run["state"], run["job"]) == ("held", f"reconcile.{FEED}")
    return loaded, run, set(numbers)


def test_more_than_the_guard_allows_is_held_and_approved(held):
    world, run, numbers = held
    assert "lacks 3 of 1200 rows" in run["error"]["detail"] and "approve" in run["error"]["hint"]
    assert deleted(world) == set()
    metrics = world.daemon.get("/metrics", token=None)[2]
    assert "revcycle_runs_held 1" in metrics
    assert f'revcycle_reconcile_differences{{feed="{FEED}"}} 3' in metrics
    assert [line for line in world.daemon.log_lines() if line.get("message") == "run held until a person decides"]
    job = world.daemon.get(f"/v1/jobs/reconcile.{FEED}")[2]
    assert job["state"] == "held" and job["next_due_at"] is None and job["feed"] == FEED

    number = numbers.pop()  # comes back before anybody decided
    world.play(f"INSERT INTO {TABLE} SELECT * FROM {world.base.hospitals[0]}.{TABLE} WHERE txn_id = %s", number)
    other = ids(world, 1)[0]
    world.play(f"DELETE FROM {TABLE} WHERE txn_id = %s", other)
    assert world.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 202
    ended = jobs.await_run(world.daemon, run["id"])
    while ended["state"] == "held":  # asked before it began
        ended = jobs.await_run(world.daemon, run["id"])
    assert ended["state"] == "succeeded", ended
    assert deleted(world) == numbers, "what was found, looked at again, and nothing else"
    assert world.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 409
    assert world.value("SELECT count(*) FROM ops.gone") == 0
    jobs.run_job(world.daemon, FEED, mode="reconcile")
    assert deleted(world) == numbers | {other}


def test_a_held_run_that_is_refused_deletes_nothing(held):
    world, run, _ = held
    assert world.daemon.post(f"/v1/runs/{run['id']}/cancel")[0] == 202
    assert world.daemon.get(f"/v1/runs/{run['id']}")[2]["state"] == "canceled"
    jobs.until(lambda: world.value("SELECT state FROM ops.run WHERE run_id = %s", run["id"]) == "canceled"
               and world.value("SELECT count(*) FROM ops.gone") == 0)
    assert deleted(world) == set()
    assert world.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 409
    assert "revcycle_runs_held 0" in world.daemon.get("/metrics", token=None)[2]


def test_a_held_run_waits_over_restart_and_reload(held):
    world, run, numbers = held
    world.daemon.kill()
    world.daemon.start()
    again = world.daemon.get(f"/v1/runs/{run['id']}")[2]
    assert again["state"] == "held" and again["error"]["detail"] == run["error"]["detail"]
    assert "revcycle_runs_held 1" in world.daemon.get("/metrics", token=None)[2]
    world.daemon.hang_up()
    jobs.until(lambda: [line for line in world.daemon.log_lines() if line.get("message") == "configuration reloaded"])
    assert world.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 202
    jobs.until(lambda: world.daemon.get(f"/v1/runs/{run['id']}")[2]["state"] == "succeeded")
    assert deleted(world) == numbers


def test_another_reconcile_takes_the_place_of_a_held_one(held):
    world, run, numbers = held
    dry = jobs.run_job(world.daemon, FEED, mode="reconcile", dry_run=True)
    assert dry["state"] == "succeeded" and world.value("SELECT count(*) FROM ops.gone") == 3
    next_run = jobs.run_job(world.daemon, f"reconcile.{FEED}")
    assert next_run["state"] == "held"
    assert world.daemon.get(f"/v1/runs/{run['id']}")[2]["state"] == "canceled"
    assert world.rows("SELECT DISTINCT run_id FROM ops.gone") == [(int(next_run["id"]),)]
    world.daemon.stop()
    done = world.once(expect=3)
    assert "lacks 3 of 1200 rows" in done.stdout
    assert deleted(world) == set()
    assert world.value("SELECT count(*) FROM ops.run WHERE state = 'held'") == 1


@pytest.mark.parametrize("what", ["empty", "another server"])
def test_a_source_that_answers_from_elsewhere_deletes_nothing(loaded, what):
    """Neither an empty table nor another server's lack is taken for deletes, however few there are."""
    before = loaded.counts("departments")["hospital_a"]
    lost = ids(loaded, 1, "departments", "department")
    if what == "empty":
        loaded.play("DELETE FROM department")
    else:
        loaded.play("DELETE FROM department WHERE dept_id = %s", lost[0])
        with contextlib.closing(loaded.store.connect(loaded.database)) as link, link.cursor() as cursor:
            cursor.execute("UPDATE ops.source_server SET server = 'elsewhere' WHERE feed = %s", (WARD,))
            link.commit()
    done = loaded.once(expect=3)
    sentence = "the source's table department is empty" if what == "empty" else "another server answers"
    assert sentence in done.stdout and "hint: look at the source" in done.stdout
    assert loaded.counts("departments")["hospital_a"] == before


# -- asked over HTTP


def test_a_dry_run_says_what_differs_and_mends_nothing(loaded):
    gone = ids(loaded, 1)[0]
    loaded.configure(jobs.rarely)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    loaded.play(f"DELETE FROM {TABLE} WHERE txn_id = %s", gone)
    run = jobs.run_job(loaded.daemon, FEED, mode="reconcile", dry_run=True)
    assert (run["state"], run["mode"], run["rows_changed"]) == ("succeeded", "reconcile", 0)
    item = loaded.daemon.get("/v1/reconciliations?limit=1")[2]["items"][0]
    document = loaded.daemon.get("/openapi.json", token=None)[2]
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/Reconciliation",
                                     "components": document["components"]}).validate(item)
    assert (item["subject"], item["run"], item["differences"]) == (FEED, run["id"], 1)
    assert item["rows"]["gone"] == 1 and item["rows"]["repaired"] is False
    assert item["rows"]["keys"]["gone"] == [str(loaded.value(
        "SELECT transaction_key FROM silver.transactions WHERE source_transaction_id = %s", gone))]
    assert deleted(loaded) == set() and loaded.value("SELECT count(*) FROM ops.gone") == 0
    assert loaded.daemon.post("/v1/jobs/settle/runs", {"mode": "reconcile"})[0] == 422
    assert jobs.run_job(loaded.daemon, FEED, mode="reconcile")["rows_changed"] == 1
    assert deleted(loaded) == {gone}


# -- killed anywhere, and random differences


def failpoints():
    """Those on the way of a repair that found something."""
    with open(os.path.join(settings.ROOT, "daemon", "steps", "reconcile.c"), encoding="utf-8") as file:
        return sorted(set(re.findall(r'FAILPOINT\("([a-z_.]+)"\)', file.read())))


def disturb(world):
    """At one instant, so that two worlds do the same."""
    numbers = ids(world, 40)
    world.play(f"DELETE FROM {TABLE} WHERE txn_id IN %s", numbers[::4])
    world.play(f"UPDATE {TABLE} SET amount = 17, updated_at = %s WHERE txn_id IN %s", OLD, numbers[1::4])
    world.play("DELETE FROM patient_master ORDER BY pat_id LIMIT 2")


@pytest.fixture(scope="module")
def mended_dump(binary, loaded_base, tmp_path_factory):
    """The end of an undisturbed run after that."""
    return dump_after(loaded_base, "mendedref", tmp_path_factory.mktemp("mended"), binary, disturb)


@pytest.mark.parametrize("name", [*failpoints(), "page.before_commit:2", "page.after_commit:2"])
def test_killed_during_a_repair_the_end_is_equal(loaded, mended_dump, name):
    disturb(loaded)
    done = loaded.daemon.once(REVCYCLED_FAILPOINT=name)
    assert done.returncode == -signal.SIGKILL, f"{name} was never passed\n{done.stderr[-2000:]}"
    loaded.once()
    dump.assert_equal(mended_dump, loaded.dump())


def random_changes(world, chance, rows):
    """Some rows of the table `ward` go, change and come, behind every cursor; `rows` is what it holds then."""
    for key in list(rows):
        act = chance.random()
        if act < 0.05:
            world.play("DELETE FROM ward WHERE k = %s", key)
            del rows[key]
        elif act < 0.1:
            rows[key] = chance.choice("abcdefgh") * chance.randint(1, 9)
            world.play("UPDATE ward SET dept_name = %s WHERE k = %s", rows[key], key)
    for number in range(chance.randint(0, 9)):
        key = f"n{chance.randint(0, 10 ** 6)}"
        if key not in rows:
            rows[key] = "new"
            world.play("INSERT INTO ward VALUES (%s, 'new', '2001-01-01')", key)
    return rows


def rounds(world, seed, n):
    """After each: what is here before and there now, compared as sets, are the differences that are told."""
    chance = random.Random(seed)
    rows = {f"r{i}": "old" for i in range(200)}
    world.play("CREATE TABLE ward (k varchar(12) COLLATE utf8mb4_bin PRIMARY KEY, dept_name varchar(60), "
               "stamp datetime NOT NULL)")
    world.play("INSERT INTO ward VALUES " + ", ".join(f"('{key}', '{name}', '2001-01-01')" for key, name in rows.items()))
    world.configure(wards(50, "[k]\n        cursor: stamp"))
    world.play("DELETE FROM department")
    world.once()
    for _ in range(n):
        before = dict(rows)
        after = random_changes(world, chance, rows)
        expected = (len(after.keys() - before.keys()),
                    sum(before[key] != after[key] for key in before.keys() & after.keys()),
                    len(before.keys() - after.keys()))
        reconcile(world, WARD, expect=1 if any(expected) else 0)
        assert found(world, WARD) == expected, f"seed {seed}"
        reconcile(world, WARD, "--repair")
        assert ward_names(world) == after, f"seed {seed}"


@pytest.mark.parametrize("seed", [1])
def test_random_differences_are_those_of_two_sets(loaded, seed):
    rounds(loaded, seed, 3)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 30))
def test_many_random_differences_are_those_of_two_sets(loaded, seed):
    rounds(loaded, seed, 10)
