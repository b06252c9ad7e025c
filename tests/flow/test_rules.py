"""A site's own rules, of every kind, from the configuration to the flags, the quarantine, the list and the metrics."""
import itertools
import resource
import signal

import pytest

from harness import jobs
from test_claims import make_claims, row, text  # noqa: F401

FEED = {"entity": "patients", "key": ["id"], "cursor": "stamp", "reconcile": "0", "every": "200ms",
        "map": {"source_patient_id": "id", "first_name": "first", "last_name": "last", "zip": {"from": "zip", "clean": ["trim"]},
                "gender": {"from": "gender", "clean": ["trim"]}, "birth_date": "birth", "member_id": "member",
                "source_modified_at": "stamp"}}
RULES = [
    {"name": "r_check", "entity": "patients", "check": "first_name <> last_name"},
    {"name": "r_null", "kind": "not_null", "entity": "patients", "column": "member_id"},
    {"name": "r_type", "kind": "type", "entity": "patients", "column": "member_id", "type": "whole_number"},
    {"name": "r_range", "kind": "range", "entity": "patients", "column": "birth_date", "min": "1900-01-01", "max": "2020-12-31"},
    {"name": "r_pattern", "kind": "pattern", "entity": "patients", "column": "zip", "pattern": "[0-9]{5}(-[0-9]{4})?",
     "says": "a ZIP has five digits, or nine"},
    {"name": "r_list", "kind": "list", "entity": "patients", "column": "gender", "values": ["Male", "Female"],
     "severity": "quarantine", "says": "a patient's gender is one of two words here"},
    {"name": "r_unique", "kind": "unique", "entity": "patients", "columns": ["member_id"]},
    {"name": "r_fresh", "kind": "freshness", "feed": "h.f", "within": "1h"},
    {"name": "r_stale", "kind": "freshness", "feed": "h.f", "within": "1s"},
    {"name": "r_volume", "kind": "volume", "feed": "h.f", "percent": 50, "runs": 3},
]
GOOD = dict(first="Ann", last="Lee", zip="60601", gender="Female", birth="1980-02-03", member="17")
# What the rows are, and what they break.
ROWS = {
    "1": (GOOD, []),
    "2": ({**GOOD, "member": "18", "first": "Lee"}, ["r_check"]),
    "3": ({**GOOD, "member": None}, ["r_null"]),
    "4": ({**GOOD, "member": "x19"}, ["r_type"]),
    "5": ({**GOOD, "member": "20", "birth": "1899-12-31"}, ["r_range"]),
    "6": ({**GOOD, "member": "21", "birth": "2021-01-01", "zip": "6060"}, ["r_pattern", "r_range"]),
    "7": ({**GOOD, "member": "22", "zip": "60601-1234"}, []),
    "8": ({**GOOD, "member": "23", "zip": "60601-12345"}, ["r_pattern"]),
    "9": ({**GOOD, "member": "24", "gender": "Odd"}, None),
    "10": ({**GOOD, "member": "25", "gender": "Male"}, ["r_unique"]),
    "11": ({**GOOD, "member": "25", "zip": None}, ["r_unique"]),
}


def put(house, number, row):
    names = ", ".join(f"`{name}` = %s" for name in row)
    house.play((f"INSERT INTO t SET id = %s, {names} ON DUPLICATE KEY UPDATE {names}", (number, *row.values(), *row.values())))


@pytest.fixture
def house(mariadb, make_feed):
    made = make_feed(mariadb, FEED)
    made.play("CREATE TABLE t (id varchar(10) PRIMARY KEY, first varchar(20), last varchar(20), zip varchar(20), gender varchar(20), "
              "birth date, member varchar(20), stamp timestamp(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), "
              "KEY (stamp))")
    made.top = {"rules": RULES}
    made.write()
    for number, (row, _) in ROWS.items():
        put(made, number, row)
    return made


def flags(house):
    return dict(house.rows("SELECT source_patient_id, array_remove(dq_flags, 'possible_duplicate') FROM silver.patients "
                           "WHERE is_current ORDER BY 1"))


def listed(house):
    status, _, answer = house.daemon.get("/v1/rules?limit=1000")
    assert status == 200 and answer["next_cursor"] is None
    return {(item["subject"], item["name"]): item for item in answer["items"]}


def test_rows_bear_the_flags_of_the_rules_they_break(house):
    house.once()
    assert flags(house) == {number: broken for number, (_, broken) in ROWS.items() if broken is not None}
    assert house.rows("SELECT natural_key, rule, reason, state FROM dq.quarantine") == [
        ("9", "r_list", "the row breaks the rule r_list: a patient's gender is one of two words here", "open")]
    # Mended at the source, and by a rule that changes.
    put(house, "11", {**ROWS["11"][0], "member": "26"})
    put(house, "9", {**ROWS["9"][0], "gender": "Male"})
    house.top = {"rules": [{**rule, "max": "2021-12-31"} if rule["name"] == "r_range" else rule for rule in RULES]}
    house.write()
    house.once()
    wanted = {number: broken or [] for number, (_, broken) in ROWS.items()}
    assert flags(house) == {**wanted, "6": ["r_pattern"], "10": [], "11": []}
    assert house.value("SELECT state FROM dq.quarantine") == "superseded"
    assert house.value("SELECT max(version) FROM silver.patients WHERE source_patient_id <> '11'") == 1


def test_rules_are_listed_with_what_is_found(house):
    house.daemon.make_token()
    house.daemon.start()
    jobs.until(lambda: listed(house).get(("h.f", "r_stale"), {}).get("is_broken"), 90, "nothing new for a second")
    found = listed(house)
    assert {name for subject, name in found} >= {rule["name"] for rule in RULES} | {"phone_invalid", "possible_duplicate"}
    row = found["patients", "r_pattern"]
    assert (row["kind"], row["scope"], row["dimension"], row["severity"], row["says"], row["definition"]) == (
        "pattern", "row", "validity", "flag", "a ZIP has five digits, or nine",
        "pattern check='zip matches ''[0-9]{5}(-[0-9]{4})?''' column='zip'")
    assert found["patients", "r_unique"]["says"] == "no two rows of a source have the same member_id"
    assert found["transactions", "orphan_patient"]["dimension"] == "integrity"
    assert not found["h.f", "r_fresh"]["is_broken"] and found["h.f", "r_stale"]["broken_since"]
    assert found["h.f", "r_stale"]["found"].startswith("the newest change came at 20")

    def broken():
        return [line["rule"] for line in house.daemon.log_lines() if line.get("message") == "a feed breaks a rule"]
    gauges = {'revcycle_feed_rule_broken{feed="h.f",rule="r_stale"} 1.0', 'revcycle_feed_rule_broken{feed="h.f",rule="r_fresh"} 0.0'}
    jobs.until(lambda: gauges <= set(house.daemon.get("/metrics", token=None)[2].splitlines()), what="so the metrics say")
    jobs.until(broken, what="it is told")  # what is found is stored first
    assert broken() == ["r_stale"], "told once"


def test_what_is_configured_no_more_is_no_more_in_the_metrics(house):
    """An alert on its last value would stand until the process ends."""
    def gauges():
        text = house.daemon.get("/metrics", token=None)[2]
        return {line.split(" ")[0] for line in text.splitlines() if line.startswith("revcycle_feed_") and "_total{" not in line}

    kept = {f'revcycle_feed_{name}_seconds{{feed="h.f"}}' for name in ("lag", "last_success_timestamp", "cursor_held")}
    rules = {rule["name"]: f'revcycle_feed_rule_broken{{feed="h.f",rule="{rule["name"]}"}}' for rule in RULES if "feed" in rule}
    house.daemon.make_token()
    house.daemon.start()
    jobs.until(lambda: gauges() == kept | set(rules.values()), 90, "all rules are looked at")
    house.top = {"rules": [rule for rule in RULES if rule["name"] != "r_stale"]}
    house.write()
    assert house.daemon.post("/v1/config/reload", timeout=90)[0] == 200
    assert gauges() == kept | set(rules.values()) - {rules["r_stale"]}
    jobs.until(lambda: ("h.f", "r_stale") not in listed(house), 60, "settle took the rule away")
    assert house.daemon.get("/metrics", token=None)[2].count("r_stale") == 0
    house.top, house.source = {}, {"feeds": {"g": house.feed}}
    house.write()
    assert house.daemon.post("/v1/config/reload", timeout=90)[0] == 200
    assert not {name for name in gauges() if '"h.f"' in name}


@pytest.mark.parametrize("name", ["settle.after_rules", "quality.before_commit"])
def test_killed_there_and_started_again_the_end_is_equal(house, name):
    done = house.daemon.once(timeout=120, REVCYCLED_FAILPOINT=name)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert house.value("SELECT count(*) FROM dq.feed_rule") == 0
    house.once()
    assert flags(house) == {number: broken for number, (_, broken) in ROWS.items() if broken is not None}
    assert house.rows("SELECT rule, is_broken FROM dq.feed_rule WHERE rule <> 'r_stale' ORDER BY rule") == [
        ("r_fresh", False), ("r_volume", False)]


def test_a_delivery_of_another_size_than_usual_is_told(house):
    """Deliveries of 11, 2, 2, 2 rows tell that 2 are usual; then come 3 (half as many more), then 4; 1 is too few, too."""
    house.once()
    rules = lambda: house.rows("SELECT is_broken, found FROM dq.feed_rule WHERE rule = 'r_volume'")[0]
    assert rules() == (False, "too few deliveries to tell what is usual")
    member = itertools.count(100)

    def deliver(n):
        for number in range(1, n + 1):
            put(house, str(number), {**GOOD, "member": str(next(member))})
        house.once()
        return rules()

    assert deliver(2)[0] is False and deliver(2)[0] is False
    # the middle one of 11, 2, 2 is 2
    assert deliver(2) == (False, "the last delivery had 2 rows, the middle one of the 3 before it 2")
    assert deliver(3) == (False, "the last delivery had 3 rows, the middle one of the 3 before it 2")
    assert deliver(4) == (True, "the last delivery had 4 rows, the middle one of the 3 before it 2")
    assert deliver(1) == (True, "the last delivery had 1 rows, the middle one of the 3 before it 3")


def test_of_a_feed_of_files_each_file_is_a_delivery(make_claims):  # noqa: F811
    """Whichever of them one run reads."""
    claims = make_claims()
    with open(claims.daemon.config, "a", encoding="utf-8") as file:
        file.write("\nrules: [{name: r_volume, kind: volume, feed: claims.monthly, percent: 50, runs: 3}]\n")

    def deliver(*sizes):
        for place, size in enumerate(sizes):
            name = f"hospital1_2024-{len(claims.listed('done') or ()) + place + 1:02}.csv"
            claims.put(name, text([row(f"{name}{number}") for number in range(size)]))
        claims.once()
        return claims.rows("SELECT is_broken, found FROM dq.feed_rule")

    assert deliver(4, 4, 4, 4) == [(False, "the last delivery had 4 rows, the middle one of the 3 before it 4")]
    assert deliver(7) == [(True, "the last delivery had 7 rows, the middle one of the 3 before it 4")]
    assert deliver(6) == [(False, "the last delivery had 6 rows, the middle one of the 3 before it 4")]


def test_rows_that_are_refused_are_news_of_a_feed_all_the_same(house):
    is_stale = lambda: house.value("SELECT is_broken FROM dq.feed_rule WHERE rule = 'r_fresh'")
    house.once()
    house.store.execute("UPDATE ops.batch SET committed_at = '2020-01-02 03:04:05Z'", house.database)
    house.once()
    assert is_stale()
    put(house, "9", {**GOOD, "member": "24", "gender": "Other"})
    house.once()
    assert house.value("SELECT count(*) FROM dq.quarantine WHERE natural_key = '9'") == 2 and not is_stale()


TEN_RULES = """
rules:
  - {name: r_check, entity: claims, check: "copay <= 500 and claim_date <= service_date + 365"}
  - {name: r_null, entity: claims, kind: not_null, column: payer_type}
  - {name: r_patient, entity: claims, kind: not_null, column: source_patient_id}
  - {name: r_type, entity: claims, kind: type, column: source_department_id, type: whole_number}
  - {name: r_amount, entity: claims, kind: range, column: claim_amount, min: 0.01, max: 4000}
  - {name: r_dates, entity: claims, kind: range, column: service_date, min: "2024-01-01", max: "2024-12-31"}
  - {name: r_claim, entity: claims, kind: pattern, column: source_claim_id, pattern: "C[0-9]{1,7}"}
  - {name: r_person, entity: claims, kind: pattern, column: source_patient_id, pattern: 'HOSP(1|2)-\\d{6}'}
  - {name: r_payer, entity: claims, kind: list, column: source_payer_id, values: [MEDICARE, BLUECROSS, AETNA]}
  - {name: r_status, entity: claims, kind: list, column: claim_status, values: [Paid, Approved, Denied]}
"""


@pytest.mark.nightly
def test_ten_rules_over_a_row_cost_less_than_15_percent_of_a_load(make_claims, record_property):  # noqa: F811
    """Processor time of the daemon, which others on the machine disturb least, against the time of the load without rules."""
    content = text([row(f"C{number}") for number in range(100_000)])
    spent, took = {"": [], TEN_RULES: []}, []
    for rules in ("", TEN_RULES) * 2:
        claims = make_claims()
        with open(claims.daemon.config, "a", encoding="utf-8") as file:
            file.write(rules)
        claims.put("hospital1_2024-03.csv", content)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        claims.once()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent[rules].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        flagged = claims.rows("SELECT count(*) FROM silver.claims WHERE 'r_person' = ANY (dq_flags)")[0][0]
        assert flagged == (100_000 if rules else 0)
        if not rules:
            took.append(claims.rows("SELECT extract(epoch FROM finished_at - started_at)::float FROM ops.run WHERE job = 'claims.monthly'")[0][0])
    cost, load = min(spent[TEN_RULES]) - min(spent[""]), min(took)
    record_property("shown", f"ten rules over 100,000 claims: {cost:.3f} s of {load:.2f} s")
    assert cost < 0.15 * load, (spent, took)
