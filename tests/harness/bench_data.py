"""The hospital that the bench reads: hospital A's schema (sample.SCHEMA_A), clean, large and quick to make.

Per 1,000,000 transactions: 200,000 patients, 500,000 encounters, 500 clinicians, 12 departments, and a
claims file of 200,000 lines for afterwards. And, for linking, as many patients as transactions. Everything agrees with everything, but for one fact in a hundred
that names a patient, a clinician or an encounter which no table delivers. No transaction names a claim: in
the main figures none is delivered.

Tables are written as LOAD DATA reads them, in the order of their keys. The same size gives the same bytes.
"""
import contextlib
import datetime
import os
import random
import re

from . import loader, names, sample

CLINICIANS, DEPARTMENTS = 500, 12
BEGIN = datetime.date(2023, 6, 1)  # rows are a second apart; no clock is set back for months
CLAIMS_FILE, NEXT_CLAIMS_FILE = "hospital_a_2024-12.csv", "hospital_a_2025-01.csv"
ENCOUNTER_ID = len("E00000001")
NULL = sample.NULL


class Sizes:
    def __init__(self, transactions):
        self.transactions = transactions
        self.patients = transactions // 5
        self.encounters = transactions // 2
        self.claims = transactions // 5


def day_texts(number, first=sample.FIRST_DAY):
    return [(first + datetime.timedelta(days=i)).isoformat() for i in range(number)]


MOMENT_DAYS = day_texts(150, BEGIN)


def moment(number):
    day, second = divmod(number, 86400)
    return f"{MOMENT_DAYS[day]} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000"


def clinician(number):
    return f"DR-{number:04}"


def department(number):
    return f"D{number % DEPARTMENTS + 1:02}"


# -- tables: each yields lines of the table's columns


def department_lines():
    for number in range(DEPARTMENTS):
        yield f"{department(number)}\t{names.DEPARTMENTS[number]}"


def clinician_lines(rng):
    staff = sample.Sample()  # for numbers with the right check digit
    for number in range(1, CLINICIANS + 1):
        yield "\t".join((clinician(number), rng.choice(names.FIRST), rng.choice(names.LAST),
                         names.SPECIALTIES[number % DEPARTMENTS], department(number), staff.npi()))


def patient_lines(rng, number_of_patients):
    def choices(values):
        return rng.choices(values, k=number_of_patients)
    born = day_texts(97 * 365, datetime.date(1925, 1, 1))
    streets = [f"{name} {kind}" for name in names.STREETS for kind in names.STREET_KINDS]
    places = ["\t".join(place) for place in names.PLACES]
    columns = zip(choices(names.FIRST), choices(names.LAST), choices("ABCDEFGHIJKLMNOPRST"), choices(born),
                  choices(["Male", "Female"]), choices(names.AREA_CODES), choices(range(1, 10000)), choices(streets),
                  choices(places))
    for number, (first, last, middle, birth, sex, area, house, street, place) in enumerate(columns, 1):
        ssn = f"{1 + number // 9999 % 665:03}-{1 + number // 6649335:02}-{number % 9999 + 1:04}"
        phone = f"({area}) {612 + number // 10000 % 99}-{number % 10000:04}"
        yield (f"A-{number:07}\t{first}\t{last}\t{middle}\t{ssn}\t{birth}\t{sex}\t{phone}\t"
               f"{first}.{last}{number}@example.org\t{house} {street}\t{place}\t{moment(number)}")


# One field that is wrong under the other number: the place in a line of patient_lines() and what stands there. Each
# leaves enough for one of the built-in rules.
ERRORS = ((2, lambda name: name[:-1]), (4, lambda ssn: NULL), (7, lambda phone: "(202) 555-0123"),
          (8, lambda email: f"office.{email}"), (9, lambda street: "1 Elm Rd"))


def person_lines(rng, number_of_patients):
    """Patients of whom every twentieth stands there once more under another number; of those pairs every tenth
    has one wrong field."""
    pairs = number_of_patients // 20
    for place, line in enumerate(patient_lines(rng, number_of_patients - pairs)):
        yield line
        if place < pairs:
            fields = line.split("\t")
            fields[0] = second_number(fields[0])
            if place % 10 == 0:
                at, wrong = ERRORS[place // 10 % len(ERRORS)]
                fields[at] = wrong(fields[at])
            yield "\t".join(fields)


def second_number(patient):
    return patient.replace("A-", "B-")


def make_visits(rng, sizes):
    """[(id, patient, clinician, department and date of an encounter, as one text; the day's number)]"""
    days = day_texts(sample.DAYS)
    columns = zip(rng.choices(range(1, sizes.patients + 1), k=sizes.encounters),
                  rng.choices(range(1, CLINICIANS + 1), k=sizes.encounters),
                  rng.choices(range(sample.DAYS), k=sizes.encounters))
    visits = []
    for number, (patient, doctor, day) in enumerate(columns, 1):
        who, whom = clinician(doctor), f"A-{patient:07}"
        if number % 150 == 7 and number // 150 % 2:
            who = f"DR-9{number // 300 % 50:03}"
        elif number % 150 == 7:
            whom = f"A-9{number // 300:06}"
        visits.append((f"E{number:08}\t{whom}\t{who}\t{department(doctor)}\t{days[day]}", day))
    return visits


def encounter_lines(rng, visits):
    kinds = rng.choices(["Inpatient", "Outpatient", "Emergency", "Telehealth"], k=len(visits))
    codes = rng.choices(names.PROCEDURES, k=len(visits))
    for number, ((visit, _), kind, code) in enumerate(zip(visits, kinds, codes), 1):
        yield f"{visit}\t{kind}\t{code}\t{moment(number)}"


def money(cents):
    return f"{cents // 100}.{cents % 100:02}"


def claim_line(number, transaction, visit, payer, amount, paid):
    """A claim in the columns of sample.CLAIM_COLUMNS."""
    encounter, patient, doctor, dept, service = visit.split("\t")
    status = "Paid" if paid else "Denied"
    return (f"CA{number:08},{transaction},{patient},{encounter},{doctor},{dept},{service},2025-01-15,{payer},"
            f"{money(amount)},{money(paid)},{status},{names.PAYER_TYPES.get(payer, 'Private')},"
            f"{money(number % 20000)},{money(number % 10000)},20.00,2025-01-17")


def transaction_lines(rng, sizes, visits, claims):
    """Every fifth one's claim goes into the file `claims`."""
    def choices(values):
        return rng.choices(values, k=sizes.transactions)
    days = day_texts(sample.DAYS + 90)
    columns = zip(choices(visits), choices(range(2000, 500000)), choices((100, 100, 80, 50, 0)), choices(range(5, 90)),
                  choices(names.PAYERS), choices(names.PROCEDURES), choices(names.DIAGNOSES),
                  choices(["Routine", "Follow-up", "Emergency"]), choices(["Commercial", "Medicare", "Medicaid"]))
    for number, ((visit, day), amount, share, wait, payer, code, diagnosis, kind, line) in enumerate(columns, 1):
        if number % 300 == 113:
            visit = f"E9{number // 300:07}{visit[ENCOUNTER_ID:]}"
        key, paid, when = f"T{number:09}", amount * share // 100, moment(number)
        if number % 5 == 0:
            claims.write(claim_line(number // 5, key, visit, payer, amount, paid) + "\n")
        yield (f"{key}\t{visit}\t{days[day]}\t{days[day + wait] if paid else sample.NULL}\t{kind}\t{money(amount)}\t"
               f"Insurance\t{money(paid)}\t{sample.NULL}\t{payer}\t{code}\t{diagnosis}\t{line}\t"
               f"MD{number % 90000}\tMC{number % 90000}\t{when}\t{when}")


# -- all of it


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(line + "\n" for line in lines)


def generate(directory, sizes):
    """TABLE.tsv for every table of the schema, and the claims file."""
    rng = random.Random(1)
    visits = make_visits(rng, sizes)
    with open(os.path.join(directory, CLAIMS_FILE), "w", encoding="utf-8", newline="") as claims:
        claims.write(",".join(sample.CLAIM_COLUMNS) + "\n")
        tables = {
            "department": department_lines(), "clinician": clinician_lines(rng),
            "patient_master": patient_lines(rng, sizes.patients), "encounter": encounter_lines(rng, visits),
            "billing_transaction": transaction_lines(rng, sizes, visits, claims)}
        for table, lines in tables.items():
            write_lines(os.path.join(directory, f"{table}.tsv"), lines)


def load_persons(server, database, directory, number_of_patients):
    """The patients of whom some stand there twice, and nobody else."""
    path = os.path.join(directory, "persons.tsv")
    write_lines(path, person_lines(random.Random(2), number_of_patients))
    link = server.connect(database)
    with contextlib.closing(link), link.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES', unique_checks = 0")
        cursor.execute("TRUNCATE patient_master")
        loader.load_lines(cursor, "patient_master", path)


def load(server, database, directory):
    """Makes the database anew and fills it from the generated files."""
    server.drop_database(database)
    server.create_database(database)
    link = server.connect(database)
    try:
        with link.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES', unique_checks = 0")
            for statement in re.sub(r"(?m)^--.*", "", sample.SCHEMA_A).split(";"):
                cursor.execute(statement)
                table = loader.table_of(statement.strip())
                loader.load_lines(cursor, table, os.path.join(directory, f"{table}.tsv"))
    finally:
        link.close()
