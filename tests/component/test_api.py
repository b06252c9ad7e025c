"""The API of a running daemon over a real PostgreSQL: contract, metrics, tokens, audit, ledgers.

The one hospital of the configuration does not answer: jobs exist and fail, which is all that is needed.
"""
import http.client
import json
import os
import re
import shutil
import subprocess
import time

import jsonschema
import openapi_spec_validator
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from harness.daemon import Daemon
from harness.jobs import until
from harness.settings import ABSENT_HOSPITAL, write_passfile

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
store: {{ dsn: "{dsn} passfile={passfile}" }}
workers: 2
timezone: America/New_York
""" + ABSENT_HOSPITAL
CANARY = "Zebedee-Canary"


class Served:
    def __init__(self, daemon, postgres, database):
        self.daemon = daemon
        self.postgres, self.database = postgres, database
        self.tokens = {}

    def sql(self, statement, *values):
        return self.postgres.ask(self.database, statement, *values)

    def make_tokens(self):
        for scope in ("read", "operate", "phi", "admin"):
            self.tokens[scope] = self.daemon.make_token(scope, scope)
        self.daemon.make_token("all")

    def audit(self, action, count=1, limit_s=20):
        """Lines of the trail with this action, once there are `count`."""
        end = time.monotonic() + limit_s
        while True:
            lines = self.sql("SELECT actor, object, outcome, details FROM ops.audit WHERE action = %s "
                             "ORDER BY audit_id", action)
            if len(lines) >= count or time.monotonic() > end:
                return lines
            select_briefly()


def select_briefly():
    """The trail of refused requests is written by a timer: asking again is the event there is."""
    time.sleep(0.05)


@pytest.fixture
def served(binary, postgres, schema_database, tmp_path):
    config = tmp_path / "revcycled.yaml"
    daemon = Daemon(tmp_path / "daemon", binary, str(config))
    port = daemon.choose_port()
    passfile = write_passfile(str(tmp_path / "pgpass"), postgres, "revcycled")
    config.write_text(CONFIG.format(port=port, dsn=postgres.dsn(schema_database), passfile=passfile))
    served = Served(daemon, postgres, schema_database)
    served.make_tokens()
    daemon.start()
    yield served
    daemon.stop()


@pytest.fixture
def api(served):
    return served.daemon


def contract(api):
    return api.get("/openapi.json", token=None)[2]


def check(document, name, value):
    """The value is what the contract's schema of this name says."""
    jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}).validate(value)


def test_the_contract_is_valid_openapi(api):
    openapi_spec_validator.validate(contract(api))


def test_the_routes_of_the_binary_are_those_of_the_contract(api):
    said = {tuple(line.split()[:3]) for line in api.run("routes").stdout.splitlines()}
    written = {(method.upper(), path, operation["security"][0]["token"][0] if operation["security"] else "none")
               for path, item in contract(api)["paths"].items() for method, operation in item.items()}
    assert said == written


def test_prometheus_parsers_accept_the_metrics(api):
    text = api.get("/metrics", token=None)[2]
    names = {family.name for family in parse_text(text)}
    assert {"revcycle_build_info", "revcycle_runs", "revcycle_up_since_seconds", "process_cpu_seconds"} <= names
    status, headers, text = api.get("/metrics", token=None, headers={"Accept": "application/openmetrics-text"})
    assert headers.get_content_type() == "application/openmetrics-text"
    families = {family.name: family for family in parse_openmetrics(text)}
    assert families["revcycle_up_since_seconds"].samples[0].value > 1e9
    assert families["revcycle_build"].type == "info"


def test_every_read_route_answers_what_the_contract_says(api):
    document = contract(api)
    for path in ("/v1/status", "/v1/jobs", "/v1/runs", "/v1/sources", "/v1/files", "/v1/quarantine", "/v1/quality", "/v1/rules", "/v1/orphans", "/v1/kpis",
                 "/v1/publications", "/v1/reconciliations"):
        status, headers, body = api.get(path)
        assert status == 200, (path, body)
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(body)
        assert api.get(path + "?colour=red")[0] == 400
    check(document, "Job", api.get("/v1/jobs/hospital_a.departments")[2])
    check(document, "Feed", api.get("/v1/feeds/hospital_a.departments")[2])
    assert api.get("/v1/feeds/hospital_a.nothing")[0] == 404


def test_a_feed_shows_its_contract_its_schema_and_its_drift(served):
    served.sql("WITH s AS (INSERT INTO ops.feed_schema (feed, columns, types) VALUES ('hospital_a.departments', "
               "'{DeptID,Name}', '{int,varchar(20)}') RETURNING schema_id) INSERT INTO ops.feed_agreed (feed, schema_id, "
               "primary_key) SELECT 'hospital_a.departments', schema_id, '{DeptID}' FROM s")
    served.sql("INSERT INTO ops.feed_drift (feed, kind, column_name, was, is_now, contract, state, sentence) VALUES "
               "('hospital_a.departments', 'column_added', 'Floor', '', 'int', 'discard', 'discarded', 'a sentence')")
    feed = served.daemon.get("/v1/feeds/hospital_a.departments")[2]
    check(contract(served.daemon), "Feed", feed)
    assert feed["contract"] == {"on_new_column": "evolve", "on_missing_column": "freeze",
                                "on_retyped_column": "evolve"}
    assert feed["schema"]["columns"] == [{"name": "DeptID", "type": "int"}, {"name": "Name", "type": "varchar(20)"}]
    assert feed["schema"]["primary_key"] == ["DeptID"] == feed["key"]
    assert [(line["kind"], line["column"], line["was"], line["now"]) for line in feed["drift"]] == [
        ("column_added", "Floor", None, "int")]


def test_the_last_proof_comes_first(served):
    served.sql("INSERT INTO ops.reconciliation (subject, started_at, differences, difference, details) VALUES "
               "('bigquery', now(), 1, 'fact_claims of 2024-01 differs', '{\"fact_claims\": {}}'), "
               "('bigquery', now(), 0, NULL, '{}')")
    items = served.daemon.get("/v1/reconciliations")[2]["items"]
    assert [(item["differences"], item["difference"]) for item in items] == [
        (0, None), (1, "fact_claims of 2024-01 differs")]
    for item in items:
        check(contract(served.daemon), "Reconciliation", item)


def test_an_unchanged_list_is_not_sent_again(api):
    etag = api.get("/v1/files")[1]["ETag"]
    assert api.get("/v1/files", headers={"If-None-Match": etag})[0] == 304


def test_a_run_is_triggered_waited_for_and_remembered(served, api):
    status, headers, run = api.post("/v1/jobs/hospital_a.departments/runs", {"mode": "full"},
                                    headers={"Idempotency-Key": "once"})
    if status == 409:  # the schedule was first
        run = api.get(f"/v1/runs/{run['run']}")[2]
    else:
        assert status == 202 and headers["Location"] == f"/v1/runs/{run['id']}"
    check(contract(api), "Run", run)
    assert api.post(f"/v1/runs/{run['id']}/cancel")[0] in (202, 409)
    ended = api.get(f"/v1/runs/{run['id']}?wait=30")[2]
    assert ended["state"] in ("canceled", "failed")
    lines = served.audit("POST /v1/jobs/{job}/runs")
    assert lines[0][0] == "all" and lines[0][1] == "/v1/jobs/hospital_a.departments/runs"
    assert api.get("/v1/runs/999999999")[0] == 404
    assert api.post("/v1/runs/999999999/cancel")[0] == 404


def canceled(api, run):
    """The run when it has come to its end; it tries again and again, for the hospital cannot be reached."""
    api.post(f"/v1/runs/{run}/cancel")
    return api.get(f"/v1/runs/{run}?wait=30")[2]


def start_run(api, path, body=None):
    """After the scheduled one, which is canceled."""
    while True:
        status, _, run = api.post(path, body)
        if status == 202:
            return run
        canceled(api, run["run"])


def test_a_run_that_did_not_end_well_is_tried_again(served, api):
    """Also when the daemon was started anew meanwhile, and only the store knows what was asked for."""
    api.post("/v1/jobs/hospital_a.departments/pause")
    before = canceled(api, start_run(api, "/v1/jobs/hospital_a.departments/runs",
                                     {"mode": "backfill", "from": "2025-01-02", "to": "2025-02-03"})["id"])
    for key in ("memory", "store"):
        status, headers, again = api.post(f"/v1/runs/{before['id']}/retry", headers={"Idempotency-Key": key})
        assert status == 202 and headers["Location"] == f"/v1/runs/{again['id']}", again
        check(contract(api), "Run", again)
        assert again["id"] != before["id"]
        assert (again["job"], again["mode"], again["trigger"]) == (before["job"], "backfill", "all")
        replayed = api.post(f"/v1/runs/{before['id']}/retry", headers={"Idempotency-Key": key})
        assert (replayed[0], replayed[1]["Idempotency-Replayed"], replayed[2]) == (202, "true", again)
        status, _, problem = api.post(f"/v1/runs/{before['id']}/retry")
        assert status == 409 and problem["run"] == again["id"], problem
        status, _, problem = api.post(f"/v1/runs/{again['id']}/retry")
        assert status == 409 and "not ended" in problem["detail"], problem
        assert canceled(api, again["id"])["state"] in ("canceled", "failed")
        assert served.sql("SELECT range_from::date::text, range_to::date::text FROM ops.run WHERE run_id = %s", again["id"]) == [
            ("2025-01-02", "2025-02-03")]
        assert served.audit("POST /v1/runs/{id}/retry")[0][:2] == ("all", f"/v1/runs/{before['id']}/retry")
        api.stop()
        api.start()
    assert api.post("/v1/runs/999999999/retry")[0] == 404


def stored_run(served, state, job="hospital_a.departments", mode="full", is_dry=False):
    return served.sql("INSERT INTO ops.run (job, mode, trigger, state, dry_run) VALUES (%s, %s, 'test', %s, %s) "
                      "RETURNING run_id", job, mode, state, is_dry)[0][0]


@pytest.mark.parametrize("state, word", [("succeeded", "nothing to try again"), ("held", "approve it"), ("running", "not ended")])
def test_what_did_not_end_badly_is_not_tried_again(served, api, state, word):
    status, _, problem = api.post(f"/v1/runs/{stored_run(served, state)}/retry")
    assert status == 409 and word in problem["detail"], problem


def test_a_run_whose_job_is_gone_is_not_tried_again(served, api):
    status, _, problem = api.post(f"/v1/runs/{stored_run(served, 'failed', 'hospital_z.patients')}/retry")
    assert status == 409 and "no job hospital_z.patients" in problem["detail"], problem


def test_a_dry_comparison_that_failed_is_tried_again_as_one(served, api):
    run = stored_run(served, "failed", "reconcile.hospital_a.departments", "reconcile", True)
    assert api.get(f"/v1/runs/{run}")[2]["dry_run"] is True
    again = start_run(api, f"/v1/runs/{run}/retry")
    assert again["dry_run"] is True
    canceled(api, again["id"])
    api.stop()
    assert served.sql("SELECT dry_run FROM ops.run WHERE run_id = %s", again["id"]) == [(True,)]


def test_a_paused_job_stays_paused_over_a_restart(served, api):
    status, _, job = api.post("/v1/jobs/settle/pause")
    assert status == 200 and job["paused"] and job["paused_by"] == "all"
    assert served.audit("POST /v1/jobs/{job}/pause")[0][2] == "done"
    api.stop()
    api.start()
    status, _, job = api.get("/v1/jobs/settle")
    assert (job["paused"], job["paused_by"], job["state"]) == (True, "all", "paused")
    assert not api.post("/v1/jobs/settle/resume")[2]["paused"]


def test_each_scope_opens_its_own_doors(served, api):
    doors = {"read": [("GET", "/v1/jobs")], "operate": [("POST", "/v1/jobs/nothing/pause")],
             "phi": [("GET", "/v1/quarantine/1")],
             "admin": [("GET", "/v1/audit"), ("GET", "/v1/audit/verify")]}
    for scope, secret in served.tokens.items():
        for other, routes in doors.items():
            for method, path in routes:
                status, _, body = api.request(method, path, token=secret)
                assert (status != 403) == (scope == other), (scope, method, path, body)
                if status == 403:
                    assert body["scope"] == other
    assert served.audit("GET /v1/jobs", 3)[0][2] == "refused"


def test_a_revoked_token_is_refused(served, api):
    assert api.get("/v1/jobs")[0] == 200
    served.sql("UPDATE ops.token SET revoked_at = now() WHERE name = 'all'")
    end = time.monotonic() + 20
    while api.get("/v1/jobs")[0] != 401:
        assert time.monotonic() < end
        select_briefly()
    assert api.get("/v1/jobs")[1]["WWW-Authenticate"].startswith("Bearer")


def test_requests_without_a_token_are_on_record_when_the_daemon_stops(served, api):
    for _ in range(3):
        assert api.get("/v1/jobs", token="nobody's")[0] == 401
    api.stop()
    lines = served.audit("http.refused")
    assert [line[:3] for line in lines] == [("anonymous", "*", "unauthenticated")] and lines[0][3] == {"count": 3}


def test_too_many_requests_are_slowed_down(api):
    link = http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)
    for _ in range(3000):
        link.request("GET", "/v1/jobs/settle", headers={"Authorization": f"Bearer {api.token}"})
        answer = link.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            break
    link.close()
    assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1 and body["code"] == "53400"


def quarantine(served, key):
    return served.sql(
        "INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, source_hash, "
        "mapping_version, batch_id) VALUES ('hospital_a.departments', 'hospital_a', %s, %s, 'key_missing', "
        "'the key is missing', 1, 1, 1) RETURNING quarantine_id::text",
        key, json.dumps({"Name": CANARY}))[0][0]


def test_an_entry_is_dismissed_once_and_stays_so(served, api):
    key = quarantine(served, "1")
    for _ in range(2):
        status, _, answer = api.post(f"/v1/quarantine/{key}/dismiss")
        assert (status, answer) == (200, {"id": key, "state": "dismissed"})
    assert served.sql("SELECT state FROM dq.quarantine") == [("dismissed",)]
    assert served.audit("POST /v1/quarantine/{id}/dismiss")[0][:3] == ("all", f"/v1/quarantine/{key}/dismiss", "done")
    assert api.post(f"/v1/quarantine/{key}/dismiss", {"why": "x"})[0] == 400
    assert api.post("/v1/quarantine/999999/dismiss")[0] == 404
    served.sql("UPDATE dq.quarantine SET state = 'superseded' RETURNING 1")
    assert api.post(f"/v1/quarantine/{key}/dismiss")[0] == 409


def test_a_replay_says_which_entries_it_means_and_starts_once(served, api):
    document = contract(api)
    for wish, pointer in (({}, "#"), ({"all": False}, "#/all"), ({"all": True, "rule": "x"}, "#/all"), ({"state": "open"}, "#/state"),
                          ({"ids": []}, "#/ids"), ({"ids": ["1", "x"]}, "#/ids/1"), ({"ids": [1]}, "#/ids/0"),
                          ({"file": "x"}, "#/file"), ({"rule": 1}, "#/rule"), ({"feed": "a", "ids": "1"}, "#/ids")):
        status, _, problem = api.post("/v1/quarantine/replay", wish)
        assert status == 400 and [error["pointer"] for error in problem["errors"]] == [pointer], (wish, problem)
    assert served.sql("SELECT count(*) FROM ops.run WHERE mode = 'replay'") == [(0,)]
    status, headers, answer = api.post("/v1/quarantine/replay", {"all": True})
    check(document, "Replay", answer)
    assert (status, headers["Location"], answer) == (202, None, {"id": None, "entries": 0, "feeds": []})
    quarantine(served, "1")
    served.sql("INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, source_hash, mapping_version, "
               "batch_id) VALUES ('hospital_z.patients', 'hospital_z', '1', '{}', 'key_missing', 'x', 1, 1, 1) RETURNING 1")
    status, headers, answer = api.post("/v1/quarantine/replay", {"rule": "key_missing"}, headers={"Idempotency-Key": "again"})
    check(document, "Replay", answer)
    known, gone = answer["feeds"]
    assert (status, headers["Location"], answer["entries"]) == (202, f"/v1/runs/{known['run']}", 2)
    assert (known["feed"], known["why_not"]) == ("hospital_a.departments", None) and answer["id"] == known["run"]
    assert (gone["feed"], gone["run"]) == ("hospital_z.patients", None) and "no such feed" in gone["why_not"]
    status, headers, same = api.post("/v1/quarantine/replay", {"rule": "key_missing"}, headers={"Idempotency-Key": "again"})
    assert (status, headers["Idempotency-Replayed"], same) == (202, "true", answer)
    assert served.audit("POST /v1/quarantine/replay")[0][0] == "all"


def test_a_quarantined_row_is_shown_to_who_may_and_the_reading_is_on_record(served, api):
    key = quarantine(served, "1")
    quarantine(served, "2")
    counts = api.get("/v1/quarantine")[2]["items"]
    assert [(item["feed"], item["rule"], item["state"], item["count"]) for item in counts] == [
        ("hospital_a.departments", "key_missing", "open", 2)]
    assert CANARY not in json.dumps(counts)
    status, headers, row = api.get(f"/v1/quarantine/{key}")
    assert status == 200 and row["raw"] == {"Name": CANARY} and headers["Cache-Control"] == "no-store"
    check(contract(api), "QuarantinedRow", row)
    assert served.audit("GET /v1/quarantine/{id}")[0][:3] == ("all", f"/v1/quarantine/{key}", "read")
    api.stop()
    with open(api.log_file, encoding="utf-8") as log:
        assert CANARY not in log.read()


def linked(served, build):
    """Ann at two hospitals, her twin at one, her number under another birth date at the other; two versions and
    three encounters; one settle."""
    assert served.daemon.post("/v1/jobs/settle/pause")[0] == 200  # the tool's run is the one that is told of
    ann = ("Ann", "Lee", "123456789", "1980-02-13", "+12025550100")
    people = [("hospital_a", "A1", *ann), ("hospital_b", "B1", *ann), ("hospital_b", "B2", "Amy", "Lee", "123456780", *ann[3:]),
              ("hospital_b", "B3", "Zoe", "Young", "123456789", "1999-09-09", None)]
    served.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) VALUES (0, 't', 1, 1, 0)")
    for key, person in enumerate(people):
        served.sql("INSERT INTO silver.patients (patient_key, source_system, source_patient_id, first_name, last_name, ssn, "
                   "birth_date, phone, effective_date, expiry_date, is_current, version, batch_id) VALUES "
                   "(%s, %s, %s, %s, %s, %s, %s, %s, '2021-01-01Z', '9999-12-31Z', true, 2, 0)", 2 * key + 1, *person)
    served.sql("INSERT INTO silver.patients (patient_key, source_system, source_patient_id, last_name, effective_date, "
               "expiry_date, is_current, version, batch_id) VALUES (100, 'hospital_b', 'B1', %s, '2020-01-01Z', "
               "'2021-01-01Z', false, 1, 0)", CANARY)
    served.sql("INSERT INTO silver.encounters (encounter_key, source_system, source_encounter_id, source_patient_id, "
               "encounter_date, batch_id, patient_key, provider_key, department_key, procedure_key, is_deleted) VALUES "
               "(1, 'hospital_a', 'E1', 'A1', '2022-01-01', 0, 1, -1, -1, -1, false), "
               "(2, 'hospital_b', 'E1', 'B1', '2020-06-01', 0, 3, -1, -1, -1, false), "
               "(3, 'hospital_b', 'E2', 'B1', '2020-07-01', 0, 3, -1, -1, -1, false), "
               "(4, 'hospital_b', 'E3', 'B1', '2020-08-01', 0, 3, -1, -1, -1, true)")
    done = subprocess.run([f"{build}/person_tool", served.postgres.dsn(served.database), "settle"], capture_output=True,
                          text=True, check=False, env={**os.environ, "PGPASSWORD": served.postgres.password("revcycled")})
    assert done.returncode == 0, done.stderr


def person_of(served, number):
    return served.sql("SELECT person_id FROM silver.person_link WHERE source_patient_id = %s", number)[0][0]


def test_a_person_is_one_life_across_hospitals_with_the_reason(served, api, build):
    linked(served, build)
    one = person_of(served, "A1")
    status, headers, person = api.get(f"/v1/persons/{one}")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    check(contract(api), "Person", person)
    assert person["person_id"] == one and person["aliases"] == []
    today = served.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')")[0][0]
    assert [(m["source_system"], m["source_patient_id"], m["rule"], m["run"], m["explanation"]) for m in person["members"]] == [
        ("hospital_a", "A1", "ssn_birth", "812", f"linked by rule ssn_birth on {today}, run 812"),
        ("hospital_b", "B1", "ssn_birth", "812", f"linked by rule ssn_birth on {today}, run 812")]
    assert [(v["source_patient_id"], v["version"], v["last_name"]) for v in person["versions"]] == [
        ("B1", 1, CANARY), ("A1", 2, "Lee"), ("B1", 2, "Lee")]
    assert person["encounters"] == [
        {"source_system": "hospital_b", "count": 2, "first": "2020-06-01", "last": "2020-07-01"},
        {"source_system": "hospital_a", "count": 1, "first": "2022-01-01", "last": "2022-01-01"}]
    assert served.audit("GET /v1/persons/{person_id}")[0][:3] == ("all", f"/v1/persons/{one}", "read")
    for nobody in ("00000000-0000-0000-0000-000000000000", "12", one + "0"):
        assert api.get(f"/v1/persons/{nobody}")[0] == 404
    for scope, opens in (("read", 403), ("operate", 403), ("phi", 200)):
        assert api.request("GET", f"/v1/persons/{one}", token=served.tokens[scope])[0] == opens
        assert api.request("GET", "/v1/persons/review", token=served.tokens[scope])[0] == opens


def test_conflicts_are_listed_and_decisions_are_kept(served, api, build):
    linked(served, build)
    items = api.get("/v1/persons/review")[2]["items"]
    for item in items:
        check(contract(api), "PersonReview", item)
    assert [(item["rule"], item["conflict"], [m["source_patient_id"] for m in item["members"]]) for item in items] == [
        ("ssn_birth_date", "birth_date", ["A1", "B1", "B3"])]
    assert served.audit("GET /v1/persons/review")[0][1:3] == ("/v1/persons/review", "read")
    dismissal = f"/v1/persons/review/{items[0]['id']}/dismiss"
    assert api.request("POST", dismissal, token=served.tokens["phi"])[0] == 403
    one, other = person_of(served, "A1"), person_of(served, "B3")
    status, _, said = api.post(f"/v1/persons/{one}/merge", {"person_id": other})
    assert status == 200 and said["person_id"] in (one, other)
    survivor = said["person_id"]
    gone = other if survivor == one else one
    person = api.get(f"/v1/persons/{gone}")[2]  # the alias is answered with the survivor
    assert person["person_id"] == survivor and [a["person_id"] for a in person["aliases"]] == [gone]
    assert {m["source_patient_id"]: m["explanation"][:18] for m in person["members"]}["B3"] == "linked by decision"
    assert api.get("/v1/persons/review")[2]["items"] == []
    member = {"source_system": "hospital_b", "source_patient_id": "B1"}
    status, _, said = api.post(f"/v1/persons/{gone}/split", {"members": [member]})
    assert status == 200 and said["left"] == person_of(served, "B1") != survivor
    assert [m["source_patient_id"] for m in api.get(f"/v1/persons/{survivor}")[2]["members"]] == ["A1", "B3"]
    for verb in ("merge", "split"):
        assert served.audit(f"POST /v1/persons/{{person_id}}/{verb}")[0][2] == "done"
        assert api.request("POST", f"/v1/persons/{survivor}/{verb}", token=served.tokens["phi"])[0] == 403


def test_a_conflict_that_was_looked_at_leaves_the_list(served, api, build):
    linked(served, build)
    review = api.get("/v1/persons/review")[2]["items"][0]["id"]
    for nothing in ("0", "x", "4711"):
        assert api.post(f"/v1/persons/review/{nothing}/dismiss", {})[0] == 404
    for _ in range(2):  # a lost answer is asked for again
        assert api.post(f"/v1/persons/review/{review}/dismiss", {})[::2] == (200, {"id": review, "state": "dismissed"})
    assert api.get("/v1/persons/review")[2]["items"] == []
    assert person_of(served, "A1") != person_of(served, "B3")
    assert served.audit("person.dismiss")[0][1:3] == (review, "done")


def asked_of_what_is_settled(served):
    """Figures have seen the tool's settle: when they were asked."""
    assert served.daemon.post("/v1/jobs/kpi/runs")[0] == 202
    job = until(lambda: (job := served.daemon.get("/v1/jobs/kpi")[2])["last_success_at"] and job["state"] == "idle" and job)
    return job["last_success_at"]


def test_figures_follow_what_people_decide_of_persons(served, api, build):
    """Patients are counted as persons."""
    linked(served, build)
    figures = lambda: api.get("/v1/jobs/kpi")[2]
    asked = asked_of_what_is_settled(served)
    assert api.post(f"/v1/persons/{person_of(served, 'A1')}/merge", {"person_id": "0" * 8 + person_of(served, "A1")[8:]})[0] == 404
    assert (figures()["state"], figures()["next_due_at"], figures()["last_success_at"]) == ("idle", None, asked)
    assert api.post(f"/v1/persons/{person_of(served, 'A1')}/merge", {"person_id": person_of(served, "B3")})[0] == 200
    asked = until(lambda: figures()["last_success_at"] > asked and figures()["last_success_at"], what="the figures without those who are one now")
    member = {"source_system": "hospital_b", "source_patient_id": "B3"}
    assert api.post(f"/v1/persons/{person_of(served, 'A1')}/split", {"members": [member]})[0] == 200
    asked = until(lambda: figures()["last_success_at"] > asked and figures()["last_success_at"], what="the figures with them")
    # What a stop left unasked is asked for at the next start.
    until(lambda: figures()["state"] == "idle")
    assert api.post("/v1/jobs/kpi/pause")[0] == 200
    assert api.post(f"/v1/persons/{person_of(served, 'A1')}/merge", {"person_id": person_of(served, "B2")})[0] == 200
    api.stop()
    served.sql("UPDATE ops.job SET paused = false WHERE name = 'kpi' RETURNING 1")
    served.sql("UPDATE ops.run SET started_at = started_at + interval '1 day' WHERE job = 'kpi' RETURNING 1")  # by a clock that is fast
    api.start()
    until(lambda: (figures()["last_success_at"] or "") > asked, what="the figures after the start")


def test_figures_follow_what_people_decide_at_another_daemon(served, api, build, tmp_path):
    """It has none of the jobs, and tells nobody but the store."""
    config = tmp_path / "second.yaml"
    text = re.sub("(store: {)", r"\1 lease: 3s,", (tmp_path / "revcycled.yaml").read_text())
    other = Daemon(tmp_path / "second", api.binary, str(config))
    config.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{other.choose_port()}", text))
    api.stop()
    (tmp_path / "revcycled.yaml").write_text(text)
    api.start()
    linked(served, build)
    asked = asked_of_what_is_settled(served)
    other.token = api.token
    other.start()
    try:
        assert other.get("/v1/jobs/kpi")[2]["state"] == "elsewhere"
        assert other.post(f"/v1/persons/{person_of(served, 'A1')}/merge", {"person_id": person_of(served, "B3")})[0] == 200
        figures = lambda: api.get("/v1/jobs/kpi")[2]
        asked = until(lambda: figures()["last_success_at"] > asked and figures()["last_success_at"], what="the figures without those who are one now")
        until(lambda: figures()["state"] == "idle")
        renewed = "SELECT lease_until FROM ops.job WHERE name = 'kpi'"
        for _ in range(2):  # of news that they have seen nobody wakes them
            before = served.sql(renewed)
            until(lambda: served.sql(renewed) > before, what="a lease is renewed")
        assert figures()["last_success_at"] == asked and figures()["next_due_at"] is None
    finally:
        other.stop()


def test_decisions_that_cannot_be_are_refused_in_words(served, api, build):
    linked(served, build)
    one = person_of(served, "A1")
    a1, b1 = ({"source_system": f"hospital_{name}", "source_patient_id": f"{name.upper()}1"} for name in "ab")
    stranger = {"source_system": "hospital_b", "source_patient_id": "B3"}
    for verb, body, status in (
            ("split", {"members": [a1, b1]}, 422), ("split", {"members": [stranger]}, 422), ("split", {"members": []}, 400),
            ("split", {"members": ["A1"]}, 400), ("split", {"members": [{**a1, "more": "x"}]}, 400), ("split", {}, 400),
            ("split", {"members": [a1], "reason": "x"}, 400), ("merge", {}, 400), ("merge", {"person_id": "x"}, 400),
            ("merge", {"person_id": one, "more": 1}, 400), ("merge", {"person_id": "0" * 8 + one[8:]}, 404)):
        answered, _, problem = api.post(f"/v1/persons/{one}/{verb}", body)
        assert answered == status, (verb, body, problem)
    assert api.post("/v1/persons/x/split", {"members": [a1]})[0] == 404
    assert served.sql("SELECT count(*) FROM silver.person_split")[0][0] == 0
    assert [m["source_patient_id"] for m in api.get(f"/v1/persons/{one}")[2]["members"]] == ["A1", "B1"]


def test_lists_are_walked_in_pages_without_loss_under_inserts(served, api):
    for number in range(13):
        served.sql("INSERT INTO ops.file (source_system, feed, name, state) VALUES ('a', 'claims.m', %s, 'failed')",
                   f"f{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/v1/files?limit=3{cursor}")[2]
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        served.sql("INSERT INTO ops.file (source_system, feed, name, state) VALUES ('a', 'claims.m', 'new', 'failed')")
    assert seen == [f"f{number}" for number in reversed(range(13))]
    check(contract(api), "File", api.get("/v1/files?limit=1")[2]["items"][0])
    assert api.get("/v1/files?cursor=nonsense")[0] == 400


def test_a_figure_says_numerator_and_denominator_as_texts(served, api):
    names = [item["kpi"] for item in api.get("/v1/kpis")[2]["items"]]
    assert names == sorted(names) and {"total_billed", "denial_rate", "write_off_amount"} <= set(names)
    served.sql("INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, service_date, "
               "amount, paid_amount, batch_id) VALUES (1, 'hospital_a', 'T1', '2025-03-05', 100.10, 40.00, 1), "
               "(2, 'hospital_a', 'T2', '2025-04-01', 0.20, 0.20, 1)")
    figures = api.get("/v1/kpis/total_billed?as_of=2025-12-31")[2]
    assert [(row["month"], row["source_system"], row["value"]) for row in sorted(
        figures["items"], key=lambda row: row["month"])] == [
            ("2025-03-01", "hospital_a", "100.10"), ("2025-04-01", "hospital_a", "0.20")]
    check(contract(api), "Kpi", figures)
    (row,) = api.get("/v1/kpis/gross_collection_rate?as_of=2025-12-31&by=source_system")[2]["items"]
    assert (row["numerator"], row["denominator"], row["month"]) == ("40.20", "100.30", None)
    assert len(api.get("/v1/kpis/total_billed?as_of=2025-12-31&to=2025-03-31")[2]["items"]) == 1
    assert api.get("/v1/kpis/total_billed?by=shoe_size")[2]["errors"][0]["pointer"] == "?by"
    assert api.get("/v1/kpis/total_billed?as_of=soon")[0] == 400
    assert api.get("/v1/kpis/no_such_figure")[0] == 404
    assert api.get("/v1/kpis/_transactions")[0] == 404


def test_without_the_store_memory_still_answers_and_readiness_says_so(served, api, postgres):
    assert api.get("/readyz", token=None)[0] == 200
    postgres.execute(f"ALTER DATABASE {served.database} WITH ALLOW_CONNECTIONS false")
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     f"WHERE datname = '{served.database}'")
    end = time.monotonic() + 20
    while api.get("/readyz", token=None)[0] != 503:
        assert time.monotonic() < end
        select_briefly()
    assert api.get("/v1/jobs")[0] == 200
    status, headers, body = api.get("/v1/files")
    assert status in (500, 503) and served.database not in json.dumps(body)
    postgres.execute(f"ALTER DATABASE {served.database} WITH ALLOW_CONNECTIONS true")


def test_a_port_in_use_is_one_sentence_with_the_mend(api, binary, tmp_path):
    other = tmp_path / "other.yaml"  # a daemon of its own, at the same address
    shutil.copy(api.config, other)
    done = subprocess.run([binary, "--config", str(other)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "Address already in use" in done.stderr and "hint:" in done.stderr


def test_a_token_command_refuses_words_that_are_no_scopes(api):
    done = api.run("token", "add", "x", "--scope", "read,everything")
    assert done.returncode == 1 and "everything" in done.stderr
    done = api.run("token", "add", "x")
    assert done.returncode == 2


def test_the_daemon_stops_in_time_with_a_client_waiting(served, api):
    job = api.post("/v1/jobs/hospital_a.departments/runs", {"mode": "full"})[2]
    run = job.get("run") or job["id"]
    with subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                           f"Authorization: Bearer {api.token}", api.url(f"/v1/runs/{run}?wait=60")],
                          stdout=subprocess.PIPE, text=True) as client:
        begin = time.monotonic()
        api.stop()
        assert time.monotonic() - begin < 10
        assert client.communicate(timeout=20)[0] in ("200", "503", "000")
