"""What is old and needed by nobody goes; what remap, replay, reconcile, lineage, history or a court may ask for stays.

What may go is computed here anew from the rows themselves; that nothing was lost is shown by two worlds, of which one had
a retention: whatever is done to both afterwards ends equal.
"""
import collections
import contextlib
import csv
import json
import signal

import jsonschema
import psycopg2
import pytest
import yaml

from harness import dump, jobs
from harness.world import Base, World

DAYS = 2190
OLD = f"interval '{DAYS + 30} days'"
STRICT = [{"name": "paid_above_billed", "entity": "transactions", "severity": "quarantine"}]
KEPT_OUT = [{"name": "city_known", "entity": "patients", "check": "city <> 'Nowhere'", "severity": "quarantine"},
            {"name": "paid_small", "entity": "claims", "check": "paid_amount <> 777", "severity": "quarantine"}]
PAST = {"entity": "patients", "table": "patient_was", "key": ["pat_id", "since"], "cursor": "since", "every": "12h",
        "tells": "past", "map": {"source_patient_id": "pat_id", "city": "city", "source_modified_at": "since"}}
RETENTION = {"bronze": "6y", "quarantine": "6y", "runs": "6y", "audit": "6y", "every": "12h"}
PATIENT_COLUMNS = {"hospital_a.patients": "pat_id", "hospital_b.patients": "PatientNo", "hospital_a.patients_past": "pat_id",
                   "hospital_a.encounters": "pat_id", "hospital_b.encounters": "PatientNo", "hospital_a.transactions": "pat_id",
                   "hospital_b.transactions": "PatientNo", "claims.monthly": "PatientID"}


def configured(rules=(), retention=None, mended=False):
    def edit(text):
        config = yaml.safe_load(jobs.rarely(text))
        config["rules"] = list(rules)
        feeds = config["sources"]["hospital_a"]["feeds"]
        feeds["patients_past"] = PAST
        if mended:
            feeds["patients"]["map"]["city"] = {"from": "city", "clean": ["trim", "upper"]}
            feeds["transactions"]["map"]["visit_type"] = {"from": "visit_type", "clean": ["trim", "upper"]}
            config["claims"]["monthly"]["map"]["payer_type"] = {"from": "PayerType", "clean": ["trim", "upper"]}
        if retention:
            config["retention"] = retention
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return edit


# -- six years in a minute

def delivered(world, source, claim, month, paid, **others):
    """The claim once more, as it was first received but for what was paid and `others`, in a file of its own."""
    raw, header = world.rows('SELECT r.raw, s.columns FROM bronze."claims__monthly_raw" r JOIN ops.file f USING (file_id) '
                             "JOIN ops.feed_schema s USING (schema_id) WHERE f.source_system = %s AND r.source_key = %s "
                             "ORDER BY r.batch_id, r.line LIMIT 1", source, claim)[0]
    values = dict(zip(header, raw.split("\t")), PaidAmount=paid, **others)
    path = f"{world.directory}/hospital_a_{month}.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, ["" if values[name] == "\\N" else values[name] for name in header]])
    world.drop_file(path)


def mistyped(world, day):
    """What a version has corrected in place: of its first texts nobody has need any more."""
    world.play("UPDATE patient_master SET birth_date = %s WHERE pat_id LIKE '%%6'", f"1980-01-{day:02}")
    world.play("UPDATE tblPatient SET DOB = %s WHERE PatientNo LIKE '%%7'", f"01/{day:02}/1980", place=1)


def live(world):
    """Three rounds in which rows change, flap, go and come back, are refused, mended, replayed, corrected and repeated."""
    claims = [row[0] for row in world.rows(
        "SELECT source_claim_id FROM silver.claims WHERE source_system = 'hospital_a' AND NOT is_deleted AND claim_amount > 1000 "
        "GROUP BY 1 HAVING count(*) = 1 ORDER BY 1 LIMIT 3")]
    gone = [row[0] for row in world.rows(
        "SELECT source_transaction_id FROM silver.transactions WHERE source_system = 'hospital_a' AND NOT is_deleted "
        "AND source_transaction_id LIKE '%%1' ORDER BY 1 LIMIT 3")]
    world.play("CREATE TABLE patient_was (pat_id varchar(40), since datetime, city varchar(80), PRIMARY KEY (pat_id, since), "
               "KEY (since, pat_id))")
    world.play("INSERT INTO patient_was SELECT TRIM(pat_id), '1999-03-01', 'Firsttown' FROM patient_master WHERE pat_id LIKE '%%4'")
    world.play("CREATE TABLE aside AS SELECT * FROM billing_transaction WHERE TRIM(txn_id) IN %s", tuple(gone))
    world.play("CREATE TABLE streets AS SELECT pat_id, street FROM patient_master WHERE pat_id LIKE '%%7'")
    world.play("UPDATE patient_master SET street = '1 Old Street' WHERE pat_id LIKE '%%7'")
    world.play("UPDATE patient_master SET city = 'Nowhere' WHERE pat_id LIKE '%%9'")
    world.play("UPDATE billing_transaction SET paid_amount = 1 WHERE txn_id LIKE '%%5'")
    world.play("UPDATE billing_transaction SET paid_amount = amount + 7 WHERE txn_id LIKE '%%3'")
    world.play("DELETE FROM billing_transaction WHERE TRIM(txn_id) IN %s", tuple(gone))
    mistyped(world, 1)
    delivered(world, "hospital_a", claims[0], "2031-01", "777.00")
    delivered(world, "hospital_a", claims[1], "2031-02", "11.00")
    world.configure(configured(STRICT + KEPT_OUT))
    world.once()
    world.play("UPDATE patient_master m JOIN streets s USING (pat_id) SET m.street = s.street")
    mistyped(world, 2)
    world.play("UPDATE patient_was SET city = 'Othertown'")
    world.play("UPDATE patient_was SET since = '1999-06-01' WHERE pat_id LIKE '%%14'")
    world.play("UPDATE billing_transaction SET paid_amount = 2 WHERE txn_id LIKE '%%5'")
    world.play("UPDATE billing_transaction SET paid_amount = 1 WHERE txn_id LIKE '%%13'")
    world.play("INSERT INTO billing_transaction SELECT * FROM aside WHERE TRIM(txn_id) = %s", gone[0])
    delivered(world, "hospital_a", claims[0], "2031-03", "500.00")
    delivered(world, "hospital_a", claims[1], "2031-04", "12.00")
    delivered(world, "hospital_a", claims[2], "2031-05", "13.00")
    world.store.execute("UPDATE dq.quarantine SET state = 'dismissed' WHERE quarantine_id IN (SELECT min(quarantine_id) FROM "
                        "dq.quarantine WHERE state = 'open' GROUP BY feed)", world.database)
    world.once()
    world.play("UPDATE billing_transaction SET paid_amount = 3 WHERE txn_id LIKE '%%5'")
    mistyped(world, 3)
    world.play("UPDATE patient_master SET street = '2 New Street' WHERE pat_id LIKE '%%27'")
    for claim, month, paid in zip(claims, ("2031-06", "2031-07", "2031-08"), ("500.00", "12.00", "13.00")):
        delivered(world, "hospital_a", claim, month, paid, PayerType="Corrected")  # of the same iteration: the one before stands aside
    world.configure(configured(KEPT_OUT))
    world.once()


def age(world):
    """Two thirds of all that is older than it can be kept, of raw rows the same whatever batches they came in."""
    for (table,) in world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'bronze' ORDER BY 1"):
        world.store.execute(
            f'UPDATE bronze."{table}" b SET received_at = received_at - {OLD} FROM (SELECT ctid AS place, source_key || \'/\' || '
            f'row_number() OVER (PARTITION BY source_key ORDER BY batch_id, line, op) AS copy FROM bronze."{table}") c '
            "WHERE b.ctid = c.place AND coalesce(hashtext(c.copy), 1) % 3 <> 0", world.database)
    world.store.execute(
        f"UPDATE dq.quarantine SET ended_at = ended_at - {OLD} WHERE quarantine_id % 3 <> 0; "
        f"UPDATE ops.run SET finished_at = finished_at - {OLD} WHERE run_id % 3 <> 0; "
        f"UPDATE ops.reconciliation SET finished_at = finished_at - {OLD} WHERE reconciliation_id % 3 <> 0", world.database)


@pytest.fixture(scope="module")
def aged_base(binary, loaded_base, mariadb, postgres, tmp_path_factory):
    world = World(loaded_base, "aged", tmp_path_factory.mktemp("aged"), binary).make()
    live(world)
    age(world)
    return world.keep_as(Base("aged", loaded_base.data, loaded_base.template, mariadb, postgres, world.directory))


@pytest.fixture
def aged(make_world, aged_base):
    world = make_world(aged_base)
    world.configure(configured(KEPT_OUT, RETENTION))
    world.daemon.make_token()
    return world


def quiet(world):
    """All but a reconcile that has nothing to compare: a table of the past is read whole."""
    apart = ("kpi", "reconcile.hospital_a.patients_past")
    jobs.until(lambda: all(jobs.is_at_rest(job) for name, job in jobs.jobs(world.daemon).items() if name not in apart),
               seconds=90, what="every job has run")


# -- what may go, by the rows alone

RAW = ("SELECT r.ctid::text, batch_id, op, source_key, source_hash, r.received_at < now() - %s * interval '1 day', r.file_id, line, "
       "coalesce(f.source_system, split_part(%s, '.', 1)) FROM bronze.\"{}\" r LEFT JOIN ops.file f USING (file_id)")


def table_of(feed):
    return feed.replace(".", "__") + "_raw"


def feeds(world):
    return world.rows("SELECT feed, entity FROM ops.feed_entity ORDER BY feed")


def raw_rows(world, feed):
    return world.rows(RAW.format(table_of(feed)), DAYS, feed)


def wanted_of(world, feed, entity, shown_alone=False):
    """What some reader of raw rows asks for: contents by id, rows by id and batch, lines, contents that quarantine holds."""
    number = {"claims": "source_claim_id"}.get(entity, f"source_{entity[:-1]}_id")
    tables = ["claims", "claims_absorbed"] if entity == "claims" and not shown_alone else [entity]
    contents, makers, lines = set(), set(), set()
    for table in tables:
        for row in world.rows(f"SELECT to_jsonb(t) FROM silver.{table} t"):
            row = row[0]
            contents.add((row[number], row["source_hash"]))
            makers.add((row[number], row.get("made_by_batch")))
            lines.add((row[number], row.get("file_id"), row.get("line")))
    held = {row[0] for row in world.rows(
        "SELECT source_hash FROM dq.quarantine WHERE feed = %s AND (state IN ('open', 'dismissed') "
        "OR (state = 'superseded' AND file_id IS NOT NULL))", feed)}
    return contents, makers, lines, held


def unwanted(world, feed, entity, shown_alone=False):
    """Places of old rows that were replaced and that no reader asks for."""
    rows = raw_rows(world, feed)
    contents, makers, lines, held = wanted_of(world, feed, entity, shown_alone)
    newest = collections.defaultdict(int)
    for _, batch, op, key, _, _, _, _, source in rows:
        if op != "delete":
            newest[source, key] = max(newest[source, key], batch)
    return {place for place, batch, op, key, content, is_old, file, line, source in rows
            if is_old and (key is None or batch < newest[source, key]) and (key, content) not in contents
            and (key, batch) not in makers and content not in held and not (file and (key, file, line) in lines)}


def expected_raw(world):
    """{feed: places of the rows that may go}: rows of the past do not replace each other."""
    return {feed: set() if feed.endswith("_past") else unwanted(world, feed, entity) for feed, entity in feeds(world)}


def expected_entries(world):
    return {row[0] for row in world.rows(
        "SELECT quarantine_id FROM dq.quarantine WHERE ended_at < now() - %s * interval '1 day' "
        "AND (state = 'replayed' OR state = 'superseded' AND file_id IS NULL) AND (file_id IS NULL OR dismissed_at IS NULL)", DAYS)}


def expected_ledgers(world):
    """(proofs, runs) that may go."""
    proofs = world.rows("SELECT reconciliation_id, subject, finished_at < now() - %s * interval '1 day', run_id "
                        "FROM ops.reconciliation ORDER BY 1", DAYS)
    last = {subject: proof for proof, subject, _, _ in proofs}
    old = {proof for proof, subject, is_old, _ in proofs if is_old and proof != last[subject]}
    named = {run for proof, _, _, run in proofs if proof not in old}
    for table in ("ops.batch", "silver.person_link", "silver.person_alias", "ops.feed_drift", "ops.gone"):
        named |= {row[0] for row in world.rows(f"SELECT run_id FROM {table}")}
    runs = world.rows("SELECT run_id, job, finished_at < now() - %s * interval '1 day' FROM ops.run ORDER BY 1", DAYS)
    last = {job: run for run, job, _ in runs}
    return old, {run for run, job, is_old in runs if is_old and run != last[job] and run not in named}


def left(world):
    """{what: what is there}"""
    found = {feed: {row[0] for row in raw_rows(world, feed)} for feed, _ in feeds(world)}
    found["quarantine"] = {row[0] for row in world.rows("SELECT quarantine_id FROM dq.quarantine")}
    found["reconciliations"] = {row[0] for row in world.rows("SELECT reconciliation_id FROM ops.reconciliation")}
    found["runs"] = {row[0] for row in world.rows("SELECT run_id FROM ops.run")}
    return found


def expected(world):
    result = expected_raw(world)
    result["quarantine"] = expected_entries(world)
    result["reconciliations"], result["runs"] = expected_ledgers(world)
    return result


def kept(state):
    """A dump without what retention may touch."""
    return {name: rows for name, rows in state.items() if not name.startswith(("bronze.", "dq.quarantine"))}


def deleted_by_trail(world):
    """{object: rows} as the audit trail tells it."""
    return {name: int(n) for name, n in world.rows(
        "SELECT object, sum((details ->> 'rows')::bigint) FROM ops.audit WHERE action = 'retention.delete' GROUP BY 1")}


def figures(world):
    return {name: world.daemon.get(f"/v1/kpis/{name}")[2].get("rows")
            for name in sorted(item["kpi"] for item in world.daemon.get("/v1/kpis?limit=1000")[2]["items"])}


def retain(world, **environment):
    """A retention and nothing else."""
    world.store.execute("UPDATE ops.job SET paused = true WHERE name <> 'retention'", world.database)
    done = world.daemon.once(**environment)
    world.store.execute("UPDATE ops.job SET paused = false", world.database)
    assert done.returncode == (-signal.SIGKILL if environment else 0), done.stderr[-3000:]


# -- tests

def test_the_aged_world_has_everything_that_retention_could_get_wrong(aged):
    going = expected(aged)
    sizes = {name: len(rows) for name, rows in going.items()}
    for name in ("hospital_a.patients", "hospital_b.patients", "hospital_a.transactions", "quarantine", "runs"):
        assert sizes[name] > 0, (name, sizes, aged.rows("SELECT feed, count(*), sum(rows_changed) FROM ops.batch GROUP BY 1"))
    states = dict(aged.rows("SELECT feed || ' ' || state, count(*) FROM dq.quarantine GROUP BY 1"))
    for state in ("claims.monthly open", "claims.monthly superseded", "claims.monthly dismissed", "hospital_a.patients open",
                  "hospital_a.patients dismissed", "hospital_a.transactions replayed", "hospital_a.transactions superseded"):
        assert states.get(state), (state, states)
    assert unwanted(aged, "claims.monthly", "claims", shown_alone=True) > going["claims.monthly"]  # deliveries that stand aside ask, too
    assert aged.rows("SELECT feed, tells FROM ops.feed_entity WHERE tells <> 'now'") == [("hospital_a.patients_past", "past")]
    assert aged.value("SELECT count(*) FROM bronze.hospital_a__transactions_raw WHERE op = 'delete'") > 0


def test_exactly_what_nobody_needs_goes_as_the_plan_said_and_nothing_else_changes(aged):
    # Of these silver shows other texts than bronze has: the newest copy of each stays for being the newest alone.
    aged.store.execute("UPDATE silver.transactions SET source_hash = source_hash # 1 WHERE source_system = 'hospital_a'", aged.database)
    # And of these nobody asks for what the table of the past told: its rows stay for telling of the past alone.
    aged.store.execute("UPDATE silver.patients SET source_hash = source_hash # 1, made_by_batch = -1 WHERE source_system = 'hospital_a' "
                       "AND source_patient_id LIKE '%4'", aged.database)
    assert unwanted(aged, "hospital_a.patients_past", "patients")
    going, before, state = expected(aged), left(aged), aged.dump()
    total = sum(map(len, going.values()))
    done = aged.daemon.run("plan", "retention")
    line, note = (text for text in done.stdout.splitlines()[1:3])
    assert done.returncode == 0 and line.split() == ["retention", str(total), str(total), "0"], done.stdout + done.stderr
    raw = sum(len(rows) for name, rows in going.items() if "." in name)
    assert note.strip() == (f"would delete: bronze {raw}, quarantine {len(going['quarantine'])}, "
                            f"reconciliations {len(going['reconciliations'])}, runs {len(going['runs'])}")
    assert left(aged) == before and deleted_by_trail(aged) == {}
    retain(aged)
    after = left(aged)
    assert {name: before[name] - after[name] for name in before} == going
    assert deleted_by_trail(aged) == {name: len(rows) for name, rows in going.items() if rows}
    dump.assert_equal(kept(state), kept(aged.dump()))
    assert aged.daemon.run("verify").returncode == 0
    assert aged.daemon.run("plan", "retention").stdout.splitlines()[1].split() == ["retention", "0", "0", "0"]


def full(world, retention):
    """Everything that reads raw rows: all feeds again by a mended mapping, what was refused, reconciles."""
    world.configure(configured((), retention, mended=True))
    world.once()
    for feed in ("hospital_a.patients", "hospital_a.transactions", "claims.monthly"):
        assert world.value("SELECT count(*) FROM ops.feed_mapping WHERE feed = %s AND remapped_at IS NULL", feed) == 0
    return world.dump()


def test_each_kind_goes_by_its_own_age(aged):
    """The others are to be kept for longer than anything is old."""
    going = {name: len(rows) for name, rows in expected(aged).items()}
    going["bronze"] = sum(n for name, n in going.items() if "." in name)
    for key, kinds in (("bronze", ["bronze"]), ("quarantine", ["quarantine"]), ("runs", ["reconciliations", "runs"])):
        aged.configure(configured(KEPT_OUT, {**RETENTION, **dict.fromkeys(("bronze", "quarantine", "runs"), "10y"), key: "6y"}))
        told = aged.daemon.run("plan", "retention").stdout.splitlines()
        assert told[2].strip() == "would delete: " + ", ".join(f"{kind} {going[kind]}" for kind in kinds), told
        assert all(going[kind] for kind in kinds)


def test_whatever_is_done_afterwards_ends_as_if_nothing_had_been_deleted(aged, make_world, aged_base):
    other = make_world(aged_base)
    other.configure(configured(KEPT_OUT))
    retain(aged)
    assert sum(deleted_by_trail(aged).values()) > 0
    mine, theirs = full(aged, RETENTION), full(other, None)
    dump.assert_equal(kept(theirs), kept(mine))
    opened = "SELECT feed, source_system, natural_key, rule, state, raw FROM dq.quarantine WHERE state IN ('open', 'dismissed') ORDER BY 1, 2, 3, 4, raw"
    assert aged.rows(opened) == other.rows(opened)


LINEAGE = {"patients": "patient_key", "providers": "provider_key", "encounters": "encounter_key",
           "transactions": "transaction_key", "claims": "claim_key"}


def shown(world):
    """{(table, key): what shows it, and who changed it last}"""
    found = {}
    for table, key in LINEAGE.items():
        for (number,) in world.rows(f"SELECT {key} FROM silver.{table} WHERE source_hash IS NOT NULL ORDER BY batch_id DESC, {key} "
                                    "LIMIT 30"):
            answer = world.daemon.get(f"/v1/lineage/{table}/{number}")[2]
            found[table, number] = [row for row in answer["source_rows"] if row["is_shown"]], answer["changed_by"]
    return found


def figures(world):
    names = [item["kpi"] for item in world.daemon.get("/v1/kpis?limit=1000")[2]["items"]]
    return {name: world.daemon.get(f"/v1/kpis/{name}")[2] for name in names}


def run_retention(world, **body):
    run = jobs.run_job(world.daemon, "retention", **body)
    assert run["state"] == "succeeded", run
    return run


def everything_is_old(world):
    for feed, _ in feeds(world):
        world.store.execute(f'UPDATE bronze."{table_of(feed)}" SET received_at = received_at - {OLD}', world.database)
    world.store.execute(f"UPDATE dq.quarantine SET ended_at = ended_at - {OLD}", world.database)


def test_asked_for_over_http_it_tells_before_counts_and_leaves_figures_and_lineage_as_they_were(aged):
    aged.daemon.start()
    quiet(aged)
    everything_is_old(aged)
    going, before, told, known = expected(aged), left(aged), figures(aged), shown(aged)
    total = sum(map(len, going.values()))
    assert total > 0 and all(rows for rows, _ in known.values())
    run = run_retention(aged, dry_run=True)
    assert (run["rows_changed"], run["dry_run"]) == (total, True) and left(aged) == before
    run = run_retention(aged)
    assert run["rows_changed"] == total and f"bronze {sum(len(rows) for name, rows in going.items() if '.' in name)}" in (
        run["steps"][0]["note"])
    after = left(aged)
    assert {name: before[name] - after[name] for name in before} == going
    assert figures(aged) == told and shown(aged) == known
    metrics = aged.daemon.get("/metrics", token=None)[2]
    counted = float(metrics.split('revcycle_retention_deleted_total{table="bronze"} ')[1].split("\n")[0])
    assert counted == sum(n for name, n in deleted_by_trail(aged).items() if "." in name)


# -- holds

def hold(world, expect=201, **body):
    status, headers, answer = world.daemon.post("/v1/holds", {"reason": "case 12", **body})
    assert status == expect, answer
    assert status != 201 or headers["Location"] == f"/v1/holds/{answer['id']}"
    return answer


def raw_patients(world, feed):
    """{place: the patient that the raw text names}"""
    column = PATIENT_COLUMNS.get(feed)
    if not column:
        return {}
    return {place: (raw.split("\t")[columns.index(column)]).strip() for place, raw, columns in world.rows(
        f'SELECT r.ctid::text, r.raw, s.columns FROM bronze."{table_of(feed)}" r JOIN ops.feed_schema s USING (schema_id)')
        if column in columns}


def unretained(make_world, aged_base):
    """Its daemon runs and deletes nothing yet."""
    world = make_world(aged_base)
    world.configure(configured(KEPT_OUT))
    world.operator = world.daemon.make_token("operator", "read,operate,phi")
    world.daemon.make_token()
    world.daemon.start()
    quiet(world)
    return world


def with_retention(world):
    """The daemon takes up retention: what it deleted."""
    before = left(world)
    world.configure(configured(KEPT_OUT, RETENTION))
    status, _, answer = world.daemon.post("/v1/config/reload", timeout=90)
    assert status == 200, answer
    quiet(world)
    run_retention(world)
    after = left(world)
    return {name: before[name] - after[name] for name in before}


def test_nothing_of_a_source_or_a_feed_under_hold_goes_until_it_is_released(make_world, aged_base):
    world = unretained(make_world, aged_base)
    first, second = hold(world, source="hospital_b"), hold(world, feed="hospital_a.transactions")
    assert (first["kind"], first["source"], second["kind"], second["feed"]) == ("source", "hospital_b", "feed", "hospital_a.transactions")
    held = {name for name in expected_raw(world) if name.startswith("hospital_b.")} | {"hospital_a.transactions"}
    going = expected_raw(world)
    assert any(going[name] for name in held if name.startswith("hospital_b."))
    entries = {row[0] for row in world.rows("SELECT quarantine_id FROM dq.quarantine WHERE feed = 'hospital_a.transactions' "
                                            "OR source_system = 'hospital_b'")}
    may = expected_entries(world)
    gone = with_retention(world)
    assert {name: gone[name] for name in going} == {name: set() if name in held else rows for name, rows in going.items()}
    assert gone["quarantine"] == may - entries
    for one in (first, second):
        status, _, answer = world.daemon.request("DELETE", f"/v1/holds/{one['id']}")
        assert status == 200 and answer["released_by"] == "harness", answer
    assert world.daemon.request("DELETE", f"/v1/holds/{first['id']}")[0] == 409
    before = left(world)
    run_retention(world)
    assert {name: before[name] - left(world)[name] for name in held} == {name: going[name] for name in held}
    assert world.rows("SELECT action, outcome, details ->> 'kind' FROM ops.audit WHERE action LIKE 'hold.%%' ORDER BY audit_id") == [
        ("hold.set", "done", "source"), ("hold.set", "done", "feed"), ("hold.release", "done", None), ("hold.release", "done", None)]


def test_nothing_of_a_patient_or_person_under_hold_goes_whatever_feed_it_came_by(make_world, aged_base):
    world = unretained(make_world, aged_base)
    going = expected_raw(world)
    named = raw_patients(world, "hospital_a.transactions")
    paid = {named[place] for place in going["hospital_a.transactions"]}
    due = {number for place, number in raw_patients(world, "hospital_a.patients").items() if place in going["hospital_a.patients"]}
    person, other = world.rows(
        "SELECT l.person_id::text, m.source_patient_id FROM silver.person_link l JOIN silver.person_link m USING (person_id) "
        "WHERE l.source_system = 'hospital_b' AND m.source_system = 'hospital_a' AND m.source_patient_id = ANY (%s) "
        "ORDER BY 1, 2 LIMIT 1", sorted(paid))[0]
    patient = min(paid & due - {other})
    members = world.rows("SELECT source_system, source_patient_id FROM silver.person_link WHERE person_id = %s", person)
    key = world.value("SELECT patient_key::text FROM silver.patients WHERE source_system = 'hospital_a' AND source_patient_id = %s "
                      "AND is_current", patient)
    first, second = hold(world, patient_key=key), hold(world, person_id=person)
    assert (first["patient_key"], second["person_id"], second["members"]) == (key, person, len(members))
    held = {("hospital_a", patient), *members}
    files = dict(world.rows("SELECT ctid::text, (SELECT source_system FROM ops.file f WHERE f.file_id = r.file_id) "
                            "FROM bronze.claims__monthly_raw r"))
    stay = {feed: {place for place, number in raw_patients(world, feed).items()
                   if (files[place] if feed == "claims.monthly" else feed.split(".")[0], number) in held}
            for feed, _ in feeds(world)}
    assert stay["hospital_a.patients"] & going["hospital_a.patients"]
    assert all({place for place in going["hospital_a.transactions"] if named[place] == one} for one in (patient, other))
    gone = with_retention(world)
    for feed in going:
        assert gone[feed] <= going[feed] - stay[feed], feed
    assert gone["hospital_a.patients"] == going["hospital_a.patients"] - stay["hospital_a.patients"]
    assert gone["hospital_b.patients"] == going["hospital_b.patients"] - stay["hospital_b.patients"]
    assert gone["hospital_a.transactions"]  # other patients' rows went
    entries = "SELECT count(*) FROM dq.quarantine WHERE quarantine_id = ANY (%s)"
    assert world.value(f"{entries} AND feed = 'hospital_a.transactions'", list(gone["quarantine"])) == 0


def test_a_hold_that_is_set_during_a_run_counts_from_the_next_page_on(aged):
    going = expected_raw(aged)
    aged.daemon.start_until("retention.after_chosen")
    aged.store.execute("INSERT INTO ops.hold (kind, source_system, reason, set_by) VALUES ('source', 'hospital_a', 'r', 'me')", aged.database)
    aged.daemon.go_on()
    jobs.until(aged.daemon.is_ready)
    quiet(aged)
    aged.daemon.stop()
    after = left(aged)
    assert going["hospital_a.patients"] <= after["hospital_a.patients"]
    assert going["hospital_a.transactions"] <= after["hospital_a.transactions"]
    assert not going["hospital_b.patients"] & after["hospital_b.patients"]


def test_what_comes_to_name_a_held_patient_during_a_run_stays(aged):
    """The patient is held before, and the transaction is another's when rows are chosen."""
    feed, going = "hospital_a.transactions", expected_raw(aged)
    place, transaction = aged.rows(f'SELECT min(ctid::text), source_key FROM bronze."{table_of(feed)}" '
                                   "WHERE ctid = ANY (%s::tid[]) GROUP BY 2 ORDER BY 2 LIMIT 1", list(going[feed]))[0]
    aged.store.execute("INSERT INTO ops.hold (kind, source_system, source_patient_id, reason, set_by) "
                       "VALUES ('patient', 'hospital_a', 'NOBODY YET', 'r', 'me')", aged.database)
    chosen = [name for name, _ in feeds(aged) if going.get(name)]
    aged.daemon.start_until(f"retention.after_chosen:{chosen.index(feed) + 1}")
    aged.store.execute(f"UPDATE silver.transactions SET source_patient_id = 'NOBODY YET' WHERE source_transaction_id = '{transaction}' "
                       "AND source_system = 'hospital_a'", aged.database)  # as a page does
    aged.daemon.go_on()
    jobs.until(aged.daemon.is_ready)
    quiet(aged)
    aged.daemon.stop()
    after = left(aged)[feed]
    assert place in after
    assert going[feed] - after, "nothing went: the test proved nothing"


def test_nobody_is_told_of_a_hold_while_rows_are_being_deleted_under_the_holds_before(aged):
    aged.daemon.start_until("retention.after_deleted")
    with contextlib.closing(aged.store.connect(aged.database)) as link, link.cursor() as cursor:
        cursor.execute("SET lock_timeout = '300ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            cursor.execute("INSERT INTO ops.hold (kind, source_system, reason, set_by) VALUES ('source', 'hospital_a', 'r', 'me')")
    aged.daemon.go_on()
    jobs.until(aged.daemon.is_ready)


def test_what_is_wrong_with_an_order_is_said_where(make_world, aged_base):
    world = unretained(make_world, aged_base)
    for body, pointer in (({"patient_key": "1"}, "#/patient_key"), ({"patient_key": "x"}, "#/patient_key"),
                          ({"person_id": "00000000-0000-0000-0000-000000000000"}, "#/person_id"), ({"person_id": "x"}, "#/person_id"),
                          ({"source": "nowhere"}, "#/source"), ({"feed": "hospital_a.nothing"}, "#/feed"), ({}, "#"),
                          ({"source": "hospital_a", "reason": ""}, "#/reason"), ({"source": "hospital_a", "until": "x"}, "#/until"),
                          ({"feed": "hospital_a.patients", "source": "hospital_a"}, "#/source")):
        answer = hold(world, 400, **body)
        assert answer["errors"][0]["pointer"] == pointer, answer
    assert world.daemon.post("/v1/holds", {"source": "hospital_a"})[2]["errors"][0]["pointer"] == "#/reason"
    assert world.daemon.get("/v1/holds")[2]["items"] == [] and world.daemon.get("/v1/holds/1")[0] == 404
    assert world.daemon.request("DELETE", "/v1/holds/1")[0] == 404
    one = hold(world, source="hospital_a")
    assert world.daemon.get("/v1/holds?state=in_force")[2]["items"] == [one] == [world.daemon.get(f"/v1/holds/{one['id']}")[2]]
    assert world.daemon.get("/v1/holds?state=released")[2]["items"] == [] and world.daemon.get("/v1/holds?state=x")[0] == 400
    document = world.daemon.get("/openapi.json", token=None)[2]
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/Hold", "components": document["components"]}).validate(one)
    order = {"source": "hospital_a", "reason": "r"}
    assert [world.daemon.request(*asked, token=world.operator)[0] for asked in (
        ("POST", "/v1/holds", order), ("GET", "/v1/holds"), ("DELETE", f"/v1/holds/{one['id']}"))] == [403, 403, 403]


# -- the audit trail

def month(world, name, begin, end):
    """A month of the trail before what is there, with two lines."""
    world.store.execute(
        f"ALTER TABLE ops.audit DETACH PARTITION ops.audit_before; CREATE TABLE ops.{name} PARTITION OF ops.audit "
        f"FOR VALUES FROM ('{begin}') TO ('{end}'); ALTER TABLE ops.{name} OWNER TO revcycle_owner", world.database)
    upper = world.value("SELECT date_trunc('month', max(at), 'UTC') + interval '1 month' FROM ops.audit_before")
    world.store.execute(f"ALTER TABLE ops.audit ATTACH PARTITION ops.audit_before FOR VALUES FROM ('{end}') TO ('{upper}')", world.database)
    for _ in range(2):
        world.store.execute(f"INSERT INTO ops.audit (at, actor, action, object, outcome) VALUES ('{begin}', 'a', 'b', 'c', 'd')",
                            world.database)


def months(world):
    return [row[0] for row in world.rows("SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
                                         "WHERE inhparent = 'ops.audit'::regclass AND c.relname LIKE 'audit_20%%' ORDER BY 1")]


def may_not_go(world, *names):
    """Whatever age the daemon's role says."""
    with contextlib.closing(world.store.connect(world.database, "revcycled")) as link:
        for name in names:
            with link, link.cursor() as cursor, pytest.raises(psycopg2.Error) as raised:
                cursor.execute("SELECT ops.audit_retire_month(%s, interval '1 day')", (name,))
            assert raised.value.pgcode == "55000", name


def test_whole_sealed_months_of_the_trail_go_after_six_years_and_none_while_anything_is_held(aged):
    month(aged, "audit_2020_02", "2020-02-01", "2020-03-01")
    month(aged, "audit_2021_02", "2021-02-01", "2021-03-01")
    aged.store.execute("INSERT INTO ops.hold (kind, source_system, reason, set_by) VALUES ('source', 'hospital_b', 'r', 'me')", aged.database)
    there = months(aged)
    assert "audit_2020_02" in there
    retain(aged)  # seals them
    assert months(aged) == there
    aged.store.execute("UPDATE ops.hold SET released_at = now()", aged.database)
    assert "audit 2" in aged.daemon.run("plan", "retention").stdout and months(aged) == there
    retain(aged)
    assert months(aged) == [name for name in there if name != "audit_2020_02"]
    assert aged.value("SELECT count(*) FROM ops.audit WHERE at < '2021-01-01'") == 0
    assert deleted_by_trail(aged)["ops.audit_2020_02"] == 2
    done = aged.daemon.run("verify")
    assert done.returncode == 0 and "2 lines dropped by retention" in done.stdout, done.stdout
    assert "audit_2021_02" in there  # sealed, and not held: for its age alone
    may_not_go(aged, *months(aged), "audit_other", "audit_before", "token")


def test_months_with_lines_in_no_seal_stay(aged):
    month(aged, "audit_2020_02", "2020-02-01", "2020-03-01")
    told = aged.daemon.run("plan", "retention").stdout
    assert "1 months of the audit trail stay" in told and "audit 2" not in told
    may_not_go(aged, "audit_2020_02")


# -- killed

def test_killed_anywhere_it_ends_as_if_it_had_not_been(aged):
    month(aged, "audit_2020_02", "2020-02-01", "2020-03-01")
    aged.configure(configured(KEPT_OUT))
    retain(aged)  # seals the month
    aged.configure(configured(KEPT_OUT, RETENTION))
    going, before, state = expected(aged), left(aged), aged.dump()
    for name in ("after_chosen", "after_deleted", "before_commit", "after_commit", "after_commit:2", "after_ledger:2", "after_month"):
        retain(aged, REVCYCLED_FAILPOINT=f"retention.{name}")
        after = left(aged)
        assert all(before[feed] - after[feed] <= rows for feed, rows in going.items())
    retain(aged)
    after, told = left(aged), deleted_by_trail(aged)
    gone = {name: before[name] - after[name] for name in before}
    assert gone == going
    assert {name: told.get(name, 0) for name in gone} == {name: len(rows) for name, rows in gone.items()}
    dump.assert_equal(kept(state), kept(aged.dump()))
    assert "audit_2020_02" not in months(aged) and aged.daemon.run("verify").returncode == 0
