"""A full disk under the drop directory, and under PostgreSQL: nothing is lost, nothing is there twice."""
import contextlib
import errno
import os
import random
import subprocess

import pytest

from harness import dump, jobs
from harness.postgres import Postgres
from test_claims import Claims, row, text


@contextlib.contextmanager
def small_disk(path, megabytes):
    os.makedirs(path, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("may not mount a tmpfs here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def filled(path, free=0):
    """But for so many bytes."""
    name = os.path.join(path, ".ballast")
    with open(name, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
        file.truncate(max(0, file.tell() - free))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def months(n, rows):
    choice = random.Random(3)
    for number in range(n):
        yield (f"hospital{1 + number % 2}_2024-{1 + number % 12:02}_{number}.csv",
               text([row(f"C{number}_{line}", status=choice.choice(["Paid", "Denied"])) for line in range(rows)]))


def entries(claims):
    return claims.rows("SELECT name, state, error, rows_read, rows_new, rows_same, rows_quarantined, detected ->> 'stored_as' "
                       "FROM ops.file ORDER BY name")


def check(claims, calm, files):
    """As where nothing was ever full."""
    for name, content in files:
        calm.put(name, content)
    calm.once()
    assert entries(claims) == entries(calm)
    assert {entry[1] for entry in entries(claims)} == {"done"}
    dump.assert_equal(calm.dump(dump.ORDER), claims.dump(dump.ORDER))
    assert claims.listed("done") == calm.listed("done") and claims.listed("receiving") == []


def has_failed(claims):
    return any("run failed" in str(line.get("message", "")) for line in claims.daemon.log_lines())


@pytest.fixture
def make(postgres, schema_template, database_name, tmp_path, binary):
    made = []

    def make_one(store=None, database=None):
        number = len(made)
        database = database or postgres.create_database(f"{database_name[:40]}_{number}", schema_template)
        made.append(Claims(store or postgres, database, str(tmp_path / f"claims{number}"), binary, page_rows=20))
        return made[-1]
    yield make_one
    for claims in made:
        if claims.store is postgres:
            postgres.drop_database(claims.database)


def test_a_full_drop_directory_delays_files_and_loses_none(make):
    claims, calm = make(), make()
    files = list(months(40, 3))
    with small_disk(claims.drop, 2):
        for name, content in files:
            claims.put(name, content)
        for folder in ("receiving", "done", "failed"):
            os.mkdir(os.path.join(claims.drop, folder))
        with filled(claims.drop, free=12000):  # for some of the reports
            claims.daemon.begin_once()
            jobs.until(lambda: has_failed(claims), 60, "a run that failed")
            assert 0 < len(claims.listed("receiving"))
        assert claims.daemon.end_once(timeout=120) == 0
        check(claims, calm, files)
        for name in claims.listed("done"):
            assert os.path.getsize(os.path.join(claims.drop, "done", name)) > 0


def test_a_file_that_is_sent_to_a_full_drop_directory_is_refused_and_leaves_nothing(make):
    claims = make()
    claims.daemon.make_token()
    headers = {"Content-Disposition": 'attachment; filename="hospital1_2024-03.csv"', "Content-Type": "text/csv"}
    content = text([row(f"C{number}") for number in range(10_000)]).encode()
    with small_disk(claims.drop, 2):
        claims.daemon.start()
        try:
            jobs.until(lambda: claims.listed("receiving") is not None)
            with filled(claims.drop, free=300_000):
                assert len(content) > 1_000_000
                status, answer_headers, answer = claims.daemon.post("/v1/files", content, headers=headers)
                assert status == 503 and answer_headers["Retry-After"], answer
                assert os.strerror(errno.ENOSPC) in str(answer) or "store" in str(answer) or "drop directory" in str(answer), answer
                jobs.until(lambda: not [name for name in os.listdir(claims.drop) if name.startswith(".revcycled")])
            assert claims.rows("SELECT count(*) FROM ops.file") == [(0,)]
            assert claims.daemon.post("/v1/files", content[:100_000].rsplit(b"\n", 1)[0] + b"\n", headers=headers)[0] == 202
            jobs.until(lambda: (claims.file("hospital1_2024-03.csv") or {}).get("state") == "done")
        finally:
            claims.daemon.stop()


def test_a_full_disk_under_postgresql_delays_files_and_loses_none(make, tmp_path):
    files = list(months(30, 200))
    where = str(tmp_path / "small")
    with small_disk(where, 200):
        with Postgres(os.path.join(where, "postgresql"), settings={"min_wal_size": "32MB", "max_wal_size": "48MB", "shared_buffers": "16MB"}) as store:
            database = store.create_database("small")
            store.apply_migrations(database)
            claims, calm = make(store, database), make()
            for name, content in files:
                claims.put(name, content)
            with filled(where, free=2_000_000):
                claims.daemon.begin_once()
                jobs.until(lambda: has_failed(claims), 120, "a run that failed")
            if not store.pid():  # WAL could not be written, nor the recovery from that
                store.kill()
                store.start()
            claims.daemon.end_once(timeout=120)
            jobs.until(store.is_ready, 60)
            claims.once()
            check(claims, calm, files)
