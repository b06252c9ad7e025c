"""Delivering again: `full`, `backfill`, `remap`. What is equal changes nothing; what differs is put right."""
import contextlib

import pytest

from harness import jobs


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
