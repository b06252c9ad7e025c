"""The ledger's hard cases: files that PostgreSQL refuses, that change while they are read, that are many, that are no files."""
import contextlib
import os
import random
import signal
import socket
import time

import pytest

from harness import dump, jobs
from test_claims import COLUMNS, claims, make_claims, row, text  # noqa: F401  (fixtures and what they make)


def report(claims, folder, name):  # noqa: F811
    with open(os.path.join(claims.drop, folder, name + ".report.txt"), encoding="utf-8") as file:
        return file.read()


REFUSALS = {
    "23514": "ALTER TABLE silver.claims ADD CHECK (source_claim_id NOT IN ('C2', 'C37'))",
    "22003": "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.source_claim_id IN ('C2', 'C37') THEN "
             "RAISE numeric_value_out_of_range; END IF; RETURN NEW; END $$; "
             "CREATE TRIGGER refuse BEFORE INSERT ON silver.claims FOR EACH ROW EXECUTE FUNCTION refuse()"}


@pytest.mark.parametrize("state", REFUSALS)
def test_rows_that_postgresql_refuses_are_held_and_keep_no_other_out(make_claims, state):  # noqa: F811
    claims = make_claims(page_rows=20)  # noqa: F811
    claims.store.execute(REFUSALS[state], claims.database)
    numbers = [*range(1, 51)]
    claims.put("hospital1_2024-03.csv", text([row(f"C{number}") for number in numbers]))
    claims.put("hospital1_2024-04.csv", text([row("C99")]))
    claims.once()
    placed = {line[1] for line in claims.claims()}
    assert placed == {f"C{number}" for number in numbers if number not in (2, 37)} | {"C99"}
    assert claims.rows("SELECT line, rule, natural_key, reason, state FROM dq.quarantine ORDER BY line") == [
        (line, "row_refused", key, f"PostgreSQL refuses what the row says (SQLSTATE {state})", "open")
        for line, key in ((3, "C2"), (38, "C37"))]
    entry = claims.file("hospital1_2024-03.csv")
    assert (entry["state"], entry["rows_read"], entry["rows_new"], entry["rows_quarantined"]) == ("done", 50, 48, 2)
    assert "line 38: PostgreSQL refuses" in report(claims, "done", "hospital1_2024-03.csv")
    assert claims.listed("receiving") == []
    # the claim as it should be ends its entry
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT IF EXISTS claims_source_claim_id_check; "
                         "DROP TRIGGER IF EXISTS refuse ON silver.claims", claims.database)
    claims.put("hospital1_2024-05.csv", text([row("C2", "2024-05-01")]))
    claims.once()
    assert claims.rows("SELECT natural_key, state FROM dq.quarantine ORDER BY line") == [("C2", "superseded"), ("C37", "open")]


def refuse(claims, *numbers):  # noqa: F811
    """PostgreSQL will not have these claims, nor has it any other in mind."""
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT IF EXISTS refused", claims.database)
    if numbers:
        claims.store.execute(f"ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (source_claim_id <> ALL (ARRAY{list(numbers)}::text[]))",
                             claims.database)


def test_rows_that_postgresql_refused_are_placed_by_a_replay_when_it_was_mended(make_claims):  # noqa: F811
    """By id, file, rule and all; what it will not have still stays as it is, and keeps none of its page out."""
    claims, calm = make_claims(page_rows=20), make_claims(page_rows=20)  # noqa: F811
    refused = ("C2", "C3", "D2", "D3", "D4")
    refuse(claims, *refused)
    for world in (claims, calm):
        for letter, month in (("C", "03"), ("D", "04")):
            world.put(f"hospital1_2024-{month}.csv", text([row(f"{letter}{number}") for number in range(1, 31)]))
        world.once()
    held = "SELECT natural_key FROM dq.quarantine WHERE state = 'open' AND rule = 'row_refused' ORDER BY 1"
    assert claims.rows(held) == [(number,) for number in refused]
    claims.daemon.make_token()
    claims.daemon.start()
    try:
        def replay(body, *left):
            status, _, answer = claims.daemon.post("/v1/quarantine/replay", body)
            assert status in (200, 202), answer
            jobs.until(lambda: claims.rows("SELECT count(*) FROM dq.quarantine WHERE replay_asked_at IS NOT NULL") == [(0,)])
            assert claims.rows(held) == [(number,) for number in left]
            assert len(claims.claims()) == 60 - len(left)
        ids = {key: str(entry) for entry, key in claims.rows("SELECT quarantine_id, natural_key FROM dq.quarantine")}
        files = dict(claims.rows("SELECT name, file_id::text FROM ops.file"))
        replay({"all": True}, *refused)
        refuse(claims, "D4")
        replay({"ids": [ids["C2"]]}, "C3", "D2", "D3", "D4")
        replay({"file": files["hospital1_2024-03.csv"]}, "D2", "D3", "D4")
        replay({"rule": "row_refused"}, "D4")
        refuse(claims)
        replay({"all": True})
    finally:
        claims.daemon.stop()
    assert claims.rows("SELECT DISTINCT state FROM dq.quarantine") == [("replayed",)]
    claims.once()
    silver = [{table: rows for table, rows in world.dump(dump.ORDER).items() if table.startswith("silver.")} for world in (calm, claims)]
    dump.assert_equal(*silver)


def test_the_answer_counts_what_a_replay_tries(make_claims):  # noqa: F811
    """A line that cannot be read no mapping makes usable: nothing is asked of it."""
    claims = make_claims()  # noqa: F811
    claims.put("hospital1_2024-03.csv", text([row("C1", amount="ten")]) + "C2,too,few\n")
    claims.once()
    assert claims.rows("SELECT rule, state FROM dq.quarantine ORDER BY 1") == [("amount_unreadable", "open"), ("field_count", "open")]
    claims.daemon.make_token()
    claims.daemon.start()
    try:
        _, _, answer = claims.daemon.post("/v1/quarantine/replay", {"rule": "field_count"})
        assert answer == {"id": None, "entries": 0, "feeds": []}
        _, _, answer = claims.daemon.post("/v1/quarantine/replay", {"all": True})
        assert answer["entries"] == jobs.await_run(claims.daemon, answer["id"])["rows_read"] == 1
    finally:
        claims.daemon.stop()


def test_rows_that_postgresql_refused_are_placed_when_they_come_again(make_claims):  # noqa: F811
    """Word by word as they were: it is not they that were mended. Each that is refused is an entry, the last of a claim counts."""
    claims = make_claims(page_rows=20)  # noqa: F811
    refuse(claims, "C2", "C37")
    rows = [row(f"C{number}") for number in range(1, 51)]
    claims.put("hospital1_2024-03.csv", text(rows))
    claims.once()
    entries = "SELECT quarantine_id, natural_key, state FROM dq.quarantine ORDER BY 1"
    before = claims.rows(entries)
    assert [entry[1:] for entry in before] == [("C2", "open"), ("C37", "open")]
    refuse(claims, "C37")
    claims.put("hospital1_2024-04.csv", text(rows[::-1]))
    claims.once()
    assert claims.rows(entries) == [(*entry[:2], "superseded") for entry in before] + [(before[1][0] + 1, "C37", "open")]
    refuse(claims)
    claims.put("hospital1_2024-05.csv", text(rows[20:]))
    claims.once()
    assert {state for _, _, state in claims.rows(entries)} == {"superseded"} and len(claims.rows(entries)) == 3
    assert sorted(line[1] for line in claims.claims()) == sorted(fields[0] for fields in rows)


def test_a_file_of_which_postgresql_refuses_nearly_all_fails_and_blocks_no_other(claims):  # noqa: F811
    claims.store.execute("ALTER TABLE silver.claims ADD CHECK (source_claim_id !~ '^C')", claims.database)
    claims.put("hospital1_2024-03.csv", text([row(f"C{number}") for number in range(200)]))
    claims.put("hospital1_2024-04.csv", text([row("D1")]))
    claims.once()
    entry = claims.file("hospital1_2024-03.csv")
    assert entry["state"] == "failed" and "PostgreSQL refuses more than 50 rows of a page (SQLSTATE 23514)" in entry["error"]
    assert [line[1] for line in claims.claims()] == ["D1"]
    assert claims.listed("receiving") == [] and "hospital1_2024-03.csv" in claims.listed("failed")


def noise(size, seed):
    """Text that compression does not make smaller than an index's limit of 2,704 bytes."""
    return "".join(random.Random(seed).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=size))


def test_an_id_that_no_index_takes_is_held_and_keeps_no_other_out(claims):  # noqa: F811
    rows = [row("C1"), row(noise(6000, 1)), row("C3"), row(noise(6000, 2), amount="no amount")]
    for month in ("03", "04"):
        claims.put(f"hospital1_2024-{month}.csv", text([*rows, row("D" + month)]))
        claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C3", "D03", "D04"]
    assert claims.rows("SELECT line, rule, natural_key, reason, q.state FROM dq.quarantine q JOIN ops.file f USING (file_id) "
                       "ORDER BY period, line") == [
        (line, "row_refused", None, "PostgreSQL refuses what the row says (SQLSTATE 54000)", state)
        for state in ("superseded", "open") for line in (3, 5)]
    assert [claims.file(f"hospital1_2024-{month}.csv")["state"] for month in ("03", "04")] == ["done", "done"]
    assert claims.listed("receiving") == []


LONG = "a_name_of_which_two_are_alike_in_their_first_sixty_three_bytes_"
HEADERS = {
    "alike": ([], [LONG + "1", LONG + "2"], "two columns of the header have one name for PostgreSQL"),
    "called as the view's own": ([], ["line", "line_source"], "two columns of the header have one name for PostgreSQL"),
    "too many together": ("abc", [f"d{i}" for i in range(450)], "are together more than a view of PostgreSQL can show"),
    "too many": ([], [f"d{i}" for i in range(1600)], "the line has more than 1593 fields")}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_postgresql_cannot_keep_fails_its_file_and_blocks_no_other(claims, kind):  # noqa: F811
    earlier, more, sentence = HEADERS[kind]
    assert len(LONG) == 63
    for letter in earlier:
        claims.put(f"hospital1_2023-{letter}.csv",
                   text([row("C1") + ["x"] * 450], [*COLUMNS, *(f"{letter}{i}" for i in range(450))]))
    claims.once()
    assert len(claims.claims()) == (1 if earlier else 0)
    claims.put("hospital1_2024-02.csv", text([row("C2") + ["x"] * len(more)], [*COLUMNS, *more]))
    claims.put("hospital1_2024-03.csv", text([row("C3")]))
    claims.once()
    assert {line[1] for line in claims.claims()} == ({"C1", "C3"} if earlier else {"C3"})
    entry = claims.file("hospital1_2024-02.csv")
    assert entry["state"] == "failed" and sentence in entry["error"], entry
    assert sentence in report(claims, "failed", "hospital1_2024-02.csv") and claims.listed("receiving") == []



def test_a_header_of_a_thousand_long_columns_is_kept_and_told_from_another(claims):  # noqa: F811
    """40,000 bytes of names that compression does not make small: as a list of columns they stand in no index."""
    names = [f"{number}_{noise(36, number)}" for number in range(1000)]
    fields = [f"v{number}" for number in range(1000)]
    swapped = [*names[:-2], names[-1], names[-2]]
    for month, header in (("02", names), ("03", swapped), ("04", names)):
        claims.put(f"hospital1_2024-{month}.csv", text([row("C" + month) + fields], [*COLUMNS, *header]))
        claims.once()
        assert claims.file(f"hospital1_2024-{month}.csv")["state"] == "done", claims.file(f"hospital1_2024-{month}.csv")
    assert [line[1] for line in claims.claims()] == ["C02", "C03", "C04"]
    first, second = claims.rows("SELECT columns FROM ops.feed_schema WHERE feed = 'claims.monthly' ORDER BY schema_id")
    assert (first[0], second[0]) == ([*COLUMNS, *names], [*COLUMNS, *swapped])
    assert claims.rows(f'SELECT "ClaimID", "{names[0]}", "{names[998]}", "{names[999]}" FROM bronze.claims__monthly ORDER BY 1') == [
        ("C02", "v0", "v998", "v999"), ("C03", "v0", "v999", "v998"), ("C04", "v0", "v998", "v999")]


def test_a_refused_row_is_found_though_it_breaks_a_rule_that_few_may_break(make_claims):  # noqa: F811
    """The share is one of the page: of the part that is looked at for the refused row it would be all."""
    claims = make_claims()
    refuse(claims, "C2", "C3")
    with open(claims.daemon.config, "a", encoding="utf-8") as config:
        config.write(STOP)
    claims.put("hospital1_2024-03.csv", text([row(f"C{number}", paid="0.00" if number == 2 else "1.00") for number in range(1, 51)]))
    claims.once()
    assert claims.rows("SELECT natural_key, rule FROM dq.quarantine ORDER BY line") == [("C2", "row_refused"), ("C3", "row_refused")]
    assert len(claims.claims()) == 48 and claims.file("hospital1_2024-03.csv")["state"] == "done"
    refuse(claims, "C2")  # and so when they are cleaned again
    with open(claims.daemon.config, encoding="utf-8") as config:
        content = config.read()
    with open(claims.daemon.config, "w", encoding="utf-8") as config:
        config.write(content.replace("paid_amount > 0", "paid_amount >= 1"))
    claims.once()
    assert claims.rows("SELECT natural_key, state FROM dq.quarantine ORDER BY line") == [("C2", "open"), ("C3", "replayed")]


STOP = "\nrules:\n  - {name: paid_something, entity: claims, check: \"paid_amount > 0\", severity: stop, stop_percent: 10}\n"


def test_a_page_that_breaks_a_stop_rule_fails_its_file_and_blocks_no_other(make_claims):  # noqa: F811
    claims = make_claims(page_rows=10)  # noqa: F811
    with open(claims.daemon.config, "a", encoding="utf-8") as file:
        file.write(STOP)
    good = [row(f"C{number}", paid="1.00") for number in range(10)]
    claims.put("hospital1_2024-03.csv", text([*good, *(row(f"D{number}") for number in range(10))]))
    claims.put("hospital1_2024-04.csv", text([row("E1", paid="2.00")]))
    claims.put("hospital1_2024-05.csv", text([row("F0"), *(row(f"F{number}", paid="3.00") for number in range(1, 10))]))
    claims.once()
    entry = claims.file("hospital1_2024-03.csv")
    assert entry["state"] == "failed" and "10 of 10 rows of a page break rule paid_something" in entry["error"]
    assert len(claims.claims()) == 21 and entry["rows_read"] == 10
    assert claims.file("hospital1_2024-04.csv")["state"] == "done"
    assert claims.file("hospital1_2024-05.csv")["state"] == "done", "one of ten is the share, not above it"


def test_names_that_are_no_text_or_too_long_harm_nothing(claims):  # noqa: F811
    broken = b"hospital1_\xff_2024-03.csv"
    long = "hospital1_" + "é" * 116 + "_2.csv"
    assert len(long.encode()) == 248
    for name, number in ((broken, "C1"), (long.encode(), "C2")):
        with open(os.path.join(claims.drop.encode(), name), "wb") as file:
            file.write(text([row(number)]).encode())
    os.mkdir(os.path.join(claims.drop.encode(), b"folder\xfe"))
    claims.once()
    claims.put(long, text([row("C3")]))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2", "C3"]
    assert claims.rows("SELECT name, state FROM ops.file WHERE name LIKE '%\\_\\_%' OR name LIKE 'folder%' ORDER BY name") == [
        ("folder_", "failed"), ("hospital1___2024-03.csv", "done")]
    assert "hospital1___2024-03.csv" in claims.listed("done") and claims.listed("receiving") == []


def test_what_is_called_as_a_report_stays_and_is_not_written_over(claims):  # noqa: F811
    theirs = NAME + ".report.json"
    claims.put(theirs, "not ours")
    claims.once()
    claims.put(NAME, "no claims\n")
    claims.once()
    with open(os.path.join(claims.drop, theirs), encoding="utf-8") as file:
        assert file.read() == "not ours"
    assert claims.listed("failed") == [NAME, theirs, NAME + ".report.txt"] and states(claims, theirs) == [("failed", 0)]
    assert "called as a report is" in claims.file(theirs)["error"] and "no header" in report(claims, "failed", NAME)


def test_a_name_that_was_taken_ten_thousand_times_harms_nothing(claims):  # noqa: F811
    claims.put("hospital1_2024-03.csv", text([row("C1")]))
    claims.once()
    for number in range(2, 10_001):
        with open(os.path.join(claims.drop, "done", f"hospital1_2024-03.csv.{number}"), "x", encoding="utf-8"):
            pass
    claims.put("hospital1_2024-03.csv", text([row("C2")]))
    claims.once()
    (file_id, stored_as), = claims.rows("SELECT file_id, detected ->> 'stored_as' FROM ops.file ORDER BY 1 DESC LIMIT 1")
    assert stored_as == f"hospital1_2024-03.csv.{file_id}.2" and claims.listed("receiving") == []
    with open(os.path.join(claims.drop, "done", stored_as), encoding="utf-8") as file:
        assert file.read() == text([row("C2")])


# ---- files that wait, and are not what they were


@contextlib.contextmanager
def standing(claims, failpoint):  # noqa: F811
    """A run that stands still there; it has ended well behind this."""
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = f"{failpoint}:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what=f"it stands still at {failpoint}")
    yield
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) == 0
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]


def states(claims, name):  # noqa: F811
    return claims.rows(f"SELECT state, rows_read FROM ops.file WHERE name = '{name}' ORDER BY file_id")


NAME = "hospital1_2024-03.csv"


def test_a_file_that_waits_is_seen_and_keeps_its_row_to_its_end(make_claims):  # noqa: F811
    claims = make_claims(complete_after="1h")  # noqa: F811
    with open(os.path.join(claims.drop, NAME), "w", encoding="utf-8") as writer:
        writer.write(text([row("C1")]))
        writer.flush()
        claims.once()
        claims.once()
        assert states(claims, NAME) == [("seen", 0)] and os.path.exists(os.path.join(claims.drop, NAME))
        entry = claims.rows("SELECT file_id FROM ops.file")
    claims.once()
    assert claims.rows("SELECT file_id FROM ops.file") == entry and states(claims, NAME) == [("done", 1)]


def test_a_file_that_was_taken_away_is_said_to_be(make_claims):  # noqa: F811
    claims = make_claims(complete_after="1h")  # noqa: F811
    with open(os.path.join(claims.drop, NAME), "w", encoding="utf-8") as writer:
        writer.write(text([row("C1")]))
        writer.flush()
        claims.once()
    os.unlink(os.path.join(claims.drop, NAME))
    claims.once()
    assert claims.file(NAME)["state"] == "failed" and "taken away" in claims.file(NAME)["error"]
    claims.put(NAME, text([row("C1")]))
    claims.once()
    assert states(claims, NAME) == [("failed", 0), ("done", 1)]


def test_a_file_that_somebody_opens_between_the_look_and_the_claim_goes_back(make_claims):  # noqa: F811
    claims = make_claims(complete_after="1h")  # noqa: F811
    claims.put(NAME, text([row("C1")]))
    with standing(claims, "receive.after_seen"):
        writer = open(os.path.join(claims.drop, NAME), "a", encoding="utf-8")
    with writer:
        assert claims.listed("receiving") == [] and states(claims, NAME) == [("seen", 0)]
        writer.write(",".join(row("C2")) + "\n")
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2"] and states(claims, NAME) == [("done", 2)]


def test_a_file_is_receiving_while_it_is_read_and_its_rows_are_counted_as_they_come(make_claims):  # noqa: F811
    claims = make_claims(page_rows=5)  # noqa: F811
    claims.put(NAME, text([row(f"C{number:02}") for number in range(20)]))
    with standing(claims, "receive.after_page"):
        assert states(claims, NAME) == [("receiving", 5)] and len(claims.claims()) == 5
        assert NAME in claims.listed("receiving") and claims.rows("SELECT finished_at FROM ops.file") == [(None,)]
    assert states(claims, NAME) == [("done", 20)] and claims.rows("SELECT finished_at IS NOT NULL FROM ops.file") == [(True,)]


@pytest.mark.parametrize("change", ["grows", "is_truncated", "is_written_over"])
def test_a_file_that_changes_while_it_is_read_is_read_again_whole(make_claims, change):  # noqa: F811
    """By somebody whom no lease tells of: it is done behind the daemon's back."""
    claims = make_claims(page_rows=5)  # noqa: F811
    claims.put(NAME, text([row(f"C{number:02}") for number in range(20)]))
    with standing(claims, "receive.after_page"):
        with open(os.path.join(claims.drop, "receiving", NAME), "r+", encoding="utf-8") as file:
            if change == "grows":
                file.seek(0, os.SEEK_END)
                file.write(text([row("C99")]).split("\n", 1)[1])
            elif change == "is_truncated":
                file.truncate(len(text([row(f"C{number:02}") for number in range(12)])))
            else:
                file.write(text([row(f"D{number:02}") for number in range(20)]))
    expected = {"grows": [*range(20), 99], "is_truncated": [*range(12)], "is_written_over": [*range(20)]}[change]
    last = claims.file(NAME)
    assert last["state"] == "done" and last["rows_read"] == len(expected)
    failed, = claims.rows(f"SELECT state, error FROM ops.file WHERE name = '{NAME}' AND state <> 'done'")
    assert failed[0] == "failed" and "written to while it was read" in failed[1]
    letter = "D" if change == "is_written_over" else "C"
    placed = {line[1] for line in claims.claims()}
    assert placed >= {f"{letter}{number:02}" for number in expected}
    assert claims.listed("receiving") == [] and NAME in claims.listed("done")


def test_killed_while_a_changed_file_goes_back_it_is_read_all_the_same(make_claims):  # noqa: F811
    claims = make_claims(page_rows=1)  # noqa: F811
    claims.put(NAME, text([row(f"C{number:02}") for number in range(200)]))
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.before_give_back"
    claims.daemon.begin_once()
    inside = os.path.join(claims.drop, "receiving", NAME)
    jobs.until(lambda: os.path.exists(inside), what="it is being read")
    while claims.daemon.is_alive() and os.path.exists(inside):
        with contextlib.suppress(FileNotFoundError), open(inside, "r+", encoding="utf-8") as file:
            file.seek(0, os.SEEK_END)
            file.write("\n")
        time.sleep(0.02)
    assert claims.daemon.end_once(timeout=120) == -signal.SIGKILL
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]
    claims.once()
    assert len(claims.claims()) == 200 and claims.file(NAME)["state"] == "done" and claims.file(NAME)["rows_read"] == 200


BAD, EMPTY = "no claims\n", text([])
ENDS = {"failed": (BAD, "receive.after_detected", []), "without rows": (EMPTY, "receive.after_detected", []),
        "duplicate": (text([row("C1")]), "receive.after_hash", []),
        "named": (BAD, "receive.after_failed", [("failed", False)]), "moved": (BAD, "receive.after_done", [("failed", True)])}


@pytest.mark.parametrize("kind", ENDS)
def test_who_lost_the_lease_ends_no_file(claims, kind):  # noqa: F811
    """It stands still, another has its job meanwhile, and it goes on: what lies in receiving/ is not its own any more."""
    content, point, before = ENDS[kind]
    claims.put("hospital1_2024-02.csv", text([row("C1")]))
    claims.once()
    claims.put(NAME, content)
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = f"{point}:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what=f"it stands still at {point}")
    claims.store.execute("UPDATE ops.job SET epoch = epoch + 1000", claims.database)
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) != 0
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]
    entry = f"SELECT state, detected ? 'stored_as' FROM ops.file WHERE name = '{NAME}' AND state <> 'seen'"
    assert claims.rows(entry) == before and claims.listed("receiving") == [NAME]
    assert NAME not in claims.listed("failed") + claims.listed("done")
    claims.once()
    state, = {"without rows": ["done"], "duplicate": ["duplicate"]}.get(kind, ["failed"])
    assert claims.rows(entry) == [(state, True)] and claims.listed("receiving") == []
    assert NAME in claims.listed("failed" if state == "failed" else "done")


def test_a_file_that_is_replaced_while_it_is_read_is_two_files(make_claims):  # noqa: F811
    claims = make_claims(page_rows=5)  # noqa: F811
    claims.put(NAME, text([row(f"C{number:02}") for number in range(20)]))
    with standing(claims, "receive.after_page"):
        claims.put(NAME, text([row("D1")]))
    claims.once()
    assert states(claims, NAME) == [("done", 20), ("done", 1)]
    assert len(claims.claims()) == 21 and {NAME, NAME + ".2"} <= set(claims.listed("done"))


def test_what_somebody_puts_under_the_name_that_was_chosen_is_not_written_over(claims):  # noqa: F811
    claims.put(NAME, text([row("C1")]))
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.before_move:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what="it stands still before the move")
    with open(os.path.join(claims.drop, "done", NAME), "x", encoding="utf-8") as file:
        file.write("theirs")
    claims.daemon.go_on()
    claims.daemon.end_once(timeout=120)  # whether it was tried again by then
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]
    claims.once()
    kept = {name: open(os.path.join(claims.drop, "done", name), encoding="utf-8").read() for name in (NAME, NAME + ".2")}
    assert kept == {NAME: "theirs", NAME + ".2": text([row("C1")])} and claims.listed("receiving") == []
    assert [line[1] for line in claims.claims()] == ["C1"]


@pytest.mark.parametrize("is_another_waiting", [False, True])
def test_a_failed_file_that_is_moved_back_is_read_though_the_run_is_killed(claims, is_another_waiting):  # noqa: F811
    content = text([row("C1")]).replace("PaidAmount", "PayedAmount")
    claims.put(NAME, content)
    claims.once()
    assert states(claims, NAME) == [("failed", 0)] and NAME in claims.listed("failed")
    with open(claims.daemon.config, "r+", encoding="utf-8") as file:
        mended = file.read().replace("paid_amount: PaidAmount", "paid_amount: PayedAmount")
        file.seek(0)
        file.write(mended)
    os.rename(os.path.join(claims.drop, "failed", NAME), os.path.join(claims.drop, NAME))
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT="receive.after_hash").returncode == -signal.SIGKILL
    assert claims.listed("receiving") == [NAME]
    if is_another_waiting:
        claims.put(NAME, content.replace("C1", "C2"))
    claims.once()
    assert [line[1] for line in claims.claims()] == (["C1", "C2"] if is_another_waiting else ["C1"])
    assert states(claims, NAME) == [("failed", 0), ("done", 1), ("done", 1)][:3 if is_another_waiting else 2]
    assert claims.listed("receiving") == [] and NAME in claims.listed("done") and NAME not in claims.listed("failed")


def test_what_is_no_regular_file_stays_and_the_rest_is_taken(claims):  # noqa: F811
    os.mkfifo(os.path.join(claims.drop, "hospital1_fifo.csv"))
    os.mkdir(os.path.join(claims.drop, "hospital1_folder.csv"))
    os.symlink("/etc/passwd", os.path.join(claims.drop, "hospital1_link.csv"))
    os.symlink("hospital1_gone.csv", os.path.join(claims.drop, "hospital1_dangling.csv"))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        where = os.getcwd()
        os.chdir(claims.drop)  # a socket's path is short
        try:
            listener.bind("hospital1_socket.csv")
        finally:
            os.chdir(where)
        claims.put("hospital1_good.csv", text([row("C1")]))
        claims.once()
        claims.once()
    assert [line[1] for line in claims.claims()] == ["C1"]
    assert claims.rows("SELECT name, state, count(*) FROM ops.file GROUP BY 1, 2 ORDER BY 1") == [
        ("hospital1_dangling.csv", "failed", 1), ("hospital1_fifo.csv", "failed", 1), ("hospital1_folder.csv", "failed", 1),
        ("hospital1_good.csv", "done", 1), ("hospital1_link.csv", "failed", 1), ("hospital1_socket.csv", "failed", 1)]
    assert len([name for name in os.listdir(claims.drop) if name.startswith("hospital1_")]) == 5


# ---- many, and large


def test_many_small_files_end_as_one_large_one_would(make_claims):  # noqa: F811
    """More than are moved at once, of two hospitals in turn, some of them no good."""
    claims, other = make_claims(), make_claims()  # noqa: F811
    lines = {hospital: [row(f"C{number}", f"2024-0{1 + number % 9}-01") for number in range(150)] for hospital in (1, 2)}
    for hospital, rows in lines.items():
        for number, fields in enumerate(rows):
            claims.put(f"hospital{hospital}_{number:03}.csv", text([fields]))
        other.put(f"hospital{hospital}_all.csv", text(rows))
    for number in range(5):
        claims.put(f"hospital1_bad{number}.csv", f"nothing {number}\n")
        claims.put(f"hospital1_twice{number}.csv", text([lines[1][number]]))
    claims.once()
    other.once()
    assert claims.claims() == other.claims()
    assert claims.rows("SELECT state, count(*) FROM ops.file GROUP BY 1 ORDER BY 1") == [("done", 300), ("duplicate", 5), ("failed", 5)]
    assert len(claims.listed("done")) == 3 * 305 and len(claims.listed("failed")) == 3 * 5
    assert claims.rows("SELECT count(*) FROM ops.file WHERE detected ->> 'stored_as' <> name OR NOT detected ? 'stored_as'") == [(0,)]
    assert "rows read 1, new 1" in report(claims, "done", "hospital2_149.csv")


def test_a_look_up_does_not_read_all_claims_for_each_small_file(claims):  # noqa: F811
    """Into an empty table: what the planner thinks of it then stays for as long as nobody analyzes it. Cut files come each alone."""
    for number in range(300):
        claims.put(f"hospital1_{number:03}.csv", text([row(f"C{number}"), row("CUT")])[:-40])
    claims.once()
    ((n_read,),) = claims.rows("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = 'silver' AND relname = 'claims'")
    assert claims.rows("SELECT count(*) FROM silver.claims") == [(300,)]
    assert n_read < 40 * 300  # settle and its kind read the table some times; 300 * 300 / 2 are 45,000


def test_what_a_file_shows_is_asked_without_reading_all_claims_for_each(make_claims):  # noqa: F811
    """As above, of files that say what another said besides, each a page of its own: which claims show them is asked each time."""
    claims = make_claims(page_rows=2)
    for number in range(300):
        claims.put(f"hospital1_{number:03}_2024-0{1 + number % 9}.csv", text([row(f"C{number}"), row(f"S{number // 2}")]))
    claims.once()
    assert claims.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly' AND rows_read > 0") == [(300,)]
    read = dict(claims.rows("SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables "
                            "WHERE schemaname = 'silver' AND relname IN ('claims', 'claims_absorbed')"))
    assert read["claims"] < 40 * 450 and read["claims_absorbed"] < 10 * 150  # 150 * 300 / 2 are 22,500


@pytest.mark.parametrize("point", ["receive.after_done", "receive.before_done:40", "receive.after_done:2"])
def test_killed_among_many_small_files_nothing_is_lost_or_twice(make_claims, point):  # noqa: F811
    calm, claims = make_claims(), make_claims()  # noqa: F811
    for world in (calm, claims):
        for number in range(200):
            world.put(f"hospital{1 + number % 2}_2024-{1 + number % 12:02}_{number}.csv",
                      text([row(f"C{number % 90}", f"2024-0{1 + number % 7}-01", status=f"S{number % 3}")]))
    calm.once()
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL
    claims.once()
    # in which order files are read, the directory says: what a row was to the ledger depends on it, what it came to does not
    entries = "SELECT name, state, rows_read, rows_quarantined, detected FROM ops.file ORDER BY name"
    assert claims.rows(entries) == calm.rows(entries)
    dump.assert_equal(calm.dump(dump.ORDER), claims.dump(dump.ORDER))
    assert claims.listed("done") == calm.listed("done") and claims.listed("receiving") == []


@pytest.mark.nightly
def test_10000_small_files_in_under_60_seconds(claims):  # noqa: F811
    for number in range(10_000):
        claims.put(f"hospital{1 + number % 2}_{number:05}.csv", text([row(f"C{number}_{line}") for line in range(3)]))
    began = time.monotonic()
    claims.once()
    assert time.monotonic() - began < 60
    assert claims.rows("SELECT count(*), count(*) FILTER (WHERE state = 'done') FROM ops.file") == [(10_000, 10_000)]
    assert claims.rows("SELECT count(*) FROM silver.claims") == [(30_000,)]


def peak_of(daemon, until):
    """The most memory it held, until the condition is true."""
    peak = 0
    while not until():
        with contextlib.suppress(OSError, RuntimeError):
            peak = max(peak, daemon.resident_bytes("VmHWM"))
        time.sleep(0.05)
    return peak


@pytest.mark.nightly
@pytest.mark.parametrize("n_files", [100_000, 1_000_000])
def test_very_many_files_at_once_are_taken_in_lists(claims, record_property, n_files):  # noqa: F811
    """The first are received though the directory was not read to its end, in memory that does not grow with it; TERM ends it in
    time, and every file is in one place."""
    for number in range(n_files):
        claims.put(f"hospital{1 + number % 2}_{number:07}.csv", text([row(f"C{number}")]))
    claims.daemon.choose_port()
    began = time.monotonic()
    claims.daemon._spawn()
    try:
        first_s, peak = [], 0

        def is_done(wanted):
            n = claims.rows("SELECT count(*) FROM ops.file WHERE state = 'done'")[0][0] if claims.listed("done") else 0
            if n and not first_s:
                first_s.append(time.monotonic() - began)
            assert claims.daemon.is_alive() and time.monotonic() - began < 300
            return n >= wanted
        peak = peak_of(claims.daemon, lambda: is_done(2000))
        took_s = time.monotonic() - began
    finally:
        stopping = time.monotonic()
        claims.daemon.stop()
    record_property("shown", f"{n_files} files at once: the first after {first_s[0]:.1f} s, 2,000 after {took_s:.1f} s, "
                             f"at most {peak >> 20} MiB")
    assert time.monotonic() - stopping < 10 and peak < 48 << 20
    names = [name for folder in (".", "receiving", "done") for name in os.listdir(os.path.join(claims.drop, folder))
             if name.endswith(".csv")]
    assert len(names) == len(set(names)) == n_files
    assert claims.rows("SELECT count(*) FILTER (WHERE state = 'done') >= 2000, count(*) FILTER (WHERE state = 'failed'), "
                       "count(DISTINCT name) = count(*) FROM ops.file") == [(True, 0, True)]


@pytest.mark.nightly
def test_very_many_files_that_are_not_complete_are_looked_through_in_a_moment(make_claims, record_property):  # noqa: F811
    """An empty file waits for its writer until it has not changed for so long."""
    claims = make_claims(complete_after="1d")  # noqa: F811
    names = [f"hospital1_{number:06}.csv" for number in range(300_000)]
    for name in names:
        claims.put(name, "")
    claims.once()
    taken = names[::100_000]
    for name in taken:
        os.unlink(os.path.join(claims.drop, name))
    began = time.monotonic()
    claims.daemon.begin_once()
    peak = peak_of(claims.daemon, lambda: not claims.daemon.is_alive())
    assert claims.daemon.end_once(timeout=600) == 0
    took_s = time.monotonic() - began
    record_property("shown", f"{len(names)} files that are not complete: looked through in {took_s:.1f} s, at most {peak >> 20} MiB")
    assert took_s < 60 and peak < 96 << 20
    states = claims.rows("SELECT state, count(*) FROM ops.file GROUP BY 1 ORDER BY 1")
    assert states == [("failed", len(taken)), ("seen", len(names) - len(taken))]
    assert claims.rows("SELECT DISTINCT name FROM ops.file WHERE state = 'failed' ORDER BY 1") == [(name,) for name in taken]


GIB = 1 << 30


@pytest.mark.parametrize("size", [GIB, pytest.param(10 * GIB, marks=pytest.mark.nightly)])
def test_a_sparse_file_of_gibibytes_is_streamed(claims, size):  # noqa: F811
    with open(os.path.join(claims.drop, NAME), "wb") as file:
        file.write(text([row("C1")]).encode())
        file.truncate(size)
    claims.daemon.begin_once()
    pid = claims.daemon.pid()
    peak = peak_of(claims.daemon, lambda: not claims.daemon.is_alive())
    assert pid and claims.daemon.end_once(timeout=600) == 0
    if claims.daemon.is_size_its_own():
        assert 0 < peak < 48 << 20
    assert [line[1] for line in claims.claims()] == ["C1"]
    assert claims.rows("SELECT size_bytes, state FROM ops.file") == [(size, "done")]
    assert claims.rows("SELECT rule FROM dq.quarantine") == [("line_cut",)]


def test_a_run_is_canceled_in_the_middle_of_a_large_file(claims):  # noqa: F811
    """While it is hashed or read as one line: TERM ends the daemon within its ten seconds, and loses nothing."""
    with open(os.path.join(claims.drop, NAME), "wb") as file:
        file.write(text([row("C1")]).encode())
        file.truncate(200 * GIB)  # more than is hashed by then
    claims.daemon.choose_port()
    claims.daemon._spawn()
    jobs.until(lambda: NAME in (claims.listed("receiving") or ()), what="it is being read")
    began = time.monotonic()
    claims.daemon.stop()
    assert time.monotonic() - began < 10
    assert not any("did not stop in time" in str(line) for line in claims.daemon.log_lines()), "the worker let go by itself"
    with open(os.path.join(claims.drop, "receiving", NAME), "r+b") as file:
        file.truncate(len(text([row("C1")])))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1"] and claims.file(NAME)["state"] == "done"


def test_a_dropped_file_is_received_within_a_second(claims):  # noqa: F811
    """Only the directory's events can wake the job; of ten the quickest counts, for the machine may be busy."""
    claims.daemon.choose_port()
    claims.daemon._spawn()
    try:
        jobs.until(lambda: claims.listed("receiving") is not None)
        took = []
        for number in range(10):
            claims.put(".tmp", text([row(f"C{number}")]))
            began = time.monotonic()
            os.rename(os.path.join(claims.drop, ".tmp"), os.path.join(claims.drop, f"hospital1_{number}.csv"))
            jobs.until(lambda number=number: claims.file(f"hospital1_{number}.csv"), what="its row in the ledger")
            took.append(time.monotonic() - began)
            jobs.until(lambda number=number: f"hospital1_{number}.csv" in claims.listed("done"))
        assert min(took) < 1, took
    finally:
        claims.daemon.stop()


# ---- the configuration changes under a file that is partly read


def changed(claims, old, new):  # noqa: F811
    with open(claims.daemon.config, encoding="utf-8") as file:
        config = file.read()
    assert old in config
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(config.replace(old, new))


def american(fields):
    """Both months and days up to twelve: either order would do."""
    return [*fields[:6], "01/02/2024", "03/04/2024", *fields[8:]]


@pytest.mark.parametrize("other", ["DD/MM/YYYY", "YYYY-MM-DD"])
def test_a_date_format_that_changes_under_a_partly_read_file(make_claims, other):  # noqa: F811
    """What was placed is cleaned anew, what was not yet is read by the new one; or the file fails as a whole would."""
    content = text([american(row(f"C{number:02}")) for number in range(20)])

    def prepared():
        claims = make_claims(page_rows=5)  # noqa: F811
        changed(claims, "    format: csv\n", "    format: csv\n    date_format: [\"MM/DD/YYYY\", ISO]\n")
        claims.put(NAME, content)
        return claims
    claims, calm = prepared(), prepared()
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT="receive.after_page:2").returncode == -signal.SIGKILL
    assert claims.rows("SELECT DISTINCT service_date::text FROM silver.claims") == [("2024-01-02",)]
    for world in (claims, calm):
        changed(world, '"MM/DD/YYYY", ISO', f'"{other}", ISO' if other[0] == "D" else "ISO")
        world.once()
    if other == "DD/MM/YYYY":
        assert claims.rows("SELECT count(*), min(service_date)::text, max(service_date)::text FROM silver.claims") == [(20, "2024-02-01", "2024-02-01")]
        dates = "SELECT source_claim_id, iteration, service_date, claim_date, encode(record_hash, 'hex') FROM silver.claims ORDER BY 1, 2"
        assert claims.rows(dates) == calm.rows(dates)
        entry = claims.file(NAME)
        assert (entry["state"], entry["rows_read"], entry["rows_new"]) == ("done", 20, 20)
    else:
        for world in (claims, calm):
            assert world.file(NAME)["state"] == "failed" and "date_format" in world.file(NAME)["error"]
        assert claims.rows("SELECT count(*), count(service_date) FROM silver.claims") == [(10, 0)]
        assert calm.claims() == []


def test_a_way_of_reading_that_changes_under_a_partly_read_file_begins_it_anew(make_claims):  # noqa: F811
    """Offsets count characters' bytes in UTF-8: of another encoding they would be others."""
    rows = [row(f"C{number:02}", payer="Ren\u00e9\u00e9\u00e9") for number in range(20)]
    claims = make_claims(page_rows=5)  # noqa: F811
    changed(claims, "    format: csv\n", "    format: csv\n    encoding: utf-8\n")
    claims.put(NAME, text(rows).encode("latin-1"))
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT="receive.after_page:2").returncode == -signal.SIGKILL
    changed(claims, "encoding: utf-8", "encoding: windows-1252")
    claims.once()
    assert [line[1] for line in claims.claims()] == [f"C{number:02}" for number in range(20)]
    assert claims.file(NAME)["rows_read"] == 20 and claims.file(NAME)["rows_quarantined"] == 0
    assert claims.rows("SELECT count(*) FROM silver.claims WHERE source_payer_id <> 'REN\u00c9\u00c9\u00c9'") == [(0,)]
