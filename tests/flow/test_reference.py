"""What registers say: asked once, kept, told to silver; a register that is away fails nothing."""
import re
import signal
from datetime import timedelta

import pytest
import yaml

from harness.jobs import is_at_rest, jobs, until
from harness.nppes import Registry, with_check_digit

FEED = {"entity": "providers", "key": ["ID"], "cursor": "Changed", "cursor_clock": "server",
        "map": {"source_provider_id": "ID", "first_name": "First", "last_name": "Last", "specialization": "Field",
                "npi": "NPI", "source_modified_at": "Changed"}}
TABLE = ("CREATE TABLE t (ID varchar(8) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, First varchar(20), "
         "Last varchar(20), Field varchar(60), NPI varchar(12), Changed timestamp(6) DEFAULT current_timestamp(6) "
         "ON UPDATE current_timestamp(6), KEY (Changed))")
GOOD, ORGANIZATION, UNKNOWN, GONE, OTHER, OLD_FORM = (with_check_digit(f"10000000{n}") for n in range(6))
BAD = GOOD[:-1] + str((int(GOOD[-1]) + 1) % 10)
ROWS = (("P1", "Cardiology", GOOD), ("P2", "Cardiology", ORGANIZATION), ("P3", "Cardiology", UNKNOWN),
        ("P4", "Cardiology", GONE), ("P5", "Cardiology", OTHER), ("P6", "Cardiology", OLD_FORM),
        ("P7", "Cardiology", BAD), ("P8", None, OTHER), ("P9", "Cardiology", None))
TOLD = {"P1": "valid", "P2": "valid", "P3": "not_found", "P4": "not_found", "P5": "mismatch", "P6": "valid",
        "P7": "bad_check_digit", "P8": "valid"}
UNTOLD = {key: status if status == "bad_check_digit" else "unchecked" for key, status in TOLD.items()}
STATUSES = "SELECT source_provider_id, npi_status FROM silver.providers WHERE npi IS NOT NULL"
STATE = ("SELECT source_provider_id, version, specialization, npi, npi_status, dq_flags, is_current FROM silver.providers "
         "ORDER BY 1, 2")
CACHE = "SELECT npi, outcome, is_organization, taxonomies FROM ref.npi ORDER BY 1"
# Faults of single answers, which say nothing of the number; the others are the service's.
UNUSABLE = ("errors", "errors_and_nobody", "repeated", "garbage", "huge", "page")
AWAY = ("unavailable", "limited", "forbidden", "moved", "slow", "cut")


@pytest.fixture
def registry():
    server = Registry()
    server.add(GOOD, "Internal Medicine, Cardiovascular Disease")
    server.add(ORGANIZATION, "Clinic/Center, Cardiac", kind="NPI-2")
    server.add(GONE, "Internal Medicine, Cardiovascular Disease", status="D")
    server.add(OTHER, "Dentist", "Dentist, General Practice")
    server.add(OLD_FORM, "Internal Medicine, Cardiovascular Disease", number=int)
    yield server
    server.stop()


@pytest.fixture
def house(make_feed, mariadb, registry):
    house = make_feed(mariadb, FEED)
    house.top["reference"] = {"npi": {"endpoint": registry.endpoint, "requests_per_second": 1000, "timeout": "1s"}}
    house.write()
    house.play(TABLE, *(("INSERT INTO t (ID, First, Last, Field, NPI) VALUES (%s, 'Ann', 'Lee', %s, %s)", row)
                        for row in ROWS))
    return house


def statuses(house):
    return dict(house.rows(STATUSES))


def change(house, statement):
    """In the store, as a superuser: times pass."""
    house.store.execute(statement, house.database)


def expire(house):
    change(house, "UPDATE ref.npi SET expires_at = now() - interval '1 second'")


def come_back(house):
    change(house, "UPDATE ref.service SET not_before = now()")


def notes(house):
    return [note for (note,) in house.rows("SELECT steps->0->>'note' FROM ops.run WHERE job = 'reference' "
                                           "AND state = 'succeeded' ORDER BY run_id")]


def test_every_number_gets_the_status_that_the_registry_makes_without_a_version(house, registry):
    house.once()
    assert statuses(house) == TOLD
    assert house.value("SELECT max(version) FROM silver.providers") == 1
    assert dict(house.rows("SELECT npi, is_organization FROM ref.npi WHERE outcome = 'found'")) == {
        GOOD: False, ORGANIZATION: True, OTHER: False, OLD_FORM: False}
    assert house.value("SELECT count(*) FROM silver.providers p JOIN ops.batch b USING (batch_id) WHERE npi_status NOT IN "
                       "('unchecked', 'bad_check_digit') AND b.settled_by = b.batch_id AND b.publication_id IS NULL") == 7


def test_a_second_run_asks_nobody_and_changes_nothing(house, registry):
    house.once()
    asked, before = len(registry.requests), house.rows("SELECT * FROM silver.providers ORDER BY provider_key")
    cache, batches = house.rows("SELECT * FROM ref.npi ORDER BY 1"), house.value("SELECT count(*) FROM ops.batch")
    house.once()
    assert len(registry.requests) == asked
    assert house.rows("SELECT * FROM silver.providers ORDER BY provider_key") == before
    assert house.rows("SELECT * FROM ref.npi ORDER BY 1") == cache
    assert house.value("SELECT count(*) FROM ops.batch") == batches


def test_only_numbers_with_a_good_check_digit_leave_the_house(house, registry):
    house.once()
    for method, path, headers in registry.requests:
        assert method == "GET"
        assert re.fullmatch(r"/api/\?version=2\.1&number=[0-9]{10}", path)
        assert set(headers) <= {"Host", "User-Agent", "Accept"}
        assert re.fullmatch(r"revcycled/[0-9.]+", headers["User-Agent"])
    assert registry.asked() == sorted({npi for _, _, npi in ROWS if npi} - {BAD})


def test_no_more_is_asked_a_second_than_the_configuration_allows(house, registry):
    """Each question is noted before it is answered, so that all pauses but the first lie between the notes."""
    house.top["reference"]["npi"]["requests_per_second"] = 5
    house.write()
    house.once()
    assert len(registry.times) >= 4 and registry.times[-1] - registry.times[0] >= (len(registry.times) - 1) * 0.19


def test_nobody_is_asked_unless_configured(house, registry):
    del house.top["reference"]
    house.write()
    house.once()
    assert registry.requests == []
    assert statuses(house) == UNTOLD


@pytest.mark.parametrize("fault", UNUSABLE + AWAY)
def test_a_registry_that_misbehaves_leaves_unchecked_and_later_is_asked_again(house, registry, fault):
    registry.faults = [fault]
    house.once()
    assert statuses(house) == UNTOLD
    assert len(notes(house)) == 1 and "stays unchecked" in notes(house)[0]
    assert not any(npi in notes(house)[0] for _, _, npi in ROWS if npi)
    asked = len(registry.requests)
    house.once()
    assert len(registry.requests) == asked, "it was to be left alone"
    registry.faults = []
    come_back(house)
    expire(house)
    house.once()
    assert statuses(house) == TOLD
    assert house.rows("SELECT failures, not_before, error FROM ref.service") == [(0, None, None)]


@pytest.mark.parametrize("fault", ("unavailable", "limited_briefly", "cut"))
def test_a_fault_that_passes_is_waited_for(house, registry, fault):
    registry.faults = [fault, "fine"]
    house.once()
    assert statuses(house) == TOLD
    assert len(registry.requests) == len(set(registry.asked())) + 1


def test_the_registrys_wish_to_be_left_alone_is_kept(house, registry):
    registry.faults = ["limited"]
    house.once()
    assert len(registry.requests) == 1
    assert 590 < house.value("SELECT extract(epoch FROM not_before - now()) FROM ref.service") <= 600


def test_a_registry_that_stays_away_is_left_alone_twice_as_long_each_time(house, registry):
    """Half a minute, a minute, two; an hour at most; each up to half as much more."""
    registry.faults = ["forbidden"]
    for failures, rest in ((1, 30), (2, 60), (3, 120), (20, 3600)):
        change(house, f"UPDATE ref.service SET not_before = now(), failures = {failures - 1}")
        before = house.value("SELECT clock_timestamp()")
        house.once()
        after = house.value("SELECT clock_timestamp()")
        ((counted, until_then),) = house.rows("SELECT failures, not_before FROM ref.service")
        assert counted == failures
        assert before + timedelta(seconds=rest) <= until_then <= after + timedelta(seconds=1.5 * rest)


def test_a_registry_that_nobody_answers_for_fails_nothing(house, registry):
    registry.stop()
    house.once()
    assert statuses(house) == UNTOLD
    assert "cannot reach the NPI registry" in notes(house)[0]


def test_an_answer_that_has_run_out_is_asked_for_with_its_validators(house, registry):
    house.once()
    before = house.rows("SELECT npi, outcome, etag FROM ref.npi ORDER BY 1"), house.rows(STATE)
    batches = house.value("SELECT count(*) FROM ops.batch")
    registry.requests.clear()
    expire(house)
    house.once()
    assert len(registry.requests) == 6
    etags = dict((npi, etag) for npi, _, etag in before[0])
    for npi, (_, _, headers) in zip(registry.asked(), registry.requests):
        assert headers["If-None-Match"] == etags[npi]
        assert headers["If-Modified-Since"] == "Thu, 05 Nov 2026 10:00:00 GMT"
    assert (house.rows("SELECT npi, outcome, etag FROM ref.npi ORDER BY 1"), house.rows(STATE)) == before
    assert house.value("SELECT count(*) FROM ops.batch") == batches
    assert house.value("SELECT bool_and(expires_at > now() + interval '89 days') FROM ref.npi")


@pytest.mark.parametrize("fault", ("unavailable", "garbage"))
def test_what_was_answered_before_still_holds_while_the_registry_is_away(house, registry, fault):
    house.once()
    cache = house.rows(CACHE)
    registry.faults = [fault]
    expire(house)
    house.once()
    assert statuses(house) == TOLD
    assert house.rows(CACHE) == cache


def test_another_answer_changes_the_status_in_every_version(house, registry):
    house.once()
    registry.add(GOOD, "Dentist")
    del registry.entries[ORGANIZATION]
    expire(house)
    house.once()
    assert statuses(house) == {**TOLD, "P1": "mismatch", "P2": "not_found"}
    assert house.value("SELECT max(version) FROM silver.providers") == 1


def test_a_changed_specialization_is_told_from_what_is_known(house, registry):
    house.once()
    asked = len(registry.requests)
    house.play("UPDATE t SET Field = 'Podiatry' WHERE ID = 'P1'")
    house.once()
    assert house.rows("SELECT version, specialization, npi_status FROM silver.providers WHERE source_provider_id = 'P1' "
                      "ORDER BY 1") == [(1, "Cardiology", "valid"), (2, "Podiatry", "mismatch")]
    assert len(registry.requests) == asked


@pytest.mark.parametrize("point", ("reference.after_kept", "reference.before_commit", "reference.after_commit"))
def test_killed_while_it_keeps_answers_and_started_again_the_end_is_equal(house, registry, point):
    done = house.daemon.once(REVCYCLED_FAILPOINT=point)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    kept = house.value("SELECT count(*) FROM ref.npi"), house.value(f"SELECT count(*) FROM ({STATUSES} AND npi_status IN "
                                                                    "('valid', 'not_found', 'mismatch')) AS t")
    assert kept == ((6, 7) if point == "reference.after_commit" else (0, 0)), "answers and statuses go together"
    house.once()
    assert statuses(house) == TOLD
    assert house.rows("SELECT npi, outcome, taxonomies FROM ref.npi ORDER BY 1") == sorted(
        (npi, *{GONE: ("not_found", ["Internal Medicine, Cardiovascular Disease"]), UNKNOWN: ("not_found", [])}.get(
            npi, ("found", [taxonomy["desc"] for taxonomy in registry.entries.get(npi, {"taxonomies": []})["taxonomies"]])))
        for npi in (GOOD, ORGANIZATION, UNKNOWN, GONE, OTHER, OLD_FORM))


def test_a_daemon_asks_about_a_new_provider_at_once(house, registry):
    house.daemon.make_token()
    house.daemon.start()
    try:
        until(lambda: statuses(house) == TOLD, what="all are told")
        new = with_check_digit("123450000")
        registry.add(new, "Pediatrics")
        house.play(("INSERT INTO t (ID, First, Last, Field, NPI) VALUES ('PX', 'Bo', 'Ray', 'Pediatrics', %s)", (new,)))
        until(lambda: statuses(house) == {**TOLD, "PX": "valid"}, what="the new one is told")
        job = house.daemon.get("/v1/jobs/reference")[2]
        assert (job["kind"], job["schedule"]) == ("reference", "every 60 min")
        assert re.search(r'revcycle_reference_lookups_total\{service="npi",outcome="found"\} 5\b',
                         house.daemon.get("/metrics")[2])
        shown = house.daemon.get("/v1/config")[2]
        assert "90d" in str(shown)
    finally:
        house.daemon.stop()


def test_figures_are_not_called_by_each_part_of_what_a_registry_says(house, registry):
    """A run tells page by page; figures follow its end."""
    house.top["reference"]["npi"]["requests_per_second"] = 1
    house.write()
    with open(house.config, "r+", encoding="utf-8") as file:
        document = yaml.safe_load(file)
        document["store"]["lease"] = "3s"
        document["workers"] = 4
        file.seek(0)
        file.truncate()
        yaml.safe_dump(document, file, sort_keys=False)
    house.play(*(("INSERT INTO t (ID, First, Last, Field, NPI) VALUES (%s, 'Ann', 'Lee', 'Cardiology', %s)",
                  (f"Q{n}", with_check_digit(f"{200000000 + n}"))) for n in range(40)))
    daemon = house.daemon
    daemon.make_token()
    daemon.start()
    unsettled = "SELECT count(*) FROM ops.batch WHERE settled_by IS NULL"
    until(lambda: (now := jobs(daemon))["reference"]["state"] == "running" and not house.value(unsettled)
          and all(now[name]["last_success_at"] and is_at_rest(now[name]) for name in ("h.f", "settle", "kpi")), 60, "only it runs")
    first = jobs(daemon)["kpi"]["last_success_at"]
    house.play(("INSERT INTO t (ID, First, Last) VALUES ('QX', 'Ann', 'Lee')", ()))  # which calls it while it runs
    until(lambda: house.value("SELECT count(*) FROM silver.providers WHERE source_provider_id = 'QX'") and not house.value(unsettled)
          and (now := jobs(daemon))["kpi"]["last_success_at"] > first and is_at_rest(now["kpi"]), what="and what comes is settled")
    before = jobs(daemon)["kpi"]["last_success_at"]
    house.store.execute("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined, settled_by) "
                        "SELECT n, 'settle', 1, 1, 0, n FROM nextval('ops.batch_id_seq') AS n", house.database)
    renewed = "SELECT lease_until FROM ops.job WHERE name = 'kpi'"
    for _ in range(4):
        last = house.value(renewed)
        until(lambda: house.value(renewed) > last, what="leases are renewed")
    now = jobs(daemon)
    assert (now["reference"]["state"], now["kpi"]["state"], now["kpi"]["last_success_at"]) == ("running", "idle", before)
    assert daemon.post("/v1/jobs/reference/pause")[0] == 200  # or it begins again, and figures follow that one's end
    assert daemon.post(f"/v1/runs/{now['reference']['last_run']['id']}/cancel")[0] == 202
    until(lambda: jobs(daemon)["kpi"]["last_success_at"] > before, what="figures follow")
    daemon.stop()


def test_the_doctor_says_how_the_registry_is(house, registry):
    def line():
        out = house.daemon.run("doctor", timeout=120).stdout
        return [text for text in out.splitlines() if "reference" in text]
    assert len(line()) == 1 and "npi" in line()[0] and "ok" in line()[0].lower()
    registry.faults = ["errors"]
    assert "cannot be used: it answers with errors" in line()[0]
    registry.faults = ["unavailable"]
    assert "503" in line()[0]


@pytest.mark.parametrize("endpoint", ("http://registry.example/api/", "http://127.0.0.1.example/", "ftp://127.0.0.1/"))
def test_numbers_are_not_sent_where_others_can_read_them(house, endpoint):
    house.top["reference"]["npi"]["endpoint"] = endpoint
    house.write()
    done = house.daemon.run("--check-config", timeout=60)
    assert done.returncode == 2 and "`endpoint` must begin with https://" in done.stderr + done.stdout
