"""A file that is read once more, in another way: what was misread of it does not stay, and what is left is what a world has
that read it rightly from the beginning. That world is the witness; what is withdrawn is counted from the files.
"""
import re
import signal

import pytest

from harness import dump
from test_claims import COLUMNS, add_weekly, make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_remap_claims import READABLE, STATUS, configure, reads

NAME, OTHER = "hospital1_2024-03.csv", "hospital1_2024-02.csv"
NUMBERS = range(1, 21)
SWAPPED = [COLUMNS[1], COLUMNS[0], *COLUMNS[2:]]


def way(*keys):
    """A key or two of the feed that say how its files are written."""
    return ("    format: csv\n", "    format: csv\n" + "".join(f"    {key}\n" for key in keys))


def quoted(number):
    fields = row(f"C{number}", payer={0: "Aetna, Inc.", 1: "Aet\nna"}.get(number % 5, "Aetna"))
    return ",".join(f'"{field}"' if number % 2 and field[0] == "C" or "," in field or "\n" in field else field for field in fields) + "\n"


HEADER = ",".join(COLUMNS) + "\n"
UMLAUTS = HEADER + "".join(",".join(row(f"C{number}", payer="Münch" if number % 2 else "Aetna")) + "\n" for number in NUMBERS)
QUOTED = HEADER + "".join(map(quoted, NUMBERS))
BARE = "".join(",".join(row(f"C{number}")) + "\n" for number in NUMBERS)
# how it is read first and then, the file, and how many deliveries of the first reading the second does not know of at all
CASES = {
    "encoding": (way("encoding: windows-1252"), way("encoding: utf-8"), UMLAUTS, 0),
    "quote": (way("quote: none"), way("quote: double"), QUOTED,
              # whole lines whose id has quotes; with a comma or a line's end within, they were held
              sum(number % 2 and number % 5 > 1 for number in NUMBERS)),
    "columns": (way("header: false", f"columns: [{', '.join(SWAPPED)}]"),
                way("header: false", f"columns: [{', '.join(COLUMNS)}]"), BARE, len(NUMBERS)),
    "header": (way("header: false", f"columns: [{', '.join(COLUMNS)}]"), way(), text([row(f"C{number}") for number in NUMBERS]), 0),
}


# a file that is read alike in either way of these cases, of the month before: some of the same claims, earlier
ALIKE = ("encoding", "quote")
EARLIER = text([row(f"C{number}", "2024-02-01", status="Denied" if number % 3 else "Pending") for number in (2, 4, 6, 8)])


def ask(claims):  # noqa: F811
    claims.store.execute(f"UPDATE ops.file SET replay_asked_at = now() WHERE name = '{NAME}' AND state <> 'seen'", claims.database)


def outcome(claims):  # noqa: F811
    """What shows, what is remembered, what is held and what the ledger says, without how often anything was read. (A payer that
    a misread row named stays as a member that nothing names.)"""
    tables = {"claims": sorted(re.sub(r'"mapping_version": "?\d+"?', "", line) for line in claims.dump(dump.ORDER)["silver.claims"])}
    tables["absorbed"] = claims.rows(
        "SELECT source_claim_id, encode(f.sha256, 'hex'), line, claim_status, source_payer_id, a.source_hash, encode(record_hash, 'hex') "
        "FROM silver.claims_absorbed a JOIN ops.file f USING (file_id) ORDER BY 1, 2, 3")
    tables["lines"] = claims.rows("SELECT source_claim_id, iteration, encode(f.sha256, 'hex'), line FROM silver.claims c "
                                  "JOIN ops.file f USING (file_id) ORDER BY 1, 2")
    tables["held"] = claims.rows("SELECT natural_key, rule, line, source_hash FROM dq.quarantine WHERE state = 'open' ORDER BY line, 1")
    tables["files"] = claims.rows("SELECT name, state, rows_read, rows_quarantined FROM ops.file WHERE state <> 'failed' ORDER BY name")
    return {table: [str(line) for line in lines] for table, lines in tables.items()}


@pytest.fixture
def worlds(make_claims):  # noqa: F811
    """Of a case: one that has misread it, one that reads it rightly from the beginning."""
    def make(case, n=1):
        wrong, right, content, _ = CASES[case]
        made = []
        for way_of_reading in (*[wrong] * n, right):
            claims = make_claims(page_rows=3)  # noqa: F811
            configure(claims, way_of_reading)
            if case in ALIKE:
                claims.put(OTHER, EARLIER)
                claims.once()
            claims.put(NAME, content)
            made.append(claims)
        return made
    return make


@pytest.mark.parametrize("case", CASES)
def test_what_was_misread_does_not_stay_when_the_file_is_read_anew(worlds, case):
    misread, calm = worlds(case)
    _, right, _, n_withdrawn = CASES[case]
    misread.once()
    calm.once()
    before = outcome(misread)
    assert before != outcome(calm)
    keys = dict(misread.rows("SELECT source_claim_id, claim_key FROM silver.claims WHERE is_final"))
    shown = misread.rows(f"SELECT source_claim_id, source_payer_id FROM silver.claims c JOIN ops.file f USING (file_id) WHERE f.name = '{NAME}'")
    configure(misread, right)
    ask(misread)
    misread.once()
    dump.assert_equal(outcome(calm), outcome(misread))
    assert misread.rows(f"SELECT rows_withdrawn, readings FROM ops.file WHERE name = '{NAME}'") == [(n_withdrawn, 1)]
    now = dict(misread.rows("SELECT source_claim_id, claim_key FROM silver.claims WHERE is_final"))
    assert all(now[number] == key for number, key in keys.items() if number in now), "a key stays with its claim"
    # what stood there until which batch, and that the batch read the file anew
    gone = [line for line in shown if line not in misread.rows(
        f"SELECT source_claim_id, source_payer_id FROM silver.claims c JOIN ops.file f USING (file_id) WHERE f.name = '{NAME}'")]
    past = misread.rows("SELECT DISTINCT p.source_claim_id, p.source_payer_id FROM silver.claims_past p JOIN ops.audit a ON "
                        "a.details ->> 'batch' = p.batch_to::text JOIN ops.file f ON f.file_id::text = a.details ->> 'read_anew'")
    assert set(gone) <= set(past) and (gone or case == "header")
    # nothing comes of it when it is read once more, nor when a mapping is mended that would take what was held
    bronze = misread.rows("SELECT count(*) FROM bronze.claims__monthly")
    ask(misread)
    misread.once()
    dump.assert_equal(outcome(calm), outcome(misread))
    assert misread.rows("SELECT count(*) FROM bronze.claims__monthly") == bronze
    for claims in (misread, calm):
        configure(claims, right, READABLE, STATUS)
        claims.once()
    dump.assert_equal(outcome(calm), outcome(misread))


POINTS = ["page.after_withdrawn", "page.after_silver:2", "page.after_decided:2", "page.before_commit:2", "receive.after_page:2", "receive.before_done",
          "receive.after_done"]


def test_killed_anywhere_a_file_that_is_read_anew_ends_as_one_that_was_not(worlds):
    killed, undisturbed, calm = worlds("quote", n=2)
    _, right, _, n_withdrawn = CASES["quote"]
    for claims in (killed, undisturbed):
        claims.once()
        configure(claims, right)
        ask(claims)
    for point in POINTS:
        assert killed.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL, point
    for claims in (killed, undisturbed, calm):
        claims.once()
    dump.assert_equal(outcome(calm), outcome(killed))
    dump.assert_equal(undisturbed.dump(dump.KILL), killed.dump(dump.KILL))
    assert killed.rows(f"SELECT rows_withdrawn FROM ops.file WHERE name = '{NAME}'") == [(n_withdrawn,)]


@pytest.mark.parametrize("case", CASES)
def test_what_was_misread_before_a_crash_does_not_stay_when_the_rest_is_read_otherwise(worlds, case):
    """The reading begins anew, and is killed once more before it is through."""
    misread, calm = worlds(case)
    _, right, _, _ = CASES[case]
    assert misread.daemon.once(timeout=120, REVCYCLED_FAILPOINT="receive.after_page:4").returncode == -signal.SIGKILL
    configure(misread, right)
    assert misread.daemon.once(timeout=120, REVCYCLED_FAILPOINT="receive.after_page:2").returncode == -signal.SIGKILL
    misread.once()
    calm.once()
    dump.assert_equal(outcome(calm), outcome(misread))


STOP = ("claims:\n", "rules:\n  - {name: big_number, entity: claims, check: \"source_claim_id <> 'C18'\", severity: stop, stop_percent: 1}\nclaims:\n")


@pytest.mark.parametrize("is_replayed", [True, False], ids=["by a replay", "sent again"])
@pytest.mark.parametrize("case", ["encoding", "quote"])
def test_what_was_misread_of_a_file_that_failed_does_not_stay(worlds, case, is_replayed):
    misread, calm = worlds(case)
    wrong, right, content, _ = CASES[case]
    configure(misread, wrong, STOP)
    misread.once()
    assert misread.file(NAME)["state"] == "failed" and misread.file(NAME)["rows_read"] > 10
    configure(misread, right)
    if is_replayed:
        ask(misread)
    else:
        misread.put(NAME, content)
    misread.once()
    calm.once()
    dump.assert_equal(outcome(calm), outcome(misread))


def test_a_file_that_failed_and_comes_as_another_months_has_its_place_there(make_claims):  # noqa: F811
    """Its first pages were placed as January's before the rest failed; the same bytes are March's, behind February's."""
    march = text([row(f"C{number}", status="Paid", paid="84.00") for number in NUMBERS])
    february = text([row(f"C{number}") for number in NUMBERS])  # the names alone tell which is later
    misnamed, calm = make_claims(page_rows=3), make_claims(page_rows=3)  # noqa: F811
    configure(misnamed, ("    format: csv\n", "    format: csv\n"), STOP)
    misnamed.put("hospital1_2024-01.csv", march)
    misnamed.once()
    assert misnamed.file("hospital1_2024-01.csv")["state"] == "failed" and misnamed.file("hospital1_2024-01.csv")["rows_read"] > 10
    configure(misnamed, ("    format: csv\n", "    format: csv\n"))
    for claims in (misnamed, calm):
        claims.put(OTHER, february)
        claims.put(NAME, march)
        claims.once()
    assert {line[4] for line in calm.claims() if line[3]} == {"Paid"}
    dump.assert_equal(outcome(calm), outcome(misnamed))


def test_a_file_is_read_anew_without_looking_for_what_it_placed_at_every_page(make_claims):  # noqa: F811
    claims, n = make_claims(page_rows=20), 600  # noqa: F811
    configure(claims, way("encoding: windows-1252"))
    claims.put(NAME, text([row(f"C{number}", payer="Münch" if number % 2 else "Aetna") for number in range(n)]))
    claims.once()
    claims.store.execute("INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, service_date, batch_id) "
                         "VALUES (1, 'hospital_a', 'T1', '2024-01-01', 1)", claims.database)  # or every figure looks through claims for a day
    before = reads(claims, "claims", "claims_absorbed")
    configure(claims, way("encoding: utf-8"))
    ask(claims)
    claims.once()
    assert claims.rows("SELECT source_payer_id, count(*) FROM silver.claims GROUP BY 1 ORDER BY 1") == [("AETNA", n // 2), ("MÜNCH", n // 2)]
    assert reads(claims, "claims", "claims_absorbed") - before < 24 * n  # settle and its kind read them some times; 30 pages more


def test_a_row_that_postgresql_refuses_when_its_file_is_read_anew_is_held_and_keeps_no_other_out(worlds):
    misread, calm = worlds("encoding")
    _, right, _, _ = CASES["encoding"]
    misread.once()
    misread.store.execute("ALTER TABLE silver.claims ADD CHECK (source_claim_id <> 'C3' OR source_payer_id <> 'MÜNCH')", misread.database)
    configure(misread, right)
    ask(misread)
    misread.once()
    calm.once()
    assert misread.rows("SELECT natural_key, rule, line FROM dq.quarantine WHERE state = 'open'") == [("C3", "row_refused", 4)]
    shown = "SELECT source_claim_id, iteration, source_payer_id FROM silver.claims ORDER BY 1, 2"
    assert misread.rows(shown) == [line for line in calm.rows(shown) if line[0] != "C3"]
    assert misread.file(NAME)["state"] == "done"


def test_what_is_held_counts_again_when_what_ended_it_was_misread(make_claims):  # noqa: F811
    """Lines within quotes were taken for rows, one usable and one not, and so for the last word on two claims."""
    claims = make_claims(page_rows=3)
    counting = "SELECT natural_key, name, line::int FROM dq.quarantine q JOIN ops.file USING (file_id) " \
               "WHERE q.state = 'open' AND natural_key ~ '^C[45]$' ORDER BY 1"
    configure(claims, way("quote: none"))
    claims.put(OTHER, text([row("C4", amount="ten"), row("C5", amount="ten")]))
    claims.once()
    within = [",".join(row("C4")), ",".join(row("C5", amount="ten"))]
    claims.put(NAME, text([row("C1", payer="\n".join(['"Aet', *within, 'na"'])), row("C2")]))
    claims.once()
    assert claims.rows(counting) == [("C5", NAME, 4)]
    configure(claims, way("quote: double"))
    ask(claims)
    claims.once()
    assert claims.rows(counting) == [("C4", OTHER, 2), ("C5", OTHER, 3)]
    assert {line[0] for line in claims.rows("SELECT source_claim_id FROM silver.claims")} == {"C1", "C2"}


def test_a_file_that_is_read_anew_alike_tells_of_the_same_lines(make_claims):  # noqa: F811
    claims = make_claims(page_rows=2)
    claims.put(NAME, text([row("C1"), row("C2", amount="ten"), row("C3"), row("C4", amount="ten")]))
    claims.once()
    entries = claims.rows("SELECT * FROM dq.quarantine ORDER BY quarantine_id")
    for _ in range(2):
        ask(claims)
        claims.once()
        assert claims.rows("SELECT rows_read, rows_same, rows_quarantined FROM ops.file") == [(4, 2, 2)]
        with open(f"{claims.drop}/done/{NAME}.report.txt", encoding="utf-8") as report:
            told = report.read()
        assert "quarantined 2" in told and "line 3: " in told and "line 5: " in told
    assert claims.rows("SELECT * FROM dq.quarantine ORDER BY quarantine_id") == entries


def test_a_file_that_failed_and_comes_again_tells_of_the_lines_that_were_held_then(make_claims):  # noqa: F811
    claims = make_claims(page_rows=100)
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 7)", claims.database)
    content = text([row("C1", amount="ten"), *(row(f"D{i}") for i in range(99)), *(row(f"E{i}", paid="7.00") for i in range(100))])
    claims.put(NAME, content)
    claims.once()
    assert claims.file(NAME)["state"] == "failed"
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    claims.put(NAME, content)
    claims.once()
    with open(f"{claims.drop}/done/{NAME}.report.txt", encoding="utf-8") as report:
        told = report.read()
    assert "quarantined 1" in told and "rule amount_unreadable: 1" in told and "line 2: " in told


def held_states(claims):  # noqa: F811
    return claims.rows("SELECT q.feed, natural_key, name, q.state FROM dq.quarantine q JOIN ops.file USING (file_id) "
                       "WHERE withdrawn_at IS NULL AND natural_key IS NOT NULL ORDER BY quarantine_id")


def test_what_is_held_goes_by_the_period_that_a_file_has_when_it_is_read_anew(make_claims):  # noqa: F811
    """No row is news."""
    claims = make_claims()
    configure(claims, (', period: "_([0-9]{4}-[0-9]{2})"', ""))
    claims.put(NAME, text([row("C1")]))
    claims.once()
    claims.put(OTHER, text([row("C1", amount="ten")]))
    claims.once()
    assert [entry[-1] for entry in held_states(claims)] == ["open"]  # no period: it came last
    configure(claims)
    claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
    claims.once()
    assert [entry[-1] for entry in held_states(claims)] == ["superseded"]


def test_what_is_held_is_held_of_the_id_that_is_read_today(make_claims):  # noqa: F811
    claims = make_claims()
    configure(claims, way("fold_ids: false"))
    claims.put(OTHER, text([row("c1", amount="ten")]))
    claims.once()
    configure(claims)
    claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
    claims.once()
    assert [entry[1:] for entry in held_states(claims)] == [("C1", OTHER, "open")]
    claims.put(NAME, text([row("C1")]))
    claims.once()
    assert [entry[1:] for entry in held_states(claims)] == [("C1", OTHER, "superseded")]


def test_what_a_feed_held_of_a_file_that_failed_is_held_by_the_feed_that_reads_it_next(make_claims, tmp_path):  # noqa: F811
    claims = make_claims(page_rows=100)
    other = add_weekly(claims, tmp_path / "weekly")
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 7)", claims.database)
    content = text([row("C1", amount="ten"), row("", amount="ten"), *(row(f"D{i}") for i in range(98)), *(row(f"E{i}", paid="7.00") for i in range(100))])
    claims.put(NAME, content)
    claims.once()
    assert claims.file(NAME)["state"] == "failed"
    assert held_states(claims) == [("claims.monthly", "C1", NAME, "open")]
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    (other / NAME).write_text(content)
    claims.once()
    assert claims.rows("SELECT feed FROM dq.quarantine WHERE natural_key IS NULL AND state = 'open'") == [("claims.weekly",)]
    assert held_states(claims) == [("claims.weekly", "C1", NAME, "open")]
    (other / "hospital1_2024-04.csv").write_text(text([row("C1")]))
    claims.once()
    assert held_states(claims) == [("claims.weekly", "C1", NAME, "superseded")]


def test_what_a_feed_holds_besides_counts_again_when_another_reads_the_file_that_failed(make_claims, tmp_path):  # noqa: F811
    """Of C1 the failed file had the last unusable row, of C2 a usable one behind an unusable one: as of another month it is not theirs."""
    claims = make_claims(page_rows=100)
    other = add_weekly(claims, tmp_path / "weekly")
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 7)", claims.database)
    claims.put(OTHER, text([row("C1", amount="ten"), row("C2", amount="ten"), row("C3", amount="ten")]))
    claims.once()
    content = text([row("C1", amount="ten"), row("C2"), *(row(f"D{i}") for i in range(98)), *(row(f"E{i}", paid="7.00") for i in range(100))])
    claims.put(NAME, content)
    claims.once()
    states = "SELECT natural_key, name, q.state FROM dq.quarantine q JOIN ops.file USING (file_id) WHERE q.feed = 'claims.monthly' " \
             "AND withdrawn_at IS NULL ORDER BY quarantine_id"
    assert claims.file(NAME)["state"] == "failed"
    assert claims.rows(states) == [("C1", OTHER, "superseded"), ("C2", OTHER, "superseded"), ("C3", OTHER, "open"), ("C1", NAME, "open")]
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    (other / "hospital1_2024-04.csv").write_text(content)
    claims.once()
    assert claims.rows(states) == [("C1", OTHER, "open"), ("C2", OTHER, "open"), ("C3", OTHER, "open")]
    assert claims.rows(states.replace("monthly", "weekly")) == [("C1", "hospital1_2024-04.csv", "open")]


def test_what_a_person_dismissed_stays_so_when_retention_came_between_two_readings(make_claims):  # noqa: F811
    """The reading between holds it by another id: of the one that was dismissed nothing is left but its withdrawn entry."""
    claims = make_claims()
    configure(claims, way("fold_ids: false"))
    claims.put(OTHER, text([row("c1", amount="ten"), row("c2", amount="ten")]))
    claims.once()
    claims.store.execute("UPDATE dq.quarantine SET state = 'dismissed', dismissed_at = now() WHERE natural_key = 'c1'", claims.database)
    for mends in ((), (way("fold_ids: false"),)):
        configure(claims, ("claims:\n", "retention: {quarantine: 6y, every: 12h}\nclaims:\n"), *mends)
        claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
        claims.once()
        claims.store.execute("UPDATE dq.quarantine SET ended_at = now() - interval '7 years' WHERE withdrawn_at IS NOT NULL", claims.database)
        claims.once()
        assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE withdrawn_at IS NOT NULL AND dismissed_at IS NULL") == [(0,)]
    assert [entry[1:] for entry in held_states(claims)] == [("c1", OTHER, "dismissed"), ("c2", OTHER, "open")]
