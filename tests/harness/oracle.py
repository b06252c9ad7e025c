"""Figures straight from the CSV files of the two-hospitals layout, with decimal and nothing of ours.

    python -m harness.oracle DIR        prints all of it as JSON

Every definition here is written from the documents (the data's README, kpis.md, rules.md), not from the
daemon's SQL, and shares no code with it: where the two agree to the cent, both may be believed.
"""
import csv
import datetime
import json
import os
import re
import sys
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal

from .loader import HOSPITALS, folder_of

CENT = Decimal("0.01")
CLAIMS = {"hospital_a": "hospital1_claim_data.csv", "hospital_b": "hospital2_claim_data.csv"}
UNKNOWN_WORDS = {"null", "n/a", "na", "none", "unknown", "-", ""}
AGING = ((0, 30, "0-30"), (31, 60, "31-60"), (61, 90, "61-90"), (91, 120, "91-120"), (121, None, "120+"))
ADJUDICATED = ("Paid", "Approved", "Denied")


def cents(text):
    """Money as its cents: what a FLOAT column holds, rounded half up."""
    return Decimal(text).quantize(CENT, ROUND_HALF_UP)


def date(text):
    return datetime.date.fromisoformat(text)


def years(born, on):
    """Whole years; who was born on 29 February turns a year older on 1 March."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def npi_is_valid(npi):
    """Luhn over 80840 + NPI (45 CFR 162.406)."""
    total = 0
    for place, digit in enumerate(map(int, reversed("80840" + npi))):
        if place % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return len(npi) == 10 and total % 10 == 0


class Hospital:
    """One hospital's files, row by row as dictionaries, money and dates made real."""

    def __init__(self, data, name):
        folder = os.path.join(data, folder_of(name))
        self.name = name
        self.patients = self._read(folder, "patients.csv")
        self.providers = self._read(folder, "providers.csv")
        self.departments = self._read(folder, "departments.csv")
        self.encounters = self._read(folder, "encounters.csv")
        self.transactions = self._read(folder, "transactions.csv")
        self.claims = self._read(os.path.join(data, "claims"), CLAIMS[name])
        for row in self.patients:
            row["id"] = row.get("PatientID") or row["ID"]
            row["first"] = row.get("FirstName", row.get("F_Name"))
        for row in self.transactions:
            row["billed"], row["paid"] = cents(row["Amount"]), cents(row["PaidAmount"])
            row["service"], row["paid_on"] = date(row["ServiceDate"]), date(row["PaidDate"])
        for row in self.claims:
            row["claimed"], row["paid"] = cents(row["ClaimAmount"]), cents(row["PaidAmount"])
            row["service"], row["filed"] = date(row["ServiceDate"]), date(row["ClaimDate"])

    @staticmethod
    def _read(folder, name):
        with open(os.path.join(folder, name), encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


class Oracle:
    def __init__(self, data):
        self.hospitals = [Hospital(data, name) for name in HOSPITALS]

    # -- counts

    def counts(self):
        entities = ("patients", "providers", "departments", "encounters", "transactions", "claims")
        return {entity: {h.name: len(getattr(h, entity)) for h in self.hospitals} for entity in entities}

    def inferred_providers(self):
        """Provider ids that facts name and the hospital's table does not hold."""
        found = {}
        for h in self.hospitals:
            known = {row["ProviderID"] for row in h.providers}
            named = {row["ProviderID"] for rows in (h.encounters, h.transactions, h.claims) for row in rows}
            found[h.name] = len(named - known)
        return found

    def duplicate_patients(self):
        """Persons that the two plainest rules would link: none in this data."""
        by_ssn = Counter((row["SSN"], row["DOB"]) for h in self.hospitals for row in h.patients)
        return sum(count - 1 for count in by_ssn.values())

    # -- flags (model.md), rows per entity and flag

    def flags(self):
        flags = defaultdict(Counter)
        for h in self.hospitals:
            self._flag_members(h, flags)
            self._flag_encounters(h, flags["encounters"])
            self._flag_transactions(h, flags["transactions"])
            self._flag_claims(h, flags["claims"])
        return {entity: dict(counter) for entity, counter in flags.items()}

    @staticmethod
    def _flag_members(h, flags):
        for row in h.patients:
            last = row.get("LastName", row.get("L_Name"))
            if {row["first"].strip().lower(), last.strip().lower()} & UNKNOWN_WORDS:
                flags["patients"]["name_unknown"] += 1
        for row in h.providers:
            if not npi_is_valid(row["NPI"]):
                flags["providers"]["npi_check_digit"] += 1

    @staticmethod
    def _flag_encounters(h, flags):
        providers = {row["ProviderID"] for row in h.providers}
        patients = {row["id"] for row in h.patients}
        for row in h.encounters:
            flags["modified_before_inserted"] += date(row["ModifiedDate"]) < date(row["InsertedDate"])
            flags["orphan_provider"] += row["ProviderID"] not in providers
            flags["orphan_patient"] += row["PatientID"] not in patients

    @staticmethod
    def _flag_transactions(h, flags):
        providers = {row["ProviderID"] for row in h.providers}
        encounters = {row["EncounterID"] for row in h.encounters}
        born = {row["id"]: date(row["DOB"]) for row in h.patients}
        naming = defaultdict(set)
        for claim in h.claims:
            naming[claim["TransactionID"]].add(claim["ClaimID"])
        for row in h.transactions:
            flags["paid_before_service"] += row["paid_on"] < row["service"]
            flags["paid_above_billed"] += row["paid"] > row["billed"]
            flags["modified_before_inserted"] += date(row["ModifiedDate"]) < date(row["InsertDate"])
            flags["amount_not_positive"] += row["billed"] <= 0
            flags["orphan_provider"] += row["ProviderID"] not in providers
            flags["orphan_patient"] += row["PatientID"] not in born
            flags["orphan_encounter"] += row["EncounterID"] not in encounters
            flags["claim_link_mismatch"] += row["ClaimID"] not in naming[row["TransactionID"]]
            if row["PatientID"] in born:
                flags["age_out_of_range"] += not 0 <= years(born[row["PatientID"]], row["service"]) <= 120

    @staticmethod
    def _flag_claims(h, flags):
        providers = {row["ProviderID"] for row in h.providers}
        transactions = {row["TransactionID"]: row for row in h.transactions}
        compared = {"claim_patient_mismatch": "PatientID", "claim_encounter_mismatch": "EncounterID",
                    "claim_provider_mismatch": "ProviderID", "claim_date_mismatch": "ServiceDate",
                    "claim_department_mismatch": "DeptID"}
        for row in h.claims:
            flags["claim_before_service"] += row["filed"] < row["service"]
            flags["modified_before_inserted"] += date(row["ModifiedDate"]) < date(row["InsertDate"])
            flags["orphan_provider"] += row["ProviderID"] not in providers
            transaction = transactions.get(row["TransactionID"])
            flags["orphan_transaction"] += transaction is None
            for flag, column in compared.items():
                flags[flag] += transaction is not None and transaction[column] != row[column]

    def facts(self):
        """What else the README says of the data, recounted."""
        named = Counter((h.name, row["TransactionID"]) for h in self.hospitals for row in h.claims)
        transactions = [(h.name, row["TransactionID"]) for h in self.hospitals for row in h.transactions]
        modified = {(h.name, row["id"]): date(row.get("ModifiedDate") or row["Updated_Date"])
                    for h in self.hospitals for row in h.patients}
        return {
            "military_addresses": sum(bool(re.search(r"\b[ADF]PO A[AEP] \d{5}", row["Address"]))
                                      for h in self.hospitals for row in h.patients),
            "claims_paid_above_claimed": sum(row["paid"] > row["claimed"] for h in self.hospitals for row in h.claims),
            "highest_coverage": max((100 * row["paid"] / row["claimed"]).quantize(CENT, ROUND_HALF_UP)
                                    for h in self.hospitals for row in h.claims if row["claimed"]),
            "transactions_without_claim": sum(key not in named for key in transactions),
            "transactions_with_several_claims": sum(named[key] > 1 for key in transactions),
            "encounters_before_first_version": sum(
                date(row["EncounterDate"]) < modified[(h.name, row["PatientID"])]
                for h in self.hospitals for row in h.encounters),
        }

    # -- statuses (model.md, section 3)

    @staticmethod
    def claim_payment_status(row):
        if row["ClaimStatus"] in ("Denied", "Rejected"):
            return "Denied"
        if row["ClaimStatus"] == "Pending":
            return "Pending"
        owed = row["claimed"] - sum(cents(row[part]) for part in ("Deductible", "Coinsurance", "Copay"))
        if row["paid"] >= owed:
            return "Paid"
        return "Partial" if row["paid"] > 0 else "Pending"

    def payment_statuses(self):
        """{entity: {source: {status: rows}}}"""
        found = {"claims": {}, "transactions": {}}
        for h in self.hospitals:
            found["claims"][h.name] = dict(Counter(map(self.claim_payment_status, h.claims)))
            words = defaultdict(set)
            for claim in h.claims:
                words[claim["TransactionID"]].add(claim["ClaimStatus"])
            found["transactions"][h.name] = dict(Counter(
                self._transaction_status(row, words[row["TransactionID"]]) for row in h.transactions))
        return found

    @staticmethod
    def _transaction_status(row, claim_words):
        if row["billed"] <= 0:
            return "Pending"
        if row["paid"] >= row["billed"]:
            return "Paid"
        if row["paid"] > 0:
            return "Partial"
        return "Denied" if claim_words == {"Denied"} else "Pending"

    # -- money

    def sums(self):
        """Sum of every money column by hospital."""
        found = {}
        for h in self.hospitals:
            found[h.name] = {
                "transactions.amount": sum(row["billed"] for row in h.transactions),
                "transactions.paid_amount": sum(row["paid"] for row in h.transactions),
                "claims.claim_amount": sum(row["claimed"] for row in h.claims),
                "claims.paid_amount": sum(row["paid"] for row in h.claims),
                **{f"claims.{name.lower()}": sum(cents(row[name]) for row in h.claims)
                   for name in ("Deductible", "Coinsurance", "Copay")}}
        return found

    def by_month(self, column):
        """{(source, 'YYYY-MM'): sum of billed or paid}, by the month of service."""
        found = defaultdict(Decimal)
        for h in self.hospitals:
            for row in h.transactions:
                found[(h.name, f"{row['service']:%Y-%m}")] += row[column]
        return dict(found)

    # -- figures (kpis.md); `hospital` None means all of them

    def _transactions(self, hospital=None):
        return [row for h in self.hospitals if hospital in (None, h.name) for row in h.transactions]

    def _claims(self, hospital=None):
        return [row for h in self.hospitals if hospital in (None, h.name) for row in h.claims]

    def as_of(self):
        """The default: the latest service date; none of this data lies ahead of today."""
        return max(row["service"] for row in self._transactions())

    def total_billed(self, hospital=None):
        return sum((row["billed"] for row in self._transactions(hospital)), Decimal(0))

    def total_paid(self, hospital=None):
        return sum((row["paid"] for row in self._transactions(hospital)), Decimal(0))

    def gross_collection_rate(self, hospital=None):
        return self.total_paid(hospital) / self.total_billed(hospital)

    def coverage_rate(self, hospital=None):
        """Weighted: all that was paid over all that was claimed."""
        rows = self._claims(hospital)
        return sum(row["paid"] for row in rows) / sum(row["claimed"] for row in rows)

    @staticmethod
    def open_balance(row, as_of):
        paid = row["paid"] if row["paid_on"] <= as_of else Decimal(0)
        return max(row["billed"] - paid, Decimal(0))

    def outstanding_ar(self, hospital=None, as_of=None):
        as_of = as_of or self.as_of()
        return sum((self.open_balance(row, as_of) for row in self._transactions(hospital)
                    if row["service"] <= as_of), Decimal(0))

    def days_in_ar(self, hospital=None, as_of=None):
        as_of = as_of or self.as_of()
        first = as_of - datetime.timedelta(days=89)
        billed = sum(row["billed"] for row in self._transactions(hospital) if first <= row["service"] <= as_of)
        return self.outstanding_ar(hospital, as_of) / (billed / 90) if billed else None

    def ar_aging(self, hospital=None, as_of=None):
        as_of = as_of or self.as_of()
        found = {name: Decimal(0) for _, _, name in AGING}
        for row in self._transactions(hospital):
            age = (as_of - row["service"]).days
            for least, most, name in AGING:
                if age >= least and (most is None or age <= most):
                    found[name] += self.open_balance(row, as_of)
        return found

    def claim_status_mix(self, hospital=None):
        return dict(Counter(row["ClaimStatus"] for row in self._claims(hospital)))

    def approval_rate(self, hospital=None):
        mix = self.claim_status_mix(hospital)
        return Decimal(mix["Paid"] + mix["Approved"]) / sum(mix[word] for word in ADJUDICATED)

    def denial_rate(self, hospital=None):
        mix = self.claim_status_mix(hospital)
        return Decimal(mix["Denied"]) / sum(mix[word] for word in ADJUDICATED)

    def denial_rate_by_amount(self, hospital=None):
        rows = [row for row in self._claims(hospital) if row["ClaimStatus"] in ADJUDICATED]
        return (sum(row["claimed"] for row in rows if row["ClaimStatus"] == "Denied")
                / sum(row["claimed"] for row in rows))

    def patient_volume(self, hospital=None, as_of=None):
        """Distinct patients with a service up to as_of; here every patient is a person of his own."""
        as_of = as_of or self.as_of()
        return len({(h.name, row["PatientID"]) for h in self.hospitals if hospital in (None, h.name)
                    for row in h.transactions if row["service"] <= as_of})

    def payer_mix(self, hospital=None):
        """{payer of the claim: (claims, claimed, paid)}"""
        found = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
        for row in self._claims(hospital):
            entry = found[row["PayorID"]]
            entry[0] += 1
            entry[1] += row["claimed"]
            entry[2] += row["paid"]
        return {payer: tuple(entry) for payer, entry in found.items()}

    def all(self):
        hospitals = [None, *HOSPITALS]
        figures = ("total_billed", "total_paid", "gross_collection_rate", "coverage_rate", "outstanding_ar",
                   "days_in_ar", "ar_aging", "claim_status_mix", "approval_rate", "denial_rate",
                   "denial_rate_by_amount", "patient_volume", "payer_mix")
        return {
            "counts": self.counts(), "inferred_providers": self.inferred_providers(), "flags": self.flags(),
            "facts": self.facts(), "payment_statuses": self.payment_statuses(), "sums": self.sums(),
            "as_of": self.as_of(),
            "by_month": {name: {" ".join(key): value for key, value in sorted(self.by_month(name).items())}
                         for name in ("billed", "paid")},
            "kpis": {name: {hospital or "all": getattr(self, name)(hospital) for hospital in hospitals}
                     for name in figures}}


if __name__ == "__main__":
    print(json.dumps(Oracle(sys.argv[1]).all(), indent=1, default=str))
