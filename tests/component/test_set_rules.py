"""Rules over several rows: after every settle the flags are what a model in Python says of the rows in force."""
import collections
import hashlib
import os
import random
import subprocess

import pytest

from harness.postgres import ask

ONE = {"patients": "patient", "encounters": "encounter", "transactions": "transaction", "claims": "claim"}
RULES = {
    "member_once": "unique patients columns=member_id",
    "name_once": "unique patients columns=first_name,last_name",
    "encounter_there": "reference transactions column=source_encounter_id references=encounters",
    "patient_there": "reference claims column=source_patient_id references=patients",
    "served_when_born": "cross_table transactions column=service_date compare=>= other=patients.birth_date",
    "paid_once": "cross_row claims columns=source_transaction_id total=sum column=paid_amount compare=<= "
                 "other=transactions.amount",
    "few_a_day": "cross_row transactions columns=source_patient_id,service_date total=count compare=<= limit=2",
    "paid_in_part": "cross_row claims columns=source_encounter_id total=max column=paid_amount compare=< "
                    "other=claim_amount",
    "one_patient": "cross_row claims columns=source_encounter_id total=distinct column=source_patient_id compare=<= limit=1",
    "little_back": "cross_row claims columns=source_encounter_id total=min column=paid_amount compare=> limit=2",
}


class Store:
    """Rows as place writes them, a mirror of what they say, and the tool that settles."""

    def __init__(self, build, postgres, name, rows_changed):
        self.tool, self.rows_changed = os.path.join(build, "settle_tool"), rows_changed
        self.dsn, self.password = postgres.dsn(name), postgres.password("revcycled")
        self.link = postgres.connect(name)
        self.link.autocommit = True
        self.rows = {table: {} for table in ONE}
        self.sql("INSERT INTO ops.source VALUES ('a', 'UTC'), ('b', 'UTC')")
        self.new_batch()

    def sql(self, statement, *values):
        return ask(self.link, statement, *values)

    def new_batch(self):
        self.batch = self.sql("SELECT nextval('ops.batch_id_seq')")[0][0]
        self.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                 "VALUES (%s, 'test', 1, %s, 0)", self.batch, self.rows_changed)

    def settle(self, rules):
        texts = [f"{name} {text}" for name, text in rules.items()]
        done = subprocess.run([self.tool, self.dsn, "1", *texts], env={**os.environ, "PGPASSWORD": self.password},
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.strip()

    def place(self, table, source, number, **columns):
        """New, or changed: the flags of rules over several rows are not place's to keep."""
        one = ONE[table]
        self.rows[table][source, number] = columns
        content = hashlib.sha256(repr((source, number, sorted(columns.items()))).encode()).digest()[:16]
        columns = {**columns, "batch_id": self.batch, "record_hash": content, "dq_flags": [], "is_deleted": False}
        if table == "patients":
            columns |= {"is_inferred": False}
        where = f"WHERE source_{one}_id = %s AND source_system = %s"
        if self.sql(f"SELECT FROM silver.{table} {where}", number, source):
            self.keep_past(table, where, number, source)
            texts = ", ".join(f"{name} = %s" for name in columns)
            self.sql(f"UPDATE silver.{table} SET {texts} {where}", *columns.values(), number, source)
            return
        if table == "patients":
            columns |= {"effective_date": "2020-01-01", "expiry_date": "9999-12-31", "is_current": True, "version": 1}
        if table == "claims":
            columns |= {"iteration": 1, "is_final": True}
        key = self.sql(f"SELECT min(key) FROM silver.take_keys('silver.{one}_key_seq', 1)")[0][0]
        columns |= {f"{one}_key": key, f"source_{one}_id": number, "source_system": source}
        self.sql(f"INSERT INTO silver.{table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
                 *columns.values())

    def keep_past(self, table, where, number, source):
        if table != "patients":
            self.sql(f"INSERT INTO silver.{table}_past SELECT t.*, t.batch_id, %s FROM silver.{table} t {where}",
                     self.batch, number, source)

    def delete(self, table, source, number):
        where = f"WHERE source_{ONE[table]}_id = %s AND source_system = %s"
        del self.rows[table][source, number]
        self.keep_past(table, where, number, source)
        self.sql(f"UPDATE silver.{table} SET is_deleted = true, batch_id = %s {where}", self.batch, number, source)

    def flags(self, names):
        """(rule, table, source, id) of every flag of these rules."""
        found = set()
        for table, one in ONE.items():
            for source, number, flags in self.sql(
                    f"SELECT source_system, source_{one}_id, dq_flags FROM silver.{table}"):
                assert flags == sorted(flags)
                found |= {(flag, table, source, number) for flag in flags if flag in names}
        return found


def groups_of(rows, names):
    found = collections.defaultdict(list)
    for (source, number), row in rows.items():
        if all(row[name] is not None for name in names):
            found[(source, *(row[name] for name in names))].append((source, number))
    return found


def unique(rows, names):
    return {key for group in groups_of(rows, names).values() if len(group) > 1 for key in group}


def expected(rows, rules):
    patients, encounters, transactions, claims = (rows[table] for table in ONE)
    day = groups_of(transactions, ["source_patient_id", "service_date"])
    by_transaction = groups_of(claims, ["source_transaction_id"])
    by_encounter = groups_of(claims, ["source_encounter_id"])
    limit = int(rules["few_a_day"].rsplit("=", 1)[1]) if "few_a_day" in rules else 0

    def served(key):
        patient = patients.get((key[0], transactions[key]["source_patient_id"]))
        return patient and patient["birth_date"] and transactions[key]["service_date"] < patient["birth_date"]

    broken = {
        "member_once": ("patients", unique(patients, ["member_id"])),
        "name_once": ("patients", unique(patients, ["first_name", "last_name"])),
        "encounter_there": ("transactions", {key for key, row in transactions.items() if row["source_encounter_id"]
                                             and (key[0], row["source_encounter_id"]) not in encounters}),
        "patient_there": ("claims", {key for key, row in claims.items()
                                     if (key[0], row["source_patient_id"]) not in patients}),
        "served_when_born": ("transactions", {key for key in transactions if served(key)}),
        "paid_once": ("claims", {key for group, keys in by_transaction.items() for key in keys
                                 if group in transactions and
                                 sum(claims[one]["paid_amount"] for one in keys) > transactions[group]["amount"]}),
        "few_a_day": ("transactions", {key for keys in day.values() if len(keys) > limit for key in keys}),
        "paid_in_part": ("claims", {key for keys in by_encounter.values() for key in keys
                                    if max(claims[one]["paid_amount"] for one in keys) >= claims[key]["claim_amount"]}),
        "one_patient": ("claims", {key for keys in by_encounter.values() for key in keys
                                   if len({claims[one]["source_patient_id"] for one in keys}) > 1}),
        "little_back": ("claims", {key for keys in by_encounter.values() for key in keys
                                   if min(claims[one]["paid_amount"] for one in keys) <= 2}),
    }
    return {(name, broken[name][0], *key) for name in rules for key in broken[name][1]}


def draw(table, rng):
    few = lambda kind, n=6: f"{kind}{rng.randrange(n)}"
    maybe = lambda value: rng.choice([value, value, value, None])
    day = lambda: f"2024-01-{rng.randrange(1, 3):02}"
    return {
        "patients": lambda: {"member_id": maybe(few("M", 5)), "first_name": maybe(few("F", 2)), "last_name": few("L", 2),
                             "birth_date": maybe(day())},
        "encounters": lambda: {"source_patient_id": few("P", 4), "encounter_date": day()},
        "transactions": lambda: {"source_patient_id": few("P", 2), "source_encounter_id": maybe(few("E", 9)),
                                 "service_date": day(), "amount": rng.randrange(1, 50), "paid_amount": 0},
        "claims": lambda: {"source_patient_id": few("P", 5), "source_transaction_id": maybe(few("T", 6)),
                           "source_encounter_id": maybe(few("E", 4)), "claim_date": day(),
                           "claim_amount": rng.randrange(1, 60), "paid_amount": rng.randrange(-5, 30)},
    }[table]()


def change(store, rng):
    for _ in range(rng.randrange(4, 25)):
        table = rng.choice(list(ONE))
        source, number = rng.choice("aab"), f"{ONE[table][0].upper()}{rng.randrange(8)}"
        if (source, number) in store.rows[table] and rng.random() < 0.3:
            store.delete(table, source, number)
        else:
            store.place(table, source, number, **draw(table, rng))


@pytest.fixture(params=[1, 100_000], ids=["few", "many"])
def store(request, build, postgres, schema_database):
    """Few rows are looked up by indexes, many by other statements and plans (settle.c): the end is the same."""
    made = Store(build, postgres, schema_database, request.param)
    yield made
    made.link.close()


def test_flags_are_what_the_rows_in_force_make_them(store):
    rng, seen = random.Random(7), collections.Counter()
    for _ in range(12):
        change(store, rng)
        store.settle(RULES)
        wanted = expected(store.rows, RULES)
        assert store.flags(RULES) == wanted
        seen.update(name for name, *_ in wanted)
        store.new_batch()
    assert set(seen) == set(RULES) and min(seen.values()) > 3


def test_a_rule_is_asked_again_when_the_other_table_alone_changes(store):
    store.place("patients", "a", "P1", member_id="M1", first_name="F1", last_name="L1", birth_date="2024-01-01")
    store.place("encounters", "a", "E1", source_patient_id="P1", encounter_date="2024-01-01")
    store.place("transactions", "a", "T1", source_patient_id="P1", source_encounter_id="E1", service_date="2024-01-01", amount=50,
                paid_amount=0)
    store.place("claims", "a", "C1", source_patient_id="P1", source_transaction_id="T1", source_encounter_id=None,
                claim_date="2024-01-01", claim_amount=60, paid_amount=20)
    store.settle(RULES)
    assert store.flags(RULES) == expected(store.rows, RULES) == set()
    broken = {
        "served_when_born": lambda: store.place("patients", "a", "P1", **{**store.rows["patients"]["a", "P1"], "birth_date": "2024-01-02"}),
        "encounter_there": lambda: store.delete("encounters", "a", "E1"),
        "paid_once": lambda: store.place("transactions", "a", "T1", **{**store.rows["transactions"]["a", "T1"], "amount": 10}),
        "patient_there": lambda: store.delete("patients", "a", "P1"),
    }
    late = []
    for rule, change_other in broken.items():
        store.new_batch()
        change_other()
        store.settle(RULES)
        wanted = expected(store.rows, RULES)
        assert rule in {name for name, *_ in wanted}
        late += [rule] if store.flags(RULES) != wanted else []
    assert late == []


def test_a_rule_that_changes_or_goes_takes_its_flags_along(store):
    rng = random.Random(3)
    for _ in range(15):
        change(store, rng)
    store.settle(RULES)
    assert store.settle(RULES) == "nothing"
    before = store.flags(RULES)
    assert before == expected(store.rows, RULES)
    other = {**RULES, "few_a_day": RULES["few_a_day"].replace("limit=2", "limit=1")}
    del other["member_once"]
    assert {"few_a_day", "member_once"} <= {name for name, *_ in before}
    store.settle(other)
    after = store.flags(RULES)
    assert after == expected(store.rows, other) and after - before and before - after
    assert store.settle(other) == "nothing"
    # What it says to people is written anew, and nothing else is.
    batches = store.sql("SELECT count(*) FROM silver.transactions GROUP BY batch_id ORDER BY batch_id")
    store.settle({**other, "few_a_day": other["few_a_day"] + " says=few"})
    assert store.sql("SELECT says FROM dq.rule WHERE name = 'few_a_day'") == [("few",)]
    assert batches == store.sql("SELECT count(*) FROM silver.transactions GROUP BY batch_id ORDER BY batch_id")
    store.settle({})
    assert store.flags(RULES) == set()


def test_rows_that_a_rule_marks_go_out_with_settles_batch_and_keep_who_placed_them(store):
    store.place("encounters", "a", "E1", source_patient_id="P1", encounter_date="2024-01-01")
    for number in ("T1", "T2"):
        store.place("transactions", "a", number, source_patient_id="P1", source_encounter_id="E1",
                    service_date="2024-01-01", amount=1, paid_amount=0)
    store.settle({})
    rule = {"one_a_day": "cross_row transactions columns=source_patient_id,service_date total=count compare=<= limit=1"}
    store.settle(rule)
    batch = store.sql("SELECT max(batch_id) FROM ops.batch WHERE feed = 'settle'")[0][0]
    assert store.sql("SELECT batch_id, dq_flags @> '{one_a_day}' FROM silver.transactions") == [(batch, True)] * 2
    assert store.sql("SELECT DISTINCT p.batch_id FROM ops.placed p JOIN silver.transactions ON key = transaction_key "
                     "WHERE entity = 'transactions'") == [(store.batch,)]
    assert store.sql("SELECT rule, checked, failed FROM dq.result WHERE batch_id = %s AND rule = 'one_a_day'",
                     batch) == [("one_a_day", 2, 2)]
