"""Versions of patients, case by case: what the oracle's random histories do not say in so many words."""
import contextlib
import uuid

import pytest

from harness.placer import START, Killed, Placer
from harness.postgres import ask

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
COLUMNS = ("source_patient_id", "first_name", "last_name", "ssn", "phone", "email", "source_modified_at")
ANN, BEA = "+12125550100", "+12125550101"


class World(Placer):
    def __init__(self, build, postgres, database):
        super().__init__(build, postgres, database)
        self.link = postgres.connect(database)
        self.link.autocommit = True
        self.feed("a.patients", "a", "patients", COLUMNS)
        self.feed("a.past", "a", "patients", COLUMNS, "past")

    def rows(self, statement, *values):
        return ask(self.link, statement, *values)

    def now(self, *rows, received=START + 100 * DAY, source_now=None, feed="a.patients"):
        return self.page(feed, rows, received, source_now)

    def past(self, *rows):
        return self.page("a.past", rows)

    def versions(self, columns="phone"):
        """[(start in hours, …, current)]"""
        return self.rows(f"SELECT ((extract(epoch FROM effective_date) * 1000000 - {START}) / {HOUR})::float, {columns} "
                         "FROM silver.patients ORDER BY source_patient_id, version")

    def attributes(self):
        return self.rows("SELECT attribute, versions, corrected FROM ops.batch_attribute JOIN ops.batch USING (batch_id) "
                         "WHERE batch_id = (SELECT max(batch_id) FROM ops.batch) ORDER BY 1")


@pytest.fixture
def world(build, postgres, schema_database):
    made = World(build, postgres, schema_database)
    with contextlib.closing(made.link):
        yield made
        made.stop()


def patient(phone=ANN, hours=0.0, name="Ann", ssn="123456789", email=None, number="P1", modified=None):
    day, hour = divmod(hours, 24)
    at = modified or f"2024-01-{int(day) + 1:02} {int(hour):02}:{int(hour % 1 * 60):02}:00"
    return number, name, "Lee", ssn, phone, email, None if at == "NULL" else at


def test_the_same_key_twice_in_a_page_the_newest_counts(world):
    done = world.now(patient(BEA, 5), patient(ANN, 2))
    assert (done["new"], done["same"]) == (1, 1)
    assert world.versions() == [(5.0, BEA)]
    world.now(patient(ANN, 9), patient(BEA, 9))  # changed and changed back within one poll
    assert world.versions() == [(5.0, BEA)]
    world.now(patient(ANN, 2, number="P2"), patient(BEA, 5, number="P2"))
    assert world.versions() == [(5.0, BEA)] * 2


def test_a_modification_time_that_is_no_help_is_inferred(world):
    world.now(patient(ANN, 0))
    world.now(patient(BEA, modified="NULL"), received=START + 30 * HOUR)
    world.now(patient(ANN, modified="2024-01-02 17:00:00"), received=START + 40 * HOUR)  # in an hour
    world.now(patient(BEA, 3), received=START + 35 * HOUR)                        # restored, and our clock went back
    assert world.versions("phone, 'time_inferred' = ANY (dq_flags)") == [
        (0.0, ANN, False), (30.0, BEA, True), (40.0, ANN, True), (pytest.approx(40.0), BEA, True)]
    assert world.rows("SELECT extract(epoch FROM max(effective_date) - max(expiry_date) FILTER (WHERE NOT is_current)), "
                      "count(*) FILTER (WHERE is_current) FROM silver.patients") == [(0, 1)]
    assert world.rows("SELECT effective_date - lag FROM (SELECT effective_date, version, lag(effective_date) OVER "
                      "(ORDER BY version) FROM silver.patients) AS v WHERE version = 4")[0][0].microseconds == 1


def test_only_the_time_moved_makes_no_version_and_only_the_source_hash_follows(world):
    world.now(patient(ANN, 0))
    before = world.rows("SELECT batch_id, source_modified_at, record_hash FROM silver.patients")
    hashed = world.rows("SELECT source_hash FROM silver.patients")
    assert world.now(patient(ANN, 7))["same"] == 1
    assert world.rows("SELECT batch_id, source_modified_at, record_hash FROM silver.patients") == before
    assert world.rows("SELECT source_hash FROM silver.patients") != hashed


def test_a_key_that_is_used_again_is_the_next_version_of_the_same_key(world):
    world.now(patient(ANN, 0))
    world.gone("a.patients", ["P1"], START + 5 * HOUR)
    world.now(patient(BEA, 9, name="Bob", ssn="987654321"))
    assert world.versions("first_name, is_deleted, ssn") == [
        (0.0, "Ann", False, "987654321"), (5.0, "Ann", True, "987654321"), (9.0, "Bob", False, "987654321")]


def test_overwritten_attributes_are_corrected_in_every_version_and_counted(world):
    world.now(patient(ANN, 0), patient(ANN, 0, number="P2"))
    world.now(patient(BEA, 5))
    assert world.attributes() == [("phone", 1, 0)]
    world.now(patient(BEA, 6, ssn="111223333"))
    assert world.versions("phone, ssn") == [(0.0, ANN, "111223333"), (5.0, BEA, "111223333"), (0.0, ANN, "123456789")]
    assert world.attributes() == [("ssn", 0, 1)]
    world.now(patient(ANN, 8, name="Zoe", ssn="222334444"), patient(ANN, 0, number="P3"))
    assert world.attributes() == [("first_name", 1, 0), ("phone", 1, 0), ("ssn", 0, 1)]
    assert world.rows("SELECT rows_new, rows_changed FROM ops.batch ORDER BY batch_id DESC LIMIT 1") == [(1, 2)]


def test_what_makes_history_is_configured_by_attribute(world):
    world.feed("a.patients", "a", "patients", [*COLUMNS[:4], "phone:overwrite", "email:ignore", COLUMNS[6]])
    world.now(patient(ANN, 0, email="a@example.org"))
    assert world.now(patient(ANN, 3, email="b@example.org"))["same"] == 1
    world.now(patient(BEA, 5, email="c@example.org"))
    world.now(patient(BEA, 7, email="d@example.org", name="Zoe"))
    assert world.versions("first_name, phone, email") == [
        (0.0, "Ann", BEA, "a@example.org"), (7.0, "Zoe", BEA, "d@example.org")]


def test_the_past_goes_between_the_versions_and_renumbers_them(world):
    world.now(patient(ANN, 0))
    world.now(patient(BEA, 48))
    keys = world.rows("SELECT patient_key FROM silver.patients ORDER BY version")
    world.past(patient(BEA, 24), patient("+12125550199", 12), patient(ANN, 36, modified="2023-12-31 00:00:00"))
    assert world.versions("phone, version, is_current") == [
        (-24.0, ANN, 1, False), (12.0, "+12125550199", 2, False), (24.0, BEA, 3, True)]
    assert world.rows("SELECT patient_key FROM silver.patients WHERE version <> 2 ORDER BY version") == keys
    assert world.past(patient(BEA, 24), patient("+12125550199", 12))["same"] == 2
    assert world.now(patient(BEA, 48))["same"] == 1


def test_an_instant_that_is_there_is_corrected_and_versions_that_become_equal_are_one(world):
    world.now(patient(ANN, 0))
    world.now(patient(BEA, 10))
    world.now(patient(ANN, 20))
    gone = world.rows("SELECT patient_key FROM silver.patients WHERE version > 1 ORDER BY version")
    assert world.past(patient(ANN, 10))["changed"] == 1
    assert world.versions("phone, version") == [(0.0, ANN, 1)]
    assert world.rows("SELECT key FROM ops.moved WHERE table_name = 'patients' ORDER BY key") == sorted(gone)
    world.past(patient(BEA, 5))  # and what was seen at 10 and 20 is not forgotten
    assert world.versions() == [(0.0, ANN), (5.0, BEA), (10.0, ANN)]


def test_what_is_told_of_the_past_does_not_contradict_what_is_shown_now(world):
    world.now(patient(ANN, 0))
    world.now(patient(ANN, 30))  # seen once more
    world.past(patient(BEA, 20, ssn="111223333"))
    assert world.versions("phone, ssn") == [(0.0, ANN, "123456789"), (20.0, BEA, "123456789"), (30.0, ANN, "123456789")]


def test_a_row_of_the_past_without_a_usable_time_is_held(world):
    world.now(patient(ANN, 0))
    rows = [patient(BEA, modified="NULL"), patient(BEA, modified="2034-01-01 00:00:00")]
    assert world.past(*rows)["quarantined"] == 2
    assert world.rows("SELECT rule, state FROM dq.quarantine") == [("time_missing", "open")] * 2
    assert world.past(*rows)["same"] == 2
    assert world.versions() == [(0.0, ANN)]


def test_what_a_row_of_the_past_does_not_tell_stays_as_it_was(world):
    world.feed("a.past", "a", "patients", ("source_patient_id", "phone", "source_modified_at"), "past")
    world.now(patient(ANN, 10, email="a@example.org"))
    world.page("a.past", [("P1", BEA, "2024-01-01 20:00:00"), ("P1", BEA, "2024-01-01 05:00:00")])
    assert world.versions("first_name, phone, email, ssn") == [
        (5.0, "Ann", BEA, "a@example.org", "123456789"), (10.0, "Ann", ANN, "a@example.org", "123456789"),
        (20.0, "Ann", BEA, "a@example.org", "123456789")]


def test_the_past_fills_an_inferred_member_under_its_key(world):
    world.feed("a.encounters", "a", "encounters", ("source_encounter_id", "source_patient_id", "encounter_date"))
    world.page("a.encounters", [("E1", "P1", "2024-01-02")])
    world.settle()
    key = world.rows("SELECT patient_key FROM silver.patients WHERE is_inferred")
    world.past(patient(ANN, 10))
    assert world.rows("SELECT patient_key FROM silver.patients WHERE NOT is_inferred") == key
    world.past(patient(BEA, 2))
    world.settle()
    assert world.versions("phone, patient_key = (SELECT patient_key FROM silver.encounters)") == [
        (2.0, BEA, False), (10.0, ANN, True)]


def test_a_live_row_fills_an_inferred_member_under_its_key(world):
    world.feed("a.encounters", "a", "encounters", ("source_encounter_id", "source_patient_id", "encounter_date"))
    world.page("a.encounters", [("E1", "P1", "2024-01-02")])
    world.settle()
    key = world.rows("SELECT patient_key FROM silver.patients WHERE is_inferred")
    world.now(patient(ANN, 10))
    world.settle()
    assert world.rows("SELECT patient_key FROM silver.patients WHERE source_system = 'a'") == key
    assert world.versions("phone, version, is_inferred, patient_key = (SELECT patient_key FROM silver.encounters)") == [
        (10.0, ANN, 1, False, True)]


def test_a_tombstone_says_what_the_member_was_when_it_went(world):
    world.now(patient(ANN, 0))
    world.now(patient(BEA, 5))
    world.gone("a.patients", ["P1"], START + 9 * HOUR)
    assert world.versions("phone, is_deleted") == [(0.0, ANN, False), (5.0, BEA, False), (9.0, BEA, True)]


def test_what_comes_before_the_first_version_moves_its_number(world):
    world.now(patient(BEA, 48))
    world.past(patient(ANN, 12))
    assert world.versions("phone, version, is_current") == [(12.0, ANN, 1, False), (48.0, BEA, 2, True)]


def test_every_version_of_a_patient_bears_one_id_from_the_first_row_on(world):
    """However he came: told of by the past alone, shown by a live table, named by a fact; settle keeps the id."""
    world.feed("a.encounters", "a", "encounters", ("source_encounter_id", "source_patient_id", "encounter_date"))
    world.page("a.encounters", [("E1", "inferred", "2024-01-02")])
    world.settle()
    world.past(patient(ANN, 10, number="past", ssn=None), patient(BEA, 20, number="past", ssn=None))
    world.now(patient(ANN, 10, number="live", ssn=None, name="Bob"), patient(ANN, 10, number="inferred", ssn=None, name="Eve"))
    borne = dict(world.rows("SELECT source_patient_id, person_id FROM silver.patients WHERE is_current AND source_system = 'a'"))
    assert len(set(borne.values())) == 3 and all(uuid.UUID(borne[number]).version == 4 for number in borne)
    world.now(*(patient("+12125550177", 50, number=number, ssn=None, name=number) for number in ("live", "inferred")))
    world.past(patient("+12125550188", 5, number="past", ssn=None))
    world.settle()
    assert world.rows("SELECT source_patient_id, person_id, count(*) FROM silver.patients WHERE source_system = 'a' "
                      "GROUP BY 1, 2 ORDER BY 1") == [
        (number, borne[number], n) for number, n in (("inferred", 2), ("live", 2), ("past", 3))]


def test_a_mended_mapping_corrects_in_place_and_makes_no_history(world):
    first, second = patient(ANN, 0), patient(BEA, 10)
    world.now(first)
    world.now(second)
    world.gone("a.patients", ["P1"], START + 20 * HOUR)
    columns = "first_name, middle_name, phone, patient_key, is_deleted"
    before = world.versions(columns)
    world.feed("a.again", "a", "patients", [*COLUMNS[:1], "middle_name", *COLUMNS[2:]], "again")
    assert world.page("a.again", [first, second])["changed"] == 2
    assert world.versions(columns) == [(start, None, "Ann", *rest) for start, _, _, *rest in before]
    assert world.page("a.again", [first, second])["same"] == 2
    assert world.page("a.again", [patient("+12125550199", 5)])["same"] == 1  # nothing bears its text


def test_a_page_under_a_mended_mapping_with_equal_text_corrects_in_place(world):
    world.now(patient(ANN, 0))
    world.feed("a.held", "a", "patients", [*COLUMNS[:1], "middle_name", *COLUMNS[2:]])
    world.rows("INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, source_hash, "
               "mapping_version, batch_id) VALUES ('a.held', 'a', 'P1', '{}', 'r', 'r', 1, 1, 1)")
    assert world.page("a.held", [patient(ANN, 0)])["changed"] == 1  # an entry was newer, so the row is cleaned again
    assert world.versions("first_name, middle_name, version") == [(0.0, None, "Ann", 1)]


@pytest.mark.parametrize("place", ["page.after_bronze", "page.after_silver", "page.before_commit", "page.after_commit"])
def test_killed_while_the_past_is_placed_the_end_is_equal(world, place):
    world.now(patient(ANN, 0))
    world.now(patient(BEA, 48))
    told = [patient(BEA, 24), patient("+12125550199", 12), patient(ANN, 6)]
    world.start(REVCYCLED_FAILPOINT=place)
    with pytest.raises(Killed):
        world.past(*told)
    world.start()
    world.past(*told)
    assert world.versions("phone, version") == [(0.0, ANN, 1), (12.0, "+12125550199", 2), (24.0, BEA, 3)]
    assert world.rows("SELECT ((extract(epoch FROM seen_at) * 1000000 - %s) / %s)::float FROM silver.member_seen "
                      "ORDER BY 1", START, HOUR) == [(6.0,), (48.0,)]
    assert world.rows('SELECT op, count(*) FROM bronze."a__past_raw" GROUP BY 1') == [("update", 3)]


def test_the_current_version_is_compared_with_what_told_of_it_last(world):
    world.past(patient(BEA, 18, ssn="111223333"))
    world.now(patient(ANN, modified="NULL"), received=START + 70 * HOUR)
    world.past(patient(ANN, 18, ssn="111223333"))  # both versions are one, shown by the first
    assert world.versions("phone, ssn") == [(18.0, ANN, "123456789")]
    assert world.now(patient(ANN, 18, ssn="111223333"))["changed"] == 1
    assert world.versions("phone, ssn") == [(18.0, ANN, "111223333")]


def test_what_only_overwrites_is_a_change_that_settle_looks_at(world):
    world.feed("a.encounters", "a", "encounters", ("source_encounter_id", "source_patient_id", "encounter_date"))
    world.past(patient(ANN, 0))
    world.settle()
    world.page("a.encounters", [("E1", "P1", "2024-01-07")])
    world.now(patient(BEA, modified="NULL"), received=START + 80 * HOUR)
    assert world.past(patient(BEA, 90, ssn="111223333"))["changed"] == 1  # no version, another number
    world.settle()
    assert world.rows("SELECT version FROM silver.encounters JOIN silver.patients USING (patient_key)") == [(2,)]
