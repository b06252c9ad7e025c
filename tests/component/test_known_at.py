"""What we knew then: silver.<fact>_known_at(instant) against a record that is kept beside (rules, section 7)."""
import contextlib
import random

import pytest

from harness.placer import Killed, Placer

FEEDS = {
    "patients": ("source_patient_id", "first_name", "phone", "source_modified_at"),
    "departments": ("source_department_id", "name"),
    "encounters": ("source_encounter_id", "source_patient_id", "source_department_id", "encounter_date"),
    "transactions": ("source_transaction_id", "source_patient_id", "source_encounter_id", "source_department_id",
                     "service_date", "amount", "paid_amount"),
}
SHOWN = {
    "departments": "source_department_id, name, is_deleted",
    "encounters": "source_encounter_id, source_patient_id, source_department_id, encounter_date::text, is_deleted",
    "transactions": "source_transaction_id, source_patient_id, source_encounter_id, source_department_id, "
                    "service_date::text, amount::text, paid_amount::text, is_deleted",
}


class World(Placer):
    def __init__(self, build, postgres, database):
        super().__init__(build, postgres, database)
        self.link = postgres.connect(database)
        self.link.autocommit = True
        for entity, columns in FEEDS.items():
            self.feed(f"a.{entity}", "a", entity, columns)
        self.there = {entity: {} for entity in SHOWN}  # as it was delivered, by hand
        self.record = []  # (instant, what was there)

    def rows(self, statement, *values):
        with self.link.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    def deliver(self, entity, *rows):
        self.page(f"a.{entity}", rows)
        if entity in self.there:
            self.there[entity].update({row[0]: (*row, False) for row in rows})

    def lose(self, entity, *ids):
        self.gone(f"a.{entity}", ids)
        for number in ids:
            if number in self.there[entity]:
                self.there[entity][number] = (*self.there[entity][number][:-1], True)

    def note(self):
        self.record.append((self.rows("SELECT clock_timestamp()")[0][0],
                            {entity: sorted(rows.values()) for entity, rows in self.there.items()}))

    def known(self, entity, instant):
        return sorted(self.rows(f"SELECT {SHOWN[entity]} FROM silver.{entity}_known_at(%s)", instant))

    def assert_record(self):
        for place, (instant, expected) in enumerate(self.record):
            for entity in SHOWN:
                assert self.known(entity, instant) == expected[entity], (place, entity)


@pytest.fixture
def world(build, postgres, schema_database):
    made = World(build, postgres, schema_database)
    with contextlib.closing(made.link):
        yield made
        made.stop()


def transaction(number, amount="10.00", encounter="E1", patient="P1", department="D1"):
    return number, patient, encounter, department, "2024-01-05", amount, "1.00"


def test_settle_that_writes_in_a_row_does_not_move_when_it_was_known(world):
    world.note()
    world.deliver("departments", ("D1", "Cardiology"))
    world.deliver("transactions", transaction("T1"), transaction("T2"))
    world.note()
    world.settle()  # writes keys, flags and its batch into both rows
    world.note()
    placed, settled = world.rows("SELECT max(batch_id) FILTER (WHERE feed = 'a.transactions'), max(batch_id) FROM ops.batch")[0]
    assert {row[0] for row in world.rows("SELECT batch_id FROM silver.transactions")} == {settled}
    assert {row[0] for row in world.rows("SELECT batch_id FROM silver.transactions_known_at(clock_timestamp())")} == {placed}
    world.deliver("encounters", ("E1", "P1", "D1", "2024-01-05"))
    world.settle()
    world.deliver("transactions", transaction("T1", "20.00"))
    world.note()
    assert world.rows("SELECT batch_from FROM silver.transactions_past") == [(placed,)]
    world.settle()
    world.lose("transactions", "T1")
    world.lose("departments", "D1")
    world.note()
    assert world.rows("SELECT count(*) FROM ops.placed WHERE entity = 'transactions'") == [(1,)], "T2 alone stands as settled"
    world.assert_record()
    assert world.known("transactions", world.record[0][0]) == []


def days(dice, world, step):
    """One thing that happens: pages, deletes, returns, and settles that write in what stands."""
    ids = [f"T{n}" for n in range(12)]
    act = dice.random()
    if act < 0.45:
        world.deliver("transactions", *(transaction(number, f"{dice.randrange(4)}.50", dice.choice(["E1", "E2", None]),
                                                    dice.choice(["P1", "P2"]), dice.choice(["D1", "D2"]))
                                        for number in dice.sample(ids, dice.randrange(1, 6))))
    elif act < 0.6:
        world.deliver("encounters", *((number, dice.choice(["P1", "P2"]), "D1", f"2024-01-{step % 28 + 1:02}")
                                      for number in dice.sample(["E1", "E2"], dice.randrange(1, 3))))
    elif act < 0.7:
        world.deliver("departments", (dice.choice(["D3", "D4"]), f"name {dice.randrange(3)}"))
    elif act < 0.8:
        world.lose("transactions", *dice.sample(ids, 3))
    elif act < 0.85:
        world.lose("encounters", "E1")
    elif act < 0.9:
        world.deliver("patients", ("P1", "Ann", f"+1212555010{dice.randrange(10)}", f"2024-02-{step % 28 + 1:02} 00:00:00"))
    else:
        world.settle()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(2, 12))])
def test_any_history_is_answered_as_it_was_recorded(world, seed):
    dice = random.Random(seed)
    for step in range(40):
        days(dice, world, step)
        if dice.random() < 0.5:
            world.settle()
        world.there["departments"] = {row[0]: tuple(row) for row in world.rows(
            f"SELECT {SHOWN['departments']} FROM silver.departments")}  # settle makes some; not the pages
        world.note()
    assert world.rows("SELECT count(*) > 10 FROM silver.transactions_past") == [(True,)]
    world.assert_record()


@pytest.mark.parametrize("place", ["page.after_silver", "page.before_commit", "page.after_commit"])
def test_killed_while_a_settled_row_changes_the_answer_is_the_same(world, place):
    row = transaction("T1", encounter=None, department=None)
    world.deliver("transactions", row)
    world.note()
    world.settle()
    world.start(REVCYCLED_FAILPOINT=place)
    with pytest.raises(Killed):
        world.page("a.transactions", [transaction("T1", "30.00", None, department=None)])
    world.start()
    world.deliver("transactions", transaction("T1", "30.00", None, department=None))
    world.note()
    world.assert_record()
    assert world.rows("SELECT count(*) FROM ops.placed WHERE entity = 'transactions'") == [(0,)]


def test_each_table_with_a_past_can_be_asked(world):
    tables = [row[0] for row in world.rows("SELECT left(table_name, -5) FROM information_schema.tables "
                                           "WHERE table_schema = 'silver' AND table_name LIKE '%%\\_past' ORDER BY 1")]
    assert len(tables) == 6
    for table in tables:
        assert world.rows(f"SELECT count(*) FROM silver.{table}_known_at(now())") == [(0,)]
