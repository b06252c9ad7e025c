"""Small files that one transaction places: each one's fate is as if it had come alone, whatever becomes of its neighbours."""
import os
import signal

import pytest

from harness import dump, jobs
from test_claims import COLUMNS, claims, make_claims, row, text  # noqa: F401  (fixtures and what they make)
from test_drop_fence import LATE_S, Pair
from test_ledger import standing

REFUSED = "R7"  # PostgreSQL will not have it


def three(letter):
    return [row(f"{letter}{number}", status=f"S{number}") for number in range(3)]


def files():
    """By name, as they are read. Plain ones stand between those that are something else."""
    yield "hospital1_a1_2024-01.csv", text(three("A"))
    yield "hospital1_a2_2024-02.csv", text([row("A0", "2024-04-01", "Paid", "84.00"), row("B1")])  # a claim of another's
    yield "hospital1_a3_2024-03.csv", text([row("D1")[:-2], *three("D")])  # too few fields
    yield "hospital1_a4_2024-03.csv", text([row("D1")[:-2], row("E1")])  # the same line, without an id
    yield "hospital1_a5_2024-01.csv", text(three("A"))  # the bytes of the first
    yield "hospital1_a6_2024-05.csv", text([])
    yield "hospital1_a7_2024-06.csv", text(three("F"))[:-20]  # cut
    yield "hospital1_a8_2024-07.csv", text([row("G1"), row("G1", "2024-05-01", "Paid", "1.00")])
    yield "hospital1_a9_2024-07.csv", text([row("A1", "2024-02-01")])  # before what is there
    yield "hospital2_b1_2024-01.csv", text(three("A"))  # another source's
    yield "hospital2_b2_2024-02.csv", text(three("H"))
    yield "hospital2_b3_2024-03.csv", "nothing\n"
    yield "hospital2_b4_2024-04.csv", text([*three("I"), row(REFUSED)])
    yield "hospital2_b5_2024-05.csv", text(three("J"))
    yield "hospital2_b6_2024-06.csv", text(three("K"))
    yield "hospital2_b7_2024-07.csv", text([[*row("L1"), "and more"], row("L2")])  # a value that wants its quotes
    yield "hospital2_b8_2024-07.csv", text([[*row("L1")[:-1], f'"{row("L1")[-1]},and more"'], row("L3")])  # and has them


APART = "small files are placed each by itself"  # the log's word


def refuse(claims):  # noqa: F811
    claims.store.execute(f"ALTER TABLE silver.claims ADD CONSTRAINT refused CHECK (source_claim_id <> '{REFUSED}')", claims.database)


ENTRIES = ("SELECT name, source_system, state, regexp_replace(error, 'file [0-9]+', 'file'), period, encode(sha256, 'hex'), size_bytes, rows_read, "
           "rows_new, rows_corrected, rows_same, rows_flagged, rows_quarantined, detected FROM ops.file ORDER BY name, file_id")
LINES = {  # whose each row is
    "silver": "SELECT f.name, c.line, c.source_claim_id, c.iteration, c.is_final, c.claim_status, c.source_hash FROM silver.claims c "
              "JOIN ops.file f USING (file_id) ORDER BY 1, 2",
    "absorbed": "SELECT f.name, c.line, c.source_claim_id, c.source_hash FROM silver.claims_absorbed c JOIN ops.file f USING (file_id) "
                "ORDER BY 1, 2",
    "bronze": "SELECT f.name, b.line, b.source_key, b.op, b.source_hash FROM bronze.claims__monthly_raw b JOIN ops.file f USING (file_id) "
              "ORDER BY 1, 2, 4",
    "quarantine": "SELECT f.name, q.line, q.natural_key, q.rule, q.reason, q.state, q.raw FROM dq.quarantine q JOIN ops.file f USING (file_id) "
                  "ORDER BY 1, 2, 4"}


def reports(claims, folder):  # noqa: F811
    found = {}
    for name in claims.listed(folder):
        if name.endswith(".report.txt"):
            with open(os.path.join(claims.drop, folder, name), encoding="utf-8") as file:
                found[name] = file.read().replace(claims.drop, "")
    return found


def state(claims):  # noqa: F811
    folders = {folder: claims.listed(folder) for folder in ("done", "failed", "receiving")}
    return {"entries": claims.rows(ENTRIES), "folders": folders, **{name: claims.rows(asked) for name, asked in LINES.items()}}


@pytest.fixture(scope="module")
def alone():
    return {}


@pytest.fixture
def one_by_one(make_claims, alone):  # noqa: F811
    """The end of files that came each in a run of its own."""
    if not alone:
        world = make_claims()
        refuse(world)
        for name, content in files():
            world.put(name, content)
            world.once()
        alone.update(state(world), silver_dump=world.dump(dump.ORDER), reports=reports(world, "done"))
    return alone


def fill(claims):  # noqa: F811
    refuse(claims)
    for name, content in files():
        claims.put(name, content)


def without_ids(texts):
    return {name: [word for word in report.split() if not word.isdigit()] for name, report in texts.items()}


def test_files_that_come_together_end_as_if_each_had_come_alone(make_claims, one_by_one):  # noqa: F811
    claims = make_claims()  # noqa: F811
    fill(claims)
    done = claims.once()
    assert (done.stdout + done.stderr).count(APART) == 1  # for the refused row
    assert state(claims) == {name: one_by_one[name] for name in state(claims)}
    assert reports(claims, "done").keys() == one_by_one["reports"].keys()
    assert without_ids(reports(claims, "done")) == without_ids(one_by_one["reports"])
    dump.assert_equal(one_by_one["silver_dump"], claims.dump(dump.ORDER))


@pytest.mark.parametrize("point", ["receive.after_begin", "receive.after_begin:2", "page.after_silver", "receive.before_done:2",
                                   "page.before_commit", "page.before_commit:2", "page.after_commit", "receive.after_page",
                                   "receive.after_page:3", "receive.before_done:12", "receive.after_done"])
def test_killed_between_them_each_ends_as_if_it_had_come_alone(make_claims, one_by_one, point):  # noqa: F811
    claims = make_claims()  # noqa: F811
    fill(claims)
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -signal.SIGKILL
    claims.once()
    assert state(claims) == {name: one_by_one[name] for name in state(claims)}
    dump.assert_equal(one_by_one["silver_dump"], claims.dump(dump.ORDER))


# ---- another daemon takes over ----

ELEVEN = [f"hospital{1 + number // 6}_{number:02}_2024-01.csv" for number in range(11)]
PLACED = "SELECT f.name, c.line, c.source_claim_id, c.source_system, c.iteration FROM silver.claims c JOIN ops.file f USING (file_id) ORDER BY 1, 2"
OF_ELEVEN = [(name, line + 2, f"{chr(65 + number)}{line}", "hospital_a" if number < 6 else "hospital_b", 1)
             for number, name in enumerate(ELEVEN) for line in range(3)]


def put_eleven(claims):  # noqa: F811
    """Two sources': two batches."""
    for number, name in enumerate(ELEVEN):
        claims.put(name, text(three(chr(65 + number))))


def assert_eleven_once(claims):  # noqa: F811
    assert claims.rows(PLACED) == OF_ELEVEN
    assert claims.rows("SELECT count(*), count(DISTINCT source_key) FROM bronze.claims__monthly_raw") == [(33, 33)]
    assert claims.rows("SELECT name, state, rows_read, rows_new FROM ops.file ORDER BY name, file_id") == [(name, "done", 3, 3) for name in ELEVEN]
    assert [name for name in claims.listed("done") if name.endswith(".csv")] == ELEVEN
    assert claims.listed("receiving") == claims.listed("failed") == []
    assert [name for name in os.listdir(claims.drop) if name.endswith(".csv")] == []


@pytest.mark.parametrize("point", ["receive.after_detected:4", "receive.after_begin", "receive.before_done:3"])
def test_one_that_is_stopped_between_them_wakes_when_another_daemon_has_placed_them(make_claims, point):  # noqa: F811
    """While files wait in its memory; in the middle of their page, which holds the cursor."""
    claims = make_claims()  # noqa: F811
    pair = Pair(claims)
    put_eleven(claims)
    try:
        pair.first.start_until(point)
        assert claims.listed("done") == [] and len(claims.listed("receiving")) > 2
        pair.take_over()
        jobs.until(lambda: claims.listed("receiving") == [] and
                   claims.rows("SELECT count(*) FROM ops.file WHERE state = 'done'") == [(len(ELEVEN),)], LATE_S, "the second has placed them")
        assert_eleven_once(claims)
        batches = claims.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly'")
        pair.first.go_on()
        pair.await_loss()
        assert_eleven_once(claims)
        assert claims.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly'") == batches
    finally:
        for daemon in (pair.first, pair.second):
            if daemon.pid():
                daemon.kill()


def test_who_lost_the_lease_while_files_waited_places_none_of_them(claims):  # noqa: F811
    """Its sessions live on. It ends with a conflict, and places them neither together nor each by itself."""
    put_eleven(claims)
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.after_detected:4:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what="it stands still")
    claims.store.execute("UPDATE ops.job SET epoch = epoch + 1000", claims.database)
    claims.store.execute("UPDATE ops.cursor SET epoch = epoch + 1000", claims.database)
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) not in (0, -signal.SIGKILL)
    assert "40001" in str(list(claims.daemon.log_lines()))
    assert claims.rows(PLACED) == [] and claims.listed("done") == claims.listed("failed") == []
    assert claims.rows("SELECT DISTINCT state FROM ops.file") == [("seen",)]
    assert sorted(claims.listed("receiving") + [name for name in os.listdir(claims.drop) if name.endswith(".csv")]) == ELEVEN
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]
    claims.once()
    assert_eleven_once(claims)


# ---- wide headers ----

WIDE_PAGE_BYTES, BYTES_A_FIELD = 64 * 1024, 16
ROWS_OF_WIDE = [3, 1, 4, 2, 3, 13, 1, 14, 1, 5, 5, 3, 1]


def test_files_of_a_wide_header_wait_for_fewer_and_end_as_if_each_had_come_alone(make_claims):  # noqa: F811
    """A page's fields are bounded by its memory: of 300 columns 13 rows."""
    width, most = 300, WIDE_PAGE_BYTES // (300 * BYTES_A_FIELD)
    columns = [*COLUMNS, *(f"x{number}" for number in range(width - len(COLUMNS)))]
    worlds = []
    for is_alone in (True, False):
        world = make_claims()
        with open(world.daemon.config, encoding="utf-8") as file:
            config = file.read().replace("    page_rows:", f"    page_bytes: {WIDE_PAGE_BYTES}\n    page_rows:")
        with open(world.daemon.config, "w", encoding="utf-8") as file:
            file.write(config)
        for number, n in enumerate(ROWS_OF_WIDE):
            rows = [[*row(f"{chr(65 + number)}{line}"), *(f"{line + place}" for place in range(width - len(COLUMNS)))] for line in range(n)]
            world.put(f"hospital1_{number:02}_2024-01.csv", text(rows, columns))
            if is_alone:
                world.once()
        world.once()
        worlds.append(world)
    alone, together = worlds
    assert state(together) == state(alone)
    dump.assert_equal(alone.dump(dump.ORDER), together.dump(dump.ORDER))
    batches = [0]
    for n in ROWS_OF_WIDE:  # those that are too many to wait are pages of their own
        if batches[-1] + n > most:
            batches.append(0)
        batches[-1] += n
    assert together.rows("SELECT rows_read FROM ops.batch WHERE feed = 'claims.monthly' ORDER BY batch_id") == [(n,) for n in batches]


# ---- what quarantine holds, beside a copy that was mended ----

TURNED = [*COLUMNS[1:], COLUMNS[0]]  # the id is last


def turned(claim, **values):
    return [*row(claim, **values)[1:], claim]


MENDED = {  # by kind: a row that is held, and the same row when it was mended
    "quotes": ([*turned("M1")[:-1], "M1,and more"], [*turned("M1")[:-1], '"M1,and more"']),  # the same values
    "amount": (turned("M2", amount="ten"), turned("M2")),
    "short": (turned("M3")[:-2], turned("M3")),
    "no id": (turned(""), turned("M4"))}


@pytest.mark.parametrize("is_held_before", [False, True], ids=["", "held before"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["mended after", "mended before"])
def test_what_is_held_and_its_mended_copy_end_together_as_behind_one_another(make_claims, order, is_held_before):  # noqa: F811
    worlds = []
    for is_alone in (True, False):
        world = make_claims()
        if is_held_before:
            world.put("hospital1_0_2024-01.csv", text([held for held, _ in MENDED.values()], TURNED))
            world.once()
            assert world.rows("SELECT DISTINCT state FROM dq.quarantine") == [("open",)]
        for number, (kind, copies) in enumerate(MENDED.items()):
            for place, which in enumerate(order):
                filler = turned(f"F{number}{which}")
                world.put(f"hospital1_1{number}{place}_2024-01.csv", text([copies[which], filler], TURNED))
                if is_alone:
                    world.once()
        world.once()
        worlds.append(world)
    alone, together = worlds
    assert {line[2][:2] for line in state(alone)["silver"]} >= {"M1", "M2", "M3", "M4"} and len(state(alone)["quarantine"]) >= 3
    assert state(together) == state(alone)
    dump.assert_equal(alone.dump(dump.ORDER), together.dump(dump.ORDER))
    batches = [world.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly'")[0][0] for world in worlds]
    assert batches[1] < batches[0]


def test_a_file_that_changes_while_it_waits_for_the_others_takes_none_with_it(claims):  # noqa: F811
    names = [f"hospital1_{number}_2024-01.csv" for number in range(3)]
    for name, letter in zip(names, "ABC"):
        claims.put(name, text(three(letter)))
    with standing(claims, "receive.after_begin"):
        with open(os.path.join(claims.drop, "receiving", names[1]), "a", encoding="utf-8") as file:
            file.write(",".join(row("B3")) + "\n")
    assert [line[1] for line in claims.claims()] == [f"{letter}{number}" for letter in "ABC" for number in range(3 + (letter == "B"))]
    assert [claims.file(name)["state"] for name in names] == ["done"] * 3
    assert [claims.file(name)["rows_new"] for name in names] == [3, 4, 3]


def test_one_that_is_taken_away_while_it_waits_for_the_others_is_gone_alone(claims):  # noqa: F811
    names = [f"hospital1_{number}_2024-01.csv" for number in range(3)]
    for name, letter in zip(names, "ABC"):
        claims.put(name, text(three(letter)))
    with standing(claims, "receive.after_begin"):
        os.unlink(os.path.join(claims.drop, "receiving", names[1]))
    assert [line[1] for line in claims.claims()] == [f"{letter}{number}" for letter in "AC" for number in range(3)]
    assert [claims.file(name)["state"] for name in (names[0], names[2])] == ["done"] * 2
    assert claims.listed("receiving") == []


def test_a_file_that_ends_the_run_keeps_none_back_that_waited(claims):  # noqa: F811
    claims.once()
    receiving = os.path.join(claims.drop, "receiving")
    with open(os.path.join(receiving, "hospital1_a_2024-01.csv"), "w", encoding="utf-8") as file:
        file.write(text(three("A")))
    claims.rows("INSERT INTO ops.file (source_system, feed, name, state) VALUES ('', 'claims.monthly', 'hospital1_a_2024-01.csv', 'seen') RETURNING 1")
    os.symlink("elsewhere", os.path.join(receiving, "hospital1_b_2024-01.csv"))
    assert claims.daemon.once(timeout=120).returncode != 0
    assert [line[1] for line in claims.claims()] == ["A0", "A1", "A2"]
    assert claims.file("hospital1_a_2024-01.csv")["state"] == "done" and os.listdir(receiving) == ["hospital1_b_2024-01.csv"]


def test_a_feed_that_files_wait_for_is_kept_open_whatever_comes_between(claims):  # noqa: F811
    """Five headers, of which four can be open; those of three files that are refused were looked at since."""
    headers = [[*COLUMNS, *(f"extra{n}" for n in range(number))] for number in range(5)]

    def put(name, number, claim, **values):
        claims.put(name, text([[*row(claim, **values), *["x"] * number]], headers[number]))
    for number in range(4):
        put(f"hospital1_0{number}_2024-01.csv", number, f"A{number}")
    claims.put("hospital1_04_2024-01.csv", text([row("A4")], headers[0]))
    claims.put("hospital1_05_2024-01.csv", text([row("A5")], headers[0]))
    for number in range(1, 4):
        put(f"hospital1_1{number}_2024-01.csv", number, f"B{number}", modified="03/04/2024")
    put("hospital2_2_2024-01.csv", 4, "C4")
    done = claims.once()
    assert APART not in done.stdout + done.stderr
    assert claims.rows("SELECT f.name, c.source_system, c.source_claim_id, c.source_patient_id FROM silver.claims c JOIN ops.file f USING (file_id) "
                       "ORDER BY 1") == [(f"hospital1_0{number}_2024-01.csv", "hospital_a", f"A{number}", "P1") for number in range(6)] + [
                           ("hospital2_2_2024-01.csv", "hospital_b", "C4", "P1")]
    assert claims.rows("SELECT name, source_system FROM ops.file WHERE state = 'failed' ORDER BY 1") == [
        (f"hospital1_1{number}_2024-01.csv", "hospital_a") for number in range(1, 4)]


def test_many_small_files_take_few_transactions(claims):  # noqa: F811
    many = 600
    for number in range(many):
        claims.put(f"hospital{1 + number % 2}_{number:05}.csv", text([row(f"C{number}_{line}") for line in range(3)]))
    claims.once()
    ((n_batches,),) = claims.rows("SELECT count(*) FROM ops.batch WHERE feed = 'claims.monthly'")
    assert n_batches < many / 20
    assert claims.rows("SELECT state, rows_read, rows_new, count(*) FROM ops.file GROUP BY 1, 2, 3") == [("done", 3, 3, many)]
    assert claims.rows("SELECT count(*), count(DISTINCT (file_id, line)) FROM silver.claims") == [(3 * many, 3 * many)]
    # each is looked up by its id or its bytes, not looked for among those that are in its state
    ((n_read,),) = claims.rows("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = 'ops' AND relname = 'file'")
    assert n_read < 40 * many
