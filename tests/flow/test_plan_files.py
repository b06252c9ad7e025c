"""plan and dry_run of claims files: the numbers are those of the run that follows, and nothing is written or moved."""
import gzip
import os
import random
import re

import pytest

from harness import jobs, untouched, x12
from harness.desk import CSV, claim
from test_claims import add_weekly, make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_remap_claims import MODIFIED, READABLE, STATUS, configure
from test_remittances import desk, make_desk  # noqa: F401  (fixtures)
from test_remittances import DENIED, PAID, UNSOUND, acknowledgement, claims_out, interchange_answer, remit, status


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
        jobs.await_quiet(claims.daemon)  # a run that is under way would take files that are put now
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
    told = planned(done, "claims.monthly")
    assert first[0] in done.stdout
    assert run_once(claims, "claims.monthly") == [told]
    assert told[1] > 20


def planned(done, job):
    """Rows read, changed and quarantined."""
    return tuple(int(number) for number in re.search(rf"^{re.escape(job)} +(\d+) +(\d+) +(\d+)$", done.stdout, re.M).groups())


def run_once(claims, job):
    newest = claims.rows("SELECT max(run_id) FROM ops.run")[0][0]
    claims.once()
    return claims.rows(f"SELECT rows_read, rows_changed, rows_quarantined FROM ops.run WHERE job = '{job}' AND run_id > {newest}")


def test_what_another_feed_holds_of_a_file_that_failed_is_told_as_quarantined(make_claims, tmp_path):  # noqa: F811
    claims = make_claims(page_rows=100)
    weekly, name = add_weekly(claims, tmp_path / "weekly"), "hospital1_2024-03.csv"
    claims.store.execute("ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (paid_amount <> 7)", claims.database)
    content = text([row("C1", amount="ten"), *(row(f"D{i}") for i in range(99)), *(row(f"E{i}", paid="7.00") for i in range(100))])
    claims.put(name, content)
    claims.once()
    assert claims.file(name)["state"] == "failed"
    assert claims.rows("SELECT feed, natural_key, state FROM dq.quarantine") == [("claims.monthly", "C1", "open")]
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT refused", claims.database)
    (weekly / name).write_text(content)
    done = claims.daemon.run("plan", "claims.weekly", timeout=120)
    assert done.returncode == 0, done.stderr
    assert run_once(claims, "claims.weekly") == [planned(done, "claims.weekly")] == [(200, 100, 1)]


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


# ---- X12 ----

X12_FILES = {  # name: content, what becomes of it
    "a_01.837": (claims_out(), "received"),
    "a_02.999": (acknowledgement("A"), "received"),
    "a_03.ta1": (interchange_answer("A"), "received"),
    "a_04.277": (status("A2:20", "20250107"), "received"),
    "a_05.835": (remit(PAID, DENIED), "received"),
    "a_06.835": (UNSOUND[0][0], "received"),  # its set goes to quarantine
    "a_07.835": (remit(PAID, DENIED), "known"),
    "a_08.270": (x12.envelope("835", [["BHT*1"]]).replace(b"ST*835", b"ST*270"), "refused"),
    "a_09.835": (CSV + claim("C1"), "refused"),
    "a_10.835": (b"", "refused"),
    "a_11.835": (remit(["CLP*X1*1*1*1"], number="X1")[:-20], "received"),  # cut behind its set
    "a_12.gz": (gzip.compress(remit(["CLP*X2*1*1*1"]))[:-8] + bytes(8), "refused"),
    "a_13.gz": (gzip.compress(remit(["CLP*X3*1*1*1"])), "received"),
    "a_14.835": (remit(["CLP*X4*1*5*5"]), "known"),  # it came before
    "b_15.837": (claims_out(), "received"),  # another hospital's
    "c_16.835": (remit(["CLP*X5*1*1*1"]), "refused")}
BECAME = {"done": "received", "superseded": "received", "failed": "refused", "duplicate": "known"}


def outlook_of(note):
    """The names behind each word of a plan's note."""
    parts = re.findall(r"(\d+) (?:to be |)(received|refused|known)(?: already|): ([^;]*)", note)
    found = {name: word for _, word, names in parts for name in names.split(", ")}
    assert sum(int(n) for n, *_ in parts) == len(found)
    return found


def test_x12_files_that_nobody_has_seen_are_told_as_they_become(desk):  # noqa: F811
    def seen():
        return untouched.state(desk.rows) | {"drop": sorted((folder, tuple(sorted(files))) for folder, _, files in os.walk(desk.x12))}
    desk.put("a_00.835", X12_FILES["a_14.835"][0])
    desk.once()
    with desk.serving() as daemon:
        jobs.await_quiet(daemon)  # as above
        assert daemon.post("/v1/jobs/claims.remits/pause")[0] == 200
        for name, (content, _) in X12_FILES.items():
            desk.put(name, content)
        jobs.run_job(daemon, "settle")
        before = seen()
        told = jobs.run_job(daemon, "claims.remits", dry_run=True)
        untouched.assert_equal(before, seen())
        assert told["state"] == "succeeded" and told["dry_run"], told
        assert outlook_of(told["steps"][0]["note"]) == {name: word for name, (_, word) in X12_FILES.items()}
        done = jobs.run_job(daemon, "claims.remits")
    assert counts(told) == counts(done) and told["rows_quarantined"] > 0
    assert {name: BECAME[state] for name, state in desk.rows("SELECT name, state FROM ops.file WHERE name <> 'a_00.835'")} == {
        name: word for name, (_, word) in X12_FILES.items()}
