"""Quarantine that people work with: mend the rule, then clean again exactly those rows that were asked for; let others be."""
import contextlib
import csv
import signal
import subprocess
from datetime import timedelta

import pytest
import yaml

from harness import dump, jobs

FEED = "hospital_a.transactions"
RULE = "paid_above_billed"
STRICT = [{"name": RULE, "entity": "transactions", "severity": "quarantine"}]
OVERPAID = "SET STATEMENT timestamp = 1767000000 FOR UPDATE billing_transaction SET paid_amount = amount + 7 WHERE txn_id LIKE %s"


def with_rules(rules, page_rows=40):
    def edit(text):
        config = yaml.safe_load(jobs.rarely(text))
        config["rules"] = rules
        for source in config["sources"].values():
            for feed in source["feeds"].values():
                feed["page_rows"] = page_rows
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return edit


def entries(world, state="open", feed=FEED, rule=RULE):
    """Their ids and keys, in the order they were made."""
    return world.rows("SELECT q.quarantine_id::text, natural_key FROM dq.quarantine q WHERE feed = %s AND rule = %s AND state = %s "
                      "ORDER BY q.quarantine_id", feed, rule, state)


def replay(world, expect=202, **wish):
    """Asks, and awaits every run that was begun: the answer and the runs."""
    status, headers, answer = world.daemon.post("/v1/quarantine/replay", wish)
    assert status == expect, answer
    runs = [jobs.await_run(world.daemon, feed["run"]) for feed in answer.get("feeds", ()) if feed["run"]]
    assert headers["Location"] == (f"/v1/runs/{answer['id']}" if answer.get("id") else None)
    return answer, runs


def reload(world):
    status, _, answer = world.daemon.post("/v1/config/reload", timeout=90)
    assert status == 200, answer
    jobs.await_quiet(world.daemon)


def batches(world):
    return world.value("SELECT count(*) FROM ops.batch")


def strict(world, page_rows=40):
    """Rows that the hospital changed are held by a rule of the site's."""
    world.play(OVERPAID, "%7")
    world.configure(with_rules(STRICT, page_rows))
    world.once()
    assert len(entries(world)) > 10
    return world


def lifted(world, page_rows=40):
    """The daemon runs, its rule only flags now, and it has not looked at what is held by itself."""
    world.daemon.make_token()
    world.daemon.start()
    jobs.await_quiet(world.daemon)
    world.configure(with_rules([], page_rows))
    reload(world)
    assert entries(world, "replayed") == []
    return world


@pytest.fixture
def mended(loaded):
    return lifted(strict(loaded))


def paid(world, keys):
    """What the hospital says and what silver says of these rows."""
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute("SELECT txn_id, paid_amount FROM billing_transaction WHERE txn_id IN %s ORDER BY txn_id", (tuple(keys),))
        said = [(key.strip(), amount) for key, amount in cursor.fetchall()]
    known = world.rows("SELECT source_transaction_id, paid_amount FROM silver.transactions WHERE source_system = 'hospital_a' "
                       "AND source_transaction_id = ANY (%s) ORDER BY 1", list(keys))
    return said, known


def test_exactly_the_entries_that_were_asked_for_are_cleaned_again(mended):
    held = entries(mended)
    others = mended.rows("SELECT * FROM dq.quarantine WHERE state = 'open' AND quarantine_id <> ALL (%s::bigint[]) ORDER BY 1",
                         [entry for entry, _ in held[:2]])
    answer, (run,) = replay(mended, ids=[entry for entry, _ in held[:2]])
    assert answer["entries"] == 2 and answer["feeds"][0]["feed"] == FEED
    assert (run["state"], run["mode"], run["job"], run["rows_read"]) == ("succeeded", "replay", FEED, 2), run
    assert entries(mended, "replayed") == held[:2] and entries(mended) == held[2:]
    assert mended.rows("SELECT * FROM dq.quarantine WHERE state = 'open' ORDER BY 1") == others
    said, known = paid(mended, [key for _, key in held[:2]])
    assert known == said
    said, known = paid(mended, [key for _, key in held[2:]])
    assert known != said


def test_by_rule_feed_and_file_or_all_and_twice_changes_nothing(mended):
    held = entries(mended)
    files = mended.rows("SELECT quarantine_id::text, file_id::text FROM dq.quarantine WHERE state = 'open' "
                        "AND file_id IS NOT NULL ORDER BY rule = 'field_count', 1")
    assert replay(mended, rule=RULE, feed="hospital_b.transactions", file=files[0][1])[0] == {
        "id": None, "entries": 0, "feeds": []}
    answer, (run,) = replay(mended, file=files[0][1])
    assert answer["entries"] == sum(file == files[0][1] for _, file in files) and run["job"] == "claims.monthly"
    counts = dict(mended.rows("SELECT rule, count(*) FROM dq.quarantine WHERE state = 'open' AND rule <> 'key_collision' GROUP BY 1"))
    other = min(rule for rule in counts if rule not in (RULE, "field_count"))  # no mapping makes the latter usable
    assert replay(mended, rule=other)[0]["entries"] == counts[other] < sum(counts.values()) - len(held)
    answer, _ = replay(mended, rule=RULE, feed=FEED)
    assert answer["entries"] == len(held) and entries(mended, "replayed") == held
    said, known = paid(mended, [key for _, key in held])
    assert known == said
    flags = mended.value("SELECT count(*) FROM silver.transactions WHERE source_system = 'hospital_a' AND %s = ANY (dq_flags) "
                         "AND source_transaction_id = ANY (%s)", RULE, [key for _, key in held])
    assert flags == len(held)
    replay(mended, all=True)
    jobs.await_quiet(mended.daemon)
    left, before, state = mended.rows("SELECT * FROM dq.quarantine WHERE state = 'open' ORDER BY 1"), batches(mended), mended.dump()
    assert left and {row[0] for row in left} == {int(entry) for entry, _ in files}  # they are as unusable as ever
    answer, runs = replay(mended, all=True)
    assert answer["entries"] == len(left) - counts["field_count"] and {run["state"] for run in runs} == {"succeeded"}
    jobs.await_quiet(mended.daemon)
    assert mended.rows("SELECT * FROM dq.quarantine WHERE state = 'open' ORDER BY 1") == left
    assert batches(mended) == before
    dump.assert_equal(state, mended.dump())


def test_a_page_that_another_session_stood_in_the_way_of_for_a_moment_is_placed(mended):
    held = entries(mended)[-2:]  # that are not in silver as the hospital has them
    mended.store.execute(
        "CREATE SEQUENCE public.tries; GRANT ALL ON SEQUENCE public.tries TO PUBLIC; "  # is not rolled back
        "CREATE FUNCTION public.passing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('public.tries') = 1 THEN "
        "RAISE EXCEPTION 'not now' USING ERRCODE = '23505'; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER passing BEFORE INSERT ON silver.transactions FOR EACH ROW EXECUTE FUNCTION public.passing()", mended.database)
    _, (run,) = replay(mended, ids=[entry for entry, _ in held])
    assert (run["state"], run["rows_read"]) == ("succeeded", 2), run
    assert entries(mended, "replayed") == held
    said, known = paid(mended, [key for _, key in held])
    assert known == said
    assert mended.value("SELECT last_value FROM public.tries") == 3


def test_what_is_dismissed_while_its_page_waits_to_be_placed_stays_out(mended):
    (let_be, key), (wanted, _) = entries(mended)[-2:]
    _, before = paid(mended, [key])
    with contextlib.closing(mended.store.connect(mended.database)) as link, link.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7301)")  # as settle has it
        _, _, answer = mended.daemon.post("/v1/quarantine/replay", {"ids": [let_be, wanted]})
        jobs.until(lambda: mended.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7301 AND NOT granted "
                                       "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), what="it waits")
        assert mended.daemon.post(f"/v1/quarantine/{let_be}/dismiss", {})[0] == 200
        link.rollback()
    assert jobs.await_run(mended.daemon, answer["id"])["state"] == "succeeded"
    assert [state for (state,) in mended.rows("SELECT state FROM dq.quarantine WHERE quarantine_id = ANY (%s::bigint[]) ORDER BY quarantine_id",
                                              [let_be, wanted])] == ["dismissed", "replayed"]
    assert paid(mended, [key])[1] == before


def test_replayed_is_what_a_remap_would_have_made(mended, make_world, loaded_base):
    replay(mended, rule=RULE)
    mended.daemon.stop()
    mended.once()
    other = strict(make_world(loaded_base))
    other.configure(with_rules([]))
    other.once()
    dump.assert_equal(other.dump(dump.ORDER), mended.dump(dump.ORDER))


def test_what_the_source_mends_itself_is_superseded_and_not_replayed(loaded):
    strict(loaded)
    (entry, key), *others = entries(loaded)
    loaded.play("UPDATE billing_transaction SET paid_amount = 1 WHERE TRIM(txn_id) = %s", key)
    loaded.once()
    assert (entry, key) in entries(loaded, "superseded")
    lifted(loaded)
    before = loaded.rows("SELECT * FROM silver.transactions WHERE source_transaction_id = %s AND source_system = 'hospital_a'", key)
    assert replay(loaded, ids=[entry])[0]["entries"] == 0
    replay(loaded, rule=RULE, feed=FEED)
    assert entries(loaded, "replayed") == others and (entry, key) in entries(loaded, "superseded")
    assert loaded.rows("SELECT * FROM silver.transactions WHERE source_transaction_id = %s AND source_system = 'hospital_a'",
                       key) == before


# -- the right place of history

NOWHERE = [{"name": "city_known", "entity": "patients", "check": "city <> 'Nowhere'", "severity": "quarantine"}]
PAST = {"entity": "patients", "table": "patient_was", "key": ["pat_id", "since"], "cursor": "since", "every": "12h",
        "tells": "past", "map": {"source_patient_id": "pat_id", "city": "city", "source_modified_at": "since"}}
VERSIONS = ("SELECT version, effective_date::date::text, expiry_date::date::text, city, is_current FROM silver.patients "
            "WHERE source_system = 'hospital_a' AND source_patient_id = %s ORDER BY version")


def with_past(rules):
    def edit(text):
        config = yaml.safe_load(with_rules(rules)(text))
        config["sources"]["hospital_a"]["feeds"]["patients_past"] = PAST
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return edit


def test_what_describes_the_past_goes_between_the_versions_and_what_is_now_begins_at_its_own_time(loaded):
    past, now = (row[0] for row in loaded.rows(
        "SELECT source_patient_id FROM silver.patients WHERE source_system = 'hospital_a' AND is_current AND NOT is_deleted "
        "AND NOT is_inferred GROUP BY 1 HAVING max(version) = 1 ORDER BY 1 LIMIT 2"))
    (_, start, _, city, _), = loaded.rows(VERSIONS, past)
    (_, now_start, _, now_city, _), = loaded.rows(VERSIONS, now)
    loaded.play("CREATE TABLE patient_was (pat_id varchar(40), since datetime, city varchar(80), "
                "PRIMARY KEY (pat_id, since), KEY (since, pat_id))")
    for since, was in (("1999-03-01", "Firsttown"), ("2001-05-01", "Nowhere")):
        loaded.play("INSERT INTO patient_was VALUES (%s, %s, %s)", past, since, was)
    loaded.play("UPDATE patient_master SET city = 'Nowhere' WHERE TRIM(pat_id) = %s", now)
    changed = loaded.value("SELECT now()")
    loaded.configure(with_past(NOWHERE))
    loaded.once()
    assert loaded.rows(VERSIONS, past) == [(1, "1999-03-01", start, "Firsttown", False), (2, start, "9999-12-31", city, True)]
    assert loaded.rows(VERSIONS, now) == [(1, now_start, "9999-12-31", now_city, True)]
    loaded.daemon.make_token()
    loaded.daemon.start()
    for feed in ("hospital_a.patients", "hospital_a.patients_past"):
        jobs.until(lambda feed=feed: jobs.jobs(loaded.daemon)[feed]["last_success_at"], what=feed)
    loaded.configure(with_past([]))
    assert loaded.daemon.post("/v1/config/reload", timeout=90)[0] == 200
    answer, runs = replay(loaded, rule="city_known")
    assert answer["entries"] == 2 and {run["state"] for run in runs} == {"succeeded"}
    assert loaded.rows(VERSIONS, past) == [
        (1, "1999-03-01", "2001-05-01", "Firsttown", False), (2, "2001-05-01", start, "Nowhere", False),
        (3, start, "9999-12-31", city, True)]
    assert [row[3:] for row in loaded.rows(VERSIONS, now)] == [(now_city, False), ("Nowhere", True)]
    begun = loaded.value("SELECT effective_date FROM silver.patients WHERE source_system = 'hospital_a' AND is_current "
                         "AND source_patient_id = %s", now)
    assert timedelta(0) <= changed - begun < timedelta(seconds=5)  # long before it was cleaned again


# -- claims

@pytest.fixture
def held_claim(loaded):
    """A claim of three deliveries, the middle one refused by a rule that is lifted now; its number and its entry."""
    rule = [{"name": "paid_small", "entity": "claims", "check": "paid_amount < 777", "severity": "quarantine"}]
    source = "hospital_a"
    claim = loaded.value("SELECT source_claim_id FROM silver.claims WHERE source_system = %s AND is_final AND iteration = 1 "
                         "AND NOT is_deleted AND claim_amount > 1000 ORDER BY 1 LIMIT 1", source)
    deliver(loaded, source, claim)
    loaded.configure(with_rules(rule))
    loaded.once()
    lifted(loaded)
    (entry, _), = [row for row in entries(loaded, feed="claims.monthly", rule="paid_small") if row[1] == claim]
    return claim, entry


def iterations(world, claim):
    return world.rows("SELECT iteration, paid_amount::text FROM silver.claims WHERE source_system = 'hospital_a' "
                      "AND source_claim_id = %s ORDER BY 1", claim)


def other_claims(world, claim):
    return world.rows("SELECT * FROM silver.claims WHERE source_claim_id <> %s ORDER BY claim_key", claim)


def test_a_claim_that_was_held_takes_its_place_among_its_iterations(loaded, held_claim):
    claim, entry = held_claim
    (before,), others = iterations(loaded, claim), other_claims(loaded, claim)
    answer, (run,) = replay(loaded, ids=[entry])
    assert (answer["entries"], run["state"]) == (1, "succeeded")
    assert iterations(loaded, claim) == [before, (2, "777.00")]
    assert other_claims(loaded, claim) == others


def deliver(world, source, claim):
    """The claim once more, as it was last received but paid 777, in a file of its own."""
    raw, header = world.rows('SELECT r.raw, s.columns FROM bronze."claims__monthly_raw" r JOIN ops.file f USING (file_id) '
                             "JOIN ops.feed_schema s USING (schema_id) WHERE f.source_system = %s AND r.source_key = %s "
                             "ORDER BY f.file_id DESC LIMIT 1", source, claim)[0]
    fields = raw if isinstance(raw, str) else bytes(raw).decode()
    values = dict(zip(header, fields.rstrip("\n").split("\t")), PaidAmount="777.00")
    path = f"{world.directory}/hospital_a_2031-01.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, ["" if values[name] == "\\N" else values[name] for name in header]])
    world.drop_file(path)


# -- killed

def killed(world, name):
    """Starts the daemon with this failpoint; it dies there by itself, or after being asked."""
    world.daemon.extra["REVCYCLED_FAILPOINT"] = name
    with contextlib.suppress(Exception):  # it may be gone before it answers
        world.daemon.start()
    try:
        assert world.daemon.child.wait(60) == -signal.SIGKILL
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{name} was never passed") from error
    del world.daemon.extra["REVCYCLED_FAILPOINT"]


def test_killed_anywhere_a_replay_ends_as_one_that_was_not(loaded_base, make_world):
    """The daemon dies under the first, and under each of the runs that take it up; nobody asks again."""
    undisturbed = lifted(strict(make_world(loaded_base), page_rows=2), page_rows=2)
    replay(undisturbed, rule=RULE, feed=FEED)
    undisturbed.daemon.stop()
    world = lifted(strict(make_world(loaded_base), page_rows=2), page_rows=2)
    held = entries(world)
    world.daemon.stop()
    world.store.execute(  # as the answer of the API has left it; a remap would do the same and more, so it is out of the way
        f"UPDATE dq.quarantine SET replay_asked_at = now() WHERE feed = '{FEED}' AND rule = '{RULE}' AND state = 'open'",
        world.database)
    done = 0
    for name in ("page.after_lock", "page.after_silver", "page.before_commit", "page.after_commit:2", "page.after_members:2",
                 "again.before_asked_done"):
        killed(world, name)
        world.store.execute("UPDATE ops.feed_mapping SET remapped_at = now()", world.database)
        done, before = len(entries(world, "replayed")), done
        assert done >= before
    assert done == len(held) and world.value("SELECT count(*) FROM ops.feed_mapping WHERE feed = %s", FEED) > 1
    world.daemon.start()
    jobs.await_quiet(world.daemon)
    world.daemon.stop()
    assert world.value("SELECT count(*) FROM dq.quarantine WHERE replay_asked_at IS NOT NULL") == 0
    undisturbed.once()
    world.once()
    dump.assert_equal(undisturbed.dump(), world.dump())
