"""Reconciles of one table: what is deleted without asking, and what is a difference only at the first look."""
import contextlib
import hashlib
import itertools

import pytest

from harness import jobs

FEED = {"entity": "departments", "key": ["id"], "cursor": "changed", "every": "12h", "map": {
    "source_department_id": "id", "name": "label"}}
TABLE = ("CREATE TABLE t (id int PRIMARY KEY, label varchar(40), body longtext, "
         "changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed)")
QUIETLY = "SET timestamp = 978307200"  # what is written then moves no cursor
N = 40


@pytest.fixture
def table(make_feed, mariadb):
    """A hospital of one table, loaded: table(settings of the feed, text of every row's body)."""
    def load(settings=None, body="''", columns=(), digits=6):
        feed = make_feed(mariadb, {**FEED, **(settings or {})})
        feed.play(", ".join([TABLE.replace("(6)", f"({digits})"), *columns]) + ")", QUIETLY, *(f"INSERT INTO t (id, label, body) VALUES ({i}, 'old', {body})" for i in range(N)))
        feed.once()
        assert len(names(feed)) == N
        return feed
    return load


def names(feed):
    return dict(feed.rows("SELECT source_department_id, name FROM silver.departments WHERE source_system = 'h' "
                          "AND NOT is_deleted AND source_hash IS NOT NULL"))


def reconcile(feed, *arguments):
    """Its exit code, what it said, and the differences that it told: (missing, differing, gone)."""
    done = feed.daemon.run("reconcile", "h.f", *arguments, timeout=120)
    details = feed.value("SELECT details FROM ops.reconciliation ORDER BY reconciliation_id DESC LIMIT 1")
    return done.returncode, done.stdout + done.stderr, tuple(details[name] for name in ("missing", "differing", "gone"))


@pytest.mark.parametrize("gone, share, rows, is_held", [(4, 10, 1, False), (5, 10, 1, True), (5, 0, 5, False), (6, 0, 5, True)])
def test_few_deletes_and_a_small_share_of_all_are_not_asked_about(table, gone, share, rows, is_held):
    feed = table({"delete_share": share, "delete_rows": rows})
    feed.play(f"DELETE FROM t WHERE id < {gone}")
    code, said, found = reconcile(feed, "--repair")
    assert found == (0, 0, gone)
    assert code == (3 if is_held else 0), said
    assert len(names(feed)) == (N if is_held else N - gone)


def test_a_change_that_comes_between_is_the_polls_and_no_difference(table):
    """Its cursor tells it: the poll before the second look has it."""
    feed = table()
    feed.daemon.arguments = ["reconcile", "h.f"]
    feed.daemon.start_until("extract.before_remember")  # the first poll is over
    feed.play("UPDATE t SET label = 'new' WHERE id = 7")
    feed.daemon.go_on()
    assert feed.daemon.end_once(60) == 0
    assert names(feed)["7"] == "new"
    assert feed.value("SELECT differences FROM ops.reconciliation ORDER BY reconciliation_id DESC LIMIT 1") == 0


def bucket_of(*texts):
    """Rules, section 2: SHA-256 over the texts, each with its length; the first 12 bits are the bucket."""
    rendered = "".join("-" if text is None else f"{len(text)}:{text}" for text in texts)
    return int.from_bytes(hashlib.sha256(rendered.encode()).digest()[:2], "big") >> 4


def test_a_change_that_stays_in_its_bucket_is_found(table):
    """No bucket has a row more on one side: it is their sums that differ."""
    feed = table()
    rest = ("", "2001-01-01 00:00:00.000000")
    feed.play("UPDATE t SET label = 'one', changed = '2001-01-01' WHERE id = 7")
    assert reconcile(feed, "--repair")[2] == (0, 1, 0)
    other = next(label for label in (f"o{n}" for n in itertools.count())
                 if bucket_of("7", label, *rest) == bucket_of("7", "one", *rest))
    feed.play(f"UPDATE t SET label = '{other}', changed = '2001-01-01' WHERE id = 7")
    code, said, found = reconcile(feed, "--repair")
    assert (code, found) == (0, (0, 1, 0)), said
    assert feed.value("SELECT details->>'buckets' FROM ops.reconciliation ORDER BY reconciliation_id DESC LIMIT 1") == "1"
    assert names(feed)["7"] == other


def test_rows_that_no_answer_holds_together_are_asked_for_in_parts(table):
    """What an answer was cut before is neither passed over nor taken for gone."""
    feed = table({"page_bytes": "64KiB", "delete_share": 100}, "REPEAT('x', 10000)")
    feed.play(QUIETLY, "UPDATE t SET label = 'new'")
    code, said, found = reconcile(feed, "--repair")
    assert (code, found) == (0, (0, N, 0)), said
    assert names(feed) == {str(i): "new" for i in range(N)}


PACKET = 1 << 20


@contextlib.contextmanager
def packet_of(server, size):
    """The server's max_allowed_packet for connections from now on: what its functions make is NULL beyond."""
    with contextlib.closing(server.connect()) as link, link.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        usual = cursor.fetchone()[0]
        cursor.execute("SET GLOBAL max_allowed_packet = %s", (size,))
        try:
            yield
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = %s", (usual,))


LONG = {"body": f"REPEAT('x', {PACKET})", "bytes": f"REPEAT(X'AB', {PACKET})", "half": f"REPEAT(X'AB', {PACKET // 2 + 1})",
        "latin": f"REPEAT(_latin1 X'FC', {PACKET})"}


def test_values_that_the_server_cannot_join_to_others_are_compared_all_the_same(source_server, make_feed):
    """With a prefix, or as digits, each is NULL there: what came in a NULL's place was equal to it, and what was there
    before was shipped at every reconcile."""
    feed = make_feed(source_server, {**FEED, "page_bytes": "8MiB"})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, label varchar(40), body longtext, bytes longblob, half mediumblob, "
              "latin mediumtext CHARACTER SET latin1, KEY (changed), "
              "changed datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
              QUIETLY, *(f"INSERT INTO t (id, label) VALUES ({i}, 'old')" for i in range(N)))
    with packet_of(source_server, PACKET):
        feed.once()
        feed.play(QUIETLY, *(f"UPDATE t SET {column} = {value} WHERE id = {i}"
                             for i, (column, value) in enumerate(LONG.items())))
        code, said, found = reconcile(feed, "--repair")
        assert (code, found) == (0, (0, len(LONG), 0)), said
        for change in (), [f"UPDATE t SET {column} = CONCAT(LEFT({column}, CHAR_LENGTH({column}) - 1), 'z') WHERE id = {i}"
                           for i, column in enumerate(LONG)]:
            feed.play(QUIETLY, *change)
            code, said, found = reconcile(feed, "--repair")
            assert (code, found) == (0, (0, len(change), 0)), said
            shipped = feed.value("SELECT details->>'rows_shipped' FROM ops.reconciliation ORDER BY reconciliation_id DESC LIMIT 1")
            assert change or shipped == "0", "what is no difference stays where it is"


def test_a_long_value_does_not_hold_the_cursor(table):
    """Rows of a coarse cursor are known by their hash while they are not committed, too."""
    feed = table({"page_bytes": "8MiB"}, columns=["bytes mediumblob"], digits=0)
    with packet_of(feed.server, PACKET):
        feed.daemon.make_token()
        feed.daemon.start()
        jobs.await_quiet(feed.daemon)
        feed.play(f"UPDATE t SET bytes = {LONG['half']} WHERE id = 7", "UPDATE t SET label = 'last' WHERE id = 8")
        assert jobs.run_job(feed.daemon, "h.f")["state"] == "succeeded"
        jobs.until(lambda: names(feed)["8"] == "last")
        watermark = feed.daemon.get("/v1/feeds/h.f")[2]["watermark"]
        assert (watermark["quality"], watermark["held_by"]) == ("proven", None)


def test_a_row_too_long_for_the_servers_hash_is_found_missing(table):
    """The server joins no texts to more than its packet, and has no hash of a row whose many values are longer."""
    many = [f"c{i}" for i in range(20)]
    feed = table(columns=[f"{name} varchar(1000) CHARACTER SET latin1" for name in many])
    with packet_of(feed.server, 16 << 10):
        feed.play(QUIETLY, f"INSERT INTO t (id, label, {', '.join(many)}) VALUES (99, 'long'{', REPEAT(7, 1000)' * 20})")
        code, said, found = reconcile(feed, "--repair")
    assert (code, found) == (0, (1, 0, 0)), said
    assert names(feed)["99"] == "long"


@pytest.mark.parametrize("contract", ["evolve", "discard"])
def test_a_column_that_came_since_is_no_difference(table, contract):
    """Both sides go by the columns that are read: with it once all was read anew, or without it."""
    feed = table({"on_new_column": contract})
    feed.play("ALTER TABLE t ADD COLUMN extra int DEFAULT 1")
    code, said, found = reconcile(feed)
    assert (code, found) == (0, (0, 0, 0)), said
    assert "no difference" in said


def test_rows_are_found_by_their_ids_when_their_key_is_called_otherwise_now(table):
    """What was received of them names the key as it was; nothing was received since, for nothing else changed."""
    feed = table({"delete_share": 0, "delete_rows": 1, "on_missing_column": "evolve"})
    feed.play("ALTER TABLE t RENAME COLUMN id TO nr")
    feed.write(key=["nr"], map={"source_department_id": "nr", "name": "label"})
    feed.once()
    feed.daemon.make_token()
    feed.daemon.start()
    jobs.await_quiet(feed.daemon)
    feed.play("CREATE TABLE kept AS SELECT * FROM t WHERE nr = 3", "DELETE FROM t WHERE nr < 4")
    run = jobs.run_job(feed.daemon, "h.f", mode="reconcile")
    assert run["state"] == "held" and "lacks 4 of 40 rows" in run["error"]["detail"]
    feed.play("INSERT INTO t SELECT * FROM kept")
    assert feed.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 202
    jobs.until(lambda: feed.daemon.get(f"/v1/runs/{run['id']}")[2]["state"] == "succeeded")
    assert names(feed).keys() == {str(i) for i in range(3, N)}


def test_who_approves_deletions_does_not_vouch_for_the_server(table):
    """The next reconcile that lacks rows asks again, for another server answers still."""
    feed = table({"delete_share": 0, "delete_rows": 1})
    assert reconcile(feed)[0] == 0
    feed.daemon.make_token()
    feed.daemon.start()
    jobs.await_quiet(feed.daemon)
    feed.store.execute("UPDATE ops.source_server SET server = 'elsewhere'", feed.database)
    feed.play("DELETE FROM t WHERE id IN (1, 2)")
    run = jobs.run_job(feed.daemon, "h.f", mode="reconcile")
    assert run["state"] == "held" and "another server answers" in run["error"]["detail"]
    assert feed.daemon.post(f"/v1/runs/{run['id']}/approve")[0] == 202
    jobs.until(lambda: feed.daemon.get(f"/v1/runs/{run['id']}")[2]["state"] == "succeeded")
    assert len(names(feed)) == N - 2
    feed.play("DELETE FROM t WHERE id = 3")
    assert jobs.run_job(feed.daemon, "h.f", mode="reconcile")["state"] == "held"
    assert len(names(feed)) == N - 2


def test_a_reconcile_comes_by_its_schedule(table):
    feed = table({"reconcile": "1s"})
    feed.daemon.make_token()
    feed.daemon.start()
    jobs.await_quiet(feed.daemon)
    feed.play("DELETE FROM t WHERE id = 7")
    jobs.until(lambda: names(feed).keys() == {str(i) for i in range(N) if i != 7}, what="nobody asked for it")


def test_a_dismissed_row_that_a_mended_mapping_takes_is_found(make_feed, mariadb):
    """It is cleaned again with no other entry, and no poll reads it any more."""
    feed = make_feed(mariadb, {"entity": "transactions", "key": ["id"], "cursor": "changed", "every": "12h",
                               "map": {"source_transaction_id": "id", "amount": "amount"}})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, amount varchar(9), changed datetime(6) NOT NULL DEFAULT "
              "CURRENT_TIMESTAMP(6), KEY (changed))", QUIETLY, "INSERT INTO t (id, amount) VALUES (1, '1.00'), (2, 'two')")
    entries = "SELECT natural_key, state FROM dq.quarantine"
    feed.once()
    feed.store.execute("UPDATE dq.quarantine SET state = 'dismissed'", feed.database)
    feed.once()
    assert feed.rows(entries) == [("2", "dismissed")]
    feed.write(map={"source_transaction_id": "id"})
    feed.once()
    assert feed.rows("SELECT source_transaction_id FROM silver.transactions WHERE source_system = 'h' ORDER BY 1") == [("1",), ("2",)]
    assert [state for _, state in feed.rows(entries)] in (["replayed"], ["superseded"])


def test_a_row_that_another_ones_id_kept_out_comes_when_that_one_goes(make_feed, mariadb):
    """Nothing moved its cursor, and its content is known: as an entry of quarantine."""
    feed = make_feed(mariadb, {**FEED, "key": ["k"], "map": {"source_department_id": "k", "name": "label"}})
    feed.play("CREATE TABLE t (k varchar(8) COLLATE utf8mb4_nopad_bin PRIMARY KEY, label varchar(40), changed datetime(6) NOT "
              "NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (changed))", QUIETLY,
              "INSERT INTO t (k, label) VALUES ('q', 'one'), (' q', 'two'), ('r', 'three')")
    entries = "SELECT natural_key, state FROM dq.quarantine WHERE rule = 'key_collision'"
    feed.once()
    assert names(feed) == {"q": "one", "r": "three"} and feed.rows(entries) == [('" q"', "open")]
    feed.play("DELETE FROM t WHERE k = 'q'")
    feed.once()
    assert names(feed) == {"q": "two", "r": "three"}
    assert "open" not in [state for _, state in feed.rows(entries)]
