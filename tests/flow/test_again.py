"""Delivering again: `full`, `backfill`, `remap`. What is equal changes nothing; what differs is put right."""
import contextlib
import re
import signal

import pytest

from harness import dump, jobs


@pytest.fixture
def running(loaded):
    """A loaded world whose daemon does what it is asked, and nothing by itself."""
    loaded.configure(lambda text: jobs.rarely(text).replace("        every: ", "        page_rows: 40\n        every: "))
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    return loaded


def source_count(world, condition, *parameters):
    """Rows of hospital A's billing, as the hospital counts them."""
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM billing_transaction WHERE {condition}", parameters or None)
        return cursor.fetchone()[0]


def play_in_utc(world, statement, *parameters):
    """A statement of hospital B's in a session whose zone is UTC."""
    with contextlib.closing(world.hospital(1)) as link, link.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(statement, parameters)


def batches(world):
    return world.value("SELECT count(*) FROM ops.batch WHERE feed <> 'settle'")


# -- backfill


def test_a_backfill_delivers_exactly_the_days_asked_for(running):
    """The hospital changed rows and set their cursor back: no poll sees them."""
    days = [str(row[0]) for row in running.rows(
        "SELECT DISTINCT service_date FROM silver.transactions WHERE source_system = 'hospital_a' "
        "AND service_date IS NOT NULL ORDER BY 1")]
    first, last = days[len(days) // 3], days[len(days) // 2]
    running.play("UPDATE billing_transaction SET paid_amount = paid_amount + 1, updated_at = updated_at")
    inside = source_count(running, "service_date BETWEEN %s AND %s", first, last)
    assert 40 < inside < source_count(running, "TRUE")
    run = jobs.run_job(running.daemon, "hospital_a.transactions", mode="backfill", **{"from": first, "to": last})
    assert run["state"] == "succeeded", run
    assert run["rows_read"] == inside
    changed = {row[0] for row in running.rows(
        "SELECT DISTINCT service_date::text FROM silver.transactions t JOIN ops.batch b USING (batch_id) "
        "WHERE b.run_id = %s", run["id"])}
    assert changed == {day for day in days if first <= day <= last}
    before = batches(running)
    again = jobs.run_job(running.daemon, "hospital_a.transactions", mode="backfill", **{"from": first, "to": last})
    assert (again["rows_read"], again["rows_changed"], batches(running)) == (inside, 0, before)


@pytest.mark.parametrize("days, expected", [
    ({"from": "2025-03-09", "to": "2025-03-09"}, {"900002", "900003"}),
    ({"from": "2025-03-09", "to": "2025-03-10"}, {"900002", "900003", "900004"}),
    ({"to": "2000-01-01"}, set()),
])
def test_a_members_range_is_its_cursors_by_the_sources_calendar(running, days, expected):
    """A TIMESTAMP is an instant: the day of Chicago that clocks go forward has 23 hours."""
    instants = {"900001": "2025-03-09 05:59:59", "900002": "2025-03-09 06:00:00", "900003": "2025-03-10 04:59:59",
                "900004": "2025-03-10 05:00:00"}
    for number, instant in instants.items():
        play_in_utc(running, "INSERT INTO tblPatient (PatientNo, FName, LName, LastChange) VALUES (%s, 'X', 'Y', %s)",
                    number, instant)
    run = jobs.run_job(running.daemon, "hospital_b.patients", mode="backfill", **days)
    assert run["state"] == "succeeded", run
    found = {row[0] for row in running.rows("SELECT source_patient_id FROM silver.patients "
                                            "WHERE source_system = 'hospital_b' AND source_patient_id LIKE '90000_'")}
    assert found == expected


def test_ranges_that_cannot_be_are_refused(running):
    def refused(job, **body):
        status, _, answer = running.daemon.post(f"/v1/jobs/{job}/runs", body)
        assert status == (400 if "errors" in answer else 422), answer
        return answer["errors"][0]["pointer"] if "errors" in answer else answer["detail"]
    job = "hospital_a.transactions"
    assert refused(job, mode="backfill") == "#/from"
    assert refused(job, mode="backfill", **{"from": "2025-02-30"}) == "#/from"
    assert refused(job, mode="backfill", **{"from": "2025-02-02", "to": "2025-02-01"}) == "#/to"
    assert refused(job, mode="full", **{"from": "2025-02-02"}) == "#/from"
    assert "does not run in the mode backfill" in refused("settle", mode="backfill", **{"from": "2025-02-02"})
    run = jobs.run_job(running.daemon, "hospital_a.departments", mode="backfill", **{"from": "2025-01-01"})
    assert run["state"] == "failed" and "neither a date of service nor a cursor" in run["error"]["detail"]


# -- remap

NAMES = ("first_name: {from: given_name, clean: [trim, unknown_words, proper_case]}",
         "first_name: {from: given_name, clean: [trim, unknown_words, upper]}")
READABLE = ("bigquery:\n", "rules:\n  - {name: amount_unreadable, entity: transactions, severity: flag}\n\nbigquery:\n")
VERSIONS = ("SELECT source_system, source_patient_id, version, patient_key, effective_date, expiry_date, is_current, "
            "is_deleted, source_hash, person_id FROM silver.patients ORDER BY 1, 2, 3")


def mended(*mends):
    def edit(text):
        for old, new in mends:
            assert old in text, old
            text = text.replace(old, new, 1)
        return text
    return edit


def silver_of(world):
    """Silver and BigQuery without the number of the mapping, which a first load begins to count anew."""
    return {table: sorted(re.sub(r'"mapping_version": "?\d+"?', "", row) for row in rows)
            for table, rows in world.dump(dump.ORDER).items() if not table.startswith("dq.")}


@pytest.fixture
def with_history(loaded):
    """Some patients have two or three versions, one of them a name that a mended mapping reads otherwise."""
    for street in ("1 First Street", "2 Second Street"):
        loaded.play("UPDATE patient_master SET street = %s, given_name = CONCAT(given_name, 'x') WHERE pat_id LIKE %s",
                    street, "%7")
        loaded.once()
    return loaded


def test_a_mended_mapping_corrects_every_version_in_place(with_history):
    world = with_history
    before, raw = world.rows(VERSIONS), world.value('SELECT count(*) FROM bronze."hospital_a__patients_raw"')
    told = {(row[0], row[1]): row[2] for row in world.rows(
        "SELECT pat_id, source_hash, given_name FROM bronze.hospital_a__patients")}
    others = world.rows("SELECT batch_id, p.* FROM silver.patients p WHERE source_system = 'hospital_b' ORDER BY 1, 2")
    world.configure(mended(NAMES))
    world.once()
    assert world.rows(VERSIONS) == before  # no version, no other key, no other interval
    assert world.value('SELECT count(*) FROM bronze."hospital_a__patients_raw"') == raw
    found = world.rows("SELECT source_patient_id, source_hash, first_name FROM silver.patients "
                       "WHERE source_system = 'hospital_a' AND source_hash IS NOT NULL")
    assert len(found) > 100 and len({row[0] for row in found}) < len(found)
    for number, source_hash, name in found:
        said = (told[number, source_hash] or "").strip().upper()
        assert name == (None if said in ("", "NULL", "UNKNOWN", "N/A") else said), number
    assert world.rows("SELECT batch_id, p.* FROM silver.patients p WHERE source_system = 'hospital_b' "
                      "ORDER BY 1, 2") == others
    state, batches_now = world.dump(), batches(world)
    world.once()
    assert world.dump() == state and batches(world) == batches_now


def test_a_remap_that_finds_nothing_else_writes_nothing(with_history):
    """Of each kind of table one, patients in several versions."""
    world = with_history
    world.configure(jobs.rarely)
    world.daemon.make_token()
    world.daemon.start()
    jobs.await_quiet(world.daemon)
    state, batches_before = world.dump(), batches(world)
    for feed in ("hospital_a.patients", "hospital_a.departments", "hospital_a.encounters", "hospital_a.transactions", "claims.monthly"):
        run = jobs.run_job(world.daemon, feed, mode="remap")
        assert (run["state"], run["mode"], run["rows_changed"]) == ("succeeded", "remap", 0) and run["rows_read"] > 0, run
    jobs.await_quiet(world.daemon)
    assert world.dump() == state and batches(world) == batches_before


STRICT = ("bigquery:\n", "rules:\n  - {name: paid_above_billed, entity: transactions, severity: quarantine}\n\nbigquery:\n")


def test_remapped_is_what_a_first_load_by_the_mended_mapping_is(make_world, small_base):
    """Rows of quarantine too: the first mapping refused some that the mended one takes."""
    remapped, first = make_world(small_base), make_world(small_base)
    remapped.configure(mended(STRICT))
    remapped.once()
    entries = "SELECT natural_key FROM dq.quarantine WHERE rule = 'paid_above_billed' AND state = %s ORDER BY 1"
    held = remapped.rows(entries, "open")
    for world in (remapped, first):
        world.configure(mended(NAMES))
        world.once()
    dump.assert_equal(silver_of(remapped), silver_of(first))
    assert held and held == remapped.rows(entries, "replayed")


def test_rows_that_a_stricter_mapping_refuses_are_held_and_come_back(loaded):
    """Their clean rows stay meanwhile, as those of any row whose newest content cannot be used."""
    rows = "SELECT * FROM silver.transactions ORDER BY transaction_key"
    entries = ("SELECT state, count(*) FROM dq.quarantine WHERE rule = 'paid_above_billed' GROUP BY 1")
    flagged = loaded.flags("transactions")["paid_above_billed"]
    before = loaded.rows(rows)
    loaded.configure(mended(STRICT))
    loaded.once()
    assert loaded.rows(rows) == before and loaded.rows(entries) == [("open", flagged)]
    loaded.once()
    assert loaded.rows(rows) == before and loaded.rows(entries) == [("open", flagged)]
    loaded.configure()
    loaded.once()
    assert loaded.rows(rows) == before and loaded.rows(entries) == [("replayed", flagged)]


def test_a_remap_that_is_killed_at_any_page_ends_as_one_that_was_not(loaded_base, make_world):
    """It is due as long as it has not come to its end."""
    edit = mended(NAMES, READABLE)

    def by_pages(text):
        return jobs.small_pages(edit(text))
    undisturbed, killed = make_world(loaded_base), make_world(loaded_base)
    for world in (undisturbed, killed):
        world.configure(by_pages)
    undisturbed.once()
    for name in ("page.after_silver", "page.before_commit:2", "page.after_commit:2", "page.after_members:3"):
        killed.once(expect=-signal.SIGKILL, REVCYCLED_FAILPOINT=name)
        assert killed.value("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NULL") > 0
    killed.once()
    dump.assert_equal(undisturbed.dump(), killed.dump())
    assert killed.value("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NULL") == 0


def test_a_remap_that_is_asked_for_leaves_what_was_deleted_deleted(running):
    """Two rows whose clean form is not what today's mapping makes of them; one of them is no longer at the source."""
    first, second = (row[0] for row in running.rows(
        "SELECT source_transaction_id FROM silver.transactions WHERE source_system = 'hospital_a' ORDER BY 1 LIMIT 2"))
    running.store.execute(
        "UPDATE silver.transactions SET visit_type = 'Wrong', record_hash = decode(repeat('11', 16), 'hex'), "
        f"is_deleted = source_transaction_id = '{second}' WHERE source_system = 'hospital_a' "
        f"AND source_transaction_id IN ('{first}', '{second}')", running.database)
    run = jobs.run_job(running.daemon, "hospital_a.transactions", mode="remap")
    assert (run["state"], run["mode"], run["rows_changed"]) == ("succeeded", "remap", 1), run
    assert run["rows_read"] >= running.value("SELECT count(*) FROM silver.transactions WHERE source_system = 'hospital_a'")
    assert running.rows("SELECT visit_type = 'Wrong', is_deleted FROM silver.transactions WHERE source_system = 'hospital_a' "
                        "AND source_transaction_id IN (%s, %s) ORDER BY source_transaction_id", first, second) == [
        (False, False), (True, True)]


def test_ten_thousand_patients_cleaned_anew_get_no_version_that_is_false(make_feed, mariadb):
    """Of two versions each; every one is corrected where it stands."""
    mapping = {"source_patient_id": "id", "first_name": "first", "last_name": "last", "city": "city", "source_modified_at": "changed"}
    feed = make_feed(mariadb, {"entity": "patients", "key": ["id"], "cursor": "changed", "map": mapping})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, first varchar(20), last varchar(20), city varchar(20), changed timestamp(6) "
              "DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (changed))",
              "INSERT INTO t (id, first, last, city) SELECT seq, CONCAT('Ann', seq), 'Lee', 'North' FROM seq_1_to_10000")
    feed.once()
    feed.play("UPDATE t SET city = 'South'")
    feed.once()
    versions = ("SELECT source_patient_id, version, patient_key, effective_date, expiry_date, is_current, is_deleted, city, person_id "
                "FROM silver.patients ORDER BY 1, 2")
    before = feed.rows(versions)
    assert len(before) == 20_000
    feed.write(map={**mapping, "first_name": {"from": "first", "clean": ["trim", "upper"]}})
    feed.once()
    assert feed.rows(versions) == before
    assert feed.rows("SELECT DISTINCT first_name = 'ANN' || source_patient_id FROM silver.patients") == [(True,)]
