"""Two sessions write the pages of a table's first load by turns (daemon/steps/turns.h): what is left is what one session
leaves, whoever is killed or in the way.
"""
import contextlib
import signal

import pytest

from harness import dump, jobs
from harness.onefeed import OneFeed

PAGE = 6  # of a page of nine
FEED = {"entity": "transactions", "key": ["id"], "cursor": "changed", "page_rows": 9, "reconcile": "0", "map": {
    "source_transaction_id": "id", "source_patient_id": "patient", "amount": "amount", "service_date": "day", "procedure_code": "code",
    "source_modified_at": "changed"}}
TABLE = ("CREATE TABLE t (id varchar(12) COLLATE utf8mb4_nopad_bin PRIMARY KEY, patient varchar(12), amount varchar(12), day date, code varchar(8), "
         "changed datetime(6) NOT NULL DEFAULT '2024-04-01', KEY (changed))")


def plain(number, **other):
    return {"id": f"T{number:04}", "patient": f"P{number % 7}", "amount": f"{number}.50", "day": "2024-03-01", "code": "99213", **other}


@pytest.fixture
def make_table(binary, postgres, mariadb, schema_template, database_name, tmp_path):
    """Makes hospitals of these rows, each with a store of its own: make_table(rows). They end with the test."""
    feeds = []

    def make(rows, page_rows=9):
        database = postgres.create_database(f"lane_{database_name[-7:]}{len(feeds)}", schema_template)
        feed = OneFeed(mariadb, postgres, database, binary, tmp_path / f"feed{len(feeds)}", {**FEED, "page_rows": page_rows})
        feeds.append(feed)
        feed.play(TABLE, *(("INSERT INTO t (id, patient, amount, day, code) VALUES (%s, %s, %s, %s, %s)", tuple(row.values()))
                           for row in rows))
        return feed
    yield make
    for feed in feeds:
        feed.end()
        postgres.drop_database(feed.database)


def content_of(feed):
    """What is there, and what a run says of it; not by which page."""
    with contextlib.closing(feed.store.connect(feed.database)) as link:
        state = dump.postgres(link, dump.KILL)
    return state | {
        "held": feed.rows("SELECT rule, natural_key, state FROM dq.quarantine ORDER BY 2"),
        "counts": feed.rows("SELECT sum(rows_read)::int, sum(rows_new)::int, sum(rows_changed)::int, sum(rows_quarantined)::int "
                            "FROM ops.batch WHERE feed = 'h.f'")}


def by_one(make_table, rows):
    """All rows in one page."""
    feed = make_table(rows, 1000)
    feed.once()
    return feed


def keys(feed):
    return [key for key, in feed.rows("SELECT source_transaction_id FROM silver.transactions ORDER BY source_transaction_id")]


NEW = [plain(number) for number in range(8 * PAGE)]


@pytest.mark.parametrize("point", ["page.early", "page.early:3", "page.in_turn", "page.in_turn:3", "page.before_commit:3",
                                   "page.after_commit:4", "page.after_bronze:4", "page.after_silver:5", "extract.after_read:4"])
def test_killed_while_two_pages_are_under_way_a_first_load_goes_on_behind_the_last_that_is_whole(make_table, point):
    feed = make_table(NEW)
    assert feed.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL, f"{point} was not passed"
    done = keys(feed)
    assert done == [row["id"] for row in NEW[:len(done)]] and len(done) % PAGE == 0, "pages in their order, whole"
    feed.once()
    assert content_of(feed) == content_of(by_one(make_table, NEW))


def mixed(shift):
    """Rows that are no good; codes and days that nobody named before; an id that trimming makes of another, in the page
    of its twin and in the next."""
    rows = [plain(number) for number in range(6 * PAGE)]
    rows[9]["amount"] = "ten"
    rows[14]["code"] = "99214"
    rows[19]["day"] = "1931-07-02"
    rows[26]["patient"] = None
    rows += [plain(number, id=f" B{number}") for number in range(PAGE)]  # nobody's twins: the first page
    rows.append(plain(900, id=" " + rows[22]["id"]))      # stands before its twin by pages
    rows.append(plain(901, id=rows[16]["id"] + " "))      # behind its twin
    rows.append(plain(902, id=rows[2 * PAGE - 1]["id"] + " "))
    return [plain(number, id=f"A{number:04}") for number in range(PAGE + shift)] + rows


@pytest.mark.parametrize("shift", range(PAGE))
def test_pages_that_are_not_plain_end_as_one_session_places_them(make_table, shift):
    """Whichever of two pages they stand in."""
    feed = make_table(mixed(shift))
    feed.once()
    assert content_of(feed) == content_of(by_one(make_table, mixed(shift)))


@pytest.mark.parametrize("n_broken", [1, 2])
def test_a_plan_judges_the_pages_that_a_run_has(make_table, n_broken):
    """A share of a page's rows stops a feed: of six, not of nine."""
    rows = [plain(number, amount="-1.00" if number < n_broken else "1.00") for number in range(9)]
    feed = make_table(rows)
    feed.top = {"rules": [{"name": "owed", "entity": "transactions", "check": "amount > 0", "severity": "stop", "stop_percent": 25}]}
    feed.write()
    planned = feed.daemon.run("plan", "h.f", timeout=120)
    done = feed.daemon.once(timeout=120)
    assert (planned.returncode == 0, done.returncode == 0) == (n_broken == 1, n_broken == 1), (planned.stderr, done.stderr)
    assert len(keys(feed)) == (9 if n_broken == 1 else 0)


def test_rows_that_are_there_already_are_found_all_the_same(make_table):
    """A first load looks nothing up: what another made meanwhile is a unique violation, in a page before its turn too."""
    feed = make_table(NEW)
    assert feed.daemon.once(timeout=120, REVCYCLED_FAILPOINT="page.after_commit:1").returncode == -signal.SIGKILL
    feed.store.execute(
        "INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, batch_id) "
        "SELECT -n, 'h', 'T' || to_char(n, 'FM0000'), 0 FROM generate_series(%d, %d) n" % (3 * PAGE, 4 * PAGE), feed.database)
    feed.once()
    assert keys(feed) == [row["id"] for row in NEW]
    assert feed.value("SELECT count(*) FROM silver.transactions WHERE amount IS NULL") == 0


HELD = "INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, batch_id) VALUES (-1 - %d, 'h', 'T%04d', 0)"


def n_waiting(feed):
    """Sessions of the daemon that wait for another's row."""
    return feed.value("SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'revcycled' AND wait_event = 'transactionid' "
                      f"AND datname = '{feed.database}'")


def test_sessions_that_were_opened_before_the_first_page_write_the_second(make_table):
    """They read patients meanwhile, and are kept. Their threads are there while the first page waits, and no other comes."""
    feed = make_table(NEW)
    with contextlib.closing(feed.store.connect(feed.database)) as first, first.cursor() as of_first, \
            contextlib.closing(feed.store.connect(feed.database)) as second, second.cursor() as of_second:
        of_first.execute(HELD % (0, 0))
        of_second.execute(HELD % (PAGE, PAGE))
        feed.daemon.begin_once()
        jobs.until(lambda: n_waiting(feed) == 1, 60, "the first page waits")
        before = feed.daemon.threads()
        first.rollback()
        jobs.until(lambda: len(keys(feed)) == PAGE and n_waiting(feed) == 1, 60, "the first page is there, the second waits")
        assert feed.daemon.threads() == before
        second.rollback()
    assert feed.daemon.end_once(timeout=120) == 0
    assert content_of(feed) == content_of(by_one(make_table, NEW))
