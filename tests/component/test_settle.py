"""Settle against PostgreSQL: keys as of a day, inferred members, persons, flags that need other feeds.

Rows are put into silver as place would put them, by the daemon's own role; the step runs as it runs in
the daemon.
"""
import hashlib
import os
import re
import subprocess

import pytest

from harness.postgres import ask
from harness.settings import ROOT

ENTITY = {"patients": "patient", "providers": "provider", "departments": "department",
          "encounters": "encounter", "transactions": "transaction", "claims": "claim"}
HISTORY = ("patients", "providers")


class World:
    def __init__(self, build, postgres, database, rows_changed):
        self.rows_changed = rows_changed  # what each batch says of itself
        self.tool = os.path.join(build, "settle_tool")
        self.dsn, self.password = postgres.dsn(database), postgres.password("revcycled")
        self.link = postgres.connect(database, "revcycled")
        self.link.autocommit = True
        self.sql("INSERT INTO ops.source VALUES ('a', 'America/New_York') ON CONFLICT DO NOTHING")
        self.sql("INSERT INTO ops.source VALUES ('b', 'America/New_York') ON CONFLICT DO NOTHING")
        self.new_batch()

    def sql(self, statement, *values):
        return ask(self.link, statement, *values)

    def value(self, statement, *values):
        return self.sql(statement, *values)[0][0]

    def new_batch(self):
        self.batch = self.value("SELECT nextval('ops.batch_id_seq')")
        self.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                 "VALUES (%s, 'test', 1, %s, 0)", self.batch, self.rows_changed)

    def settle(self, fiscal=1):
        done = subprocess.run([self.tool, self.dsn, str(fiscal)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PGPASSWORD": self.password})
        assert done.returncode == 0, done.stderr
        self.new_batch()
        return tuple(map(int, done.stdout.split()))

    def place(self, table, number, **columns):
        """A row as place writes it: an inferred member keeps its key, a known fact leaves its past."""
        one = ENTITY[table]
        columns = {"source_system": "a", **columns}
        content = "|".join(f"{key}={value}" for key, value in sorted(columns.items()))
        row = {f"source_{one}_id": number, "batch_id": self.batch, "dq_flags": [],
               "record_hash": hashlib.sha256(content.encode()).digest()[:16], **columns}
        if table in HISTORY:
            row = {"effective_date": "2020-01-01 00:00+00", "expiry_date": "9999-12-31 00:00+00",
                   "is_current": True, "version": 1, **row}
        if table == "claims":
            row = {"iteration": 1, "is_final": True, **row}
        known = self.sql(f"DELETE FROM silver.{table} WHERE source_{one}_id = %s AND source_system = %s "
                         "RETURNING *", number, row["source_system"])
        key = self.value(f"SELECT min(key) FROM silver.take_keys('silver.{one}_key_seq', 1)")
        if known:
            names = [line[0] for line in self.sql(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'silver' "
                "AND table_name = %s ORDER BY ordinal_position", table)]
            old = dict(zip(names, known[0]))
            key = old[f"{one}_key"]
            if table not in HISTORY:
                places = ", ".join(["%s"] * len(names))
                self.sql(f"INSERT INTO silver.{table}_past VALUES ({places}, %s, %s)", *old.values(),
                         old["batch_id"], self.batch)
            kept = {"person_id", "payer_key", "patient_key", "provider_key", "department_key"} & old.keys()
            row = {**{name: old[name] for name in kept}, **row}
        row[f"{one}_key"] = key
        self.sql(f"INSERT INTO silver.{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                 *row.values())
        return key

    def version(self, table, number, start, end, version):
        one = ENTITY[table]
        key = self.value(f"SELECT min(key) FROM silver.take_keys('silver.{one}_key_seq', 1)")
        self.sql(f"INSERT INTO silver.{table} ({one}_key, source_system, source_{one}_id, effective_date, "
                 "expiry_date, is_current, version, batch_id) VALUES (%s, 'a', %s, %s, %s, %s, %s, %s)",
                 key, number, start, end, end.startswith("9999"), version, self.batch)
        return key

    def flags(self, table, number):
        return self.value(f"SELECT dq_flags FROM silver.{table} WHERE source_{ENTITY[table]}_id = %s", number)

    def of(self, number, columns, table="transactions"):
        return self.sql(f"SELECT {columns} FROM silver.{table} WHERE source_{ENTITY[table]}_id = %s", number)[0]

    def persons(self):
        return sorted(self.sql("SELECT array_agg(source_system || source_patient_id ORDER BY source_system, "
                               "source_patient_id) FROM silver.person_link GROUP BY person_id"))

    def dump(self):
        """Everything settle answers for, keys by what they point at."""
        fact = ("f.source_system, f.source_{one}_id, p.source_patient_id, p.version, v.source_provider_id, "
                "d.source_department_id, f.dq_flags{more} FROM silver.{table} f "
                "JOIN gold.dim_patients p USING (patient_key) JOIN gold.dim_providers v USING (provider_key) "
                "JOIN gold.dim_departments d USING (department_key) ORDER BY 1, 2")
        facts = [self.sql("SELECT " + fact.format(one=ENTITY[table], table=table, more=more)) for table, more in
                 (("encounters", ""), ("transactions", ", f.payment_status, f.patient_age"), ("claims", ""))]
        members = [self.sql(f"SELECT source_system, source_{ENTITY[table]}_id, is_inferred, dq_flags "
                            f"FROM silver.{table} ORDER BY 1, 2") for table in ("patients", "providers", "departments")]
        others = [self.sql(f"SELECT {columns} FROM silver.{table} ORDER BY 1, 2") for table, columns in
                  (("payers", "source_system, source_payer_id"), ("procedures", "code, code_system"),
                   ("diagnoses", "code, code_system"), ("dates", "date, fiscal_year"))]
        return facts, members, others, self.persons()


@pytest.fixture(params=[1, 100_000], ids=["few", "many"])
def world(request, build, postgres, schema_database):
    """Few rows are looked up by indexes, many by other statements and plans (settle.c): the end is the same."""
    made = World(build, postgres, schema_database, request.param)
    yield made
    made.link.close()


PAGES = {
    "patients": [("P1", {"ssn": "123456789", "birth_date": "1980-02-29"}),
                 ("P2", {"birth_date": "2030-01-01"}),
                 ("Q1", {"source_system": "b", "ssn": "123456789", "birth_date": "1980-02-29"})],
    "providers": [("D1", {"last_name": "House"})],
    "departments": [("X1", {"name": "Surgery"})],
    "encounters": [("E1", {"source_patient_id": "P1", "source_provider_id": "D1", "source_department_id": "X1",
                           "encounter_date": "2024-03-01", "procedure_code": "99213"})],
    "transactions": [("T1", {"source_patient_id": "P1", "source_provider_id": "D1", "source_encounter_id": "E1",
                             "source_claim_id": "C1", "service_date": "2024-03-01", "amount": 10, "paid_amount": 0,
                             "source_payer_id": "Y1", "procedure_code": "A1234", "diagnosis_code": "I10"}),
                     ("T2", {"source_patient_id": "P2", "source_provider_id": "D9", "source_encounter_id": "E9",
                             "service_date": "2024-03-01", "amount": 10, "paid_amount": 4}),
                     ("T3", {"service_date": None, "amount": 5, "paid_amount": 5}),
                     ("T4", {"service_date": None, "amount": 5, "paid_amount": 5})],
    "claims": [("C1", {"source_transaction_id": "T1", "source_patient_id": "P2", "source_provider_id": "D1",
                       "source_department_id": "X1", "service_date": "2024-03-01", "claim_status": "Denied"}),
               ("C2", {"source_transaction_id": "T9", "source_patient_id": "P7", "claim_status": "Paid"})],
}


def place_page(world, table):
    for number, columns in PAGES[table]:
        world.place(table, number, **columns)


def test_the_end_state_is_a_function_of_the_rows_not_of_their_order(world, build, postgres, schema_database):
    for table in PAGES:
        place_page(world, table)
    world.settle()
    expected = world.dump()
    assert expected[0][1][0][6:] == ([], "Denied", 44)
    for order in (list(reversed(PAGES)), ["claims", "patients", "transactions", "departments", "encounters", "providers"]):
        name = postgres.create_database(f"{schema_database}_{order[1]}"[-60:])
        try:
            postgres.apply_migrations(name)
            other = World(build, postgres, name, world.rows_changed)
            for table in order:
                place_page(other, table)
                other.settle()
            assert other.dump() == expected
            other.link.close()
        finally:
            postgres.drop_database(name)


def test_nothing_new_writes_nothing(world):
    for table in PAGES:
        place_page(world, table)
    world.settle()
    before = world.sql("SELECT max(batch_id) FROM silver.transactions")
    world.sql("UPDATE ops.batch SET settled_by = 0 WHERE settled_by IS NULL")
    batches = world.value("SELECT count(*) FROM ops.batch")
    done = subprocess.run([world.tool, world.dsn, "1"], capture_output=True, text=True,
                          env={**os.environ, "PGPASSWORD": world.password})
    assert done.stdout == "nothing\n"
    assert world.value("SELECT count(*) FROM ops.batch") == batches
    # all batches again: every row is looked at, none is written
    world.sql("UPDATE ops.batch SET settled_by = NULL")
    read, changed = world.settle()
    assert read > 0 and changed == 0
    assert world.sql("SELECT max(batch_id) FROM silver.transactions") == before


def test_a_fact_points_at_the_version_of_its_day_in_the_sources_zone(world):
    first = world.version("patients", "P1", "2023-01-01 00:00+00", "2024-05-02 03:59:59+00", 1)
    second = world.version("patients", "P1", "2024-05-02 03:59:59+00", "9999-12-31 00:00+00", 2)
    # 1 May ends in New York at 04:00 UTC of 2 May: the second version began one second before
    for number, day, key in (("T1", "2024-05-01", second), ("T2", "2024-04-30", first),
                             ("T3", "2001-01-01", first), ("T4", None, first)):
        world.place("transactions", number, source_patient_id="P1", service_date=day)
        world.place("claims", "C" + number, source_patient_id="P1", claim_date=day)
    world.place("transactions", "T5", service_date="2024-05-01")
    world.settle()
    keys = dict(world.sql("SELECT source_transaction_id, patient_key FROM silver.transactions"))
    assert keys == {"T1": second, "T2": first, "T3": first, "T4": first, "T5": -1}
    keys = dict(world.sql("SELECT source_claim_id, patient_key FROM silver.claims"))
    assert keys == {"CT1": second, "CT2": first, "CT3": first, "CT4": first}


def test_a_new_version_moves_the_keys_of_the_facts_after_it(world):
    key = world.version("patients", "P1", "2023-01-01 00:00+00", "9999-12-31 00:00+00", 1)
    world.place("transactions", "T1", source_patient_id="P1", service_date="2024-05-01")
    world.settle()
    assert world.of("T1", "patient_key") == (key,)
    world.sql("UPDATE silver.patients SET expiry_date = '2024-02-01 00:00+00', is_current = false, batch_id = %s", world.batch)
    later = world.version("patients", "P1", "2024-02-01 00:00+00", "9999-12-31 00:00+00", 2)
    world.settle()
    assert world.of("T1", "patient_key") == (later,)


def test_facts_whose_keys_move_are_published_again(world):
    """They bear the settle's batch, which no publication has taken."""
    facts = {"encounters": "encounter_date", "transactions": "service_date", "claims": "claim_date"}
    for version, start in enumerate(("2023-01-01 00:00+00", "2024-02-01 00:00+00"), 1):
        world.sql("UPDATE silver.patients SET expiry_date = %s, is_current = false, batch_id = %s", start, world.batch)
        world.version("patients", "P1", start, "9999-12-31 00:00+00", version)
        for table, day in facts.items() if version == 1 else ():
            world.place(table, "F1", source_patient_id="P1", **{day: "2024-05-01"})
        world.settle()
        for table in facts:
            assert world.sql(f"SELECT b.feed, b.publication_id, p.version FROM silver.{table} f JOIN ops.batch b USING (batch_id) "
                             "JOIN silver.patients p USING (patient_key)") == [("settle", None, version)], table
        world.sql("INSERT INTO ops.publication (state) VALUES ('succeeded')")
        world.sql("UPDATE ops.batch SET publication_id = (SELECT max(publication_id) FROM ops.publication)")


def test_a_parent_that_comes_takes_the_flag_away_and_keeps_the_key(world):
    world.place("transactions", "T1", source_provider_id="D1", source_department_id="X1", source_encounter_id="E1",
                source_patient_id="P1", dq_flags=["paid_above_billed"])
    world.settle()
    assert world.flags("transactions", "T1") == ["orphan_department", "orphan_encounter", "orphan_patient",
                                                  "orphan_provider", "paid_above_billed"]
    keys = world.of("T1", "patient_key, provider_key, department_key")
    assert world.value("SELECT encounter_key FROM gold.fact_transactions") is None
    assert world.sql("SELECT is_inferred, effective_date::text FROM silver.patients") == [(True, "0001-01-01 00:00:00+00")]
    for table, number in (("patients", "P1"), ("providers", "D1"), ("departments", "X1"), ("encounters", "E1")):
        world.place(table, number)
        world.settle()
        assert f"orphan_{ENTITY[table]}" not in world.flags("transactions", "T1")
    assert world.flags("transactions", "T1") == ["paid_above_billed"]
    assert world.of("T1", "patient_key, provider_key, department_key") == keys
    assert world.value("SELECT encounter_key FROM gold.fact_transactions") is not None


def test_a_transaction_is_denied_when_all_final_claims_that_name_it_are(world):
    world.place("transactions", "T1", amount=10, paid_amount=0, source_claim_id="C1")
    world.settle()
    assert world.of("T1", "payment_status, dq_flags") == ("Pending", ["claim_link_mismatch"])
    world.place("claims", "C1", source_transaction_id="T1", claim_status="Denied")
    world.place("claims", "C2", source_transaction_id="T1", claim_status="Rejected", is_final=False)
    world.settle()
    assert world.of("T1", "payment_status, dq_flags") == ("Denied", [])
    world.place("claims", "C1", source_transaction_id="T2", claim_status="Denied")  # names another one now
    world.settle()
    assert world.of("T1", "payment_status, dq_flags") == ("Pending", ["claim_link_mismatch"])


def test_who_names_a_transaction_is_known_by_what_claims_name_now(world):
    def named():
        return world.sql("SELECT source_transaction_id, source_system, claim_key FROM ops.claim_transaction ORDER BY 1, 2, 3")
    for number in ("T1", "T2"):
        world.place("transactions", number, amount=10, paid_amount=0, payment_status="Pending")
    keys = [world.place("claims", number, source_transaction_id="T1", claim_status="Denied") for number in ("C1", "C2", "C3")]
    assert named() == []
    world.settle()
    assert named() == [("T1", "a", key) for key in keys]
    world.place("claims", "C1", source_transaction_id="T2", claim_status="Denied")
    world.place("claims", "C2", source_transaction_id=None, claim_status="Denied")
    world.settle()
    assert named() == [("T1", "a", keys[2]), ("T2", "a", keys[0])]
    assert [world.of(number, "payment_status") for number in ("T1", "T2")] == [("Denied",), ("Denied",)]
    world.place("claims", "C3", source_transaction_id="T2", claim_status="Paid")
    world.settle()
    assert named() == [("T2", "a", keys[0]), ("T2", "a", keys[2])]
    assert [world.of(number, "payment_status") for number in ("T1", "T2")] == [("Pending",), ("Pending",)]
    # a claim that came after the last settle, and a transaction that was placed without it
    world.place("claims", "C4", source_transaction_id="T3", claim_status="Denied")
    world.place("transactions", "T3", amount=10, paid_amount=0, payment_status="Pending")
    world.settle()
    assert world.of("T3", "payment_status") == ("Denied",)


def test_claims_and_transactions_that_disagree_are_flagged_until_they_agree(world):
    both = {"source_patient_id": "P1", "source_provider_id": "D1", "source_department_id": "X1", "source_encounter_id": "E1"}
    world.place("claims", "C1", source_transaction_id="T1", service_date="2024-01-01", **both)
    other = {column: value + "9" for column, value in both.items()}
    world.place("transactions", "T1", service_date="2024-01-02", **other)
    world.settle()
    found = [flag for flag in world.flags("claims", "C1") if flag.endswith("mismatch")]
    assert found == ["claim_date_mismatch", "claim_department_mismatch", "claim_encounter_mismatch",
                     "claim_patient_mismatch", "claim_provider_mismatch"]
    world.place("transactions", "T1", service_date="2024-01-01", **{**both, "source_department_id": None})
    world.settle()
    assert not [flag for flag in world.flags("claims", "C1") if flag.endswith("mismatch")]


def test_age_on_the_service_date(world):
    world.place("patients", "P1", birth_date="2000-02-29")
    for number, day in (("T1", "2001-02-28"), ("T2", "2001-03-01"), ("T3", "1999-12-31"), ("T4", "2121-03-01")):
        world.place("transactions", number, source_patient_id="P1", service_date=day)
    world.settle()
    assert [world.of(number, "patient_age, dq_flags") for number in ("T1", "T2", "T3", "T4")] == [
        (0, []), (1, []), (None, ["age_out_of_range"]), (None, ["age_out_of_range"])]
    world.sql("UPDATE silver.patients SET birth_date = '1999-01-01', batch_id = %s", world.batch)
    world.settle()
    assert world.of("T3", "patient_age, dq_flags") == (0, [])


def test_the_same_content_under_another_id_is_flagged_on_both_until_one_changes(world):
    for number in ("T1", "T2"):
        world.place("transactions", number, amount=1)
    world.place("transactions", "T3", amount=1, source_system="b")
    world.settle()
    flags = [world.flags("transactions", number) for number in ("T1", "T2", "T3")]
    assert flags == [["possible_duplicate"], ["possible_duplicate"], []]
    world.place("transactions", "T2", amount=2)
    world.settle()
    assert world.flags("transactions", "T1") == world.flags("transactions", "T2") == []


def test_persons_by_number_or_by_name(world):
    same = {"first_name": "Ann", "last_name": "Lee", "phone": "+12025550100", "birth_date": "1970-01-01"}
    world.place("patients", "1", ssn="123456789", birth_date="1980-01-01")
    world.place("patients", "2", source_system="b", ssn="123456789", birth_date="1980-01-01")
    world.place("patients", "3", **same)
    world.place("patients", "4", source_system="b", **{**same, "first_name": "ANN", "ssn": "234567890"})
    world.place("patients", "5", ssn="234567890", birth_date="1970-01-01")
    world.place("patients", "6", ssn="000456789", birth_date="1980-01-01")
    world.place("patients", "7", ssn="000456789", birth_date="1980-01-01")
    world.place("patients", "8", ssn="123456789", birth_date="1981-01-01")
    world.settle()
    assert world.persons() == [(["a1", "b2"],), (["a3", "a5", "b4"],), (["a6"],), (["a7"],), (["a8"],)]
    assert world.sql("SELECT members, state FROM silver.person_review") == [(["a|1", "a|8", "b|2"], "open")]
    assert world.value("SELECT count(*) FROM silver.patients WHERE person_id IS NULL") == 0


def test_nobody_is_shown_a_persons_id_that_settle_has_not_given(world):
    provisional = "11111111-1111-4111-8111-111111111111"
    world.place("patients", "1", ssn="123456789", birth_date="1980-01-01")
    world.settle()
    shown = "SELECT source_patient_id, person_id::text FROM gold.dim_patients WHERE patient_key <> -1 ORDER BY 1"
    person = world.value("SELECT person_id::text FROM silver.person_link")
    world.place("patients", "2", ssn="123456789", birth_date="1980-01-01", person_id=provisional)
    assert world.sql(shown) == [("1", person), ("2", None)]
    world.settle()
    assert world.sql(shown) == [("1", person), ("2", person)]


def test_a_number_of_many_birth_dates_is_no_evidence(world):
    for number in range(4):
        world.place("patients", f"A{number}", ssn="345678901", birth_date=f"198{number}-01-01")
    world.place("patients", "B", ssn="345678901", birth_date="1980-01-01")
    world.settle()
    assert len(world.persons()) == 5
    world.place("patients", "A3", ssn="345678902", birth_date="1983-01-01")
    world.settle()
    assert (["aA0", "aB"],) in world.persons()


def test_a_merge_keeps_the_older_id_and_a_correction_parts_again(world):
    world.place("patients", "1", ssn="123456789", birth_date="1980-01-01")
    world.settle()
    world.place("patients", "2", birth_date="1980-01-01")
    world.settle()
    ids = dict(world.sql("SELECT source_patient_id, person_id FROM silver.person_link"))
    world.place("patients", "2", ssn="123456789", birth_date="1980-01-01")
    world.settle()
    assert {row[0] for row in world.sql("SELECT person_id FROM silver.patients")} == {ids["1"]}
    assert world.sql("SELECT old_id, person_id, rule FROM silver.person_alias") == [(ids["2"], ids["1"], "ssn_birth")]
    world.place("patients", "2", ssn="123456780", birth_date="1980-01-01")
    world.settle()
    assert world.persons() == [(["a1"],), (["a2"],)]
    assert world.value("SELECT person_id FROM silver.patients WHERE source_patient_id = '1'") == ids["1"]


def test_every_date_in_use_is_in_the_calendar_with_its_year_where_that_is_of_our_time(world):
    world.place("transactions", "T1", service_date="2024-07-04", paid_date="2024-07-06")
    world.place("transactions", "T2", service_date="1931-07-02", paid_date="9999-01-01")
    world.settle()
    row = "date_key, month_name, day_name, is_weekend, is_holiday, is_business_day, fiscal_year, fiscal_quarter"
    assert world.sql(f"SELECT {row} FROM silver.dates WHERE date IN ('2024-07-04', '2024-07-06') ORDER BY 1") == [
        (20240704, "July", "Thursday", False, True, False, 2024, 3),
        (20240706, "July", "Saturday", True, False, False, 2024, 3)]
    days = "SELECT min(date)::text, max(date)::text, count(*)::int FROM silver.dates GROUP BY year ORDER BY year"
    assert world.sql(days) == [("1931-07-02", "1931-07-02", 1), ("2024-01-01", "2024-12-31", 366), ("9999-01-01", "9999-01-01", 1)]
    world.settle(fiscal=7)
    assert world.sql("SELECT fiscal_year, fiscal_quarter, count(*)::int FROM silver.dates WHERE year = 2024 GROUP BY 1, 2 ORDER BY 1, 2") == [
        (2024, 3, 91), (2024, 4, 91), (2025, 1, 92), (2025, 2, 92)]


def test_codes_and_payers_are_made_from_the_facts(world):
    for number, code in enumerate(("99213", "0042T", "J1100", "0DTJ4ZZ", "XRAY")):
        world.place("encounters", f"E{number}", procedure_code=code)
    world.place("transactions", "T1", diagnosis_code="E11.9", source_payer_id="Aetna")
    world.settle()
    assert world.sql("SELECT code, code_system, reference_status FROM silver.procedures ORDER BY code") == [
        ("0042T", "CPT", "unlisted"), ("0DTJ4ZZ", "ICD10PCS", "unlisted"), ("99213", "CPT", "unlisted"),
        ("J1100", "HCPCS", "unlisted"), ("XRAY", "LOCAL", "unlisted")]
    assert world.sql("SELECT code, code_system FROM silver.diagnoses") == [("E11.9", "ICD10CM")]
    assert world.sql("SELECT source_payer_id, name, reference_status FROM silver.payers") == [("Aetna", "Aetna", "unlisted")]


def test_every_dimension_shows_the_unknown_member_in_the_first_batch(world):
    for view in ("patients", "providers", "departments", "payers", "procedures", "diagnoses", "date"):
        columns = world.sql(f"SELECT * FROM gold.dim_{view}")
        assert [row[0] for row in columns] == [-1], view
        assert world.value(f"SELECT batch_id FROM gold.dim_{view}") == world.batch


INSIDE = ("source_hash", "record_hash", "made_by_batch", "adjustment_list")  # of the house alone: gold does not show them


def entity_columns():
    """{gold view: columns} from the entity table, without what stays inside."""
    with open(os.path.join(ROOT, "daemon", "transform", "entity.c"), encoding="utf-8") as file:
        text = file.read()
    macros = {name: body for name, body in re.findall(
        r"#define (SYSTEM_COLUMNS|HISTORY_COLUMNS|SOURCE_COLUMN)((?:.*\\\n)*.*\n)", text)}
    views = dict(re.findall(r'^    \{"(\w+)", "(\w+)"', text, re.M))
    for name, body in re.findall(r"static const Column (\w+)\[\] = \{(.*?)\n\};", text, re.S):
        for macro, lines in macros.items():
            body = re.sub(rf"\b{macro}\b", lambda _, lines=lines: lines, body)
        found = re.findall(r'(?:COLUMN|REFERENCE|KEY_OF)\("(\w+)"', body)
        yield views[name.lower()], [column for column in found if column not in INSIDE]


def test_gold_has_the_columns_of_the_entity_table(world):
    tables = dict(entity_columns())
    assert len(tables) == 12
    for view, columns in tables.items():
        assert [row[0] for row in world.sql(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'gold' "
            "AND table_name = %s ORDER BY ordinal_position", view)] == columns, view


def permute(secret, number):
    high, low = number >> 31, number & 0x7FFFFFFF
    for turn in range(8):
        digest = hashlib.sha256(secret + bytes([turn]) + low.to_bytes(4, "big")).digest()
        high, low = low, high ^ (int.from_bytes(digest[:4], "big") & 0x7FFFFFFF)
    return (high << 31 | low) + 1


def test_the_permutation_is_the_same_in_sql_in_c_and_in_a_model(world):
    with open(os.path.join(ROOT, "tests", "unit", "permute_vectors.h"), encoding="utf-8") as file:
        vectors = re.findall(r'\{"([0-9a-f]+)", INT64_C\((\d+)\), INT64_C\((\d+)\)\}', file.read())
    assert len(vectors) > 20
    for secret, number, permuted in vectors:
        assert permute(bytes.fromhex(secret), int(number)) == int(permuted)
        assert world.value("SELECT silver.permute(decode(%s, 'hex'), %s)", secret, int(number)) == int(permuted)
    keys = [row[0] for row in world.sql("SELECT silver.patient_key(n) FROM generate_series(1, 50) AS n")]
    assert keys != sorted(keys) and min(keys) > 0 and len(set(keys)) == 50


def names_in(path, table):
    """The texts of a static table of names in a C source."""
    with open(os.path.join(ROOT, *path.split("/")), encoding="utf-8") as file:
        body = re.search(table + r"\[\] = \{(.*?)\};", file.read(), re.S).group(1)
    return set(re.findall(r'"(\w+)"', body))


def test_place_and_settle_agree_on_whose_flags_are_whose(world):
    """What place sees and what settle alone can tell are settle's together, and nothing of place's own is."""
    seen = names_in("daemon/transform/record.c", "SETTLE_FLAG_NAMES")
    alone = names_in("storage/silver_row.c", "NAMES")
    own = names_in("daemon/transform/record.c", r"\bFLAG_NAMES")
    assert len(seen) == 6 and len(alone) == 8 and len(own) > 10 and not seen & alone
    settles = {name for (name,) in world.sql(
        "SELECT name FROM unnest(%s) AS n(name) WHERE silver.is_settle_flag(name)", sorted(seen | alone | own))}
    assert settles == seen | alone
    body = world.value("SELECT prosrc FROM pg_proc WHERE proname = 'is_settle_flag'")
    assert set(re.findall(r"'(\w+)'", body)) <= seen | alone
