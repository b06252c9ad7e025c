"""No patient in a log, a metric, an error, or an answer that needs no phi scope.

A complete load of the sample, bad input, refused requests and failing runs; then everything that was
said is searched for every patient's name, number and id, as the hospital writes them and as the model
keeps them.
"""
import contextlib
import os
import re
import shutil

import pytest

from harness import jobs
from harness.world import World

COLUMNS = {
    0: ("patient_master", "pat_id, family_name, ssn, phone, email, street, CONCAT(given_name, ' ', family_name)"),
    1: ("tblPatient", "PatientNo, LName, SocialSec, Tel, Mail, Addr, CONCAT(FName, ' ', LName)"),
}
OURS = ("SELECT last_name, ssn, phone, email, address, first_name || ' ' || last_name, source_patient_id "
        "FROM silver.patients WHERE source_system <> '' AND NOT is_inferred")
IDS_B = 770_000_000  # makes hospital B's small numbers long enough not to be met by chance


def patients(world):
    """Every value that tells of one patient; shorter ones than a name would be found by chance."""
    values = set()
    for place, (table, columns) in COLUMNS.items():
        with contextlib.closing(world.hospital(place)) as link, link.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {table}")
            values.update(str(value) for row in cursor.fetchall() for value in row if value is not None)
    values.update(str(value) for row in world.rows(OURS) for value in row if value is not None)
    return {value.strip() for value in values if len(value.strip()) >= 4
            and not re.fullmatch("[a-z]+", value.strip())}  # "nobody", in place of an address


def found(values, text):
    """Values that stand in the text as whole words."""
    words = set(re.findall(r"[\w'@.+-]+", text))
    single = {value for value in values if re.fullmatch(r"[\w'@.+-]+", value)}
    return sorted(single & words) + sorted(value for value in values - single if value in text)


@pytest.fixture(scope="module")
def spoken(binary, small_base, tmp_path_factory):
    """The world, its patients, and all that was said: {where: text}."""
    world = World(small_base, "canary", tmp_path_factory.mktemp("canary"), binary).make()
    try:
        yield world, *tell_everything(world)
    finally:
        world.end()


def spoil(world):
    """Input that is refused: each kind of refusal could quote it."""
    for table in ("tblPatient", "tblVisit", "tblBilling"):
        world.play(f"UPDATE {table} SET PatientNo = PatientNo + {IDS_B}", place=1)
    world.play("ALTER TABLE billing_transaction MODIFY amount varchar(40)")
    world.play("UPDATE billing_transaction SET amount = pat_id WHERE txn_id LIKE '%%9'")
    sample = next(name for name in sorted(os.listdir(world.drop)) if name.startswith("hospital_a_"))
    path = os.path.join(world.drop, sample)
    with open(path, encoding="latin-1") as file:
        lines = file.readlines()
    with open(os.path.join(world.drop, "hospital_a_2024-99.csv"), "w", encoding="latin-1") as file:
        file.writelines(lines[1:])  # its first row stands where the names of columns should
    shutil.copy(path, os.path.join(world.drop, "nobody_expects_this.csv"))


def routes(world):
    """(method, pattern, scope) of every route."""
    return [line.split()[:3] for line in world.daemon.run("routes").stdout.splitlines()]


def ask_all(world, patient):
    """Every route that needs no phi, right and wrong, with a patient's id where an id may stand."""
    answers = {}
    for method, pattern, scope in routes(world):
        if scope == "phi":
            continue
        for number, value in enumerate(("1", patient, "hospital_a.patients", "total_billed")):
            path = re.sub(r"\{\w+\}", value, pattern)
            for query in ("", f"?limit={patient}", f"?{patient}=1"):
                status, headers, body = world.daemon.request(
                    method, path + query, {patient: patient} if method == "POST" and query else None)
                answers[f"{method} {pattern} {number} {query[:2]} {status}"] = f"{headers}\n{body}"
    return answers


def tell_everything(world):
    spoil(world)
    patient = first_patient(world)
    done = world.daemon.once()
    world.configure(edit=jobs.rarely)
    world.daemon.make_token("reader", "read,operate")
    world.daemon.start()
    jobs.await_quiet(world.daemon)
    said = {"log of --once": done.stderr, "summary": done.stdout, "doctor": world.daemon.run("doctor").stdout}
    said.update(ask_all(world, patient))
    said["metrics"] = world.daemon.get("/metrics")[2]
    world.daemon.stop()
    with open(world.daemon.log_file, encoding="utf-8") as log:
        said["log of the daemon"] = log.read()
    return patients(world), said


def first_patient(world):
    with contextlib.closing(world.hospital()) as link, link.cursor() as cursor:
        cursor.execute("SELECT pat_id FROM patient_master ORDER BY pat_id LIMIT 1")
        return cursor.fetchone()[0]


def test_the_search_finds_a_patient(spoken):
    """The test of the test: one value in a line of log is found."""
    _, values, _ = spoken
    assert len(values) > 1000
    for value in sorted(values)[::97]:
        assert value in found(values, f'{{"message":"no such row","key":"{value}"}}')


def test_there_was_something_to_tell(spoken):
    world, _, said = spoken
    assert world.value("SELECT count(*) FROM dq.quarantine") > 0
    assert world.value("SELECT count(*) FROM ops.file WHERE state = 'failed'") > 0
    statuses = {where.split()[-1] for where in said if where.startswith(("GET", "POST"))}
    assert {"200", "400", "404", "202"} <= statuses, statuses


def test_nothing_that_was_said_tells_of_a_patient(spoken):
    _, values, said = spoken
    told = {where: found(values, text) for where, text in said.items()}
    assert {where: hits[:5] for where, hits in told.items() if hits} == {}
