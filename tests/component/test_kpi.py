"""The figures of schema kpi against an oracle that reads the same rows from CSV files, with decimal."""
import csv
import datetime
import os
import random
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import pytest
from psycopg2.extras import execute_values

from harness.loader import HOSPITALS, folder_of
from harness.oracle import CLAIMS, Oracle
from harness.settings import ROOT

KPIS = ("approval_rate", "ar_aging", "claim_status_mix", "coverage_rate", "days_in_ar", "denial_rate",
        "denial_reasons", "gross_collection_rate", "net_collection_rate", "outstanding_ar", "patient_volume", "payer_mix",
        "total_billed", "total_paid", "write_off_amount")
MILLIONTH = Decimal("0.000001")
FIRST_DAY = datetime.date(2023, 1, 1)
LAST_DAY = 500
LAST_CLAIM_DAY = 450  # claims after the default as_of would be left out


def day_of(dice, last=LAST_DAY):
    return (FIRST_DAY + datetime.timedelta(days=dice.randrange(last))).isoformat()


def money(dice, most):
    return str(Decimal(dice.randrange(1000, most)) / 100)


def transaction(dice, number):
    return {"TransactionID": f"T{number}", "EncounterID": f"E{number}", "PatientID": f"P{dice.randrange(40)}",
            "ProviderID": f"D{dice.randrange(5)}", "DeptID": "DEPT1", "VisitDate": day_of(dice),
            "ServiceDate": day_of(dice), "PaidDate": day_of(dice), "Amount": money(dice, 90000),
            "PaidAmount": money(dice, 120000), "ClaimID": "-", "PayorID": f"PAY{dice.randrange(3)}",
            "InsertDate": "2024-01-01", "ModifiedDate": "2024-01-01"}


def claim(dice, number):
    return {"ClaimID": f"C{number}", "TransactionID": f"T{dice.randrange(200)}", "PatientID": "P1",
            "EncounterID": "E1", "ProviderID": "D1", "DeptID": "DEPT1", "ServiceDate": day_of(dice),
            "ClaimDate": day_of(dice, LAST_CLAIM_DAY), "PayorID": f"PAY{dice.randrange(3)}", "ClaimAmount": money(dice, 90000),
            "PaidAmount": money(dice, 120000), "Deductible": "1", "Coinsurance": "1", "Copay": "1",
            "ClaimStatus": dice.choice(["Paid", "Approved", "Pending", "Denied", "Rejected"]),
            "InsertDate": "2024-01-01", "ModifiedDate": "2024-01-01"}


def write(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


def write_hospital(dice, data, name):
    folder = os.path.join(data, folder_of(name))
    write(f"{folder}/patients.csv", [{"PatientID": f"P{n}", "FirstName": "x", "LastName": "y", "DOB": "1980-01-01"}
                                     for n in range(40)])
    write(f"{folder}/providers.csv", [{"ProviderID": "D1", "NPI": "1"}])
    write(f"{folder}/departments.csv", [{"DeptID": "DEPT1", "Name": "z"}])
    write(f"{folder}/encounters.csv", [{"EncounterID": f"E{n}", "PatientID": "P1", "EncounterDate": day_of(dice)}
                                       for n in range(100)])
    write(f"{folder}/transactions.csv", [transaction(dice, n) for n in range(200)])
    write(f"{data}/claims/{CLAIMS[name]}", [claim(dice, n) for n in range(150)])


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    data = str(tmp_path_factory.mktemp("kpi"))
    for name in HOSPITALS:
        write_hospital(random.Random(name), data, name)
    return Oracle(data)


def fill(link, oracle):
    """What extraction, cleaning and settle make of the files, as far as figures look at it."""
    key = {}

    def key_of(*what):
        return key.setdefault(what, len(key) + 1)

    patients, transactions, claims, encounters = [], [], [], []
    for h in oracle.hospitals:
        patients += [(key_of("patient", h.name, row["id"]), h.name, row["id"]) for row in h.patients]
        transactions += [
            (key_of("transaction", h.name, row["TransactionID"]), h.name, row["TransactionID"],
             key_of("patient", h.name, row["PatientID"]), key_of("payer", h.name, row["PayorID"]), row["service"],
             row["paid_on"], row["billed"], row["paid"],
             ["paid_above_billed"] if row["paid"] > row["billed"] else []) for row in h.transactions]
        claims += [
            (key_of("claim", h.name, row["ClaimID"]), h.name, row["ClaimID"],
             key_of("payer", h.name, row["PayorID"]), row["filed"], row["claimed"], row["paid"], row["ClaimStatus"],
             (100 * row["paid"] / row["claimed"]).quantize(Decimal("0.01"), ROUND_HALF_UP)) for row in h.claims]
        encounters += [(key_of("encounter", h.name, row["EncounterID"]), h.name, row["EncounterID"],
                        row["EncounterDate"]) for row in h.encounters]
    payers = [(number, *what[1:], what[2], what[2]) for what, number in key.items() if what[0] == "payer"]
    with link, link.cursor() as cursor:
        cursor.execute("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                       "VALUES (1, 'hospital_a.transactions', 1, 1, 0)")
        execute_values(cursor, "INSERT INTO ops.source VALUES %s", [(name, "America/New_York") for name in HOSPITALS])
        execute_values(cursor, "INSERT INTO silver.patients (patient_key, source_system, source_patient_id, person_id, "
                       "effective_date, expiry_date, is_current, version, batch_id) VALUES %s", patients,
                       "(%s, %s, %s, gen_random_uuid(), '0001-01-01', '9999-12-31', true, 1, 1)")
        execute_values(cursor, "INSERT INTO silver.payers (payer_key, source_system, source_payer_id, name, payer_name, "
                       "batch_id) VALUES %s", payers, "(%s, %s, %s, %s, %s, 1)")
        execute_values(cursor, "INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, "
                       "patient_key, payer_key, service_date, paid_date, amount, paid_amount, dq_flags, batch_id) "
                       "VALUES %s", transactions, "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1)")
        execute_values(cursor, "INSERT INTO silver.claims (claim_key, source_system, source_claim_id, payer_key, "
                       "claim_date, claim_amount, paid_amount, claim_status, coverage_percent, iteration, is_final, "
                       "batch_id) VALUES %s", claims, "(%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, true, 1)")
        execute_values(cursor, "INSERT INTO silver.encounters (encounter_key, source_system, source_encounter_id, "
                       "encounter_date, batch_id) VALUES %s", encounters, "(%s, %s, %s, %s, 1)")


@pytest.fixture(scope="module")
def filled(postgres, schema_template, oracle):
    name = postgres.create_database("t_kpi", schema_template)
    link = postgres.connect(name)
    fill(link, oracle)
    yield link
    link.close()
    postgres.drop_database(name)


@pytest.fixture
def database(filled):
    """The figures' rows; nothing that a test does stays."""
    yield filled
    filled.rollback()


@pytest.fixture
def ask(database):
    """ask("total_billed", by=["month"]) -> rows as dictionaries"""
    def asked(kpi, as_of=None, by=None):
        with database.cursor() as cursor:
            which, values = ("%s, %s::text[]", (as_of, by)) if by is not None else ("%s", (as_of,))
            cursor.execute(f"SELECT * FROM kpi.{kpi}({which})", values)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]
    return asked


def run(database, statement, *values):
    with database.cursor() as cursor:
        cursor.execute(statement, values)


def value(rows, **wanted):
    found = [row["value"] for row in rows if all(row[name] == wish for name, wish in wanted.items())]
    assert len(found) == 1, (wanted, found)
    return found[0]


def rounded(figure):
    return figure.quantize(MILLIONTH, ROUND_HALF_UP)


@pytest.mark.parametrize("kpi,column", [("total_billed", "billed"), ("total_paid", "paid")])
def test_sums_by_hospital_and_month_agree_to_the_cent(ask, oracle, kpi, column):
    found = {(row["source_system"], f"{row['month']:%Y-%m}"): row["value"] for row in ask(kpi)}
    assert found == oracle.by_month(column)
    assert value(ask(kpi, by=[])) == sum(oracle.by_month(column).values())


def test_the_default_date_is_the_latest_service_up_to_the_last_success(ask, oracle, database):
    run(database, "INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, "
        "service_date, amount, batch_id) VALUES (-5, 'hospital_a', 'future', '2099-01-01', 7, 1)")
    rows = ask("total_billed")
    assert {row["as_of"] for row in rows} == {oracle.as_of()}
    assert max(row["month"] for row in rows).year < 2099


@pytest.mark.parametrize("hospital", [None, *HOSPITALS])
@pytest.mark.parametrize("as_of", [None, datetime.date(2023, 6, 30)])
def test_receivables_agree(ask, oracle, hospital, as_of):
    by, wanted = (["source_system"], {"source_system": hospital}) if hospital else ([], {})
    assert value(ask("outstanding_ar", as_of, by), **wanted) == oracle.outstanding_ar(hospital, as_of)
    assert value(ask("days_in_ar", as_of, by), **wanted) == rounded(oracle.days_in_ar(hospital, as_of))
    bands = defaultdict(Decimal)
    for row in ask("ar_aging", as_of, by):
        if hospital in (None, row["source_system"]):
            bands[row["age_band"]] += row["numerator"]
            assert row["denominator"] == oracle.outstanding_ar(hospital, as_of)
    assert {band: bands[band] for band in oracle.ar_aging(hospital, as_of)} == oracle.ar_aging(hospital, as_of)


@pytest.mark.parametrize("hospital", [None, *HOSPITALS])
def test_rates_agree(ask, oracle, hospital):
    by, wanted = (["source_system"], {"source_system": hospital}) if hospital else ([], {})
    assert value(ask("gross_collection_rate", by=by), **wanted) == rounded(oracle.gross_collection_rate(hospital))
    assert value(ask("coverage_rate", by=by), method="weighted", **wanted) == rounded(oracle.coverage_rate(hospital))
    assert value(ask("approval_rate", by=by), **wanted) == rounded(oracle.approval_rate(hospital))
    denials = ask("denial_rate", by=by)
    assert value(denials, method="count", **wanted) == rounded(oracle.denial_rate(hospital))
    assert value(denials, method="amount", **wanted) == rounded(oracle.denial_rate_by_amount(hospital))
    mix = {row["claim_status"]: row["numerator"] for row in ask("claim_status_mix", by=by)
           if hospital in (None, row["source_system"])}
    assert mix == oracle.claim_status_mix(hospital)
    assert value(ask("patient_volume", by=by), measure="persons", **wanted) == oracle.patient_volume(hospital)


def test_coverage_per_claim_is_the_mean_of_the_claims_shares(ask, oracle):
    shares = [(100 * row["paid"] / row["claimed"]).quantize(Decimal("0.01"), ROUND_HALF_UP) / 100
              for row in oracle._claims()]
    assert value(ask("coverage_rate", by=[]), method="per_claim") == rounded(sum(shares) / len(shares))


def test_payers_shares_agree_and_make_a_whole(ask, oracle):
    rows = [row for row in ask("payer_mix", by=["payer_name"]) if row["measure"] == "claims"]
    assert {row["payer_name"]: row["numerator"] for row in rows} == {
        payer: entry[0] for payer, entry in oracle.payer_mix().items()}
    assert abs(sum(row["value"] for row in rows) - 1) < Decimal("0.00001")


def test_a_person_is_new_once_and_returns_afterwards(ask, oracle):
    rows = ask("patient_volume")
    counts = defaultdict(int)
    for row in rows:
        if row["source_system"] == "hospital_a":
            counts[row["measure"]] += row["value"]
    assert counts["new"] == oracle.patient_volume("hospital_a")
    assert counts["new"] + counts["returning"] == counts["persons"]
    assert counts["encounters"] == 100


def test_flagged_rows_are_counted(ask, oracle):
    flagged = sum(row["paid"] > row["billed"] for row in oracle._transactions())
    assert [row["flagged_rows"] for row in ask("total_billed", by=[])] == [flagged]


def test_what_the_data_cannot_support_names_the_column(ask, database):
    rows = ask("write_off_amount")
    assert {row["source_system"] for row in rows} == set(HOSPITALS)
    assert {(row["value"], row["missing"]) for row in rows} == {(None, "adjustments.amount")}
    rows = ask("days_in_ar", datetime.date(2026, 1, 1), [])
    assert [(row["value"], row["missing"]) for row in rows] == [(None, "transactions.amount")]
    run(database, "UPDATE silver.transactions SET paid_amount = NULL")
    rows = ask("total_paid", by=[]) + ask("gross_collection_rate", by=[])
    assert {(row["value"], row["missing"]) for row in rows} == {(None, "transactions.paid_amount")}


def test_adjustments_are_written_off_but_not_the_patients_share(ask, database):
    """Whatever else the group says (CR was one until 5010), and also of a source that sends nothing but remittances."""
    run(database, "INSERT INTO ops.source (source_system, timezone) VALUES ('remits_alone', 'UTC'), ('shares_alone', 'UTC')")
    sent = [("hospital_a", group) for group in ("CO", "CO", "OA", "CR", "PR")] + [("remits_alone", "PI"), ("shares_alone", "PR")]
    for place, (source, group) in enumerate(sent):
        run(database, "INSERT INTO silver.adjustments (adjustment_key, source_system, source_claim_id, iteration, "
            "service_line, group_code, reason_code, position, claim_date, amount, batch_id) "
            "VALUES (%s, %s, 'C1', 1, 0, %s, '45', %s, '2023-02-01', 10.5, 1)", place, source, group, place)
    rows = [row for row in ask("write_off_amount") if row["source_system"] != "hospital_b"]
    assert {(row["source_system"], row["group_code"]): row["value"] for row in rows} == {
        ("hospital_a", "CO"): Decimal("21.0"), ("hospital_a", "OA"): Decimal("10.5"), ("hospital_a", "CR"): Decimal("10.5"),
        ("remits_alone", "PI"): Decimal("10.5")}
    assert {row["missing"] for row in rows} == {None}


# X12 835 CAS: deductible, coinsurance, copay, and what the contract's fee leaves of the charge, of these groups alone.
NO_DENIALS = (("PR", "1"), ("PR", "2"), ("PR", "3"), ("CO", "45"))
DENIALS = (("PR", "4"), ("PR", "45"), ("PR", "96"), ("CO", "1"), ("CO", "3"), ("CO", "29"), ("OA", "45"), ("PI", "2"))


def adjustments(*codes):
    """(statement, values) of each: 1.00, 2.00, 4.00 …, so that a sum tells of which."""
    for place, (group, reason) in enumerate(codes):
        yield ("INSERT INTO silver.adjustments (adjustment_key, source_system, source_claim_id, iteration, service_line, group_code, "
               "reason_code, position, claim_date, amount, batch_id) VALUES (%s, 'hospital_a', 'C1', 1, 0, %s, %s, %s, '2024-02-02', "
               "%s, 1)", (place, group, reason, place, 2 ** place))


def test_the_patients_share_and_the_contracts_fee_are_no_denials(ask, database):
    for statement, values in adjustments(*DENIALS, *NO_DENIALS):
        run(database, statement, *values)
    rows = [row for row in ask("denial_reasons", by=["group_code", "reason_code"]) if row["missing"] is None]
    found = {(row["method"], row["group_code"], row["reason_code"]): row["numerator"] for row in rows}
    assert found == {(method, *codes): 1 if method == "count" else 2 ** place
                     for place, codes in enumerate(DENIALS) for method in ("count", "amount")}


def test_a_status_that_nobody_mapped_is_reported_and_in_no_rate(ask, database):
    before = value(ask("denial_rate", by=[]), method="count")
    run(database, "UPDATE silver.claims SET claim_status = 'Lost In Mail' WHERE claim_status = 'Pending'")
    assert {row["claim_status"] for row in ask("claim_status_mix", by=[])} == {
        "Paid", "Approved", "Denied", "Rejected", "Other"}
    assert value(ask("denial_rate", by=[]), method="count") == before


def test_only_final_and_present_rows_count(ask, database, oracle):
    run(database, "UPDATE silver.transactions SET is_deleted = true WHERE source_system = 'hospital_b'")
    run(database, "UPDATE silver.claims SET is_final = false WHERE source_system = 'hospital_b'")
    assert value(ask("total_billed", by=[])) == oracle.total_billed("hospital_a")
    assert value(ask("approval_rate", by=[])) == rounded(oracle.approval_rate("hospital_a"))


@pytest.mark.parametrize("kpi", KPIS)
def test_analysts_may_ask_every_figure_and_read_nothing_else(postgres, database, kpi):
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE revcycle_reader")
        cursor.execute(f"SELECT * FROM kpi.{kpi}()")
        assert cursor.fetchall()
        cursor.execute("SELECT has_schema_privilege('silver', 'usage')")
        assert cursor.fetchone() == (False,)


def test_every_figure_says_what_it_is(database):
    with database.cursor() as cursor:
        cursor.execute("SELECT p.proname FROM pg_proc p WHERE pronamespace = 'kpi'::regnamespace AND proretset "
                       "AND proname NOT LIKE '\\_%' AND obj_description(oid, 'pg_proc') IS NOT NULL ORDER BY 1")
        assert tuple(name for name, in cursor.fetchall()) == KPIS


def snapshot(database, figure, by):
    with open(os.path.join(ROOT, "storage", "sql", "kpi.sql"), encoding="utf-8") as file:
        statement = file.read().split("-- name: kpi_snapshot\n")[1]
    with database.cursor() as cursor:
        cursor.execute(statement.replace("{figure}", figure).replace("$1", "%s"), (by,))
        return cursor.rowcount


def test_a_figure_is_kept_when_it_changes_and_only_then(database, oracle):
    by = "{source_system}"
    assert snapshot(database, "total_billed", by) == 1
    assert snapshot(database, "total_billed", by) == 0
    run(database, "UPDATE ops.kpi_snapshot SET known_at = known_at - interval '1 hour'")  # one transaction, one now()
    run(database, "UPDATE silver.transactions SET amount = amount + 1 WHERE source_transaction_id = 'T1' "
        "AND source_system = 'hospital_a'")
    assert snapshot(database, "total_billed", by) == 1
    assert snapshot(database, "total_billed", by) == 0
    with database.cursor() as cursor:
        cursor.execute("SELECT result FROM ops.kpi_snapshot WHERE kpi = 'total_billed' ORDER BY known_at")
        kept = [{row["source_system"]: Decimal(str(row["value"])) for row in result} for result, in cursor.fetchall()]
    assert kept == [{name: oracle.total_billed(name) + (step if name == "hospital_a" else 0) for name in HOSPITALS}
                    for step in (0, 1)]


def test_what_cannot_be_computed_is_kept_as_such(database):
    assert snapshot(database, "write_off_amount", "{source_system}") == 1
    with database.cursor() as cursor:
        cursor.execute("SELECT result -> 0 -> 'value', result -> 0 ->> 'missing' FROM ops.kpi_snapshot")
        assert cursor.fetchall() == [(None, "adjustments.amount")]


@pytest.mark.parametrize("feed, day", [("persons", "2024-03-05"), ("settle", "2024-03-05"), ("h.transactions", "2024-03-09")])
def test_the_clock_goes_by_what_hospitals_sent(postgres, schema_database, feed, day):
    """What was done here since is no news of theirs, and must not make what is owed look older."""
    postgres.execute(
        "INSERT INTO ops.source (source_system, timezone) VALUES ('h', 'UTC'); "
        "INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined, committed_at) VALUES "
        f"(1, 'h.transactions', 4, 4, 0, '2024-03-05 12:00+00'), (2, '{feed}', 1, 1, 0, '2024-03-10 12:00+00'); "
        "INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, service_date, batch_id) "
        "SELECT n, 'h', n, date '2024-03-01' + n, 1 FROM unnest(ARRAY[1, 4, 8, 20]) AS n", schema_database)
    assert postgres.ask(schema_database, "SELECT kpi.default_as_of()::text") == [(day,)]


def test_without_transactions_the_clock_goes_by_claims(postgres, schema_database):
    """A hospital of which only X12 is received: what it sent is counted, and a date to come is none."""
    postgres.execute(
        "INSERT INTO ops.source (source_system, timezone) VALUES ('h', 'UTC'); "
        "INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined, committed_at) VALUES "
        "(1, 'claims.h', 2, 2, 0, '2024-03-05 12:00+00'); "
        "INSERT INTO silver.claims (claim_key, source_system, source_claim_id, iteration, is_final, service_date, claim_date, claim_status, batch_id) "
        "VALUES (1, 'h', 'C1', 1, true, '2024-03-01', '2024-03-04', 'Paid', 1), (2, 'h', 'C2', 1, true, '2024-02-01', '2099-01-01', 'Denied', 1)",
        schema_database)
    assert postgres.ask(schema_database, "SELECT kpi.default_as_of()::text") == [("2024-03-04",)]
    assert postgres.ask(schema_database, "SELECT claim_status, numerator::int FROM kpi.claim_status_mix()") == [("Paid", 1)]
