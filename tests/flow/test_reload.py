"""Another configuration for a daemon that runs: POST /v1/config/reload and HUP, one way."""
import contextlib
import re
import signal
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


def without_mapping_versions(state):
    return {name: sorted(re.sub(r'"mapping_version": "?\d+"?', "", row) for row in rows) for name, rows in state.items()}


def test_a_mapping_changes_and_changes_back_while_runs_are_in_flight(fresh, loaded_order_dump):
    """Some pages are cleaned by one mapping, some by the other; what was mended last holds for every row."""
    fresh.configure(jobs.small_pages)
    fresh.daemon.make_token()
    fresh.daemon.start()
    mappings = ("city: {from: city, clean: [trim]}", "city: {from: city, clean: [trim, upper]}")
    for number in range(4):
        jobs.until(lambda: fresh.value("SELECT count(*) FROM silver.patients WHERE source_system = 'hospital_a'") > 0)
        fresh.edit(mappings[number % 2], mappings[1 - number % 2])
        assert reload(fresh)["changes"]["feeds"]["changed"] == ["hospital_a.patients"]
        if number == 0:
            jobs.until(lambda: fresh.value("SELECT count(city) > 0 AND count(*) FILTER (WHERE city ~ '[a-z]') = 0 "
                                           "FROM silver.patients WHERE source_system = 'hospital_a'"), what="what is there is mended")
    jobs.await_quiet(fresh.daemon, 90)
    fresh.daemon.stop()
    fresh.once()
    dump.assert_equal(without_mapping_versions(loaded_order_dump),
                      without_mapping_versions(fresh.dump(dump.ORDER)))


def held_run(world, act):
    """The mode full is asked for and held up by the hospital's lock while `act` goes on: its id."""
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute("LOCK TABLES patient_master WRITE")
        run = world.daemon.post("/v1/jobs/hospital_a.patients/runs", {"mode": "full"})[2]["id"]
        act()
        cursor.execute("UNLOCK TABLES")
    return int(run)


def succeeded_after(world, run):
    """Ids are no order: they are reserved in lots, and used again."""
    runs = world.daemon.get("/v1/runs?job=hospital_a.patients")[2]["items"]
    asked = [item["queued_at"] for item in runs if int(item["id"]) == run]
    return [item for item in runs if (item["mode"], item["state"]) == ("full", "succeeded")
            and asked and item["queued_at"] > asked[0]]


def test_what_was_asked_for_and_ended_by_a_reload_begins_again_as_it_was_asked_for(standing):
    standing.edit("every: 12h", "every: 11h")
    run = held_run(standing, lambda: reload(standing))
    jobs.until(lambda: succeeded_after(standing, run))
    with contextlib.closing(standing.store.connect(standing.database)) as link, link.cursor() as cursor:
        cursor.execute("INSERT INTO ops.source (source_system, timezone, renamed_to) VALUES ('past', 'UTC', 'x')")
        link.commit()
    standing.edit("sources:\n", "sources:\n  past: {kind: files}\n")
    run = held_run(standing, lambda: reload(standing, 409))
    jobs.until(lambda: succeeded_after(standing, run))


# -- a source leaves, and is called otherwise


def without(world, source):
    """Takes the source's block and its claims pattern out of the configuration: what was taken out."""
    with open(world.config, encoding="utf-8") as file:
        text = file.read()
    block = re.search(rf"  {source}:\n(    .*\n|\n)+", text).group(0)
    pattern = re.search(rf"      - .*source: {source}.*\n", text).group(0)
    world.edit(block, "")
    world.edit(pattern, "")
    return block, pattern


@pytest.fixture
def standing(loaded):
    """A daemon over a loaded state, quiet."""
    loaded.configure(jobs.rarely)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon, 90)
    return loaded


def test_a_retired_source_is_read_no_more_and_its_rows_stay(standing, loaded_order_dump):
    counts = standing.counts("transactions")
    block, pattern = without(standing, "hospital_b")
    changes = reload(standing)["changes"]
    assert changes["sources"]["removed"] == ["hospital_b"] and len(changes["feeds"]["removed"]) == 5
    status = standing.daemon.get("/v1/status")[2]
    assert [(line["source"], line["state"]) for line in status["retired"]] == [("hospital_b", "retired")]
    assert not [line for line in status["feeds"] if line["job"].startswith("hospital_b")]
    assert standing.value("SELECT count(*) FROM ops.job WHERE name LIKE 'hospital_b.%%' AND owner IS NOT NULL") == 0
    assert standing.value("SELECT count(*) FROM ops.audit WHERE action = 'source.retire'") == 1
    standing.play("UPDATE tblPatient SET FName = 'Nobody', LastChange = NOW() ORDER BY PatientNo LIMIT 1", place=1)
    jobs.run_job(standing.daemon, "publish")
    assert standing.counts("transactions") == counts
    dump.assert_equal(loaded_order_dump, standing.dump(dump.ORDER))
    standing.edit("  hospital_a:\n", block + "  hospital_a:\n")
    standing.edit("    from:\n", "    from:\n" + pattern)
    assert reload(standing)["changes"]["sources"]["added"] == ["hospital_b"]
    assert standing.daemon.get("/v1/status")[2]["retired"] == []
    jobs.until(lambda: standing.value("SELECT count(*) FROM silver.patients WHERE source_system = 'hospital_b' "
                                      "AND first_name = 'Nobody' AND is_current") == 1)
    assert standing.counts("transactions") == counts, "it goes on where it stood"


def rename(text, old="hospital_b", new="hospital_c"):
    """The configuration with the source called otherwise, and saying so."""
    text = text.replace(f"  {old}:\n", f"  {new}:\n    renamed_from: {old}\n")
    return text.replace(f"source: {old}", f"source: {new}")


def renamed(state, old="hospital_b", new="hospital_c"):
    """A dump in which it always had that name: the names' order is the same, so the rest is, too."""
    return {name.replace(old, new): sorted(row.replace(old, new) for row in rows) for name, rows in state.items()}


SURROGATES = ("SELECT 'patient', source_patient_id, version, patient_key FROM silver.patients WHERE source_system = %s "
              "UNION ALL SELECT 'transaction', source_transaction_id, 0, transaction_key FROM silver.transactions "
              "WHERE source_system = %s ORDER BY 1, 2, 3")


def test_a_renamed_source_is_as_if_it_had_always_been_called_so(standing, loaded_dump):
    keys = standing.rows(SURROGATES, "hospital_b", "hospital_b")
    pages = standing.value("SELECT page FROM ops.cursor WHERE feed = 'hospital_b.patients'")
    runs = standing.value("SELECT count(*) FROM ops.run WHERE job LIKE 'hospital_b.%%'")
    with open(standing.config, encoding="utf-8") as file:
        text = file.read()
    with open(standing.config, "w", encoding="utf-8") as file:
        file.write(rename(text))
    changes = reload(standing)["changes"]
    assert changes["sources"] == {**NOTHING, "renamed": [{"from": "hospital_b", "to": "hospital_c"}]}
    assert changes["feeds"] == NOTHING
    assert standing.rows(SURROGATES, "hospital_c", "hospital_c") == keys
    assert standing.value("SELECT page FROM ops.cursor WHERE feed = 'hospital_c.patients'") == pages
    assert len(standing.daemon.get("/v1/runs?job=hospital_c.patients")[2]["items"]) > 0
    assert standing.value("SELECT count(*) FROM ops.run WHERE job LIKE 'hospital_c.%%'") >= runs
    assert standing.value("SELECT count(*) FROM bronze.hospital_c__patients") > 0
    assert jobs.run_job(standing.daemon, "publish")["state"] == "succeeded"
    for feed in ("patients", "transactions"):
        assert jobs.run_job(standing.daemon, f"hospital_c.{feed}", mode="full")["rows_changed"] == 0
    standing.daemon.stop()
    dump.assert_equal(renamed(loaded_dump), standing.dump())
    standing.once()
    dump.assert_equal(renamed(loaded_dump), standing.dump())
    assert list(standing.warehouse.rows("SELECT DISTINCT source_system FROM healthcare_rcm.fact_claims "
                                        "WHERE source_system = 'hospital_b'")) == []
    assert standing.rows("SELECT object, details->>'from' FROM ops.audit WHERE action = 'source.rename'") == [
        ("hospital_c", "hospital_b")]


def test_a_name_that_was_given_up_or_is_taken_is_refused(standing):
    with open(standing.config, encoding="utf-8") as file:
        text = file.read()

    def write(changed):
        with open(standing.config, "w", encoding="utf-8") as file:
            file.write(changed)
    write(rename(text, new="hospital_x").replace("renamed_from: hospital_b", "renamed_from: hospital_a"))
    assert "is still a source of its own here" in reload(standing, 422)["errors"][0]["detail"]
    write(rename(text))
    with contextlib.closing(standing.store.connect(standing.database)) as link, link.cursor() as cursor:
        cursor.execute("UPDATE ops.job SET owner = 'another', lease_until = now() + interval '1 hour' "
                       "WHERE name = 'hospital_b.patients'")
        link.commit()
        assert "another daemon reads it" in reload(standing, 503)["detail"]
        cursor.execute("UPDATE ops.job SET owner = NULL WHERE name = 'hospital_b.patients'")
        link.commit()
    reload(standing)
    write(text)
    body = reload(standing, 409)
    assert "source hospital_b was renamed: its rows bear the name hospital_c" in body["detail"], body
    assert standing.daemon.get("/v1/jobs/hospital_c.patients")[0] == 200, "the old jobs go on"
    assert trail(standing)[-1][1] == "failed"
    write(rename(text, "hospital_a", "hospital_c").replace("hospital_b", "hospital_z"))
    body = reload(standing, 409)
    assert "another source of that name has rows" in body["detail"], body
    write(rename(rename(text), "hospital_c", "hospital_b").replace("    renamed_from: hospital_b\n", ""))
    reload(standing)
    assert standing.counts("patients").keys() == {"hospital_a", "hospital_b"}


@pytest.mark.parametrize("name", ["hospitals.before_commit", "hospitals.after_commit"])
def test_killed_while_a_source_gets_its_name_the_end_is_equal(loaded, loaded_dump, name):
    loaded.configure(rename)
    done = loaded.daemon.once(REVCYCLED_FAILPOINT=name)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    loaded.once()
    dump.assert_equal(renamed(loaded_dump), loaded.dump())
