"""The audit trail's chain: sealed beside the commits, and every way to tamper with it named.

The sealer is driven step by step by audit_tool; the daemon's own is tested at the end. What a seal must hold is
computed here with hashlib and hmac alone.
"""
import contextlib
import hashlib
import hmac
import os
import re
import signal
import struct
import subprocess
import time

import psycopg2
import pytest

from harness import jobs
from harness.daemon import Daemon
from harness.settings import ABSENT_HOSPITAL, ROOT, write_audit_key, write_passfile

ZEROS = bytes(32)


class Tool:
    """One audit_tool: a sealer with its own memory."""

    def __init__(self, build, dsn, key_file):
        self.process = subprocess.Popen([os.path.join(build, "audit_tool"), dsn, key_file], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        assert answer, self.process.stderr.read()
        return answer

    def seal(self):
        """(outcome, number of the newest seal, whether the chain was cut)"""
        outcome, head, is_cut = self.ask("seal")
        return outcome, int(head), is_cut == "1"

    def seal_all(self):
        while self.seal()[0] == "sealed":
            pass

    def verify(self, known=""):
        """(fault, seal, line)"""
        fault, seal, line, *_ = self.ask(f"verify {known}".strip())
        return fault, int(seal), int(line)

    def counts(self):
        """(seals, lines, retired, unsealed)"""
        return tuple(int(word) for word in self.ask("verify")[3:])

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Trail:
    """A database with an audit trail, its key, and whoever works on it."""

    def __init__(self, build, postgres, database, directory):
        self.build, self.postgres, self.database = build, postgres, database
        self.key_file = write_audit_key(str(directory / "audit.key"))
        passfile = write_passfile(str(directory / "pgpass"), postgres, "revcycled", "revcycle_owner")
        self.dsn = f"{postgres.dsn(database)} passfile={passfile}"
        self.links, self.tools = [], []

    def connect(self, user="revcycled"):
        link = self.postgres.connect(self.database, user)
        self.links.append(link)
        return link

    def tool(self, key_file=None):
        self.tools.append(Tool(self.build, self.dsn, key_file or self.key_file))
        return self.tools[-1]

    def close(self):
        for tool in self.tools:
            tool.close()
        for link in self.links:
            link.close()

    def sql(self, statement, *values):
        return self.postgres.ask(self.database, statement, *values)

    def tamper(self, *statements):
        """As a superuser who knows how to switch triggers off."""
        return self.sql("SET session_replication_role = replica; " + "; ".join(statements))

    def write(self, link=None, what="x", commit=True):
        """One line; its id."""
        link = link or self.connect()
        with link.cursor() as cursor:
            cursor.execute("INSERT INTO ops.audit (actor, action, object, outcome) VALUES ('a', %s, 'o', 'done') "
                           "RETURNING audit_id", (what,))
            (key,) = cursor.fetchone()
        if commit:
            link.commit()
        return key

    def seals(self):
        """{number: ids, as a set}"""
        return {number: members(ids) for number, ids in self.sql("SELECT seal_id, ids::text FROM ops.audit_seal")}

    def open(self):
        return members(self.sql("SELECT open::text FROM ops.audit_seal ORDER BY seal_id DESC LIMIT 1")[0][0])


def members(multirange):
    return {number for low, high in re.findall(r"\[(\d+),(\d+)\)", multirange) for number in range(int(low), int(high))}


@pytest.fixture
def trail(build, postgres, schema_database, tmp_path):
    made = Trail(build, postgres, schema_database, tmp_path)
    yield made
    made.close()


# ---- what a seal is ----


def keys_of(path):
    """{key id: key}"""
    with open(path, encoding="ascii") as file:
        keys = [hashlib.sha256(line.strip().encode()).digest() for line in file if line.strip()]
    return {hashlib.sha256(key).hexdigest()[:16]: key for key in keys}


def field(value):
    if value is None:
        return struct.pack(">q", -1)
    data = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack(">q", len(data)) + data


def sign(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expected_chain(trail, key_file=None):
    """[(digests, lines_hmac, hmac)] of all seals, from the lines and the sets the seals name."""
    keys, previous, chain = keys_of(key_file or trail.key_file), ZEROS, []
    micros = "(extract(epoch FROM {}) * 1000000)::bigint"
    for number, sealed, key_id, ids, n_lines, top, still_open in trail.sql(
            f"SELECT seal_id, {micros.format('sealed_at')}, key_id, ids::text, n_lines, top, open::text "
            "FROM ops.audit_seal ORDER BY seal_id"):
        key = keys[key_id]
        lines = [sign(key, b"".join(field(value) for value in line)) for line in trail.sql(
            f"SELECT audit_id, {micros.format('at')}, actor, action, object, request_id, outcome, details::text "
            "FROM ops.audit WHERE audit_id = ANY(%s) ORDER BY audit_id", sorted(members(ids)))]
        digests, lines_hmac = b"".join(line[:8] for line in lines), sign(key, b"".join(lines))
        previous = sign(key, field("revcycle audit seal 1") + previous +
                        struct.pack(">qqqq", number, sealed, n_lines, top) +
                        b"".join(field(part) for part in (key_id, ids, still_open, digests, lines_hmac)))
        chain.append((digests, lines_hmac, previous))
    return chain


def test_a_seal_holds_what_hashlib_computes_of_its_lines(trail):
    tool, writer = trail.tool(), trail.connect()
    assert tool.seal() == ("quiet", 0, False)
    for what in ("x", "ü\t{\"'", ""):
        trail.write(writer, what)
    assert tool.seal() == ("sealed", 1, False)
    trail.write(writer)
    trail.write(writer)
    tool.seal_all()
    stored = [tuple(bytes(part) for part in row) for row in trail.sql(
        "SELECT digests, lines_hmac, hmac FROM ops.audit_seal ORDER BY seal_id")]
    assert len(stored) == 2 and stored == expected_chain(trail)
    assert trail.seals() == {1: {1, 2, 3}, 2: {4, 5}}
    assert tool.verify() == ("whole", 0, 0) and tool.counts() == (2, 5, 0, 0)


def test_many_lines_become_seals_of_a_thousand(trail):
    trail.sql("INSERT INTO ops.audit (actor, action, object, outcome) "
              "SELECT 'a', 'b', 'c', 'd' FROM generate_series(1, 2500)")
    tool = trail.tool()
    tool.seal_all()
    assert [len(ids) for _, ids in sorted(trail.seals().items())] == [1000, 1000, 500]
    assert tool.counts() == (3, 2500, 0, 0)


# ---- commits in another order than ids ----


def test_a_line_that_is_committed_late_is_sealed_late_and_nobody_waits_for_it(trail):
    tool, slow, quick = trail.tool(), trail.connect(), trail.connect()
    late = trail.write(slow, "late", commit=False)
    others = [trail.write(quick) for _ in range(3)]
    assert tool.seal()[0] == "sealed"
    assert trail.seals()[1] == set(others) and trail.open() == {late}
    more = trail.write(quick)  # a long transaction keeps one id open, and delays nobody
    tool.seal()
    assert trail.seals()[2] == {more} and trail.open() == {late}
    assert tool.seal()[0] == "quiet" and tool.verify()[0] == "whole"
    slow.commit()
    tool.seal_all()
    assert [ids for _, ids in sorted(trail.seals().items())][2] == {late} and trail.open() == set()
    assert tool.verify() == ("whole", 0, 0) and tool.counts()[3] == 0


def test_the_id_of_a_transaction_that_was_rolled_back_is_closed(trail):
    tool, undone, quick = trail.tool(), trail.connect(), trail.connect()
    gone = trail.write(undone, commit=False)
    trail.write(quick)
    tool.seal()
    assert trail.open() == {gone}
    undone.rollback()
    tool.seal_all()
    assert trail.open() == set() and tool.verify()[0] == "whole"
    trail.tamper(f"INSERT INTO ops.audit (audit_id, actor, action, object, outcome) OVERRIDING SYSTEM VALUE "
                 f"VALUES ({gone}, 'a', 'b', 'c', 'd')")
    assert tool.seal()[0] == "quiet"
    assert tool.verify() == ("line_inserted", 0, gone)


def test_a_sealer_that_starts_anew_knows_which_ids_are_open(trail):
    slow = trail.connect()
    late = trail.write(slow, commit=False)
    trail.write()
    trail.tool().seal_all()
    other = trail.tool()
    trail.write()
    other.seal_all()
    assert trail.open() == {late}
    slow.commit()
    trail.tool().seal_all()
    assert late in set().union(*trail.seals().values()) and other.verify()[0] == "whole"


def test_lines_drawn_and_committed_in_every_order_are_sealed_once(trail):
    tools = [trail.tool(), trail.tool()]
    links = [trail.connect() for _ in range(4)]
    written, number = set(), 12345
    for turn in range(120):  # a small generator of its own: the same orders every time
        number = (number * 1103515245 + 12345) % 2**31
        link, act = links[number % 4], (number >> 8) % 8
        if act < 4:
            written.add((id(link), trail.write(link, commit=False)))
        elif act < 6:
            (link.commit if act == 4 else link.rollback)()
        else:
            tools[act - 6].seal()
    for link in links:
        link.commit()
    for tool in tools * 2:
        tool.seal_all()
    sealed = [number for ids in trail.seals().values() for number in ids]
    there = {row[0] for row in trail.sql("SELECT audit_id FROM ops.audit")}
    assert len(there) > 20 and sorted(sealed) == sorted(there) and trail.open() == set()
    assert tools[0].verify()[0] == "whole" and tools[1].verify()[0] == "whole"


def test_one_sealer_at_a_time(trail):
    trail.write()
    other = trail.connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7303)")
    tool = trail.tool()
    assert tool.seal() == ("busy", 0, False) and trail.seals() == {}
    other.rollback()
    assert tool.seal() == ("sealed", 1, False)


# ---- tampering ----


@pytest.fixture(scope="module")
def four_seals(build, postgres, schema_template, tmp_path_factory):
    """Four seals of two lines each, ids 1 to 8, and a copy of them."""
    database = postgres.create_database("audit_sealed", schema_template)
    trail = Trail(build, postgres, database, tmp_path_factory.mktemp("sealed"))
    tool, writer = trail.tool(), trail.connect()
    for _ in range(4):
        trail.write(writer)
        trail.write(writer)
        tool.seal_all()
    assert trail.seals() == {1: {1, 2}, 2: {3, 4}, 3: {5, 6}, 4: {7, 8}}
    assert tool.verify() == ("whole", 0, 0)
    trail.sql("CREATE SCHEMA kept; CREATE TABLE kept.audit AS TABLE ops.audit; "
              "CREATE TABLE kept.audit_seal AS TABLE ops.audit_seal")
    yield trail
    trail.close()
    postgres.drop_database(database)


@pytest.fixture
def sealed(four_seals):
    """The four seals as they were, whatever the test before did."""
    four_seals.tamper("DELETE FROM ops.audit", "DELETE FROM ops.audit_seal", "INSERT INTO ops.audit OVERRIDING SYSTEM "
                      "VALUE TABLE kept.audit", "INSERT INTO ops.audit_seal TABLE kept.audit_seal",
                      "SELECT setval('ops.audit_audit_id_seq', 8)")
    return four_seals


@pytest.mark.parametrize("change", [
    "at = at + interval '1 microsecond'", "actor = 'b'", "action = ''", "object = 'p'", "request_id = ''",
    "outcome = 'refused'", "details = '{\"status\": 200}'"])
def test_a_changed_line_is_named(sealed, change):
    sealed.tamper(f"UPDATE ops.audit SET {change} WHERE audit_id = 4")
    assert sealed.tool().verify() == ("line_changed", 2, 4)


def test_a_removed_line_is_named(sealed):
    sealed.tamper("DELETE FROM ops.audit WHERE audit_id = 5")
    assert sealed.tool().verify() == ("line_removed", 3, 5)


def test_a_line_with_another_id_is_named(sealed):
    sealed.tamper("DELETE FROM ops.audit WHERE audit_id = 6",
                  "UPDATE ops.audit_before SET audit_id = 6 WHERE audit_id = 5")
    assert sealed.tool().verify() == ("line_removed", 3, 5)


def test_lines_that_changed_places_are_named(sealed):
    sealed.tamper("UPDATE ops.audit_before SET audit_id = CASE audit_id WHEN 7 THEN -8 ELSE -7 END WHERE audit_id > 6",
                  "UPDATE ops.audit_before SET audit_id = -audit_id WHERE audit_id < 0")
    assert sealed.tool().verify() == ("line_changed", 4, 7)


@pytest.mark.parametrize("change", [
    "sealed_at = sealed_at + interval '1 microsecond'", "ids = '{[3,4)}'", "ids = '{[3,6)}'", "n_lines = 1", "top = 9",
    "open = '{[3,4)}'", "digests = digests || '\\x00'", "digests = substr(digests, 1, 8)", "lines_hmac = digests",
    "hmac = lines_hmac", "hmac = ''"])
def test_a_changed_seal_is_named(sealed, change):
    sealed.tamper(f"UPDATE ops.audit_seal SET {change} WHERE seal_id = 2")
    assert sealed.tool().verify() == ("seal_changed", 2, 0)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removed_seal_is_named(sealed, number):
    sealed.tamper(f"DELETE FROM ops.audit_seal WHERE seal_id = {number}")
    assert sealed.tool().verify() == ("seal_removed", number, 0)


def test_a_removed_seal_is_named_when_the_others_close_the_gap(sealed):
    sealed.tamper("DELETE FROM ops.audit_seal WHERE seal_id = 2",
                  "UPDATE ops.audit_seal SET seal_id = seal_id - 1 WHERE seal_id > 2")
    assert sealed.tool().verify() == ("seal_changed", 2, 0)


def test_seals_that_changed_places_are_named(sealed):
    sealed.tamper("UPDATE ops.audit_seal SET seal_id = CASE seal_id WHEN 2 THEN -3 ELSE -2 END WHERE seal_id IN (2, 3)",
                  "UPDATE ops.audit_seal SET seal_id = -seal_id WHERE seal_id < 0")
    assert sealed.tool().verify() == ("seal_changed", 2, 0)


def test_a_seal_of_another_key_is_named(sealed, tmp_path):
    assert sealed.tool(write_audit_key(str(tmp_path / "other.key"))).verify() == ("seal_foreign", 1, 0)


def test_a_forger_with_another_key_is_named(sealed, tmp_path):
    """The newest two seals made anew by somebody who has the database and not the key."""
    sealed.tamper("DELETE FROM ops.audit_seal WHERE seal_id > 2", "UPDATE ops.audit SET actor = 'b' WHERE audit_id = 7")
    sealed.tool(write_audit_key(str(tmp_path / "other.key"))).seal_all()
    assert sealed.tool().verify() == ("seal_foreign", 3, 0)


def test_an_older_key_verifies_what_it_sealed_and_the_newer_one_seals(sealed, tmp_path):
    with open(sealed.key_file, encoding="ascii") as file:
        keys = file.read() + "f" * 64 + "\n"
    longer = tmp_path / "longer.key"
    longer.write_text(keys)
    tool = sealed.tool(str(longer))
    sealed.write()
    tool.seal_all()
    assert len({row[0] for row in sealed.sql("SELECT key_id FROM ops.audit_seal")}) == 2
    assert tool.verify() == ("whole", 0, 0)
    assert expected_chain(sealed, longer)[-1][2] == bytes(sealed.sql(
        "SELECT hmac FROM ops.audit_seal ORDER BY seal_id DESC LIMIT 1")[0][0])


def head(trail):
    return trail.sql("SELECT seal_id || ':' || encode(hmac, 'hex') FROM ops.audit_seal ORDER BY seal_id DESC LIMIT 1")[0][0]


def test_a_tail_that_was_cut_off_is_found_by_who_noted_a_seal(sealed):
    known = head(sealed)
    assert sealed.tool().verify(known) == ("whole", 0, 0)
    sealed.tamper("DELETE FROM ops.audit_seal WHERE seal_id = 4", "DELETE FROM ops.audit WHERE audit_id > 6")
    assert sealed.tool().verify()[0] == "whole"  # what is left is whole: this cannot be seen from inside
    assert sealed.tool().verify(known) == ("chain_cut", 4, 0)


def test_a_tail_that_was_sealed_again_with_other_lines_is_found_by_who_noted_a_seal(sealed):
    known = head(sealed)
    sealed.tamper("DELETE FROM ops.audit_seal WHERE seal_id = 4", "UPDATE ops.audit SET actor = 'b' WHERE audit_id = 8")
    tool = sealed.tool()
    tool.seal_all()  # a sealer that has just started believes what it finds
    assert tool.verify()[0] == "whole" and tool.verify(known) == ("chain_cut", 4, 0)


def test_a_sealer_notices_that_the_tail_behind_it_was_cut_off_and_leaves_the_gap(sealed):
    tool = sealed.tool()
    sealed.write()
    assert tool.seal() == ("sealed", 5, False)
    sealed.tamper("DELETE FROM ops.audit_seal WHERE seal_id > 2", "UPDATE ops.audit SET actor = 'b' WHERE audit_id = 8")
    sealed.write()
    assert tool.seal() == ("sealed", 6, True)
    assert tool.verify() == ("seal_removed", 3, 0)


# ---- rights, months, retention ----


@pytest.mark.parametrize("user", ["revcycled", "revcycle_owner"])
@pytest.mark.parametrize("statement", [
    "UPDATE ops.audit SET actor = 'b'", "DELETE FROM ops.audit", "TRUNCATE ops.audit", "UPDATE ops.audit_seal SET top = 0",
    "DELETE FROM ops.audit_seal", "TRUNCATE ops.audit_seal", "UPDATE ops.audit_before SET actor = 'b'",
    "DELETE FROM ops.audit_other", "TRUNCATE ops.audit_before"])
def test_nobody_of_ours_may_change_or_remove(sealed, user, statement):
    link = sealed.connect(user)
    with link.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)


@pytest.mark.parametrize("statement", ["SELECT ops.audit_drop_month('audit_before')", "DROP TABLE ops.audit_before"])
def test_the_daemon_may_not_drop_months(sealed, statement):
    link = sealed.connect()
    with link.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)


def month_of(trail, month):
    """A partition for an old month like 2020-02, before which there is nothing; its name."""
    name = "audit_" + month.replace("-", "_")
    trail.sql(f"ALTER TABLE ops.audit DETACH PARTITION ops.audit_before; CREATE TABLE ops.{name} "
              f"PARTITION OF ops.audit FOR VALUES FROM ('{month}-01') TO ('{month}-28'); "
              f"ALTER TABLE ops.{name} OWNER TO revcycle_owner")
    return name


def test_retention_drops_a_sealed_month_and_keeps_its_seals(trail):
    name = month_of(trail, "2020-02")
    tool, owner = trail.tool(), trail.connect("revcycle_owner")

    def drop(month):
        with owner.cursor() as cursor:
            cursor.execute("SELECT ops.audit_drop_month(%s)", (month,))
            owner.commit()
    for _ in range(3):
        trail.sql("INSERT INTO ops.audit (at, actor, action, object, outcome) VALUES ('2020-02-03', 'a', 'b', 'c', 'd')")
        trail.write()
        tool.seal_all()
    trail.sql("INSERT INTO ops.audit (at, actor, action, object, outcome) VALUES ('2020-02-04', 'a', 'b', 'c', 'd')")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
        drop(name)
    owner.rollback()
    tool.seal_all()
    drop(name)
    tool.seal_all()
    assert trail.sql("SELECT count(*) FROM ops.audit WHERE at < '2021-01-01'") == [(0,)]
    assert tool.verify() == ("whole", 0, 0) and tool.counts() == (5, 4, 4, 0)
    assert trail.sql("SELECT actor, object, details FROM ops.audit WHERE action = 'audit.retire'") == [
        ("revcycle_owner", name, {"lines": 4, "ids": "{[1,2),[3,4),[5,6),[7,8)}"})]
    trail.tamper("DELETE FROM ops.audit WHERE audit_id = 4")
    assert tool.verify() == ("line_removed", 2, 4)
    with pytest.raises(psycopg2.errors.UndefinedObject):
        drop("token")


def test_a_trail_with_lines_is_taken_over_by_the_migration(build, postgres, empty_database, tmp_path):
    folder = os.path.join(ROOT, "storage", "sql", "migrations")
    link = postgres.connect(empty_database, "revcycle_owner")
    names = sorted(os.listdir(folder))
    with link, link.cursor() as cursor:
        cursor.execute("CREATE TABLE public.revcycle_migration (name text PRIMARY KEY)")
        for name in names:
            if name.startswith("0036"):
                cursor.execute("INSERT INTO ops.audit (actor, action, object, outcome, details) "
                               "SELECT 'a', 'b', 'c', 'd', jsonb_build_object('n', n) FROM generate_series(1, 1500) AS n")
                cursor.execute("SELECT nextval('ops.audit_audit_id_seq')")  # drawn and rolled back
                before = "SELECT md5(string_agg(a::text, '|' ORDER BY audit_id)) FROM ops.audit a"
                cursor.execute(before)
                expected = cursor.fetchone()
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                cursor.execute(file.read())
        cursor.execute(before)
        assert cursor.fetchone() == expected
    link.close()
    trail = Trail(build, postgres, empty_database, tmp_path)
    assert trail.write() == 1502
    tool = trail.tool()
    tool.seal_all()
    assert tool.verify() == ("whole", 0, 0) and tool.counts() == (2, 1501, 0, 0)
    trail.close()


# ---- the daemon ----

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
store: {{ dsn: "{dsn}" }}
audit: {{ key_file: "{key}" }}
workers: 1
timezone: America/New_York
""" + ABSENT_HOSPITAL


@pytest.fixture
def daemons(trail, binary, tmp_path):
    """Makes daemons on the trail's database, each with a configuration of its own."""
    made = []

    def make(environment=None):
        config = tmp_path / f"revcycled{len(made)}.yaml"
        daemon = Daemon(tmp_path / f"daemon{len(made)}", binary, str(config), environment)
        config.write_text(CONFIG.format(port=daemon.choose_port(), dsn=trail.dsn, key=trail.key_file))
        made.append(daemon)
        return daemon
    yield make
    for daemon in made:
        daemon.stop()


def eventually(what, limit_s=20):
    """The sealer works on a timer: asking again is the event there is."""
    end = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def metric(daemon, name):
    found = re.search(rf"^{name} (\S+)$", daemon.get("/metrics", token=None)[2], re.M)
    return float(found.group(1)) if found else None


def all_sealed(trail):
    return lambda: trail.sql("SELECT count(*) FROM ops.audit WHERE NOT audit_id <@ "
                             "(SELECT coalesce(range_agg(ids), '{}') FROM ops.audit_seal)")[0][0] == 0


def test_the_daemon_seals_within_seconds_and_says_so(trail, daemons):
    daemon = daemons()
    daemon.make_token("auditor", "admin")
    daemon.start()
    trail.write()
    eventually(all_sealed(trail))
    eventually(lambda: metric(daemon, "revcycle_audit_chain_ok") == 1)
    status, _, verdict = daemon.get("/v1/audit/verify")
    assert status == 200 and verdict["seals"] >= 1 and verdict["lines"] >= 1 and verdict["next"] is None
    assert metric(daemon, "revcycle_audit_last_seal") >= 1
    assert daemon.get(f"/v1/audit/verify?known={verdict['head']}")[0] == 200
    done = daemon.run("verify")
    assert done.returncode == 0 and verdict["head"].split(":")[1] in done.stdout
    number = int(verdict["head"].split(":")[0])
    assert daemon.get(f"/v1/audit/verify?from={number}")[2]["seals"] == 1
    assert daemon.get("/v1/audit/verify?known=1:abc")[0] == 400
    daemon.stop()
    assert all_sealed(trail)()
    heads = [line for line in daemon.log_lines() if line.get("message") == "audit trail sealed"]
    assert f"{heads[-1]['seal']}:{heads[-1]['hmac']}" == head(trail)


def test_pages_are_committed_while_a_seal_is_stuck_in_the_middle(make_feed, mariadb, tmp_path):
    """Its sealer has looked at the lines, holds what it holds, and waits for somebody; the time it may is five seconds."""
    feed = make_feed(mariadb, {"entity": "patients", "key": ["id"], "cursor": "changed", "reconcile": "0", "map": {
        "source_patient_id": "id", "first_name": "first", "source_modified_at": "changed"}})
    feed.top = {"audit": {"key_file": write_audit_key(str(tmp_path / "audit.key"))}}
    feed.write()
    feed.play("CREATE TABLE t (id int PRIMARY KEY, first varchar(40), changed datetime(6) NOT NULL DEFAULT "
              "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))", "INSERT INTO t (id, first) VALUES (1, 'Ann')")
    feed.daemon.start()

    def stuck():
        return feed.rows("SELECT pid, xact_start FROM pg_stat_activity WHERE application_name LIKE 'revcycled % sealer' "
                         "AND datname = current_database() AND wait_event_type = 'Lock'")

    def is_here(name):
        return feed.value("SELECT count(*) FROM silver.patients WHERE is_current AND first_name = %s", name)

    def is_committed_beside_it():
        seal = jobs.until(stuck, what="a seal is stuck")
        name = "Eva" if is_here("Ann") else "Ann"
        feed.play(f"UPDATE t SET first = '{name}'")
        jobs.until(lambda: is_here(name), what="the row has come")
        return stuck() == seal
    jobs.until(lambda: is_here("Ann"))
    with contextlib.closing(feed.store.connect(feed.database)) as link, link.cursor() as lock:
        lock.execute("LOCK TABLE ops.audit_seal IN SHARE ROW EXCLUSIVE MODE")  # the chain may be read
        jobs.until(is_committed_beside_it, what="a page is committed while one seal is stuck")
        link.rollback()
    jobs.until(lambda: feed.value("SELECT count(*) FROM ops.audit_seal"), what="it goes on")


def test_the_first_broken_link_is_named_and_alarms(trail, daemons):
    daemon = daemons()
    daemon.make_token("auditor", "admin")
    key = trail.write()
    trail.tool().seal_all()
    trail.tamper(f"UPDATE ops.audit SET actor = 'b' WHERE audit_id = {key}")
    daemon.start()
    eventually(lambda: metric(daemon, "revcycle_audit_chain_ok") == 0)
    status, _, problem = daemon.get("/v1/audit/verify")
    assert (status, problem["fault"], problem["seal"], problem["line"]) == (409, "line_changed", "1", str(key))
    assert f"line {key}" in problem["detail"]
    done = daemon.run("verify")
    assert done.returncode == 1 and f"line {key}, of seal 1, was changed" in done.stdout


def test_a_trail_that_is_cut_while_the_daemon_runs_alarms(trail, daemons):
    daemon = daemons()
    trail.write()
    daemon.start()
    eventually(all_sealed(trail))
    eventually(lambda: metric(daemon, "revcycle_audit_chain_ok") == 1)
    trail.tamper("DELETE FROM ops.audit_seal")
    trail.write()
    eventually(lambda: metric(daemon, "revcycle_audit_chain_ok") == 0)
    eventually(all_sealed(trail))
    assert trail.tool().verify() == ("seal_removed", 1, 0)


def test_two_daemons_seal_one_trail(trail, daemons):
    first, second = daemons(), daemons()
    first.start()
    second.start()
    links = [trail.connect() for _ in range(4)]
    for number in range(200):
        trail.write(links[number % 4], commit=number % 3 > 0)
    for link in links:
        link.commit()
    eventually(all_sealed(trail))
    assert trail.tool().verify()[0] == "whole"
    sealed = [number for ids in trail.seals().values() for number in ids]
    assert len(sealed) == len(set(sealed))


@pytest.mark.parametrize("name", ["seal.before_commit", "seal.after_commit"])
def test_a_daemon_that_is_killed_at_a_seal_leaves_a_whole_chain(trail, daemons, name):
    daemon = daemons({"REVCYCLED_FAILPOINT": name})
    trail.write()
    daemon.begin_once()
    assert daemon.end_once(timeout=60) == -signal.SIGKILL
    assert len(trail.seals()) == (name == "seal.after_commit")
    trail.write()
    daemons().once(timeout=60)
    assert all_sealed(trail)() and trail.tool().verify()[0] == "whole"


def test_without_a_key_nothing_is_sealed_and_everyone_says_so(trail, daemons):
    daemon = daemons()
    with open(daemon.config, encoding="utf-8") as file:
        text = file.read()
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write("\n".join(line for line in text.splitlines() if not line.startswith("audit:")))
    daemon.make_token("auditor", "admin")
    daemon.start()
    status, _, problem = daemon.get("/v1/audit/verify")
    assert status == 409 and "audit.key_file" in problem["detail"]
    assert metric(daemon, "revcycle_audit_chain_ok") is None
    assert any("not sealed" in line.get("message", "") for line in daemon.log_lines())
    assert daemon.run("verify").returncode == 2


@pytest.mark.parametrize("content", ["", "short\n", "a" * 64 + "\nshort\n"])
def test_a_key_that_is_none_is_refused_at_the_start(trail, daemons, content):
    daemon = daemons()
    with open(trail.key_file, "w", encoding="ascii") as file:
        file.write(content)
    done = daemon.once(timeout=60)
    assert done.returncode == 1 and "audit key file" in done.stderr and "openssl rand" in done.stderr


def test_the_trail_is_read_by_who_since_when_and_object(trail, daemons):
    daemon = daemons()
    daemon.make_token("auditor", "admin")
    daemon.start()
    trail.sql("INSERT INTO ops.audit (at, actor, action, object, outcome, details) SELECT '2020-01-01'::timestamptz + "
              "make_interval(days => n), 'actor' || n % 2, 'act', 'thing' || n % 3, 'done', '{\"n\": 1}' "
              "FROM generate_series(1, 12) AS n")
    page = daemon.get("/v1/audit?who=actor1&limit=4")[2]
    assert [item["at"][:10] for item in page["items"]] == ["2020-01-12", "2020-01-10", "2020-01-08", "2020-01-06"]
    assert page["items"][0] == {
        "id": page["items"][0]["id"], "at": "2020-01-12T00:00:00.000000Z", "who": "actor1", "action": "act",
        "object": "thing2", "request_id": None, "outcome": "done", "details": {"n": 1}}
    rest = daemon.get(f"/v1/audit?who=actor1&cursor={page['next_cursor']}")[2]
    assert len(rest["items"]) == 2 and rest["next_cursor"] is None
    found = daemon.get("/v1/audit?object=thing0&since=2020-01-07T00:00:00Z&who=actor0")[2]["items"]
    assert [item["at"][:10] for item in found] == ["2020-01-13", "2020-01-07"]
    assert daemon.get("/v1/audit?since=soon")[0] == 400
    assert daemon.get("/v1/audit", token=daemon.make_token("reader", "read,operate,phi"))[0] in (401, 403)


def test_a_quiet_daemon_asks_one_short_question_a_second(trail, daemons):
    daemon = daemons()
    daemon.start()
    eventually(lambda: metric(daemon, "revcycle_audit_chain_ok") == 1)
    eventually(all_sealed(trail))
    pid = trail.sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'revcycled % sealer'")[0][0]

    def asked():
        return trail.sql("SELECT query_start, query FROM pg_stat_activity WHERE pid = %s", pid)[0]
    seen = {}
    end = time.monotonic() + 4
    while time.monotonic() < end:
        start, query = asked()
        seen[start] = query
        time.sleep(0.02)
    later = list(seen.values())[1:]  # the first may be the end of what was done before
    assert 2 <= len(later) <= 6 and all("audit_audit_id_seq" in query for query in later), later
