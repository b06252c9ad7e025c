"""The project's own sample: two hospitals that agree on nothing, and dirt that was counted.

    python -m harness.sample DIR [--transactions 50000] [--seed 20260101]

Hospital A keeps text ids, DECIMAL money, split addresses, a latin1 column, and DATETIME(6) columns
that MySQL itself moves. Hospital B keeps integer ids, FLOAT money, one-line addresses, dates as text
(MM/DD/YYYY), a TIMESTAMP cursor with NULLs, a DATE cursor, and visits without any cursor. Claims come
monthly, columns in another order per hospital, one month corrected, one delivered twice, and
some months overlapping.

Every row starts clean; then each kind of dirt is given to rows of its own, so that planted.json can
say exactly what has to be found: {"flags": {entity: {flag: rows}}, "quarantine": {kind: rows}, …}.
The same seed and size give the same bytes.
"""
import argparse
import csv
import datetime
import json
import os
import random

from . import names
from .sample_persons import STRANGERS, People

SEED = 20260101
TRANSACTIONS = 50_000
FIRST_DAY = datetime.date(2024, 1, 1)
DAYS = 366  # services fall into 2024
NULL = "\\N"

# How often each kind of dirt occurs per 50,000 transactions.
PLANT = {
    # patients
    "persons_by_ssn": 300, "persons_by_name": 200, "ssn_conflicts": 5, "duplicate_patients": 20,
    "strangers": 20,
    "phone_invalid": 60, "email_invalid": 50, "birth_date_invalid": 40, "name_unknown": 35,
    "address_unparsed": 15, "unborn": 10, "null_cursors": 10, "hard_names": 240,
    # providers
    "npi_check_digit": 6,
    # transactions
    "duplicate_transactions": 100, "amount_not_positive": 60, "orphan_patient": 40,
    "orphan_provider": 60, "orphan_encounter": 30, "paid_before_service": 150, "paid_above_billed": 120,
    "modified_before_inserted": 80, "claim_link_mismatch": 30,
    # claims
    "status_unknown": 35, "claim_before_service": 200, "claim_date_invalid": 20, "text_repaired": 25,
    "orphan_transaction": 25, "claim_patient_mismatch": 10, "claim_provider_mismatch": 10,
    "claim_department_mismatch": 10, "claim_encounter_mismatch": 10, "claim_date_mismatch": 10,
    "amount_unreadable": 12, "claim_id_missing": 5, "fields_missing": 6,
    "duplicate_lines": 30, "corrected": 40, "overlap": 100,
}


class Hospital:
    """What the generator knows of one hospital. Rows are dictionaries in the hospital's own words
    only when they are written; until then they use the words of the common model."""

    def __init__(self, name, share):
        self.name = name
        self.share = share
        self.patients, self.providers, self.departments = [], [], []
        self.encounters, self.transactions, self.claims = [], [], []


class Sample:
    def __init__(self, transactions=TRANSACTIONS, seed=SEED):
        self.random = random.Random(seed)
        self.n_transactions = transactions
        self.n_patients = max(60, transactions // 5)
        self.scale = transactions / TRANSACTIONS
        self.hospitals = [Hospital("hospital_a", 0.6), Hospital("hospital_b", 0.4)]
        self.flags = {}
        self.quarantine = {}
        self.facts = {}
        self.phones, self.ssns, self.contents = set(), set(), set()
        self.people, self.duplicates = None, []

    # -- counting

    def amount(self, kind):
        return max(1, round(PLANT[kind] * self.scale))

    def count(self, entity, flag, number=1):
        flags = self.flags.setdefault(entity, {})
        flags[flag] = flags.get(flag, 0) + number

    def take(self, rows, kind):
        """Rows that carry no other dirt yet, marked as taken: as many as the kind asks for."""
        clean = [row for row in rows if not row["dirt"]]
        chosen = self.random.sample(clean, self.amount(kind))
        for row in chosen:
            row["dirt"] = kind
        return chosen

    def all(self, what):
        return [row for hospital in self.hospitals for row in getattr(hospital, what)]

    # -- clean values

    def phone(self):
        while True:
            number = (self.random.choice(names.AREA_CODES), self.random.randint(220, 989),
                      self.random.randint(0, 9999))
            if number not in self.phones and number[1] % 100 != 11 and number[1] != 555:
                self.phones.add(number)
                return number

    def written_phone(self, number):
        area, exchange, line = number[0], f"{number[1]:03}", f"{number[2]:04}"
        shape = self.random.choice(["({0}) {1}-{2}", "{0}-{1}-{2}", "+1-{0}-{1}-{2}", "{0}.{1}.{2}",
                                    "001-{0}-{1}-{2}", "{0}{1}{2}", "{0}-{1}-{2}x" + str(self.random.randint(10, 99999))])
        return shape.format(area, exchange, line)

    def ssn(self):
        while True:
            number = (self.random.randint(1, 665), self.random.randint(1, 99), self.random.randint(1, 9999))
            if number not in self.ssns:
                self.ssns.add(number)
                return "{:03}-{:02}-{:04}".format(*number)

    def address(self):
        city, state, zip_code = self.random.choice(names.PLACES)
        street = (f"{self.random.randint(1, 9999)} {self.random.choice(names.STREETS)} "
                  f"{self.random.choice(names.STREET_KINDS)}")
        return street, city, state, zip_code

    def other_name(self, first):
        return self.random.choice([name for name in names.FIRST if name != first])

    def npi(self, valid=True):
        """Ten digits whose last is the Luhn digit over 80840 + the first nine (45 CFR 162.406)."""
        body = f"1{self.random.randint(0, 99999999):08}"
        total = 24  # of the prefix 80840
        for place, digit in enumerate(map(int, reversed(body))):
            doubled = digit * 2 if place % 2 == 0 else digit
            total += doubled - 9 if doubled > 9 else doubled
        check = -total % 10
        return body + str(check if valid else (check + 1) % 10)

    def day(self):
        return FIRST_DAY + datetime.timedelta(days=self.random.randrange(DAYS))

    def moment(self):
        """A time in 2023 around noon: no clock anywhere is set forward or back then."""
        day = datetime.date(2023, 1, 1) + datetime.timedelta(days=self.random.randrange(365))
        return datetime.datetime(day.year, day.month, day.day, self.random.randint(9, 16),
                                 self.random.randrange(60), self.random.randrange(60),
                                 self.random.randrange(1_000_000))

    def cents(self, least=20, most=5000):
        return self.random.randint(least * 100, most * 100)

    # -- dimensions

    def make_staff(self, hospital):
        text = hospital.name == "hospital_a"
        for number, name in enumerate(names.DEPARTMENTS if text else names.DEPARTMENTS[:10], 1):
            hospital.departments.append(
                {"id": f"D{number:02}" if text else str(10 * number), "name": name, "dirt": ""})
        for number in range(1, (120 if text else 80) + 1):
            hospital.providers.append({
                "id": f"DR-{number:04}" if text else str(500 + number),
                "first": self.random.choice(names.FIRST), "last": self.random.choice(names.LAST),
                "specialty": self.random.choice(names.SPECIALTIES),
                "department": self.random.choice(hospital.departments)["id"],
                "npi": self.npi(), "dirt": ""})

    def make_patient(self, hospital, number, **known):
        text = hospital.name == "hospital_a"
        street, city, state, zip_code = self.address()
        first, last = self.random.choice(names.FIRST), self.random.choice(names.LAST)
        born = datetime.date(1925, 1, 1) + datetime.timedelta(days=self.random.randrange(97 * 365))
        row = {
            "id": f"A-{number:07}" if text else str(100_000 + number),
            "first": first, "last": last, "middle": self.random.choice("ABCDEFGHIJKLMNOPRST"),
            "ssn": None, "born": born, "gender": self.random.choice(["Male", "Female"]),
            "phone": None, "email": f"{first}.{last}{number}@example.org".lower(),
            "street": street, "city": city, "state": state, "zip": zip_code, "modified": self.moment(), "dirt": "",
            **known}
        row["ssn"] = self.ssn() if row["ssn"] is None else row["ssn"]  # "": the hospital has none
        row["phone"] = row["phone"] or self.phone()
        row["written_phone"] = self.written_phone(row["phone"])
        hospital.patients.append(row)
        return row

    def make_patients(self):
        """Hospital A's, then B's: some of whom are A's, under one social security number or without
        one, and some of whom only look so (sample_persons.py)."""
        a, b = self.hospitals
        by_ssn, by_name = self.amount("persons_by_ssn"), self.amount("persons_by_name")
        duplicates, conflicts = self.amount("duplicate_patients"), self.amount("ssn_conflicts")
        n_a = round(self.n_patients * a.share) - duplicates
        for number in range(1, n_a + 1):
            self.make_patient(a, number)
        self.people = People(self)
        self.people.make(by_ssn, by_name, conflicts, self.amount("strangers"))
        number = len(b.patients)
        while len(a.patients) + len(b.patients) < self.n_patients - duplicates:
            number += 1
            self.make_patient(b, number)
        self.duplicate_patients(a, n_a, duplicates)
        self.facts |= {
            "patients": self.n_patients, "persons_in_both": by_ssn + by_name,
            "persons_by_ssn": by_ssn, "persons_by_name": by_name,
            "ssn_conflicts": conflicts + self.people.reviewed(),
            "strangers": self.amount("strangers") * len(STRANGERS), "duplicate_patients": duplicates,
            "persons": self.n_patients - by_ssn - by_name - duplicates}

    def duplicate_patients(self, hospital, n_first, duplicates):
        """The same content under another number: both stay, both are marked, one person."""
        for place, twin in enumerate(self.take(hospital.patients, "duplicate_patients"), 1):
            copy = dict(twin, id=f"A-{n_first + place:07}")
            hospital.patients.append(copy)
            self.duplicates.append((twin["id"], copy["id"]))
        self.count("patients", "possible_duplicate", 2 * duplicates)

    def dirty_patients(self):
        everyone = self.all("patients")
        for row in self.take(everyone, "phone_invalid"):
            row["written_phone"] = self.random.choice(["12345", "555-01", "call the office", "(999) 12", "1-2-3-4"])
            self.count("patients", "phone_invalid")
        for row in self.take(everyone, "email_invalid"):
            row["email"] = self.random.choice(["jane.doe(at)example.org", "nobody", "a@@example.org", "x@", "@example.org"])
            self.count("patients", "email_invalid")
        for row in self.take(self.hospitals[1].patients, "birth_date_invalid"):
            row["born"] = self.random.choice(["02/30/1980", "13/45/1990", "06/31/1975", "00/10/1962"])
            self.count("patients", "date_invalid")
        for row in self.take(everyone, "name_unknown"):
            row["first"] = self.random.choice(["NULL", "NULL", "N/A", "-"])
            self.count("patients", "name_unknown")
        for row in self.take(self.hospitals[1].patients, "address_unparsed"):
            row["whole_address"] = self.random.choice(["somewhere by the lake", "ask the daughter", "shelter"])
            self.count("patients", "address_unparsed")
        for row in self.take(self.hospitals[1].patients, "null_cursors"):
            row["modified"] = None
        self.facts["null_cursors"] = self.amount("null_cursors")
        for row in self.take(self.hospitals[0].patients, "unborn"):
            row["born"] = datetime.date(2025, 2, 3)
        self.write_names_hard()

    def write_names_hard(self):
        """Names that need more than a capital letter; the expected spelling is kept beside."""
        expected = []
        for place, row in enumerate(self.take(self.all("patients"), "hard_names")):
            name = names.HARD_LAST[place % len(names.HARD_LAST)]
            written = (name, name.upper(), name.lower())[place // len(names.HARD_LAST) % 3]
            row["last"] = written
            expected.append([self.source_of(row), row["id"], name])
        self.facts["last_names"] = expected

    def source_of(self, row):
        return "hospital_a" if row["id"].startswith("A-") else "hospital_b"

    def dirty_providers(self):
        for row in self.take(self.all("providers"), "npi_check_digit"):
            row["npi"] = self.npi(valid=False)
            self.count("providers", "npi_check_digit")

    # -- facts

    def make_encounters(self, hospital):
        text = hospital.name == "hospital_a"
        patients = [row for row in hospital.patients if row["dirt"] != "unborn"]
        wanted = round(self.n_transactions * hospital.share) // 2
        while len(hospital.encounters) < wanted:
            patient, provider = self.random.choice(patients), self.random.choice(hospital.providers)
            day, kind = self.day(), self.random.choice(["Inpatient", "Outpatient", "Emergency", "Telehealth"])
            code = self.random.choice(names.PROCEDURES)
            content = (hospital.name, patient["id"], provider["id"], day, kind, code)
            if content in self.contents:
                continue
            self.contents.add(content)
            number = len(hospital.encounters) + 1
            hospital.encounters.append({
                "id": f"E{number:08}" if text else str(1_000_000 + number), "patient": patient,
                "provider": provider["id"], "department": provider["department"], "day": day,
                "kind": kind, "procedure": code, "modified": self.moment(), "dirt": ""})

    def make_transaction(self, hospital, encounter):
        text = hospital.name == "hospital_a"
        number = len(hospital.transactions) + 1
        amount = self.cents()
        paid = self.random.choice([amount, amount, amount // 2, amount * 4 // 5, 0])
        service = encounter["day"]
        modified = self.moment()
        payer = self.random.choice(names.PAYERS)
        row = {
            "id": f"T{number:09}" if text else str(5_000_000 + number), "encounter": encounter["id"],
            "patient": encounter["patient"]["id"], "provider": encounter["provider"],
            "department": encounter["department"], "visit": service, "service": service,
            "paid_on": service + datetime.timedelta(days=self.random.randint(5, 90)) if paid else None,
            "visit_type": self.random.choice(["Routine", "Follow-up", "Emergency"]),
            "amount": amount, "kind": self.random.choice(["Insurance", "Co-pay", "Self-pay"]), "paid": paid,
            "claim": None, "payer": payer, "procedure": self.random.choice(names.PROCEDURES),
            "diagnosis": self.random.choice(names.DIAGNOSES),
            "line": self.random.choice(["Commercial", "Medicare", "Medicaid", "Self-Pay"]),
            "medicaid": f"MD{self.random.randint(10000, 99999)}" if payer == "MEDICAID" else None,
            "medicare": f"MC{self.random.randint(10000, 99999)}" if payer == "MEDICARE" else None,
            "inserted": modified - datetime.timedelta(days=self.random.randint(0, 20)),
            "modified": modified, "dirt": ""}
        hospital.transactions.append(row)
        return row

    def make_transactions(self, hospital, duplicates):
        wanted = round(self.n_transactions * hospital.share) - duplicates
        unborn = [row for row in hospital.patients if row["dirt"] == "unborn"]
        for patient in unborn:
            for _ in range(2):
                row = self.make_transaction(hospital, self.random.choice(hospital.encounters))
                row |= {"patient": patient["id"], "dirt": "age"}
                self.count("transactions", "age_out_of_range")
        while len(hospital.transactions) < wanted:
            self.make_transaction(hospital, self.random.choice(hospital.encounters))

    def duplicate_transactions(self, hospital, number):
        for twin in self.take(hospital.transactions, "duplicate_transactions"):
            place = len(hospital.transactions) + 1
            hospital.transactions.append(dict(twin, id=f"T{place:09}"))
        self.count("transactions", "possible_duplicate", 2 * number)
        self.facts["duplicate_transactions"] = number

    def dirty_transactions(self):
        everyone = self.all("transactions")
        for row in self.take(everyone, "amount_not_positive"):
            row["amount"], row["paid"], row["paid_on"] = -self.cents(), 0, None
            if self.random.random() < 0.2:
                row["amount"] = 0
            self.count("transactions", "amount_not_positive")
            if row["paid"] > row["amount"]:
                self.count("transactions", "paid_above_billed")
        for kind, column in (("orphan_patient", "patient"), ("orphan_provider", "provider"),
                             ("orphan_encounter", "encounter")):
            for place, row in enumerate(self.take(everyone, kind)):
                stem = {"patient": "A-9{:06}", "provider": "DR-9{:03}", "encounter": "E9{:07}"}[column]
                row[column] = stem.format(place % 20) if row["id"].startswith("T") else str(9_000_000 + place % 20)
                self.count("transactions", kind)
            self.facts[f"inferred_{column}s"] = len(
                {(row["id"].startswith("T"), row[column]) for row in everyone if row["dirt"] == kind})
        for row in self.take([row for row in everyone if row["paid"]], "paid_before_service"):
            row["paid_on"] = row["service"] - datetime.timedelta(days=3)
            self.count("transactions", "paid_before_service")
        for row in self.take(everyone, "paid_above_billed"):
            row["paid"], row["paid_on"] = row["amount"] + 100, row["service"] + datetime.timedelta(days=9)
            self.count("transactions", "paid_above_billed")
        for row in self.take(everyone, "modified_before_inserted"):
            row["inserted"] = row["modified"] + datetime.timedelta(days=40)
            self.count("transactions", "modified_before_inserted")

    # -- claims

    def make_claims(self, hospital):
        """Sixty per cent of the clean transactions have a claim; both sides name each other."""
        for row in hospital.transactions:
            if row["dirt"] or self.random.random() > 0.6:
                continue
            number = len(hospital.claims) + 1
            status = self.random.choices(["Paid", "Approved", "Pending", "Denied", "Rejected"],
                                         [50, 15, 15, 15, 5])[0]
            amount = row["amount"]
            paid = {"Paid": amount * 4 // 5, "Approved": amount * 3 // 5}.get(status, 0)
            day = row["service"] + datetime.timedelta(days=self.random.randint(1, 20))
            claim = {
                "id": f"C{'A' if hospital.name == 'hospital_a' else 'B'}{number:08}",
                "transaction": row["id"], "patient": row["patient"], "encounter": row["encounter"],
                "provider": row["provider"], "department": row["department"], "service": row["service"],
                "day": day.isoformat(), "payer": row["payer"], "amount": f"{amount // 100}.{amount % 100:02}",
                "paid": paid, "status": status, "payer_type": names.PAYER_TYPES.get(row["payer"], "Private"),
                "deductible": self.random.randint(0, 20000), "coinsurance": self.random.randint(0, 10000),
                "copay": self.random.choice([0, 2000, 3500]), "month": row["service"].month,
                "modified": day + datetime.timedelta(days=2), "dirt": ""}
            if number % 400 == 0:  # spelt right here; dirty_claims() sends it as Windows-1252 too
                claim["payer"] = names.ACCENTED_PAYER
            row["claim"] = claim["id"]
            hospital.claims.append(claim)

    def dirty_links(self):
        clean = [row for row in self.all("transactions") if row["claim"] is None and not row["dirt"]]
        for place, row in enumerate(self.take(clean, "claim_link_mismatch")):
            row["claim"] = f"CX{place:08}"
            self.count("transactions", "claim_link_mismatch")

    def dirty_claims(self):
        everyone = self.all("claims")
        for row in self.take(everyone, "status_unknown"):
            row["status"], row["paid"] = self.random.choice(["In Limbo", "Zzz", "Waiting For Godot"]), 0
            self.count("claims", "status_unknown")
        for row in self.take(everyone, "claim_before_service"):
            row["day"] = (row["service"] - datetime.timedelta(days=4)).isoformat()
            self.count("claims", "claim_before_service")
        for row in self.take(everyone, "claim_date_invalid"):
            row["day"] = self.random.choice(["2024-02-30", "2024-13-01", "soon"])
            self.count("claims", "date_invalid")
        for row in self.take(everyone, "text_repaired"):
            row["payer"], row["windows_1252"] = names.ACCENTED_PAYER, True
            self.count("claims", "text_repaired")
        for row in self.take(everyone, "amount_unreadable"):
            row["amount"] = self.random.choice(["abc", "12..5", "--"])
        for row in self.take(everyone, "claim_id_missing"):
            row["id"] = ""
        for row in self.take(everyone, "fields_missing"):
            row["cut"] = True
        for kind in ("amount_unreadable", "claim_id_missing", "fields_missing"):
            self.quarantine[kind] = self.amount(kind)
            for row in (row for row in everyone if row["dirt"] == kind):
                self.unlink(row)
        self.mislead_claims(everyone)

    def unlink(self, claim):
        """The claim will not arrive: its transaction must not name it, or that is flagged too."""
        for hospital in self.hospitals:
            for row in hospital.transactions:
                if row["id"] == claim["transaction"]:
                    row["claim"] = None

    def mislead_claims(self, everyone):
        for row in self.take(everyone, "orphan_transaction"):
            self.unlink(row)
            row["transaction"] = "T9" + row["transaction"][-7:] if row["id"][1] == "A" else "9" + row["transaction"]
            self.count("claims", "orphan_transaction")
        for word in ("patient", "provider", "department", "encounter"):
            by_source = {letter: sorted({row[word] for row in everyone if row["id"][1:2] == letter and not row["dirt"]})
                         for letter in "AB"}
            for row in self.take(everyone, f"claim_{word}_mismatch"):
                others = [value for value in by_source[row["id"][1]] if value != row[word]]
                row[word] = self.random.choice(others)
                self.count("claims", f"claim_{word}_mismatch")
        for row in self.take(everyone, "claim_date_mismatch"):
            row["service"] -= datetime.timedelta(days=1)
            self.count("claims", "claim_date_mismatch")

    # -- all of it

    def make(self):
        for hospital in self.hospitals:
            self.make_staff(hospital)
        self.make_patients()
        self.dirty_patients()
        self.dirty_providers()
        duplicates = self.amount("duplicate_transactions")
        for hospital in self.hospitals:
            self.make_encounters(hospital)
            self.make_transactions(hospital, duplicates if hospital is self.hospitals[0] else 0)
        self.duplicate_transactions(self.hospitals[0], duplicates)
        self.dirty_transactions()
        for hospital in self.hospitals:
            self.make_claims(hospital)
        self.dirty_links()
        self.dirty_claims()
        return self


# -- writing it down, in each hospital's own words


def money(cents):
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def us_date(day):
    return day if isinstance(day, str) else f"{day.month:02}/{day.day:02}/{day.year}"


def or_null(value):
    return NULL if value is None else value


def micros(moment):
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def seconds(moment):
    return NULL if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


SCHEMA_A = """\
-- Hospital A: text ids, DECIMAL money, change times kept by the server itself.
CREATE TABLE patient_master (pat_id varchar(12) NOT NULL PRIMARY KEY, given_name varchar(60),
  family_name varchar(60) CHARACTER SET latin1, middle_initial char(1), ssn char(11), birth_date date,
  sex varchar(10), phone varchar(40), email varchar(80), street varchar(80), city varchar(40),
  state_code char(2), postal_code varchar(10),
  updated_at datetime(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  KEY (updated_at)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE clinician (clin_id varchar(12) NOT NULL PRIMARY KEY, given_name varchar(60),
  family_name varchar(60), specialty varchar(60), dept_id varchar(8), npi bigint) DEFAULT CHARSET=utf8mb4;
CREATE TABLE department (dept_id varchar(8) NOT NULL PRIMARY KEY, dept_name varchar(60)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE encounter (enc_id varchar(12) NOT NULL PRIMARY KEY, pat_id varchar(12), clin_id varchar(12),
  dept_id varchar(8), enc_date date, enc_class varchar(20), cpt varchar(8),
  updated_at datetime(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  KEY (updated_at)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE billing_transaction (txn_id varchar(12) NOT NULL PRIMARY KEY, enc_id varchar(12),
  pat_id varchar(12), clin_id varchar(12), dept_id varchar(8), visit_date date, service_date date,
  paid_date date, visit_type varchar(20), amount decimal(12,2), amount_type varchar(20),
  paid_amount decimal(12,2), claim_no varchar(12), payer_code varchar(20), cpt varchar(8),
  icd10 varchar(10), line_of_business varchar(20), medicaid_no varchar(12), medicare_no varchar(12),
  created_at datetime(6) NOT NULL,
  updated_at datetime(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  KEY (updated_at)) DEFAULT CHARSET=utf8mb4
"""

SCHEMA_B = """\
-- Hospital B: integer ids, FLOAT money, dates as text, a TIMESTAMP and a DATE as cursors, or none.
CREATE TABLE tblPatient (PatientNo int NOT NULL PRIMARY KEY, FName varchar(60), LName varchar(60),
  Initial varchar(5), SocialSec varchar(11), DOB varchar(10), Sex char(1), Tel varchar(40),
  Mail varchar(80), Addr varchar(120), LastChange timestamp NULL, KEY (LastChange)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE tblDoctor (DoctorNo int NOT NULL PRIMARY KEY, FName varchar(60), LName varchar(60),
  Field varchar(60), DeptNo int, NPI varchar(12)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE tblDept (DeptNo int NOT NULL PRIMARY KEY, Label varchar(60)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE tblVisit (VisitNo int NOT NULL PRIMARY KEY, PatientNo int, DoctorNo int, DeptNo int,
  VisitDate date, Kind varchar(20), ProcCode int) DEFAULT CHARSET=utf8mb4;
CREATE TABLE tblBilling (BillNo int NOT NULL PRIMARY KEY, VisitNo int, PatientNo int, DoctorNo int,
  DeptNo int, VisitedOn date, ServedOn date, PaidOn varchar(10), VisitType varchar(20), Charge float,
  ChargeType varchar(20), Payment float, ClaimRef varchar(12), Payer varchar(20), ProcCode int,
  Diagnosis varchar(10), LOB varchar(20), MedicaidRef varchar(12), MedicareRef varchar(12),
  EnteredOn date, ChangedOn date, KEY (ChangedOn)) DEFAULT CHARSET=utf8mb4
"""


def tables_a(hospital):
    yield "patient_master", {
        "pat_id": lambda r: r["id"], "given_name": lambda r: r["first"], "family_name": lambda r: r["last"],
        "middle_initial": lambda r: r["middle"], "ssn": lambda r: r["ssn"], "birth_date": lambda r: r["born"],
        "sex": lambda r: r["gender"], "phone": lambda r: r["written_phone"], "email": lambda r: r["email"],
        "street": lambda r: r["street"], "city": lambda r: r["city"], "state_code": lambda r: r["state"],
        "postal_code": lambda r: r["zip"], "updated_at": lambda r: micros(r["modified"])}, hospital.patients
    yield "clinician", {
        "clin_id": lambda r: r["id"], "given_name": lambda r: r["first"], "family_name": lambda r: r["last"],
        "specialty": lambda r: r["specialty"], "dept_id": lambda r: r["department"],
        "npi": lambda r: r["npi"]}, hospital.providers
    yield "department", {"dept_id": lambda r: r["id"], "dept_name": lambda r: r["name"]}, hospital.departments
    yield "encounter", {
        "enc_id": lambda r: r["id"], "pat_id": lambda r: r["patient"]["id"], "clin_id": lambda r: r["provider"],
        "dept_id": lambda r: r["department"], "enc_date": lambda r: r["day"], "enc_class": lambda r: r["kind"],
        "cpt": lambda r: r["procedure"], "updated_at": lambda r: micros(r["modified"])}, hospital.encounters
    yield "billing_transaction", {
        "txn_id": lambda r: r["id"], "enc_id": lambda r: r["encounter"], "pat_id": lambda r: r["patient"],
        "clin_id": lambda r: r["provider"], "dept_id": lambda r: r["department"],
        "visit_date": lambda r: r["visit"], "service_date": lambda r: r["service"],
        "paid_date": lambda r: or_null(r["paid_on"]), "visit_type": lambda r: r["visit_type"],
        "amount": lambda r: money(r["amount"]), "amount_type": lambda r: r["kind"],
        "paid_amount": lambda r: money(r["paid"]), "claim_no": lambda r: or_null(r["claim"]),
        "payer_code": lambda r: r["payer"], "cpt": lambda r: r["procedure"], "icd10": lambda r: r["diagnosis"],
        "line_of_business": lambda r: r["line"], "medicaid_no": lambda r: or_null(r["medicaid"]),
        "medicare_no": lambda r: or_null(r["medicare"]), "created_at": lambda r: micros(r["inserted"]),
        "updated_at": lambda r: micros(r["modified"])}, hospital.transactions


def tables_b(hospital):
    yield "tblPatient", {
        "PatientNo": lambda r: r["id"], "FName": lambda r: r["first"], "LName": lambda r: r["last"],
        "Initial": lambda r: r["middle"], "SocialSec": lambda r: r["ssn"], "DOB": lambda r: us_date(r["born"]),
        "Sex": lambda r: r["gender"][0], "Tel": lambda r: r["written_phone"], "Mail": lambda r: r["email"],
        "Addr": lambda r: r.get("whole_address") or f"{r['street']}, {r['city']}, {r['state']} {r['zip']}",
        "LastChange": lambda r: seconds(r["modified"])}, hospital.patients
    yield "tblDoctor", {
        "DoctorNo": lambda r: r["id"], "FName": lambda r: r["first"], "LName": lambda r: r["last"],
        "Field": lambda r: r["specialty"], "DeptNo": lambda r: r["department"],
        "NPI": lambda r: r["npi"]}, hospital.providers
    yield "tblDept", {"DeptNo": lambda r: r["id"], "Label": lambda r: r["name"]}, hospital.departments
    yield "tblVisit", {
        "VisitNo": lambda r: r["id"], "PatientNo": lambda r: r["patient"]["id"], "DoctorNo": lambda r: r["provider"],
        "DeptNo": lambda r: r["department"], "VisitDate": lambda r: r["day"], "Kind": lambda r: r["kind"],
        "ProcCode": lambda r: r["procedure"]}, hospital.encounters
    yield "tblBilling", {
        "BillNo": lambda r: r["id"], "VisitNo": lambda r: r["encounter"], "PatientNo": lambda r: r["patient"],
        "DoctorNo": lambda r: r["provider"], "DeptNo": lambda r: r["department"], "VisitedOn": lambda r: r["visit"],
        "ServedOn": lambda r: r["service"],
        "PaidOn": lambda r: NULL if r["paid_on"] is None else us_date(r["paid_on"]),
        "VisitType": lambda r: r["visit_type"], "Charge": lambda r: money(r["amount"]),
        "ChargeType": lambda r: r["kind"], "Payment": lambda r: money(r["paid"]),
        "ClaimRef": lambda r: or_null(r["claim"]), "Payer": lambda r: r["payer"],
        "ProcCode": lambda r: r["procedure"], "Diagnosis": lambda r: r["diagnosis"], "LOB": lambda r: r["line"],
        "MedicaidRef": lambda r: or_null(r["medicaid"]), "MedicareRef": lambda r: or_null(r["medicare"]),
        "EnteredOn": lambda r: r["inserted"].date(), "ChangedOn": lambda r: r["modified"].date()}, hospital.transactions


CLAIM_COLUMNS = {
    "ClaimID": lambda r: r["id"], "TransactionID": lambda r: r["transaction"], "PatientID": lambda r: r["patient"],
    "EncounterID": lambda r: r["encounter"], "ProviderID": lambda r: r["provider"],
    "DeptID": lambda r: r["department"], "ServiceDate": lambda r: r["service"].isoformat(),
    "ClaimDate": lambda r: r["day"], "Payer": lambda r: r["payer"], "ClaimAmount": lambda r: r["amount"],
    "PaidAmount": lambda r: money(r["paid"]), "ClaimStatus": lambda r: r["status"],
    "PayerType": lambda r: r["payer_type"], "Deductible": lambda r: money(r["deductible"]),
    "Coinsurance": lambda r: money(r["coinsurance"]), "Copay": lambda r: money(r["copay"]),
    "ModifiedDate": lambda r: r["modified"].isoformat()}


def write_tables(directory, schema, tables):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "schema.sql"), "w", encoding="utf-8") as file:
        file.write(schema)
    for table, columns, rows in tables:
        with open(os.path.join(directory, f"{table}.csv"), "w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(columns)
            out.writerows([field(row) for field in columns.values()] for row in rows)


def claim_line(columns, row):
    fields = [str(CLAIM_COLUMNS[name](row)) for name in columns]
    if row.get("cut"):
        fields = fields[:4]
    return ",".join(f'"{field}"' if "," in field else field for field in fields).encode(
        "cp1252" if row.get("windows_1252") else "utf-8")


def write_claims_file(path, columns, rows, newline=b"\n"):
    with open(path, "wb") as file:
        file.write(",".join(columns).encode() + newline)
        for row in rows:
            file.write(claim_line(columns, row) + newline)


class ClaimsWriter:
    """Monthly files of one hospital, and the deliveries that make trouble."""

    def __init__(self, sample, directory):
        self.sample = sample
        self.directory = directory
        self.months = {}

    def write(self):
        a, b = self.sample.hospitals
        shuffled = [*list(CLAIM_COLUMNS)[3:], *list(CLAIM_COLUMNS)[:3]]
        self.write_months(a, "hospital_a_2024-{:02}.csv", list(CLAIM_COLUMNS), b"\n")
        self.write_months(b, "b_claims_2024{:02}.csv", shuffled, b"\r\n")
        self.write_corrected(a)
        self.write_again()
        self.sample.facts["claims_files"] = len(os.listdir(self.directory))

    def write_months(self, hospital, pattern, columns, newline):
        clean = [row for row in hospital.claims if not row["dirt"]]
        overlap = self.sample.amount("overlap") if hospital is self.sample.hospitals[0] else 0
        repeated = self.sample.amount("duplicate_lines") if hospital is self.sample.hospitals[0] else 0
        for month in range(1, 13):
            rows = [row for row in hospital.claims if row["month"] == month]
            if month == 6 and overlap:  # the end of May stands in June's file too
                again = [row for row in clean if row["month"] == 5][-overlap:]
                self.sample.facts["overlapping_rows"] = len(again)
                rows = again + rows
            if month == 8 and repeated:  # lines that stand twice in one file
                again = [row for row in clean if row["month"] == 8][:repeated]
                self.sample.facts["duplicate_lines"] = len(again)
                rows = rows + again
            self.months[(hospital.name, month)] = rows
            write_claims_file(os.path.join(self.directory, pattern.format(month)), columns, rows, newline)

    def write_corrected(self, hospital):
        """March again, in full, with some pending claims decided: those have two iterations."""
        march = [dict(row) for row in hospital.claims if row["month"] == 3 and not row["dirt"]]
        pending = [row for row in march if row["status"] == "Pending"][:self.sample.amount("corrected")]
        for row in pending:
            row["status"] = self.sample.random.choice(["Paid", "Denied"])
            row["paid"] = round(float(row["amount"]) * 80) if row["status"] == "Paid" else 0
            row["modified"] += datetime.timedelta(days=30)
        self.sample.facts["corrected_claims"] = len(pending)
        self.sample.facts["corrected_file_rows"] = len(march)
        write_claims_file(os.path.join(self.directory, "hospital_a_2024-03_corrected.csv"),
                          list(CLAIM_COLUMNS), march)

    def write_again(self):
        """January's file of hospital A under another name: the same bytes."""
        with open(os.path.join(self.directory, "hospital_a_2024-01.csv"), "rb") as file:
            content = file.read()
        with open(os.path.join(self.directory, "hospital_a_2024-01_resent.csv"), "wb") as file:
            file.write(content)
        self.sample.facts["duplicate_files"] = 1


TEMPLATE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "sample.yaml.in")


def generate(directory, transactions=TRANSACTIONS, seed=SEED):
    """Writes the sample; planted.json comes last, so that its presence says the rest is whole."""
    sample = Sample(transactions, seed).make()
    a, b = sample.hospitals
    claims = os.path.join(directory, "claims")
    os.makedirs(claims, exist_ok=True)
    write_tables(os.path.join(directory, "hospital-a"), SCHEMA_A, tables_a(a))
    write_tables(os.path.join(directory, "hospital-b"), SCHEMA_B, tables_b(b))
    ClaimsWriter(sample, claims).write()
    with open(TEMPLATE, encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(directory, "revcycled.yaml.in"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(directory, "persons.json"), "w", encoding="utf-8") as file:
        json.dump(sample.people.truth(sample.duplicates), file, indent=1)
        file.write("\n")
    rows = {what: {h.name: len(getattr(h, what)) for h in sample.hospitals}
            for what in ("patients", "providers", "departments", "encounters", "transactions")}
    lost = sum(sample.quarantine.values())
    planted = {
        "seed": seed, "rows": rows, "claims": len(sample.all("claims")) - lost, **sample.facts,
        "flags": sample.flags, "quarantine": sample.quarantine}
    with open(os.path.join(directory, "planted.json"), "w", encoding="utf-8") as file:
        json.dump(planted, file, indent=1, ensure_ascii=False)
        file.write("\n")
    return planted


def main():
    parser = argparse.ArgumentParser(prog="scripts/generate-sample", description="The project's own sample.")
    parser.add_argument("directory")
    parser.add_argument("--transactions", type=int, default=TRANSACTIONS)
    parser.add_argument("--scale", type=float, help="times the usual 50,000 transactions")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    size = round(TRANSACTIONS * options.scale) if options.scale else options.transactions
    planted = generate(options.directory, size, options.seed)
    print(json.dumps({key: value for key, value in planted.items() if key != "last_names"}, indent=1))


if __name__ == "__main__":
    main()
