"""Scores, the assessment and the dq_ views, against what Python counts in the rows themselves."""
import collections
import html.parser
import math
import re
import signal
from decimal import Decimal
from fractions import Fraction

import pytest
import yaml

from harness import jobs
from harness.world import World
from test_replay import deliver

SAYS = "<script>alert('x')</script> & \"more\""
RULES = [{"name": "short_zip", "kind": "pattern", "entity": "patients", "column": "zip", "pattern": "[0-9]{5}", "says": SAYS},
         {"name": "one_name", "kind": "unique", "entity": "patients", "columns": ["last_name"]},
         {"name": "fresh_claims", "kind": "freshness", "feed": "claims.monthly", "within": "1d"},
         {"name": "paid_above_billed", "entity": "transactions", "severity": "quarantine"}]
CURRENT = {"patients": "is_current AND NOT is_deleted AND NOT is_inferred",
           "providers": "is_current AND NOT is_deleted AND NOT is_inferred",
           "departments": "NOT is_deleted AND NOT is_inferred", "encounters": "NOT is_deleted",
           "transactions": "NOT is_deleted", "claims": "is_final AND NOT is_deleted"}


def spoil_zip(world, whose):
    world.play("UPDATE patient_master SET postal_code = '1' "
               f"WHERE pat_id = (SELECT * FROM (SELECT {whose}(pat_id) FROM patient_master) AS m)")


@pytest.fixture(scope="module")
def world(small_base, binary, tmp_path_factory):
    world = World(small_base, "quality", tmp_path_factory.mktemp("quality"), binary).make()

    def edit(text):
        config = yaml.safe_load(jobs.rarely(text))
        config["rules"] = RULES
        del config["sources"]["hospital_b"]["feeds"]["providers"]["map"]["npi"]  # a column that the feed fills nowhere
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    world.configure(edit)
    world.once()
    deliver(world, "hospital_a", world.value(
        "SELECT source_claim_id FROM silver.claims WHERE source_system = 'hospital_a' AND is_final AND iteration = 1 AND NOT is_deleted "
        "AND cardinality(dq_flags) > 0 ORDER BY 1 LIMIT 1"))  # its first iteration breaks rules, and is not in force
    spoil_zip(world, "min")  # so that there was another score before
    world.once()
    assert world.value("SELECT count(*) FROM silver.claims WHERE NOT is_final AND cardinality(dq_flags) > 0") > 0
    world.daemon.make_token()
    world.daemon.start()
    jobs.until(lambda: world.value("SELECT count(*) FROM ops.run WHERE job = 'quality' AND state = 'running'") == 0)
    jobs.await_quiet(world.daemon)
    yield world
    world.daemon.stop()
    world.end()


def table(world, entity):
    """(feed, row as a dictionary) of the rows in force."""
    names = [name for name, in world.rows("SELECT column_name FROM information_schema.columns WHERE table_schema = 'silver' "
                                          "AND table_name = %s ORDER BY ordinal_position", entity)]
    feeds = world.rows("SELECT feed, entity FROM ops.feed_entity ORDER BY feed")
    files = dict(world.rows("SELECT file_id, feed FROM ops.file ORDER BY 1"))
    for values in world.rows(f"SELECT {', '.join(names)} FROM silver.{entity} WHERE {CURRENT[entity]} ORDER BY 1"):
        row = dict(zip(names, values))
        if entity == "claims":
            yield files[row["file_id"]], row
            continue
        for feed, what in feeds:
            if what == entity and feed.split(".")[0] == row["source_system"]:
                yield feed, row


def counted(world):
    """By feed, rule: [dimension, asked, failed], from the rows alone."""
    rules = world.rows("SELECT subject, name, dimension FROM dq.rule WHERE scope <> 'feed' ORDER BY 1, 2")
    found, sizes = {}, collections.Counter()
    for entity in CURRENT:
        rows = list(table(world, entity))
        filled = collections.Counter()
        expected = {name for name, in world.rows(
            "SELECT n FROM unnest(%s::text[]) AS n WHERE dq.is_expected(%s, n) ORDER BY 1", list(rows[0][1]), entity)}
        for feed, row in rows:
            sizes[feed] += 1
            filled.update((feed, name) for name in expected if row[name] is not None)
            for subject, name, dimension in rules:
                if subject == entity:
                    one = found.setdefault((feed, name), [dimension, 0, 0])
                    one[1] += 1
                    one[2] += name in row["dq_flags"]
        for feed in {feed for feed, _ in rows}:
            there = [filled[feed, name] for name in expected if filled[feed, name]]
            found[feed, "columns_filled"] = ["completeness", len(there) * sizes[feed], len(there) * sizes[feed] - sum(there)]
    for feed, rule, n in world.rows("SELECT feed, rule, count(*) FROM dq.quarantine WHERE state = 'open' GROUP BY 1, 2 ORDER BY 1, 2"):
        one = found.setdefault((feed, rule), ["validity", sizes[feed], 0])
        one[1] += n
        one[2] += n
    found["claims.monthly", "fresh_claims"] = ["timeliness", 1, 0]
    return found


def scores(found):
    of_rules = collections.defaultdict(list)
    for (feed, _), (dimension, asked, failed) in found.items():
        if asked:
            of_rules[feed, dimension].append(1 - Fraction(failed, asked))
    made = {key: sum(shares) / len(shares) for key, shares in of_rules.items()}
    for feed in {feed for feed, _ in made}:
        own = [share for (owner, _), share in made.items() if owner == feed]
        made[feed, "overall"] = sum(own) / len(own)
    return made


def rounded(made):
    return {key: float(round(share, 6)) for key, share in made.items()}


def metric_scores(world):
    lines = world.daemon.get("/metrics", token=None)[2].splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("revcycle_quality_score_ratio{")]
    return {tuple(part.split('"')[1] for part in name.split(",")): round(float(value), 6) for name, value in pairs}


def test_scores_are_shares_of_the_rows_that_pass(world):
    found = counted(world)
    assert {(feed, rule): tuple(counts) for (feed, rule), counts in found.items() if counts[1]} == {
        (feed, rule): (dimension, checked, failed) for feed, rule, dimension, checked, failed in world.rows(
            "SELECT feed, rule, dimension, checked, failed FROM dq.rule_count WHERE checked > 0 AND subject <> 'adjustments'")}
    made = rounded(scores(found))
    assert made == {(feed, dimension): float(score) for feed, dimension, score in world.rows(
        "SELECT feed, dimension, score FROM dq.score_now ORDER BY 1, 2")}
    assert {dimension for _, dimension in made} == {"completeness", "validity", "uniqueness", "consistency", "timeliness",
                                                    "integrity", "overall"}
    assert min(made.values()) < 1 and len({feed for feed, _ in made}) == world.value("SELECT count(*) FROM ops.feed_entity")
    assert metric_scores(world) == made


def test_quality_shows_scores_columns_and_how_scores_came_to_be(world):
    made = rounded(scores(counted(world)))
    status, _, answer = world.daemon.get("/v1/quality?limit=1000")
    assert status == 200
    items = {item["feed"]: item for item in answer["items"]}
    for (feed, dimension), score in made.items():
        shown = items[feed]["overall"] if dimension == "overall" else items[feed]["dimensions"][dimension]["score"]
        assert shown == score
        assert [point["score"] for point in items[feed]["trend"] if point["dimension"] == dimension][-1] == score
    rows = [row for feed, row in table(world, "patients") if feed == "hospital_a.patients"]
    columns = {column["column"]: column for column in items["hospital_a.patients"]["columns"]}
    assert (columns["phone"]["filled"], columns["phone"]["rows"]) == (
        sum(row["phone"] is not None for row in rows), len(rows))
    assert columns["last_name"]["is_expected"] and not columns["middle_name"]["is_expected"]
    rules = {(item["subject"], item["name"]): item for item in world.daemon.get("/v1/rules?limit=1000")[2]["items"]}
    patients = [row for _, row in table(world, "patients")]
    for name in ("short_zip", "one_name"):
        assert (rules["patients", name]["checked"], rules["patients", name]["failed"]) == (
            len(patients), sum(name in row["dq_flags"] for row in patients))
    assert rules["patients", "one_name"]["failed"] > 0


def test_nothing_new_writes_nothing_and_a_change_adds_what_changed(world):
    taken = "SELECT count(*), max(taken_id) FROM dq.score_taken"
    before, lines = world.rows(taken), world.value("SELECT count(*) FROM dq.score")
    assert jobs.run_job(world.daemon, "quality")["state"] == "succeeded"
    assert world.rows(taken) == before
    spoil_zip(world, "max")
    for job in ("hospital_a.patients", "settle", "quality"):
        assert jobs.run_job(world.daemon, job)["state"] == "succeeded"
    assert world.rows(taken) != before
    assert rounded(scores(counted(world))) == {(feed, dimension): float(score) for feed, dimension, score in world.rows(
        "SELECT feed, dimension, score FROM dq.score_now ORDER BY 1, 2")}
    changed = world.rows("SELECT DISTINCT feed FROM dq.score WHERE taken_id > %s ORDER BY 1", before[0][1])
    assert changed == [("hospital_a.patients",)] and world.value("SELECT count(*) FROM dq.score") > lines


@pytest.fixture
def dismissed(world):
    """One entry that a person put aside: it is no more accepted for that."""
    entry = world.value("SELECT min(quarantine_id) FROM dq.quarantine WHERE state = 'open'")
    mark = lambda state: world.store.execute(f"UPDATE dq.quarantine SET state = '{state}' WHERE quarantine_id = {entry}", world.database)
    mark("dismissed")
    yield entry
    mark("open")


def test_rows_accepted_of_rows_received_are_one_query(world, dismissed):
    assert world.value("SELECT count(*) FROM dq.quarantine WHERE state = 'dismissed'") == 1, dismissed
    for entity in CURRENT:
        one = entity[:-1]
        held = {(source, key or f"#{content}") for source, key, content in world.rows(
            "SELECT source_system, natural_key, source_hash FROM dq.quarantine JOIN ops.feed_entity USING (feed) "
            "WHERE state IN ('open', 'dismissed') AND entity = %s ORDER BY 1, 2", entity)}
        real = "WHERE NOT is_inferred" if entity in ("patients", "providers", "departments") else ""
        there = set(world.rows(f"SELECT source_system, source_{one}_id FROM silver.{entity} {real} ORDER BY 1, 2"))
        wanted = {source: (len({key for key in there | held if key[0] == source}),
                           len({key for key in there - held if key[0] == source})) for source in ("hospital_a", "hospital_b")}
        assert {source: (received, accepted) for source, received, accepted in world.rows(
            "SELECT source_system, received, accepted FROM dq.accepted WHERE entity = %s ORDER BY 1", entity)} == wanted
    assert world.value("SELECT sum(received - accepted) FROM dq.accepted WHERE entity = 'transactions'") > 0


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = collections.Counter(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.texts.append(data)


def test_the_assessment_is_a_page_with_pictures_and_nothing_that_runs(world):
    status, headers, text = world.daemon.get("/v1/reports/quality")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    page = Page(text)
    assert page.tags["svg"] > 10 and page.tags["rect"] > 100 and page.tags["polyline"] > 0
    assert not page.tags.keys() & {"script", "style", "link", "img", "iframe", "object", "form", "a"}
    assert not {name for name in page.attributes if name.startswith("on") or name in ("style", "href", "src", "xlink:href")}
    assert SAYS in page.texts and "<script" not in text
    status, headers, told = world.daemon.get("/v1/reports/quality?format=json")
    assert status == 200 and headers.get_content_type() == "application/json"
    assert {feed["feed"] for feed in told["feeds"]} <= set(page.texts)
    made = rounded(scores(counted(world)))
    assert {(feed["feed"], score["dimension"]): score["score"] for feed in told["feeds"] for score in feed["scores"]} == made
    assert world.daemon.get("/v1/reports/quality?format=pdf")[0] == 400
    ids = [number for number, in world.rows("SELECT source_patient_id FROM silver.patients ORDER BY 1 LIMIT 50")]
    assert not any(number in page.texts for number in ids)


def shares_of(page, feeds):
    """{(feed, label): what stands behind its bar}"""
    found, feed, before = {}, None, ""
    for text in filter(None, map(str.strip, page.texts)):
        feed = text if text in feeds else feed
        if feed and re.fullmatch(r"\d+\.\d\d %", text):
            found[feed, before] = text
        before = text
    return found


def percent(share):
    """Never rounded up: 99.996 % is not all."""
    return f"{Decimal(math.floor(share * 10000)) / 100:.2f} %"


@pytest.fixture
def one_of_hundredths(world):
    """A column is filled in a share that has no binary form: 81.9 %."""
    place = "WHERE feed = 'hospital_a.patients' AND column_name = 'phone'"
    rows, filled = world.rows(f"SELECT rows, filled FROM dq.column_fill {place}")[0]
    count = lambda rows, filled: world.store.execute(f"UPDATE dq.column_fill SET rows = {rows}, filled = {filled} {place}", world.database)
    count(1000, 819)
    yield "hospital_a.patients", "phone"
    count(rows, filled)


def test_the_assessment_says_what_is_broken_and_filled_and_each_share_in_whole_hundredths(world, one_of_hundredths):
    told = world.daemon.get("/v1/reports/quality?format=json")[2]
    found = counted(world)
    assert {(feed["feed"], item["rule"]): (item["dimension"], item["checked"], item["failed"]) for feed in told["feeds"]
            for item in feed["broken"] if item["subject"] != "adjustments"} == {
                place: tuple(counts) for place, counts in found.items() if counts[2]}
    sizes, filled = collections.Counter(), collections.Counter()
    for entity in CURRENT:
        for feed, row in table(world, entity):
            sizes[feed] += 1
            filled.update((feed, name) for name, value in row.items() if value is not None)
    columns = {(feed["feed"], item["column"]): (item["rows"], item["filled"]) for feed in told["feeds"] for item in feed["columns"]
               if item["subject"] != "adjustments"}
    assert len(columns) > 100 and columns.pop(one_of_hundredths) == (1000, 819)
    assert columns == {(feed, name): (sizes[feed], filled[feed, name]) for feed, name in columns}
    assert {(item["entity"], item["source_system"], item["versions"], item["members"]) for item in told["versions"]} == set(
        world.rows("SELECT entity, source_system, versions, members FROM dq.scd_versions ORDER BY 1, 2, 3"))
    wanted = {place: percent(round(share, 6)) for place, share in scores(found).items()}
    wanted |= {place: percent(Fraction(n, rows)) for place, (rows, n) in columns.items() if n}
    wanted[one_of_hundredths] = "81.90 %"
    shown = shares_of(Page(world.daemon.get("/v1/reports/quality")[2]), {feed for feed, _ in wanted})
    assert {place: shown.get(place) for place in wanted} == wanted and len(wanted) > 150


def flagged(world):
    """(table, key, flag) of every row in force that says its parent is missing."""
    return {(entity, key, flag) for entity, one in (("encounters", "encounter"), ("transactions", "transaction"), ("claims", "claim"))
            for key, flags in world.rows(f"SELECT {one}_key, dq_flags FROM silver.{entity} WHERE {CURRENT[entity]} ORDER BY 1")
            for flag in flags if flag.startswith("orphan_")}


def listed(world, state="open", **filters):
    """All pages of /v1/orphans."""
    cursor, items = "", []
    while cursor is not None:
        query = "&".join(f"{name}={value}" for name, value in {"state": state, "limit": 7, **filters}.items())
        status, _, answer = world.daemon.get(f"/v1/orphans?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert status == 200, answer
        items += answer["items"]
        cursor = answer["next_cursor"]
    return items


def orphan_metrics(world):
    lines = world.daemon.get("/metrics", token=None)[2].splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("revcycle_orphan_rows{")]
    return {tuple(part.split('"')[1] for part in name.split(",")): int(float(value)) for name, value in pairs}


def test_orphans_are_counted_listed_aged_and_resolved_when_the_parent_comes(world):
    before = flagged(world)
    assert before and {(item["entity"], int(item["key"]), item["orphan"]) for item in listed(world)} == before
    rows = ("TXNORPHAN", "PATORPHAN")
    world.play("INSERT INTO billing_transaction (txn_id, pat_id, service_date, amount, paid_amount, created_at, updated_at) "
               "VALUES (%s, %s, '2024-05-05', 5, 0, '2024-05-06', now(6))", *rows)

    def catch_up(feed):
        for job in (feed, "settle", "quality"):
            assert jobs.run_job(world.daemon, job)["state"] == "succeeded"

    catch_up("hospital_a.transactions")
    key, batch = world.rows("SELECT transaction_key, batch_id FROM silver.transactions WHERE source_transaction_id = %s", rows[0])[0]
    found = listed(world, entity="transactions", orphan="orphan_patient")
    assert flagged(world) == before | {("transactions", key, "orphan_patient")}
    assert {int(item["key"]) for item in found} == {number for entity, number, flag in flagged(world)
                                                    if (entity, flag) == ("transactions", "orphan_patient")}
    newest = found[-1]
    assert (int(newest["key"]), newest["state"], newest["resolved_at"]) == (key, "open", None)
    assert world.value("SELECT first_seen_at = committed_at FROM dq.orphan, ops.batch WHERE orphan_id = %s AND batch_id = %s",
                       newest["id"], batch)
    counts = collections.Counter((entity, flag) for entity, _, flag in flagged(world))
    shown = orphan_metrics(world)
    assert {pair: n for pair, n in shown.items() if n} == dict(counts)
    told = world.daemon.get("/v1/reports/quality?format=json")[2]["orphans"]
    assert sum(line["open"] for line in told) == sum(counts.values())
    for hours, is_over_a_day, is_over_a_week in ((20, 0, 0), (30, 1, 0), (200, 1, 1)):
        world.store.execute(f"UPDATE dq.orphan SET first_seen_at = now() - interval '{hours} hours' WHERE orphan_id = {newest['id']}",
                            world.database)
        (line,) = [line for line in world.daemon.get("/v1/reports/quality?format=json")[2]["orphans"]
                   if (line["entity"], line["orphan"], line["source_system"]) == ("transactions", "orphan_patient", "hospital_a")]
        assert (line["older_than_a_day"], line["older_than_a_week"]) == (is_over_a_day, is_over_a_week), hours
        aged = listed(world, entity="transactions", orphan="orphan_patient")[-1]
        assert line["oldest_at"] == aged["first_seen_at"] and 0 <= aged["age_s"] - hours * 3600 < 900
    world.store.execute(f"UPDATE dq.orphan SET first_seen_at = '{newest['first_seen_at']}' WHERE orphan_id = {newest['id']}", world.database)
    # Seen again it is the same; the parent comes; another one goes and is an orphan anew.
    catch_up("hospital_a.transactions")
    assert listed(world, entity="transactions", orphan="orphan_patient")[-1]["first_seen_at"] == newest["first_seen_at"]
    world.play("INSERT INTO patient_master (pat_id, given_name, family_name, updated_at) VALUES (%s, 'Ann', 'Orphan', now(6))", rows[1])
    catch_up("hospital_a.patients")
    assert flagged(world) == before and {(item["entity"], int(item["key"]), item["orphan"]) for item in listed(world)} == before
    resolved = listed(world, state="resolved")
    assert [(item["id"], item["state"]) for item in resolved] == [(newest["id"], "resolved")] and resolved[0]["resolved_at"]
    assert world.daemon.get("/v1/orphans?state=lost")[0] == 400


def test_killed_while_orphans_and_scores_are_taken_the_next_look_finds_the_same(small_base, binary, tmp_path):
    killed = World(small_base, "qualitykill", tmp_path, binary).make()
    try:
        for name in ("quality.orphans_before_commit", "quality.scores_before_commit"):
            assert killed.daemon.once(REVCYCLED_FAILPOINT=name).returncode == -signal.SIGKILL, name
            assert killed.value("SELECT count(*) FROM dq.score") == 0
            assert (killed.value("SELECT count(*) FROM dq.orphan") == 0) == (name == "quality.orphans_before_commit")
        killed.once()
        assert {(entity, key, flag) for entity, key, flag in killed.rows(
            "SELECT entity, key, orphan FROM dq.orphan WHERE resolved_at IS NULL ORDER BY 1, 2, 3")} == flagged(killed)
        found = {key: counts for key, counts in counted(killed).items() if key[1] != "fresh_claims"}
        assert rounded(scores(found)) == {(feed, dimension): float(score) for feed, dimension, score in killed.rows(
            "SELECT feed, dimension, score FROM dq.score_now ORDER BY 1, 2")}
    finally:
        killed.end()


def test_bigquery_finds_the_same_orphans_and_no_key_that_points_nowhere(world):
    assert jobs.run_job(world.daemon, "publish")["state"] == "succeeded"
    sources = {entity: dict(world.rows(f"SELECT {one}_key, source_system FROM silver.{entity}")) for entity, one in
               (("encounters", "encounter"), ("transactions", "transaction"), ("claims", "claim"))}
    counts = collections.Counter((entity, flag, sources[entity][key]) for entity, key, flag in flagged(world))
    ask = lambda: {(row["entity"], row["orphan"], row["source_system"]): (int(row["orphans"]), int(row["dangling"]), int(row["flagged"]))
                   for row in world.warehouse.rows(f"SELECT * FROM `{world.warehouse.dataset}.dq_orphans`")}
    wanted = {place: (n, 0, n) for place, n in counts.items()}
    assert ask() == wanted
    # what should never be: a key that points nowhere
    table = f"`{world.warehouse.dataset}.fact_encounters`"
    key, patient, source = next(iter(world.warehouse.rows(f"SELECT encounter_key, patient_key, source_system FROM {table} WHERE "
                                                          "'orphan_patient' NOT IN UNNEST(dq_flags) ORDER BY 1 LIMIT 1"))).values()
    world.warehouse.play(f"UPDATE {table} SET patient_key = -77 WHERE encounter_key = {key}")
    place = "encounters", "orphan_patient", source
    n = counts.get(place, 0)
    assert ask() == {**wanted, place: (n, 1, n)}
    world.warehouse.play(f"UPDATE {table} SET patient_key = {patient} WHERE encounter_key = {key}")
    assert ask() == wanted


def test_bigquery_has_the_same(world):
    assert jobs.run_job(world.daemon, "publish")["state"] == "succeeded"
    ask = lambda view: list(world.warehouse.rows(f"SELECT * FROM `{world.warehouse.dataset}.{view}`"))
    flags, sizes, filled = collections.Counter(), collections.Counter(), collections.Counter()
    for entity in CURRENT:
        for _, row in table(world, entity):
            place = entity, row["source_system"]
            sizes[place] += 1
            flags.update((*place, flag) for flag in row["dq_flags"])
            filled.update((*place, name) for name, value in row.items() if value is not None)
    theirs = {(row["entity"], row["source_system"], row["rule"]): int(row["failed"]) for row in ask("dq_flags")
              if row["entity"] != "adjustments"}
    assert theirs == dict(flags) and len(theirs) > 10
    completeness = ask("dq_completeness")
    assert len(completeness) > 40
    for row in completeness:
        place = row["entity"], row["source_system"]
        assert (int(row["row_count"]), int(row["filled"])) == (sizes[place], filled[(*place, row["column_name"])]), row
    versions = collections.Counter()
    for entity, one in (("patients", "patient"), ("providers", "provider")):
        members = collections.Counter((source, number) for source, number in world.rows(
            f"SELECT source_system, source_{one}_id FROM silver.{entity} WHERE NOT is_inferred"))
        versions.update((entity, source, n) for (source, _), n in members.items())
    assert {(row["entity"], row["source_system"], int(row["versions"])): int(row["members"])
            for row in ask("dq_scd_versions")} == dict(versions) == {
                (entity, source, n): members for entity, source, n, members in world.rows(
                    "SELECT entity, source_system, versions, members FROM dq.scd_versions")}
    assert max(n for _, _, n in versions) > 1
    published = {int(row["publication_id"]) for row in ask("dq_publications")}
    assert published == {number for number, in world.rows("SELECT publication_id FROM ops.publication WHERE state = 'succeeded'")}
