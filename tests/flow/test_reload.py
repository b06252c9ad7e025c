"""Another configuration for a daemon that runs: POST /v1/config/reload and HUP, one way."""
import re
import threading

import pytest

from harness import dump, jobs


@pytest.fixture
def running(fresh):
    fresh.daemon.make_token()
    fresh.daemon.start()
    return fresh


def reload(world, expect=200):
    status, _, body = world.daemon.post("/v1/config/reload", timeout=90)
    assert status == expect, body
    return body


def schedule(world, name="hospital_a.patients"):
    status, _, body = world.daemon.get(f"/v1/jobs/{name}")
    assert status == 200, body
    return body["schedule"]


def trail(world):
    return world.rows("SELECT actor, outcome, details FROM ops.audit WHERE action = 'config.reload' ORDER BY audit_id")


NOTHING = {"added": [], "removed": [], "changed": [], "renamed": []}


def test_the_answer_says_what_changed_and_the_trail_has_it(running):
    running.edit("      providers:", "      doctors:")
    running.edit("every: 30s", "every: 17s")
    running.edit("workers: 4", "workers: 3")
    body = reload(running)
    assert body == {"state": "taken", "needs_restart": True, "changes": {
        "sources": NOTHING, "claims": NOTHING,
        "feeds": {"added": ["hospital_a.doctors"], "removed": ["hospital_a.providers"],
                  "changed": ["hospital_a.patients"], "renamed": []},
        "settings": {**NOTHING, "changed": ["workers"]}}}
    assert schedule(running) == "every 17 s"
    assert running.daemon.get("/v1/jobs/hospital_a.providers")[0] == 404
    assert trail(running) == [("harness", "done", body["changes"])]
    assert reload(running)["changes"] == {what: NOTHING for what in ("sources", "feeds", "claims", "settings")}


def test_a_broken_file_is_refused_with_every_mistake_and_nothing_stops(running):
    running.edit("every: 30s", "evry: 30s")
    running.edit("entity: providers", "entity: doctors")
    body = reload(running, 422)
    assert [error["detail"] for error in body["errors"]] == [
        "unknown key `evry`, did you mean `every`?", "unknown entity `doctors`"]
    for error in body["errors"]:
        assert error["pointer"].startswith(running.config + ":") and error["pointer"].count(":") == 2
    assert schedule(running) == "every 30 s"
    (line,) = trail(running)
    assert line[:2] == ("harness", "refused") and len(line[2]["mistakes"]) == 2
    jobs.await_quiet(running.daemon, 90)
    assert running.value("SELECT count(*) FROM ops.run WHERE state = 'canceled'") == 0
    running.edit("evry: 30s", "every: 30s")
    running.edit("entity: doctors", "entity: providers")
    assert reload(running)["needs_restart"] is False


def test_a_hang_up_is_the_same_way(running):
    running.edit("every: 30s", "every: 17s")
    running.daemon.hang_up()
    jobs.until(lambda: trail(running))
    assert trail(running)[0][:2] == ("signal", "done")
    assert trail(running)[0][2]["feeds"]["changed"] == ["hospital_a.patients"]


def test_reloads_that_come_during_a_reload_are_all_answered_and_the_last_file_counts(running):
    """Under way, so that runs have to end first; what a later asker wrote is in force when it is answered."""
    answers = []

    def ask(number):
        answers.append((number, running.daemon.post("/v1/config/reload", timeout=90)))
    running.edit("every: 30s", "every: 41s")
    threads = []
    for number in range(5):
        running.edit(f"every: {41 + number}s", f"every: {42 + number}s")
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        running.daemon.hang_up()
    for thread in threads:
        thread.join()
    assert [status for _, (status, _, _) in answers] == [200] * 5
    assert schedule(running) == "every 46 s"
    assert 1 <= len(trail(running)) <= 10


def test_the_configuration_is_shown_without_secrets(running):
    status, _, shown = running.daemon.get("/v1/config")
    assert status == 200
    patients = shown["sources"]["hospital_a"]["feeds"]["patients"]
    assert (patients["every"], patients["page_rows"], patients["key"]) == ("30s", "2500", ["pat_id"])
    assert patients["map"]["first_name"] == {"from": ["given_name"], "clean": ["trim", "unknown_words", "proper_case"]}
    assert shown["sources"]["hospital_b"]["feeds"]["patients"]["map"]["birth_date"]["clean"] == [
        {"date": ["MM/DD/YYYY"]}]
    with open(running.mysql.password_file("revcycle_ro"), encoding="ascii") as file:
        secret = file.read().strip()
    assert secret not in str(shown)
    running.edit("database: ", "database: x")
    assert running.daemon.get("/v1/config")[2] == shown, "what is shown is what is in force"


def test_feeds_come_and_go_while_runs_are_in_flight(fresh, loaded_order_dump):
    """Reloads at any instant of a first load: the end is what an undisturbed run makes."""
    fresh.configure(jobs.small_pages)
    fresh.daemon.make_token()
    fresh.daemon.start()
    with open(fresh.config, encoding="utf-8") as file:
        whole = file.read()
    encounters = re.search(r"      encounters:\n(        .*\n)+", whole).group(0)
    for number in range(6):
        fresh.edit(*((encounters, ""), ("      transactions:", encounters + "      transactions:"))[number % 2])
        changes = reload(fresh)["changes"]["feeds"]
        assert changes[("removed", "added")[number % 2]] == ["hospital_a.encounters"]
    jobs.await_quiet(fresh.daemon, 90)
    fresh.daemon.stop()
    fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))
    assert fresh.value("SELECT count(*) FROM ops.run WHERE state IN ('queued', 'running', 'waiting')") == 0
