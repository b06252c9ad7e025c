"""Rows that hide from the cursor, or come back after somebody had decided about them."""
import contextlib

import pytest

FEED = "hospital_a.patients"
OLD = "2020-01-01 00:00:00.000000"


def write(world, statement, *parameters):
    with contextlib.closing(world.store.connect(world.database)) as link, link.cursor() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount == 1
        link.commit()


def test_a_young_transaction_holds_the_cursor_by_its_own_age(loaded):
    """The server's zone is hours from UTC, in which the session reads."""
    write(loaded, "UPDATE ops.cursor SET position = %s WHERE feed = %s", OLD, FEED)
    with contextlib.closing(loaded.hospital()) as link, link.cursor() as cursor:
        link.begin()
        cursor.execute("UPDATE patient_master SET street = 'unsaid' LIMIT 1")
        loaded.once()
        position = loaded.value("SELECT position FROM ops.cursor WHERE feed = %s", FEED)
        cursor.execute("SELECT %s <= updated_at, TIMESTAMPDIFF(SECOND, %s, NOW(6)) FROM patient_master "
                       "WHERE street = 'unsaid'", (position, position))
        is_behind, age = cursor.fetchone()
        assert is_behind and age < 300


def test_a_dismissed_row_that_was_mended_is_quiet_again(loaded):
    """Its dismissal was about another content: kept open, every poll would write the row again."""
    number = loaded.value("SELECT source_department_id FROM silver.departments "
                          "WHERE source_system = 'hospital_a' AND NOT is_inferred ORDER BY 1 LIMIT 1")
    write(loaded, "INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, source_hash, "
          "mapping_version, batch_id, state) SELECT 'hospital_a.departments', 'hospital_a', %s, '{}', 'bad', "
          "'bad', 1, 1, max(batch_id), 'dismissed' FROM ops.batch", number)
    loaded.once()
    batches = loaded.value("SELECT max(batch_id) FROM ops.batch")
    loaded.once()
    assert loaded.value("SELECT max(batch_id) FROM ops.batch") == batches


def wards(page_rows, more=""):
    """Hospital A's departments come from its table `ward`, which has the key `k`."""
    def edit(text):
        for old, new in (
                ("table: department\n        key: [dept_id]",
                 f"table: ward\n        on_missing_column: evolve\n        page_rows: {page_rows}\n        key: [k]{more}"),
                ("source_department_id: dept_id\n          name:", "source_department_id: k\n          name:")):
            assert old in text
            text = text.replace(old, new, 1)
        return text
    return edit


def test_pages_over_an_enum_key_lose_no_row(loaded):
    """Its order is that of its members' numbers, its comparison with a text that of texts."""
    loaded.play("CREATE TABLE ward (k ENUM('zeta','alpha','mid') NOT NULL PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO ward VALUES ('zeta', 'Z'), ('alpha', 'A'), ('mid', 'M')")
    loaded.configure(wards(1))
    loaded.once()
    assert loaded.value("SELECT count(*) FROM silver.departments WHERE source_system = 'hospital_a' "
                        "AND upper(source_department_id) IN ('ZETA', 'ALPHA', 'MID')") == 3


def departments_as(old, new):
    """Hospital A's departments are mapped in another way."""
    def edit(text):
        assert text.count(old) > 0
        return text.replace(old, new, 1)
    return edit


def entries(world, feed="hospital_a.departments"):
    """{state: entries} of the feed."""
    return dict(world.rows("SELECT state, count(*) FROM dq.quarantine WHERE feed = %s GROUP BY 1", feed))


def test_a_row_without_an_id_has_one_open_entry_whatever_the_mapping(loaded):
    loaded.play("INSERT INTO department VALUES ('N/A', 'Nobody')")
    loaded.once()
    assert entries(loaded) == {"open": 1}
    loaded.configure(departments_as("name: dept_name", "name: {from: dept_name, clean: [trim, upper]}"))
    loaded.once()
    assert entries(loaded) == {"open": 1}
    loaded.configure(departments_as("source_department_id: dept_id\n          name:",
                                    "source_department_id: {from: dept_id, clean: [trim]}\n          name:"))
    loaded.once()
    assert entries(loaded) == {"replayed": 1}, "its id can be read now"
    name = "SELECT name FROM silver.departments WHERE source_department_id = 'N/A'"
    assert loaded.value(name) == "Nobody"
    loaded.configure(departments_as("source_department_id: dept_id\n          name: dept_name",
                                    "source_department_id: {from: dept_id, clean: [trim]}\n          name: {from: dept_name, clean: [trim, upper]}"))
    loaded.once()
    assert loaded.value(name) == "NOBODY", "its text is found by it"


@pytest.mark.parametrize("cursor", ["", "\n        cursor: changed"], ids=["read whole", "by cursor"])
def test_rows_with_a_null_key_are_held_once_and_every_other_arrives(loaded, cursor):
    """They stand first in the key's order, and nothing is greater than NULL."""
    loaded.play("CREATE TABLE ward (k int NULL UNIQUE, dept_name varchar(60), share float, "
                "changed datetime NULL DEFAULT '2024-01-01')")
    loaded.play("INSERT INTO ward (k, dept_name) VALUES (NULL, 'lost'), (NULL, 'lost'), (NULL, 'Lost'), "
                "(NULL, NULL), (NULL, ''), (-1, 'M'), (0, 'Z'), (7, 'S')")
    loaded.configure(wards(2, cursor))
    loaded.once()
    assert loaded.value("SELECT count(*) FROM silver.departments WHERE source_system = 'hospital_a' "
                        "AND source_department_id IN ('-1', '0', '7')") == 3
    held = ("SELECT raw->>'dept_name', rule, state FROM dq.quarantine WHERE feed = 'hospital_a.departments' "
            "ORDER BY 1")
    once = [(name, "key_missing", "open") for name in ("", "Lost", "lost", None)]
    assert loaded.rows(held) == once
    batches = loaded.value("SELECT max(batch_id) FROM ops.batch")
    loaded.once()
    assert loaded.value("SELECT max(batch_id) FROM ops.batch") == batches
    loaded.play("UPDATE ward SET k = 8, changed = now() WHERE dept_name IS NULL")
    loaded.play("INSERT INTO ward VALUES (NULL, 'later', 0.1, NULL), (9, 'nine', 0.1, NULL)")
    loaded.once()
    assert loaded.value("SELECT count(*) FROM silver.departments WHERE source_system = 'hospital_a' "
                        "AND source_department_id IN ('8', '9')") == 2
    assert loaded.rows(held) == [*once[:2], ("later", "key_missing", "open"), once[2],
                                 (None, "key_missing", "superseded")], "it has a key now"


def ward_names(world):
    """{id: name} of hospital A's departments that came from the table `ward`: their names are small letters."""
    return dict(world.rows("SELECT source_department_id, name FROM silver.departments WHERE source_system = "
                           "'hospital_a' AND name ~ '^[a-z ]+$'"))


def collisions(world):
    """The open entries of rows that another row's id keeps out, as their source spells them."""
    rows = world.rows("SELECT natural_key, rule, reason FROM dq.quarantine WHERE feed = 'hospital_a.departments' "
                      "AND state = 'open' ORDER BY 1")
    assert all(rule == "key_collision" and "another row" in reason for _, rule, reason in rows), rows
    return [key for key, _, _ in rows]


def quiet_once(world):
    """A run that finds nothing new."""
    batches = world.value("SELECT max(batch_id) FROM ops.batch")
    world.once()
    assert world.value("SELECT max(batch_id) FROM ops.batch") == batches


@pytest.mark.parametrize("page_rows", [1, 3, 100])
def test_ids_that_trimming_makes_equal_do_not_overwrite_each_other(loaded, page_rows):
    """The one spelled as the id holds it, without one the first; and mending or deleting it frees the id."""
    loaded.play("CREATE TABLE ward (k varchar(8) COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO ward VALUES (' q', 'one'), ('q', 'two'), ('  r', 'three'), (' s', 'four'), "
                "('s\\t', 'five'), ('s ', 'six'), ('Q', 'another')")
    loaded.configure(wards(page_rows))
    loaded.once()
    assert ward_names(loaded) == {"q": "two", "r": "three", "s": "four", "Q": "another"}
    assert collisions(loaded) == ['" q"', '"s "', '"s\\t"']
    quiet_once(loaded)

    loaded.play("UPDATE ward SET dept_name = 'four again' WHERE k = ' s'")
    loaded.play("UPDATE ward SET dept_name = 'five again' WHERE k = 's\\t'")
    loaded.play("INSERT INTO ward VALUES ('r', 'late')")
    loaded.once()
    assert ward_names(loaded) == {"q": "two", "r": "three", "s": "four again", "Q": "another"}
    assert collisions(loaded) == ['" q"', '"r"', '"s "', '"s\\t"'], "who holds an id keeps it"
    quiet_once(loaded)

    loaded.play("DELETE FROM ward WHERE k IN ('q', ' s', 's ')")
    loaded.play("UPDATE ward SET k = 'r2' WHERE k = '  r'")
    loaded.once()
    assert ward_names(loaded) == {"q": "one", "r": "late", "r2": "three", "s": "five again", "Q": "another"}
    assert collisions(loaded) == [], "gone at the source"
    quiet_once(loaded)

    loaded.play("UPDATE ward SET k = TRIM(REPLACE(k, '\\t', '')), dept_name = 'mended'")
    loaded.once()
    assert set(ward_names(loaded).values()) == {"mended"} and len(ward_names(loaded)) == 5
    assert collisions(loaded) == []
    assert loaded.value("SELECT count(*) FROM ops.id_spelling") == 0


def test_ids_that_the_source_itself_takes_for_equal_never_collide(loaded):
    loaded.play("CREATE TABLE ward (k varchar(8) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO ward VALUES ('abc', 'one'), ('x ', 'two'), (' Y', 'three')")
    loaded.configure(wards(2))
    loaded.once()
    assert ward_names(loaded) == {"ABC": "one", "X": "two", "Y": "three"}
    loaded.play("UPDATE ward SET k = CASE k WHEN 'abc' THEN 'Abc' WHEN 'x ' THEN 'X' ELSE ' y' END, "
                "dept_name = concat(dept_name, ' more')")
    loaded.once()
    assert ward_names(loaded) == {"ABC": "one more", "X": "two more", "Y": "three more"}
    assert collisions(loaded) == []
    assert loaded.rows("SELECT id, spelling FROM ops.id_spelling") == [("Y", " y")]


def test_a_first_load_mixes_no_two_rows_whose_ids_trimming_makes_equal(fresh):
    """Neither in a patient's versions nor in a fact; where the twin stands first in the pages' order."""
    for table, key, change in (("patient_master", "pat_id", "given_name = 'Nobody'"),
                               ("billing_transaction", "txn_id", "amount = 4711")):
        fresh.play(f"ALTER TABLE {table} MODIFY {key} varchar(12) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin "
                   "NOT NULL")
        fresh.play(f"CREATE TABLE twin AS SELECT * FROM {table} WHERE {key} NOT LIKE ' %' ORDER BY {key} DESC LIMIT 1")
        fresh.play(f"UPDATE twin SET {key} = concat(' ', {key}), {change}")
        fresh.play(f"INSERT INTO {table} SELECT * FROM twin")
        fresh.play("DROP TABLE twin")
    fresh.configure(lambda text: text.replace("        every: ", "        page_rows: 50\n        every: "))
    fresh.once()
    held = fresh.rows("SELECT feed, natural_key FROM dq.quarantine WHERE rule = 'key_collision' ORDER BY 1")
    assert [feed for feed, _ in held] == ["hospital_a.patients", "hospital_a.transactions"]
    patient, transaction = (key.strip('"').strip() for _, key in held)
    assert fresh.rows("SELECT version, first_name <> 'Nobody' FROM silver.patients WHERE source_patient_id = %s "
                      "AND source_system = 'hospital_a'", patient) == [(1, True)]
    assert fresh.rows("SELECT amount <> 4711 FROM silver.transactions WHERE source_transaction_id = %s "
                      "AND source_system = 'hospital_a'", transaction) == [(True,)]
    quiet_once(fresh)


def test_a_mended_mapping_leaves_an_id_to_who_holds_it(loaded):
    """What is kept out is not cleaned again: it would take the place of the row that has its id."""
    loaded.play("CREATE TABLE ward (k varchar(8) COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, dept_name varchar(60), "
                "changed datetime(6) NOT NULL DEFAULT '2001-01-01', KEY (changed))")
    loaded.play("INSERT INTO ward (k, dept_name) VALUES ('q', 'two'), (' q', 'one')")
    by_cursor = wards(5, "\n        cursor: changed")  # no poll reads them again
    loaded.configure(by_cursor)
    loaded.once()
    assert ward_names(loaded) == {"q": "two"} and collisions(loaded) == ['" q"']

    def mended(text):
        return by_cursor(text).replace("name: dept_name", "name: {from: dept_name, clean: [{map: {one: eins, two: zwei}}]}", 1)
    loaded.configure(mended)
    loaded.once()
    assert ward_names(loaded) == {"q": "zwei"} and collisions(loaded) == ['" q"']
    assert loaded.value("SELECT differences FROM ops.reconciliation WHERE subject = 'hospital_a.departments' "
                        "ORDER BY reconciliation_id DESC LIMIT 1") == 0, "nor had a reconcile to mend it"
    quiet_once(loaded)


def test_a_mapping_that_makes_other_ids_stops_the_feed(loaded):
    """Rows are known by their ids: under others the hospital's history would begin anew, beside the old."""
    loaded.play("CREATE TABLE ward (k varchar(8) COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, dept_name varchar(60))")
    loaded.play("INSERT INTO ward VALUES ('w1', 'one')")

    def digits(text):
        return wards(5)(text).replace("source_department_id: k", "source_department_id: {from: k, clean: [digits]}", 1)
    loaded.configure(digits)
    loaded.once()
    assert ward_names(loaded) == {"1": "one"}
    loaded.play("INSERT INTO ward VALUES ('1', 'two')")
    loaded.once()
    assert ward_names(loaded) == {"1": "one"} and collisions(loaded) == ['"1"']
    loaded.configure(wards(5))
    loaded.play("UPDATE ward SET dept_name = concat(dept_name, ' more')")
    assert "the mapping makes other ids" in loaded.once(expect=1).stderr
    assert ward_names(loaded) == {"1": "one"}
