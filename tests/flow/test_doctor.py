"""doctor: each check, with the thing it looks at broken, and the advice read.

One line a check; a line that is not "ok" is followed by its mend. What is broken is mended again: the servers are
the session's.
"""
import contextlib
import os
import subprocess

import pytest

from harness.proxy import Fault, Proxy

READER = "'revcycle_ro'@'127.0.0.1'"


def consult(world, expect=0, **environment):
    """{(subject, check): (verdict, sentence, mend)}"""
    done = world.daemon.run("doctor", timeout=60, **environment)
    assert done.returncode == expect, done.stdout + done.stderr
    found, last = {}, None
    for line in done.stdout.splitlines():
        if line.lstrip().startswith("mend: "):
            found[last] = (*found[last][:2], line.split("mend: ", 1)[1])
            continue
        verdict, rest = line.split(None, 1)
        subject, rest = rest.split(", ", 1)
        check, _, sentence = rest.partition(": ")
        last = (subject, check)
        assert last not in found, line
        found[last] = (verdict, sentence, "")
    return found


def assert_finding(found, subject, check, verdict, sentence, mend):
    got = found.get((subject, check))
    assert got and got[0] == verdict and sentence in got[1] and mend in got[2], (subject, check, got)


@pytest.fixture(scope="module")
def healthy(small_base, binary, tmp_path_factory):
    """A world that nothing was done to; tests that only look share it."""
    from harness.world import World
    world = World(small_base, "healthy", tmp_path_factory.mktemp("healthy"), binary).make()
    os.chmod(world.drop, 0o750)
    yield world
    world.end()


def test_a_healthy_world_is_told_line_by_line(healthy):
    found = consult(healthy)
    assert not [line for line in found.items() if line[1][0] == "BAD"]
    minded = {where: what[1] for where, what in found.items() if what[0] == "mind"}
    # the second hospital's cursors are set by its application
    assert set(minded) == {(f"hospital_b.{feed}", check) for feed in ("patients", "transactions")
                           for check in ("cursor clock", "cursor")}
    assert found["hospital_a.patients", "cursor"][1].startswith("proven: ")
    assert found["hospital_b.patients", "cursor"][1].startswith("unproven: ")
    for check in ("connection", "owner", "schemas", "rights", "no more rights", "version"):
        assert found["store", check][0] == "ok"
    for check in ("connection", "TLS", "PROCESS", "rights", "replication", "time zone", "clock", "password_file"):
        assert found["hospital_a", check][0] == "ok"
    for check in ("table", "mapped columns", "engine", "key", "cursor index", "cursor clock"):
        assert found["hospital_a.patients", check][0] == "ok"
    for check in ("directory", "mode", "folders", "disk"):
        assert found["claims.monthly", check][0] == "ok"
    assert found["bigquery", "dataset"][0] == found["bigquery", "jobs"][0] == "ok"
    # a table without a cursor has no line on it
    assert ("hospital_a.departments", "cursor index") not in found


# -- PostgreSQL

STORE = [
    ("REVOKE INSERT ON silver.patients FROM revcycle_daemon", "rights", "BAD", "may not write where it must",
     "GRANT revcycle_daemon"),
    ("GRANT UPDATE ON ops.audit TO revcycled", "no more rights", "mind", "change the audit trail", "only a member"),
    ("GRANT CREATE ON SCHEMA silver TO revcycled", "no more rights", "mind", "alter the schemas", "only a member"),
    ("DELETE FROM public.revcycle_migration WHERE name = (SELECT max(name) FROM public.revcycle_migration)",
     "schemas", "BAD", "schema", "migrate"),
]


@pytest.mark.parametrize("breakage, check, verdict, sentence, mend", STORE)
def test_the_store(fresh, breakage, check, verdict, sentence, mend):
    fresh.store.execute(breakage, fresh.database)
    found = consult(fresh, expect=verdict == "BAD")
    assert_finding(found, "store", check, verdict, sentence, mend)


def test_an_old_postgresql(fresh):
    """It tells its version by a function, which another one may stand before."""
    fresh.store.execute(
        "CREATE SCHEMA older; GRANT USAGE ON SCHEMA older TO PUBLIC; "
        "CREATE FUNCTION older.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '140011' $$; "
        f"ALTER ROLE revcycled IN DATABASE {fresh.database} SET search_path = older, pg_catalog", fresh.database)
    assert_finding(consult(fresh), "store", "version", "mind", "PostgreSQL 14 is not tested", "PostgreSQL 15 or later")


CONFIG = [
    ("host=127.0.0.1 port=", "host=127.0.0.1 port=1", ("store", "connection"), "BAD", "", ""),
    ("user=revcycle_owner", "user=nobody_at_all", ("store", "owner"), "mind", "`migrate` would fail", "owner_dsn"),
    ("    user: revcycle_ro", "    user: nobody", ("hospital_a", "connection"), "BAD", "refused the account",
     "password_file"),
    ("    tls: required", "    tls: off", ("hospital_a", "TLS"), "mind", "network", "tls: required"),
    ("    timezone: America/Chicago", "    timezone: Asia/Tokyo", ("hospital_a", "time zone"), "mind", "h off that of",
     "`timezone` of the source"),
    ("table: patient_master", "table: patient_mastr", ("hospital_a.patients", "table"), "BAD", "patient_mastr", "table"),
    ("from: given_name", "from: givn_name", ("hospital_a.patients", "mapped columns"), "BAD", "givn_name", "map"),
]


@pytest.mark.parametrize("old, new, where, verdict, sentence, mend", CONFIG, ids=lambda value: None)
def test_the_configuration(healthy, old, new, where, verdict, sentence, mend):
    def edit(text):
        assert old in text, old
        return text.replace(old, new, 1)
    healthy.configure(edit)
    try:
        assert_finding(consult(healthy, expect=verdict == "BAD"), *where, verdict, sentence, mend)
    finally:
        healthy.configure()


# -- the hospital


@contextlib.contextmanager
def broken(mysql, breakage, remedy):
    mysql.execute(*breakage)
    try:
        yield
    finally:
        mysql.execute(*remedy)


WRITES = "INSERT, UPDATE (pat_id, street), SHOW VIEW ON {database}.patient_master"
HOSPITAL = [
    ([f"REVOKE PROCESS ON *.* FROM {READER}"], [f"GRANT PROCESS ON *.* TO {READER}"],
     "PROCESS", "mind", "its own statements alone", "GRANT PROCESS ON *.*"),
    (["CREATE ROLE watcher", "GRANT PROCESS ON *.* TO watcher", f"GRANT watcher TO {READER}",
      f"SET DEFAULT ROLE watcher FOR {READER}", f"REVOKE PROCESS ON *.* FROM {READER}"],
     [f"GRANT PROCESS ON *.* TO {READER}", "DROP ROLE watcher"],
     "PROCESS", "ok", "", ""),
    ([f"GRANT {WRITES} TO {READER}"], [f"REVOKE {WRITES} FROM {READER}"],
     "rights", "mind", "(INSERT, UPDATE)", "REVOKE"),
    ([f"GRANT SELECT ON {{database}}_{number}.* TO {READER}" for number in range(300)] + [f"GRANT {WRITES} TO {READER}"],
     [f"REVOKE SELECT ON {{database}}_{number}.* FROM {READER}" for number in range(300)] + [f"REVOKE {WRITES} FROM {READER}"],
     "rights", "mind", "(INSERT, UPDATE)", "REVOKE"),
    (["CHANGE MASTER 'x' TO master_host='127.0.0.1', master_port=1, master_user='x'", "START SLAVE 'x'"],
     ["STOP SLAVE 'x'", "RESET SLAVE 'x' ALL"],
     "replication", "mind", "a replica", "written to"),
    (["SET GLOBAL read_only = 1"], ["SET GLOBAL read_only = 0"],
     "replication", "mind", "read-only", "written to"),
]


@pytest.mark.parametrize("breakage, remedy, check, verdict, sentence, mend", HOSPITAL, ids=[
    "an account without process", "process that comes by a role counts", "an account that may write",
    "an account that may write, behind many databases", "a replica",
    "a server that is read only"])
def test_the_hospital(healthy, breakage, remedy, check, verdict, sentence, mend):
    here = [[statement.format(database=healthy.hospitals[0]) for statement in side] for side in (breakage, remedy)]
    with broken(healthy.mysql, *here):
        found = consult(healthy)
    assert_finding(found, "hospital_a", check, verdict, sentence, mend)


def test_a_clock_that_is_off(healthy):
    with broken(healthy.mysql, ["SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 600'"],
                ["SET GLOBAL init_connect = ''"]):
        found = consult(healthy)
    assert found["hospital_a", "clock"][0] == "mind"
    seconds = int(found["hospital_a", "clock"][1].split("is ")[1].split(" s off")[0])
    assert 595 <= seconds <= 601 and "time service" in found["hospital_a", "clock"][2]
    assert found["hospital_a", "time zone"][0] == "ok"


def test_rows_that_the_server_cannot_hash(healthy):
    """Their texts may be longer together than what it joins; with the usual packet none are."""
    assert not [where for where in consult(healthy) if where[1] == "row size"]
    with broken(healthy.mysql, ["SET GLOBAL max_allowed_packet = 3072"], ["SET GLOBAL max_allowed_packet = DEFAULT"]):
        found = consult(healthy)
    assert_finding(found, "hospital_a.patients", "row size", "mind", "longer than 3072 bytes together",
                   "raise max_allowed_packet")
    assert ("hospital_a.departments", "row size") not in found


TABLES = [
    ("ALTER TABLE patient_master ENGINE = MyISAM", "engine", "mind", "not an InnoDB table", "ENGINE = InnoDB"),
    ("ALTER TABLE patient_master DROP KEY updated_at", "cursor index", "mind", "scans the table", "begins with the cursor"),
    ("ALTER TABLE patient_master DROP KEY updated_at, ADD KEY late (given_name, updated_at)", "cursor index", "mind",
     "scans the table", "begins with the cursor"),
    ("ALTER TABLE patient_master MODIFY updated_at datetime(6) NOT NULL", "cursor clock", "mind",
     "does not move by itself", "cursor_clock: server"),
    ("ALTER TABLE patient_master DROP PRIMARY KEY, ADD PRIMARY KEY (pat_id, updated_at)", "key", "mind",
     "no unique index", "primary key"),
    ("ALTER TABLE patient_master MODIFY pat_id varchar(12) COLLATE utf8mb4_bin NOT NULL", "key", "ok", "unique", ""),
]


@pytest.mark.parametrize("breakage, check, verdict, sentence, mend", TABLES, ids=lambda value: None)
def test_a_table(fresh, breakage, check, verdict, sentence, mend):
    fresh.play(breakage)
    found = consult(fresh)
    assert_finding(found, "hospital_a.patients", check, verdict, sentence, mend)
    if check == "key" and verdict == "ok":
        assert "are one id" not in found["hospital_a.patients", "key"][1]
        assert "are one id" in found["hospital_a.encounters", "key"][1]


# -- files


def test_the_drop_directory(healthy, tmp_path):
    away = healthy.drop + ".away"
    os.rename(healthy.drop, away)
    try:
        assert_finding(consult(healthy, expect=1), "claims.monthly", "directory", "BAD", "No such file", "create it")
        os.symlink(healthy.config, healthy.drop)
        assert_finding(consult(healthy, expect=1), "claims.monthly", "directory", "BAD", "no directory", "create it")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(healthy.drop)
        os.rename(away, healthy.drop)
    os.chmod(healthy.drop, 0o777)
    assert_finding(consult(healthy), "claims.monthly", "mode", "mind", "may put claims", "chmod o-w")
    os.chmod(healthy.drop, 0o755)
    assert_finding(consult(healthy), "claims.monthly", "mode", "mind", "may list", "chmod o-r")
    os.chmod(healthy.drop, 0o750)


@contextlib.contextmanager
def small_disk(path):
    os.makedirs(path, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_full_disk_and_one_that_files_cannot_be_moved_to(healthy):
    with small_disk(os.path.join(healthy.drop, "done")):
        assert_finding(consult(healthy, expect=1), "claims.monthly", "folders", "BAD", "another file system",
                       "inside the drop directory")
    with small_disk(healthy.drop):
        assert_finding(consult(healthy), "claims.monthly", "disk", "mind", "less than 1 GiB", "make room")


def test_a_password_that_others_may_read(healthy, tmp_path):
    file = tmp_path / "password"
    file.write_text(healthy.mysql.password("revcycle_ro"))
    healthy.configure(lambda text: text.replace(healthy.mysql.password_file("revcycle_ro"), str(file)))
    try:
        for mode, verdict, mend in ((0o644, "mind", "chmod 600"), (0o620, "mind", "chmod 600"), (0o640, "ok", "")):
            file.chmod(mode)
            assert_finding(consult(healthy), "hospital_a", "password_file", verdict, "", mend)
    finally:
        healthy.configure()


# -- BigQuery


def test_bigquery_that_is_not_there_and_an_account_without_jobs(healthy):
    with Proxy(healthy.emulator.port) as proxy:
        healthy.configure(endpoint=proxy.endpoint)
        proxy.fail(Fault("400", path="/queries|/jobs", method="POST", times=1))
        found = consult(healthy, expect=1)
    assert found["bigquery", "dataset"][0] == "ok" and found["bigquery", "jobs"][0] == "BAD"
    try:
        assert consult(healthy, expect=1)["bigquery", "dataset"][0] == "BAD"
    finally:
        healthy.configure()
