"""Rows of a file without an id that say what an earlier line of it does: that line's entry tells of them, so that what a report
counts and the lines that it lists agree. What is expected is counted here from the files."""
import json
import random
import re
import signal

import pytest

from harness import settings, x12
from test_claims import make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_held_contents import FROM_TRANSACTION, LATER, blank
from test_plan_files import running  # noqa: F401  (a fixture)
from test_read_anew import NAME, OTHER, ask, way
from test_remap_claims import configure
from test_remittances import desk, make_desk  # noqa: F401  (fixtures)

MOST_NAMED, MOST_LISTED = 100, 1000
ENTRIES = ("SELECT line::int, further::int, coalesce(further_lines, '{}')::int[] FROM dq.quarantine q JOIN ops.file f USING (file_id) "
           "WHERE withdrawn_at IS NULL AND f.name = '%s' ORDER BY line")


def rows_of_chance(choice, n, contents):
    """Good ones, unusable ones with an id, and without one of few contents: apart, side by side, and some very often."""
    rows = []
    while len(rows) < n:
        kind, number = choice.random(), len(rows)
        if kind < 0.3:
            rows.append(row(f"C{number}"))
        elif kind < 0.4:
            rows.append(row(f"C{choice.randint(1, 9)}", amount="ten"))
        elif kind < 0.5:
            rows += [blank("7.00")] * choice.randint(1, 30)
        else:
            rows.append(blank(f"{choice.randint(1, contents)}.50"))
    return rows[:n]


def held(rows):
    """[(line, further lines, rule)] in the order of lines."""
    found, first = [], {}
    for line, fields in enumerate(rows, 2):
        if fields[0]:
            if fields[9] == "ten":
                found.append((line, [], "amount_unreadable"))
        elif fields[9] in first:
            first[fields[9]].append(line)
        else:
            first[fields[9]] = []
            found.append((line, first[fields[9]], "key_missing"))
    return found


def report(claims, kind, name=NAME, folder="done"):  # noqa: F811
    with open(f"{claims.drop}/{folder}/{name}.report.{kind}", encoding="utf-8") as file:
        return json.load(file) if kind == "json" else file.read()


def assert_agrees(told, expected, reasons=True):
    """Of a report or of the API: every row is counted once, and listed or counted as not listed."""
    by_rule = {}
    for _, further, rule in expected:
        by_rule[rule] = by_rule.get(rule, 0) + 1 + len(further)
    n = sum(by_rule.values())
    assert (told["rows_quarantined"], told["quarantined_by_rule"]) == (n, by_rule)
    items = told["quarantined"]
    assert sum(1 + item.get("further", 0) for item in items) + told["quarantined_unlisted"] == n
    listed = 0
    for item, (line, further, rule) in zip(items, expected):
        assert (item["line"], item["rule"], item.get("further", 0)) == (line, rule, len(further))
        assert ("reason" in item) == reasons
        assert item.get("further_lines", []) == further[:MOST_NAMED][:max(0, MOST_LISTED - 1 - listed)]
        listed += 1 + len(further[:MOST_NAMED])
    assert listed >= MOST_LISTED or len(items) == len(expected)
    assert sum(1 + len(item.get("further_lines", [])) for item in items) <= MOST_LISTED
    return n


def assert_text_agrees(told, expected):
    """What a person would add up: every line that is named, and what is said to be further."""
    said = [line for line in told.splitlines() if re.match(r"(line|segment) \d+: |… and ", line)]
    named, further = [], 0
    for line in said:
        first, same = re.match(r"(?:line|segment) (\d+): ", line), re.search(r"; the same: ([\d, ]+)", line)
        named += [int(number) for found in (first, same) if found for number in found[1].split(", ")]
        rest = re.search(r"… and (\d+) further$", line)
        further += int(rest[1]) if rest else 0
    lines = {line for first, more, _ in expected for line in (first, *more)}
    assert len(named) == len(set(named)) and set(named) <= lines
    assert len(named) + further == len(lines) == int(re.search(r"quarantined (\d+)\n", told)[1])


def assert_reported(claims, rows, name=NAME):  # noqa: F811
    expected = held(rows)
    assert claims.rows(ENTRIES % name) == [(line, len(further), further[:MOST_NAMED]) for line, further, _ in expected]
    n = assert_agrees(report(claims, "json", name), expected)
    assert_text_agrees(report(claims, "txt", name), expected)
    return n


@pytest.mark.parametrize("seed", range(3))
def test_a_report_lists_or_counts_every_row_it_says_is_in_quarantine(make_claims, running, seed):  # noqa: F811
    choice = random.Random(seed)
    claims, rows = make_claims(page_rows=20), rows_of_chance(choice, 700, 25)
    claims.put(NAME, text(rows))
    claims.once()
    assert assert_reported(claims, rows) > 400
    assert max(len(further) for _, further, _ in held(rows)) > MOST_NAMED
    running(claims)
    ((file_id,),) = claims.rows("SELECT file_id FROM ops.file")
    status, _, told = claims.daemon.get(f"/v1/files/{file_id}")
    assert status == 200
    assert_agrees(told, held(rows), reasons=False)
    for entry, line, further in claims.rows("SELECT quarantine_id, line::int, further::int FROM dq.quarantine ORDER BY further DESC LIMIT 1"):
        shown = claims.daemon.get(f"/v1/quarantine/{entry}")[2]
        lines = next(lines for first, lines, _ in held(rows) if first == line)
        assert (shown["further"], shown["further_lines"]) == (further, lines[:MOST_NAMED])
    counts = claims.daemon.get("/v1/quarantine")[2]["items"]
    assert sum(item["rows"] for item in counts) == told["rows_quarantined"] > sum(item["count"] for item in counts)
    assessed = claims.daemon.get("/v1/reports/quality?format=json")[2]["quarantine"]
    assert [(item["rule"], item["rows"]) for item in assessed] == sorted(
        (item["rule"], item["rows"]) for item in counts if item["state"] == "open")


def test_of_more_lines_than_a_report_lists_it_tells_how_many_they_are(make_claims):  # noqa: F811
    claims = make_claims(page_rows=200)
    rows = [blank(f"{number % 800}.25") for number in range(1500)]
    claims.put(NAME, text(rows))
    claims.once()
    assert assert_reported(claims, rows) == 1500
    told = report(claims, "json")
    assert told["quarantined_unlisted"] > 0 and "… and " in report(claims, "txt").splitlines()[-1]


POINTS = ("page.after_decided", "page.before_commit", "page.after_commit")  # which every page passes, be it news or not


def kill(claims, choice, n, n_pages=6):  # noqa: F811
    """In the middle, and at the end; how often it was."""
    points = [f"{choice.choice(POINTS)}:{choice.randint(1, n_pages)}" for _ in range(n)] + ["receive.before_done", "receive.before_move"]
    return sum(claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL for point in points)


@pytest.mark.parametrize("seed", range(3))
def test_killed_in_the_middle_and_read_anew_no_line_is_told_of_twice(make_claims, seed):  # noqa: F811
    choice = random.Random(seed)
    claims, rows = make_claims(page_rows=20), rows_of_chance(choice, 500, 10)
    claims.put(NAME, text(rows))
    assert kill(claims, choice, 3) == 5  # of 25 pages
    claims.once()
    assert_reported(claims, rows)
    for _ in range(2):
        ask(claims)
        assert kill(claims, choice, 3) == 5
        claims.once()
        assert_reported(claims, rows)


def quoted(rows):
    """The same lines, some of them within a field: read with quotes they are none."""
    return row("Q" + rows[0][1], payer="\n".join(['"Aet', *(",".join(fields) for fields in rows), 'na"']))


def flat(rows):
    """As a reading without quotes has them: the first part of such a row has too few fields, and the last too."""
    return "\n".join(",".join(fields) for fields in rows).split("\n")


@pytest.mark.parametrize("seed", range(4))
def test_read_anew_in_another_way_an_entry_tells_of_that_readings_lines_alone(make_claims, seed):  # noqa: F811
    """Fewer lines, more, and others; the witness is a world that has read them so from the beginning."""
    choice = random.Random(seed)
    claims, rows = make_claims(page_rows=choice.choice([3, 20])), []
    for _ in range(25):
        some = [blank(f"{choice.randint(1, 3)}.00") for _ in range(choice.randint(1, 6))]
        rows += [quoted(some)] if choice.random() < 0.5 else some
    claims.put(NAME, text(rows))
    witnesses = {}
    for quote in ("none", "double"):
        witnesses[quote] = make_claims(page_rows=20)
        configure(witnesses[quote], way(f"quote: {quote}"))
        witnesses[quote].put(NAME, text(rows))
        witnesses[quote].once()
    assert witnesses["none"].rows(ENTRIES % NAME) != witnesses["double"].rows(ENTRIES % NAME)
    for quote in ("double", "none", "double", "none"):
        configure(claims, way(f"quote: {quote}"))
        ask(claims)
        kill(claims, choice, 2, n_pages=2)
        claims.once()
        assert claims.rows(ENTRIES % NAME) == witnesses[quote].rows(ENTRIES % NAME), quote
        told, right = report(claims, "json"), report(witnesses[quote], "json")
        keys = ("rows_read", "rows_quarantined", "quarantined_by_rule", "quarantined", "quarantined_unlisted")
        assert [told[key] for key in keys] == [right[key] for key in keys]
        assert sum(1 + item.get("further", 0) for item in told["quarantined"]) == told["rows_quarantined"] > 30


def test_what_another_file_says_later_takes_nothing_from_what_an_entry_tells(make_claims):  # noqa: F811
    claims, rows = make_claims(page_rows=2), [blank("1.00"), row("C1"), blank("1.00"), blank("2.00"), blank("1.00")]
    claims.put(OTHER, text(rows))
    claims.put(NAME, text([*rows, blank("2.00")]))
    claims.once()
    claims.put(LATER, text([blank("1.00")]))
    claims.once()
    assert claims.rows("SELECT name, line::int, q.state FROM dq.quarantine q JOIN ops.file f USING (file_id) ORDER BY 1, 2") == [
        (OTHER, 2, "superseded"), (OTHER, 5, "superseded"), (NAME, 2, "superseded"), (NAME, 5, "open"), (LATER, 2, "open")]
    for name, said in ((OTHER, rows), (NAME, [*rows, blank("2.00")]), (LATER, [blank("1.00")])):
        assert_reported(claims, said, name)
        claims.store.execute(f"UPDATE ops.file SET replay_asked_at = now() WHERE name = '{name}'", claims.database)
    claims.once()
    for name, said in ((OTHER, rows), (NAME, [*rows, blank("2.00")]), (LATER, [blank("1.00")])):
        assert_reported(claims, said, name)


@pytest.mark.parametrize("is_asked", [True, False])
def test_after_a_replay_a_report_is_of_what_its_reading_took(make_claims, is_asked):  # noqa: F811
    """A mapping finds an id in what was held. The file's reading said what it said; the next one holds nothing of it."""
    claims, good, bad = make_claims(page_rows=2), row("C1"), row("C2", amount="ten")
    good[1], bad[1] = "C1", "C2"  # whose id is found there as well
    rows = [blank("1.00"), good, blank("1.00"), blank("1.00"), bad]
    claims.put(NAME, text(rows))
    claims.once()
    configure(claims, FROM_TRANSACTION)
    if is_asked:
        claims.store.execute("UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'", claims.database)
    claims.once()
    assert claims.rows("SELECT line::int, state FROM dq.quarantine ORDER BY 1") == [(2, "replayed"), (6, "open")]
    assert_reported(claims, rows)
    ask(claims)
    claims.once()
    told = report(claims, "json")
    assert_agrees(told, [(6, [], "amount_unreadable")])
    assert told["rows_quarantined"] == 1


@pytest.mark.parametrize("is_wrong", [True, False])
def test_of_an_x12_file_a_report_lists_the_segments_that_say_the_same(desk, is_wrong):  # noqa: F811
    """A set that is in quarantine as a whole is so claim by claim; of a good one what names no claim. Either says some of them
    twice, and the file has it twice."""
    bad, others = ["CLP*0*1*100*70**MC*I", "CAS*CO*45*30"], [["CLP*U1*1*100*70**MC*I", "CAS*CO*45*30"], ["CLP*0*1*50*50**MC*J"]]
    options = {"check": "1"} if is_wrong else {}
    content = x12.envelope("835", [x12.remittance([bad, *others, bad, bad], **options)], made="20250110", time="1200", group="1")
    content = content.replace(b"\n", b"") * 2
    desk.put("a_1.835", content)
    desk.once()
    told, text_told = json.loads(desk.report("a_1.835", "json")), desk.report("a_1.835", "txt")
    segments = [i for i, segment in enumerate(content.split(b"~"), 1) if segment.startswith(b"CLP" if is_wrong else b"CLP*0")]
    assert told["rows_quarantined"] == len(segments) == sum(told["quarantined_by_rule"].values())
    listed = [line for item in told["quarantined"] for line in (item["line"], *item.get("further_lines", []))]
    assert sorted(listed) == segments and told["quarantined_unlisted"] == 0
    assert len(told["quarantined"]) == (3 if is_wrong else 2)
    assert_text_agrees(text_told, [(line, [], None) for line in segments])


def test_a_million_lines_that_say_the_same_cost_a_page_what_the_first_ones_did(make_claims):  # noqa: F811
    """Of that many it names the first, and PostgreSQL finds the entry by its number."""
    claims = make_claims(page_rows=20)
    claims.put(NAME, text([blank("1.00")] * 20 + [fields for number in range(3000) for fields in (blank("1.00"), blank(f"{number}.5"))]))
    claims.once()
    assert claims.rows(ENTRIES % NAME + " LIMIT 1") == [(2, 3019, list(range(3, 22)) + list(range(22, 22 + 2 * 81, 2)))]
    ((size,),) = claims.rows("SELECT pg_column_size(further_lines) FROM dq.quarantine WHERE line = 2")
    assert size < 2000
    ((looked,),) = claims.rows("SELECT (seq_tup_read)::int FROM pg_stat_user_tables WHERE relname = 'quarantine'")
    assert looked < 3000 * 20  # gone through by every page, they would be 300 * 1500
