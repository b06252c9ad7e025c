"""Every type of MySQL's, read from a MariaDB and from a MySQL, each value against what it must arrive as.

What must arrive is written down here or computed by Python, never taken from the daemon."""
import contextlib
import decimal
import struct

import pytest

FEED = {"entity": "transactions", "key": ["id"], "map": {"source_transaction_id": "id"}}


def single(value):
    """A FLOAT holds the nearest single; as a DOUBLE it is that number to its last digit."""
    return struct.unpack("f", struct.pack("f", value))[0]


def hexed(value):
    return value.hex().upper()


# name, type, [(what the hospital wrote as SQL, what must arrive)]; texts as they are, None for NULL
NUMBERS = [
    ("tinyint", "tinyint", [("-128", "-128"), ("127", "127"), ("NULL", None)]),
    ("tinyint_u", "tinyint unsigned", [("0", "0"), ("255", "255")]),
    ("tinyint_1", "tinyint(1)", [("1", "1"), ("5", "5"), ("-128", "-128")]),
    ("bool", "boolean", [("TRUE", "1"), ("FALSE", "0")]),
    ("smallint", "smallint", [("-32768", "-32768"), ("32767", "32767")]),
    ("smallint_u", "smallint unsigned", [("65535", "65535")]),
    ("mediumint", "mediumint", [("-8388608", "-8388608"), ("8388607", "8388607")]),
    ("mediumint_u", "mediumint unsigned", [("16777215", "16777215")]),
    ("int", "int", [("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    ("int_u", "int unsigned", [("4294967295", "4294967295")]),
    ("int_z", "int(7) zerofill", [("42", "0000042")]),
    ("bigint", "bigint", [("-9223372036854775808", str(-2 ** 63)), ("9223372036854775807", str(2 ** 63 - 1))]),
    ("bigint_u", "bigint unsigned", [("18446744073709551615", str(2 ** 64 - 1)), ("0", "0")]),
    ("decimal_65", "decimal(65,30)", [("9" * 35 + "." + "9" * 30, "9" * 35 + "." + "9" * 30),
                                      ("-0." + "0" * 29 + "1", "-0." + "0" * 29 + "1"), ("1", "1." + "0" * 30)]),
    ("decimal_money", "decimal(14,2)", [("999999999999.99", "999999999999.99"), ("-0.01", "-0.01")]),
    ("decimal_0", "decimal(20,0)", [("99999999999999999999", "9" * 20)]),
    ("bit_1", "bit(1)", [("b'1'", "1"), ("b'0'", "0")]),
    ("bit_8", "bit(8)", [("b'10100101'", "165")]),
    ("bit_64", "bit(64)", [("X'FFFFFFFFFFFFFFFF'", str(2 ** 64 - 1)), ("X'8000000000000000'", str(2 ** 63))]),
    ("year", "year", [("2026", "2026"), ("1901", "1901"), ("2155", "2155"), ("0", "0000")]),
]
# compared as numbers: how many digits a server prints is its own affair
DOUBLES = [
    ("float", "float", [("12345.67", single(12345.67)), ("123456.78", single(123456.78)), ("-0.1", single(-0.1)),
                        ("131071.99", single(131071.99))]),
    ("double", "double", [("12345.67", 12345.67), ("1e300", 1e300), ("-1.5e-10", -1.5e-10),
                          ("9007199254740993", 9007199254740992.0)]),
]
TIMES = [
    ("date", "date", [("'2026-02-28'", "2026-02-28"), ("'0000-00-00'", "0000-00-00"), ("'2026-00-00'", "2026-00-00"),
                      ("'2026-02-00'", "2026-02-00"), ("'1000-01-01'", "1000-01-01"), ("'1899-12-31'", "1899-12-31"),
                      ("'9999-12-31'", "9999-12-31"), ("NULL", None)]),
    ("datetime", "datetime", [("'2026-02-28 23:59:59'", "2026-02-28 23:59:59"),
                              ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
                              ("'1753-01-01 00:00:00'", "1753-01-01 00:00:00"),
                              ("'2262-04-12 00:00:00'", "2262-04-12 00:00:00")]),
    ("datetime_3", "datetime(3)", [("'2026-02-28 12:00:00.123'", "2026-02-28 12:00:00.123")]),
    ("datetime_6", "datetime(6)", [("'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
                                   ("'2026-00-00 00:00:00'", "2026-00-00 00:00:00.000000")]),
    # written in a session whose zone is UTC
    ("timestamp", "timestamp NULL", [("'1970-01-01 00:00:01'", "1970-01-01 00:00:01"),
                                     ("'2038-01-19 03:14:07'", "2038-01-19 03:14:07"),
                                     ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"), ("NULL", None)]),
    ("timestamp_6", "timestamp(6) NULL", [("'2026-07-01 12:00:00.000001'", "2026-07-01 12:00:00.000001")]),
    ("time", "time", [("'838:59:59'", "838:59:59"), ("'-838:59:59'", "-838:59:59"), ("'25:00:00'", "25:00:00")]),
    ("time_6", "time(6)", [("'25:00:00.000001'", "25:00:00.000001")]),
]
LATIN1 = bytes(code for code in range(0xA0, 0x100))
TEXTS = [
    ("char", "char(5)", [("'ab'", "ab"), ("''", ""), ("NULL", None)]),
    ("varchar", "varchar(100)", [("'  both ends  '", "  both ends  "), ("''", ""), ("'NULL'", "NULL"),
                                 (r"'\\N'", "\\N"), (r"'tab\there\nand\\slash\r'", "tab\there\nand\\slash\r")]),
    ("nul_bytes", "varchar(20)", [("X'610062'", "a\\x00b"), ("X'00'", "\\x00")]),
    ("text", "text", [("REPEAT('x', 60000)", "x" * 60000)]),
    ("utf8mb4", "varchar(20) CHARACTER SET utf8mb4", [("_utf8mb4 X'F09F98803FC3A9'", "\U0001F600?é")]),
    ("utf8mb3", "varchar(20) CHARACTER SET utf8mb3", [("'Žluťoučký'", "Žluťoučký")]),
    ("latin1", "varchar(200) CHARACTER SET latin1",
     [("_latin1 X'" + LATIN1.hex() + "'", LATIN1.decode("latin-1")),
      ("_latin1 X'80'", "€"),  # MySQL's latin1 is cp1252, and where that has no letter, the code itself
      ("_latin1 X'81'", "\x81")]),
    ("ucs2", "varchar(20) CHARACTER SET ucs2", [("'Ünï'", "Ünï")]),
    ("enum", "enum('small','large','x,y')", [("'large'", "large"), ("'x,y'", "x,y"), ("'no such'", ""),
                                             ("NULL", None)]),
    ("set", "set('a','b','c')", [("'c,a'", "a,c"), ("''", "")]),
    ("json", "json", [("'{\"a\": [1, \"\\\\u00e9\"]}'", None)]),  # looked at below
]
BINARIES = [
    ("binary", "binary(4)", [("X'01'", "01000000"), ("X'FFFEFD00'", "FFFEFD00")]),
    ("varbinary", "varbinary(20)", [("X''", ""), ("X'00FF'", "00FF"), ("X'C328'", "C328"), ("NULL", None)]),
    ("tinyblob", "tinyblob", [("X'00'", "00")]),
    ("blob", "blob", [("X'" + bytes(range(256)).hex() + "'", hexed(bytes(range(256))))]),
    ("longblob", "longblob", [("X'DEADBEEF'", "DEADBEEF")]),
    ("bin_text", "varchar(20) CHARACTER SET binary", [("'abc'", "616263")]),
    # MySQL's own form: SRID, then well-known binary
    ("point", "point", [("ST_GeomFromText('POINT(1 2)')", hexed(struct.pack("<IBIdd", 0, 1, 1, 1.0, 2.0)))]),
    ("linestring", "linestring",
     [("ST_GeomFromText('LINESTRING(0 0, 1 1)')", hexed(struct.pack("<IBIIdddd", 0, 1, 2, 2, 0, 0, 1, 1)))]),
]
GENERATED = [
    ("stored", "int GENERATED ALWAYS AS (`int` DIV 2) STORED", [("DEFAULT", str(-2 ** 31 // 2)), ("DEFAULT", str((2 ** 31 - 1) // 2))]),
    ("virtual_", "varchar(30) GENERATED ALWAYS AS (CONCAT('<', `varchar`, '>')) VIRTUAL",
     [("DEFAULT", "<  both ends  >"), ("DEFAULT", "<>")]),
]
# What one of the two has alone.
ONLY = {
    "MariaDB": [("uuid", "uuid", [("'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")]),
                ("inet6", "inet6", [("'2001:db8::ff'", "2001:db8::ff")])],
    "MySQL": [("vector", "vector(2)", [("STRING_TO_VECTOR('[1, -2]')", hexed(struct.pack("<ff", 1.0, -2.0)))])],
}


def columns_of(server):
    return NUMBERS + DOUBLES + TIMES + TEXTS + BINARIES + GENERATED + ONLY[server.name]


@pytest.fixture
def typed(source_server, make_feed):
    """One table with a column of every type; row n holds the n-th value of each."""
    feed = make_feed(source_server, FEED)
    columns = columns_of(source_server)
    feed.play("CREATE TABLE t (id int PRIMARY KEY, " + ", ".join(f"`{name}` {kind}" for name, kind, _ in columns) + ")")
    for row in range(max(len(values) for _, _, values in columns)):
        given = [(f"`{name}`", values[row][0]) for name, _, values in columns if row < len(values)]
        feed.play("SET time_zone = '+00:00'",
                  f"INSERT INTO t (id, {', '.join(name for name, _ in given)}) VALUES ({row}, "
                  f"{', '.join(value for _, value in given)})")
    return feed


def test_every_value_of_every_type_arrives(typed, source_server):
    typed.once()
    bronze = {int(row["id"]): row for row in typed.bronze()}
    wrong = []
    for name, kind, values in columns_of(source_server):
        for row, (_, expected) in enumerate(values):
            got = bronze[row][name]
            if name == "json" or (isinstance(expected, float) and float(got) == expected):
                continue
            if got != expected:
                wrong.append((name, kind, row, expected, got))
    assert wrong == []
    assert bronze[0]["json"].replace("\\u00e9", "é") == '{"a": [1, "é"]}'
    # what was not given is NULL, and NULL is not the empty text
    assert bronze[7]["varchar"] is None and bronze[1]["varchar"] == ""
    assert typed.value("SELECT count(*) FROM silver.transactions") == len(bronze)
    changed = typed.value("SELECT sum(rows_changed) FROM ops.batch WHERE feed = 'h.f'")
    typed.once()  # a second reading finds every row as it was
    assert typed.value("SELECT sum(rows_changed) FROM ops.batch WHERE feed = 'h.f'") == changed
    assert len(typed.bronze()) == len(bronze)


def test_the_types_are_named_where_people_look(typed):
    typed.once()
    types = dict(typed.rows("SELECT unnest(columns), unnest(types) FROM ops.feed_schema WHERE feed = 'h.f'"))
    assert types["bigint_u"] == "bigint unsigned" and types["int"] == "int" and types["tinyint_1"] == "tinyint"
    assert types["decimal_65"] == "decimal(65,30)" and types["datetime_3"] == "datetime(3)"
    assert types["latin1"].startswith("varchar(200) latin1_")


# -- what silver makes of them

MONEY = "999999999999.99"
SILVER = [
    # id, service date, modified, amount, -> date, modified (instant UTC), amount, flags or the rule of quarantine
    (1, "'2026-02-28'", "'2026-07-01 12:00:00.000001'", MONEY, "2026-02-28", "2026-07-01 17:00:00.000001+00", MONEY, []),
    (2, "'0000-00-00'", "'0000-00-00 00:00:00'", "1.00", None, None, "1.00", ["date_invalid"]),
    (3, "'2026-00-00'", "'2026-01-01 00:00:00'", "0.01", None, "2026-01-01 06:00:00+00", "0.01", ["date_invalid"]),
    (4, "'1899-12-31'", "'1753-01-01 00:00:00'", "2.50", "1899-12-31", None, "2.50", []),
    (5, "'9999-12-31'", "'2262-04-12 00:00:00'", "1.00", "9999-12-31", "2262-04-12 05:00:00+00", "1.00", []),
    (6, "NULL", "NULL", "NULL", None, None, None, []),
    (7, "'2026-01-01'", "NULL", "1000000000000.00", None, None, None, "amount_unreadable"),
]


def test_a_value_that_cannot_be_represented_is_null_with_a_reason_and_kept_as_it_came(source_server, make_feed):
    feed = make_feed(source_server, {**FEED, "map": {
        "source_transaction_id": "id", "service_date": "day", "source_modified_at": "changed", "amount": "amount",
        "visit_type": {"from": "word", "clean": ["trim"]}}})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, day date, changed datetime(6), amount decimal(65,30), word varchar(9))")
    for row in SILVER:
        feed.play(f"INSERT INTO t VALUES ({row[0]}, {row[1]}, {row[2]}, {row[3]}, X'610062')")
    feed.once()
    silver = {int(key): rest for key, *rest in feed.rows(
        "SELECT source_transaction_id, service_date::text, to_char(source_modified_at AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD HH24:MI:SS.US'), amount, dq_flags, visit_type FROM silver.transactions")}
    held = {int(key): rule for key, rule in feed.rows("SELECT natural_key, rule FROM dq.quarantine WHERE feed = 'h.f'")}
    for key, day, changed, _, want_day, want_changed, want_amount, flags in SILVER:
        if isinstance(flags, str):
            assert held[key] == flags and key not in silver
            continue
        got_day, got_changed, got_amount, got_flags, word = silver[key]
        assert got_day == want_day, key
        assert got_amount == (None if want_amount is None else decimal.Decimal(want_amount)), key
        if want_changed:  # local mean time before the zones is no rule of ours to test
            assert got_changed == want_changed.removesuffix("+00") + (".000000" if "." not in want_changed else ""), key
        assert set(flags) <= set(got_flags) and "text_repaired" in got_flags, key
        assert ("date_invalid" in got_flags) == ("date_invalid" in flags), (key, got_flags)
        assert word == "ab", (key, word)  # a NUL byte stands in no text of PostgreSQL's
    raw = {row["id"]: row for row in feed.bronze()}
    assert raw["2"]["day"] == "0000-00-00" and raw["3"]["day"] == "2026-00-00" and raw["1"]["word"] == "a\\x00b"
    assert raw["7"]["amount"] == "1000000000000." + "0" * 30


@pytest.mark.parametrize("kind", ["float", "double"])
def test_money_in_binary_numbers_is_right_to_the_cent(source_server, make_feed, kind):
    feed = make_feed(source_server, {**FEED, "map": {"source_transaction_id": "id", "amount": "amount"}})
    cents = [1, 10, 29, 33, 57, 99, 101, 1999, 123456, 999999, 1234567, 9999999, 13107199]
    feed.play(f"CREATE TABLE t (id int PRIMARY KEY, amount {kind})",
              *((f"INSERT INTO t VALUES ({cent}, {cent / 100!r})") for cent in cents))
    feed.once()
    assert dict(feed.rows("SELECT source_transaction_id::int, (amount * 100)::int FROM silver.transactions")) == {
        cent: cent for cent in cents}


# -- keys: a page ends anywhere, and the next begins where the server's order goes on

KEYS = [
    ("text_ci", "k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY", ["k"],
     ["'a'", "'B'", "'c'", "'Z'", "'z1'", "'_x'", "'1'", "' 10'", "'É'", "'~'", "'ß'", "'ab'", "'a b'", "'-'"]),
    ("latin1_ci", "k varchar(20) CHARACTER SET latin1 PRIMARY KEY", ["k"],
     ["'a'", "'B'", "'Ä'", "'z'", "'É'", "_latin1 X'81'", "'ÿ'", "'1'", "'_'", "'ö'"]),
    ("text_bin", "k varchar(20) COLLATE utf8mb4_bin PRIMARY KEY", ["k"],
     ["'a'", "'A'", "'B'", "'b'", "''", "_utf8mb4 X'F09F9880'", "'~'", "'é'"]),
    ("composite", "a int, k varchar(5), c date, PRIMARY KEY (a, k, c)", ["a", "k", "c"],
     [f"{a}, '{k}', '{c}'" for a in (-1, 0, 7) for k in "aBc" for c in ("0000-00-00", "2026-01-01")]),
    # by number the first page ends with the last by text
    ("enum", "k enum('a','z','m') PRIMARY KEY", ["k"], ["'z'", "'a'", "'m'"]),
    # a page ends between two that another collation takes for one
    ("enum_bin", "k enum('b','a','-','B','A') COLLATE utf8mb4_bin PRIMARY KEY", ["k"], ["'A'", "'a'", "'B'", "'b'", "'-'"]),
    ("unsigned", "k bigint unsigned PRIMARY KEY", ["k"], [str(2 ** 64 - n) for n in range(1, 9)] + ["0", str(2 ** 63)]),
    ("decimal", "k decimal(40,20) PRIMARY KEY", ["k"], [f"{n}.{n:020d}" for n in (-3, -1, 0, 5, 10 ** 15)] + ["10", "2"]),
    ("binary", "k varbinary(8) PRIMARY KEY", ["k"], ["X'00'", "X''", "X'FF'", "X'0000'", "X'6100'", "X'C328'", "X'5C'"]),
    ("bit", "k bit(40) PRIMARY KEY", ["k"], [f"{2 ** n}" for n in range(0, 40, 5)]),
    ("time", "k time(3) PRIMARY KEY", ["k"], ["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'09:00:00.5'", "'100:00:00'",
                                             "'838:59:59'"]),
    ("datetime", "k datetime(6) PRIMARY KEY", ["k"], ["'0000-00-00'", "'1753-01-01'", "'2026-00-00'",
                                                      "'2026-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"]),
    ("year", "k year PRIMARY KEY", ["k"], ["0", "1901", "2026", "2155"]),
    ("float", "k float PRIMARY KEY", ["k"], ["0.1", "12345.67", "-7.7", "1e20", "123456.78", "0"]),
]


@pytest.mark.parametrize("definition, key, values", [case[1:] for case in KEYS], ids=[case[0] for case in KEYS])
def test_pages_of_any_key_lose_and_repeat_nothing(source_server, make_feed, definition, key, values):
    feed = make_feed(source_server, {
        "entity": "transactions", "key": key, "page_rows": 2, "cursor": "changed",
        "map": {"source_transaction_id": "n"}})
    columns = ", ".join(key)
    feed.play(f"CREATE TABLE t (n int, changed datetime(6), {definition})",
              *(f"INSERT INTO t (n, changed, {columns}) VALUES ({n}, '2026-01-01', {value})"
                for n, value in enumerate(values)))
    feed.once()
    assert feed.rows("SELECT source_transaction_id::int FROM silver.transactions ORDER BY 1") == [
        (n,) for n in range(len(values))]
    assert len(feed.bronze()) == len(values)
    missing = "SELECT sum(differences) FROM ops.reconciliation WHERE subject = 'h.f'"
    assert feed.value(missing) == 0, "no reconcile had to bring one"
    # the same through the cursor, where all rows have one time: pages end within it
    feed.play("UPDATE t SET n = n + 1000, changed = NOW(6)")
    feed.once()
    assert feed.value("SELECT count(*) FROM silver.transactions") == 2 * len(values)


@pytest.mark.parametrize("collation, ids", [("general_ci", ["ABC", "DEF"]), ("bin", ["Def", "abc"])])
@pytest.mark.parametrize("query", [None, "SELECT k FROM t"])
def test_ids_of_a_case_insensitive_key_meet(source_server, make_feed, query, collation, ids):
    """'abc' and 'ABC' are one id there, so a fact that names 'ABC' means the patient 'abc'."""
    feed = make_feed(source_server, {"entity": "patients", "key": ["k"], "map": {"source_patient_id": "k"}})
    if query:
        feed.write(table=None, query=query)
    feed.play(f"CREATE TABLE t (k varchar(9) COLLATE utf8mb4_{collation} PRIMARY KEY)", "INSERT INTO t VALUES ('abc'), ('Def')")
    feed.once()
    assert [key for key, in feed.rows("SELECT source_patient_id FROM silver.patients WHERE source_system = 'h' ORDER BY 1")] == ids
    assert sorted(row["k"] for row in feed.bronze()) == ["Def", "abc"]


def test_a_table_without_any_primary_key(source_server, make_feed):
    feed = make_feed(source_server, {**FEED, "page_rows": 3})
    feed.play("CREATE TABLE t (id int, word varchar(9))", *(f"INSERT INTO t VALUES ({n}, 'w{n}')" for n in range(10)),
              *(f"INSERT INTO t VALUES (NULL, 'nobody{n}')" for n in range(4)))  # more than a page, and the first in order
    feed.once()
    assert feed.value("SELECT count(*) FROM silver.transactions") == 10
    assert feed.rows("SELECT rule FROM dq.quarantine") == [("key_missing",)] * 4
    feed.play("UPDATE t SET word = 'new' WHERE id = 4")
    feed.once()
    assert len(feed.bronze()) == 15


def test_rows_that_share_a_key_without_an_index_are_not_passed_over(source_server, make_feed):
    """Pages end within such rows; the next begins with their key again."""
    feed = make_feed(source_server, {**FEED, "key": ["grp"], "page_rows": 3, "cursor": "changed",
                                     "map": {"source_transaction_id": "n"}})
    feed.play("CREATE TABLE t (grp varchar(9), n int, changed datetime(6))",
              *(f"INSERT INTO t VALUES ('{'aB'[n % 2]}{n // 2}', {n}, '2026-01-01')" for n in range(20)),
              *(f"INSERT INTO t VALUES ('{'Ab'[n % 2]}{n // 2}', {n + 100}, '2026-01-01')" for n in range(20)))
    feed.once()
    arrived = "SELECT count(DISTINCT source_transaction_id) FROM silver.transactions WHERE {}"
    assert feed.value(arrived.format("true")) == 40
    feed.play("UPDATE t SET n = n + 1000, changed = NOW(6)")
    feed.once()
    assert feed.value(arrived.format("source_transaction_id::int >= 1000")) == 40
    feed.play("UPDATE t SET grp = 'a0'")
    done = feed.once(expect=1)
    assert "a whole page of rows has the same `key`" in done.stdout + done.stderr


def test_a_table_of_300_columns(source_server, make_feed):
    feed = make_feed(source_server, FEED)
    names = [f"column_number_{n}" for n in range(299)]
    feed.play("CREATE TABLE t (id int PRIMARY KEY, " + ", ".join(f"{name} varchar(20) CHARACTER SET latin1" for name in names) + ")",
              f"INSERT INTO t VALUES (1, {', '.join(repr(name) for name in names)})")
    feed.once()
    assert feed.bronze() == [{"id": "1", **{name: name for name in names}}]
    shown = feed.rows('SELECT column_number_0, column_number_298 FROM bronze."h__f"')
    assert shown == [("column_number_0", "column_number_298")]


BIG = 16 << 20


def test_a_value_of_16_mib(source_server, make_feed):
    """More than the server lets a function of its own return: HEX() of it would be NULL."""
    feed = make_feed(source_server, {**FEED, "map": {"source_transaction_id": "id", "visit_type": {"from": "small", "clean": ["trim"]}}})
    feed.play("CREATE TABLE t (id int PRIMARY KEY, small varchar(9), b longblob, c longtext)",
              "INSERT INTO t VALUES (1, 'before', X'01', 'x'), (3, 'after', X'03', 'z')")
    with contextlib.closing(source_server.connect()) as link, link.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        usual = cursor.fetchone()[0]
        cursor.execute("SET GLOBAL max_allowed_packet = %s", (64 << 20,))
        feed.play(("INSERT INTO t VALUES (2, 'big', REPEAT(X'AB', %s), REPEAT('y', %s))", (BIG, BIG)))
        cursor.execute("SET GLOBAL max_allowed_packet = %s", (16 << 20,))
        try:
            feed.once()
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = %s", (usual,))
    rows = feed.rows("SELECT length(split_part(raw, E'\\t', 3)), md5(split_part(raw, E'\\t', 4)) "
                     'FROM bronze."h__f_raw" ORDER BY split_part(raw, E\'\\t\', 1)')
    import hashlib
    assert [size for size, _ in rows] == [2, 2 * BIG, 2]
    assert rows[1][1] == hashlib.md5(b"y" * BIG).hexdigest()
    assert feed.rows("SELECT visit_type FROM silver.transactions ORDER BY source_transaction_id") == [
        ("before",), ("big",), ("after",)]


def test_a_query_shows_every_type_as_its_table_does(typed):
    """The same bytes of each value: nothing of what was read as a table is news when a query reads it."""
    typed.once()
    typed.write(table=None, query="SELECT t.* FROM t")
    raw = typed.bronze()
    typed.once()
    assert typed.bronze() == raw
