"""What happens after the first run: nothing, or exactly what the hospital did."""
import concurrent.futures
import contextlib

import pytest

from harness import jobs


def versions(world, number):
    return world.rows("SELECT version, address, is_current, patient_key FROM silver.patients "
                      "WHERE source_system = 'hospital_a' AND source_patient_id = %s ORDER BY version", number)


@pytest.fixture
def patient(loaded):
    """A patient of hospital A with encounters."""
    return loaded.value("SELECT source_patient_id FROM silver.encounters WHERE source_system = 'hospital_a' "
                        "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")


def test_a_second_run_changes_nothing(loaded):
    before = loaded.dump()
    publications = loaded.rows("SELECT publication_id FROM ops.publication")
    batches = loaded.value("SELECT max(batch_id) FROM ops.batch")
    loaded.once()
    assert loaded.dump() == before
    assert loaded.rows("SELECT publication_id FROM ops.publication") == publications
    assert loaded.value("SELECT max(batch_id) FROM ops.batch") == batches


def test_a_changed_address_makes_one_version_and_facts_keep_theirs(loaded, patient):
    facts = "SELECT source_encounter_id, patient_key FROM silver.encounters WHERE source_patient_id = %s ORDER BY 1"
    before, keys = versions(loaded, patient), loaded.rows(facts, patient)
    assert loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id = %s", patient) == 1
    loaded.once()
    after = versions(loaded, patient)
    assert [row[0] for row in after] == [1, 2]
    assert after[0][1] == before[0][1] and after[1][1] == "1 New Street"
    assert [row[2] for row in after] == [False, True]
    assert after[0][3] == before[0][3]
    assert loaded.rows(facts, patient) == keys
    loaded.once()
    assert versions(loaded, patient) == after


def test_a_run_says_how_many_patients_changed_in_what(loaded, patient):
    loaded.configure(jobs.rarely)
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon)
    loaded.play("CREATE TABLE twin AS SELECT * FROM patient_master WHERE pat_id = %s", patient)
    loaded.play("UPDATE twin SET pat_id = 'A-7654321', ssn = NULL")
    loaded.play("INSERT INTO patient_master SELECT * FROM twin")
    loaded.play("DROP TABLE twin")
    loaded.play("UPDATE patient_master SET street = '1 New Street' WHERE pat_id = %s", patient)
    run = jobs.run_job(loaded.daemon, "hospital_a.patients", mode="full")
    step = run["steps"][0]
    patients = loaded.value("SELECT count(*) FROM silver.patients WHERE source_system = 'hospital_a' AND is_current")
    assert (step["rows_new"], step["rows_changed"]) == (1, 2) and step["rows_read"] >= patients
    assert step["attributes"] == [{"attribute": "address", "versions": 1, "corrected": 0}]
    stored = jobs.until(lambda: loaded.rows("SELECT steps FROM ops.run WHERE run_id = %s AND finished_at IS NOT NULL",
                                            int(run["id"])))
    assert stored[0][0][0]["attributes"] == step["attributes"]


def test_a_time_that_moved_alone_makes_no_version(loaded, patient):
    loaded.play("UPDATE patient_master SET updated_at = NOW(6) WHERE pat_id = %s", patient)
    publications = loaded.value("SELECT count(*) FROM ops.publication")
    loaded.once()
    assert len(versions(loaded, patient)) == 1
    assert loaded.value("SELECT count(*) FROM ops.publication") == publications


def test_a_service_date_that_moves_stands_once_in_bigquery(loaded):
    number = loaded.value("SELECT source_transaction_id FROM silver.transactions WHERE source_system = 'hospital_a' "
                          "AND service_date IS NOT NULL ORDER BY 1 LIMIT 1")
    key = loaded.value("SELECT transaction_key FROM silver.transactions WHERE source_system = 'hospital_a' "
                       "AND source_transaction_id = %s", number)
    first = str(loaded.value("SELECT service_date FROM silver.transactions WHERE transaction_key = %s", key))
    for day in ("2024-12-24", None, first):
        loaded.play("UPDATE billing_transaction SET service_date = %s WHERE txn_id = %s", day, number)
        loaded.once()
        rows = [row["service_date"] for row in loaded.warehouse.rows(
            f"SELECT service_date FROM `healthcare_rcm.fact_transactions` WHERE transaction_key = {key}")]
        assert rows == [day]


def test_a_day_later_all_of_bigquery_is_compared_and_agrees(loaded, patient):
    """Every month of every table, dirt and all, in the run of a publication and in one without."""
    for n, street in enumerate(("2 New Street", None)):
        loaded.store.execute("UPDATE ops.publication SET finished_at = finished_at - interval '25 hours'; "
                             "UPDATE ops.reconciliation SET finished_at = finished_at - interval '25 hours'",
                             loaded.database)
        if street:
            loaded.play("UPDATE patient_master SET street = %s WHERE pat_id = %s", street, patient)
        loaded.once()
        found = loaded.rows("SELECT differences, details FROM ops.reconciliation WHERE subject = 'bigquery'")
        assert [row[0] for row in found] == [0] * (n + 1)
        assert found[n][1]["fact_transactions"]["expected"]["rows"] == loaded.value(
            "SELECT count(*) FROM gold.fact_transactions")
    loaded.once()
    assert loaded.value("SELECT count(*) FROM ops.reconciliation WHERE subject = 'bigquery'") == 2


def test_a_row_without_a_cursor_value_is_read_all_the_same(loaded):
    loaded.play("INSERT INTO tblPatient (PatientNo, FName, LName, LastChange) VALUES (999999, 'No', 'Clock', NULL)", place=1)
    loaded.once()
    assert loaded.value("SELECT count(*) FROM silver.patients WHERE source_system = 'hospital_b' "
                        "AND source_patient_id = '999999'") == 1


def test_a_row_of_a_table_without_cursor_is_found_changed(loaded):
    number = loaded.value("SELECT source_encounter_id FROM silver.encounters WHERE source_system = 'hospital_b' LIMIT 1")
    loaded.play("UPDATE tblVisit SET Kind = 'Observation' WHERE VisitNo = %s", number, place=1)
    loaded.once()
    assert loaded.value("SELECT encounter_type FROM silver.encounters WHERE source_system = 'hospital_b' "
                        "AND source_encounter_id = %s", number) == "Observation"


def test_a_payer_without_a_feed_is_called_as_its_facts_spell_it(loaded):
    """Its id is folded, as the hospital's collation joins the spellings; of several the greatest is its name."""
    def spell(number, payer):
        assert loaded.play("UPDATE billing_transaction SET payer_code = %s WHERE txn_id = %s", payer, number) == 1

    def payers():
        return loaded.rows("SELECT source_payer_id, name FROM silver.payers WHERE source_payer_id LIKE %s", "ZENITH%")

    numbers = [row[0] for row in loaded.rows("SELECT source_transaction_id FROM silver.transactions "
                                             "WHERE source_system = 'hospital_a' ORDER BY 1 LIMIT 2")]
    spell(numbers[0], "ZENITH Health")
    loaded.once()
    assert payers() == [("ZENITH HEALTH", "ZENITH Health")]
    spell(numbers[1], "Zenith Health")
    loaded.once()
    assert payers() == [("ZENITH HEALTH", "Zenith Health")]
    spell(numbers[0], "ZENITH HEALTH")
    loaded.once()
    assert payers() == [("ZENITH HEALTH", "Zenith Health")]
    assert [row["name"] for row in loaded.warehouse.rows(
        "SELECT name FROM `healthcare_rcm.dim_payers` WHERE source_payer_id = 'ZENITH HEALTH'")] == ["Zenith Health"]


def test_a_payer_whose_spelling_alone_changed_is_called_by_the_greatest_of_all(loaded):
    """Whatever order the spellings come in: one that differs in case alone makes no other row of its fact."""
    number = loaded.value("SELECT min(source_transaction_id) FROM silver.transactions "
                          "WHERE source_system = 'hospital_a'")
    for spelling in ("ZENITH Health", "Zenith Health"):
        loaded.play("UPDATE billing_transaction SET payer_code = %s WHERE txn_id = %s", spelling, number)
        loaded.once()
    assert loaded.rows("SELECT name FROM silver.payers WHERE source_payer_id = 'ZENITH HEALTH'") == [("Zenith Health",)]
    assert [row["name"] for row in loaded.warehouse.rows(
        "SELECT name FROM `healthcare_rcm.dim_payers` WHERE source_payer_id = 'ZENITH HEALTH'")] == ["Zenith Health"]


PAYERS = """      payers:
        entity: payers
        table: payer
        key: [payer_id]
        every: 5m
        map:
          source_payer_id: payer_id
          name: payer_name
      providers:
"""


def test_payers_that_facts_make_while_their_own_page_is_placed(loaded):
    """Each is a row that was not there when the page looked, and is there when it writes."""
    loaded.play("CREATE TABLE payer (payer_id varchar(20) PRIMARY KEY, payer_name varchar(40))")
    loaded.play("INSERT INTO payer VALUES ('QA', 'First'), ('QB', 'Second'), ('QC', 'Third')")
    loaded.configure(lambda text: text.replace("      providers:\n", PAYERS, 1))
    with contextlib.ExitStack() as stack:
        pages = []
        for place, number in enumerate(("QA", "QB", "QC")):
            link = stack.enter_context(contextlib.closing(loaded.store.connect(loaded.database)))
            with link.cursor() as cursor:
                cursor.execute("SELECT silver.make_payers(ARRAY['hospital_a'], ARRAY[%s], %s)", (number, place + 1))
            pages.append(link)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            run = pool.submit(loaded.once)
            for page in pages:
                jobs.until(lambda holder=page.get_backend_pid(): run.done() or loaded.value(
                    "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", holder),
                    what="the payers' page waits")
                page.commit()
            run.result()
    assert loaded.rows("SELECT source_payer_id, name, reference_status FROM silver.payers "
                       "WHERE source_payer_id LIKE 'Q_' ORDER BY 1") == [
        ("QA", "First", "unchecked"), ("QB", "Second", "unchecked"), ("QC", "Third", "unchecked")]
