"""The definition of "equal" (rules, section 1), for PostgreSQL and for BigQuery.

A dump is {table: sorted rows}, each row a text. Two states are equal when their dumps are. Left out or
replaced, because they may differ between two right histories:
  - surrogate keys: by (source, id, version or iteration) of what they point at
  - person_id: by the smallest member of its group
  - batch_id, ids of runs, publications, files and quarantine entries, times of ledgers
  - starts flagged time_inferred, and the end of the version before such a start
ORDER leaves out bronze, the _past tables and a claim's file and line too; KILL keeps them, a file
by its SHA-256.

    python -m harness.dump ORDER|KILL "libpq DSN"        prints the dump
"""
import json
import sys
from collections import Counter

import psycopg2

from .bigquery import BigQuery

ORDER, KILL = "order", "kill"

LEFT_OUT = {"batch_id", "made_by_batch", "run_id", "received_at", "quarantine_id", "created_at", "ended_at", "withdrawn_at", "dismissed_at", "file_id", "batch_from",
            "batch_to", "review_id", "linked_at", "publication_id"}
# How a row is called without its surrogate: id and, where there are several, what tells them apart.
IDS = {"patients": "source_patient_id", "providers": "source_provider_id",
       "departments": "source_department_id", "payers": "source_payer_id", "procedures": "code",
       "diagnoses": "code", "adjustment_codes": "code", "encounters": "source_encounter_id", "transactions": "source_transaction_id",
       "claims": "source_claim_id", "adjustments": "source_claim_id"}
MARKS = {"adjustment_codes": "code_system", "patients": "version", "providers": "version", "claims": "iteration",
         "adjustments": "iteration, service_line, group_code, reason_code, position"}
KEYS = {"patients": "patient_key", "providers": "provider_key", "departments": "department_key",
        "payers": "payer_key", "procedures": "procedure_key", "diagnoses": "diagnosis_key", "adjustment_codes": "adjustment_code_key",
        "encounters": "encounter_key", "transactions": "transaction_key", "claims": "claim_key",
        "adjustments": "adjustment_key"}
CODES = ("procedures", "diagnoses", "adjustment_codes")  # belong to no source
UNKNOWN = "-1"


def _rows(link, statement, *parameters):
    with link.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def _tables(link, schema):
    return [row["name"] for row in _rows(
        link, "SELECT table_name AS name FROM information_schema.tables "
        "WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY 1", schema)]


def key_names(link):
    """{column: {surrogate: what it stands for}}, from silver's own tables."""
    names = {}
    for table, key in KEYS.items():
        source = None if table in CODES else "source_system"
        columns = ", ".join(filter(None, [key, source, IDS[table], MARKS.get(table)]))
        names[key] = {str(row[key]): "|".join(str(row[name]) for name in row if name != key)
                      for row in _rows(link, f"SELECT {columns} FROM silver.{table}")}
        names[key][UNKNOWN] = "unknown member"
    return names


def person_names(link):
    """{person_id: its smallest member}"""
    return {str(row["person_id"]): row["member"] for row in _rows(
        link, "SELECT person_id, min(source_system || '|' || source_patient_id) AS member "
        "FROM silver.patients WHERE person_id IS NOT NULL GROUP BY 1")}


class Renderer:
    """Turns rows of silver or BigQuery into texts that do not depend on history."""

    def __init__(self, link):
        self.keys = key_names(link)
        self.persons = person_names(link)
        self.files = {str(row["file_id"]): row["sha"] for row in _rows(
            link, "SELECT file_id, encode(sha256, 'hex') AS sha FROM ops.file")}

    def value(self, column, value):
        if value is None:
            return None
        if column in self.keys:
            return self.keys[column].get(str(value), f"dangling {column}")
        if column == "person_id":
            return self.persons.get(str(value), "dangling person")
        if isinstance(value, (bytes, memoryview)):
            return bytes(value).hex()
        if isinstance(value, (list, dict, bool, int)):
            return value
        return str(value)

    def row(self, row, own_key, skip=()):
        return {name: self.value(name, value) for name, value in row.items()
                if name not in LEFT_OUT and name not in skip and name != own_key}


def _without_inferred_times(rows, id_column):
    """An inferred start, and the end of the version before it, are left out."""
    starts = {(row["source_system"], row[id_column], row["version"]) for row in rows
              if "time_inferred" in (row["dq_flags"] or [])}
    for row in rows:
        place = (row["source_system"], row[id_column], row["version"])
        if place in starts:
            row["effective_date"] = None
        if (place[0], place[1], place[2] + 1) in starts:
            row["expiry_date"] = None


def _text(row):
    return json.dumps(row, sort_keys=True, default=str, ensure_ascii=False)


def _silver(link, renderer, mode):
    for table in _tables(link, "silver"):
        history = table.endswith("_past") or table == "claims_absorbed"
        if table.startswith("person_") or (history and mode == ORDER):
            continue
        rows = _rows(link, f"SELECT * FROM silver.{table}")
        base = table.replace("_past", "").replace("_absorbed", "")
        if "expiry_date" in (rows[0] if rows else {}):
            _without_inferred_times(rows, IDS[base])
        own, skip = KEYS.get(base), ("line",) if mode == ORDER else ()
        for row in rows:
            if mode == KILL and row.get("file_id") is not None:
                row["file_sha256"] = renderer.files.get(str(row["file_id"]), "no such file")
        yield f"silver.{table}", sorted(_text(renderer.row(row, own, skip)) for row in rows)


def _groups(link):
    """Who is one person with whom, as lists of members."""
    rows = _rows(link, "SELECT array_agg(DISTINCT source_system || '|' || source_patient_id "
                 "ORDER BY source_system || '|' || source_patient_id) AS members FROM silver.patients "
                 "WHERE person_id IS NOT NULL GROUP BY person_id")
    yield "persons", sorted(_text(row["members"]) for row in rows)
    rows = _rows(link, "SELECT members, rule, state FROM silver.person_review")
    yield "person_review", sorted(_text({**row, "members": sorted(row["members"])}) for row in rows)


def _quarantine(link, renderer):
    rows = _rows(link, "SELECT * FROM dq.quarantine")
    for row in rows:
        row["file_sha256"] = renderer.files.get(str(row["file_id"])) if row["file_id"] else None
    yield "dq.quarantine", sorted(_text(renderer.row(row, "quarantine_id")) for row in rows)


def _bronze(link, renderer):
    schemas = {row["schema_id"]: row["columns"] for row in _rows(
        link, "SELECT schema_id, columns FROM ops.feed_schema")}
    for table in _tables(link, "bronze"):
        rows = _rows(link, f'SELECT * FROM bronze."{table}"')
        for row in rows:
            row["columns"] = schemas.get(row.pop("schema_id"), "no such schema")
            row["file_sha256"] = renderer.files.get(str(row["file_id"])) if row.get("file_id") else None
        yield f"bronze.{table}", sorted(_text(renderer.row(row, None)) for row in rows)


def _files(link):
    rows = _rows(link, "SELECT source_system, feed, name, encode(sha256, 'hex') AS sha256, size_bytes, state, "
                 "rows_read, rows_quarantined, period FROM ops.file")
    yield "ops.file", sorted(_text(row) for row in rows)


def postgres(link, mode=KILL):
    """The dump of PostgreSQL's side. `link` sees everything (the harness's superuser)."""
    with link:
        with link.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        renderer = Renderer(link)
        result = dict(_silver(link, renderer, mode))
        result.update(_groups(link))
        result.update(_quarantine(link, renderer))
        if mode == KILL:
            result.update(_bronze(link, renderer))
            result.update(_files(link))
        return result


def bigquery(link, warehouse, mode=KILL):
    """The dump of BigQuery's side; PostgreSQL says what the surrogates stand for, for the published
    columns alone could not: most source ids do not leave the house."""
    with link:
        renderer = Renderer(link)
    result = {}
    for table in warehouse.tables():
        if table.startswith(("_", "kpi_", "dq_")):
            continue
        base = table.split("_", 1)[1]
        rows = list(warehouse.rows(f"SELECT * FROM `{warehouse.dataset}.{table}`"))
        own = KEYS.get(base)
        for row in rows:
            _publish_marks(row, renderer, own, mode)
        result[f"bigquery.{table}"] = sorted(_text(renderer.row(row, own)) for row in rows)
    return result


def _publish_marks(row, renderer, own, mode):
    """The row's own surrogate names it; inferred times and, for order tests, lines go."""
    if own in row:
        row["stands_for"] = renderer.keys[own].get(str(row[own]), f"unknown to PostgreSQL: {own}")
    if "expiry_date" in row:
        row["expiry_date"] = None  # an inferred start of the next version cannot be seen from here
        if "time_inferred" in (row["dq_flags"] or []):
            row["effective_date"] = None
    if mode == ORDER:
        row.pop("line", None)


def whole(link, warehouse=None, mode=KILL):
    result = postgres(link, mode)
    if warehouse is not None:
        result.update(bigquery(link, warehouse, mode))
    return result


def differences(left, right, most=5):
    """Sentences that say where two dumps differ; none when they are equal."""
    found = []
    for table in sorted(left.keys() | right.keys()):
        ours, theirs = left.get(table), right.get(table)
        if ours is None or theirs is None:
            found.append(f"{table}: only on the {'right' if ours is None else 'left'}")
        elif ours != theirs:
            found += _row_differences(table, ours, theirs, most)
    return found


def _row_differences(table, ours, theirs, most):
    left, right = Counter(ours), Counter(theirs)
    gone, new = list((left - right).elements()), list((right - left).elements())
    lines = [f"{table}: {len(ours)} rows and {len(theirs)} rows, {len(gone)} only left, {len(new)} only right"]
    lines += [f"  left  {row}" for row in gone[:most]] + [f"  right {row}" for row in new[:most]]
    return lines


def assert_equal(left, right):
    found = differences(left, right)
    assert not found, "states differ:\n" + "\n".join(found)


def main():
    link = psycopg2.connect(sys.argv[2])
    warehouse = BigQuery(*sys.argv[3:6]) if len(sys.argv) > 3 else None
    for table, rows in whole(link, warehouse, sys.argv[1].lower()).items():
        print(f"== {table}: {len(rows)}")
        print("\n".join(rows))


if __name__ == "__main__":
    main()
