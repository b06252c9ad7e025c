"""The kpi views in BigQuery: their columns, and figures counted by hand."""
from decimal import Decimal

import pytest

from component.test_kpi import DENIALS, NO_DENIALS, adjustments

KPIS = {"total_billed": [], "total_paid": [], "gross_collection_rate": [], "coverage_rate": ["method"],
        "outstanding_ar": [], "days_in_ar": [], "ar_aging": ["age_band"], "claim_status_mix": ["claim_status"],
        "approval_rate": [], "denial_rate": ["method"], "patient_volume": ["measure"],
        "payer_mix": ["payer_name", "payer_type", "measure"], "write_off_amount": ["group_code"],
        "denial_reasons": ["method", "group_code", "reason_code", "remark_codes"], "net_collection_rate": []}
COMMON = ["kpi", "definition_version", "as_of", "month", "source_system"]
TEXTS = {"denial_reasons": ["group_text", "reason_text", "remark_texts"]}  # beside the codes
FIGURES = ["numerator", "denominator", "value", "flagged_rows", "missing"]


@pytest.fixture
def figures(publishing):
    """January and March 2024: four transactions, four claims, two patients of one person each."""
    p = publishing
    p.new_batch()
    for key in (1, 2):
        p.sql("INSERT INTO silver.patients (patient_key, source_system, source_patient_id, person_id, "
              "effective_date, expiry_date, is_current, version, batch_id) VALUES (%s, 'hospital_a', %s, "
              "gen_random_uuid(), '0001-01-01', '9999-12-31', true, 1, %s)", key, f"P{key}", p.batch)
    p.sql("INSERT INTO silver.person_link (source_system, source_patient_id, person_id, rule) "
          "SELECT source_system, source_patient_id, person_id, 'alone' FROM silver.patients")
    p.sql("INSERT INTO silver.payers (payer_key, source_system, source_payer_id, name, batch_id) "
          "VALUES (1, 'hospital_a', 'X1', 'Aetna', %s)", p.batch)
    p.transaction(1, "2024-01-10", "100.00", paid_amount="40.00", paid_date="2024-01-20", patient_key=1, payer_key=1)
    p.transaction(2, "2024-01-20", "50.00", paid_amount="80.00", paid_date="2024-02-15", patient_key=2, payer_key=1,
                  dq_flags=["paid_above_billed"])
    p.transaction(3, "2024-03-05", "10.10", paid_amount=None, patient_key=1)
    p.transaction(4, "2024-03-31", "0.90", paid_amount="0.90", paid_date="2024-06-01", patient_key=1)
    claims = ((1, "Paid", "100.00", "80.00", True), (2, "Denied", "300.00", "0.00", True),
              (3, "Rejected", "10.00", "0.00", True), (4, "Denied", "5.00", "0.00", False))
    for key, status, amount, paid, is_final in claims:
        p.sql("INSERT INTO silver.claims (claim_key, source_system, source_claim_id, iteration, is_final, "
              "claim_date, claim_amount, paid_amount, claim_status, coverage_percent, batch_id) VALUES "
              "(%s, 'hospital_a', %s, 1, %s, '2024-02-02', %s, %s, %s, %s, %s)", key, f"C{key}", is_final, amount, paid,
              status, Decimal(paid) * 100 / Decimal(amount), p.batch)
    p.publish()
    return lambda kpi: list(p.bigquery.rows(f"SELECT * FROM `{p.project}.healthcare_rcm.kpi_{kpi}`"))


def by(rows, *keys):
    return {tuple(row[key] for key in keys): None if row["value"] is None else Decimal(row["value"]) for row in rows}


def test_every_view_has_the_columns_of_the_model(figures):
    for kpi, dimensions in KPIS.items():
        rows = figures(kpi)
        assert rows, kpi
        assert list(rows[0]) == COMMON + dimensions + FIGURES + TEXTS.get(kpi, []), kpi
        assert {row["kpi"] for row in rows} == {kpi}


def test_sums_by_month(figures):
    assert by(figures("total_billed"), "month") == {("2024-01-01",): Decimal(150), ("2024-03-01",): Decimal("11.00")}
    assert {row["as_of"] for row in figures("total_billed")} == {"2024-03-31"}
    assert by(figures("total_paid"), "month") == {("2024-01-01",): Decimal(120), ("2024-03-01",): Decimal("0.90")}
    assert by(figures("gross_collection_rate"), "month")[("2024-01-01",)] == Decimal("0.8")
    assert [row["flagged_rows"] for row in figures("total_billed") if row["month"] == "2024-01-01"] == ["1"]


def test_receivables_at_each_month_end_and_the_default(figures):
    assert by(figures("outstanding_ar"), "as_of") == {
        ("2024-01-31",): Decimal(110), ("2024-02-29",): Decimal(60), ("2024-03-31",): Decimal(71)}
    assert by(figures("days_in_ar"), "as_of")[("2024-03-31",)] == round(Decimal(71) * 90 / Decimal(161), 6)
    aging = {(row["as_of"], row["age_band"]): Decimal(row["numerator"]) for row in figures("ar_aging")}
    assert aging[("2024-03-31", "61-90")] == Decimal(60)
    assert aging[("2024-03-31", "0-30")] == Decimal(11)


def test_claims(figures):
    assert by(figures("denial_rate"), "method") == {("count",): Decimal("0.5"), ("amount",): Decimal("0.75")}
    assert by(figures("approval_rate"), "month") == {("2024-02-01",): Decimal("0.5")}
    mix = {row["claim_status"]: row["numerator"] for row in figures("claim_status_mix")}
    assert {status: Decimal(n) for status, n in mix.items()} == {"Paid": 1, "Denied": 1, "Rejected": 1}
    assert by(figures("coverage_rate"), "method") == {
        ("weighted",): round(Decimal(80) / Decimal(410), 6), ("per_claim",): round(Decimal("0.8") / 3, 6)}


def test_people_and_payers(figures):
    volume = by(figures("patient_volume"), "month", "measure")
    assert volume[("2024-01-01", "persons")] == volume[("2024-01-01", "new")] == 2
    assert volume[("2024-03-01", "persons")] == volume[("2024-03-01", "returning")] == 1
    payers = by(figures("payer_mix"), "month", "measure", "payer_name")
    assert payers[("2024-01-01", "billed", "Aetna")] == 1


def test_what_the_data_cannot_support_is_not_computable(figures):
    rows = figures("write_off_amount")
    assert [(row["value"], row["missing"], row["source_system"]) for row in rows] == [
        (None, "adjustments.amount", "hospital_a")]


def test_the_patients_share_and_the_contracts_fee_are_no_denials(figures, publishing):
    publishing.new_batch()
    for statement, values in adjustments(*DENIALS, *NO_DENIALS):
        publishing.sql(statement, *values)
    publishing.sql("UPDATE silver.adjustments SET batch_id = %s", publishing.batch)
    publishing.publish()
    rows = [row for row in figures("denial_reasons") if row["missing"] is None]
    assert {(row["method"], row["group_code"], row["reason_code"]): Decimal(row["numerator"]) for row in rows} == {
        (method, *codes): 1 if method == "count" else 2 ** place
        for place, codes in enumerate(DENIALS) for method in ("count", "amount")}
