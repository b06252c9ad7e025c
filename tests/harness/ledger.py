"""A third vendor's hospital: nothing in it is as in the other two, and Python knows what it must come to.

Integer keys, one wide patient table with the address in parts, amounts in cents, charges and payments in two
tables, statuses as numbers, dates as text MM/DD/YYYY, latin1, civil times of Los Angeles. Everything comes from a
seed of its own; `expected()` adds up with decimal from the rows as they were made, and shares no code with the
daemon. Two hospitals of this vendor differ in their seed alone.
"""
import datetime
import os
import random
from collections import defaultdict
from decimal import Decimal
from zoneinfo import ZoneInfo

from . import settings

FOLDER = os.path.join(settings.ROOT, "tests", "data", "ledger")
ZONE = ZoneInfo("America/Los_Angeles")

SCHEMA = """
CREATE TABLE pt_wide (
    pt_no INT UNSIGNED NOT NULL PRIMARY KEY, nm_last VARCHAR(40), nm_first VARCHAR(40), nm_mid VARCHAR(20),
    sex_cd TINYINT, born CHAR(10), ssn CHAR(11), ph VARCHAR(20), mail VARCHAR(80),
    addr_no VARCHAR(10), addr_street VARCHAR(60), addr_unit VARCHAR(20), addr_city VARCHAR(40), addr_st CHAR(2),
    addr_zip5 CHAR(5), addr_zip4 CHAR(4), ins_cd SMALLINT,
    row_stamp TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY (row_stamp)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE ins (ins_cd SMALLINT NOT NULL PRIMARY KEY, label VARCHAR(40)) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE dept (dept_no SMALLINT NOT NULL PRIMARY KEY, label VARCHAR(40)) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE doc (
    doc_no INT NOT NULL PRIMARY KEY, nm_last VARCHAR(40), nm_first VARCHAR(40), spec_cd TINYINT, dept_no SMALLINT
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE visit (
    visit_no BIGINT NOT NULL PRIMARY KEY, pt_no INT UNSIGNED NOT NULL, doc_no INT, dept_no SMALLINT, kind TINYINT,
    on_day CHAR(10), cpt VARCHAR(7),
    row_stamp TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY (row_stamp)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE charge (
    charge_no BIGINT NOT NULL PRIMARY KEY, visit_no BIGINT NOT NULL, pt_no INT UNSIGNED NOT NULL, doc_no INT,
    dept_no SMALLINT, ins_cd SMALLINT, cpt VARCHAR(7), icd VARCHAR(8), served CHAR(10), cents BIGINT NOT NULL,
    entered DATETIME NOT NULL,
    row_stamp TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY (row_stamp)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE payment (
    pay_no BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, charge_no BIGINT NOT NULL, cents BIGINT NOT NULL,
    paid_on CHAR(10),
    row_stamp TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    KEY (charge_no), KEY (row_stamp)
) ENGINE=InnoDB DEFAULT CHARSET=latin1
"""

LAST = ("Muñoz", "Ångström", "Lefèvre", "Groß", "O'Neill", "Nguyen", "Peña", "Smith", "Brontë", "Øster")
FIRST = ("José", "Zoë", "François", "Anna", "Peter", "Renée", "Luis", "Mia", "Björn", "Chloé")
STREETS = ("Calle Mañana", "Main St", "Pico Blvd", "Cañon Dr", "Sunset Blvd")
INSURERS = {1: "Golden State Health", 2: "Sierra Mutual", 3: "Self pay"}
SEXES = {1: "Male", 2: "Female", 9: "Unknown"}
KINDS = {1: "Inpatient", 2: "Outpatient", 3: "Emergency"}
STATUSES = {10: "Paid", 20: "Denied", 30: "Pending", 40: "Rejected"}


def american(day):
    return day.strftime("%m/%d/%Y")


def money(cents):
    return Decimal(cents) / Decimal(100)


class Ledger:
    """One hospital's rows. `relatives`: (ssn, birth date, last, first) of people who are patients elsewhere, too."""

    def __init__(self, seed, patients=150, relatives=()):
        self.random = random.Random(f"ledger {seed}")
        self.relatives = list(relatives)
        self.patients = [self._patient(number) for number in range(1, patients + 1)]
        self.docs = [(number, self.random.choice(LAST), self.random.choice(FIRST), 1 + number % 3, 1 + number % 4)
                     for number in range(1, 9)]
        self.depts = [(number, f"Départ. {number}") for number in range(1, 5)]
        self.visits, self.charges, self.payments, self.claims = [], [], [], []
        for patient in self.patients:
            for _ in range(self.random.randint(1, 3)):
                self._visit(patient)

    def _day(self, first, last):
        return first + datetime.timedelta(days=self.random.randrange((last - first).days))

    def _patient(self, number):
        pick = self.random.choice
        born = self._day(datetime.date(1930, 1, 1), datetime.date(2015, 1, 1))
        row = {"pt_no": 1000 + number, "nm_last": pick(LAST), "nm_first": pick(FIRST), "nm_mid": pick(("", "Q", None)),
               "sex_cd": pick(tuple(SEXES)), "born": american(born),
               "ssn": f"{700 + number % 60:03d}-{10 + number % 80:02d}-{1000 + number:04d}",
               "ph": f"(213) 555-{number:04d}", "mail": f"p{number}@Example.ORG", "addr_no": str(100 + number),
               "addr_street": pick(STREETS), "addr_unit": pick(("", "Apt 4", None)), "addr_city": "LOS ANGELES",
               "addr_st": "ca", "addr_zip5": f"90{number % 100:03d}", "addr_zip4": pick(("", "1234")),
               "ins_cd": pick(tuple(INSURERS))}
        if number <= len(self.relatives):
            ssn, born, row["nm_last"], row["nm_first"] = self.relatives[number - 1]
            row.update(ssn=f"{ssn[:3]}-{ssn[3:5]}-{ssn[5:]}", born=american(born))
        return row

    def _visit(self, patient):
        day = self._day(datetime.date(2024, 1, 1), datetime.date(2025, 10, 1))
        number = 500000 + len(self.visits)
        doc = self.random.randint(1, 8)
        self.visits.append({"visit_no": number, "pt_no": patient["pt_no"], "doc_no": doc, "dept_no": 1 + doc % 4,
                            "kind": self.random.choice(tuple(KINDS)), "on_day": american(day), "cpt": "99213"})
        for _ in range(self.random.randint(1, 3)):
            self._charge(patient, self.visits[-1], day)

    def _charge(self, patient, visit, day):
        number = 7000000 + len(self.charges)
        cents = self.random.choice((1, 99, 100, 12345, self.random.randint(1, 10_000_000)))
        entered = datetime.datetime.combine(day, datetime.time(self.random.randint(4, 23), 30, 15))
        self.charges.append({
            "charge_no": number, "visit_no": visit["visit_no"], "pt_no": patient["pt_no"], "doc_no": visit["doc_no"],
            "dept_no": visit["dept_no"], "ins_cd": patient["ins_cd"], "cpt": "99213", "icd": "E119",
            "served": american(day), "cents": cents, "entered": entered, "day": day})
        left = cents
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            part = self.random.randint(0, left)
            left -= part
            self.payments.append({"charge_no": number, "cents": part,
                                  "paid_on": american(day + datetime.timedelta(days=self.random.randint(1, 90)))})
        if self.random.random() < 0.5:
            self.claims.append({"claim_no": 90000 + number, "charge_no": number, "visit_no": visit["visit_no"],
                                "pt_no": patient["pt_no"], "cents": cents, "paid": cents - left, "day": day,
                                "status": self.random.choice(tuple(STATUSES))})

    # -- into the world

    def load(self, server, database):
        """A database of its own, which the harness's server holds beside the others."""
        server.create_database(database)
        server.execute(*(part for part in SCHEMA.split(";")), database=database)
        rows = {"pt_wide": self.patients, "visit": self.visits, "payment": self.payments,
                "charge": [{key: value for key, value in row.items() if key != "day"} for row in self.charges]}
        link = server.connect(database)
        try:
            with link.cursor() as cursor:
                for table, items in rows.items():
                    names = list(items[0])
                    cursor.executemany(
                        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})",
                        [tuple(item[name] for name in names) for item in items])
                cursor.executemany("INSERT INTO ins VALUES (%s, %s)", list(INSURERS.items()))
                cursor.executemany("INSERT INTO dept VALUES (%s, %s)", self.depts)
                cursor.executemany("INSERT INTO doc VALUES (%s, %s, %s, %s, %s)", self.docs)
        finally:
            link.close()

    def write_claims(self, path):
        """Their claims file: semicolons, cents, numbers for words, latin1-free."""
        with open(path + ".part", "w", encoding="utf-8") as file:
            file.write("CLAIM;CHARGE;VISIT;PT;SERVED;FILED;CENTS;PAID;STATUS\n")
            for claim in self.claims:
                filed = claim["day"] + datetime.timedelta(days=3)
                file.write(f"{claim['claim_no']};{claim['charge_no']};{claim['visit_no']};{claim['pt_no']};"
                           f"{american(claim['day'])};{american(filed)};{claim['cents']};{claim['paid']};"
                           f"{claim['status']}\n")
        os.rename(path + ".part", path)

    # -- what it must come to

    def paid_cents(self):
        paid = defaultdict(int)
        for payment in self.payments:
            paid[payment["charge_no"]] += payment["cents"]
        return paid

    def expected(self):
        """Counts, sums and shares, by adding up what was made."""
        paid = self.paid_cents()
        months = defaultdict(Decimal)
        for charge in self.charges:
            months[charge["day"].replace(day=1).isoformat()] += money(charge["cents"])
        denied = [money(claim["cents"]) for claim in self.claims if STATUSES[claim["status"]] == "Denied"]
        paid_claims = [money(claim["cents"]) for claim in self.claims if STATUSES[claim["status"]] == "Paid"]
        return {
            "patients": len(self.patients), "encounters": len(self.visits), "transactions": len(self.charges),
            "claims": len(self.claims),
            "billed": sum((money(charge["cents"]) for charge in self.charges), Decimal(0)),
            "paid": sum((money(cents) for cents in paid.values()), Decimal(0)),
            "months": dict(months),
            "denials": {"count": (len(denied), len(denied) + len(paid_claims)),
                        "amount": (sum(denied), sum(denied) + sum(paid_claims))},
        }
