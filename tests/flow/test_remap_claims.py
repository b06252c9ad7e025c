"""A mended mapping of a claims feed: every delivery cleaned again from bronze, iterations as its words say now.

What is expected is counted here, from the files that were dropped; and a first load by the mended mapping is the other
witness.
"""
import csv
import hashlib
import io
import os
import random
import re
import signal

import pytest

from harness import dump, jobs, settings
from test_claims import Claims, add_weekly, make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_ledger import standing

AMOUNTS = ("ClaimAmount", "PaidAmount", "Deductible", "Coinsurance", "Copay")
STATUS = ("claim_status: ClaimStatus", "claim_status: {from: ClaimStatus, clean: [text, title, {map: {Rejected: Denied}}]}")
PAID = ("paid_amount: PaidAmount", "paid_amount: Copay")
PAYER = ("source_payer_id: PayorID", "source_payer_id: {from: PayorID, clean: [id, lower]}")
MODIFIED = ("source_modified_at: ModifiedDate", "source_modified_at: InsertDate")
READABLE = ("claims:\n", "rules:\n  - {name: amount_unreadable, entity: claims, severity: flag}\nclaims:\n")
STRICT = ("claims:\n", "rules:\n  - {name: overpaid, entity: claims, severity: quarantine, check: \"paid_amount <= claim_amount\"}\nclaims:\n")


def configure(claims, *mends):
    """The configuration with these mends, and without those of before."""
    with open(claims.daemon.config, encoding="utf-8") as file:
        claims.plain = getattr(claims, "plain", None) or file.read()
    content = claims.plain
    for old, new in mends:
        assert old in content, old
        content = content.replace(old, new, 1)
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(content)


def files_of_months():
    """40 claims over four months, some sent again word by word, some unreadable for now."""
    choice = random.Random(11)
    for month in range(1, 5):
        rows = [row(f"C{claim}", f"2024-0{choice.randint(1, 3)}-01", choice.choice(["Pending", "Rejected", "Denied"]),
                    choice.choice(["0.00", "5.00", "500.00"]), choice.choice(["Medicare", "Aetna"]),
                    amount=choice.choice(["100.00"] * 9 + ["ten"]))
                for claim in range(40) for _ in range(choice.randint(0, 2))]
        for fields in rows:
            fields[16] = f"2024-0{choice.randint(1, 3)}-02"  # InsertDate
        choice.shuffle(rows)
        yield f"hospital1_2024-{month:02}.csv", text(rows)


def receive(claims):
    for name, content in files_of_months():
        claims.put(name, content)
    claims.once()
    return claims


def deliveries(paid="PaidAmount", modified="ModifiedDate", denied=(), unusable=lambda fields: fields["ClaimAmount"] == "ten"):
    """{claim: deliveries in their order}, each (status, amounts, payer)"""
    found = {}
    for name, content in files_of_months():
        sha, period = hashlib.sha256(content.encode()).digest(), re.search(r"_([0-9]{4}-[0-9]{2})", name)[1]
        for line, fields in enumerate(csv.DictReader(io.StringIO(content)), 2):
            if unusable(fields):
                continue
            status = "Denied" if fields["ClaimStatus"] in denied else fields["ClaimStatus"]
            amounts = {name: None if fields[name] == "ten" else fields[name] for name in AMOUNTS}
            amounts["PaidAmount"] = fields[paid]
            place = (fields[modified], period, sha, line)
            found.setdefault(fields["ClaimID"], []).append((place, (status, *amounts.values()), fields["PayorID"]))
    return {claim: [delivery[1:] for delivery in sorted(rows)] for claim, rows in found.items()}


def iterations(*arguments, **options):
    """[(claim, iteration, is_final, status, paid, payer)]: neighbours of equal status and amounts are one."""
    expected = []
    for claim, rows in deliveries(*arguments, **options).items():
        runs = []
        for said, payer in rows:
            if runs and runs[-1][0] == said:
                runs[-1] = (said, payer)
            else:
                runs.append((said, payer))
        expected += [(claim, number, number == len(runs), said[0], said[2], payer.upper())
                     for number, (said, payer) in enumerate(runs, 1)]
    return sorted(expected)


def shown(claims):
    return sorted(claims.rows("SELECT source_claim_id, iteration, is_final, claim_status, paid_amount::text, "
                              "upper(source_payer_id) FROM silver.claims WHERE NOT is_deleted"))


def content(claims):
    """Silver, and the deliveries that do not show, without the mapping's number."""
    tables = {table: sorted(re.sub(r'"mapping_version": "?\d+"?', "", line) for line in lines)
              for table, lines in claims.dump(dump.ORDER).items() if not table.startswith("dq.")}
    tables["absorbed"] = claims.rows(
        "SELECT source_claim_id, encode(f.sha256, 'hex'), line, claim_status, paid_amount, source_payer_id, source_modified_at, "
        "a.source_hash, record_hash FROM silver.claims_absorbed a JOIN ops.file f USING (file_id) ORDER BY 1, 2, 3")
    return tables


def written(claims):
    """What a run may not touch when nothing is new."""
    return claims.rows("SELECT claim_key, iteration, is_final, batch_id FROM silver.claims ORDER BY 1"), claims.rows(
        "SELECT count(*), (SELECT count(*) FROM silver.claims_past), (SELECT count(*) FROM ops.moved), "
        "(SELECT count(*) FROM silver.claims_absorbed) FROM ops.batch WHERE feed <> 'settle'"), claims.rows(
        "SELECT quarantine_id, state, rule, mapping_version FROM dq.quarantine ORDER BY 1")


CASES = {
    "statuses become one": ((STATUS,), {"denied": ("Rejected",)}),
    "another order": ((MODIFIED,), {"modified": "InsertDate"}),
    "all at once": ((STATUS, PAID, MODIFIED, READABLE),
                    {"denied": ("Rejected",), "paid": "Copay", "modified": "InsertDate", "unusable": lambda fields: False}),
}


@pytest.mark.parametrize("case", CASES)
def test_iterations_are_what_a_mended_mapping_says(make_claims, case):  # noqa: F811
    mends, said = CASES[case]
    claims, first = receive(make_claims(page_rows=9)), make_claims()
    assert shown(claims) == iterations()
    bronze = claims.rows("SELECT count(*) FROM bronze.claims__monthly")
    configure(claims, *mends)
    claims.once()
    assert shown(claims) == iterations(**said) != iterations()
    assert claims.rows("SELECT count(*) FROM bronze.claims__monthly") == bronze
    before = written(claims)
    claims.once()
    assert written(claims) == before
    configure(first, *mends)
    dump.assert_equal(content(receive(first)), content(claims))
    held = "SELECT count(*) FROM dq.quarantine WHERE state IN ('open', 'superseded')"
    assert claims.rows(held) == first.rows(held)


def test_what_is_corrected_in_place_keeps_key_and_number(make_claims):  # noqa: F811
    claims = receive(make_claims())
    rows = "SELECT claim_key, iteration, is_final, claim_status, file_id, line FROM silver.claims ORDER BY 1"
    before, payers = claims.rows(rows), claims.rows("SELECT claim_key, source_payer_id FROM silver.claims ORDER BY 1")
    configure(claims, PAYER)
    claims.once()
    assert claims.rows(rows) == before
    assert claims.rows("SELECT claim_key, source_payer_id FROM silver.claims ORDER BY 1") == [
        (key, payer.lower()) for key, payer in payers]
    newest = "SELECT count(*) FROM silver.claims WHERE batch_id <= (SELECT max(batch_to) FROM silver.claims_past)"
    assert claims.rows(newest)[0][0] == len(before)


def test_of_claims_that_a_mended_mapping_reads_alike_nothing_is_written(make_claims):  # noqa: F811
    """The others are corrected."""
    claims = receive(make_claims())
    rows = "SELECT claim_key, batch_id FROM silver.claims c WHERE NOT EXISTS (SELECT FROM bronze.claims__monthly b " \
           "WHERE b.\"ClaimID\" = c.source_claim_id AND b.\"ClaimStatus\" = 'Rejected') ORDER BY 1"
    before = claims.rows(rows)
    configure(claims, STATUS)
    claims.once()
    assert claims.rows(rows) == before and len(before) > 5


def test_iterations_that_a_mended_mapping_joins_leave_their_past_behind(make_claims):  # noqa: F811
    claims = make_claims()
    claims.put("hospital1_2024-03.csv", text([row("C1", "2024-03-01", "Rejected"), row("C1", "2024-03-02", "Denied")]))
    claims.once()
    (first,), (second,) = claims.rows("SELECT claim_key FROM silver.claims ORDER BY iteration")
    configure(claims, STATUS)
    claims.once()
    ((kept,),) = claims.rows("SELECT claim_key FROM silver.claims")
    gone = first if kept == second else second
    assert kept in (first, second)
    assert (gone,) in claims.rows("SELECT key FROM ops.moved WHERE table_name = 'claims'")
    assert claims.rows("SELECT claim_key, claim_status FROM silver.claims_past WHERE batch_to > (SELECT min(batch_id) FROM "
                       "ops.batch) ORDER BY iteration") == [(first, "Rejected"), (second, "Denied")]
    configure(claims)
    claims.once()
    assert [line[2:5] for line in claims.claims()] == [(1, False, "Rejected"), (2, True, "Denied")]


def test_deliveries_that_a_stricter_mapping_refuses_stay_and_are_held(make_claims):  # noqa: F811
    """Each is an entry, and counts when it is the last of its claim; the mend of the mend takes them all back."""
    claims = receive(make_claims(page_rows=9))
    before = shown(claims)
    broken, last = [], {}
    for name, content_ in files_of_months():
        for line, fields in enumerate(csv.DictReader(io.StringIO(content_)), 2):
            rule = ("amount_unreadable" if fields["ClaimAmount"] == "ten" else
                    "overpaid" if fields["PaidAmount"] == "500.00" else None)
            broken += [(fields["ClaimID"], name, line)] if rule == "overpaid" else []
            place = (fields["ModifiedDate"], name, line, rule)
            last[fields["ClaimID"]] = max(place, last.get(fields["ClaimID"], place))
    unreadable = ("SELECT q.natural_key, f.name, q.line, q.state FROM dq.quarantine q JOIN ops.file f USING (file_id) "
                  "WHERE q.rule = 'amount_unreadable' ORDER BY 1, 2, 3")
    entries = ("SELECT q.natural_key, f.name, q.line FROM dq.quarantine q JOIN ops.file f USING (file_id) "
               "WHERE {} AND q.rule = 'overpaid' ORDER BY 1, 2, 3")
    held_before, is_open = claims.rows(unreadable), "q.state = 'open'"
    configure(claims, STRICT)
    claims.once()
    assert shown(claims) == before
    wanted = sorted((claim, name, line) for claim, (_, name, line, rule) in last.items() if rule == "overpaid")
    assert claims.rows(entries.format(is_open)) == wanted and len(wanted) > 5
    assert claims.rows(entries.format("true")) == sorted(broken) and len(broken) > len(wanted)
    state = written(claims)
    claims.once()
    assert written(claims) == state
    configure(claims)
    claims.once()
    assert shown(claims) == before and claims.rows(entries.format(is_open)) == []
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE state = 'replayed'") == [(len(broken),)]
    assert claims.rows(unreadable) == held_before


def test_of_rows_with_one_text_in_a_page_all_are_cleaned_again(make_claims):  # noqa: F811
    """Neither of them shows."""
    claims = make_claims()
    claims.put("hospital1_2024-01.csv", text([row("C1"), row("C1"), row("C1", payer="Cigna")]))
    claims.once()
    configure(claims, PAID)
    claims.once()
    assert shown(claims) == [("C1", 1, True, "Pending", "1.00", "CIGNA")]
    assert claims.rows("SELECT line::int, paid_amount::text FROM silver.claims_absorbed ORDER BY 1") == [(2, "1.00"), (3, "1.00")]


def test_of_rows_with_one_text_in_two_feeds_each_feed_cleans_its_own_again(make_claims, tmp_path):  # noqa: F811
    """Also those that stand beside what the other feed has read before."""
    claims = make_claims()
    weekly = add_weekly(claims, tmp_path / "weekly")
    claims.put("hospital1_2024-01.csv", text([row("C1"), row("C2")]))
    claims.once()
    (weekly / "hospital1_2024-02.csv").write_text(text([row("C1"), row("C1"), row("C2")]))
    claims.once()
    assert claims.rows("SELECT line::int FROM bronze.claims__weekly ORDER BY 1") == [(2,), (4,)]
    configure(claims, PAID, PAID)
    claims.once()
    assert {line[4] for line in shown(claims)} == {"1.00"}
    assert claims.rows("SELECT line::int, paid_amount::text FROM silver.claims_absorbed ORDER BY 1") == [(2, "1.00"), (3, "1.00"), (4, "1.00")]


def test_of_a_placed_row_that_postgresql_refuses_by_now_the_run_fails(make_claims):  # noqa: F811
    """It is the mend that is wrong, or the constraint: nothing is held for it."""
    claims = make_claims()
    claims.put("hospital1_2024-01.csv", text([row("C1"), row("C2")]))
    claims.once()
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 1)", claims.database)
    configure(claims, PAID)
    assert "23514" in claims.once(expected=1).stderr
    assert claims.rows("SELECT count(*) FROM dq.quarantine") == [(0,)]
    assert claims.rows("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NULL") == [(1,)]


def statement(file, name):
    with open(os.path.join(settings.ROOT, "storage", "sql", file), encoding="utf-8") as found:
        return re.search(rf"^-- name: {name}\n(.*?)(?=^-- name: |\Z)", found.read(), re.M | re.S)[1]


def refuse(claims):  # noqa: F811
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 7)", claims.database)


def test_a_refused_row_keeps_its_place_in_the_order_when_it_is_cleaned_again(make_claims):  # noqa: F811
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", "2024-03-05", paid="7.00")]))
    claims.put("hospital1_2024-02.csv", text([row("C1", "2024-02-01")]))
    claims.once()
    states = "SELECT rule, state FROM dq.quarantine"
    assert claims.rows(states) == [("row_refused", "open")]
    configure(claims, STRICT)
    claims.once()
    assert claims.rows(states) == [("row_refused", "open")]


def test_a_row_that_our_rules_take_by_now_and_postgresql_refuses_stays_alone(make_claims):  # noqa: F811
    """Whatever it was held for; the others of its claim and page are placed."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", amount="ten", paid="7.00"), row("C1", "2024-03-02", amount="ten", paid="1.00"),
                                              row("C2"), row("C3", amount="ten"), row("C1", "2024-03-03", amount="ten", paid="2.00")]))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C2"]
    configure(claims, READABLE)
    claims.once()
    assert claims.rows("SELECT natural_key, line::int, rule, reason FROM dq.quarantine WHERE state <> 'replayed'") == [
        ("C1", 2, "row_refused", "PostgreSQL refuses what the row says (SQLSTATE 23514)")]
    assert claims.rows("SELECT source_claim_id, iteration, line::int FROM silver.claims ORDER BY 1, 2") == [
        ("C1", 1, 3), ("C1", 2, 6), ("C2", 1, 4), ("C3", 1, 5)]
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    configure(claims, READABLE, STATUS)
    claims.once()
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE state <> 'replayed'") == [(0,)]
    assert claims.rows("SELECT iteration, line::int FROM silver.claims WHERE source_claim_id = 'C1' ORDER BY 1") == [(1, 2), (2, 3), (3, 6)]


def refuse_by_trigger(claims, name, state, condition):  # noqa: F811
    claims.store.execute(f"CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
                         f"RAISE EXCEPTION 'not this one' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$; "
                         f"CREATE TRIGGER {name} BEFORE INSERT ON silver.claims FOR EACH ROW EXECUTE FUNCTION public.{name}()", claims.database)


def replay(claims):  # noqa: F811
    claims.store.execute("UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'", claims.database)
    claims.once()
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE replay_asked_at IS NOT NULL") == [(0,)]


def test_a_row_that_is_refused_for_another_reason_says_so(make_claims):  # noqa: F811
    """It was tried again by the mapping that it is held by."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", paid="7.00"), row("C2")]))
    claims.once()
    entries = "SELECT quarantine_id, state, reason FROM dq.quarantine"
    ((entry, state, reason),) = claims.rows(entries)
    assert state == "open" and "23514" in reason
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    refuse_by_trigger(claims, "refused", "23502", "NEW.paid_amount = 7")
    replay(claims)
    assert claims.rows(entries) == [(entry, "open", reason.replace("23514", "23502"))]


@pytest.mark.parametrize("way", ["its file is read anew", "a remap"])
def test_a_refused_row_that_a_usable_one_stands_behind_is_placed_by(make_claims, way):  # noqa: F811
    """No entry is open that a person could ask for."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", "2024-01-01", paid="7.00")]))
    claims.put("hospital1_2024-02.csv", text([row("C1", "2024-02-01")]))
    claims.once()
    states = "SELECT rule, state FROM dq.quarantine"
    assert claims.rows(states) == [("row_refused", "superseded")]
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    replay(claims)
    assert claims.rows(states) == [("row_refused", "superseded")]
    if way == "a remap":
        claims.daemon.make_token()
        claims.daemon.start()
        try:
            assert jobs.run_job(claims.daemon, "claims.monthly", mode="remap")["state"] == "succeeded"
        finally:
            claims.daemon.stop()
    else:
        claims.store.execute("UPDATE ops.file SET replay_asked_at = now() WHERE name = 'hospital1_2024-01.csv'", claims.database)
        claims.once()
    assert [line[2:6] for line in claims.claims()] == [(1, False, "Pending", "7.00"), (2, True, "Pending", "0.00")]
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE state <> 'replayed' AND withdrawn_at IS NULL") == [(0,)]


def test_a_row_that_another_session_stood_in_the_way_of_for_a_moment_is_placed(make_claims):  # noqa: F811
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", paid="7.00"), row("C2")]))
    claims.once()
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused; CREATE SEQUENCE public.tries; "
                         "GRANT ALL ON SEQUENCE public.tries TO PUBLIC", claims.database)
    refuse_by_trigger(claims, "passing", "23505", "nextval('public.tries') = 1")  # is not rolled back
    replay(claims)
    assert claims.rows("SELECT state FROM dq.quarantine") == [("replayed",)]
    assert [line[1] for line in claims.claims()] == ["C1", "C2"]
    assert claims.rows("SELECT last_value FROM public.tries") == [(2,)]


def ask_when(claims, event, condition="true"):  # noqa: F811
    """A person asks for all that is open while a run does that: before whatever its page ends by it."""
    claims.store.execute(
        f"CREATE FUNCTION public.asks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
        "UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'; END IF; RETURN NEW; END $$; "
        f"CREATE TRIGGER asks BEFORE {event} FOR EACH ROW EXECUTE FUNCTION public.asks()", claims.database)


ASKED = "SELECT f.name, q.state, q.replay_asked_at IS NOT NULL FROM dq.quarantine q JOIN ops.file f USING (file_id) ORDER BY quarantine_id"


@pytest.mark.parametrize("behind", ["held", "usable"])
def test_a_row_that_was_asked_for_is_tried_though_another_of_its_claim_came_behind_it_first(make_claims, behind):  # noqa: F811
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", "2024-01-01", paid="7.00")]))
    claims.once()
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    ask_when(claims, "INSERT ON " + ("dq.quarantine" if behind == "held" else "silver.claims"))
    claims.put("hospital1_2024-02.csv", text([row("C1", "2024-02-01", amount="ten" if behind == "held" else "100.00")]))
    claims.once()
    held = [("hospital1_2024-02.csv", "open", False)] if behind == "held" else []
    assert claims.rows(ASKED) == [("hospital1_2024-01.csv", "superseded", True), *held]
    claims.store.execute("DROP FUNCTION public.asks CASCADE", claims.database)
    claims.once()
    assert claims.rows(ASKED) == [("hospital1_2024-01.csv", "replayed", False), *held]
    assert [line[2:6] for line in claims.claims()][0][::3] == (1, "7.00")
    assert len(claims.claims()) == (1 if behind == "held" else 2)


def test_who_asks_once_more_while_an_entry_is_cleaned_is_heard(make_claims):  # noqa: F811
    """What was mended meanwhile the first replay has not seen."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", paid="7.00")]))
    claims.once()
    ask = "UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'"
    claims.store.execute(ask, claims.database)
    with standing(claims, "again.before_asked_done"):
        claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused; " + ask, claims.database)
    assert claims.rows(ASKED) == [("hospital1_2024-01.csv", "open", True)]
    claims.once()
    assert claims.rows(ASKED) == [("hospital1_2024-01.csv", "replayed", False)]
    assert [line[1] for line in claims.claims()] == ["C1"]


@pytest.mark.parametrize("way", ["replay", "remap"])
def test_what_is_dismissed_while_deliveries_are_cleaned_again_stays_out(make_claims, way):  # noqa: F811
    """They were all read before."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1", "2024-01-01", paid="7.00"), row("C2", paid="7.00"), row("C1", "2024-01-02", paid="7.00")]))
    claims.once()
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused; "
                         "UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'", claims.database)
    if way == "remap":
        configure(claims, STATUS)
    with standing(claims, "again.opened"):
        claims.store.execute(statement("quarantine.sql", "quarantine_dismiss").replace(
            "$1::bigint", "(SELECT quarantine_id FROM dq.quarantine WHERE state = 'open' AND natural_key = 'C1')"), claims.database)
    assert claims.rows("SELECT line::int, state FROM dq.quarantine ORDER BY 1") == [(2, "replayed"), (3, "replayed"), (4, "dismissed")]
    assert claims.rows("SELECT source_claim_id, line::int FROM silver.claims ORDER BY 1, 2") == [("C1", 2), ("C2", 3)]


def test_what_another_feed_took_back_while_deliveries_are_cleaned_again_does_not_come_again(make_claims):  # noqa: F811
    """As its reading of a file does that had failed here: what it says otherwise is of no file any more."""
    claims = make_claims()
    refuse(claims)
    claims.put("hospital1_2024-01.csv", text([row("C1"), row("C2"), row("C3", paid="7.00"), row("C4", paid="7.00")]))
    claims.once()
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    configure(claims, STATUS)
    with standing(claims, "again.opened"):
        claims.store.execute("DELETE FROM silver.claims WHERE source_claim_id = 'C2'", claims.database)
        claims.store.execute(statement("held_claims.sql", "held_claims_withdraw").replace(
            "($1::bigint[])", "(ARRAY(SELECT quarantine_id FROM dq.quarantine WHERE natural_key = 'C4'))"), claims.database)
    assert [line[1] for line in claims.claims()] == ["C1", "C3"]
    assert claims.rows("SELECT natural_key, state FROM dq.quarantine ORDER BY 1") == [("C3", "replayed"), ("C4", "superseded")]


POINTS = ["page.after_lock:2", "page.after_members", "page.after_silver:2", "page.before_commit:3", "page.after_commit:2"]


def test_killed_at_any_page_it_ends_as_one_that_was_not(make_claims):  # noqa: F811
    """It is due as long as it has not come to its end."""
    mends = CASES["all at once"][0]
    calm, killed = receive(make_claims(page_rows=9)), receive(make_claims(page_rows=9))
    for claims in (calm, killed):
        configure(claims, *mends)
    due = "SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NULL"
    calm.once()
    for point in POINTS:
        assert killed.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL, point
        assert killed.rows(due) == [(1,)]
    killed.once()
    assert killed.rows(due) == [(0,)]
    dump.assert_equal(calm.dump(dump.KILL), killed.dump(dump.KILL))
    dump.assert_equal(content(calm), content(killed))


REPLAY_POINTS = ["again.opened", "page.after_lock:2", "page.after_members", "page.after_silver:2", "page.before_commit:3",
                 "page.after_commit:2", "again.before_restate", "again.before_asked_done"]


def test_a_replay_that_is_killed_anywhere_ends_as_one_that_was_not(make_claims):  # noqa: F811
    """Nobody asks again, and files come behind what was asked for meanwhile."""
    calm, killed = make_claims(page_rows=9), make_claims(page_rows=9)
    for claims in (calm, killed):
        refuse_some(claims)
        receive(claims)
        assert claims.rows("SELECT count(*) > 5 FROM dq.quarantine WHERE rule = 'row_refused' AND state = 'open'") == [(True,)]
        claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused; "
                             "UPDATE dq.quarantine SET replay_asked_at = now() WHERE state = 'open'", claims.database)
    asked = "SELECT count(*) FROM dq.quarantine WHERE replay_asked_at IS NOT NULL"
    calm.once()
    for point in REPLAY_POINTS:
        assert killed.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL, point
        assert killed.rows(asked) != [(0,)]
    killed.once()
    for claims in (calm, killed):
        assert claims.rows(asked) == [(0,)]
        assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE rule = 'row_refused' AND state = 'open'") == [(0,)]
    dump.assert_equal(calm.dump(dump.KILL), killed.dump(dump.KILL))
    dump.assert_equal(content(calm), content(killed))


def refuse_some(claims):  # noqa: F811
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 500)", claims.database)


def reads(claims, *tables):  # noqa: F811
    """Rows that were read of them, by whatever way."""
    return sum(claims.rows(f"SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE schemaname = 'silver' "
                           f"AND relname = '{table}'")[0][0] for table in tables)


def two_months(claims, n=200):  # noqa: F811
    """A refusal of January, and what February says of the same claims."""
    claims.put("hospital1_2024-01.csv", text([row(f"C{number}", "2024-01-01", "Rejected") for number in range(n)]))
    claims.put("hospital1_2024-02.csv", text([row(f"C{number}", "2024-02-01", "Denied", payer="Aetna") for number in range(n)]))
    claims.once()
    return claims


def file_states(claims):  # noqa: F811
    return [state for (state,) in claims.rows("SELECT state FROM ops.file ORDER BY name")]


def test_files_that_a_mended_mapping_supersedes_are_asked_once_and_not_for_every_page(make_claims):  # noqa: F811
    claims = two_months(make_claims(page_rows=10))
    assert file_states(claims) == ["done", "done"]
    configure(claims, STATUS)
    claims.once()
    assert file_states(claims) == ["superseded", "done"]
    before = reads(claims, "claims_absorbed")
    configure(claims, STATUS, PAYER)  # all is cleaned again, and January says nothing still
    claims.once()
    assert file_states(claims) == ["superseded", "done"]
    assert reads(claims, "claims_absorbed") - before < 10 * 200  # for each of 40 pages: 8,000
    configure(claims)
    claims.once()
    assert file_states(claims) == ["done", "done"]
    assert claims.rows("SELECT * FROM ops.file_unsure") == []


def test_killed_before_it_is_asked_it_is_asked_by_the_next_run(make_claims):  # noqa: F811
    claims = two_months(make_claims(page_rows=100))
    configure(claims, STATUS)
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT="again.before_restate").returncode == -signal.SIGKILL
    assert file_states(claims) == ["done", "done"]
    claims.once()
    assert file_states(claims) == ["superseded", "done"]
