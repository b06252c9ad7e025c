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
        cursor.execute("SELECT TIMESTAMPDIFF(SECOND, %s, NOW(6))",
                       (loaded.value("SELECT position FROM ops.cursor WHERE feed = %s", FEED),))
        assert 10 <= cursor.fetchone()[0] < 300


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
                 f"table: ward\n        page_rows: {page_rows}\n        key: [k]{more}"),
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
    assert entries(loaded) == {"open": 1, "superseded": 1}
    loaded.configure(departments_as("source_department_id: dept_id\n          name:",
                                    "source_department_id: {from: dept_id, clean: [trim]}\n          name:"))
    loaded.once()
    assert entries(loaded) == {"superseded": 2}, "its id can be read now"
    assert loaded.value("SELECT name FROM silver.departments WHERE source_department_id = 'N/A'") == "Nobody"


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
    assert loaded.rows(held) == [*once[:2], ("later", "key_missing", "open"), *once[2:]]
