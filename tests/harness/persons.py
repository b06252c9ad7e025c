"""Who is one person, computed plainly: every class of equal attributes, every pair of groups.

Written from the rules (docs/architecture.md), not from the daemon's statements: attributes are normalised here
with Python's own means, groups are sets. The same answer for the same members, whatever their order.
"""
import itertools
import unicodedata

# As transform/person.h has them when the configuration names none.
RULES = [("ssn_birth", ["ssn", "birth_date"]),
         ("ssn_name", ["ssn", "first_name", "last_name", "birth_digits"]),
         ("name_birth_phone", ["first_name", "last_name", "birth_date", "phone"]),
         ("name_birth_email", ["first_name", "last_name", "birth_date", "email"]),
         ("name_birth_address", ["first_name", "last_name", "birth_date", "street", "zip"]),
         ("first_birth_phone", ["first_name", "birth_date", "gender", "phone", "zip"]),
         ("name_phone_email", ["first_name", "last_name", "birth_digits", "phone", "email"])]


def word(text):
    if text is None:
        return None
    plain = unicodedata.normalize("NFD", text).lower()
    return "".join(letter for letter in plain if letter.isalnum()) or None


def evidence(row):
    """Attributes of a row of silver.patients."""
    get = row.get
    ssn, born = get("ssn"), get("birth_date")
    first, middle, last = word(get("first_name")), word(get("middle_name")), word(get("last_name"))
    return {
        "ssn": None if ssn is None or ssn.startswith(("000", "666", "9")) else ssn,
        "birth_date": born, "birth_digits": "".join(sorted(born.replace("-", ""))) if born else None,
        "first_name": first, "first_initial": first and first[0], "middle_initial": middle and middle[0],
        "last_name": last, "gender": None if get("gender") == "Unknown" else get("gender"), "phone": get("phone"),
        "email": get("email") and get("email").lower(), "street": word(get("address")), "city": word(get("city")),
        "state": get("state") and get("state").lower(), "zip": get("zip") and get("zip")[:5],
        "member_id": word(get("member_id"))}


def near(a, b):
    """One digit differs, or two neighbours are exchanged."""
    wrong = [i for i in range(len(a)) if a[i] != b[i]]
    return len(wrong) <= 1 or (len(wrong) == 2 and wrong[1] == wrong[0] + 1
                               and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]])


class Persons:
    """`rows`: {(source, id): row of silver.patients}; `splits`: [(members, members)]; `merges`: [members]."""

    def __init__(self, rows, rules=None, splits=(), merges=()):
        self.known = {member: evidence(row) for member, row in rows.items()}
        self.raw = {member: facts["ssn"] for member, facts in self.known.items()}
        self.splits = splits
        self.group = {member: frozenset([member]) for member in rows}
        self.rule = {member: "alone" for member in rows}
        self.conflicts = []  # (members, rule), strongest first
        self.births = self.births_of_numbers()
        for member, facts in self.known.items():
            if len(self.births.get(facts["ssn"], ())) > 3:
                facts["ssn"] = None
        for members in merges:
            if len(members) > 1:
                self.join([{self.group[member] for member in members}], "manual")
        for name, attributes in rules or RULES:
            self.apply(name, attributes)

    def births_of_numbers(self):
        births = {}
        for facts in self.known.values():
            if facts["ssn"] and facts["birth_date"]:
                births.setdefault(facts["ssn"], set()).add(facts["birth_date"])
        return births

    def opposed(self, one, other):
        return any((one & left and other & right) or (one & right and other & left)
                   for left, right in self.splits)

    def contradict(self, one, other):
        def seen(group, attribute):
            return {self.known[member][attribute] for member in group} - {None}
        if self.opposed(one, other):
            return True
        births, others = seen(one, "birth_digits"), seen(other, "birth_digits")
        if births and others and not births & others:
            return True
        numbers, others = seen(one, "ssn"), seen(other, "ssn")
        return bool(numbers and others and not any(near(a, b) for a in numbers for b in others))

    def contradictory(self, groups):
        return any(self.contradict(a, b) for a, b in itertools.combinations(groups, 2))

    def parts(self, name, groups):
        """A class that holds both sides of a decision, by sides; to a person when somebody is on neither."""
        def side(split, group):
            return 0 if group & split[0] else 1 if group & split[1] else None
        torn = [split for split in self.splits if {side(split, group) for group in groups} >= {0, 1}]
        found = {}
        for group in groups:
            found.setdefault(tuple(side(split, group) for split in torn), set()).add(group)
        if any(not self.opposed(a, b) for one, other in itertools.combinations(found.values(), 2)
               for a in one for b in other):
            self.tell(name, groups)
        return [part for part in found.values() if len(part) > 1]

    def tell(self, name, groups):
        self.conflicts.append((frozenset().union(*groups), name))

    def apply(self, name, attributes):
        classes = {}
        for member, facts in self.known.items():
            key = tuple(facts[attribute] for attribute in attributes)
            if None not in key:
                classes.setdefault(key, set()).add(self.group[member])
        standing = []
        for groups in classes.values():
            for part in self.parts(name, groups) if len(groups) > 1 else ():
                if self.contradictory(part):
                    self.tell(name, part)
                else:
                    standing.append(part)
        together = []
        for part in standing:  # what shares a group hangs together
            touched = [other for other in together if other & part]
            together = [other for other in together if not other & part] + [part.union(*touched)]
        fine = []
        for groups in together:
            if self.contradictory(groups):
                self.tell(name, groups)
            else:
                fine.append(groups)
        self.join(fine, name)

    def join(self, sets, name):
        for groups in sets:
            whole = frozenset().union(*(group for old in groups for group in [self.group[next(iter(old))]]))
            for member in whole:
                self.group[member] = whole
                if self.rule[member] == "alone":
                    self.rule[member] = name

    def groups(self):
        return sorted(sorted(group) for group in set(self.group.values()))

    def reviews(self):
        """[(members, rule)]: conflicts whose members are still several persons, undecided."""
        found = []
        for number, births in self.births.items():
            if len(births) > 1:
                members = frozenset(m for m, ssn in self.raw.items() if ssn == number)
                found.append((members, "ssn_shared" if len(births) > 3 else "ssn_birth_date"))
        told = {}
        for members, rule in found + self.conflicts:
            groups = {self.group[member] for member in members}
            within = [group & members for group in groups]
            if any(not self.opposed(a, b) for a, b in itertools.combinations(within, 2)):
                told.setdefault(members, rule)
        return sorted((sorted(members), rule) for members, rule in told.items())
