"""A daemon that runs for months: it keeps nothing of a run, stops when told, and survives a bad edit."""
import contextlib
import os
import signal

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from harness import dump, jobs

RUNS = 50
WORK = ("hospital_a.patients", "hospital_b.transactions", "claims.monthly", "settle", "publish")


@pytest.fixture
def daemon(loaded):
    """Running, its first runs over."""
    loaded.configure(edit=jobs.rarely)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon, 20)
    return loaded.daemon


def cycle(daemon, runs):
    for number in range(runs):
        run = jobs.run_job(daemon, WORK[number % len(WORK)])
        assert run["state"] == "succeeded", run["error"]


def open_things(daemon):
    """What the descriptors are, for the message: sockets and files without their numbers."""
    names = []
    for number in os.listdir(f"/proc/{daemon.pid()}/fd"):
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(f"/proc/{daemon.pid()}/fd/{number}").split(":")[0])
    return sorted(names)


def test_fifty_runs_leave_no_descriptor_no_thread_and_no_memory(daemon):
    cycle(daemon, 2 * len(WORK))
    before, threads, resident = open_things(daemon), daemon.threads(), daemon.resident_bytes()
    cycle(daemon, RUNS)
    jobs.until(lambda: len(open_things(daemon)) <= len(before), 10,
               f"descriptors as before, {before}, now {open_things(daemon)}")
    assert daemon.threads() == threads
    if daemon.is_size_its_own():  # ASan finds leaks itself, at the end
        assert daemon.resident_bytes() < resident + 8 * 2**20, "more than 160 KB per run stay"


# -- stopping

def await_end(daemon, seconds):
    """The exit code of a daemon that was told to stop."""
    return daemon.child.wait(seconds)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_at_once(daemon, number):
    daemon.signal(number)
    assert await_end(daemon, 10) == 0


def test_a_loading_daemon_stops_in_time_and_loses_nothing(fresh, loaded_dump):
    fresh.configure(edit=jobs.small_pages)
    fresh.daemon.start()
    jobs.until(lambda: fresh.value("SELECT count(*) FROM ops.batch") >= 3, what="pages are placed")
    fresh.daemon.signal(signal.SIGTERM)
    assert await_end(fresh.daemon, 10) == 0
    assert fresh.value("SELECT count(*) FROM silver.transactions") < 2000, "the load was over already"
    fresh.daemon.stop()
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())


# -- another configuration

def rewrite(world, change):
    with open(world.config, encoding="utf-8") as file:
        text = file.read()
    with open(world.config, "w", encoding="utf-8") as file:
        file.write(change(text))
    return text


def said(daemon, words):
    return [line for line in daemon.log_lines() if words in str(line)]


def test_a_bad_configuration_is_refused_and_the_old_one_stays(loaded, daemon):
    before = {name: job["schedule"] for name, job in jobs.jobs(daemon).items()}
    good = rewrite(loaded, lambda text: text.replace("cursor: updated_at", "cursr: updated_at", 1))
    daemon.hang_up()
    refused = jobs.until(lambda: said(daemon, "configuration refused"), what="the refusal is logged")
    assert "cursr" in str(refused[0]) and "did you mean" in str(refused[0])
    assert daemon.get("/readyz")[0] == 200
    assert {name: job["schedule"] for name, job in jobs.jobs(daemon).items()} == before
    assert jobs.run_job(daemon, "hospital_a.patients")["state"] == "succeeded"

    rewrite(loaded, lambda text: good.replace("every: 12h", "every: 11h"))
    daemon.hang_up()
    jobs.until(lambda: said(daemon, "configuration reloaded"), what="the good one is taken")
    assert jobs.jobs(daemon)["hospital_a.patients"]["schedule"] != before["hospital_a.patients"]
    assert jobs.run_job(daemon, "hospital_a.patients")["state"] == "succeeded"


# -- what Prometheus reads

def samples(families):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families for sample in family.samples}


def test_a_prometheus_parser_accepts_the_metrics(daemon):
    cycle(daemon, len(WORK))
    status, headers, text = daemon.get("/metrics", token=None)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = list(parser.text_string_to_metric_families(text))
    found = samples(families)
    assert found["revcycle_runs_total", (("job", "settle"), ("outcome", "succeeded"))] >= 1
    assert found["process_open_fds", ()] > 3
    assert {family.type for family in families} <= {"counter", "gauge", "histogram"}
    known = set(jobs.jobs(daemon))
    assert {dict(labels)["job"] for _, labels in found if "job" in dict(labels)} <= known


def test_an_openmetrics_parser_accepts_the_metrics(daemon):
    status, headers, text = daemon.get("/metrics", token=None, headers={
        "Accept": "application/openmetrics-text; version=1.0.0"})
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text")
    found = samples(openmetrics.text_string_to_metric_families(text))
    assert found["revcycle_up_since_seconds", ()] > 0
