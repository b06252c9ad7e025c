"""plan and dry_run of claims files: the numbers are those of the run that follows, and nothing is written or moved."""
import os
import random
import re

import pytest

from harness import jobs, untouched
from test_claims import make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_remap_claims import MODIFIED, READABLE, STATUS, configure


def state(claims):
    """Every row, how far every sequence was drawn, and what lies in the drop directory."""
    found = untouched.state(claims.rows)
    found["drop"] = sorted((folder, tuple(sorted(files))) for folder, _, files in os.walk(claims.drop))
    return found


def files_of(seed):
    """Few claims, so that they meet: in a page, in a file, in later files; unusable ones among them, some twice."""
    choice = random.Random(seed)
    for number in range(4):
        rows = [row(f"C{choice.randint(1, 9)}" if choice.random() < 0.95 else "", f"2024-0{choice.randint(1, 3)}-01",
                    choice.choice(["Pending", "Rejected", "Denied"]), choice.choice(["0.00", "5.00"]),
                    choice.choice(["Medicare", "Aetna"]), amount=choice.choice(["100.00"] * 4 + ["ten"]))
                for _ in range(choice.randint(8, 25))]
        rows += choice.sample(rows, 4)
        yield f"hospital{choice.choice((1, 1, 1, 2))}_2024-{choice.randint(1, 9):02}_{number}.csv", text(rows)


def put_odd_files(claims, content):
    claims.put("hospital1_again.csv", content)
    claims.put("hospital3_nobodys.csv", content)
    claims.put("hospital1_nothing.csv", "")
    claims.put("hospital1_cut.csv", text([row("C1"), row("C2")])[:-40])
    claims.put("hospital1_other_columns.csv", "a,b\n1,2\n")


def counts(run):
    step = run["steps"][0]
    return {"read": run["rows_read"], "changed": run["rows_changed"], "held": run["rows_quarantined"],
            "new": step["rows_new"], "bytes": step["bytes_read"], "pages": step["pages"]}


@pytest.fixture
def running(make_claims):  # noqa: F811
    started = []

    def start(claims):
        """A daemon that takes files when it is told to."""
        claims.daemon.make_token()
        claims.daemon.start()
        started.append(claims.daemon)
        assert claims.daemon.post("/v1/jobs/claims.monthly/pause")[0] == 200
        return claims
    yield start
    for daemon in started:
        daemon.stop()


def assert_told(claims, **body):
    jobs.run_job(claims.daemon, "settle")
    before = state(claims)
    told = jobs.run_job(claims.daemon, "claims.monthly", dry_run=True, **body)
    assert told["state"] == "succeeded" and told["dry_run"], told
    untouched.assert_equal(before, state(claims))
    newest = claims.rows("SELECT coalesce(max(file_id), 0) FROM ops.file")[0][0]
    done = jobs.run_job(claims.daemon, "claims.monthly", **body)
    assert done["state"] == "succeeded", done
    assert counts(told) == counts(done)
    return told, claims.rows("SELECT coalesce(sum(rows_read), 0)::int, coalesce(sum(rows_new), 0)::int, coalesce(sum(rows_corrected), 0)::int, "
                             f"coalesce(sum(rows_quarantined), 0)::int FROM ops.file WHERE file_id > {newest}")[0]


@pytest.mark.parametrize("seed", range(3))
def test_files_are_told_before(make_claims, running, seed):  # noqa: F811
    claims = make_claims(page_rows=5)
    first, *rest = files_of(seed)
    claims.put(*first)
    claims.once()
    running(claims)
    for name, content in rest:
        claims.put(name, content)
    put_odd_files(claims, first[1] if first[0].startswith("hospital1") else rest[0][1])
    told, files = assert_told(claims)
    assert files == (told["rows_read"], counts(told)["new"], told["rows_changed"] - counts(told)["new"], told["rows_quarantined"])
    assert told["rows_quarantined"] > 5 and told["rows_changed"] > 10
    note = told["steps"][0]["note"]
    assert rest[-1][0] in note and "3 to be refused" in note and "1 known already: hospital1_again.csv" in note, note
    told, files = assert_told(claims)
    assert counts(told) == dict.fromkeys(counts(told), 0) and told["steps"][0]["note"] is None


def test_a_mended_mapping_and_files_are_told_in_one(make_claims, running):  # noqa: F811
    claims = make_claims(page_rows=5)
    first, *rest = files_of(7)
    for name, content in rest:
        claims.put(name, content)
    claims.once()
    claims.daemon.make_token()
    claims.put(*first)
    configure(claims, STATUS, MODIFIED, READABLE)
    done = claims.daemon.run("plan", "claims.monthly", timeout=120)
    assert done.returncode == 0, done.stderr
    told = [int(number) for number in re.search(r"^claims\.monthly +(\d+) +(\d+) +(\d+)$", done.stdout, re.M).groups()]
    assert first[0] in done.stdout
    newest = claims.rows("SELECT max(run_id) FROM ops.run")[0][0]
    claims.once()
    assert claims.rows("SELECT rows_read, rows_changed, rows_quarantined FROM ops.run WHERE job = 'claims.monthly' "
                       f"AND run_id > {newest}") == [tuple(told)]
    assert told[1] > 20


def test_a_remap_is_told_before(make_claims, running):  # noqa: F811
    claims = make_claims(page_rows=5)
    for name, content in files_of(7):
        claims.put(name, content)
    claims.once()
    claims.store.execute("UPDATE silver.claims SET record_hash = decode(repeat('11', 16), 'hex') WHERE iteration = 1", claims.database)
    told, _ = assert_told(running(claims), mode="remap")
    assert told["rows_changed"] > 5
    assert assert_told(claims, mode="remap")[0]["rows_changed"] == 0


def test_a_plan_of_a_directory_that_was_never_used_makes_nothing_in_it(make_claims):  # noqa: F811
    claims = make_claims()
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C1", "2024-03-02", "Paid")]))
    done = claims.daemon.run("plan", timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^claims\.monthly +2 +2 +0$", done.stdout, re.M) and re.search(r"^settle +0 +0 +0$", done.stdout, re.M)
    assert os.listdir(claims.drop) == ["hospital1_2024-03.csv"]
