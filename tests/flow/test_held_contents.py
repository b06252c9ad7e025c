"""Rows of claims files without an id: what quarantine holds of them follows from the files, whichever was read first.

Every file has an entry of its own for a content, on the first line that says it; of a content's the last counts, by period and
then by arrival. What is expected is counted here from the files.
"""
import contextlib
import itertools
import json
import random
import re
import signal
import threading

import pytest

from harness import dump, x12
from test_claims import make_claims, migration, row, text, wait_until  # noqa: F401  (a fixture and what it makes)
from test_plan_files import assert_told, running  # noqa: F401  (a fixture)
from test_read_anew import NAME, OTHER, ask, way
from test_remap_claims import ASKED, READABLE, ask_when, configure, statement
from test_remittances import CORRECTION, DENIED, PAID, desk, make_desk, remit  # noqa: F401  (fixtures)

LATER, NAMELESS = "hospital1_2024-04.csv", "hospital1_extra.csv"  # the latter of no period
ENTRIES = ("SELECT name, line::int, raw ->> 'ClaimAmount', q.state FROM dq.quarantine q JOIN ops.file f USING (file_id) "
           "WHERE withdrawn_at IS NULL AND natural_key IS NULL AND raw ->> 'ClaimAmount' ~ '^[0-9.]+$' ORDER BY 3, f.period COLLATE \"C\" NULLS FIRST, file_id, line")
STATES = "SELECT quarantine_id, state, withdrawn_at FROM dq.quarantine ORDER BY 1"
FROM_TRANSACTION = ("source_claim_id: ClaimID", "source_claim_id: TransactionID")  # a mapping that finds an id


def blank(amount):
    """Without an id, and otherwise told by the amount; what it would have as an id stands elsewhere."""
    fields = row("", amount=amount)
    fields[1] = "T" + amount.replace(".", "")
    return fields


def entries(claims, *states):  # noqa: F811
    return [entry for entry in claims.rows(ENTRIES) if not states or entry[3] in states]


def expected(files):
    """Of these files [(name, period, rows)], in the order they came."""
    found = {}
    for number, (name, period, rows) in enumerate(files):
        for line, fields in reversed(list(enumerate(rows, 2))):
            if fields[0] == "":
                found.setdefault(fields[9], {})[(period or "", number)] = (name, line)  # the first line last
    return sorted((amount, place, name, line, "open" if place == max(said) else "superseded")
                  for amount, said in found.items() for place, (name, line) in said.items())


def assert_held(claims, files):  # noqa: F811
    assert entries(claims) == [(name, line, amount, state) for amount, _, name, line, state in expected(files)]
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE (state = 'superseded') <> (ended_at IS NOT NULL)") == [(0,)]


@pytest.mark.parametrize("page_rows", [2, 5000])
def test_which_entry_counts_does_not_hang_on_which_file_was_read_first(make_claims, page_rows):  # noqa: F811
    """Four files in all 24 orders, each with contents of its own; some say one several times."""
    claims, runs, sets = make_claims(page_rows=page_rows), [[] for _ in range(4)], []
    for number, order in enumerate(itertools.permutations(range(4))):
        x, y, z = (f"{number + 100}.{cents}" for cents in (10, 20, 30))
        rows = [[blank(x), row(f"C{number}"), blank(y), blank(x), blank(x)], [blank(y), blank(x)], [blank(x), blank(z), blank(x)], [blank(z), blank(y)]]
        files = [(f"hospital1_{number}_{kind}" + (f"_2024-0{kind}" if kind else "") + ".csv", f"2024-0{kind}" if kind else None, rows[kind])
                 for kind in range(4)]
        sets.append([files[kind] for kind in order])
        for run, kind in zip(runs, order):
            run.append(files[kind])
    for run in runs:
        for name, _, rows in run:
            claims.put(name, text(rows))
        claims.once()
    assert entries(claims) == [(name, line, amount, state) for files in sets for amount, _, name, line, state in expected(files)]
    assert claims.rows("SELECT sum(rows_quarantined)::int, sum(rows_same)::int, sum(rows_read)::int FROM ops.file") == [(24 * 12 - 24, 0, 24 * 12)]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_held_of_files_of_chance_is_what_is_counted_from_them(make_claims, seed):  # noqa: F811
    choice = random.Random(seed)
    claims, files = make_claims(page_rows=choice.choice([1, 3, 5000])), []
    for number in range(8):
        period = choice.choice([None, "2024-01", "2024-02", "2024-03"])
        rows = [blank(f"{choice.randint(1, 4)}.00") if choice.random() < 0.6 else row(f"C{number}N{i}") for i in range(choice.randint(1, 9))]
        files.append((f"hospital1_{number}" + (f"_{period}" if period else "") + ".csv", period, rows))
    for name, _, rows in files:
        claims.put(name, text(rows))
        if choice.random() < 0.6:
            claims.once()
    claims.once()
    assert_held(claims, files)
    again = choice.choice(files)
    before = claims.rows(STATES)
    claims.store.execute(f"UPDATE ops.file SET replay_asked_at = now() WHERE name = '{again[0]}'", claims.database)
    claims.once()
    assert claims.rows(STATES) == before  # nothing is news


def test_a_file_that_is_read_anew_alike_counts_its_rows_as_held(make_claims):  # noqa: F811
    claims = make_claims(page_rows=2)
    claims.put(NAME, text([blank("1.00"), row("C2"), blank("1.00"), blank("1.00"), blank("2.00")]))
    claims.put(OTHER, text([blank("1.00")]))
    claims.once()
    before = claims.rows(STATES)
    for _ in range(2):
        ask(claims)
        claims.once()
        assert claims.rows(f"SELECT rows_read, rows_same, rows_quarantined FROM ops.file WHERE name = '{NAME}'") == [(5, 1, 4)]
        with open(f"{claims.drop}/done/{NAME}.report.txt", encoding="utf-8") as report:
            told = report.read()
        assert "quarantined 4" in told and "rule key_missing: 4" in told and "line 2: " in told and "; the same: 4, 5\n" in told and "line 6: " in told
    assert claims.rows(STATES) == before


def misread(claims):  # noqa: F811
    """Lines within quotes were taken for rows: March's file seems to say two contents that February's and an extra one do."""
    configure(claims, way("quote: none"))
    claims.put(OTHER, text([blank("1.00")]))
    claims.put(NAMELESS, text([blank("1.00"), blank("2.00")]))
    claims.once()
    within = [",".join(blank("1.00")), ",".join(blank("2.00"))]
    claims.put(NAME, text([row("C1", payer="\n".join(['"Aet', *within, 'na"'])), row("C2"), row("C3")]))
    claims.once()
    return [(NAME, 3, "1.00", "open"), (NAME, 4, "2.00", "open")]


RIGHTLY = [(OTHER, 2, "1.00", "open"), (NAMELESS, 3, "2.00", "open")]


def test_when_the_one_that_counts_goes_the_last_of_the_others_takes_its_place(make_claims):  # noqa: F811
    claims = make_claims(page_rows=2)
    assert misread(claims) == entries(claims, "open")
    configure(claims, way("quote: double"))
    ask(claims)
    claims.once()
    assert entries(claims, "open") == RIGHTLY
    assert entries(claims, "superseded") == [(NAMELESS, 2, "1.00", "superseded")]


@pytest.mark.parametrize("later", ["another file says it", "its file is read anew and does not say it"])
def test_a_content_that_a_person_asked_for_is_tried_whichever_file_says_it_last_by_then(make_claims, later):  # noqa: F811
    claims = make_claims(page_rows=2)
    if later == "another file says it":
        claims.put(NAME, text([blank("1.00")]))
        claims.once()
        ask_when(claims, "INSERT ON dq.quarantine")
        claims.put(LATER, text([blank("1.00"), row("C1")]))
    else:
        misread(claims)
        configure(claims, way("quote: double"))
        ask(claims)
        ask_when(claims, "UPDATE ON ops.file", "OLD.state <> 'receiving' AND NEW.state = 'receiving'")
    claims.once()
    assert {entry for entry in claims.rows(ASKED) if entry[2]} == {(NAME, "superseded", True)}
    claims.store.execute("DROP FUNCTION public.asks CASCADE; UPDATE dq.quarantine SET mapping_version = 0", claims.database)
    claims.once()
    assert [entry for entry in claims.rows(ASKED) if entry[2]] == []
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE mapping_version = 0 AND withdrawn_at IS NULL") == [(0,)]


POINTS = [f"{point}:{hit}" for hit in (1, 2) for point in (
    "page.after_withdrawn", "page.after_bronze", "page.after_silver", "page.after_decided", "page.before_commit", "page.after_commit")]


def test_killed_anywhere_it_takes_its_place_all_the_same(make_claims):  # noqa: F811
    killed, calm = make_claims(page_rows=2), make_claims(page_rows=2)
    for claims in (killed, calm):
        assert misread(claims) == entries(claims, "open")
        configure(claims, way("quote: double"))
        ask(claims)
    n_killed = 0
    for point in POINTS:
        n_killed += killed.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL
    assert n_killed >= 4
    for claims in (killed, calm):
        claims.once()
        assert entries(claims, "open") == RIGHTLY
    dump.assert_equal(calm.dump(dump.KILL), killed.dump(dump.KILL))


def content_of_chance(choice, number):
    """Contents that files share, within quotes and without."""
    rows = []
    for i in range(choice.randint(1, 8)):
        within = [",".join(blank(f"{choice.randint(1, 3)}.00")) for _ in range(choice.randint(1, 3))]
        rows.append(choice.choice([blank(f"{choice.randint(1, 3)}.00"), row(f"C{number}N{i}"), row(f"D{number}N{i}", amount="ten"),
                                   row(f"Q{number}N{i}", payer="\n".join(['"Aet', *within, 'na"']))]))
    return text(rows)


def files_of_chance(choice):
    return [(f"hospital1_{number}{choice.choice(['', '_2024-01', '_2024-02', '_2024-03'])}.csv", content_of_chance(choice, number))
            for number in range(5)]


def any_way(choice):
    return way("quote: " + choice.choice(["none", "double"]))


# Of each content the last one counts, and nothing else does.
UNLIKE = """SELECT * FROM (
    SELECT quarantine_id, state, row_number() OVER (PARTITION BY source_system, source_hash
                                                    ORDER BY file_period DESC NULLS LAST, file_id DESC, line DESC) AS n
    FROM dq.quarantine WHERE natural_key IS NULL AND state <> 'replayed' AND withdrawn_at IS NULL) AS e
WHERE (n = 1) <> (state = 'open')"""


@pytest.mark.parametrize("seed", range(4))
def test_read_anew_in_ways_of_chance_and_killed_it_ends_as_if_it_had_been_read_rightly_once(make_claims, seed):  # noqa: F811
    choice = random.Random(seed)
    claims, calm, files = make_claims(page_rows=choice.choice([1, 2, 3, 50])), make_claims(), files_of_chance(choice)
    configure(claims, any_way(choice))
    for name, content in files:
        claims.put(name, content)
    claims.once()
    for _ in range(3):
        configure(claims, any_way(choice))
        asked = ", ".join(f"'{name}'" for name, _ in choice.sample(files, 3))
        claims.store.execute(f"UPDATE ops.file SET replay_asked_at = now() WHERE name IN ({asked})", claims.database)
        for point in choice.sample(POINTS, 2):
            claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point)
            assert claims.rows(UNLIKE) == []
        claims.once()
        assert claims.rows(UNLIKE) == []
    for world in (claims, calm):
        configure(world, way("quote: double"))
    claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
    for name, content in files:
        calm.put(name, content)
    for world in (claims, calm):
        world.once()
        assert world.rows(UNLIKE) == []
    assert entries(claims) == entries(calm)
    counted = "SELECT name, rows_read, rows_quarantined FROM ops.file ORDER BY 1"
    assert claims.rows(counted) == calm.rows(counted)


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_tells_the_same_of_files_that_failed_and_come_again_in_ways_of_chance(make_claims, seed):  # noqa: F811
    choice = random.Random(seed)
    claims, files = make_claims(page_rows=choice.choice([1, 2, 3, 50])), files_of_chance(choice)
    claims.daemon.make_token()
    configure(claims, any_way(choice))
    for name, content in files[:3]:
        claims.put(name, content)
    claims.once()
    for _ in range(3):
        configure(claims, any_way(choice), *choice.choice([[], [("      paid_amount: PaidAmount", "      paid_amount: Copay")]]))
        for name, content in choice.sample(files, 3):
            claims.store.execute(f"UPDATE ops.file SET state = 'failed' WHERE name = '{name}'", claims.database)
            claims.put(choice.choice([name, name.replace("_2024-01", "_2024-03")]), content)
        assert_planned(claims)


def assert_planned(claims):  # noqa: F811
    done = claims.daemon.run("plan", "claims.monthly", timeout=120)
    assert done.returncode == 0, done.stderr
    told = tuple(int(number) for number in re.search(r"^claims\.monthly +(\d+) +(\d+) +(\d+)$", done.stdout, re.M).groups())
    newest = claims.rows("SELECT max(run_id) FROM ops.run")[0][0]
    claims.once()
    assert claims.rows("SELECT rows_read, rows_changed, rows_quarantined FROM ops.run WHERE job = 'claims.monthly' "
                       f"AND run_id > {newest}") == [told]
    return told


def test_of_a_file_that_is_read_as_another_months_the_entries_go_there(make_claims):  # noqa: F811
    claims = make_claims(page_rows=2)
    configure(claims, (', period: "_([0-9]{4}-[0-9]{2})"', ""))
    rows = [blank("1.00"), row("C1"), row("C2"), blank("1.00"), blank("1.00")]
    claims.put(NAME, text(rows))
    claims.once()
    claims.put(OTHER, text(rows[:1]))
    claims.once()
    assert entries(claims) == [(NAME, 2, "1.00", "superseded"), (OTHER, 2, "1.00", "open")]  # no periods: it came last
    configure(claims)
    for name in (OTHER, NAME):
        claims.store.execute(f"UPDATE ops.file SET replay_asked_at = now() WHERE name = '{name}'", claims.database)
        claims.once()
    assert entries(claims) == [(OTHER, 2, "1.00", "superseded"), (NAME, 2, "1.00", "open")]


def test_the_first_line_that_says_it_has_the_entry_also_when_its_file_is_read_anew(make_claims):  # noqa: F811
    """An earlier line says it now, which stood within quotes before; then no more, and the later one does."""
    claims = make_claims(page_rows=2)
    first = row("C1", payer="\n".join(['"Aet', ",".join(blank("1.00")), 'na"']))
    claims.put(NAME, text([first, row("C2"), row("C3"), blank("1.00"), row("C4"), blank("1.00")]))
    claims.put(OTHER, text([blank("1.00")]))
    for quote, line in (("double", 7), ("none", 3), ("double", 7)):
        configure(claims, way(f"quote: {quote}"))
        ask(claims)
        claims.once()
        assert entries(claims) == [(OTHER, 2, "1.00", "superseded"), (NAME, line, "1.00", "open")], quote


def dismiss(claims, name):  # noqa: F811
    ((entry,),) = claims.rows("SELECT quarantine_id FROM dq.quarantine q JOIN ops.file f USING (file_id) "
                              f"WHERE name = '{name}' AND q.state = 'open' AND raw ->> 'ClaimAmount' = '1.00'")
    claims.daemon.start()
    try:
        assert claims.daemon.post(f"/v1/quarantine/{entry}/dismiss")[0] == 200
    finally:
        claims.daemon.stop()


def test_what_a_person_dismissed_stays_so_whichever_file_says_it(make_claims):  # noqa: F811
    claims = make_claims()
    claims.daemon.make_token()
    claims.put(OTHER, text([blank("1.00"), blank("2.00")]))
    claims.put(NAMELESS, text([blank("1.00")]))
    claims.once()
    dismiss(claims, OTHER)
    assert entries(claims, "open", "dismissed") == [(OTHER, 2, "1.00", "dismissed"), (OTHER, 3, "2.00", "open")]
    claims.put(LATER, text([blank("1.00"), blank("2.00"), blank("3.00")]))
    claims.put("hospital1_2024-01.csv", text([blank("1.00"), blank("3.00")]))
    claims.once()
    assert entries(claims, "open", "dismissed")[:2] == [(LATER, 2, "1.00", "dismissed"), (LATER, 3, "2.00", "open")]
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE raw ->> 'ClaimAmount' = '1.00' AND dismissed_at IS NULL") == [(0,)]
    configure(claims, FROM_TRANSACTION)
    claims.once()  # cleaned again, what was dismissed is passed by
    assert entries(claims, "open", "dismissed") == [(LATER, 2, "1.00", "dismissed")]
    assert claims.rows("SELECT source_claim_id FROM silver.claims ORDER BY 1") == [("T200",), ("T300",)]


@pytest.mark.parametrize("rows, mend, placed", [
    ([blank("1.00"), blank("2.00")], FROM_TRANSACTION, [("T200",)]),
    ([row("C1", amount="x"), row("C2", amount="x")], READABLE, [("C2",)]),
], ids=["without an id", "with one"])
def test_what_is_dismissed_while_a_file_of_an_earlier_month_says_it_stays_so(make_claims, rows, mend, placed):  # noqa: F811
    """Neither sees the other: the page's entry bears no date, and does not count."""
    claims = make_claims()
    claims.put(LATER, text(rows[:1]))
    claims.once()
    claims.store.execute(
        "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$; "
        "CREATE TRIGGER waits AFTER INSERT ON dq.quarantine FOR EACH ROW EXECUTE FUNCTION waits()", claims.database)
    claims.put("hospital1_2024-01.csv", text(rows))
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")
        link.commit()
        run = threading.Thread(target=claims.once)
        run.start()
        wait_until(lambda: claims.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711"))
        cursor.execute(statement("quarantine.sql", "quarantine_dismiss").replace("$1", "(SELECT min(quarantine_id) FROM dq.quarantine)"))
        link.commit()
        cursor.execute("SELECT pg_advisory_unlock(4711)")
        link.commit()
        run.join()
    assert claims.rows("SELECT f.name, line::int, q.state, dismissed_at IS NOT NULL FROM dq.quarantine q JOIN ops.file f USING (file_id) "
                       "ORDER BY quarantine_id") == [
        (LATER, 2, "dismissed", True), ("hospital1_2024-01.csv", 2, "superseded", False), ("hospital1_2024-01.csv", 3, "open", False)]
    configure(claims, mend)
    claims.once()
    assert claims.rows("SELECT source_claim_id FROM silver.claims") == placed


def test_when_a_mapping_finds_an_id_every_file_that_said_it_has_delivered_the_claim(make_claims):  # noqa: F811
    remapped, replayed, calm = make_claims(page_rows=2), make_claims(page_rows=2), make_claims(page_rows=2)
    for claims in (remapped, replayed, calm):
        if claims is calm:
            configure(claims, FROM_TRANSACTION)
        for name, amounts in ((LATER, "12"), (OTHER, "13"), (NAME, "1231")):
            claims.put(name, text([blank(f"{amount}.00") for amount in amounts]))
            claims.once()
    configure(remapped, FROM_TRANSACTION)
    remapped.once()
    configure(replayed, FROM_TRANSACTION)
    replayed.store.execute("UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'", replayed.database)
    replayed.once()
    shown = "SELECT source_claim_id, iteration, is_final, claim_amount FROM silver.claims ORDER BY 1, 2"
    kept = ("SELECT source_claim_id, name, line FROM (SELECT source_claim_id, file_id, line FROM silver.claims UNION ALL "
            "SELECT source_claim_id, file_id, line FROM silver.claims_absorbed) AS d JOIN ops.file USING (file_id) ORDER BY 1, 2, 3")
    for claims in (remapped, replayed):
        assert entries(claims, "open", "superseded") == []
        assert claims.rows(shown) == calm.rows(shown)
        # of a line that said the same again nothing was kept
        assert claims.rows(kept) == [line for line in calm.rows(kept) if line[1:] != (NAME, 5)]


PENDING = ("claim_status: ClaimStatus", "claim_status: {from: ClaimStatus, clean: [text, title, {map: {Pending: Denied}}]}")


def test_a_row_whose_id_was_found_later_is_cleaned_by_the_next_mapping_too(make_claims):  # noqa: F811
    """Its text is known by its id from then on, of every file that said it."""
    claims, calm = make_claims(page_rows=2), make_claims(page_rows=2)
    configure(calm, FROM_TRANSACTION, PENDING)
    amounts = ((LATER, "12"), (OTHER, "13"), (NAME, "1231"))
    for world in (claims, calm):
        for name, said in amounts:
            world.put(name, text([blank(f"{amount}.00") for amount in said]))
            world.once()
    for mends in ((FROM_TRANSACTION,), (FROM_TRANSACTION, PENDING)):
        configure(claims, *mends)
        claims.once()
    shown = "SELECT source_claim_id, iteration, claim_status, claim_amount FROM silver.claims ORDER BY 1, 2"
    assert claims.rows(shown) == calm.rows(shown) and {status for _, _, status, _ in calm.rows(shown)} == {"Denied"}
    kept = 'SELECT source_key, source_hash FROM bronze."claims__monthly_raw" WHERE source_key IS NOT NULL ORDER BY 1'
    assert claims.rows(kept) == claims.rows(kept.replace("SELECT", "SELECT DISTINCT")) == calm.rows(kept.replace("SELECT", "SELECT DISTINCT"))


def fail(claims):  # noqa: F811
    """As if its last page had failed: when its bytes come again they are read anew."""
    claims.store.execute(f"UPDATE ops.file SET state = 'failed' WHERE name = '{NAME}'", claims.database)


def test_a_plan_tells_the_same_of_files_that_say_it_and_are_read_anew(make_claims, running):  # noqa: F811
    claims = make_claims(page_rows=2)
    configure(claims, way("quote: none"))
    first = row("C1", payer="\n".join(['"Aet', ",".join(blank("1.00")), 'na"']))
    again = text([first, row("C2"), blank("2.00"), row("C3"), blank("1.00"), blank("3.00"), blank("1.00"), blank("2.00")])
    claims.put(NAME, again)
    claims.put(OTHER, text([blank("1.00"), blank("2.00")]))
    claims.once()
    configure(claims, way("quote: double"))
    running(claims)
    fail(claims)
    claims.put(NAME, again)
    claims.put(LATER, text([blank("1.00"), blank("9.00"), row("D1"), blank("1.00"), blank("9.00"), blank("9.00")]))
    told, _ = assert_told(claims)
    # all five of the new file that have no id; of the other that the entry of the line within quotes has another place now
    assert (told["rows_read"], told["rows_quarantined"]) == (14, 6)
    assert entries(claims, "open") == [(LATER, 2, "1.00", "open"), (NAME, 6, "2.00", "open"), (NAME, 9, "3.00", "open"), (LATER, 3, "9.00", "open")]


def test_a_plan_tells_the_same_of_a_mended_mapping_and_a_file_that_is_read_anew(make_claims):  # noqa: F811
    """The remap that goes before makes what is held of the file today's, so that reading it is no news."""
    claims = make_claims(page_rows=2)
    content = text([blank("1.00"), row("C2"), blank("1.00"), blank("2.00"), row("C3", amount="ten")])
    claims.put(NAME, content)
    claims.once()
    claims.daemon.make_token()
    configure(claims, ("      paid_amount: PaidAmount", "      paid_amount: Copay"))
    fail(claims)
    claims.put(NAME, content)
    told = assert_planned(claims)
    assert told[2] == 0 and {state for *_, state in entries(claims)} == {"open"}


def test_a_remittance_that_was_made_again_leaves_none_open_of_whichever_file_said_the_wrong_one(make_desk):  # noqa: F811
    """Three interchanges around the same unsound remittance, and the right one before the last."""
    sets = [x12.remittance([list(PAID), list(DENIED)], number="E1", check="75")]
    wrong = [x12.envelope("835", sets, interchange=f"00000000{number}") for number in (1, 2, 3)]
    desk = make_desk()  # noqa: F811
    for number, content in enumerate(wrong[:2]):
        desk.put(f"a_{number}.835", content)
        desk.once()
    held = "SELECT name, raw ->> 'source_claim_id', q.state FROM dq.quarantine q JOIN ops.file f USING (file_id) ORDER BY 1, 2"
    assert desk.rows(held) == [(f"a_{number}.835", claim, state) for number, state in enumerate(("superseded", "open")) for claim in ("C1", "C2")]
    desk.put("a_2.835", remit(PAID, DENIED, number="E1", made="20250112", group="9"))
    desk.once()
    assert {state for *_, state in desk.rows(held)} == {"superseded"}
    desk.put("a_3.835", wrong[2])
    desk.once()
    assert [state for *_, state in desk.rows(held)] == ["superseded"] * 6


def explained(claims, query):  # noqa: F811
    ((plan,),) = claims.rows("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query)
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def rows_of(plan):
    """The most rows that a step of the plan looked at."""
    mine = plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0))
    return max([mine, *(rows_of(step) for step in plan.get("Plans", []))])


def test_small_files_that_say_the_same_without_an_id_are_placed_together(make_claims):  # noqa: F811
    claims = make_claims()
    names = [f"hospital1_{number:02}_2024-0{1 + number % 3}.csv" for number in range(40)]
    for number, name in enumerate(names):
        claims.put(name, text([row(f"C{number}"), blank("1.00"), blank("1.00")]))
    claims.once()
    assert claims.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly' AND rows_read > 0") == [(1,)]
    assert_held(claims, [(name, name[-11:-4], [row("C"), blank("1.00"), blank("1.00")]) for name in names])
    assert claims.rows("SELECT DISTINCT rows_read, rows_new, rows_same, rows_quarantined FROM ops.file") == [(3, 1, 0, 2)]


def test_pages_look_at_entries_of_their_own_also_before_there_are_statistics(make_claims):  # noqa: F811
    """300 files, each a page, that all say one content, and each one of its own: whatever a page asks, PostgreSQL finds it without
    going through what others said."""
    claims = make_claims(page_rows=2)
    for number in range(300):
        claims.put(f"hospital1_{number:03}_2024-0{1 + number % 9}.csv", text([blank("1.00"), blank(f"{number}.5")]))
    claims.once()
    assert claims.rows("SELECT count(*) FROM dq.quarantine") == [(600,)]
    ((read,),) = claims.rows("SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname = 'quarantine'")
    assert read < 600 * 40  # gone through, they would be 600 * 300
    ((scanned,),) = claims.rows("SELECT seq_tup_read::int FROM pg_stat_user_tables WHERE relname = 'quarantine'")
    assert scanned < 600 * 40
    most = 300 * 60  # gone through, they would be 300 * 300; what looks by the clock is there, too
    files = "WHERE relname = 'file' AND schemaname = 'ops'"
    assert claims.rows(f"SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes {files} AND idx_tup_read > {most}") == []
    assert claims.rows(f"SELECT seq_tup_read FROM pg_stat_user_tables {files} AND seq_tup_read > {most}") == []


MANY = 10000


@pytest.fixture
def crowded(make_claims):  # noqa: F811
    """Many files of one content: what quarantine holds of them is made from that of two."""
    claims = make_claims()
    claims.daemon.make_token()
    claims.put(OTHER, text([blank("1.00"), row("C1")]))
    claims.put(NAME, text([blank("1.00"), blank("2.00")]))
    claims.once()
    claims.store.execute(
        "INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state) "
        f"SELECT source_system, feed, 'more_' || n, '2023-01', sha256(n::text::bytea), 1, 'done' FROM ops.file, generate_series(1, {MANY}) AS n WHERE name = '{OTHER}'; "
        "INSERT INTO dq.quarantine (feed, source_system, raw, rule, reason, file_id, line, state, source_hash, mapping_version, batch_id, file_period) "
        "SELECT q.feed, q.source_system, q.raw, q.rule, q.reason, f.file_id, q.line, 'superseded', q.source_hash, q.mapping_version, q.batch_id, f.period "
        f"FROM ops.file f, dq.quarantine q JOIN ops.file o USING (file_id) WHERE f.name ~ '^more_' AND o.name = '{OTHER}'; "
        "ANALYZE dq.quarantine; ANALYZE ops.file", claims.database)
    return claims


def test_one_more_entry_of_a_content_costs_the_same_however_many_there_are(crowded):
    """What a page asks looks at rows of its own, not at all that say the same."""
    ((feed, source, content, file_id),) = crowded.rows(
        "SELECT q.feed, q.source_system, source_hash, file_id FROM dq.quarantine q JOIN ops.file f USING (file_id) "
        f"WHERE name = '{NAME}' AND raw ->> 'ClaimAmount' = '1.00'")
    crowded.store.execute(f"UPDATE dq.quarantine SET dismissed_at = now() WHERE source_hash = {content}; ANALYZE dq.quarantine", crowded.database)
    decide = statement("held_contents.sql", "held_contents")
    look = statement("held_contents.sql", "held_contents_look_up")
    values = {"$1::text[]": f"ARRAY['{feed}']", "$2::text[]": f"ARRAY['{source}']", "$3::bigint[]": f"ARRAY[{content}]::bigint[]"}
    for old, new in values.items():
        decide = decide.replace(old, new)
    for old, new in {"$1::int[]": "ARRAY[0]", "$2::bigint[]": f"ARRAY[{file_id}]::bigint[]", "$3::bigint[]": f"ARRAY[{content}]::bigint[]",
                     "$4::text[]": "ARRAY['2024-03']", "$5": "''", "$6": f"'{feed}'", "$7": f"'{source}'"}.items():
        look = look.replace(old, new)
    asked = (decide, decide.replace("IS DISTINCT FROM last", "IS NOT DISTINCT FROM last"), look,
             f"SELECT dq.dismissed_at('{feed}', '{source}', NULL, {content}) FROM generate_series(1, 30)")
    for query in asked:
        plan = explained(crowded, query)
        assert rows_of(plan) <= 30, plan
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1000, plan  # of the table are 400


def deliveries_query(claims):  # noqa: F811
    query = statement("again.sql", "again_deliveries").partition("WITH HOLD FOR\n")[2].replace("{raw}", "claims__monthly_raw")
    ((feed, source),) = claims.rows("SELECT DISTINCT feed, source_system FROM ops.file")
    for key, value in (("feed", feed), ("source", source), ("rules", "{}"), ("asked", "false")):
        query = query.replace(f"current_setting('revcycled.{key}')", f"'{value}'")
    return query


def test_a_content_that_a_file_does_not_hold_is_looked_for_at_its_place_alone(make_claims):  # noqa: F811
    """However many others the file holds."""
    claims = make_claims()
    claims.put(NAME, text([blank(f"{number}.00") for number in range(5000)]))
    claims.once()
    ((feed, source, file_id),) = claims.rows("SELECT feed, source_system, file_id FROM ops.file")
    look = statement("held_contents.sql", "held_contents_look_up")
    absent = "ARRAY(SELECT source_hash + 1 FROM dq.quarantine ORDER BY source_hash LIMIT 20)"
    for old, new in {"$1::int[]": "ARRAY(SELECT generate_series(1, 20))", "$2::bigint[]": f"array_fill({file_id}::bigint, ARRAY[20])", "$3::bigint[]": absent,
                     "$4::text[]": "array_fill('2024-03'::text, ARRAY[20])", "$5": "''", "$6": f"'{feed}'", "$7": f"'{source}'"}.items():
        look = look.replace(old, new)
    asked = explained(claims, look)
    least = explained(claims, f"SELECT {absent}")
    assert asked["Actual Rows"] == 0 and rows_of(asked) > 0
    assert asked["Shared Hit Blocks"] + asked["Shared Read Blocks"] < least["Shared Hit Blocks"] + least["Shared Read Blocks"] + 20 * 10, asked


def test_files_of_one_content_cost_a_remap_what_each_of_them_costs(crowded):
    """Each has a text of its own in bronze."""
    crowded.store.execute("INSERT INTO bronze.claims__monthly_raw (batch_id, op, source_key, source_hash, received_at, schema_id, file_id, line, raw) "
                          "SELECT b.batch_id, b.op, b.source_key, b.source_hash, b.received_at, b.schema_id, q.file_id, q.line, b.raw FROM bronze.claims__monthly_raw b "
                          "JOIN dq.quarantine q USING (source_hash) JOIN ops.file o ON o.file_id = b.file_id JOIN ops.file f ON f.file_id = q.file_id "
                          f"WHERE o.name = '{OTHER}' AND f.name ~ '^more_'; ANALYZE bronze.claims__monthly_raw", crowded.database)
    assert rows_of(explained(crowded, deliveries_query(crowded))) < 4 * MANY


def test_a_remap_joins_what_is_held_to_what_is_placed_at_once_also_without_statistics(make_claims):  # noqa: F811
    claims, n = make_claims(), 1000
    claims.put(NAME, text([row(f"C{number}", amount=amount) for number in range(n) for amount in ("100.00", "ten")]))
    claims.once()
    assert claims.rows("SELECT (SELECT count(*) FROM silver.claims), (SELECT count(*) FROM dq.quarantine)") == [(n, n)]
    claims.store.execute("DELETE FROM pg_statistic WHERE starelid IN ('dq.quarantine'::regclass, 'silver.claims'::regclass, "
                         "'silver.claims_absorbed'::regclass, 'bronze.claims__monthly_raw'::regclass)", claims.database)
    assert rows_of(explained(claims, deliveries_query(claims))) < 6 * n  # row by row they are n * n


def test_many_files_of_one_content_end_with_one_entry_each_and_one_open(crowded):
    for period in ("2022-12", "2024-05"):
        crowded.put(f"hospital1_{period}.csv", text([blank("1.00"), row(period)]))
        crowded.once()
    assert entries(crowded, "open") == [("hospital1_2024-05.csv", 2, "1.00", "open"), (NAME, 3, "2.00", "open")]
    assert crowded.rows("SELECT count(*) FROM dq.quarantine WHERE raw ->> 'ClaimAmount' = '1.00'") == [(MANY + 4,)]
    crowded.daemon.make_token()
    dismiss(crowded, "hospital1_2024-05.csv")
    assert crowded.rows("SELECT count(*) FROM dq.quarantine WHERE raw ->> 'ClaimAmount' = '1.00' AND dismissed_at IS NULL") == [(0,)]


# What migration 0098 brought is not there.
BEFORE = ("ALTER TABLE dq.quarantine DROP COLUMN file_period CASCADE, DROP COLUMN is_mended CASCADE; DROP INDEX dq.quarantine_dismissed_content; "
          "DROP INDEX IF EXISTS dq.quarantine_file_content; ")


def test_a_store_of_before_holds_the_last_of_a_content_from_now_on(make_claims):  # noqa: F811
    """There the first to come counted, or the last that a mapping made."""
    claims, early = make_claims(), "hospital1_2024-01.csv"
    claims.put(OTHER, text([blank("1.00"), blank("2.00")]))
    claims.put(early, text([blank("1.00"), blank("2.00"), row("C1")]))
    claims.once()
    assert entries(claims, "open") == [(OTHER, 2, "1.00", "open"), (OTHER, 3, "2.00", "open")]
    claims.store.execute(
        BEFORE + "UPDATE dq.quarantine SET state = 'superseded'; "
        "UPDATE dq.quarantine SET state = CASE line WHEN 2 THEN 'open' ELSE 'dismissed' END, dismissed_at = CASE line WHEN 3 THEN now() END "
        f"WHERE file_id = (SELECT file_id FROM ops.file WHERE name = '{early}')", claims.database)
    claims.store.execute(migration("0098_held_contents.sql"), claims.database)
    assert entries(claims, "open", "dismissed") == [(OTHER, 2, "1.00", "open"), (OTHER, 3, "2.00", "dismissed")]
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE (state = 'superseded') <> (ended_at IS NOT NULL)") == [(0,)]


def test_a_store_of_before_has_its_entries_as_those_of_the_files_that_they_name(make_claims):  # noqa: F811
    claims = make_claims()
    claims.put(OTHER, text([blank("1.00"), blank("2.00"), blank("3.00")]))
    claims.once()
    # a mapping had made another of the first, and the third was seen to
    claims.store.execute(
        BEFORE + "INSERT INTO dq.quarantine (feed, source_system, raw, rule, reason, file_id, line, state, source_hash, mapping_version, batch_id) "
        "SELECT feed, source_system, raw, rule, reason, file_id, line, 'superseded', source_hash, 0, batch_id FROM dq.quarantine WHERE line = 2; "
        "UPDATE dq.quarantine SET state = 'superseded' WHERE line = 4", claims.database)
    claims.store.execute(migration("0098_held_contents.sql"), claims.database)
    assert claims.rows("SELECT line::int, state, file_period, withdrawn_at IS NOT NULL, is_mended FROM dq.quarantine ORDER BY 1, 4") == [
        (2, "open", "2024-02", False, False), (2, "superseded", "2024-02", True, False), (3, "open", "2024-02", False, False),
        (4, "superseded", "2024-02", False, True)]
    claims.put(NAME, text([blank("1.00")]))
    claims.put("hospital1_2024-01.csv", text([blank("1.00"), blank("2.00"), blank("3.00"), row("C1")]))
    claims.once()
    assert entries(claims, "open") == [(NAME, 2, "1.00", "open"), (OTHER, 3, "2.00", "open"), ("hospital1_2024-01.csv", 4, "3.00", "open")]
