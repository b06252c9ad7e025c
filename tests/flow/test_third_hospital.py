"""A third hospital, and a fourth of the same vendor, by a file in conf.d/ and a reload of the running daemon."""
import contextlib
import datetime
import glob
import os
import re
import shutil
from decimal import Decimal

import pytest

from harness import dump, jobs, ledger, settings

SOURCES = {"hospital_c": 1, "hospital_d": 2}


def relatives(world, count=15):
    """People whom hospital a knows: their SSN, birth date and name are those of patients here, too."""
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute("SELECT pat_id, ssn, birth_date, family_name, given_name FROM patient_master ORDER BY pat_id")
        rows = cursor.fetchall()
    numbers = [row[1] for row in rows]
    return [(row[0], *row[1:]) for row in rows
            if row[1] and len("".join(filter(str.isdigit, row[1]))) == 9 and numbers.count(row[1]) == 1
            and isinstance(row[2], datetime.date) and row[3] and row[4]][:count]


def add(world, known):
    """The databases and files of the vendor's hospitals: {source: Ledger}. Nothing of it is read yet."""
    made = {name: ledger.Ledger(seed, relatives=[
        ("".join(filter(str.isdigit, ssn)), born, last, first) for _, ssn, born, last, first in known])
        for name, seed in SOURCES.items()}
    drop = os.path.join(world.directory, "ledger-drop")
    os.makedirs(drop, exist_ok=True)
    for name, hospital in made.items():
        hospital.load(world.mysql, world.extra_database(name))
        hospital.write_claims(os.path.join(drop, f"{name[-1]}_claims.txt"))
    os.makedirs(os.path.join(world.directory, "conf.d"), exist_ok=True)
    shutil.copytree(ledger.FOLDER, os.path.join(world.directory, "ledger"))
    values = {"MYSQL_PORT": world.mysql.port, "MYSQL_USER": "revcycle_ro", "MYSQL_CA": world.mysql.ca_file(),
              "MYSQL_PASSWORD_FILE": world.mysql.password_file("revcycle_ro"), "LEDGER_DROP": drop,
              "HOSPITAL_C_DATABASE": world.extra_database("hospital_c"),
              "HOSPITAL_D_DATABASE": world.extra_database("hospital_d")}
    settings.write_config(os.path.join(ledger.FOLDER, "ledger.yaml.in"),
                          os.path.join(world.directory, "conf.d", "ledger.yaml"), values)
    return made


@pytest.fixture
def joined(loaded):
    """Two hospitals in a running daemon, two more added to it: the world, what was made, who is known elsewhere."""
    loaded.daemon.make_token()
    loaded.daemon.start()
    jobs.await_quiet(loaded.daemon, 90)
    known = relatives(loaded)
    assert len(known) == 15
    made = add(loaded, known)
    status, _, body = loaded.daemon.post("/v1/config/reload", timeout=90)
    assert status == 200, body
    assert body["changes"]["sources"]["added"] == list(SOURCES)
    assert body["changes"]["claims"]["added"] == ["ledger"] and body["needs_restart"] is False
    jobs.await_quiet(loaded.daemon, 90)
    return loaded, made, known


def silver_sums(world, source):
    return world.rows("SELECT count(*), sum(amount), sum(paid_amount) FROM silver.transactions "
                      "WHERE source_system = %s AND NOT is_deleted", source)[0]


def figure(world, kpi, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    status, _, body = world.daemon.get(f"/v1/kpis/{kpi}?{query}")
    assert status == 200, body
    return body["items"]


def assert_figures(world, made):
    for source, hospital in made.items():
        expected = hospital.expected()
        for entity in ("patients", "encounters", "transactions", "claims"):
            assert world.counts(entity)[source] == expected[entity], (source, entity)
        assert silver_sums(world, source) == (expected["transactions"], expected["billed"], expected["paid"])
        assert world.rows("SELECT sum(amount), sum(paid_amount) FROM gold.fact_transactions WHERE source_system = %s",
                          source) == [(expected["billed"], expected["paid"])]
        billed = {row["month"]: Decimal(row["value"]) for row in
                  figure(world, "total_billed", as_of="2025-12-31") if row["source_system"] == source}
        assert billed == expected["months"]
        rates = {row["method"]: (Decimal(row["numerator"]), Decimal(row["denominator"])) for row in
                 figure(world, "denial_rate", as_of="2025-12-31", by="source_system")
                 if row["source_system"] == source}
        assert rates == expected["denials"]


def assert_published(world, made):
    assert jobs.run_job(world.daemon, "publish")["state"] == "succeeded"
    rows = {row["source_system"]: row for row in world.warehouse.rows(
        "SELECT source_system, COUNT(*) AS n, SUM(amount) AS billed, SUM(paid_amount) AS paid "
        "FROM healthcare_rcm.fact_transactions GROUP BY source_system")}
    for source, hospital in made.items():
        expected, row = hospital.expected(), rows[source]
        assert (int(row["n"]), Decimal(row["billed"]), Decimal(row["paid"])) == (
            expected["transactions"], expected["billed"], expected["paid"])


def assert_details(world, made):
    """Texts, dates, numbers for words, zones: every value of some rows, as Python makes it from the vendor's."""
    for source, hospital in made.items():
        rows = {row[0]: row[1:] for row in world.rows(
            "SELECT source_patient_id, last_name, gender, birth_date, address, city, state, zip, email "
            "FROM silver.patients WHERE source_system = %s AND is_current", source)}
        for patient in hospital.patients[15:]:
            address = " ".join(part for part in (patient["addr_no"], patient["addr_street"], patient["addr_unit"]) if part)
            zip_code = "-".join(part for part in (patient["addr_zip5"], patient["addr_zip4"]) if part)
            assert rows[str(patient["pt_no"])] == (
                patient["nm_last"], ledger.SEXES[patient["sex_cd"]],
                datetime.datetime.strptime(patient["born"], "%m/%d/%Y").date(), address, "Los Angeles", "CA",
                zip_code, patient["mail"].lower())
        entered = dict(world.rows("SELECT source_transaction_id, source_inserted_at FROM silver.transactions "
                                  "WHERE source_system = %s", source))
        for charge in hospital.charges:
            assert entered[str(charge["charge_no"])] == charge["entered"].replace(tzinfo=ledger.ZONE)
        kinds = dict(world.rows("SELECT source_encounter_id, encounter_type FROM silver.encounters "
                                "WHERE source_system = %s", source))
        assert all(kinds[str(visit["visit_no"])] == ledger.KINDS[visit["kind"]] for visit in hospital.visits)
        assert world.value("SELECT count(*) FROM dq.quarantine WHERE source_system = %s", source) == 0
        assert world.value("SELECT count(*) FROM silver.payers WHERE source_system = %s AND name = 'Sierra Mutual'",
                           source) == 1


def assert_linked(world, made, known):
    """Who is a patient at a, c and d is one person."""
    people = {(source, patient): person for source, patient, person in world.rows(
        "SELECT source_system, source_patient_id, person_id FROM silver.person_link")}
    for place, (patient, *_) in enumerate(known):
        ids = {people["hospital_a", patient.strip().upper()]}
        ids |= {people[source, str(hospital.patients[place]["pt_no"])] for source, hospital in made.items()}
        assert len(ids) == 1, place


def pay(world, made, source="hospital_c"):
    """A payment for a charge that is there, a correction of one, a new address: all move a row_stamp."""
    hospital, database = made[source], world.extra_database(source)
    charge = hospital.charges[0]
    hospital.payments[0]["cents"] += 7
    hospital.payments.append({"charge_no": charge["charge_no"], "cents": 1, "paid_on": "12/01/2025"})
    world.mysql.execute(
        f"INSERT INTO payment (charge_no, cents, paid_on) VALUES ({charge['charge_no']}, 1, '12/01/2025')",
        "UPDATE payment SET cents = cents + 7 WHERE pay_no = 1",
        f"UPDATE pt_wide SET addr_street = 'Neue Straße' WHERE pt_no = {hospital.patients[20]['pt_no']}",
        database=database)
    hospital.patients[20]["addr_street"] = "Neue Straße"


def take_back(world, made, source="hospital_c"):
    """A payment is deleted: the greatest of its charge's stamps moves backwards, if it moves at all."""
    hospital = made[source]
    world.mysql.execute("DELETE FROM payment WHERE pay_no = 2", database=world.extra_database(source))
    del hospital.payments[1]


def test_two_more_hospitals_join_a_running_daemon_and_are_right_to_the_cent(joined):
    world, made, known = joined
    assert_figures(world, made)
    assert_details(world, made)
    assert_linked(world, made, known)
    assert_published(world, made)
    said = world.daemon.run("doctor", timeout=60).stdout
    assert "hospital_c.transactions" in said and "BAD" not in said, said
    pay(world, made)
    expected = made["hospital_c"].expected()
    jobs.until(lambda: silver_sums(world, "hospital_c")[2] == expected["paid"])
    jobs.until(lambda: world.value(
        "SELECT version FROM silver.patients WHERE source_system = 'hospital_c' AND source_patient_id = %s "
        "AND is_current", str(made["hospital_c"].patients[20]["pt_no"])) == 2)
    jobs.await_quiet(world.daemon)
    assert_figures(world, made)
    assert_details(world, made)
    take_back(world, made)
    assert jobs.run_job(world.daemon, "hospital_c.transactions", mode="reconcile")["state"] == "succeeded"
    assert silver_sums(world, "hospital_c")[2] == made["hospital_c"].expected()["paid"]
    assert_published(world, made)


def test_a_mistake_in_a_shared_map_is_named_once_with_its_place(joined):
    world, _, _ = joined
    path = os.path.join(world.directory, "ledger", "patients.map")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("first_name:", "frist_name:"))
    status, _, body = world.daemon.post("/v1/config/reload", timeout=90)
    assert (status, body["errors"]) == (422, [{
        "pointer": f"{path}:2:1",
        "detail": "unknown column `frist_name` of entity patients, did you mean `first_name`?"}])


def test_nothing_but_configuration_knows_the_vendor():
    """No C and no SQL of ours names a table or column of it."""
    words = ("pt_wide", "charge_no", "nm_last", "row_stamp")
    for path in glob.glob(os.path.join(settings.ROOT, "**", "*.[chs]*"), recursive=True):
        if "/tests/" in path or not path.endswith((".c", ".h", ".sql")):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert not [word for word in words if word in text], path


def test_a_query_of_a_whole_table_is_that_table(fresh, loaded_dump):
    """Types, collations, key order and rendering as the result of a query describes them: the same rows and hashes."""
    fresh.configure(lambda text: re.sub(r"table: (\w+)", r"query: SELECT t.* FROM `\1` AS t WHERE 'a;' <> '('", text))
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())
