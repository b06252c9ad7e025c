"""Files as they come: the kinds of tests/data/bad-files, all dropped at once, read by one run.

What a bad file must be told stands in kinds.py; what good ones must come to is computed there from the rows they were made of.
"""
import contextlib
import importlib.util
import json
import os
from decimal import Decimal

import pytest

from harness import settings
from harness.daemon import Daemon


def load_kinds():
    path = os.path.join(settings.ROOT, "tests", "data", "bad-files", "kinds.py")
    spec = importlib.util.spec_from_file_location("kinds", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kinds = load_kinds()

HEAD = """
store: {{ dsn: "{dsn}" }}
timezone: America/New_York
workers: 4
sources:
  hospital_a: {{ kind: files }}
  hospital_b: {{ kind: files }}
claims:
"""
SECTION = """
  {name}:
    directory: {drop}
    entity: claims
    every: 1d
    complete_after: 1s
    {options}
    from:
      - {{pattern: "a_*", source: hospital_a}}
      - {{pattern: "*_both_*", source: hospital_b}}
    map:
      source_claim_id: ClaimID
      source_patient_id: PatientID
      service_date: ServiceDate
      claim_date: ClaimDate
      claim_amount: ClaimAmount
      paid_amount: PaidAmount
      claim_status: {{from: ClaimStatus, clean: [trim]}}
      source_modified_at: ModifiedDate
"""


class Drops:
    """A drop directory per section, one database, one daemon."""

    def __init__(self, store, database, directory, binary):
        self.store, self.database, self.directory = store, database, directory
        passfile = settings.write_passfile(os.path.join(directory, "pgpass"), store, "revcycled", "revcycle_owner")
        self.config = os.path.join(directory, "revcycled.yaml")
        text = HEAD.format(dsn=f"{store.dsn(database)} passfile={passfile}")
        for name, options in kinds.SECTIONS.items():
            os.makedirs(self.drop(name))
            text += SECTION.format(name=name, drop=self.drop(name), options=options)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)
        self.daemon = Daemon(os.path.join(directory, "daemon"), binary, self.config)

    def drop(self, section):
        return os.path.join(self.directory, "drop", section)

    def put(self, section, name, content):
        with open(os.path.join(self.drop(section), name), "wb") as file:
            file.write(content)

    def rows(self, statement, *values):
        with contextlib.closing(self.store.connect(self.database)) as link, link.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def report(self, section, folder, name, kind):
        with open(os.path.join(self.drop(section), folder, f"{name}.report.{kind}"), encoding="utf-8") as file:
            return file.read()


@pytest.fixture(scope="module")
def drops(postgres, schema_template, binary, tmp_path_factory):
    database = postgres.create_database("t_files", schema_template)
    drops = Drops(postgres, database, str(tmp_path_factory.mktemp("files")), binary)
    for kind in kinds.BAD:
        drops.put(kind.section, kind.file, kind.content)
    for kind in kinds.GOOD:
        drops.put(kind.section, kind.file, kind.make(kinds.made_rows(kind.ids)))
    drops.put("csv", "a_formulas.csv", kinds.lines(FORMULAS).encode())
    for name in FORMULA_NAMES:
        drops.put("csv", name, b"=cmd()\n")
    done = drops.daemon.once(timeout=300)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    drops.said = done.stdout + done.stderr
    yield drops
    postgres.drop_database(database)


FORMULA_NAMES = ["=cmd(1).csv", "@sum.csv", "x\n=cmd(2).csv"]
FORMULAS = [kinds.row("=cmd|' /C calc'!A0", patient="@SUM(1+1)", status="+1-800-FORMULA"), kinds.row("-2+3", patient="=1+1", status="=HYPERLINK(\"\")")]


def test_there_are_as_many_kinds_as_promised():
    assert len(kinds.BAD) >= 60 and len({kind.name for kind in kinds.BAD}) == len(kinds.BAD)


@pytest.mark.parametrize("kind", kinds.BAD, ids=lambda kind: kind.name)
def test_a_bad_file_gets_its_sentence(drops, kind):
    [(file_id, state, error)] = drops.rows("SELECT file_id, state, error FROM ops.file WHERE feed = %s AND name = %s",
                                           f"claims.{kind.section}", kind.file)
    assert (state, error) == (kind.state, kind.sentence)
    held = drops.rows("SELECT line::int, rule, reason FROM dq.quarantine WHERE file_id = %s ORDER BY line", file_id)
    assert kind.name == "gzip_cut" or held == kind.held
    n_placed = drops.rows("SELECT count(*) FROM silver.claims WHERE file_id = %s", file_id)[0][0]
    assert kind.placed in (None, n_placed)
    report = drops.report(kind.section, kind.state, kind.file, "txt")
    assert all(words in report for words in [kind.sentence or "", *(reason for _, _, reason in kind.held)])
    assert kinds.SECRET not in report
    assert error is None or "; " in error  # and how to mend it
    assert json.loads(drops.report(kind.section, kind.state, kind.file, "json"))["error"] == kind.sentence


def test_of_a_gzip_that_was_cut_the_whole_lines_are_placed(drops):
    [(file_id, n_read, n_new)] = drops.rows("SELECT file_id, rows_read, rows_new FROM ops.file WHERE name = 'a_gzip_cut.csv'")
    assert 1000 < n_new < 3000 and n_read - n_new <= 1


def test_nothing_of_a_row_is_told(drops):
    assert kinds.SECRET not in drops.said
    assert drops.rows("SELECT name FROM ops.file WHERE error LIKE %s OR detected::text LIKE %s", f"%{kinds.SECRET}%", f"%{kinds.SECRET}%") == []


def expected_claims(kind):
    for claim, patient, service, day, amount, paid, status, modified in kinds.made_rows(kind.ids):
        status = status.replace(",", "").replace("say ", "") if kind.name == "unquoted" else status[:10] if kind.name == "wide" else status
        yield claim, patient, service, day, Decimal(amount), Decimal(paid), status.strip(), modified


@pytest.mark.parametrize("kind", kinds.GOOD, ids=lambda kind: kind.name)
def test_the_same_rows_however_they_are_written(drops, kind):
    [(file_id, state, error, detected)] = drops.rows(
        "SELECT file_id, state, error, detected FROM ops.file WHERE feed = %s AND name = %s", f"claims.{kind.section}", kind.file)
    assert (state, error) == ("done", None)
    claims = drops.rows("SELECT source_claim_id, source_patient_id, service_date::text, claim_date::text, claim_amount, paid_amount, "
                        "claim_status, (source_modified_at AT TIME ZONE 'America/New_York')::date::text "
                        "FROM silver.claims WHERE file_id = %s ORDER BY 1", file_id)
    assert claims == list(expected_claims(kind))
    assert {key: detected[key] for key in detected if key not in ("columns", "stored_as", "unpacked_bytes")} == kind.detected
    repaired = drops.rows("SELECT source_claim_id FROM silver.claims WHERE file_id = %s AND 'text_repaired' = ANY(dq_flags)", file_id)
    assert repaired == ([(f"{kind.ids}-1",)] if kind.name == "guessed" else [])


def test_what_was_detected_stands_with_the_file(drops):
    [(detected,)] = drops.rows("SELECT detected FROM ops.file WHERE name = 'a_aliased.csv'")
    assert detected["columns"] == kinds.COLUMNS
    [(detected,)] = drops.rows("SELECT detected FROM ops.file WHERE name = 'a_gz_utf16.csv'")
    assert detected["unpacked_bytes"] == len(kinds.lines([])) * 2 + 2 + 2 * sum(
        len(line) for line in kinds._csv(header=None)(kinds.made_rows("GZ_UTF16")).decode().splitlines(True))
    [(detected,)] = drops.rows("SELECT detected FROM ops.file WHERE name = 'a_decimal_comma.csv'")
    assert detected["delimiter"] == ";"  # of a file that was refused, too


def test_formula_cells_are_data_and_no_line_of_a_report_is_one(drops):
    claims = drops.rows("SELECT source_claim_id, source_patient_id, claim_status FROM silver.claims c JOIN ops.file f USING (file_id) "
                        "WHERE f.name = 'a_formulas.csv' ORDER BY 1")
    assert claims == sorted((r[0].upper(), r[1], r[6]) for r in FORMULAS)
    for name in ("a_formulas.csv", *FORMULA_NAMES):
        folder = "done" if name == "a_formulas.csv" else "failed"
        starts = {line[:1] for line in drops.report("csv", folder, name, "txt").splitlines()}
        assert not starts & set("=+-@\t\r")
