"""The ledger's hard cases: files that PostgreSQL refuses, that change while they are read, that are many, that are no files."""
import os

import pytest

from test_claims import claims, make_claims, row, text  # noqa: F401  (fixtures and what they make)


def report(claims, folder, name):  # noqa: F811
    with open(os.path.join(claims.drop, folder, name + ".report.txt"), encoding="utf-8") as file:
        return file.read()


REFUSALS = {
    "23514": "ALTER TABLE silver.claims ADD CHECK (source_claim_id NOT IN ('C2', 'C37'))",
    "22003": "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.source_claim_id IN ('C2', 'C37') THEN "
             "RAISE numeric_value_out_of_range; END IF; RETURN NEW; END $$; "
             "CREATE TRIGGER refuse BEFORE INSERT ON silver.claims FOR EACH ROW EXECUTE FUNCTION refuse()"}


@pytest.mark.parametrize("state", REFUSALS)
def test_rows_that_postgresql_refuses_are_held_and_keep_no_other_out(make_claims, state):  # noqa: F811
    claims = make_claims(page_rows=20)  # noqa: F811
    claims.store.execute(REFUSALS[state], claims.database)
    numbers = [*range(1, 51)]
    claims.put("hospital1_2024-03.csv", text([row(f"C{number}") for number in numbers]))
    claims.put("hospital1_2024-04.csv", text([row("C99")]))
    claims.once()
    placed = {line[1] for line in claims.claims()}
    assert placed == {f"C{number}" for number in numbers if number not in (2, 37)} | {"C99"}
    assert claims.rows("SELECT line, rule, natural_key, reason, state FROM dq.quarantine ORDER BY line") == [
        (line, "row_refused", key, f"PostgreSQL refuses what the row says (SQLSTATE {state})", "open")
        for line, key in ((3, "C2"), (38, "C37"))]
    entry = claims.file("hospital1_2024-03.csv")
    assert (entry["state"], entry["rows_read"], entry["rows_new"], entry["rows_quarantined"]) == ("done", 50, 48, 2)
    assert "line 38: PostgreSQL refuses" in report(claims, "done", "hospital1_2024-03.csv")
    assert claims.listed("receiving") == []
    # the claim as it should be ends its entry
    claims.store.execute("ALTER TABLE silver.claims DROP CONSTRAINT IF EXISTS claims_source_claim_id_check; "
                         "DROP TRIGGER IF EXISTS refuse ON silver.claims", claims.database)
    claims.put("hospital1_2024-05.csv", text([row("C2", "2024-05-01")]))
    claims.once()
    assert claims.rows("SELECT natural_key, state FROM dq.quarantine ORDER BY line") == [("C2", "superseded"), ("C37", "open")]


def test_a_file_of_which_postgresql_refuses_nearly_all_fails_and_blocks_no_other(claims):  # noqa: F811
    claims.store.execute("ALTER TABLE silver.claims ADD CHECK (source_claim_id !~ '^C')", claims.database)
    claims.put("hospital1_2024-03.csv", text([row(f"C{number}") for number in range(200)]))
    claims.put("hospital1_2024-04.csv", text([row("D1")]))
    claims.once()
    entry = claims.file("hospital1_2024-03.csv")
    assert entry["state"] == "failed" and "PostgreSQL refuses more than 50 rows of a page (SQLSTATE 23514)" in entry["error"]
    assert [line[1] for line in claims.claims()] == ["D1"]
    assert claims.listed("receiving") == [] and "hospital1_2024-03.csv" in claims.listed("failed")


STOP = "\nrules:\n  - {name: paid_something, entity: claims, check: \"paid_amount > 0\", severity: stop, share: 10}\n"


def test_a_page_that_breaks_a_stop_rule_fails_its_file_and_blocks_no_other(make_claims):  # noqa: F811
    claims = make_claims(page_rows=10)  # noqa: F811
    with open(claims.daemon.config, "a", encoding="utf-8") as file:
        file.write(STOP)
    good = [row(f"C{number}", paid="1.00") for number in range(10)]
    claims.put("hospital1_2024-03.csv", text([*good, *(row(f"D{number}") for number in range(10))]))
    claims.put("hospital1_2024-04.csv", text([row("E1", paid="2.00")]))
    claims.once()
    entry = claims.file("hospital1_2024-03.csv")
    assert entry["state"] == "failed" and "10 of 10 rows of a page break rule paid_something" in entry["error"]
    assert len(claims.claims()) == 11 and entry["rows_read"] == 10
    assert claims.file("hospital1_2024-04.csv")["state"] == "done"


def test_names_that_are_no_text_or_too_long_harm_nothing(claims):  # noqa: F811
    broken = b"hospital1_\xff_2024-03.csv"
    long = "hospital1_" + "é" * 116 + "_2.csv"
    assert len(long.encode()) == 248
    for name, number in ((broken, "C1"), (long.encode(), "C2")):
        with open(os.path.join(claims.drop.encode(), name), "wb") as file:
            file.write(text([row(number)]).encode())
    os.mkdir(os.path.join(claims.drop.encode(), b"folder\xfe"))
    claims.once()
    claims.put(long, text([row("C3")]))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2", "C3"]
    assert claims.rows("SELECT name, state FROM ops.file WHERE name LIKE '%\\_\\_%' OR name LIKE 'folder%' ORDER BY name") == [
        ("folder_", "failed"), ("hospital1___2024-03.csv", "done")]
    assert "hospital1___2024-03.csv" in claims.listed("done") and claims.listed("receiving") == []
