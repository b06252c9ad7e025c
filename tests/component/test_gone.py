"""Rows that are no longer at the source: marked, remembered, and back again (rules, section 7)."""
import contextlib

import pytest

from harness.placer import START, Killed, Placer
from harness.postgres import ask

DAY = 86400 * 1_000_000
PATIENT = ("source_patient_id", "first_name", "last_name", "ssn", "phone", "source_modified_at")
TRANSACTION = ("source_transaction_id", "source_patient_id", "source_encounter_id", "source_department_id",
               "service_date", "amount", "paid_amount")
CLOSED, OPEN = False, True


class World(Placer):
    def __init__(self, build, postgres, database):
        super().__init__(build, postgres, database)
        self.link = postgres.connect(database)
        self.link.autocommit = True
        self.feed("a.patients", "a", "patients", PATIENT)
        self.feed("a.departments", "a", "departments", ("source_department_id", "name"))
        self.feed("a.encounters", "a", "encounters", ("source_encounter_id", "source_patient_id", "encounter_date"))
        self.feed("a.transactions", "a", "transactions", TRANSACTION)

    def rows(self, statement, *values):
        return ask(self.link, statement, *values)

    def versions(self, number):
        return self.rows("SELECT version, phone, is_current, is_deleted, (extract(epoch FROM effective_date) * 1000000)"
                         "::bigint, 'time_inferred' = ANY (dq_flags) FROM silver.patients "
                         "WHERE source_patient_id = %s ORDER BY version", number)

    def bronze(self, feed):
        return self.rows(f'SELECT op, source_key FROM bronze."{feed}_raw" ORDER BY batch_id, source_key')


@pytest.fixture
def world(build, postgres, schema_database):
    made = World(build, postgres, schema_database)
    with contextlib.closing(made.link):
        yield made
        made.stop()


def patient(number, phone="+12125550100", modified="2024-01-01 00:00:00"):
    return (number, "Ann", "Lee", "123456789", phone, modified)


def transaction(number, amount="10.00", service="2024-01-05", encounter=None, department=None):
    return (number, "P1", encounter, department, service, amount, "10.00")


def test_a_fact_that_is_gone_stays_marked_and_its_past_says_what_it_was(world):
    world.page("a.transactions", [transaction("T1"), transaction("T2", "20.00")])
    assert world.gone("a.transactions", ["T1", "T9"])["deleted"] == 1
    assert world.rows("SELECT source_transaction_id, is_deleted FROM silver.transactions ORDER BY 1") == [
        ("T1", True), ("T2", False)]
    past = world.rows("SELECT source_transaction_id, is_deleted, amount, batch_from, batch_to "
                      "FROM silver.transactions_past")
    batches = [row[0] for row in world.rows("SELECT batch_id FROM ops.batch ORDER BY batch_id")]
    assert [(number, deleted, str(amount), *span) for number, deleted, amount, *span in past] == [
        ("T1", False, "10.00", *batches)]
    assert world.rows("SELECT source_transaction_id FROM gold.fact_transactions") == [("T2",)]
    assert world.bronze("a__transactions") == [("insert", "T1"), ("insert", "T2"), ("delete", "T1")]
    assert world.rows("SELECT batch_id FROM silver.transactions WHERE source_transaction_id = 'T1'") == [
        (batches[1],)]


def test_what_is_gone_already_or_never_came_writes_nothing(world):
    world.page("a.transactions", [transaction("T1", department="D1")])
    world.settle()  # D1 and P1 are inferred: the hospital never had them
    world.gone("a.transactions", ["T1"])
    batches = world.rows("SELECT max(batch_id), (SELECT page FROM ops.cursor WHERE feed = 'a.transactions') FROM ops.batch")
    assert world.gone("a.transactions", ["T1", "T8"])["deleted"] == 0
    assert world.gone("a.departments", ["D1", "D8"])["deleted"] == 0
    assert world.gone("a.patients", ["P1"])["deleted"] == 0
    assert world.rows("SELECT max(batch_id), (SELECT page FROM ops.cursor WHERE feed = 'a.transactions') "
                      "FROM ops.batch") == batches


def test_a_fact_that_comes_back_with_the_same_content_is_there_again(world):
    world.page("a.transactions", [transaction("T1")])
    world.gone("a.transactions", ["T1"])
    assert world.page("a.transactions", [transaction("T1")])["changed"] == 1
    assert world.rows("SELECT is_deleted, amount::text FROM silver.transactions") == [(False, "10.00")]
    assert world.rows("SELECT is_deleted FROM silver.transactions_past ORDER BY batch_to") == [(False,), (True,)]
    assert world.page("a.transactions", [transaction("T1")])["same"] == 1


def test_a_plain_member_that_is_gone_stays_in_gold_marked(world):
    world.page("a.departments", [("D1", "Cardiology")])
    assert world.gone("a.departments", ["D1"])["deleted"] == 1
    assert world.rows("SELECT name, is_deleted FROM gold.dim_departments WHERE source_system = 'a'") == [
        ("Cardiology", True)]
    assert world.rows("SELECT name, is_deleted FROM silver.departments_past") == [("Cardiology", False)]


def test_a_member_with_versions_gets_a_tombstone_and_returns_as_the_next(world):
    later = START + 10 * DAY
    world.page("a.patients", [patient("P1")], received=START + DAY)
    assert world.gone("a.patients", ["P1"], received=later)["deleted"] == 1
    assert world.versions("P1") == [(1, "+12125550100", CLOSED, False, START, False),
                                    (2, "+12125550100", OPEN, True, later, True)]
    assert world.gone("a.patients", ["P1"], received=later + DAY)["deleted"] == 0
    assert world.page("a.patients", [patient("P1")], received=later + 2 * DAY)["changed"] == 1
    assert world.versions("P1")[1:] == [(2, "+12125550100", CLOSED, True, later, True),
                                        (3, "+12125550100", OPEN, False, later + 2 * DAY, True)]
    spans = world.rows("SELECT effective_date, expiry_date FROM silver.patients ORDER BY version")
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


def test_a_tombstone_never_begins_before_the_version_it_ends(world):
    world.page("a.patients", [patient("P1", modified="2024-01-01 12:00:00")], received=START + DAY)
    world.gone("a.patients", ["P1"], received=START)  # our clock was set back
    assert [row[4] for row in world.versions("P1")] == [START + DAY // 2, START + DAY // 2 + 1]


def test_what_quarantine_holds_of_a_row_that_is_gone_is_superseded(world):
    world.page("a.transactions", [transaction("T1"), transaction("T2")])
    world.page("a.transactions", [transaction("T1", "no amount"), transaction("T3", "no amount")])
    assert world.gone("a.transactions", ["T1", "T3"])["deleted"] == 2
    assert world.rows("SELECT natural_key, state FROM dq.quarantine ORDER BY 1") == [
        ("T1", "superseded"), ("T3", "superseded")]
    assert world.rows("SELECT source_transaction_id, is_deleted FROM silver.transactions ORDER BY 1") == [
        ("T1", True), ("T2", False)]
    # held again, T1 is no more alive for it, and may go once more
    assert world.page("a.transactions", [transaction("T1", "no amount")])["quarantined"] == 1
    assert world.gone("a.transactions", ["T1"])["deleted"] == 1
    assert world.rows("SELECT count(*) FROM dq.quarantine WHERE state = 'open'") == [(0,)]
    assert world.rows("SELECT count(*) FROM silver.transactions_past") == [(1,)]


def test_settle_does_not_count_what_is_gone(world):
    world.page("a.patients", [patient("P1")])
    world.page("a.encounters", [("E1", "P1", "2024-01-05")])
    world.page("a.transactions", [transaction("T1", encounter="E1"), transaction("T2", encounter="E1")])
    world.settle()
    flags = "SELECT source_transaction_id, dq_flags FROM silver.transactions ORDER BY 1"
    assert world.rows(flags) == [("T1", ["possible_duplicate"]), ("T2", ["possible_duplicate"])]
    world.gone("a.transactions", ["T2"])
    world.settle()
    assert world.rows(flags) == [("T1", []), ("T2", [])]
    world.gone("a.encounters", ["E1"])
    world.gone("a.patients", ["P1"], received=START + 100 * DAY)
    world.settle()
    assert world.rows(flags)[0] == ("T1", ["orphan_encounter"])  # a deleted member is no orphan's cause
    assert world.rows("SELECT p.version FROM silver.transactions t JOIN silver.patients p USING (patient_key) "
                      "WHERE source_transaction_id = 'T1'") == [(1,)]
    world.page("a.encounters", [("E1", "P1", "2024-01-05")])
    world.settle()
    assert world.rows(flags)[0] == ("T1", [])


def test_a_deletion_is_one_page_in_the_ledgers(world):
    world.page("a.transactions", [transaction("T1"), transaction("T2")])
    world.gone("a.transactions", ["T1", "T2", "T2", "T5"])
    assert world.rows("SELECT rows_read, rows_changed, rows_new FROM ops.batch ORDER BY batch_id DESC LIMIT 1") == [
        (4, 2, 0)]
    line = world.rows("SELECT object, details->>'deleted' FROM ops.audit ORDER BY at DESC, 1 LIMIT 1")
    assert line == [("a.transactions", "2")]


def test_a_page_that_was_read_before_others_deletes_nothing(world):
    world.page("a.transactions", [transaction("T1")])
    world.rows("UPDATE ops.cursor SET page = page + 1 WHERE feed = 'a.transactions'")
    with pytest.raises(Exception, match="40001"):
        world.gone("a.transactions", ["T1"])
    assert world.rows("SELECT is_deleted FROM silver.transactions") == [(False,)]


@pytest.mark.parametrize("place", ["page.after_lock", "page.after_members", "page.after_bronze", "page.after_silver",
                                   "page.before_commit", "page.after_commit"])
def test_killed_while_rows_are_deleted_the_end_is_equal(world, place):
    world.page("a.patients", [patient("P1"), patient("P2")], received=START + DAY)
    world.page("a.departments", [("D1", "Cardiology")])
    for feed, ids in (("a.patients", ["P1"]), ("a.departments", ["D1"])):
        world.start(REVCYCLED_FAILPOINT=place)
        with pytest.raises(Killed):
            world.gone(feed, ids, received=START + 5 * DAY)
        world.start()
        world.gone(feed, ids, received=START + 5 * DAY)
    assert world.versions("P1") == [(1, "+12125550100", CLOSED, False, START, False),
                                    (2, "+12125550100", OPEN, True, START + 5 * DAY, True)]
    assert world.bronze("a__patients") == [("insert", "P1"), ("insert", "P2"), ("delete", "P1")]
    assert world.rows("SELECT is_deleted FROM silver.departments") == [(True,)]
    assert world.rows("SELECT count(*) FROM silver.departments_past") == [(1,)]
