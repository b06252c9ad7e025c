"""Runs told as OpenLineage does: what they must say is computed from the configuration and the hospital's tables."""
import collections
import contextlib
import json
import os
import signal

import pytest
import yaml

from harness import jobs, openlineage
from harness.world import World

PLACES = {"extract", "receive", "reconcile"}


def told(world, edit=lambda config: None, **lineage):
    """The world tells its runs so."""
    def change(text):
        config = {**yaml.safe_load(jobs.rarely(text)), "lineage": lineage}
        edit(config)
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    world.configure(change)
    with open(world.config, encoding="utf-8") as file:
        return yaml.safe_load(file)


def pairs(events):
    """{job: [(first, last) of each run]}"""
    runs = collections.OrderedDict()
    for event in events:
        runs.setdefault(event["run"]["runId"], []).append(event)
    found = collections.defaultdict(list)
    for first, last in runs.values():
        assert first["eventType"] == "START" and first["job"] == last["job"] and first["eventTime"] <= last["eventTime"]
        found[first["job"]["name"]].append((first, last))
    return found


def output(event, name):
    (dataset,) = [dataset for dataset in event["outputs"] if dataset["name"].endswith(name)]
    return dataset


def of_two_columns(config):
    config["sources"]["hospital_a"]["feeds"]["patients"]["map"]["address"] = {"from": ["street", "city"], "clean": ["concat", "trim"]}


@pytest.fixture(scope="module")
def first(binary, small_base, tmp_path_factory):
    """A first load: the world, its configuration, the file of events."""
    world = World(small_base, "told", tmp_path_factory.mktemp("told"), binary).make()
    try:
        path = f"{world.directory}/lineage.ndjson"
        config = told(world, of_two_columns, file=path, namespace="the network")
        world.once()
        yield world, config, path
    finally:
        world.end()


def test_a_load_is_told_with_datasets_columns_and_counts(first):
    fresh, config, path = first
    runs = pairs(openlineage.read(path))
    assert set(runs) >= {"hospital_a.patients", "hospital_b.transactions", "claims.monthly", "settle", "publish", "kpi"}
    store = f"postgres://127.0.0.1:{fresh.store.port}"
    for source in ("hospital_a", "hospital_b"):
        server = config["sources"][source]
        for local, feed in server["feeds"].items():
            ((_, last),) = runs[f"{source}.{local}"]
            assert last["eventType"] == "COMPLETE" and last["job"]["namespace"] == "the network"
            (table,) = last["inputs"]
            assert (table["namespace"], table["name"]) == (
                f"mysql://127.0.0.1:{server['port']}", f"{server['database']}.{feed.get('table', local)}")
            clean = output(last, f".silver.{feed['entity']}")
            assert clean["namespace"] == store and clean["name"].startswith(fresh.database + ".")
            assert clean["outputFacets"]["outputStatistics"]["rowCount"] == fresh.value(
                "SELECT sum(rows_changed) FROM ops.batch WHERE feed = %s", f"{source}.{local}")
            assert output(last, f".bronze.{source}__{local}")
            columns = clean["facets"]["columnLineage"]["fields"]
            expected = {column: value if isinstance(value, str) else value["from"] for column, value in feed["map"].items()}
            assert {column: [field["field"] for field in made["inputFields"]] for column, made in columns.items()} == {
                column: [origin] if isinstance(origin, str) else origin for column, origin in expected.items()}
            assert {(field["namespace"], field["name"]) for made in columns.values() for field in made["inputFields"]} == {
                (table["namespace"], table["name"])}
            schema = [field["name"] for field in clean["facets"]["schema"]["fields"]]
            assert schema == [row[0] for row in fresh.rows(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'silver' AND table_name = %s "
                "AND column_name = ANY (%s) ORDER BY array_position(%s, column_name::text)", feed["entity"], schema, schema)]
            assert set(columns) <= set(schema)


def test_a_publication_says_which_columns_leave(first):
    world, _, path = first
    ((_, last),) = pairs(openlineage.read(path))["publish"]
    assert {dataset["namespace"] for dataset in last["outputs"]} == {"bigquery"}
    tables = {dataset["name"].rsplit(".", 1)[1]: dataset for dataset in last["outputs"]}
    for name in ("dim_patients", "fact_claims", "fact_transactions"):
        real = {field["name"] for field in world.warehouse.table(name)["schema"]["fields"]}
        columns = set(tables[name]["facets"]["columnLineage"]["fields"])
        assert columns == {field["name"] for field in tables[name]["facets"]["schema"]["fields"]} == real
        assert not columns & {"first_name", "ssn", "source_patient_id", "source_claim_id", "member_id"}
    assert "ssn" not in json.dumps(last)


def test_no_value_of_a_row_and_no_name_of_a_file_stands_in_an_event(first):
    fresh, _, path = first
    with open(path, encoding="utf-8") as file:
        text = file.read()
    openlineage.read(path)
    for table, column in (("patients", "last_name"), ("patients", "ssn"), ("patients", "email"), ("claims", "source_claim_id")):
        for (value,) in fresh.rows(f"SELECT DISTINCT {column} FROM silver.{table} WHERE length({column}) > 6 ORDER BY 1 LIMIT 300"):
            assert f'"{value}"' not in text, (table, column)
    for (name,) in fresh.rows("SELECT name FROM ops.file ORDER BY 1"):
        assert name not in text


def test_a_failure_is_told_with_its_sentence_and_a_quiet_poll_is_not(loaded):
    path = f"{loaded.directory}/lineage.ndjson"
    told(loaded, file=path)
    loaded.play("ALTER TABLE patient_master RENAME TO elsewhere")
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.until(lambda: (jobs.jobs(loaded.daemon)["hospital_a.patients"]["last_run"] or {}).get("state") == "failed")
    jobs.until(lambda: os.path.exists(path) and any(e["eventType"] == "FAIL" for e in openlineage.read(path)))
    runs = pairs(openlineage.read(path))
    (_, last), *_ = runs["hospital_a.patients"]
    run = jobs.jobs(loaded.daemon)["hospital_a.patients"]["last_run"]
    assert last["eventType"] == "FAIL" and last["run"]["facets"]["errorMessage"]["message"] == run["error"]["detail"]
    assert "hospital_a.transactions" not in runs and "hospital_b.patients" not in runs


@pytest.fixture
def receiver():
    one = openlineage.Receiver()
    yield one
    one.close()


def metric(world, outcome):
    text = world.daemon.get("/metrics", token=None)[2]
    head = f'revcycle_lineage_events_total{{outcome="{outcome}"}} '
    return float(text.split(head)[1].split("\n")[0]) if head in text else 0


def test_a_receiver_gets_them_one_by_one_with_the_token(loaded, receiver):
    token = f"{loaded.directory}/token"
    with open(token, "w", encoding="ascii") as file:
        file.write("s3cret\n")
    told(loaded, url=receiver.url, token_file=token)
    loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%%7'")
    loaded.once()
    for event in receiver.events:
        openlineage.VALIDATOR.validate(event)
    assert "hospital_a.patients" in pairs(receiver.events) and receiver.tokens == {"Bearer s3cret"}


@pytest.mark.parametrize("trouble", ["silent", "failing"])
def test_a_receiver_that_does_not_answer_holds_no_run_and_gets_them_later(loaded, receiver, trouble):
    if trouble == "silent":
        receiver.may_answer.clear()
    else:
        receiver.status = 503
    told(loaded, url=receiver.url)
    loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%%7'")
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    assert receiver.heard.wait(30)
    loaded.play("UPDATE patient_master SET street = '2 New Street' WHERE pat_id LIKE '%%7'")
    assert jobs.run_job(loaded.daemon, "hospital_a.patients")["state"] == "succeeded"
    assert metric(loaded, "sent") == 0 and receiver.events == []
    receiver.status = 200
    receiver.may_answer.set()
    jobs.until(lambda: len(pairs(receiver.events[:len(receiver.events) // 2 * 2]).get("hospital_a.patients", ())) == 2,
               what="both runs are told")
    for name in {event["job"]["name"] for event in receiver.events}:  # runs of two jobs may end at the same moment
        times = [event["eventTime"] for event in receiver.events if event["job"]["name"] == name]
        assert times == sorted(times), name


def test_what_is_refused_is_dropped_and_what_is_too_much_too_and_the_end_waits_for_nobody(loaded, receiver):
    receiver.status = 422
    told(loaded, url=receiver.url)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    jobs.run_job(loaded.daemon, "kpi")
    jobs.until(lambda: metric(loaded, "refused") >= 2)
    receiver.may_answer.clear()
    receiver.status = 201
    receiver.heard.clear()
    for _ in range(3):
        jobs.run_job(loaded.daemon, "kpi")
    assert receiver.heard.wait(30)
    loaded.daemon.stop()  # within its own limit
    ends = [line for line in loaded.daemon.log_lines() if line.get("message") == "lineage events were not sent before the end"]
    assert len(ends) == 1 and ends[0]["events"] >= 4


def test_a_file_is_put_aside_when_it_has_grown_and_the_oldest_goes(loaded):
    fresh, path = loaded, f"{loaded.directory}/lineage.ndjson"
    told(fresh, file=path, max_file_bytes="64KiB")
    fresh.daemon.make_token()
    fresh.daemon.start()
    jobs.await_quiet(fresh.daemon)
    for _ in range(12):
        jobs.run_job(fresh.daemon, "settle")
    fresh.daemon.stop()
    names = sorted(name for name in os.listdir(fresh.directory) if name.startswith("lineage.ndjson"))
    assert names == ["lineage.ndjson"] + [f"lineage.ndjson.{n}" for n in range(1, 5)]
    for name in names:
        assert os.path.getsize(f"{fresh.directory}/{name}") <= 65536
    newest = [event for name in [*reversed(names[1:]), names[0]] for event in openlineage.read(f"{fresh.directory}/{name}")]
    times = [event["eventTime"] for event in newest if event["eventType"] != "START"]
    assert times == sorted(times) and len(times) >= 2


# -- killed

FAILED = "the daemon stopped while this ran"


def killed(world, name):
    done = world.daemon.once(REVCYCLED_FAILPOINT=name)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def under_way(world):
    """A run that nobody asked for dies with its first commit: it is known from there on."""
    world.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%%7'")
    world.daemon.extra["REVCYCLED_FAILPOINT"] = "page.after_commit"
    with contextlib.suppress(Exception):  # it may be gone before it answers
        world.daemon.start()
    assert world.daemon.child.wait(60) == -signal.SIGKILL
    del world.daemon.extra["REVCYCLED_FAILPOINT"]
    assert world.rows("SELECT job, mode, trigger FROM ops.run WHERE state = 'running'") == [
        ("hospital_a.patients", "incremental", "schedule")]


@pytest.mark.parametrize("name", [None, "lineage.after_sent", "lineage.after_told"])
def test_a_run_that_died_with_its_daemon_is_told_by_the_next_one_and_once(loaded, name):
    path = f"{loaded.directory}/lineage.ndjson"
    told(loaded, file=path)
    under_way(loaded)
    assert "hospital_a.patients" not in (pairs(openlineage.read(path)) if os.path.exists(path) else {})
    if name:
        killed(loaded, name)  # while that is told
    loaded.once()
    events = openlineage.read(path)
    times = collections.Counter((event["run"]["runId"], event["eventType"]) for event in events)
    assert set(times.values()) == {1} and len(times) == len(events) and len(events) % 2 == 0
    (_, last), *later = pairs(events)["hospital_a.patients"]
    assert last["eventType"] == "FAIL" and last["run"]["facets"]["errorMessage"]["message"] == FAILED
    assert "COMPLETE" in [end["eventType"] for _, end in later]
    assert loaded.value("SELECT count(*) FROM ops.run WHERE is_untold") == 0
    loaded.once()
    assert [event for event in openlineage.read(path) if event in events] == events


def test_a_receiver_gets_the_same_event_again_when_its_answer_was_not_noted(loaded, receiver):
    told(loaded, url=receiver.url)
    under_way(loaded)
    killed(loaded, "lineage.after_sent")
    assert [event["eventType"] for event in receiver.events] == ["START", "FAIL"]
    loaded.once()
    assert receiver.events[2:4] == receiver.events[:2]
    assert len({event["run"]["runId"] for event in receiver.events}) * 2 == len(receiver.events) - 2


def test_what_was_not_sent_before_the_end_is_told_by_the_next_start(loaded, receiver):
    receiver.status = 503
    told(loaded, url=receiver.url)
    loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%%7'")
    loaded.once()
    untold = loaded.rows("SELECT job FROM ops.run WHERE is_untold ORDER BY finished_at, run_id")
    assert ("hospital_a.patients",) in untold and receiver.events == []
    receiver.status = 200
    loaded.once()
    jobs_told = [event["job"]["name"] for event in receiver.events if event["eventType"] == "COMPLETE"]
    assert jobs_told[:len(untold)] == [job for (job,) in untold]
    assert loaded.value("SELECT count(*) FROM ops.run WHERE is_untold") == 0
