"""Who is one person: rules, contradictions, decisions; against tests/harness/persons.py on random members."""
import io
import itertools
import os
import random
import signal
import subprocess
import time
import uuid

import pytest

from harness.persons import Persons
from harness.postgres import ask
from harness.sample import Sample

OPEN_END = "9999-12-31 00:00+00"
FORGET = "patients, person_link, person_alias, person_split, person_merge, person_review, person_rule"


class Store:
    """One database, and the tool that links in it."""

    def __init__(self, build, postgres, name):
        self.tool = os.path.join(build, "person_tool")
        self.dsn, self.password = postgres.dsn(name), postgres.password("revcycled")
        self.link = postgres.connect(name)
        self.link.autocommit = True
        self.key = 0

    def sql(self, statement, *values):
        return ask(self.link, statement, *values)

    def value(self, statement, *values):
        return self.sql(statement, *values)[0][0]

    def forget(self):
        self.sql("TRUNCATE " + ", ".join("silver." + table for table in FORGET.split(", ")) + ", ops.batch")

    def call(self, *arguments, failpoint=""):
        return subprocess.run([self.tool, self.dsn, *arguments], capture_output=True, text=True, timeout=600,
                              check=False, env={**os.environ, "PGPASSWORD": self.password,
                                                "REVCYCLED_FAILPOINT": failpoint})

    def settle(self, rules=None):
        words = [text for name, attributes in rules or () for text in (name, ",".join(attributes))]
        done = self.call("settle", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def place(self, members, is_deleted=False):
        """What a page would leave: {(source, id): columns}; a known patient's row is replaced. A new one bears an id
        of its own; some have none, as those placed before a row had one."""
        batch = self.value("SELECT nextval('ops.batch_id_seq')")
        self.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                 "VALUES (%s, 'test', 1, %s, 0)", batch, len(members))
        for (source, number), columns in members.items():
            self.key += 1
            gone = self.sql("DELETE FROM silver.patients WHERE source_system = %s AND source_patient_id = %s "
                            "RETURNING person_id", source, number)
            row = {"patient_key": self.key, "source_system": source, "source_patient_id": number,
                   "person_id": gone[0][0] if gone else str(uuid.uuid4()) if self.key % 3 else None, "effective_date": "2020-01-01 00:00+00",
                   "expiry_date": OPEN_END, "is_current": True, "version": 1, "batch_id": batch,
                   "is_deleted": is_deleted, "record_hash": os.urandom(16), **columns}
            self.sql(f"INSERT INTO silver.patients ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                     *row.values())

    def decide(self, verb, *arguments, failpoint=""):
        done = self.call(verb, *arguments, failpoint=failpoint)
        if failpoint:
            assert done.returncode == -signal.SIGKILL, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        outcome, _, person = done.stdout.strip().partition(" ")
        return int(outcome), person or None

    def split(self, members, **more):
        systems, ids = zip(*members)
        return self.decide("split", self.person(members[0]), "{%s}" % ",".join(systems), "{%s}" % ",".join(ids), **more)

    def merge(self, one, other, **more):
        return self.decide("merge", self.person(one), self.person(other), **more)

    def dismiss(self, members, **more):
        review = self.value("SELECT review_id FROM silver.person_review WHERE members = %s",
                            ["|".join(member) for member in sorted(members)])
        return self.decide("dismiss", str(review), **more)

    def person(self, member):
        found = self.sql("SELECT person_id FROM silver.person_link WHERE source_system = %s AND source_patient_id = %s",
                         *member)
        return found[0][0] if found else None

    def rule(self, member):
        return self.value("SELECT rule FROM silver.person_link WHERE source_system = %s AND source_patient_id = %s",
                          *member)

    def groups(self):
        """As the links say; the patients' rows say the same, or this fails."""
        assert self.value("SELECT count(*) FROM silver.patients p LEFT JOIN silver.person_link l "
                          "USING (source_patient_id, source_system) WHERE p.person_id IS DISTINCT FROM l.person_id") == 0
        return sorted([tuple(member.split("|")) for member in row[0]] for row in self.sql(
            "SELECT array_agg(source_system || '|' || source_patient_id ORDER BY source_system COLLATE \"C\", "
            "source_patient_id COLLATE \"C\") FROM silver.person_link GROUP BY person_id"))

    def rules(self):
        return {(source, number): rule for source, number, rule in self.sql(
            "SELECT source_system, source_patient_id, rule FROM silver.person_link")}

    def reviews(self):
        return sorted(([tuple(member.split("|")) for member in members], rule) for members, rule in self.sql(
            "SELECT members, rule FROM silver.person_review WHERE state = 'open'"))

    def assert_as(self, oracle):
        assert self.groups() == oracle.groups()
        assert self.rules() == oracle.rule
        assert self.reviews() == oracle.reviews()


@pytest.fixture(scope="module")
def made(build, postgres, schema_template):
    name = postgres.create_database("t_persons", schema_template)
    store = Store(build, postgres, name)
    yield store
    store.link.close()
    postgres.drop_database(name)


@pytest.fixture
def store(made):
    made.forget()
    return made


ANN = {"first_name": "Ann", "last_name": "O'Brien-Lee", "ssn": "123456789", "birth_date": "1980-02-13",
       "gender": "Female", "phone": "+12025550100", "email": "ann@example.org", "address": "12 Oak St", "zip": "62701",
       "city": "Springfield", "state": "IL"}
WITHOUT_NUMBER = {**ANN, "ssn": None}
TWIN = {**ANN, "first_name": "Amy", "ssn": "123456780"}

OTHER_RULES = [("email", ["birth_date", "email"]), ("number", ["ssn", "last_name"]), ("phone", ["phone", "first_initial"])]
# By those rules alone have the first two something in common, and contradict each other two who call from one number.
MAILBOX = {"birth_date": "2001-01-01", "email": "post@example.org"}
CALLBOX = {"birth_date": "1977-07-07", "phone": "+12025550166"}

# Who stands at another hospital, with what differs; by which rule they are one, None: they are two.
PAIRS = [
    ("all agrees", ANN, {}, "ssn_birth"),
    ("last name misspelt", ANN, {"last_name": "Obrian-Lee"}, "ssn_birth"),
    ("married", ANN, {"last_name": "Young"}, "ssn_birth"),
    ("first name misspelt", ANN, {"first_name": "Anne"}, "ssn_birth"),
    ("moved", ANN, {"address": "9 Elm Rd", "zip": "53703", "city": "Madison", "state": "WI"}, "ssn_birth"),
    ("digits of the birth date exchanged", ANN, {"birth_date": "1908-02-13"}, "ssn_name"),
    ("number missing", ANN, {"ssn": None}, "name_birth_phone"),
    ("number with one wrong digit", ANN, {"ssn": "123456781"}, "name_birth_phone"),
    ("number with two digits exchanged", ANN, {"ssn": "123465789"}, "name_birth_phone"),
    ("number that was never given out", ANN, {"ssn": "900456789"}, "name_birth_phone"),
    ("spelt another way", WITHOUT_NUMBER, {"first_name": "ANN", "last_name": "obrien lee"}, "name_birth_phone"),
    ("accents", {**WITHOUT_NUMBER, "last_name": "Müller"}, {"last_name": "Muller"}, "name_birth_phone"),
    ("phone changed", WITHOUT_NUMBER, {"phone": "+12025550199"}, "name_birth_email"),
    ("phone changed, no e-mail", WITHOUT_NUMBER, {"phone": "+12025550199", "email": None}, "name_birth_address"),
    ("last name misspelt, no number", WITHOUT_NUMBER, {"last_name": "Obrian"}, "first_birth_phone"),
    ("birth date exchanged, no number", WITHOUT_NUMBER, {"birth_date": "1908-02-13"}, "name_phone_email"),
    # and these are two
    ("twin", ANN, TWIN, None),
    ("twin without numbers", WITHOUT_NUMBER, {"first_name": "Amy"}, None),
    ("father and son of one name", ANN, {"ssn": "321456789", "birth_date": "1955-07-02"}, None),
    ("father and son without numbers", WITHOUT_NUMBER, {"birth_date": "1955-07-02"}, None),
    ("namesake born the same day", ANN, {"ssn": "321456789", "phone": "+13125550100", "email": "b@example.org",
                                         "address": "9 Elm Rd", "zip": "53703"}, None),
    ("spouse", ANN, {"first_name": "Carl", "ssn": "321456789", "birth_date": "1979-01-01", "gender": "Male"}, None),
    ("nothing known but the name", {"first_name": "Ann", "last_name": "Lee"}, {}, None),
    ("a number that was never given out, alone", {"ssn": "666456789", "birth_date": "1980-02-13"}, {}, None),
    ("the same number, another birth date", ANN, {"birth_date": "1981-02-13"}, None),
    ("all agrees but the number, by far", ANN, {"ssn": "321654987"}, None),
]


@pytest.mark.parametrize("what, known, other, rule", PAIRS, ids=[pair[0].replace(" ", "-") for pair in PAIRS])
def test_a_pair_is_one_person_by_this_rule_or_two(store, what, known, other, rule):
    rows = {("a", "1"): known, ("b", "2"): {**known, **other}}
    store.place(rows)
    store.settle()
    assert (store.person(("a", "1")) == store.person(("b", "2"))) == (rule is not None), what
    assert {store.rule(member) for member in rows} == {rule or "alone"}
    store.assert_as(Persons(rows))


def test_a_conflict_that_is_gone_links_the_others(store):
    """Of three who agree two have different numbers; the odd one leaves without a trace of the old agreement."""
    rows = {("a", "1"): ANN, ("b", "2"): WITHOUT_NUMBER, ("b", "3"): {**ANN, "ssn": "321654987"}}
    store.place(rows)
    store.settle()
    assert len(store.groups()) == 3 and store.reviews() == [(sorted(rows), "name_birth_phone")]
    gone = {("b", "3"): {"first_name": "Zoe", "last_name": "Young", "birth_date": "1999-09-09"}}
    store.place(gone)
    store.settle()
    store.assert_as(Persons({**rows, **gone}))
    assert store.person(("a", "1")) == store.person(("b", "2")) and store.reviews() == []


def test_who_agrees_with_one_or_another_member_of_a_person_is_that_person(store):
    """By one rule: classes that have a person in common come together, whichever is numbered first."""
    rows = {}
    for n in range(6):
        known = {"first_name": "Ann", "last_name": f"Lee{n}", "birth_date": "1980-02-13"}
        for place, more in enumerate(({"ssn": f"22345678{n}", "phone": "+12025550100"}, {"phone": "+12025550100"},
                                      {"ssn": f"22345678{n}", "phone": "+12025550101"}, {"phone": "+12025550101"})):
            rows[("ab"[place // 2], f"{n}{place}")] = {**known, **more}
    store.place(rows)
    store.settle()
    store.assert_as(Persons(rows))
    assert len(store.groups()) == 6


def test_a_number_that_many_share_is_evidence_again_when_one_of_them_goes(store):
    rows = {("a", str(n)): {"ssn": "345678901", "birth_date": f"198{n}-01-01"} for n in range(4)}
    rows[("b", "9")] = {"ssn": "345678901", "birth_date": "1980-01-01"}
    store.place(rows)
    store.settle()
    assert len(store.groups()) == 5 and store.reviews() == [(sorted(rows), "ssn_shared")]
    rows[("a", "3")] = {"ssn": "111111112", "birth_date": "1983-01-01"}
    store.place({("a", "3"): rows[("a", "3")]})
    store.settle()
    store.assert_as(Persons(rows))
    assert store.person(("a", "0")) == store.person(("b", "9"))


def test_the_older_id_survives_and_the_other_becomes_its_alias(store):
    store.place({("a", "1"): ANN})
    store.settle()
    store.place({("b", "2"): {"last_name": "Lee"}})
    store.settle()
    old, young = store.person(("a", "1")), store.person(("b", "2"))
    store.place({("b", "2"): ANN})
    store.settle()
    assert store.person(("b", "2")) == old
    assert store.sql("SELECT old_id, person_id, rule, run_id FROM silver.person_alias") == [(young, old, "ssn_birth", 812)]
    assert store.sql("SELECT object, details ->> 'old_id', details ->> 'rule' FROM ops.audit "
                     "WHERE action = 'person.merge' AND object = %s", old) == [(old, young, "ssn_birth")]
    assert store.settle() == "nothing"


def test_looking_at_everybody_again_writes_nothing(store):
    rows = a_population(random.Random(7))
    store.place(rows)
    store.settle()
    before = store.sql("SELECT * FROM silver.person_link ORDER BY 1, 2"), store.sql("SELECT * FROM silver.person_review ORDER BY 1")
    store.sql("UPDATE ops.batch SET settled_by = NULL")
    assert store.settle().split()[1] == "0"
    assert before == (store.sql("SELECT * FROM silver.person_link ORDER BY 1, 2"),
                      store.sql("SELECT * FROM silver.person_review ORDER BY 1"))


def test_who_is_alone_keeps_the_id_that_he_came_with(store):
    """And his row is not written again; of two who are one, one row is."""
    rows = {("a", str(n)): {"last_name": f"Lee{n}", "birth_date": "1980-02-13"} for n in range(20)}
    rows |= {("a", "101"): ANN, ("b", "102"): ANN}
    store.place(rows)
    store.sql("UPDATE silver.patients SET person_id = gen_random_uuid(), payer_key = -1")
    borne = dict(store.sql("SELECT source_patient_id, person_id FROM silver.patients"))
    store.settle()
    linked = dict(store.sql("SELECT source_patient_id, person_id FROM silver.person_link"))
    assert sum(borne[number] != linked[number] for number in borne) == 1
    assert linked["101"] == linked["102"] in (borne["101"], borne["102"])
    assert store.value("SELECT count(*) FROM silver.patients JOIN ops.batch USING (batch_id) WHERE feed = 'settle'") == 1
    assert store.value("SELECT count(*) FROM silver.person_alias") == 0


def test_a_deleted_patient_stays_who_he_was(store):
    store.place({("a", "1"): ANN, ("b", "2"): WITHOUT_NUMBER})
    store.settle()
    person = store.person(("a", "1"))
    store.place({("a", "1"): ANN}, is_deleted=True)
    store.settle()
    assert store.groups() == [[("a", "1"), ("b", "2")]] and store.person(("b", "2")) == person
    store.place({("b", "2"): {**WITHOUT_NUMBER, "city": "Madison"}})  # and the other one is still linked with him
    store.settle()
    store.assert_as(Persons({("a", "1"): ANN, ("b", "2"): WITHOUT_NUMBER}))


def test_other_rules_link_everybody_anew_without_a_new_row(store):
    rows = {("a", "1"): ANN, ("b", "2"): {"birth_date": ANN["birth_date"], "email": ANN["email"]}}
    store.place(rows)
    store.settle()
    assert len(store.groups()) == 2
    assert store.settle() == "nothing"
    assert store.settle(OTHER_RULES) != "nothing"
    store.assert_as(Persons(rows, OTHER_RULES))
    assert store.rule(("a", "1")) == "email"
    assert store.settle(OTHER_RULES) == "nothing"


# ---- the sample's people, and many of them ----


def as_placed(row):
    """A patient of the sample as place leaves him in silver.patients."""
    number = row["phone"]
    return {"first_name": row["first"], "middle_name": row["middle"], "last_name": row["last"],
            "ssn": row["ssn"].replace("-", "") or None, "birth_date": row["born"].isoformat(), "gender": row["gender"],
            "phone": f"+1{number[0]}{number[1]:03}{number[2]:04}", "email": row["email"], "address": row["street"],
            "city": row["city"], "state": row["state"], "zip": row["zip"]}


def copy_patients(store, sample):
    """All of them at once: (source, id) of each."""
    out, members = io.StringIO(), []
    batch = store.value("SELECT nextval('ops.batch_id_seq')")
    for hospital in sample.hospitals:
        for row in hospital.patients:
            store.key += 1
            members.append((hospital.name, row["id"]))
            fixed = [store.key, *members[-1], str(uuid.uuid4()), "2020-01-01 00:00+00", OPEN_END, "t", 1, batch,
                     "\\\\x" + os.urandom(16).hex()]
            out.write("\t".join("\\N" if value is None else str(value) for value in [*fixed, *as_placed(row).values()])
                      + "\n")
    columns = ("patient_key, source_system, source_patient_id, person_id, effective_date, expiry_date, is_current, version, "
               "batch_id, record_hash, " + ", ".join(as_placed(row)))
    out.seek(0)
    with store.link.cursor() as cursor:
        cursor.copy_expert(f"COPY silver.patients ({columns}) FROM STDIN", out)
    store.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_new, rows_quarantined) "
              "VALUES (%s, 'test', %s, %s, %s, 0)", batch, *[len(members)] * 3)
    return members


def people_are_told_apart(store, transactions, record_property):
    sample = Sample(transactions)
    sample.make_patients()
    members = copy_patients(store, sample)
    begun = time.monotonic()
    store.settle()
    seconds = time.monotonic() - begun
    one = {frozenset(((a, x), (b, y))): error
           for a, x, b, y, error in sample.people.truth(sample.duplicates)["one"]}
    found = {frozenset(pair) for group in store.groups() for pair in itertools.combinations(group, 2)}
    missed = {pair: error for pair, error in one.items() if pair not in found}
    record_property("shown", f"persons: {len(members)} patients, {len(one)} pairs planted, {len(found)} found, precision "
                    f"{len(found & set(one)) / len(found):.4f}, recall {1 - len(missed) / len(one):.4f}, settled in "
                    f"{seconds:.1f} s")
    assert found <= set(one)  # precision 1.0
    assert len(missed) <= 0.02 * len(one) and set(missed.values()) <= {"first_name", "birth_date_digit"}, missed


def test_a_first_loads_people_are_told_apart(store, record_property):
    """22,000 patients: enough to be looked at all at once. tests/flow/test_sample.py has fewer."""
    people_are_told_apart(store, 110_000, record_property)


@pytest.mark.nightly
def test_very_many_people_are_told_apart(store, record_property):
    """Among so many, chance makes namesakes too; everybody is looked at in one go."""
    people_are_told_apart(store, 2_000_000, record_property)


# ---- random members, random orders ----


def a_member(dice):
    """Few different values, so that much agrees, and contradicts."""
    return {"ssn": dice.choice(["123456789", "123456798", "223456789", "666123456", None, None]),
            "birth_date": dice.choice(["1980-02-13", "1980-03-12", "1908-02-13", "1975-01-01", "1964-01-01", None]),
            "first_name": dice.choice(["Ann", "ANN", "Bob", None]), "last_name": dice.choice(["Lee", "Müller", "Muller"]),
            "gender": dice.choice(["Female", "Unknown"]), "phone": dice.choice(["+12025550100", "+12025550101", None]),
            "email": dice.choice(["a@example.org", "b@example.org", None]),
            "address": dice.choice(["1 Oak St.", "1 OAK ST"]), "zip": dice.choice(["62701", "62701-1234"])}


def a_population(dice):
    return {(source, f"P{n:02}"): a_member(dice) for source in "ab" for n in range(dice.randrange(4, 14))}


def deliveries(dice, rows):
    """Every member once as it is in the end, some of them before that as something else."""
    order = [(member, row) for member, row in rows.items()]
    dice.shuffle(order)
    for member in dice.sample(sorted(rows), len(rows) // 3):
        last = next(i for i, (who, _) in enumerate(order) if who == member)
        order.insert(dice.randrange(last + 1), (member, a_member(dice)))
    return order


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_of_the_oracle_whatever_the_order(store, seed):
    dice = random.Random(seed)
    rows = a_population(dice)
    rules = dice.choice([None, None, OTHER_RULES])
    for shuffle in range(3):
        dice.seed(1000 * seed + shuffle)
        store.forget()
        there, page = {}, {}
        for member, row in deliveries(dice, rows):
            if member in page or dice.random() < 0.2:
                store.place(page)
                page = {}
                if dice.random() < 0.5:
                    store.settle(rules)
                    store.assert_as(Persons(there, rules))
            page[member] = there[member] = row
        store.place(page)
        store.settle(rules)
        assert there == rows
        store.assert_as(Persons(rows, rules))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 500))
def test_many_seeds(store, seed):
    test_groups_are_those_of_the_oracle_whatever_the_order(store, seed)


class Decisions:
    """What people decided, kept as the oracle wants it."""

    def __init__(self):
        self.splits, self.merges = [], []

    def split(self, left, stayed):
        self.splits.append((frozenset(stayed), frozenset(left)))
        torn = [members & side for members in self.merges for side in (frozenset(left), members - frozenset(left))]
        self.merges = [members for members in torn if members]

    def merge(self, members):
        members = frozenset(members)
        self.merges.append(members)
        self.splits = [(left - members, right - members) if left & members and right & members else (left, right)
                       for left, right in self.splits]


def decide_something(dice, store, decisions):
    groups = store.groups()
    large = [group for group in groups if len(group) > 1]
    if large and dice.random() < 0.6:
        group = dice.choice(large)
        left = dice.sample(group, dice.randrange(1, len(group)))
        assert store.split(left)[0] == 0
        decisions.split(left, set(group) - set(left))
    elif len(groups) > 1:
        one, other = dice.sample(groups, 2)
        assert store.merge(one[0], other[0])[0] == 0
        decisions.merge(one + other)


@pytest.mark.parametrize("seed", range(2))
def test_decisions_are_remembered_whatever_is_delivered_afterwards(store, seed):
    dice = random.Random(seed)
    rows, decisions = a_population(dice), Decisions()
    order = list(rows)
    dice.shuffle(order)
    there = {member: rows[member] for member in order[:len(order) // 2]}
    store.place(there)
    store.settle()
    for member in order[len(order) // 2:]:
        for _ in range(dice.randrange(3)):
            decide_something(dice, store, decisions)
            store.assert_as(Persons(there, None, decisions.splits, decisions.merges))
        there[member] = rows[member]
        store.place({member: rows[member]})
        store.settle()
        store.assert_as(Persons(there, None, decisions.splits, decisions.merges))
    # everybody again, in another order: the same
    dice.shuffle(order)
    while order:
        store.place({member: rows[member] for member in order[:3]})
        store.settle()
        del order[:3]
    store.assert_as(Persons(rows, None, decisions.splits, decisions.merges))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_decisions(store, seed):
    test_decisions_are_remembered_whatever_is_delivered_afterwards(store, seed)


# ---- decisions ----

def test_a_split_leaves_the_id_with_those_who_stay_and_both_are_published_again(store):
    store.place({("a", "1"): ANN, ("b", "2"): ANN, ("b", "3"): ANN})
    store.settle()
    person = store.person(("a", "1"))
    outcome, left = store.split([("a", "1")])
    assert outcome == 0 and left == store.person(("a", "1")) != person
    assert store.person(("b", "2")) == store.person(("b", "3")) == person
    assert store.sql("SELECT settled_by = batch_id, publication_id FROM ops.batch WHERE feed = 'persons'") == [(True, None)]
    assert store.value("SELECT count(*) FROM silver.patients JOIN ops.batch USING (batch_id) WHERE feed = 'persons'") == 1
    assert store.value("SELECT count(*) FROM ops.audit WHERE action = 'person.split' AND actor = 'tester' "
                       "AND object = %s", person) == 1
    # a fourth who agrees with all of them belongs to nobody until a person says so
    store.place({("a", "4"): ANN})
    store.settle()
    assert len(store.groups()) == 3 and [rule for _, rule in store.reviews()] == ["ssn_birth"]


def test_a_merge_is_taken_back_by_a_split_and_a_split_by_a_merge(store):
    for rows in ({("a", "1"): ANN}, {("b", "2"): {"last_name": "Lee"}}):
        store.place(rows)
        store.settle()
    old = store.person(("a", "1"))
    assert store.merge(("a", "1"), ("b", "2")) == (0, old)
    assert store.rule(("b", "2")) == "manual" and len(store.groups()) == 1
    assert store.merge(("a", "1"), ("b", "2")) == (0, old)  # once more changes nothing
    assert store.value("SELECT count(*) FROM silver.person_merge") == 2
    assert store.split([("b", "2")])[0] == 0
    store.place({("b", "2"): ANN})
    store.settle()
    assert len(store.groups()) == 2
    store.merge(("a", "1"), ("b", "2"))
    assert len(store.groups()) == 1
    store.place({("b", "2"): {"last_name": "Lee"}})
    store.settle()
    assert len(store.groups()) == 1
    store.place({("b", "2"): ANN, ("b", "3"): ANN})  # nothing parts the two: a third finds one person
    store.settle()
    assert len(store.groups()) == 1 and store.reviews() == []


@pytest.mark.parametrize("seed", range(3))
def test_everybody_looked_at_anew_is_who_the_oracle_says(store, seed):
    """Other rules look at all: linked, alone, decided about, under review, and those whom nobody looked at yet."""
    dice = random.Random(seed)
    rows, decisions = a_population(dice), Decisions()
    rows |= {("c", str(n)): {"last_name": "Lee", "birth_date": f"19{n + 10}-01-01"} for n in range(20)}
    rows |= {("d", "1"): MAILBOX, ("d", "2"): MAILBOX, ("d", "3"): {"first_name": "Zed", **CALLBOX},
             ("d", "4"): {"first_name": "Zoe", **CALLBOX, "birth_date": "1999-09-09"}}
    order = list(rows)
    dice.shuffle(order)
    there = {member: rows[member] for member in order[:len(order) * 2 // 3]}
    store.place(there)
    store.settle()
    decide_something(dice, store, decisions)
    decide_something(dice, store, decisions)
    store.place({member: rows[member] for member in order[len(there):]})
    for rules in (OTHER_RULES, None, [("number", ["ssn"])], None):
        store.settle(rules)
        store.assert_as(Persons(rows, rules, decisions.splits, decisions.merges))
        assert store.value("SELECT count(*) FROM silver.person_alias JOIN silver.person_link ON old_id = "
                           "person_link.person_id") == 0


@pytest.mark.parametrize("members, outcome", [([("a", "1"), ("b", "9")], 2), ([("a", "1"), ("b", "2")], 3)])
def test_a_split_that_cannot_be_changes_nothing(store, members, outcome):
    store.place({("a", "1"): ANN, ("b", "2"): ANN, ("b", "9"): {"last_name": "Lee"}})
    store.settle()
    assert store.split(members) == (outcome, None)
    assert store.value("SELECT count(*) FROM silver.person_split") == 0
    assert store.decide("split", "00000000-0000-0000-0000-000000000000", "{a}", "{1}") == (1, None)


@pytest.mark.parametrize("name", ["person.after_decision", "person.before_commit"])
def test_killed_while_deciding_nothing_is_decided(store, name):
    rows = {("a", "1"): ANN, ("b", "2"): ANN, ("b", "3"): {"last_name": "Lee"}}
    store.place(rows)
    store.settle()
    store.split([("a", "1")], failpoint=name)
    store.merge(("a", "1"), ("b", "3"), failpoint=name)
    store.assert_as(Persons(rows))
    assert store.value("SELECT count(*) FROM ops.batch WHERE settled_by IS NULL") == 0
    assert store.split([("a", "1")])[0] == 0 and store.merge(("b", "2"), ("b", "3"))[0] == 0
    assert store.groups() == [[("a", "1")], [("b", "2"), ("b", "3")]]


def test_a_dismissed_conflict_is_not_listed_again_but_a_new_one_is(store):
    """It is about these members and this rule: a third who joins in makes another conflict."""
    rows = {("a", "1"): ANN, ("b", "2"): {**ANN, "birth_date": "1981-02-14"}}
    store.place(rows)
    store.settle()
    assert store.reviews() == [(sorted(rows), "ssn_birth_date")]
    assert store.dismiss(rows) == (0, None) and store.reviews() == []
    assert store.dismiss(rows) == (0, None)
    assert store.sql("SELECT state, decided_by FROM silver.person_review") == [("dismissed", "tester")]
    assert store.sql("SELECT count(*), min(actor), min(outcome) FROM ops.audit WHERE action = 'person.dismiss' AND object = "
                     "(SELECT review_id::text FROM silver.person_review)") == [(1, "tester", "done")]
    store.place({("b", "2"): {"last_name": "Lee"}})
    store.settle()
    store.place(rows)
    store.settle()
    assert store.reviews() == [] and len(store.groups()) == 2
    third = {("b", "3"): {**ANN, "birth_date": "1982-02-17"}}
    store.place(third)
    store.settle()
    assert store.reviews() == [(sorted({**rows, **third}), "ssn_birth_date")]
    assert store.decide("dismiss", "4711") == (1, None)


def test_killed_while_dismissing_nothing_is_dismissed(store):
    rows = {("a", "1"): ANN, ("b", "2"): {**ANN, "birth_date": "1981-02-14"}}
    store.place(rows)
    store.settle()
    store.dismiss(rows, failpoint="person.before_commit")
    store.assert_as(Persons(rows))
    assert store.value("SELECT count(*) FROM ops.audit WHERE action = 'person.dismiss' AND outcome = 'done' AND object IN "
                       "(SELECT review_id::text FROM silver.person_review)") == 0
    assert store.dismiss(rows)[0] == 0
