"""The same figure in BigQuery and in PostgreSQL, row by row, on the sample with its dirt."""
import os
import signal
from collections import Counter
from decimal import Decimal

import pytest

from component.test_kpi import KPIS
from harness import jobs, remits, x12
from harness.world import World

DIMENSIONS = ("payer_name", "payer_type", "method", "measure", "age_band", "claim_status", "group_code", "reason_code",
              "remark_codes")
NUMBERS = ("numerator", "denominator", "value")


def comparable(rows, columns):
    """Rows by what tells them apart, numbers as numbers whatever they came as."""
    found = {}
    for row in rows:
        place = tuple(str(row[name]) for name in ("as_of", "month", "source_system", *columns))
        assert place not in found, place
        found[place] = (*(None if row[name] is None else Decimal(str(row[name])).normalize() for name in NUMBERS),
                        int(row["flagged_rows"]), row["missing"])
    return found


@pytest.fixture(scope="module")
def world(loaded_base, binary, tmp_path_factory):
    world = World(loaded_base, "figures", tmp_path_factory.mktemp("figures"), binary).make()
    yield world
    world.end()


def assert_same_on_both_sides(world, kpi):
    warehouse = world.warehouse
    theirs = list(warehouse.rows(f"SELECT * FROM `{warehouse.dataset}.kpi_{kpi}`"))
    columns = [name for name in DIMENSIONS if name in theirs[0]]
    as_of = world.value("SELECT kpi.default_as_of()::text")
    names = ", ".join(["as_of", "month", "source_system", *columns, *NUMBERS, "flagged_rows", "missing"])
    ours = [dict(zip(names.split(", "), row)) for row in world.rows(f"SELECT {names} FROM kpi.{kpi}()")]
    assert comparable(ours, columns) == comparable(
        [row for row in theirs if row["as_of"] == as_of], columns)
    return ours


@pytest.mark.parametrize("kpi", KPIS)
def test_a_figure_is_the_same_on_both_sides(world, kpi):
    assert_same_on_both_sides(world, kpi)


def test_every_figure_was_kept_by_the_run(world):
    assert [name for name, in world.rows("SELECT DISTINCT kpi FROM ops.kpi_snapshot ORDER BY 1")] == list(KPIS)


# ---- with a payer's remittance ----

@pytest.fixture(scope="module")
def answered(loaded_base, binary, tmp_path_factory):
    """The same world after a payer answered some of hospital_a's claims."""
    world = World(loaded_base, "answered", tmp_path_factory.mktemp("answered"), binary).make()
    directory = os.path.join(world.directory, "remittances")
    remits.configure(world.config, directory)
    remits.drop(loaded_base.data, directory)
    codes = {"carc": "code,description\n29,Made-up: too late\n96,\"Made-up; not covered\"\n",
             "rarc": "code,description\nM62,Made-up one\nN130,Made-up other\n"}
    for name, text in codes.items():
        with open(os.path.join(world.directory, f"{name}.csv"), "w", encoding="utf-8") as file:
            file.write(text)
    world.configure(lambda text: text + "\nreference:\n" + "".join(
        f"  {name}: {{file: {os.path.join(world.directory, name)}.csv}}\n" for name in codes))
    world.once()
    yield world
    world.end()


def test_figures_of_remittances_are_the_same_on_both_sides(answered):
    for kpi in ("denial_reasons", "write_off_amount", "net_collection_rate", "denial_rate", "coverage_rate"):
        rows = assert_same_on_both_sides(answered, kpi)
        assert any(row["value"] for row in rows if row["source_system"] == "hospital_a"), kpi
    missing = {row["missing"] for row in assert_same_on_both_sides(answered, "net_collection_rate")
               if row["source_system"] == "hospital_b"}
    assert missing == {"adjustments.amount"}


def test_texts_of_codes_are_the_same_on_both_sides(answered):
    names = ("group_code", "reason_code", "remark_codes", "group_text", "reason_text", "remark_texts")
    ours = set(answered.rows(f"SELECT {', '.join(names)} FROM kpi.denial_reasons()"))
    theirs = {tuple(row[name] for name in names) for row in answered.warehouse.rows(
        f"SELECT {', '.join(names)} FROM `{answered.warehouse.dataset}.kpi_denial_reasons`")}
    assert ours == theirs
    assert {(code, text) for _, code, _, _, text, _ in ours if text} == {
        ("29", "Made-up: too late"), ("96", "Made-up; not covered")}
    assert {(codes, texts) for *_, codes, _, _, texts in ours if texts} == {("M62", "M62: Made-up one"), ("N130", "N130: Made-up other")}
    assert all(text is not None for code, _, _, text, _, _ in ours if code)


def test_denials_are_counted_by_their_reasons(answered, loaded_base):
    """What the payer's file says, read by another reader: PR-2 and CO-45 are no denials."""
    files, answers = remits.generate(loaded_base.data)
    counts, amounts = Counter(), Counter()
    for content in files.values():
        for _, adjustments in x12.adjustment_rows(x12.segments_of(content)):
            for _, group, reason, _, amount in adjustments:
                if (group, reason) not in (("PR", "2"), ("CO", "45")):
                    counts[group, reason] += 1
                    amounts[group, reason] += amount
    assert len(counts) > 3
    found = answered.rows("SELECT method, group_code, reason_code, value, numerator FROM kpi.denial_reasons('2030-01-01', "
                          "'{group_code,reason_code}') WHERE missing IS NULL")
    assert {row[1:3]: row[4] for row in found if row[0] == "count"} == counts
    assert {row[1:3]: row[4] for row in found if row[0] == "amount"} == amounts
    assert sum(row[3] for row in found if row[0] == "count") == pytest.approx(1, abs=Decimal("0.00001"))
    assert answered.value("SELECT count(*) FROM silver.claims WHERE delivery_kind = 'remittance' AND is_final "
                          "AND source_patient_id IS NOT NULL") == len(answers)


# ---- when they are asked for ----

def test_figures_follow_rows_in_which_a_settle_finds_nothing_to_write(make_feed, mariadb):
    """What a page placed whole is news all the same; and the settle's batch is a run's that the ledger has."""
    feed = make_feed(mariadb, {"entity": "departments", "key": ["id"], "cursor": "changed",
                               "map": {"source_department_id": "id", "name": "name", "source_modified_at": "changed"}})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, name varchar(40), changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) "
              "ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))", "INSERT INTO t (id, name) VALUES (1, 'North'), (2, 'South')")
    daemon = feed.daemon
    daemon.make_token()
    daemon.start()
    settled = "SELECT rows_changed FROM ops.batch WHERE feed = 'settle' ORDER BY batch_id"
    for number, name in enumerate(("East", "West", "Up"), start=1):
        jobs.until(lambda: len(feed.rows(settled)) >= number, what="what came is settled")
        asked = jobs.until(lambda: jobs.jobs(daemon)["kpi"]["last_success_at"], what="figures were asked for")
        jobs.until(lambda: jobs.jobs(daemon)["kpi"]["state"] == "idle", what="they rest")
        feed.play(f"UPDATE t SET name = '{name}' WHERE id = 1")
        jobs.until(lambda: len(feed.rows(settled)) > number, what="the change is settled")
        assert feed.rows(settled)[number] == (0,)
        jobs.until(lambda: jobs.jobs(daemon)["kpi"]["last_success_at"] > asked, what="figures are asked for again")
    jobs.until(lambda: not feed.rows("SELECT FROM ops.batch b WHERE NOT EXISTS (SELECT FROM ops.run r WHERE r.run_id = b.run_id)"),
               what="every batch has its run")
    assert feed.rows("SELECT DISTINCT r.job FROM ops.batch b JOIN ops.run r USING (run_id) WHERE b.feed = 'settle'") == [("settle",)]


BILLS = ("CREATE TABLE t (id varchar(9) PRIMARY KEY, served date, amount decimal(9,2), note varchar(9), "
         "changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))",
         "INSERT INTO t (id, served, amount, note) VALUES ('T1', '2025-03-04', 100, 'I')")
KEPT = "SELECT count(*) FROM ops.kpi_snapshot WHERE kpi = 'total_billed'"


@pytest.mark.parametrize("failpoint", ["settle.after_commit", "kpi.before_commit"])
def test_figures_that_a_kill_left_unasked_are_asked_for_at_the_next_start_and_at_no_other(make_feed, mariadb, failpoint):
    feed = make_feed(mariadb, {"entity": "transactions", "key": ["id"], "cursor": "changed",
                               "map": {"source_transaction_id": "id", "service_date": "served", "amount": "amount",
                                       "visit_type": "note", "source_modified_at": "changed"}})
    daemon = feed.daemon
    daemon.make_token()

    def figures():
        return jobs.jobs(daemon)["kpi"]

    def none_are_asked_for():
        daemon.start()
        job = figures()
        assert (job["state"], job["next_due_at"], job["last_run"], job["last_success_at"]) == ("idle", None, None, None)

    feed.play(BILLS[0])
    none_are_asked_for()  # nothing ever came
    daemon.stop()
    feed.play(BILLS[1])
    assert daemon.once(REVCYCLED_FAILPOINT=failpoint).returncode == -signal.SIGKILL
    assert feed.value("SELECT count(*) FROM ops.batch WHERE feed = 'settle'") == 1 and feed.value(KEPT) == 0
    daemon.start()
    jobs.until(lambda: feed.value(KEPT) == 1, what="the figures that were not asked for")
    jobs.until(lambda: figures()["last_success_at"], what="they are asked for to the end")
    daemon.stop()
    none_are_asked_for()
    feed.play("UPDATE t SET note = 'O'")  # which no figure shows
    jobs.until(lambda: figures()["last_success_at"], what="news are asked for")
    jobs.until(lambda: figures()["state"] == "idle", what="they rest")
    assert feed.value(KEPT) == 1
    daemon.stop()
    none_are_asked_for()
