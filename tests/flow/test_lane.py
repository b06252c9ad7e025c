"""Some sessions write the pages of a claims file by turns (daemon/steps/lane.h): what is left is what one session leaves,
whoever is killed, stopped or in the way.
"""
import contextlib
import signal
import threading

import pytest
from psycopg2 import errors

from harness import dump, jobs
from test_claims import make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_drop_fence import pair  # noqa: F401

NAME = "hospital1_2024-03.csv"
PAGE = 3
NEW = [row(f"C{number:02}", patient=f"P{number % 7}") for number in range(8 * PAGE)]


def by_one(make_claims, content, name=NAME):  # noqa: F811
    """All rows in one page."""
    claims = make_claims()
    claims.put(name, content)
    claims.once()
    return claims


def content_of(claims):  # noqa: F811
    """What shows, what is remembered, what is held, what the ledger and the figures of each rule say: not by which page, nor
    whether a claim's second delivery came with its first."""
    return claims.dump(dump.ORDER) | {
        "held": claims.rows("SELECT f.name, q.line, rule, natural_key, q.state FROM dq.quarantine q LEFT JOIN ops.file f USING (file_id) "
                            "ORDER BY line, 3"),
        "file": claims.rows("SELECT name, state, error, rows_read, rows_new + rows_corrected, rows_same, rows_flagged, rows_quarantined "
                            "FROM ops.file"),
        "lines": claims.rows("SELECT source_claim_id, iteration, line FROM silver.claims ORDER BY 1, 2"),
        "raw": claims.rows("SELECT line, op = 'reject', source_key, raw FROM bronze.claims__monthly_raw ORDER BY line"),
        "flags": claims.rows("SELECT rule, sum(failed)::int FROM dq.result WHERE feed = 'claims.monthly' AND batch_id IS NOT NULL "
                             "GROUP BY 1 ORDER BY 1"),
        "rows": claims.rows("SELECT sum(rows_read)::int, sum(rows_changed)::int, sum(rows_flagged)::int, "
                            "sum(rows_quarantined)::int FROM ops.batch WHERE feed = 'claims.monthly'")}


def unsettled(claims):  # noqa: F811
    """Where a settle came in between: what a page could flag hangs on it."""
    return {name: rows for name, rows in content_of(claims).items() if name != "flags"}


def killed_at(claims, point):  # noqa: F811
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL, f"{point} was not passed"


@pytest.mark.parametrize("point", ["page.early", "page.early:3", "page.in_turn", "page.in_turn:3", "page.before_commit:3",
                                   "page.after_commit:3", "page.after_bronze:4", "receive.after_page:4"])
def test_killed_while_two_pages_are_under_way_none_is_lost_and_none_comes_twice(make_claims, point):  # noqa: F811
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    killed_at(claims, point)
    read = claims.rows("SELECT coalesce(sum(rows_read), 0)::int FROM ops.file")[0][0]
    assert claims.rows("SELECT line FROM silver.claims ORDER BY 1") == [(line,) for line in range(2, 2 + read)]  # pages in their order
    claims.once()
    assert content_of(claims) == content_of(by_one(make_claims, text(NEW)))


def mixed():
    """Pages of three: a claim that stands in two that lie side by side, in two with one between, twice in one; what is not to be
    read; payers that nobody named before; a claim that was stored before; a name in both pages of two; what is unfit, alone in
    its page, and of one claim in two pages side by side."""
    rows = [list(fields) for fields in NEW]
    rows[5] = row(rows[3][0], "2024-03-05", "Paid", "84.00")  # twice in a page
    rows[9] = row(rows[7][0], "2024-03-06", "Denied")         # and in the page before
    rows[13] = row("C13", amount="ten")
    rows[14] = row(rows[8][0], "2024-03-07", "Denied")        # two pages before, which may not be committed either
    rows[16] = row("C16", payer="Aetna")
    rows[17] = row("")
    rows[20] = row(rows[2][0], "2024-02-01", "Denied")        # long before
    rows[22] = row("C22", payer="AETNA")                      # another spelling
    rows += [row(f"U{number}", amount="ten") for number in range(PAGE)]
    rows += [row("W1"), row("W2", amount="ten"), row("W2", amount="nine"), row("W3"), row("W4")]
    return rows


@pytest.mark.parametrize("shift", range(2 * PAGE))
def test_pages_that_are_not_all_new_end_as_one_session_places_them(make_claims, shift):  # noqa: F811
    """Whichever of two pages they stand in."""
    content = text([row(f"A{number}") for number in range(PAGE + shift)] + mixed())
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, content)
    claims.once()
    assert content_of(claims) == content_of(by_one(make_claims, content))


def test_a_file_of_claims_that_are_there_is_placed_by_one_session(make_claims):  # noqa: F811
    """Nothing is written early that would be written anew."""
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    claims.once()
    claims.put("hospital1_2024-04.csv", text([row(fields[0], "2024-04-01", "Paid", "84.00", patient=fields[2]) for fields in NEW]))
    claims.once(REVCYCLED_FAILPOINT="page.early")  # is not passed
    assert claims.rows("SELECT count(*)::int, count(DISTINCT source_claim_id)::int FROM silver.claims") == [(2 * len(NEW), len(NEW))]


LEFT = "pages written by further sessions had to be left; one places the next ones"
ALONE = "no further session writes pages"


def in_vain(pages):
    """Every page names somebody whom nobody named before."""
    return [row(f"V{number:03}", payer=f"Payer {number // PAGE}") for number in range(pages * PAGE)]


@pytest.mark.parametrize("pages, told", [(11, []), (12, [4])])
def test_pages_that_are_written_early_in_vain_again_and_again_are_so_no_more_for_a_while_and_that_is_told(make_claims, pages, told):  # noqa: F811
    """Of twelve the first is the run's, and the first of three sessions has to leave four."""
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(in_vain(pages)))
    claims.daemon.begin_once()
    assert claims.daemon.end_once(timeout=120) == 0
    lines = [line for line in claims.daemon.log_lines() if line.get("message") == LEFT]
    assert [line["left"] for line in lines] == told
    assert all(line["feed"] == "claims.monthly" and [(line["run"],)] == claims.rows("SELECT run_id FROM ops.run WHERE job = 'claims.monthly'")
               for line in lines)
    assert content_of(claims) == content_of(by_one(make_claims, text(in_vain(pages))))


def test_after_a_while_pages_are_written_early_again(make_claims):  # noqa: F811
    """What was in vain at the beginning of a long file need not be so at its end."""
    rows = in_vain(15) + [row(f"W{number:03}", payer="Payer 1") for number in range(40 * PAGE)]
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(rows))
    killed_at(claims, "page.early")
    assert claims.rows("SELECT rows_read::int FROM ops.file")[0][0] >= (12 + 32 - 3) * PAGE
    claims.once()
    assert content_of(claims) == content_of(by_one(make_claims, text(rows)))


def test_rows_that_are_unfit_keep_no_page_from_being_written_early(make_claims):  # noqa: F811
    """A file in which every page has one: all but the first are written before their turn."""
    rows = [row(f"D{number:03}", amount="ten" if number % PAGE == 1 else "120.00") for number in range(8 * PAGE)]
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(rows))
    killed_at(claims, "page.early:6")
    claims.once()
    assert content_of(claims) == content_of(by_one(make_claims, text(rows)))
    assert claims.rows("SELECT count(*)::int FROM dq.quarantine WHERE state = 'open' AND natural_key LIKE '%%D0%%'") == [(8,)]


def waiting(claims):  # noqa: F811
    """Sessions of the daemon: those that wait for another's row, and those that stand in a transaction."""
    return claims.rows("SELECT count(*) FILTER (WHERE wait_event = 'transactionid')::int, count(*) FILTER (WHERE state = 'idle in transaction')::int "
                       f"FROM pg_stat_activity WHERE datname = '{claims.database}' AND usename = 'revcycled'")[0]


def one_waits(claims):  # noqa: F811
    """And at least one stands: of two behind it the second perhaps was not read in time."""
    waits, stand = waiting(claims)
    return waits == 1 and stand >= 1


def is_at_the_cursor(claims):  # noqa: F811
    """The run places a page itself: it has the cursor."""
    return claims.rows("SELECT 1 FROM ops.cursor FOR UPDATE SKIP LOCKED") == []


INSERT = ("INSERT INTO silver.claims (claim_key, source_system, source_claim_id, iteration, is_final, batch_id) "
          "VALUES (-%s, 'hospital_a', 'C%02d', 1, true, 0)")


def test_what_stands_gives_way_to_whom_the_run_waits_for(make_claims):  # noqa: F811
    """A circle that PostgreSQL does not see: the run waits for somebody, who waits for the page that waits for the run."""
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as other:
        other.execute("SET statement_timeout = '60s'")
        other.execute(INSERT % (1, PAGE))  # of the second page
        claims.daemon.begin_once()
        jobs.until(lambda: one_waits(claims), 60, "one session waits, another stands")
        other.execute(INSERT % (2, 2 * PAGE))  # of the third
        link.rollback()
    assert claims.daemon.end_once(timeout=120) == 0
    assert content_of(claims) == content_of(by_one(make_claims, text(NEW)))


def test_whoever_has_the_cursor_when_a_page_has_its_turn_fails_no_run(make_claims):  # noqa: F811
    """As a post of a claim that stands in it: the other session waits for the cursor, whose holder waits for its rows."""
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    with contextlib.closing(claims.store.connect(claims.database)) as first, first.cursor() as holder, \
            contextlib.closing(claims.store.connect(claims.database)) as second, second.cursor() as poster:
        holder.execute(INSERT % (1, PAGE))  # of the second page
        poster.execute("SET statement_timeout = '60s'")
        claims.daemon.begin_once()
        jobs.until(lambda: one_waits(claims) and is_at_the_cursor(claims), 60, "the run waits, a page stands")
        lock = threading.Thread(target=poster.execute, args=("SELECT FROM ops.cursor FOR UPDATE",))
        lock.start()
        jobs.until(lambda: claims.rows("SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'postgres' AND wait_event_type = 'Lock' "
                                       f"AND datname = '{claims.database}'") == [(1,)], 60, "the poster waits for the page before")
        first.rollback()
        lock.join()
        with contextlib.suppress(errors.UniqueViolation, errors.DeadlockDetected):  # the page was first to the cursor, or to look
            poster.execute(INSERT % (2, 2 * PAGE))  # of the third
        second.rollback()
    assert claims.daemon.end_once(timeout=120) == 0
    assert [line for line in claims.daemon.log_lines() if line.get("message") == "run failed"] == []
    assert unsettled(claims) == unsettled(by_one(make_claims, text(NEW)))


def test_a_run_that_is_canceled_ends_what_the_other_session_waits_for(make_claims):  # noqa: F811
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as other:
        other.execute(INSERT % (1, 2 * PAGE))  # of the third page, which the other session writes
        claims.daemon.make_token()
        claims.daemon.start()
        try:
            jobs.until(lambda: waiting(claims)[0] == 1, 60, "it waits")
            run = claims.daemon.get("/v1/runs?job=claims.monthly&limit=1")[2]["items"][0]["id"]
            assert claims.daemon.post(f"/v1/runs/{run}/cancel")[0] in (200, 202)
            jobs.until(lambda: claims.daemon.get(f"/v1/runs/{run}")[2]["state"] == "canceled", 30, "the run has ended")
            jobs.until(lambda: waiting(claims) == (0, 0), 30, "nothing of it is left")
        finally:
            claims.daemon.stop()
        link.rollback()
    claims.once()
    assert unsettled(claims) == unsettled(by_one(make_claims, text(NEW)))


def test_who_lost_the_lease_does_not_commit_what_stands(pair):  # noqa: F811
    """Its sessions live on: the second of two pages is fenced when its turn comes."""
    claims = pair.claims
    with open(claims.daemon.config, encoding="utf-8") as file:
        config = file.read().replace("page_rows: 5000", f"page_rows: {PAGE}")
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(config)
    claims.put(NAME, text(NEW))
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.after_page:2:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what="it stands still")
    assert claims.rows("SELECT rows_read::int FROM ops.file") == [(2 * PAGE,)]
    claims.store.execute("UPDATE ops.cursor SET epoch = epoch + 1000", claims.database)
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) not in (0, -signal.SIGKILL)
    assert claims.rows("SELECT count(*)::int FROM silver.claims") == [(2 * PAGE,)]


def test_a_session_that_is_to_be_had_without_another_is_given_back(make_claims):  # noqa: F811
    """One lane writes nothing that the run would not write as fast: it ends at once, and not with the file."""
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(NEW))
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.after_page:3:stop"
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as other:
        other.execute(INSERT % (1, 0))  # of the first page, before which there are no lanes
        claims.daemon.begin_once()
        jobs.until(lambda: waiting(claims)[0] == 1, 60, "the run waits")
        threads = claims.daemon.threads()
        sessions = claims.rows("SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'revcycled'")[0][0]
        try:
            claims.store.execute(f"ALTER ROLE revcycled CONNECTION LIMIT {sessions + 1}")
            link.rollback()
            jobs.until(claims.daemon.is_stopped, what="it stands still")
        finally:
            claims.store.execute("ALTER ROLE revcycled CONNECTION LIMIT -1")
    assert claims.daemon.threads() == threads
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) == 0
    assert len([line for line in claims.daemon.log_lines() if line.get("message") == ALONE]) == 1
    assert unsettled(claims) == unsettled(by_one(make_claims, text(NEW)))


def test_a_session_that_dies_is_opened_anew_and_its_lane_writes_on(make_claims):  # noqa: F811
    rows = [row(f"D{number:03}") for number in range(24 * PAGE)]
    claims = make_claims(page_rows=PAGE)
    claims.put(NAME, text(rows))
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "page.in_turn:2:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what="it stands still")
    has_cursor = "FROM pg_locks WHERE relation = 'ops.cursor'::regclass AND mode = 'RowShareLock'"
    assert claims.rows(f"SELECT pg_terminate_backend(pid, 60000) {has_cursor}") == [(True,)]  # the lane whose page has its turn
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) == 0
    assert [line["message"] for line in claims.daemon.log_lines() if line.get("message") in (LEFT, ALONE)] == []
    assert content_of(claims) == content_of(by_one(make_claims, text(rows)))
