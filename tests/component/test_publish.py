"""The publish step against PostgreSQL and the emulator behind the strict proxy (rules, section 8).

Silver's rows are made here, settled by hand: what is tested is the way from there to BigQuery.
"""
import json
import re
import signal
import urllib.request

import pytest

from harness.placer import Placer
from harness.proxy import Fault
from harness.publishing import a_day_later, fill


def test_everything_arrives_and_both_sides_agree(publishing):
    fill(publishing)
    publishing.transaction(4, None, amount="988.37", dq_flags=["paid_above_billed", "time_inferred"])
    publishing.publish()
    assert publishing.facts() == [(1, "2024-02-15", 1.25), (2, "2024-03-15", 2.25), (3, "2024-04-15", 3.25),
                                  (4, None, 988.37)]
    assert publishing.states() == ["succeeded"]
    tables = publishing.sql("SELECT tables FROM ops.publication")[0][0]
    share = tables["fact_transactions"]
    assert share["expected"] == share["found"]
    assert share["expected"]["rows"] == 4 and share["expected"]["amount"] == 99512
    assert publishing.published() == 1
    flags = next(publishing.bigquery.rows("SELECT dq_flags FROM "
                                          f"`{publishing.project}.healthcare_rcm.fact_transactions` "
                                          "WHERE transaction_key = 4"))
    assert flags == {"dq_flags": ["paid_above_billed", "time_inferred"]}


def test_a_second_run_sends_no_byte(publishing):
    fill(publishing)
    publishing.publish()
    before = len(publishing.proxy.requests)
    assert publishing.publish().stdout == "0 0 0\n"
    assert len(publishing.proxy.requests) == before
    assert publishing.states() == ["succeeded"]


def test_a_batch_without_changes_makes_no_publication(publishing):
    publishing.new_batch()
    publishing.sql("UPDATE ops.batch SET rows_changed = 0")
    publishing.publish()
    assert publishing.states() == []


def test_a_batch_of_which_nothing_is_left_asks_bigquery_nothing(publishing):
    """Later batches, published already, took its rows over."""
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    before = len(publishing.proxy.requests)
    publishing.publish()
    assert len(publishing.proxy.requests) == before
    publishing.new_batch()
    publishing.transaction(4, "2024-06-01")
    publishing.publish()
    assert publishing.sql("SELECT count(*) FROM ops.batch WHERE publication_id IS NULL")[0][0] == 0


def test_a_moved_date_stands_once(publishing):
    fill(publishing)
    publishing.publish()
    for old, new in (("2024-02-15", "2023-11-01"), ("2023-11-01", None), (None, "2024-02-15")):
        publishing.move(1, old, new, amount="1.25")
        publishing.publish()
        assert [row for row in publishing.facts() if row[0] == 1] == [(1, new, 1.25)]
    assert set(publishing.states()) == {"succeeded"}


def test_two_moves_between_publications_leave_no_copy(publishing):
    fill(publishing)
    publishing.publish()
    publishing.move(1, "2024-02-15", "2023-11-01")
    publishing.move(1, "2023-11-01", "2022-01-31")
    publishing.publish()
    assert [row[1] for row in publishing.facts() if row[0] == 1] == ["2022-01-31"]


def test_a_deleted_fact_leaves(publishing):
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    publishing.transaction(2, "2024-03-15", is_deleted=True)
    publishing.publish()
    assert [row[0] for row in publishing.facts()] == [1, 3]
    assert publishing.states() == ["succeeded"] * 2


def test_a_fact_that_vanished_from_silver_leaves(publishing):
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    publishing.sql("INSERT INTO ops.moved (table_name, key, old_date, batch_id) "
                   "VALUES ('transactions', 3, '2024-04-15', %s)", publishing.batch)
    publishing.sql("DELETE FROM silver.transactions WHERE transaction_key = 3")
    publishing.publish()
    assert [row[0] for row in publishing.facts()] == [1, 2]


def test_a_version_that_another_shows_leaves_and_a_tombstone_stays_marked(publishing, build, postgres, schema_database):
    placer = Placer(build, postgres, schema_database)
    for name, tells in (("a.patients", "now"), ("a.past", "past")):
        placer.feed(name, "a", "patients", ("source_patient_id", "first_name", "source_modified_at"), tells)
    for name, day in (("Ann", 1), ("Bea", 5), ("Ann", 9)):
        placer.page("a.patients", [("P1", name, f"2024-01-0{day} 00:00:00")])
    publishing.publish()
    placer.page("a.past", [("P1", "Ann", "2024-01-05 00:00:00")])  # it was never Bea: three versions are one
    placer.gone("a.patients", ["P1"])
    placer.stop()
    publishing.publish()
    rows = publishing.bigquery.rows("SELECT version, is_deleted, is_current, patient_key FROM "
                                    f"`{publishing.project}.healthcare_rcm.dim_patients` "
                                    "WHERE source_system = 'a' ORDER BY version")
    found = [(int(row["version"]), row["is_deleted"] == "true", row["is_current"] == "true", int(row["patient_key"]))
             for row in rows]
    assert found == publishing.sql("SELECT version, is_deleted, is_current, patient_key FROM silver.patients "
                                   "ORDER BY version")
    assert publishing.sql("SELECT version, is_deleted FROM silver.patients ORDER BY version") == [(1, False), (2, True)]
    assert publishing.states() == ["succeeded"] * 2


@pytest.mark.parametrize("fault", [
    Fault("503", path="/upload/", times=2),
    Fault("429", path="/jobs", method="POST", times=2),
    Fault("cut", path="/upload/"),
    Fault("cut_after", path="/upload/"),
    Fault("cut_after", path="/jobs$", method="POST", body="BEGIN TRANSACTION"),
    Fault("cut", path="/jobs$", method="POST", body="BEGIN TRANSACTION"),
    Fault("503", path="/queries", times=3),
    Fault("cut_after", path="/tables$", method="POST"),
], ids=lambda fault: f"{fault.kind}{fault.path.replace('/', '_')}")
def test_a_fault_that_passes_changes_nothing(publishing, fault):
    fill(publishing)
    publishing.proxy.fail(fault)
    publishing.publish()
    assert len(publishing.facts()) == 3
    assert publishing.states() == ["succeeded"]
    assert publishing.published() == 1


def test_when_the_outcome_is_unknown_the_next_run_reads_it(publishing):
    """The transaction committed, then nothing answers any more: applied once, found later."""
    fill(publishing)
    publishing.proxy.fail(Fault("cut_after", path="/jobs$", method="POST", body="BEGIN TRANSACTION"),
                          Fault("503", path="/jobs$", method="POST", body="BEGIN TRANSACTION", times=6))
    assert publishing.run().returncode == 1
    assert publishing.states() == ["staged"]
    publishing.publish()
    assert publishing.states() == ["succeeded"]
    assert publishing.published() == 1
    assert len(publishing.facts()) == 3


def uploads(publishing):
    return len([path for method, path, status in publishing.proxy.requests if "/upload/" in path and status == 200])


def test_a_load_that_fails_with_http_200_gives_the_batches_back(publishing):
    fill(publishing)
    publishing.proxy.fail(Fault("job:invalid", path="/upload/"))
    done = publishing.run()
    assert done.returncode == 1 and "cannot stage" in done.stderr
    assert publishing.states() == ["abandoned"] and publishing.published() == 0
    publishing.publish()
    assert publishing.states() == ["abandoned", "succeeded"]
    assert [row[0] for row in publishing.facts()] == [1, 2, 3]


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "bytesBilledLimitExceeded", "accessDenied"])
def test_an_apply_that_may_pass_later_keeps_its_staging(publishing, reason):
    """Neither load jobs nor bytes are spent on staging the same rows again."""
    fill(publishing)
    publishing.proxy.fail(Fault(f"job:{reason}", path="/jobs$", method="POST", body="BEGIN TRANSACTION", times=3))
    assert publishing.run().returncode == 1
    assert publishing.states() == ["staged"]
    sent = uploads(publishing)
    publishing.publish()
    assert publishing.states() == ["succeeded"] and uploads(publishing) == sent
    assert publishing.sql("SELECT attempt FROM ops.publication") == [(4,)]


@pytest.mark.parametrize("fault", ["job:invalidQuery", "400"])
def test_an_apply_that_will_never_pass_gives_the_batches_back(publishing, fault):
    fill(publishing)
    publishing.proxy.fail(Fault(fault, path="/jobs$", method="POST", body="BEGIN TRANSACTION", times=3))
    assert publishing.run().returncode == 1
    assert publishing.states() == ["abandoned"]
    publishing.publish()
    assert publishing.states() == ["abandoned", "succeeded"]
    assert len(publishing.facts()) == 3


def test_what_was_staged_too_long_ago_is_staged_again_in_the_same_run(publishing):
    fill(publishing)
    assert publishing.run(failpoint="publish.after_stage").returncode == -signal.SIGKILL
    base = f"{publishing.proxy.endpoint}/bigquery/v2/projects/{publishing.project}/datasets/healthcare_rcm/tables"
    for name in publishing.bigquery.tables():
        if name.startswith("_stg_"):
            call(f"{base}/{name}", "DELETE")
    publishing.publish()
    assert publishing.states() == ["abandoned", "succeeded"]
    assert len(publishing.facts()) == 3


def incomplete(answer):
    """What BigQuery says of a query that takes its time."""
    return {"kind": answer["kind"], "jobReference": answer["jobReference"], "jobComplete": False}


def test_a_query_that_takes_its_time_is_waited_for_and_its_bytes_are_counted(publishing):
    fill(publishing)
    publishing.proxy.fail(Fault("answer", path="/queries$", method="POST", action=incomplete),
                          Fault("answer", path="/queries/", method="GET", action=incomplete, times=3),
                          Fault("answer", path="/queries/", method="GET",
                                action=lambda answer: {**answer, "totalBytesProcessed": "7340032"}))
    publishing.publish()
    assert publishing.states() == ["succeeded"]
    assert publishing.sql("SELECT bytes_billed FROM ops.publication") == [(7340032,)]


def test_a_query_that_never_ends_is_given_up(publishing):
    fill(publishing)
    publishing.proxy.fail(Fault("answer", path="/queries", action=incomplete, times=1000000))
    done = publishing.run("limited", "timeout-ms=2000")
    publishing.proxy.faults.clear()
    assert done.returncode == 1 and "still runs" in done.stderr
    assert len([path for _, path, _ in publishing.proxy.requests if "/queries/" in path]) < 20


FAILPOINTS = ["publish.after_claim", "publish.during_stage", "publish.after_stage", "publish.before_apply",
              "publish.after_apply", "publish.before_outcome", "publish.before_finish"]


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_the_end_is_the_same(publishing, failpoint):
    fill(publishing)
    assert publishing.run(failpoint=failpoint).returncode == -signal.SIGKILL
    publishing.publish()
    assert publishing.facts() == [(1, "2024-02-15", 1.25), (2, "2024-03-15", 2.25), (3, "2024-04-15", 3.25)]
    assert publishing.states()[-1] == "succeeded"
    assert set(publishing.states()) <= {"succeeded", "abandoned"}
    assert publishing.published() == 1


def test_a_worker_that_slept_while_staging_sends_nothing_old(publishing):
    """Stopped over a take-over: another one gave its batches back and published them with newer rows."""
    fill(publishing)

    def take_over():
        publishing.new_batch()
        publishing.transaction(1, "2024-02-15", amount="99.00")
        publishing.publish()
    publishing.proxy.fail(Fault("meanwhile", path="/upload/", action=take_over))
    assert publishing.run().returncode == 1
    assert publishing.facts()[0] == (1, "2024-02-15", 99.0)
    assert publishing.states() == ["abandoned", "succeeded"]
    assert publishing.published() == 1


def test_a_worker_that_slept_before_applying_changes_nothing(publishing):
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    publishing.transaction(1, "2024-02-15", amount="2.00")

    def rebuild():
        publishing.new_batch()
        publishing.transaction(1, "2024-02-15", amount="99.00")
        publishing.publish("limited", "rebuild")
    publishing.proxy.fail(Fault("meanwhile", path="/jobs$", method="POST", body="BEGIN TRANSACTION", action=rebuild))
    assert publishing.run().returncode == 1
    assert publishing.facts()[0] == (1, "2024-02-15", 99.0)
    assert publishing.states() == ["succeeded", "abandoned", "succeeded"]
    assert publishing.published() == 2


def test_an_upload_of_many_chunks_arrives_whole_through_cut_connections(publishing):
    publishing.new_batch()
    publishing.sql("INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, "
                   "service_date, amount, visit_type, batch_id) SELECT n, 'hospital_a', 'T' || n, "
                   "date '2024-01-01' + (n %% 400)::int, 1.01, (SELECT string_agg(md5((n * 1000 + i)::text), '') "
                   "FROM generate_series(1, 100) i), %s FROM generate_series(1, 2000) n", publishing.batch)
    publishing.proxy.fail(Fault("cut", path="upload_id=", method="PUT"),
                          Fault("cut_after", path="upload_id=", method="PUT"),
                          Fault("503", path="upload_id=", method="PUT"))
    publishing.publish()
    chunks = [path for method, path, status in publishing.proxy.requests if method == "PUT" and status == 308]
    assert len(chunks) >= 1
    assert len(publishing.facts()) == 2000


@pytest.mark.parametrize("failpoint", ["publish.during_stage", "publish.after_stage", "publish.before_outcome"])
def test_a_disclosure_is_recorded_before_anything_leaves(publishing, failpoint):
    """Each publication of direct identifiers has its line, wherever the process was killed."""
    fill(publishing)
    assert publishing.run("full", failpoint=failpoint).returncode == -signal.SIGKILL
    publishing.publish("full")
    lines = publishing.sql("SELECT object FROM ops.audit WHERE action = 'publication.disclose' ORDER BY audit_id")
    assert lines == publishing.sql("SELECT 'publication ' || publication_id FROM ops.publication ORDER BY 1")


def test_the_limited_profile_sends_no_direct_identifier(publishing):
    fill(publishing)
    publishing.publish()
    names = {name: [field["name"] for field in publishing.bigquery.table(name)["schema"]["fields"]]
             for name in publishing.bigquery.tables() if name.startswith(("dim_", "fact_"))}
    assert len(names) == 12
    stay = {"ssn", "phone", "phone_extension", "email", "address", "middle_name", "member_id", "medicaid_id",
            "medicare_id", "source_patient_id", "source_encounter_id", "source_transaction_id", "source_claim_id",
            "source_hash", "record_hash", "made_by_batch", "payer_claim_id", "adjustment_list"}
    for table, columns in names.items():
        assert not stay & set(columns), table
    assert not {"first_name", "last_name"} & set(names["dim_patients"])


def test_tables_carry_partitions_clustering_descriptions_and_labels(publishing):
    fill(publishing)
    publishing.publish()
    table = publishing.bigquery.table("fact_transactions")
    assert table["timePartitioning"] == {"type": "MONTH", "field": "service_date"}
    assert table["clustering"]["fields"] == ["source_system", "payer_key", "patient_key"]
    assert table["description"] and table["labels"]["profile"] == "limited"
    assert all(field["description"] for field in table["schema"]["fields"])


def test_a_new_column_is_added_in_place(publishing):
    """The table of an older version lacks a column: it is widened, not made anew."""
    fill(publishing)
    publishing.publish()
    base = f"{publishing.proxy.endpoint}/bigquery/v2/projects/{publishing.project}/datasets/healthcare_rcm/tables"
    table = publishing.bigquery.table("dim_payers")
    fields = [field for field in table["schema"]["fields"] if field["name"] != "payer_type"]
    call(f"{base}/dim_payers", "DELETE")
    call(base, "POST", {"tableReference": table["tableReference"], "schema": {"fields": fields},
                        "labels": {"profile": "limited", "schema_version": "old"}})
    list(publishing.bigquery.rows(f"INSERT INTO `{publishing.project}.healthcare_rcm.dim_payers` "
                                  "(payer_key, source_system) VALUES (-1, '')"))
    publishing.new_batch()
    publishing.sql("INSERT INTO silver.payers (payer_key, source_system, source_payer_id, payer_type, batch_id) "
                   "VALUES (1, 'hospital_a', 'P1', 'Commercial', %s)", publishing.batch)
    publishing.publish()
    wide = publishing.bigquery.table("dim_payers")
    assert [field["name"] for field in wide["schema"]["fields"]][-1] == "payer_type"
    assert wide["labels"]["schema_version"] == table["labels"]["schema_version"]
    assert publishing.bigquery.value("SELECT payer_type FROM "
                                     f"`{publishing.project}.healthcare_rcm.dim_payers` "
                                     "WHERE payer_key = 1") == "Commercial"


def call(url, method, body=None):
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


def test_over_the_cap_batches_wait(publishing):
    fill(publishing)
    publishing.publish("limited", "load-jobs=5")
    assert publishing.states() == [] and not publishing.proxy.requests
    asked = publishing.run("limited", "rebuild", "load-jobs=5")
    assert asked.returncode == 1 and "cap" in asked.stderr  # who asks for a rebuild is told that there was none
    publishing.publish("limited", "load-jobs=20000")
    assert publishing.states() == ["succeeded"]


CAP = 1 << 40  # the tool's, bytes per day


def limits(publishing):
    """What every query was allowed to cost; each job's labels are looked at on the way."""
    allowed = []
    for path, asked in publishing.proxy.started:
        configuration = asked if path.endswith("/queries") else asked["configuration"]
        assert configuration["labels"] == {"app": "revcycled", "profile": "limited"}, path
        query = configuration if path.endswith("/queries") else configuration.get("query")
        if query:
            allowed.append(int(query["maximumBytesBilled"]))
    return allowed


def test_every_query_is_capped_and_every_job_is_labelled(publishing):
    """A first publication, a changed row, an upload by session, a comparison, a rebuild."""
    fill(publishing)
    publishing.publish()
    publishing.move(1, "2024-02-15", "2023-11-01")
    publishing.sql("INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, "
                   "service_date, visit_type, batch_id) SELECT n, 'hospital_a', 'T' || n, '2024-01-01', "
                   "(SELECT string_agg(md5((n * 1000 + i)::text), '') FROM generate_series(1, 100) i), %s "
                   "FROM generate_series(10, 2000) n", publishing.batch)
    publishing.publish()
    a_day_later(publishing)
    publishing.publish()
    publishing.publish("limited", "rebuild")
    paths = {re.sub(r".*/bigquery/v2/projects/[^/]+", "", path) for path, _ in publishing.proxy.started}
    assert paths == {"/queries", "/jobs", "/jobs?uploadType=multipart", "/jobs?uploadType=resumable"}
    assert set(limits(publishing)) == {CAP}


def test_what_was_billed_today_is_not_spent_again(publishing):
    fill(publishing)
    publishing.publish()
    publishing.sql("UPDATE ops.publication SET bytes_billed = %s", CAP - (1 << 30))
    publishing.sql("INSERT INTO ops.reconciliation (subject, started_at, differences, details, bytes_billed) "
                   "VALUES ('bigquery', now(), 0, '{}', %s)", 1 << 20)
    publishing.proxy.started.clear()
    left = (1 << 30) - (1 << 20)
    publishing.proxy.fail(Fault("answer", path="/queries$", method="POST",
                                action=lambda answer: {**answer, "totalBytesBilled": str(20 << 20)}))
    publishing.new_batch()
    publishing.transaction(5, "2024-02-15")
    publishing.publish()
    assert limits(publishing)[0] == left
    assert set(limits(publishing)[1:]) == {left - (20 << 20)}
    before = len(publishing.proxy.requests)
    publishing.new_batch()
    publishing.transaction(6, "2024-02-15")
    publishing.publish("limited", f"bytes-billed={CAP // 2}")
    assert len(publishing.proxy.requests) == before
    assert publishing.states() == ["succeeded"] * 2


def test_what_a_run_without_an_end_cost_counts_too(publishing):
    """Load jobs of rows that were given back, and questions while publishing is held."""
    fill(publishing)
    publishing.proxy.fail(Fault("503", path="/upload/", times=6))
    assert publishing.run().returncode == 1
    before = len(publishing.proxy.requests)
    publishing.publish("limited", "load-jobs=12")
    assert len(publishing.proxy.requests) == before
    publishing.publish("limited", "load-jobs=13")
    assert publishing.states() == ["abandoned", "succeeded"]
    publishing.sql("UPDATE ops.database SET epoch = gen_random_uuid()")
    publishing.new_batch()
    publishing.transaction(4, "2024-06-01")
    publishing.proxy.fail(Fault("answer", path="/queries$", method="POST",
                                action=lambda answer: {**answer, "totalBytesBilled": str(10 << 20)}))
    assert publishing.run().returncode == 3
    before = len(publishing.proxy.requests)
    publishing.publish("limited", f"bytes-billed={10 << 20}")
    assert len(publishing.proxy.requests) == before
