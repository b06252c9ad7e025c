"""A hospital's table of what its patients were: a second feed of the same entity that tells the past."""
import pytest
import yaml

from harness import jobs

FEED = {
    "entity": "patients", "table": "patient_was", "key": ["pat_id", "since"], "cursor": "since", "every": "30s",
    "tells": "past", "page_rows": 2,
    "map": {"source_patient_id": "pat_id", "city": {"from": "city", "clean": ["trim"]}, "source_modified_at": "since"},
}
VERSIONS = ("SELECT version, effective_date::date::text, city, last_name IS NOT NULL, is_current FROM silver.patients "
            "WHERE source_system = 'hospital_a' AND source_patient_id = %s ORDER BY version")
FACTS = ("SELECT count(*) FILTER (WHERE e.encounter_date < '2001-05-01'), count(*) FILTER (WHERE p.version = 2), "
         "bool_and(p.effective_date::date <= e.encounter_date OR p.version = 1), "
         "bool_and(p.expiry_date::date > e.encounter_date) FROM silver.encounters e JOIN silver.patients p USING (patient_key) "
         "WHERE e.source_system = 'hospital_a' AND e.source_patient_id = %s")


def with_past(text):
    config = yaml.safe_load(text)
    config["sources"]["hospital_a"]["feeds"]["patients_past"] = FEED
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


@pytest.fixture
def patient(loaded):
    return loaded.value("SELECT source_patient_id FROM silver.encounters WHERE source_system = 'hospital_a' "
                        "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")


def test_a_history_table_fills_the_time_before_and_facts_follow(loaded, patient):
    (_, start, city, _, _), = loaded.rows(VERSIONS, patient)
    loaded.play("CREATE TABLE patient_was (pat_id varchar(40), since datetime, city varchar(80), "
                "PRIMARY KEY (pat_id, since), KEY (since, pat_id))")
    for since, was in (("2001-05-01", "Oldtown"), ("1999-03-01", "Firsttown"), ("2001-06-01", "Oldtown"),
                       ("2003-01-01", city)):
        loaded.play("INSERT INTO patient_was VALUES (%s, %s, %s)", patient, since, was)
    loaded.configure(edit=with_past)
    loaded.once()
    expected = [(1, "1999-03-01", "Firsttown", True, False), (2, "2001-05-01", "Oldtown", True, False),
                (3, "2003-01-01", city, True, True)]
    assert start > "2003-01-01" and loaded.rows(VERSIONS, patient) == expected
    assert loaded.rows(FACTS, patient)[0][2:] == (True, True)
    published = loaded.warehouse.rows("SELECT COUNT(*) AS n FROM `%s.healthcare_rcm.dim_patients` d JOIN "
                                      "`%s.healthcare_rcm.fact_encounters` f ON f.patient_key = d.patient_key "
                                      "WHERE d.version = 3" % ((loaded.emulator.project,) * 2))
    assert int(next(iter(published))["n"]) >= loaded.value(
        "SELECT count(*) FROM silver.encounters e JOIN silver.patients p USING (patient_key) WHERE p.version = 3 "
        "AND p.source_patient_id = %s AND p.source_system = 'hospital_a'", patient)
    before = loaded.dump()
    loaded.once()
    assert loaded.dump() == before
    loaded.play("INSERT INTO patient_was VALUES (%s, '2002-01-01', 'Midtown')", patient)
    loaded.play("UPDATE patient_was SET city = 'Othertown' WHERE since = '1999-03-01'")
    loaded.once()  # whole tables: what was entered later for a time that has passed is found
    assert loaded.rows(VERSIONS, patient) == [
        (1, "1999-03-01", "Othertown", True, False), (2, "2001-05-01", "Oldtown", True, False),
        (3, "2002-01-01", "Midtown", True, False), (4, "2003-01-01", city, True, True)]
    assert loaded.rows(FACTS, patient)[0][2:] == (True, True)
    loaded.daemon.make_token()
    loaded.daemon.start()
    assert jobs.run_job(loaded.daemon, "hospital_a.patients_past", mode="reconcile")["state"] == "succeeded"
    assert loaded.value("SELECT count(*) FROM silver.patients WHERE is_deleted") == 0
    assert len(loaded.rows(VERSIONS, patient)) == 4
