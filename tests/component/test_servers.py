"""The harness itself: everything else leans on servers that keep their data and leave nothing."""
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from harness import loader
from harness.emulator import Emulator
from harness.mariadb import MariaDB
from harness.mysql import MySQL, explain
from harness.postgres import Postgres
from harness.process import ServerFailed, free_port, start_time


@pytest.fixture(params=[Postgres, MariaDB, MySQL])
def server(request, tmp_path):
    try:
        server = request.param(tmp_path / "server")
    except ServerFailed as error:
        pytest.skip(explain(error))
    yield server
    server.stop()


def ask(server, statement):
    link = server.connect("postgres" if isinstance(server, Postgres) else "mysql")
    with link.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    link.close()
    return rows


def test_a_server_that_was_killed_starts_again_with_its_data_on_its_port(server):
    server.start()
    port = server.port
    server.create_database("kept")
    server.kill()
    assert server.pid() is None
    server.start()
    assert server.port == port
    assert server.has_database("kept")


def test_a_postgresql_that_was_killed_leaves_no_backend_in_the_way_of_the_next(tmp_path):
    """A backend notices its postmaster's end late, one that is stopped never; and as long as one holds the
    shared memory, the next postmaster refuses to start."""
    server = Postgres(tmp_path / "server")
    try:
        server.start()
        with contextlib.closing(server.connect("postgres")) as link, link.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = cursor.fetchone()[0]
            os.kill(backend, signal.SIGSTOP)
            server.kill()
            left = start_time(backend)
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
        assert left is None
        server.start()
    finally:
        server.stop()


def test_another_process_finds_and_stops_the_server(server):
    server.outlive = True
    server.start()
    pid = server.pid()
    other = type(server)(server.directory)
    assert other.pid() == pid
    other.stop()
    assert start_time(pid) is None
    server.child.wait(10)


def test_a_stale_pid_file_signals_nobody(server):
    os.makedirs(server.directory)
    with open(server.pid_file, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()} {start_time(os.getpid()) - 1}\n")
    assert server.pid() is None
    server.stop()


def test_a_server_ends_with_the_process_that_started_it(tmp_path):
    program = ("import os, sys; from harness.postgres import Postgres; "
               "s = Postgres(sys.argv[1]); s.start(); print(s.pid(), flush=True); os.kill(os.getpid(), 9)")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "server")], check=False,
                          stdout=subprocess.PIPE, text=True, env={**os.environ})
    server = Postgres(tmp_path / "server")
    pid = int(done.stdout)
    handle_gone = start_time(pid) is None or server._await_end(pid, 20)
    assert handle_gone


def test_a_forked_emulator_ends_with_whoever_started_it_and_knows_nothing_of_another(tmp_path):
    """They have one ancestor, which has imported the emulator, and nothing else in common."""
    program = ("import os, sys; from harness.emulator import Emulator; made = [Emulator(path).start() for path in sys.argv[1:]]; "
               "made[0].stop(); print(made[0].pid(), made[1].pid(), made[1].is_ready(), flush=True); os.kill(os.getpid(), 9)")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "one"), str(tmp_path / "two")], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    first, second, is_ready = done.stdout.split()
    assert (first, is_ready) == ("None", "True")
    assert start_time(int(second)) is None or Emulator(tmp_path / "two")._await_end(int(second), 20)
    for name in ("one", "two"):
        assert os.path.exists(tmp_path / name / "data" / "bqemulator.duckdb")


def test_a_port_in_use_is_not_given_out():
    import socket
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert free_port(taken) != taken


def test_the_daemons_account_reads_and_cannot_write(source_server):
    import pymysql
    source_server.create_database("account_test")
    source_server.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", database="account_test")
    try:
        link = source_server.connect("account_test", user="revcycle_ro")
        with link.cursor() as cursor:
            cursor.execute("SELECT a FROM t")
            assert cursor.fetchall() == ((1,),)
            with pytest.raises(pymysql.err.OperationalError):
                cursor.execute("INSERT INTO t VALUES (2)")
        link.close()
    finally:
        source_server.drop_database("account_test")


def test_a_csv_field_that_says_null_is_text_and_a_backslash_n_is_null(mariadb, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\nNULL,\\N\n"tab\there","back\\slash"\n', encoding="utf-8")
    mariadb.create_database("load_test")
    try:
        link = mariadb.connect("load_test")
        with link.cursor() as cursor:
            cursor.execute("CREATE TABLE t (a varchar(20), b varchar(20))")
            assert loader.load_table(cursor, "t", path) == 2
            cursor.execute("SELECT a, b FROM t")
            assert cursor.fetchall() == (("NULL", None), ("tab\there", "back\\slash"))
        link.close()
    finally:
        mariadb.drop_database("load_test")
