"""Who or what changed it, when, from which source row, in which run; and what became of a source row.

What must be answered is computed from the hospital's tables, the dropped files and the clock, never from the store.
"""
import contextlib
import csv
import datetime
import glob
import os

import jsonschema
import pytest

from harness import jobs
from harness.world import World

ATTRIBUTES = {"first_name", "middle_name", "last_name", "ssn", "birth_date", "gender", "phone", "phone_extension", "email",
              "address", "city", "state", "zip", "source_payer_id", "member_id"}


class Asked:
    """A loaded world whose daemon runs, each job once at the start and then when asked."""

    def __init__(self, world):
        self.world, self.daemon = world, world.daemon
        world.configure(jobs.rarely)
        self.daemon.make_token("auditor", "phi,read,admin")
        self.auditor = self.daemon.token
        self.daemon.make_token("alice", "operate,read")
        self.daemon.start()
        jobs.await_quiet(self.daemon)
        self.contract = self.daemon.get("/openapi.json", token=None)[2]

    def check(self, name, value):
        jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": self.contract["components"]}).validate(value)

    def get(self, path, expect=200):
        status, headers, body = self.daemon.get(path, token=self.auditor)
        assert status == expect, body
        assert status != 200 or headers["Cache-Control"] == "no-store"
        return body

    def post(self, path, body, expect=200):
        status, _, answer = self.daemon.post(path, body, token=self.auditor)
        assert status == expect, answer
        return answer

    def find(self, number, source="hospital_a"):
        return self.post("/v1/patients/search", {"source_system": source, "source_patient_id": number})["items"]

    def versions(self, number):
        (patient,) = self.find(number)
        answer = self.get(f"/v1/patients/{patient['patient_key']}/versions")
        self.check("PatientVersions", answer)
        return answer["versions"]

    def source_row(self, table, key, number, place=0):
        """The hospital's row as texts."""
        with contextlib.closing(self.world.hospital(place)) as link, link.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE {key} = %s", (number,))
            names = [column[0] for column in cursor.description]
            return {name: None if value is None else str(value) for name, value in zip(names, cursor.fetchone())}

    def change(self, statement, *values, job="hospital_a.patients"):
        """One change of the hospital's, taken over by a run that alice asked for: (run, from, to)."""
        begin = datetime.datetime.now(datetime.timezone.utc)
        assert self.world.play(statement, *values) == 1
        run = jobs.run_job(self.daemon, job)
        assert run["state"] == "succeeded", run
        return run, begin, datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture(scope="module")
def asked(binary, loaded_base, tmp_path_factory):
    """One world for all: each test takes rows of its own."""
    world = World(loaded_base, "lineage", tmp_path_factory.mktemp("lineage"), binary).make()
    try:
        yield Asked(world)
    finally:
        world.end()


@pytest.fixture(scope="module")
def patients(asked):
    """Numbers of patients of hospital A with encounters and an SSN."""
    return iter([row[0] for row in asked.world.rows(
        "SELECT source_patient_id FROM silver.encounters e JOIN silver.patients p USING (source_patient_id, source_system) "
        "WHERE source_system = 'hospital_a' AND p.ssn IS NOT NULL AND p.is_current GROUP BY 1 ORDER BY count(*) DESC, 1")])


@pytest.fixture
def patient(patients):
    """One that no other test touches."""
    return next(patients)


def instant(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)


def differences(before, after):
    """{attribute: {from, to}} of two versions' values."""
    return {name: {"from": before[name], "to": after[name]} for name in before if before[name] != after[name]}


def columns_of(row):
    """Texts as received; a time's fraction without trailing noughts, which MySQL's renderings differ in."""
    return {name: text and text.rstrip("0").rstrip(".") if name == "updated_at" else text for name, text in row.items()}


def test_who_changed_this_address_when_from_which_row_in_which_run_is_one_call(asked, patient):
    old = asked.source_row("patient_master", "pat_id", patient)
    run, begin, end = asked.change("UPDATE patient_master SET street = '1 New Street', city = 'Newtown' WHERE pat_id = %s",
                                   patient)
    new = asked.source_row("patient_master", "pat_id", patient)
    versions = asked.versions(patient)
    assert [version["version"] for version in versions] == [1, 2]
    first, second = versions
    assert first["changed"] == {} and set(first["values"]) == ATTRIBUTES
    assert second["changed"] == {"address": {"from": old["street"], "to": "1 New Street"},
                                 "city": {"from": old["city"], "to": "Newtown"}}
    assert second["changed"] == differences(first["values"], second["values"])
    assert first["expiry_date"] == second["effective_date"] and second["expiry_date"][:4] == "9999"
    # who asked for it, in which run
    made = second["made_by"]
    assert (made["feed"], made["run"]["id"], made["run"]["job"], made["run"]["trigger"], made["run"]["mode"]) == (
        "hospital_a.patients", run["id"], "hospital_a.patients", "alice", "incremental")
    assert begin <= instant(made["committed_at"]) <= end
    # from which row
    source = second["source_row"]
    assert (source["feed"], source["op"], source["source_key"]) == ("hospital_a.patients", "update", patient)
    assert columns_of(source["columns"]) == columns_of(new) and begin <= instant(source["received_at"]) <= end
    # and the version before: made by the first load, closed by alice's run
    assert first["made_by"]["run"]["trigger"] == "once" and first["made_by"]["run"]["id"] != run["id"]
    assert columns_of(first["source_row"]["columns"]) == columns_of(old) and first["source_row"]["op"] == "insert"
    assert first["touched_by"]["id"] == made["id"]


def test_a_version_keeps_its_maker_when_it_is_corrected_and_linked_later(asked, patient):
    asked.change("UPDATE patient_master SET street = '1 New Street' WHERE pat_id = %s", patient)
    before = asked.versions(patient)
    run, _, _ = asked.change("UPDATE patient_master SET ssn = '219099999' WHERE pat_id = %s", patient)
    after = asked.versions(patient)
    assert [version["values"]["ssn"] for version in after] == ["219099999"] * 2  # corrected in every version
    assert [version["made_by"] for version in after] == [version["made_by"] for version in before]
    assert [version["source_row"] for version in after] == [version["source_row"] for version in before]
    touched = {version["touched_by"]["feed"] for version in after}
    assert touched <= {"hospital_a.patients", "settle"} and after != before
    # the delivery that corrected it stands in the row's lineage
    key = after[-1]["patient_key"]
    rows = asked.get(f"/v1/lineage/patients/{key}")["source_rows"]
    assert [row["columns"]["ssn"] for row in rows][0] == "219099999" and rows[0]["batch"]["run"]["id"] == run["id"]
    assert [row["is_shown"] for row in rows] == [False, True, False] and len(rows) == 3


def test_a_change_and_its_undoing_are_two_versions_of_two_rows(asked, patient):
    old = asked.source_row("patient_master", "pat_id", patient)["street"]
    runs = [asked.change("UPDATE patient_master SET street = %s WHERE pat_id = %s", street, patient)[0]["id"]
            for street in ("1 New Street", old)]
    versions = asked.versions(patient)
    assert [version["values"]["address"] for version in versions] == [old, "1 New Street", old]
    assert [version["made_by"]["run"]["id"] for version in versions[1:]] == runs
    assert [version["source_row"]["columns"]["street"] for version in versions] == [old, "1 New Street", old]


def test_a_transaction_leads_back_to_its_row_and_the_row_to_it(asked):
    number, key, amount = asked.world.rows(
        "SELECT source_transaction_id, transaction_key::text, amount::text FROM silver.transactions "
        "WHERE source_system = 'hospital_a' AND amount > 0 ORDER BY 1 LIMIT 1")[0]
    run, _, _ = asked.change("UPDATE billing_transaction SET paid_amount = 1.5 WHERE txn_id = %s", number,
                             job="hospital_a.transactions")
    source = asked.source_row("billing_transaction", "txn_id", number)
    answer = asked.get(f"/v1/lineage/fact_transactions/{key}")
    asked.check("Lineage", answer)
    assert (answer["table"], answer["view"], answer["key"]) == ("transactions", "fact_transactions", key)
    assert answer["row"]["transaction_key"] == key and answer["row"]["amount"] == amount
    assert answer["row"]["paid_amount"] == "1.50" and "source_hash" not in answer["row"]
    newest, oldest = answer["source_rows"]
    assert [row["is_shown"] for row in answer["source_rows"]] == [True, False]
    assert newest["batch"]["run"]["id"] == run["id"] and newest["batch"]["run"]["trigger"] == "alice"
    assert set(newest["columns"]) == set(source) and newest["columns"]["txn_id"] == source["txn_id"] == number
    assert float(newest["columns"]["paid_amount"]) == 1.5 != float(oldest["columns"]["paid_amount"] or 0)
    forward = asked.post("/v1/lineage/search", {"feed": "hospital_a.transactions", "source_key": number})
    asked.check("LineageForward", forward)
    assert [(item["table"], item["key"]) for item in forward["items"]] == [("transactions", key)]
    assert len(forward["source_rows"]) == 2 and forward["quarantine"] == []


def claims_line(world):
    """(name, line, fields) of a plain line of a file that was read."""
    path = sorted(glob.glob(os.path.join(world.drop, "done", "hospital_a_*.csv")))[0]
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        for fields in rows:
            row = dict(zip(names, fields))
            found = world.rows("SELECT claim_key::text FROM silver.claims WHERE source_claim_id = %s AND "
                               "source_system = 'hospital_a'", row["ClaimID"])
            if len(fields) == len(names) and len(found) == 1 and row["ClaimID"].strip() == row["ClaimID"]:
                return os.path.basename(path), rows.line_num, row, found[0][0]
    raise AssertionError("no such line")


def test_a_claim_leads_back_to_its_line_and_the_line_to_it(asked):
    name, line, fields, key = claims_line(asked.world)
    answer = asked.get(f"/v1/lineage/claims/{key}")
    asked.check("Lineage", answer)
    (row,) = [row for row in answer["source_rows"] if row["is_shown"]]
    assert (row["file"]["name"], row["line"]) == (name, line)
    assert {column: text or "" for column, text in row["columns"].items()} == fields
    assert row["batch"]["feed"] == "claims.monthly"
    file_id = row["file"]["id"]
    forward = asked.post("/v1/lineage/search", {"file_id": file_id, "line": line})
    asked.check("LineageForward", forward)
    assert [(item["view"], item["key"], item["place"]) for item in forward["items"]] == [("fact_claims", key, 1)]
    assert [(row["line"], row["file"]["id"]) for row in forward["source_rows"]] == [(line, file_id)]
    by_key = asked.post("/v1/lineage/search", {"feed": "claims.monthly", "source_system": "hospital_a",
                                               "source_key": fields["ClaimID"]})
    assert by_key["items"] == [{**item, "is_of_line": None} for item in forward["items"]]
    # the other hospital's file may hold the same number: it is another claim
    other = asked.post("/v1/lineage/search", {"feed": "claims.monthly", "source_system": "hospital_b",
                                              "source_key": fields["ClaimID"]})
    assert all(item["key"] != key for item in other["items"])
    asked.post("/v1/lineage/search", {"feed": "claims.monthly", "source_key": fields["ClaimID"]}, expect=400)


def test_a_line_that_repeats_what_was_received_leads_to_the_claim_and_to_the_text_that_serves(asked):
    name, line, fields, key = claims_line(asked.world)
    path = f"{asked.world.directory}/hospital_a_2031-01.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([list(fields), list(fields.values())])
    asked.world.drop_file(path)
    run = jobs.run_job(asked.daemon, "claims.monthly")
    assert run["state"] == "succeeded", run
    (file_id,) = asked.world.rows("SELECT file_id::text FROM ops.file WHERE name = 'hospital_a_2031-01.csv' AND state = 'done'")[0]
    assert asked.world.value("SELECT count(*) FROM bronze.claims__monthly_raw WHERE file_id = %s", file_id) == 0
    forward = asked.post("/v1/lineage/search", {"file_id": file_id, "line": 2})
    asked.check("LineageForward", forward)
    (item,) = forward["items"]
    assert (item["view"], item["place"]) == ("fact_claims", 1) and item["publication"]["state"] in ("succeeded", "applied")
    assert [(row["file"]["name"], row["line"]) for row in forward["source_rows"]] == [(name, line)]
    first = asked.post("/v1/lineage/search", {"file_id": forward["source_rows"][0]["file"]["id"], "line": line})
    assert [(one["key"], one["is_of_line"]) for one in (*first["items"], item)] in (
        [(key, True), (key, False)], [(key, False), (key, True)])
    asked.post("/v1/lineage/search", {"file_id": file_id, "line": 3}, expect=404)
    back = asked.get(f"/v1/lineage/claims/{key}")
    assert back["publication"] == item["publication"]


def test_of_a_claim_that_came_twice_each_line_leads_to_its_own_text_and_the_key_to_both(asked):
    name, line, fields, _ = claims_line(asked.world)
    path = f"{asked.world.directory}/hospital_a_2031-02.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([list(fields), list({**fields, "PaidAmount": "1.25"}.values())])
    asked.world.drop_file(path)
    run = jobs.run_job(asked.daemon, "claims.monthly")
    assert run["state"] == "succeeded", run
    files = dict(asked.world.rows("SELECT name, file_id::text FROM ops.file WHERE state IN ('done', 'superseded') ORDER BY file_id"))
    lines = [(name, line), ("hospital_a_2031-02.csv", 2)]

    def found(**question):
        answer = asked.post("/v1/lineage/search", question)
        asked.check("LineageForward", answer)
        return sorted(((row["file"]["name"], row["line"]) for row in answer["source_rows"]), reverse=True), answer["items"]

    for one in lines:
        rows, items = found(file_id=files[one[0]], line=one[1])
        assert rows == [one] and len(items) == 2 and [item["is_of_line"] for item in items] == [one == each for each in lines]
    assert found(feed="claims.monthly", source_system="hospital_a", source_key=fields["ClaimID"])[0] == sorted(lines, reverse=True)


def test_a_quarantined_row_is_found_from_its_source(asked):
    number, file_id, line = asked.world.rows(
        "SELECT natural_key, file_id::text, line FROM dq.quarantine WHERE feed = 'claims.monthly' AND "
        "natural_key IS NOT NULL AND source_system = 'hospital_a' AND state = 'open' ORDER BY 1 LIMIT 1")[0]
    answer = asked.post("/v1/lineage/search", {"feed": "claims.monthly", "source_system": "hospital_a",
                                               "source_key": number})
    assert [entry["state"] for entry in answer["quarantine"]] and "reject" in {row["op"] for row in answer["source_rows"]}
    assert (file_id, line) in {(row["file"]["id"], row["line"]) for row in answer["source_rows"]}


def test_every_reading_is_on_record_and_carries_no_number_of_the_hospitals(asked, patient):
    key = asked.find(patient)[0]["patient_key"]
    asked.get(f"/v1/patients/{key}/versions")
    asked.get(f"/v1/lineage/dim_patients/{key}")
    asked.post("/v1/lineage/search", {"feed": "hospital_a.patients", "source_key": patient})
    lines = asked.world.rows("SELECT action, object, outcome, details::text FROM ops.audit WHERE actor = 'auditor' "
                             "ORDER BY audit_id DESC LIMIT 4")
    assert [line[:3] for line in reversed(lines)] == [
        ("POST /v1/patients/search", "/v1/patients/search", "read"),
        ("GET /v1/patients/{patient_key}/versions", f"/v1/patients/{key}/versions", "read"),
        ("GET /v1/lineage/{table}/{key}", f"/v1/lineage/dim_patients/{key}", "read"),
        ("POST /v1/lineage/search", "/v1/lineage/search", "read")]
    for path in (f"/v1/patients/{key}/versions", f"/v1/lineage/patients/{key}"):
        assert asked.daemon.get(path)[0] == 403  # alice may operate, and not see
    assert asked.daemon.post("/v1/patients/search", {})[0] == 403


def test_what_is_not_there_and_what_is_asked_wrongly(asked):
    assert asked.find("no such number") == [] and asked.find("x", "no such source") == []
    for path in ("/v1/patients/1/versions", "/v1/patients/-1/versions", "/v1/patients/x/versions", "/v1/lineage/patients/1",
                 "/v1/lineage/procedures/1", "/v1/lineage/nothing/1"):
        asked.get(path, expect=404)
    search = {"source_system": "hospital_a", "source_patient_id": "1"}
    for body, pointer in (({}, "#/source_system"), ({**search, "name": "x"}, "#/name"),
                          ({**search, "source_patient_id": 7}, "#/source_patient_id"),
                          ({**search, "source_system": ""}, "#/source_system")):
        assert asked.post("/v1/patients/search", body, expect=400)["errors"][0]["pointer"] == pointer
    for body in ({}, {"feed": "hospital_a.patients"}, {"file_id": "1"}, {"feed": "f", "source_key": "k", "line": 3},
                 {"file_id": 0, "line": 2}, {"file_id": "1x", "line": 2}):
        asked.post("/v1/lineage/search", body, expect=400)
    for body in ({"feed": "no.feed", "source_key": "1"}, {"feed": "no'feed\"", "source_key": "1"},
                 {"file_id": "999999", "line": 2}):
        asked.post("/v1/lineage/search", body, expect=404)


def test_after_a_question_the_index_knows_every_page(asked, patient):
    """Pages that the index has no summary of are read whole; one row's past must cost milliseconds."""
    with contextlib.closing(asked.world.store.connect(asked.world.database)) as link, link.cursor() as cursor:
        cursor.execute('INSERT INTO bronze.hospital_a__patients_raw SELECT batch_id, op, source_key || n, source_hash, '
                       "received_at, schema_id, file_id, line, repeat('x', 1000) FROM bronze.hospital_a__patients_raw, "
                       "generate_series(1, 100) AS n")
        link.commit()
        asked.versions(patient)
        cursor.execute("SELECT brin_summarize_new_values('bronze.hospital_a__patients_raw_ranges')")
        assert cursor.fetchone()[0] <= 1  # the page that is not full yet
        cursor.execute("SET enable_seqscan = off; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM "
                       "bronze.hospital_a__patients_raw WHERE source_key = %s", (patient,))
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("SELECT relpages, pg_relation_size(oid) / 8192 FROM pg_class WHERE relname = 'hospital_a__patients_raw'")
        pages = cursor.fetchone()[1]
        read = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        assert pages > 2000 and read < pages / 10, (pages, read)
