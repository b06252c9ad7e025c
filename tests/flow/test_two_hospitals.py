"""The public sample of two hospitals, against figures taken straight from its CSV files.

The files are third-party input and not part of this repository: REVCYCLED_TWO_HOSPITALS names their
directory, or they lie in ../shared/data/two-hospitals beside the checkout. Elsewhere: skipped.
"""
import os
from decimal import Decimal

import pytest

from harness import settings
from harness.oracle import Oracle
from harness.world import Base, World

# Flags that say what the README counts; other flags of these rows are not part of the comparison.
COMPARED = {
    "patients": ("name_unknown",), "providers": ("npi_check_digit",),
    "encounters": ("modified_before_inserted", "orphan_provider", "orphan_patient"),
    "transactions": ("paid_before_service", "paid_above_billed", "modified_before_inserted",
                     "amount_not_positive", "orphan_provider", "orphan_patient", "orphan_encounter",
                     "claim_link_mismatch", "age_out_of_range"),
    "claims": ("claim_before_service", "modified_before_inserted", "orphan_provider", "orphan_transaction",
               "claim_patient_mismatch", "claim_encounter_mismatch", "claim_provider_mismatch",
               "claim_date_mismatch", "claim_department_mismatch"),
}
FACTS = {"encounters": ("patient", "provider", "department", "procedure"),
         "transactions": ("patient", "provider", "department", "procedure", "diagnosis", "payer"),
         "claims": ("patient", "provider", "department", "payer")}


def data_directory():
    beside = os.path.join(os.path.dirname(settings.ROOT), "shared", "data", "two-hospitals")
    return os.environ.get("REVCYCLED_TWO_HOSPITALS", beside)


@pytest.fixture(scope="module")
def data():
    directory = data_directory()
    if not os.path.isdir(directory):
        pytest.skip("the public sample of two hospitals is not here")
    return directory


@pytest.fixture(scope="module")
def oracle(data):
    return Oracle(data)


@pytest.fixture(scope="module")
def world(data, binary, mariadb, postgres, schema_template, tmp_path_factory):
    base = Base("two", data, settings.template_of(data), mariadb, postgres, tmp_path_factory.mktemp("two_base"))
    base.fill(schema_template)
    world = World(base, "twohospitals", tmp_path_factory.mktemp("two"), binary).make()
    try:
        world.once(timeout=600)
        yield world
    finally:
        world.end()


def money(value):
    return Decimal(value).quantize(Decimal("0.01"))


@pytest.mark.parametrize("entity", ["patients", "providers", "departments", "encounters", "transactions", "claims"])
def test_every_row_of_the_hospitals_is_current_once(world, oracle, entity):
    assert world.counts(entity) == oracle.counts()[entity]


def test_every_patient_is_a_person_of_his_own(world, oracle):
    assert oracle.duplicate_patients() == 0
    assert world.value("SELECT count(DISTINCT person_id) FROM silver.patients WHERE is_current AND NOT is_inferred "
                       "AND source_system <> ''") == 10_000


def test_providers_that_facts_name_are_inferred_members(world, oracle):
    assert dict(world.rows("SELECT source_system, count(*) FROM silver.providers WHERE is_inferred "
                           "AND source_system <> '' GROUP BY 1")) == oracle.inferred_providers()


@pytest.mark.parametrize("entity", list(COMPARED))
def test_flags_are_those_of_the_readme(world, oracle, entity):
    expected = oracle.flags()[entity]
    found = world.flags(entity)
    assert {flag: found.get(flag, 0) for flag in COMPARED[entity]} == {
        flag: expected.get(flag, 0) for flag in COMPARED[entity]}


def test_quarantine_is_empty(world):
    assert world.rows("SELECT feed, rule, count(*) FROM dq.quarantine GROUP BY 1, 2") == []


def test_every_sum_agrees_to_the_cent_in_postgresql_and_in_bigquery(world, oracle):
    for hospital, sums in oracle.sums().items():
        for name, expected in sums.items():
            table, column = name.split(".")
            final = "AND is_final" if table == "claims" else ""
            assert world.value(f"SELECT sum({column}) FROM silver.{table} WHERE source_system = %s {final}",
                               hospital) == expected, name
            assert money(world.warehouse.value(
                f"SELECT CAST(SUM({column}) AS STRING) FROM `healthcare_rcm.fact_{table}` "
                f"WHERE source_system = '{hospital}' {final}")) == expected, f"BigQuery: {name}"


def test_sums_by_hospital_and_month_agree_to_the_cent(world, oracle):
    for column, field in (("amount", "billed"), ("paid_amount", "paid")):
        found = world.rows(f"SELECT source_system, to_char(service_date, 'YYYY-MM'), sum({column}) "
                           "FROM silver.transactions GROUP BY 1, 2")
        assert {(source, month): value for source, month, value in found} == oracle.by_month(field)


def test_payment_statuses_follow_the_definition(world, oracle):
    for entity, by_source in oracle.payment_statuses().items():
        final = "WHERE is_final" if entity == "claims" else ""
        found = {}
        for source, status, count in world.rows(
                f"SELECT source_system, payment_status, count(*) FROM silver.{entity} {final} GROUP BY 1, 2"):
            found.setdefault(source, {})[status] = count
        assert found == by_source


@pytest.mark.parametrize("fact", list(FACTS))
def test_every_key_of_a_fact_exists_in_its_dimension(world, fact):
    for dimension in FACTS[fact]:
        table = {"diagnosis": "diagnoses"}.get(dimension, dimension + "s")
        assert world.value(
            f"SELECT count(*) FROM gold.fact_{fact} f LEFT JOIN gold.dim_{table} d USING ({dimension}_key) "
            f"WHERE d.{dimension}_key IS NULL") == 0, dimension
        assert int(world.warehouse.value(
            f"SELECT COUNT(*) FROM `healthcare_rcm.fact_{fact}` f LEFT JOIN `healthcare_rcm.dim_{table}` d "
            f"ON f.{dimension}_key = d.{dimension}_key WHERE d.{dimension}_key IS NULL")) == 0, dimension


def test_bigquery_has_as_many_rows_as_gold(world):
    tables = [row[0] for row in world.rows(
        "SELECT table_name FROM information_schema.views WHERE table_schema = 'gold' "
        "AND table_name ~ '^(dim|fact)_' ORDER BY 1")]
    assert {"fact_transactions", "dim_date"} <= set(tables)
    for table in tables:
        assert int(world.warehouse.value(f"SELECT COUNT(*) FROM `healthcare_rcm.{table}`")) == world.value(
            f"SELECT count(*) FROM gold.{table}"), table


def test_coverage_reaches_what_the_readme_says(world, oracle):
    assert world.value("SELECT max(coverage_percent) FROM silver.claims") == oracle.facts()["highest_coverage"]


def test_names_of_nothing_are_null(world):
    assert world.value("SELECT count(*) FROM silver.patients WHERE is_current AND 'name_unknown' = ANY (dq_flags) "
                       "AND first_name IS NULL") == 15


def test_facts_older_than_their_patients_point_at_the_first_version(world):
    assert world.value(
        "SELECT count(*) FROM silver.encounters e JOIN silver.patients p USING (patient_key) "
        "WHERE p.version <> 1 OR p.source_patient_id <> e.source_patient_id "
        "OR p.source_system <> e.source_system") == 0


def test_a_second_run_changes_nothing(world):
    """No bronze row, no version, no publication, no byte sent. (BigQuery row by row: test_changes.py.)"""
    before = world.dump(warehouse=False)
    published = world.rows("SELECT publication_id, state FROM ops.publication")
    batches = world.value("SELECT max(batch_id) FROM ops.batch")
    world.once(timeout=600)
    assert world.dump(warehouse=False) == before
    assert world.rows("SELECT publication_id, state FROM ops.publication") == published
    assert world.value("SELECT max(batch_id) FROM ops.batch") == batches
