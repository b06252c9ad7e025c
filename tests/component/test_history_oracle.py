"""Random histories, delivered anyhow, against the model of what the versions must be (harness/history_model.py).

A seed is a story: what a hospital's patients were, and the deliveries that tell of it: live pages, late and repeated
ones, pages of the past in any order, rows that go and return, clocks that jump, a crash in the midst of a page. After
every delivery the versions are compared with the model. Seeds share pages of one source under ids of their own; facts
are settled together after each act. A seed that fails is told again with ever less, and prints what is left.
"""
import contextlib
import datetime
import random
from dataclasses import dataclass, field

import pytest

from harness.history_model import OPEN_END, Member
from harness.placer import START, Killed, Placer, Refused

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
COLUMNS = ("source_patient_id", "first_name", "last_name", "ssn", "phone", "email:ignore", "source_modified_at")
FACT = ("source_encounter_id", "source_patient_id", "encounter_date", "encounter_type")
PHONES = (None, "+12125550100", "+12125550101")
NAMES = ("Ann", "Bea")
PLACES = ("page.after_lock", "page.after_members", "page.after_bronze", "page.after_silver", "page.before_commit",
          "page.after_commit")
ACTS = 3


@dataclass
class Delivery:
    kind: str            # now, past, gone, facts
    rows: list = field(default_factory=list)  # (member, content, ssn, modified) or (fact, member, day, type) or member
    received: int = 0
    source_now: int = 0
    crash: str = None


# ---- stories


def instant(chance, clock):
    """Few instants, so that they meet; now and then one a microsecond beside."""
    at = START + chance.randrange(0, 24) * 6 * HOUR
    return min(at, clock) + (chance.randrange(-1, 2) if chance.random() < 0.1 else 0)


def life(chance):
    """What one patient was, as the hospital's own history table has it."""
    when = sorted(chance.sample(range(24), chance.randrange(2, 6)))
    return [(START + hours * 6 * HOUR, (chance.choice(NAMES), chance.choice(PHONES)), chance.randrange(2))
            for hours in when]


def row_now(chance, member, lives, clock):
    shown = [line for line in lives[member] if line[0] <= clock] or lives[member][:1]
    modified, content, ssn = shown[-1] if chance.random() < 0.7 else chance.choice(lives[member])
    whim = chance.random()
    if whim < 0.1:
        modified = None
    elif whim < 0.2:
        modified = clock + HOUR  # the future
    elif whim < 0.35:
        modified = instant(chance, clock)
    if chance.random() < 0.15:
        content = (chance.choice(NAMES), chance.choice(PHONES))
    return member, content, ssn, modified


def row_past(chance, member, lives, clock):
    modified, content, ssn = chance.choice(lives[member])
    whim = chance.random()
    if whim < 0.2:
        modified = instant(chance, clock)
    elif whim < 0.25:
        modified = chance.choice((None, clock + HOUR))
    if chance.random() < 0.1:
        content = (chance.choice(NAMES), chance.choice(PHONES))
    return member, content, ssn, modified


def deliveries_of_act(chance, members, lives, clock):
    told = []
    for _ in range(chance.randrange(2, 6)):
        clock += chance.choice((0, HOUR, 12 * HOUR, 24 * HOUR, -HOUR))
        received = clock + chance.choice((0, 0, 1, HOUR, -2 * DAY))
        kind = chance.choices(("now", "past", "gone", "facts", "repeat"), (5, 4, 1, 1, 1))[0]
        if kind == "repeat" and told:
            again = chance.choice(told)
            told.append(Delivery(again.kind, again.rows, received, clock))
            continue
        some = [chance.choice(members) for _ in range(chance.randrange(1, 4))]
        if kind == "past":
            rows = [row_past(chance, member, lives, clock) for member in some]
        elif kind == "gone":
            rows = some[:1]
        elif kind == "facts":
            rows = [(f"{member}/{chance.randrange(3)}", member, chance.randrange(-1, 8), chance.choice("xyz"))
                    for member in some]
        else:
            kind, rows = "now", [row_now(chance, member, lives, clock) for member in some]
        crash = chance.choice(PLACES) if chance.random() < 0.01 else None
        told.append(Delivery(kind, rows, received, clock, crash))
    return told, clock


def story(seed):
    """Three acts of deliveries; settle comes after each."""
    chance = random.Random(seed)
    members = [f"P{n}" for n in range(chance.randrange(1, 3))]
    lives = {member: life(chance) for member in members}
    acts, clock = [], START + 2 * DAY
    for _ in range(ACTS):
        told, clock = deliveries_of_act(chance, members, lives, clock)
        acts.append(told)
    return acts


# ---- the stage


def text(at):
    return at if at is None else (datetime.datetime(2024, 1, 1) + datetime.timedelta(microseconds=at - START)).isoformat(" ")


class Stage(Placer):
    def __init__(self, build, postgres, database):
        super().__init__(build, postgres, database)
        self.link = postgres.connect(database)
        self.link.autocommit = True
        self.feed("o.now", "o", "patients", COLUMNS)
        self.feed("o.past", "o", "patients", COLUMNS, "past")
        self.feed("o.facts", "o", "encounters", FACT)

    def ask(self, statement, *values):
        with self.link.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def crash(self, place, deliver):
        self.start(REVCYCLED_FAILPOINT=place)
        with contextlib.suppress(Killed):
            deliver()
        self.start()


VERSIONS = """
SELECT source_patient_id, patient_key, version, (extract(epoch FROM effective_date) * 1000000)::bigint,
       (extract(epoch FROM expiry_date) * 1000000)::bigint, is_current, is_deleted, is_inferred,
       'time_inferred' = ANY (dq_flags), first_name, phone, ssn
FROM silver.patients WHERE source_patient_id = ANY (%s) ORDER BY source_patient_id, version"""


class Wrong(AssertionError):
    pass


def demand(holds, *what):
    if not holds:
        raise Wrong(" ".join(map(str, what)))


class Telling:
    """One seed's deliveries on the stage, under ids that begin with `name`, beside the model of them."""

    def __init__(self, stage, name, number):
        self.stage, self.name, self.number = stage, name, number
        self.members, self.facts, self.keys, self.blank = {}, {}, {}, {}
        self.knowledge = []  # (batch, what facts said)

    def id(self, member):
        return f"{self.name}.{member}"

    def ssn(self, member, variant):
        return str(100_000_000 + self.number * 20 + int(member[1:]) * 2 + variant)

    def _row(self, row):
        member, content, variant, modified = row
        return (self.id(member), content[0], "Lee", self.ssn(member, variant), content[1], None, text(modified))

    def _send(self, delivery):
        stage = self.stage
        if delivery.kind == "gone":
            return stage.gone("o.now", [self.id(delivery.rows[0])], delivery.received)
        if delivery.kind == "facts":
            rows = [(self.id(fact), self.id(member), text(START + day * DAY)[:10], kind)
                    for fact, member, day, kind in delivery.rows]
            return stage.page("o.facts", rows, delivery.received, delivery.source_now)
        return stage.page(f"o.{delivery.kind}", list(map(self._row, delivery.rows)), delivery.received,
                          delivery.source_now)

    def _believe(self, delivery):
        if delivery.kind == "facts":
            for fact, member, day, kind in delivery.rows:
                self.facts[fact] = (member, day, kind)
            return
        rows = delivery.rows
        if delivery.kind == "now":  # the same key twice in a page: the newest counts, of equal ones the last
            newest = {}
            for place, row in enumerate(rows):
                rank = (row[3] is not None, row[3] or 0, place)
                newest[row[0]] = max(newest.get(row[0], (rank, row)), (rank, row), key=lambda ranked: ranked[0])
            rows = [row for _, row in newest.values()]
        for row in rows:
            member = self.members.setdefault(row if delivery.kind == "gone" else row[0], Member())
            if delivery.kind == "gone":
                member.gone(delivery.received)
            elif delivery.kind == "now":
                member.now(row[1], row[2], row[3], delivery.received, delivery.source_now)
            else:
                member.past(row[1], row[2], row[3], delivery.source_now)

    def deliver(self, delivery):
        if delivery.crash:
            self.stage.crash(delivery.crash, lambda: self._send(delivery))
        self._send(delivery)
        self._believe(delivery)
        if delivery.kind == "facts":
            self._learn()
        self.check_versions()

    def _learn(self):
        batch = self.stage.ask("SELECT last_value FROM ops.batch_id_seq")[0][0]
        self.knowledge.append((batch, {fact: kind for fact, (_, _, kind) in self.facts.items()}))

    def check_versions(self):
        found = {}
        for line in self.stage.ask(VERSIONS, [self.id(member) for member in ("P0", "P1")]):
            found.setdefault(line[0].rsplit(".", 1)[1], []).append(line[1:])
        keys = {}
        for name, member in self.members.items():
            expected, lines = member.versions(), found.pop(name, [])
            if lines and lines[0][6] and not expected:
                self.blank[name] = lines[0][0]
                continue
            self.check_shape(name, lines)
            self.check_member(name, member, expected, lines)
            keys[name] = {line[2]: (line[0], line[8:10], line[5]) for line in lines}
            if name in self.blank:
                demand(self.blank[name] in [line[0] for line in lines], name, "the inferred member's key is gone")
                del self.blank[name]
            for start, (key, content, deleted) in keys[name].items():
                before = self.keys.get(name, {}).get(start)
                demand(not before or before[1:] != (content, deleted) or before[0] == key, name, "another key at", start)
        demand(not [lines for lines in found.values() if not lines[0][6]], "versions of nobody", found)
        self.keys = keys

    @staticmethod
    def check_shape(name, lines):
        demand([line[1] for line in lines] == list(range(1, len(lines) + 1)), name, "numbers", lines)
        demand([line[4] for line in lines] == [False] * (len(lines) - 1) + [True] * bool(lines), name, "current", lines)
        demand(all(line[2] < line[3] for line in lines), name, "empty interval", lines)
        demand([line[3] for line in lines[:-1]] == [line[2] for line in lines[1:]], name, "holes or overlaps", lines)
        demand(not lines or lines[-1][3] == OPEN_END, name, "end", lines)

    def check_member(self, name, member, expected, lines):
        ours = [(line[2], line[3], line[8:10], line[5], line[7]) for line in lines]
        theirs = [(version.start, version.end, version.content, version.deleted, version.inferred)
                  for version in expected]
        demand(ours == theirs, name, "\n   stored:", *(f"\n      {line}" for line in ours),
               "\n   model: ", *(f"\n      {line}" for line in theirs))
        ssns = {line[10] for line in lines}
        demand(not lines or ssns == {self.ssn(name, member.overwritten)}, name, "ssn", ssns, member.overwritten)

    def check_facts(self):
        """After settle: every fact points at the version of its day."""
        rows = self.stage.ask(
            "SELECT f.source_encounter_id, p.source_patient_id, p.version FROM silver.encounters f "
            "LEFT JOIN silver.patients p USING (patient_key) WHERE f.source_encounter_id LIKE %s", self.name + ".%")
        expected = {}
        for fact, (name, day, _) in self.facts.items():
            member = self.members.setdefault(name, Member())
            expected[self.id(fact)] = (self.id(name), member.as_of(START + (day + 1) * DAY))
        found = {fact: (patient, version) for fact, patient, version in rows}
        demand(found == expected, "as of:", found, "must be", expected)
        self.check_versions()

    def check_knowledge(self):
        """What we knew when, from the facts and their past."""
        for batch, said in self.knowledge:
            found = self.stage.ask(
                "SELECT source_encounter_id, encounter_type FROM (SELECT DISTINCT ON (source_encounter_id) * FROM ("
                "SELECT source_encounter_id, encounter_type, batch_to FROM silver.encounters_past "
                "WHERE source_encounter_id LIKE %s AND batch_to > %s UNION ALL "
                "SELECT source_encounter_id, encounter_type, 1::bigint << 62 FROM silver.encounters "
                "WHERE source_encounter_id LIKE %s) AS known ORDER BY source_encounter_id, batch_to) AS knew",
                self.name + ".%", batch, self.name + ".%")
            known = {fact: kind for fact, kind in found if fact.split(".", 1)[1] in said}
            demand(known == {self.id(fact): kind.upper() for fact, kind in said.items()}, "known at", batch, known, said)


def tell(stage, stories):
    """{seed: what went wrong}; stories: {seed: (name, acts)}"""
    tellings = {seed: Telling(stage, name, seed) for seed, (name, _) in stories.items()}
    failed = {}
    for act in range(ACTS):
        for seed, (_, acts) in stories.items():
            with noting(failed, seed):
                for delivery in acts[act] if seed not in failed else ():
                    tellings[seed].deliver(delivery)
        stage.settle()
        for seed, telling in tellings.items():
            with noting(failed, seed):
                if seed not in failed:
                    telling.check_facts()
                    telling.check_knowledge()
    return failed


@contextlib.contextmanager
def noting(failed, seed):
    try:
        yield
    except (Wrong, Refused) as wrong:
        failed[seed] = str(wrong)


def without(acts):
    """The same story with one delivery or one row less."""
    for a, act in enumerate(acts):
        for d, delivery in enumerate(act):
            yield [*acts[:a], [*act[:d], *act[d + 1:]], *acts[a + 1:]]
            for r in range(len(delivery.rows) if len(delivery.rows) > 1 else 0):
                less = Delivery(delivery.kind, [*delivery.rows[:r], *delivery.rows[r + 1:]], delivery.received,
                                delivery.source_now, delivery.crash)
                yield [*acts[:a], [*act[:d], less, *act[d + 1:]], *acts[a + 1:]]


def shrunk(stage, seed, acts, sentence):
    """The least story that still goes wrong, and how."""
    number, smaller = 0, True
    while smaller:
        smaller = False
        for candidate in without(acts):
            number += 1
            failed = tell(stage, {seed: (f"s{seed}-{number}", candidate)})
            if failed:
                acts, sentence, smaller = candidate, failed[seed], True
                break
    return acts, sentence


def report(stage, seed, sentence):
    acts, sentence = shrunk(stage, seed, story(seed), sentence)
    lines = [f"seed {seed}: {sentence}", "told by:"]
    for act in acts:
        lines += [f"   {delivery}" for delivery in act] + ["   settle"]
    return "\n".join(lines)


def run_seeds(stage, seeds):
    failed = {}
    for first in range(0, len(seeds), 100):
        some = seeds[first:first + 100]
        failed.update(tell(stage, {seed: (f"s{seed}", story(seed)) for seed in some}))
        if failed:
            break
    if failed:
        seed, sentence = min(failed.items())
        pytest.fail(f"{len(failed)} of {len(seeds)} seeds go wrong\n{report(stage, seed, sentence)}", pytrace=False)


@pytest.fixture
def stage(build, postgres, schema_database):
    made = Stage(build, postgres, schema_database)
    with contextlib.closing(made.link):
        yield made
        made.stop()


def test_three_hundred_histories_are_what_the_rules_say(stage):
    run_seeds(stage, range(300))


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 11000, 1000))
def test_ten_thousand_histories_are_what_the_rules_say(stage, first):
    run_seeds(stage, range(first, first + 1000))
