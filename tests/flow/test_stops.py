"""Rules with severity stop over several rows and over feeds: while one is broken nothing is published, unless a person says so."""
import contextlib
import math
import signal

import pytest
import yaml

from harness import jobs

ONCE = {"name": "name_once", "kind": "unique", "entity": "departments", "columns": ["name"], "severity": "stop", "stop_percent": 0}
FEED = "hospital_a.departments"


def with_rules(*rules):
    def edit(text):
        return yaml.safe_dump({**yaml.safe_load(jobs.rarely(text)), "rules": list(rules)}, sort_keys=False, allow_unicode=True)
    return edit


def call(world, *names):
    """The hospital calls its departments so, the first ones in the order of their numbers."""
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute("SELECT dept_id FROM department ORDER BY 1")
        numbers = [number for (number,) in cursor.fetchall()]
        for number, name in zip(numbers, names):
            cursor.execute("UPDATE department SET dept_name = %s WHERE dept_id = %s", (name, number))
        link.commit()


def there(world):
    """What the hospital's departments are called in BigQuery."""
    return sorted(row["name"] for row in world.warehouse.rows(
        "SELECT name FROM `healthcare_rcm.dim_departments` WHERE source_system = 'hospital_a' AND NOT is_deleted"))


def published(world):
    return world.value("SELECT count(*) FROM ops.publication WHERE state = 'succeeded'")


def departments(world):
    return world.value("SELECT count(*) FROM silver.departments WHERE NOT is_deleted")


def held(world):
    """The one run that is held."""
    status, _, answer = world.daemon.get("/v1/runs?state=held")
    assert status == 200
    (run,) = answer["items"]
    return run


def start(world):
    world.daemon.make_token()
    world.daemon.start()
    jobs.await_quiet(world.daemon)


def test_a_stop_over_rows_holds_publications_until_it_holds_or_is_approved(loaded):
    before, names = published(loaded), there(loaded)
    loaded.configure(with_rules(ONCE))
    call(loaded, "One", "One", "Two")
    done = loaded.once(expect=3)
    sentence = (f"nothing is published: rule name_once, no two rows of a source have the same name: 2 of {departments(loaded)} rows "
                "of departments break it, more than 0 %")
    assert sentence in done.stdout + done.stderr
    assert loaded.rows("SELECT sentence FROM ops.alert WHERE cleared_at IS NULL") == [(sentence,)]
    assert published(loaded) == before and there(loaded) == names
    assert loaded.value("SELECT count(*) FROM silver.departments WHERE 'name_once' = ANY (dq_flags)") == 2
    # Approved: published as it is, and again while no more rows break it.
    start(loaded)
    run = held(loaded)
    assert run["job"] == "publish" and run["error"]["detail"] == sentence
    assert loaded.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 202
    assert jobs.await_run(loaded.daemon, run["id"])["state"] == "succeeded"
    assert published(loaded) == before + 1 and there(loaded).count("One") == 2
    assert loaded.value("SELECT count(*) FROM ops.alert WHERE cleared_at IS NULL") == 0
    loaded.daemon.stop()
    call(loaded, "Three", "Three", "Two")
    loaded.once()
    assert there(loaded).count("Three") == 2
    # More of them: that is another question.
    call(loaded, "Three", "Three", "Three")
    loaded.once(expect=3)
    assert there(loaded).count("Three") == 2
    # Mended: by itself, and what was approved is over.
    call(loaded, "Three", "Two", "One")
    loaded.once()
    assert {"One", "Two", "Three"} <= set(there(loaded)) and loaded.rows("SELECT * FROM dq.stop_approved") == []
    call(loaded, "Three", "Two", "Two")
    loaded.once(expect=3)


def test_a_share_that_is_allowed_stops_nothing_and_a_row_more_does(loaded):
    rows = departments(loaded)
    allowed = rows // math.gcd(rows, 100)  # the fewest rows that are whole hundredths
    assert 1 < allowed < len(there(loaded))
    loaded.configure(with_rules({**ONCE, "stop_percent": allowed * 100 // rows}))
    call(loaded, *["One"] * allowed)
    loaded.once()
    assert there(loaded).count("One") == allowed
    call(loaded, *["One"] * (allowed + 1))
    loaded.once(expect=3)
    assert there(loaded).count("One") == allowed


@pytest.mark.parametrize("severity, code", [("stop", 3), ("flag", 0)])
def test_a_stop_over_a_feed_holds_publications_while_it_is_broken(loaded, severity, code):
    before = published(loaded)
    stale = {"name": "stale", "kind": "freshness", "feed": FEED, "within": "1s", "severity": severity}
    loaded.store.execute("UPDATE ops.batch SET committed_at = '2020-01-02 03:04:05Z' WHERE feed = 'hospital_a.departments'",
                         loaded.database)
    loaded.configure(with_rules(stale))
    loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%%7'")
    done = loaded.once(expect=code)
    sentence = ("nothing is published: rule stale, the newest change of hospital_a.departments is not older than 1 s: the newest "
                "change came at 2020-01-02 03:04 UTC")
    assert (sentence in done.stdout + done.stderr) == (code == 3)
    assert published(loaded) == before + (code == 0)
    if code == 3:
        loaded.configure(with_rules({**stale, "within": "3660d"}))
        loaded.once()
        assert published(loaded) == before + 1


def test_killed_behind_the_approval_it_is_published_by_the_next_start(loaded):
    before = published(loaded)
    loaded.configure(with_rules(ONCE))
    call(loaded, "One", "One")
    loaded.once(expect=3)
    loaded.daemon.extra["REVCYCLED_FAILPOINT"] = "stop.after_approved"
    start(loaded)
    loaded.daemon.post(f"/v1/runs/{held(loaded)['id']}/approve")
    assert loaded.daemon.child.wait(60) == -signal.SIGKILL
    del loaded.daemon.extra["REVCYCLED_FAILPOINT"]
    assert published(loaded) == before
    loaded.once()
    assert published(loaded) == before + 1 and there(loaded).count("One") == 2
