"""Settle alone, rows placed by hand: the end state is a function of the rows, not of their order.

A delivery is what place writes of one row (or of one patient's two versions); here they come in random
orders and batches, with settles in between.
"""
import datetime
import os
import random
import subprocess

import pytest

from harness import dump
from harness.postgres import ask

SOURCES = ("hospital_a", "hospital_b")
OPEN_END = "9999-12-31 00:00:00+00"
FIRST = datetime.date(2024, 1, 1)


class Store:
    """One database, and the tool that settles it."""

    def __init__(self, build, postgres, name):
        self.tool = os.path.join(build, "settle_tool")
        self.dsn, self.password = postgres.dsn(name), postgres.password("revcycled")
        self.link = postgres.connect(name)
        self.link.autocommit = True
        self.key = 0
        for source in SOURCES:
            self.sql("INSERT INTO ops.source VALUES (%s, 'America/Chicago')", source)

    def sql(self, statement, *values):
        return ask(self.link, statement, *values)

    def settle(self):
        done = subprocess.run([self.tool, self.dsn], env={**os.environ, "PGPASSWORD": self.password},
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def batch(self):
        number = self.sql("SELECT nextval('ops.batch_id_seq')")[0][0]
        self.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                 "VALUES (%s, 'test', 1, 1, 0)", number)
        return number

    def put(self, table, batch, row):
        names, values = ", ".join(row), list(row.values())
        self.sql(f"INSERT INTO silver.{table} ({names}, batch_id) VALUES ({', '.join(['%s'] * len(row))}, %s)",
                 *values, batch)

    def new_key(self):
        self.key += 1
        return 10 ** 12 + self.key

    def place(self, delivery, batch):
        """Facts and members as they are; versions fill an inferred member, as history does."""
        table, rows = delivery
        key = f"{table[:-1]}_key"
        for row in rows:
            filled = 0
            if table in ("patients", "providers", "departments") and row.get("version", 1) == 1:
                changes = ", ".join(f"{name} = %s" for name in row)
                filled = self.sql(f"UPDATE silver.{table} SET {changes}, is_inferred = false, batch_id = %s "
                                  f"WHERE source_system = %s AND source_{table[:-1]}_id = %s AND is_inferred",
                                  *row.values(), batch, row["source_system"], row[f"source_{table[:-1]}_id"])
            if not filled:
                self.put(table, batch, {key: self.new_key(), **row})

    def state(self):
        return dump.postgres(self.link, dump.ORDER)


def day(dice, span=120):
    return FIRST + datetime.timedelta(days=dice.randrange(span)) if dice.random() > 0.1 else None


def pick(dice, kind, n):
    return f"{kind}{dice.randrange(n)}" if dice.random() > 0.1 else None


def version(number, source, patient, start, end, **columns):
    return {"source_system": source, "source_patient_id": patient, "version": number, "effective_date": start,
            "expiry_date": end, "is_current": end == OPEN_END, **columns}


def a_patient(dice, source, patient):
    """One or two versions; few different numbers and names, so that some are one person and some conflict."""
    who = {"ssn": dice.choice(["123456789", "223456789", "666123456", None]), "first_name": "Ann", "last_name":
           dice.choice(["Lee", "Roe"]), "phone": dice.choice(["+12025550100", None]),
           "birth_date": FIRST.replace(year=dice.choice([1900, 1980, 2024]))}
    start = f"2024-0{dice.randrange(1, 3)}-10 12:00:00+00"
    if dice.random() < 0.5:
        return [version(1, source, patient, start, OPEN_END, **who)]
    change = f"2024-03-{dice.randrange(1, 28):02d} 12:00:00+00"
    return [version(1, source, patient, start, change, **who), version(2, source, patient, change, OPEN_END, **who)]


def named(dice, source):
    return {"source_system": source, "source_patient_id": pick(dice, "P", 7), "source_provider_id": pick(dice, "D", 4),
            "source_department_id": pick(dice, "W", 3), "record_hash": bytes([dice.randrange(40)] * 16)}


def deliveries(dice):
    """Everything two small hospitals hold; some of what facts name is missing for good."""
    found = []
    for source in SOURCES:
        found += [("patients", a_patient(dice, source, f"P{n}")) for n in range(5)]
        found += [("providers", [{"source_system": source, "source_provider_id": f"D{n}", "version": 1, "effective_date":
                                  "2024-02-01 00:00:00+00", "expiry_date": OPEN_END, "is_current": True}])
                  for n in range(3)]
        found += [("departments", [{"source_system": source, "source_department_id": f"W{n}", "name": "w"}])
                  for n in range(2)]
        found += [("encounters", [{**named(dice, source), "source_encounter_id": f"E{n}", "encounter_date": day(dice),
                                   "procedure_code": pick(dice, "9921", 4)}]) for n in range(8)]
        found += [("transactions", [{**named(dice, source), "source_transaction_id": f"T{n}",
                                     "source_encounter_id": pick(dice, "E", 10), "source_claim_id": pick(dice, "C", 15),
                                     "source_payer_id": pick(dice, "Y", 3), "service_date": day(dice),
                                     "diagnosis_code": pick(dice, "A0", 3), "amount": dice.choice([0, 10, None]),
                                     "paid_amount": dice.choice([0, 5, 10, None])}]) for n in range(10)]
        found += [("claims", [{**named(dice, source), "source_claim_id": f"C{n}", "iteration": 1, "is_final": True,
                               "source_transaction_id": pick(dice, "T", 12), "source_encounter_id": pick(dice, "E", 10),
                               "source_payer_id": pick(dice, "Y", 3), "service_date": day(dice), "claim_date": day(dice),
                               "claim_status": dice.choice(["Paid", "Denied", "Denied"])}]) for n in range(14)]
    return found


@pytest.fixture
def make_store(build, postgres, schema_template, database_name):
    stores = []

    def make():
        name = postgres.create_database(f"{database_name[-20:]}_{len(stores)}", schema_template)
        stores.append((Store(build, postgres, name), name))
        return stores[-1][0]
    yield make
    for store, name in stores:
        store.link.close()
        postgres.drop_database(name)


@pytest.mark.parametrize("seed", range(3))
def test_the_end_state_does_not_depend_on_the_order_of_deliveries(make_store, seed):
    dice = random.Random(seed)
    rows = deliveries(dice)
    at_once = make_store()
    batch = at_once.batch()
    for delivery in rows:
        at_once.place(delivery, batch)
    at_once.settle()
    wanted = at_once.state()
    assert any("orphan_patient" in row for row in wanted["silver.encounters"])
    assert any("claim_" in row for row in wanted["silver.claims"])
    for _ in range(2):
        shuffled = make_store()
        dice.shuffle(rows)
        left = list(rows)
        while left:
            batch = shuffled.batch()
            size = dice.randrange(1, 40)
            for delivery in left[:size]:
                shuffled.place(delivery, batch)
            left = left[size:]
            if dice.random() < 0.7:
                shuffled.settle()
        shuffled.settle()
        dump.assert_equal(wanted, shuffled.state())


def test_a_settle_with_nothing_to_see_makes_no_batch_and_a_second_look_writes_nothing(make_store):
    store = make_store()
    assert store.settle() == "nothing"
    batch = store.batch()
    for delivery in deliveries(random.Random(9)):
        store.place(delivery, batch)
    assert int(store.settle().split()[1]) > 0
    assert store.settle() == "nothing"
    before = store.sql("SELECT count(*) FROM ops.batch")
    store.sql("UPDATE ops.batch SET settled_by = NULL WHERE batch_id = %s", batch)  # look at all of it again
    assert store.settle().split()[1] == "0"
    assert store.sql("SELECT count(*) FROM silver.transactions WHERE batch_id > (SELECT max(batch_id) FROM ops.batch "
                     "WHERE rows_changed > 0)") == [(0,)]
    assert store.sql("SELECT count(*) FROM ops.batch")[0][0] - before[0][0] <= 1


def test_a_corrected_birth_date_and_a_new_version_reach_the_facts(make_store):
    store = make_store()
    first = store.batch()
    store.place(("patients", [version(1, "hospital_a", "P1", "2024-01-10 12:00:00+00", OPEN_END,
                                      birth_date="1990-02-28")]), first)
    for number, date in (("T1", "2024-02-27"), ("T2", "2024-02-28")):
        store.put("transactions", first, {"transaction_key": store.new_key(), "source_system": "hospital_a",
                                          "source_transaction_id": number, "source_patient_id": "P1",
                                          "service_date": date, "amount": 1, "paid_amount": 1})
    store.settle()
    ages = "SELECT patient_age FROM silver.transactions ORDER BY source_transaction_id"
    assert store.sql(ages) == [(33,), (34,)]
    second = store.batch()
    store.sql("UPDATE silver.patients SET birth_date = '1980-02-28', batch_id = %s", second)
    store.settle()
    assert store.sql(ages) == [(43,), (44,)]
    third = store.batch()  # a version from the last instant of 27 February in Chicago, as UTC, on
    store.sql("UPDATE silver.patients SET is_current = false, expiry_date = '2024-02-28 06:00:00+00', batch_id = %s",
              third)
    store.put("patients", third, {"patient_key": store.new_key(), **version(
        2, "hospital_a", "P1", "2024-02-28 06:00:00+00", OPEN_END, birth_date="1980-02-28")})
    store.settle()
    assert store.sql("SELECT t.source_transaction_id, p.version FROM silver.transactions t "
                     "JOIN silver.patients p USING (patient_key) ORDER BY 1") == [("T1", 1), ("T2", 2)]
