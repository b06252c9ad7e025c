"""People whom both hospitals of the sample know, a tenth of them with one wrong field; and people whom one
could take for another. The truth is written beside the sample (persons.json), where no daemon reads it."""
import datetime
import functools

SAME = ("first", "last", "middle", "born", "gender", "phone", "email", "street", "city", "state", "zip")
PLACE = ("street", "city", "state", "zip")


def with_slip(dice, text):
    """A letter lost, doubled, or exchanged with its neighbour."""
    while True:
        at = dice.randrange(1, len(text) - 1)
        slip = dice.choice([text[:at] + text[at + 1:], text[:at] + text[at] + text[at:],
                            text[:at] + text[at + 1] + text[at] + text[at + 2:]])
        if slip != text:
            return slip


@functools.cache
def days_in_digits():
    """Dates since 1925, not in the sample's future, and their eight digits."""
    first, last = datetime.date(1925, 1, 1), datetime.date(2021, 12, 31)
    every = [first + datetime.timedelta(days=n) for n in range((last - first).days + 1)]
    return [(day, day.strftime("%Y%m%d")) for day in every]


def dates_like(day, is_like):
    """Other dates whose digits are like these."""
    digits = day.strftime("%Y%m%d")
    return [other for other, written in days_in_digits() if other != day and is_like(digits, written)]


def exchanged(a, b):
    wrong = [i for i in range(8) if a[i] != b[i]]
    return len(wrong) == 2 and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]


def one_wrong(a, b):
    return sum(x != y for x, y in zip(a, b)) == 1


def slip_in_number(dice, ssn):
    at = dice.randrange(4, len(ssn))
    at += ssn[at] == "-"
    return ssn[:at] + str((int(ssn[at]) + dice.randrange(1, 10)) % 10) + ssn[at + 1:]


# One wrong field each. `born` may have no date whose digits are exchanged: then the digit is wrong.
ERRORS = {
    "last_name": lambda s, row: {"last": with_slip(s.random, row["last"])},
    "first_name": lambda s, row: {"first": with_slip(s.random, row["first"])},
    "birth_date_exchanged": lambda s, row: {"born": s.random.choice(dates_like(row["born"], exchanged))},
    "birth_date_digit": lambda s, row: {"born": s.random.choice(dates_like(row["born"], one_wrong))},
    "phone": lambda s, row: {"phone": s.phone()},
    "moved": lambda s, row: dict(zip(PLACE, s.address())),
    "email": lambda s, row: {"email": "office." + row["email"]},
    "ssn_missing": lambda s, row: {"ssn": ""},
    "ssn_digit": lambda s, row: {"ssn": slip_in_number(s.random, row["ssn"])},
}
WITHOUT_NUMBER = [name for name in ERRORS if not name.startswith("ssn")]

# Whom one could take for another, told by what differs.
STRANGERS = {
    "twin": lambda s, row: {key: row[key] for key in SAME if key not in ("first", "middle")} | {
        "first": s.other_name(row["first"])},
    "child_of_the_same_name": lambda s, row: {key: row[key] for key in SAME if key not in ("born", "middle")} | {
        "born": row["born"] + datetime.timedelta(days=365 * 27)},
    "spouse": lambda s, row: {key: row[key] for key in ("last", "phone", *PLACE)} | {
        "first": s.other_name(row["first"])},
    "namesake": lambda s, row: {key: row[key] for key in ("first", "last", "born", "gender")},
}


class People:
    """Makes hospital B's first patients out of hospital A's, and remembers the truth."""

    def __init__(self, sample):
        self.sample = sample
        self.a, self.b = sample.hospitals
        self.shared = []  # (id at A, id at B, wrong field or "")
        self.strangers = []  # (id at A, id at B, who they are)
        self.number = 0

    def make(self, by_ssn, by_name, conflicts, strangers):
        sample = self.sample
        chosen = sample.random.sample(self.a.patients, by_ssn + by_name + conflicts + strangers * len(STRANGERS))
        for row in chosen:
            row["dirt"] = "shared"
        rows = iter(chosen)
        self.pairs(rows, by_ssn, list(ERRORS), lambda row: row["ssn"])
        self.pairs(rows, by_name, WITHOUT_NUMBER, lambda row: "")
        for _ in range(conflicts):
            row = next(rows)
            self.patient(ssn=row["ssn"], born=row["born"] + datetime.timedelta(days=400))
        for kind, differ in STRANGERS.items():
            for _ in range(strangers):
                row = next(rows)
                if row["born"].year > 1990 and kind == "child_of_the_same_name":
                    row["born"] = row["born"].replace(year=row["born"].year - 40, day=min(row["born"].day, 28))
                other = self.patient(**differ(sample, row))
                self.strangers.append((row["id"], other["id"], kind))

    def pairs(self, rows, n, errors, number):
        """Every tenth with an error, each kind in its turn."""
        for place in range(n):
            row = next(rows)
            known = {key: row[key] for key in SAME} | {"ssn": number(row)}
            error = errors[place // 10 % len(errors)] if place % 10 == 0 else ""
            if error == "birth_date_exchanged" and not dates_like(row["born"], exchanged):
                error = "birth_date_digit"
            other = self.patient(**known | (ERRORS[error](self.sample, row | {"ssn": row["ssn"]}) if error else {}))
            self.shared.append((row["id"], other["id"], error))

    def patient(self, **known):
        self.number += 1
        row = self.sample.make_patient(self.b, self.number, **known)
        row["dirt"] = "shared"
        return row

    def reviewed(self):
        """Pairs that have one number and contradictory birth dates."""
        numbers = {row["id"]: row["ssn"] for hospital in (self.a, self.b) for row in hospital.patients}
        return sum(error == "birth_date_digit" and numbers[one] == numbers[other] for one, other, error in self.shared)

    def truth(self, duplicates):
        """Everybody who is known by two ids or looks so; nobody else is."""
        return {"one": [["hospital_a", one, "hospital_b", other, error] for one, other, error in self.shared]
                + [["hospital_a", one, "hospital_a", other, "duplicate"] for one, other in duplicates],
                "two": [["hospital_a", one, "hospital_b", other, kind] for one, other, kind in self.strangers]}
