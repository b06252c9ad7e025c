"""plan and dry_run: the numbers are those of the run that follows, and nothing is written."""
import re

import pytest

from harness import jobs, untouched

COUNTS = ("rows_read", "rows_changed", "rows_quarantined")
FEED = "hospital_a.transactions"


def state(world, with_sequences=True):
    return untouched.state(world.rows, with_sequences)


def assert_unchanged(world, before, with_sequences=True):
    untouched.assert_equal(before, state(world, with_sequences))


def plan(world, *arguments, expect=0):
    """{job: (read, changed, quarantined)}"""
    done = world.daemon.run("plan", *arguments, timeout=120)
    assert done.returncode == expect, done.stdout + done.stderr[-3000:]
    return {match[1]: tuple(int(number) for number in match.group(2, 3, 4))
            for match in re.finditer(r"^(\S+) +(\d+) +(\d+) +(\d+)$", done.stdout, re.M)}


def first_runs(world):
    """What each job did in its first run since the daemon started."""
    return {row[0]: tuple(row[1:]) for row in world.rows(
        "SELECT DISTINCT ON (job) job, rows_read, rows_changed, rows_quarantined FROM ops.run "
        "WHERE job LIKE 'hospital%' OR job LIKE 'claims.%' ORDER BY job, run_id")}


def start_quiet(world, edit=lambda text: text):
    world.configure(lambda text: jobs.small_pages(jobs.rarely(edit(text))))


def test_a_first_load_is_told_before(fresh):
    start_quiet(fresh)
    before = state(fresh)
    told = plan(fresh)
    assert_unchanged(fresh, before)
    assert told.pop("publish") == told.pop("settle") == (0, 0, 0)  # of what is placed
    fresh.daemon.make_token()
    fresh.daemon.start()
    jobs.await_quiet(fresh.daemon)
    assert told == first_runs(fresh) and told[FEED][1] > 1000


@pytest.fixture
def running(loaded):
    start_quiet(loaded)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    return loaded


def assert_told(world, job, **body):
    """The counts of the dry run, which wrote nothing, and of the run, which are the same."""
    jobs.run_job(world.daemon, "settle")  # else it follows the run before, meanwhile
    before = state(world)
    told = jobs.run_job(world.daemon, job, dry_run=True, **body)
    assert told["state"] == "succeeded" and told["dry_run"] is True, told
    assert_unchanged(world, before)
    done = jobs.run_job(world.daemon, job, **body)
    assert done["state"] == "succeeded" and not done.get("dry_run"), done
    assert [told[name] for name in COUNTS] == [done[name] for name in COUNTS], (told, done)
    return [done[name] for name in COUNTS]


def test_each_mode_is_told_before(running):
    """Changed, new, unusable rows and some of which only the time moved; a full run meets the changed twice."""
    play = running.play
    play("UPDATE billing_transaction SET paid_amount = paid_amount + 1 WHERE txn_id LIKE '%3'")
    play("UPDATE billing_transaction SET updated_at = NOW(6) WHERE txn_id LIKE '%4'")
    play("UPDATE billing_transaction SET amount = NULL WHERE txn_id LIKE '%55'")
    play("INSERT INTO billing_transaction SELECT CONCAT('NEW', SUBSTR(txn_id, 4)), enc_id, pat_id, clin_id, dept_id, visit_date, "
         "service_date, paid_date, visit_type, amount, amount_type, paid_amount, claim_no, payer_code, cpt, icd10, "
         "line_of_business, medicaid_no, medicare_no, created_at, NOW(6) FROM billing_transaction WHERE txn_id LIKE '%7'")
    read, changed, _ = assert_told(running, FEED)
    assert read > changed > 100
    play("UPDATE billing_transaction SET paid_amount = paid_amount + 1 WHERE txn_id LIKE '%8'")
    play("UPDATE billing_transaction SET paid_amount = paid_amount + 2, updated_at = updated_at WHERE txn_id LIKE '%9'")
    read, changed, _ = assert_told(running, FEED, mode="full")
    assert read > changed > 100
    play("UPDATE billing_transaction SET paid_amount = paid_amount + 3, updated_at = updated_at")
    days = running.rows("SELECT min(service_date)::text, (min(service_date) + 60)::text FROM silver.transactions")[0]
    read, changed, _ = assert_told(running, FEED, mode="backfill", **{"from": days[0], "to": days[1]})
    assert changed > 10
    running.store.execute("UPDATE silver.transactions SET record_hash = decode(repeat('11', 16), 'hex') "
                          "WHERE source_system = 'hospital_a' AND source_transaction_id LIKE '%2'", running.database)
    assert assert_told(running, FEED, mode="remap")[1] > 50
    assert assert_told(running, FEED, mode="remap")[1] == 0
    play("UPDATE patient_master SET street = '1 Planned Street' WHERE pat_id LIKE '%5'")
    assert assert_told(running, "hospital_a.patients")[1] > 10


def change_many(world):
    """Rows whose change makes settle look, and write: birth dates, a member that is new, orphans."""
    world.play("UPDATE patient_master SET birth_date = birth_date - INTERVAL 400 DAY WHERE pat_id LIKE '%3'")
    world.play("UPDATE billing_transaction SET pat_id = CONCAT(pat_id, 'X'), service_date = service_date + INTERVAL 40 DAY "
               "WHERE txn_id LIKE '%7'")
    for job in ("hospital_a.patients", FEED):
        assert jobs.run_job(world.daemon, job)["rows_changed"] > 10


def assert_told_undone(world, job):
    """What writes, and takes it back: numbers drawn from sequences alone are gone."""
    before = state(world, with_sequences=False)
    told = jobs.run_job(world.daemon, job, dry_run=True)
    assert told["state"] == "succeeded" and told["dry_run"] is True, told
    assert_unchanged(world, before, with_sequences=False)
    done = jobs.run_job(world.daemon, job)
    assert done["state"] == "succeeded", done
    assert [told[name] for name in COUNTS] == [done[name] for name in COUNTS], (told, done)
    return told


def test_a_settle_is_told_before(running):
    assert running.daemon.post("/v1/jobs/settle/pause")[0] == 200
    change_many(running)
    told = assert_told_undone(running, "settle")
    assert told["rows_read"] > told["rows_changed"] > 10
    assert assert_told_undone(running, "settle")["rows_changed"] == 0


def test_a_publication_that_settles_first_is_told_before(running):
    for job in ("settle", "publish"):
        assert running.daemon.post(f"/v1/jobs/{job}/pause")[0] == 200
    change_many(running)
    told = assert_told_undone(running, "publish")
    assert told["rows_changed"] > 10
    ((tables,),) = running.rows("SELECT tables FROM ops.publication ORDER BY publication_id DESC LIMIT 1")
    sent = {name: table["changed"] + table["deleted"] for name, table in tables.items()}
    note = told["steps"][0]["note"]
    assert {name: int(rows) for name, rows in (part.split() for part in note.split(", "))} == sent and len(sent) > 2


def test_a_publication_is_told_before(running):
    running.play("UPDATE billing_transaction SET paid_amount = paid_amount + 1, service_date = service_date + INTERVAL 1 DAY "
                 "WHERE txn_id LIKE '%3'")
    jobs.run_job(running.daemon, FEED)
    jobs.run_job(running.daemon, "settle")
    assert assert_told(running, "publish")[1] > 100
    assert assert_told(running, "publish")[1] == 0


def test_a_mended_mapping_is_told_before(loaded):
    def mend(text):
        return text.replace("first_name: {from: given_name, clean: [trim, unknown_words, proper_case]}",
                            "first_name: {from: given_name, clean: [trim, unknown_words, upper]}", 1).replace(
            "bigquery:\n", "rules:\n  - {name: paid_above_billed, entity: transactions, severity: quarantine}\n\nbigquery:\n", 1)
    start_quiet(loaded, mend)
    newest = loaded.value("SELECT max(run_id) FROM ops.run")
    before = state(loaded)
    told = {feed: plan(loaded, feed)[feed] for feed in ("hospital_a.patients", FEED)}
    assert_unchanged(loaded, before)
    assert told["hospital_a.patients"][1] > 100 and told[FEED][2] > 0
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    for feed, counts in told.items():
        assert loaded.rows("SELECT rows_read, rows_changed, rows_quarantined FROM ops.run WHERE job = %s AND run_id > %s "
                           "ORDER BY run_id LIMIT 1", feed, newest) == [counts]


def test_what_quarantine_holds_by_an_earlier_mapping_is_told_once(make_feed, mariadb):
    """The remap looks at it, and then the poll does; it stays what it was."""
    mapping = {"source_transaction_id": "id", "amount": "amount"}
    feed = make_feed(mariadb, {"entity": "transactions", "key": ["id"], "every": "12h", "map": mapping})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, amount varchar(9), word varchar(9))",
              "INSERT INTO t VALUES (1, '1.00', 'w'), (2, 'two', 'w')")
    feed.once()
    newest = feed.value("SELECT max(run_id) FROM ops.run")
    feed.write(map={**mapping, "visit_type": {"from": "word", "clean": ["trim"]}})
    told = plan(feed, "h.f")["h.f"]
    feed.once()
    assert feed.rows("SELECT rows_read, rows_changed, rows_quarantined FROM ops.run WHERE job = 'h.f' AND run_id > %s "
                     "ORDER BY run_id LIMIT 1", newest) == [told]
    assert told[1:] == (1, 0)


def test_what_cannot_be_told_is_refused(running):
    status, _, answer = running.daemon.post("/v1/jobs/kpi/runs", {"dry_run": True})
    assert status == 422 and "without doing it" in answer["detail"], answer
    status, _, answer = running.daemon.post(f"/v1/jobs/{FEED}/runs", {"dry_run": "yes"})
    assert status == 400 and answer["errors"][0]["pointer"] == "#/dry_run"
    assert plan(running, "no.such", expect=2) == {}
