"""The process itself: starts, mistakes at the start, signals, reload, pauses, one per configuration."""
import contextlib
import os
import re
import signal
import socket
import time

import pytest

from harness import jobs

QUIET = re.compile(r"every: \w+")


def await_true(question, seconds=20):
    """The first true answer; the daemon answers from memory, so asking often costs little."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def edit_config(world, old, new, count=1):
    with open(world.config, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(world.config, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new, count))


@pytest.fixture
def running(fresh):
    fresh.daemon.make_token()
    fresh.daemon.start()
    return fresh


def job(world, name):
    status, _, body = world.daemon.get(f"/v1/jobs/{name}")
    assert status == 200, body
    return body


# -- mistakes at the start: one sentence, the mend, an exit code, nothing else


def say(done):
    """What a person reads: stderr without log lines."""
    return [line for line in done.stderr.splitlines() if not line.startswith("{")]


STARTS = [
    ("passfile=", "passfile=/nonexistent", 1, r"(?i)password"),
    ("dbname=", "dbname=nowhere_", 1, r"the database of `store.dsn` does not exist"),
    ("entity: patients", "entity: patient", 2, r":\d+:\d+: unknown entity `patient`, did you mean `patients`\?"),
    ("unknown_words", "unknown_word", 2, r"unknown cleaner `unknown_word`, did you mean `unknown_words`\?"),
    ("cursor:", "cursr:", 2, r":\d+:\d+: unknown key `cursr`, did you mean `cursor`\?"),
]


def test_a_mistake_at_the_start_is_one_sentence(fresh):
    for old, new, code, sentence in STARTS:
        fresh.configure(lambda text, old=old, new=new: text.replace(old, new, 1))
        done = fresh.daemon.once(timeout=60)
        lines = say(done)
        assert done.returncode == code, (new, done.stderr)
        assert re.search(sentence, lines[0]), (new, lines)
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("  hint: ")), (new, lines)


def test_a_port_in_use_is_one_sentence(fresh):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", fresh.daemon.port))
        taken.listen()
        done = fresh.daemon.run(timeout=60)
    assert done.returncode == 1
    lines = say(done)
    assert str(fresh.daemon.port) in lines[0] and "in use" in lines[0], lines
    assert len(lines) <= 2


def test_a_database_without_schemas_says_migrate(fresh, empty_database):
    edit_config(fresh, f"dbname={fresh.database}", f"dbname={empty_database}", 2)
    done = fresh.daemon.once(timeout=60)
    assert done.returncode == 1
    assert say(done)[1] == "  hint: run `revcycled --config FILE migrate`"


FEEDS = [
    ("table: patient_master", "table: patient_mastr", "has no table patient_mastr"),
    ("birth_date: birth_date", "birth_date: birthdate", r"no column `birthdate`.*did you mean `birth_date`\?"),
    ("key: [pat_id]", "key: [pat_ix]", "pat_ix"),
    ("password_file: ", "password_file: /nonexistent", "the password of source hospital_a"),
]


def test_one_feeds_mistake_stops_no_other(fresh):
    for old, new, sentence in FEEDS:
        fresh.configure(lambda text, old=old, new=new: text.split("bigquery:")[0].replace(old, new, 1))
        done = fresh.once(expect=1)
        assert re.search("hospital_a.patients: .*" + sentence, done.stdout), (new, done.stdout)
    assert fresh.counts("patients").get("hospital_b", 0) > 0
    assert "hospital_a" not in fresh.counts("patients")


def test_doctor_finds_what_a_run_would_trip_over(fresh):
    done = fresh.daemon.run("doctor", timeout=60)
    assert done.returncode == 0 and "BAD" not in done.stdout, done.stdout
    edit_config(fresh, "table: patient_master", "table: patient_mastr")
    os.rename(fresh.drop, fresh.drop + ".away")
    done = fresh.daemon.run("doctor", timeout=60)
    os.rename(fresh.drop + ".away", fresh.drop)
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert len(bad) == 2 and "patient_mastr" in bad[0] and "claims.monthly" in bad[1], done.stdout
    assert done.stdout.count("mend: ") >= 2


# -- what is read before what


def test_nothing_is_compared_before_its_source_was_read(fresh):
    """A reconcile that came first would read the facts before the members they name."""
    edit_config(fresh, "        every: ", "        reconcile: 12h\n        every: ", -1)
    fresh.daemon.make_token()
    fresh.daemon.start()
    jobs.await_quiet(fresh.daemon, 90)
    assert fresh.value("SELECT count(*) FROM ops.batch") > 0
    assert fresh.rows("SELECT job FROM ops.run WHERE job LIKE 'reconcile.%%' AND rows_changed > 0") == []


# -- one process per configuration


def test_a_second_process_is_refused_politely(running):
    done = running.daemon.run("--once", timeout=60)
    assert done.returncode == 1
    assert say(done)[0] == "revcycled: another revcycled runs with this configuration"


def test_a_killed_daemon_leaves_nothing_that_must_run_out(running):
    await_true(lambda: job(running, "hospital_a.patients")["last_run"])
    running.daemon.signal(signal.SIGKILL)
    running.daemon.child.wait()
    begun = time.monotonic()
    running.daemon.start()
    assert time.monotonic() - begun < 10
    assert job(running, "hospital_a.patients")["state"] != "elsewhere"


# -- signals


def test_a_stop_in_the_middle_of_work_is_orderly(fresh):
    """At several instants of the first load: some runs wait, some read, some write, some have just ended."""
    for number, delay in enumerate((0, 0.1, 0.2, 0.3, 0.5)):
        fresh.daemon.start()
        time.sleep(delay)  # no event marks "somewhere in the middle"
        begun = time.monotonic()
        fresh.daemon.signal((signal.SIGTERM, signal.SIGINT)[number % 2])
        assert fresh.daemon.child.wait(15) == 0, fresh.daemon.log_tail(5)
        assert time.monotonic() - begun < 10
        fresh.daemon.stop()
    assert fresh.value("SELECT count(*) FROM ops.run WHERE state IN ('queued', 'running', 'waiting')") == 0
    assert fresh.value("SELECT count(*) FROM ops.job WHERE lease_until > now()") == 0


def test_a_second_signal_hurries_nothing_and_harms_nothing(running):
    """The first stops the daemon, which here must wait until it can give its leases back."""
    def stopping():
        return [line for line in running.daemon.log_lines() if line.get("message") == "stopping"]
    with contextlib.closing(running.store.connect(running.database)) as link, link.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE ops.job IN ACCESS EXCLUSIVE MODE")
        running.daemon.signal(signal.SIGINT)
        await_true(stopping)
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            running.daemon.signal(again)
        await_true(lambda: not int(pending(running.daemon.pid()), 16))
        cursor.execute("ROLLBACK")
    assert running.daemon.child.wait(15) == 0, running.daemon.log_tail(5)
    assert len(stopping()) == 1
    assert running.value("SELECT count(*) FROM ops.job WHERE lease_until > now()") == 0


def pending(pid):
    """Signals that the process has not taken yet."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith("ShdPnd:"))


def test_a_sender_that_opens_a_file_that_is_looked_at_ends_nothing(running):
    """SIGIO, by which the kernel asks for a read lease back, ends whoever does not ignore it."""
    running.daemon.signal(signal.SIGIO)
    await_true(lambda: not int(pending(running.daemon.pid()), 16))
    assert running.daemon.get("/readyz", token=None)[0] == 200


def test_hup_takes_a_valid_configuration_and_refuses_a_wrong_one(running):
    before = job(running, "hospital_a.patients")["schedule"]
    edit_config(running, "every: 30s", "every: 17s")
    running.daemon.hang_up()
    await_true(lambda: job(running, "hospital_a.patients")["schedule"] == "every 17 s")
    assert before != "every 17 s"
    edit_config(running, "every: 17s", "evry: 18s")
    running.daemon.hang_up()
    line = await_true(lambda: [line for line in running.daemon.log_lines() if "mistake" in line])
    assert "unknown key `evry`, did you mean `every`?" in line[0]["mistake"]
    assert job(running, "hospital_a.patients")["schedule"] == "every 17 s"


def test_hup_adds_and_removes_jobs_and_keeps_what_ran(running):
    last = await_true(lambda: job(running, "hospital_a.departments")["last_run"])
    edit_config(running, "      providers:", "      doctors:")
    running.daemon.hang_up()
    await_true(lambda: running.daemon.get("/v1/jobs/hospital_a.doctors")[0] == 200)
    assert running.daemon.get("/v1/jobs/hospital_a.providers")[0] == 404
    await_true(lambda: job(running, "hospital_a.departments")["last_run"])
    assert running.daemon.get(f"/v1/runs/{last['id']}")[0] == 200


# -- pauses


def test_a_pause_survives_a_restart_and_once_leaves_the_job_alone(running):
    assert running.daemon.post("/v1/jobs/hospital_a.patients/pause")[0] == 200
    await_true(lambda: running.value("SELECT paused FROM ops.job WHERE name = 'hospital_a.patients'"))
    running.daemon.stop()
    running.daemon.start()
    assert job(running, "hospital_a.patients")["paused"] is True
    assert running.daemon.post("/v1/jobs/hospital_a.patients/resume")[0] == 200
    await_true(lambda: job(running, "hospital_a.patients")["paused"] is False)
