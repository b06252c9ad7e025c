"""An NPI registry on loopback that behaves like the real one, and, when told to, as badly.

Facts of the NPPES NPI Registry API, version 2.1 (https://npiregistry.cms.hhs.gov/api-page, and answers of it that
clients on GitHub keep as fixtures; both as read in November 2026):
  - GET with `version=2.1` and `number`; the answer is {"result_count": n, "results": [...]}, nobody: 0 and []
  - a request it does not like is answered with HTTP 200 and {"Errors": [{"description", "field", "number"}]}
  - `number` is a text in version 2.1, and was a JSON number before
  - `basic.status` is "A" (active) or "D"; `enumeration_type` NPI-1 (a person) or NPI-2 (an organisation)
  - `taxonomies` has code, desc, primary, state, license of each
  - `limit` is at most 200 and `skip` at most 1,000: beyond it the same page comes again
"""
import json

from .register import Register


def with_check_digit(nine):
    """Ten digits that are a possible NPI: Luhn over 80840 and the number (45 CFR 162.406)."""
    total = 0
    for place, digit in enumerate(map(int, reversed("80840" + nine))):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled // 10 + doubled % 10
    return nine + str(-total % 10)


def entry(npi, *taxonomies, status="A", kind="NPI-1", number=str):
    return {"number": number(npi), "enumeration_type": kind, "basic": {"first_name": "JANE", "status": status},
            "taxonomies": [{"code": "0", "desc": words, "primary": place == 0, "state": "NY", "license": "1"}
                           for place, words in enumerate(taxonomies)]}


class Registry(Register):
    """`entries` {npi: entry}."""
    PATH = "/api/"
    EMPTY = '{"result_count": 0, "results": []}'

    def __init__(self):
        super().__init__()
        self.entries = {}

    def add(self, *args, **options):
        self.entries[args[0]] = entry(*args, **options)

    def asked(self, parameter="number"):
        return super().asked(parameter)

    def answer(self, query):
        if query.get("version") != ["2.1"] or "number" not in query:
            return {"Errors": [{"description": "No valid search criteria provided", "field": "", "number": "04"}]}
        found = self.entries.get(query["number"][0])
        return {"result_count": int(found is not None), "results": [found] if found else []}

    def _errors(self, handler):
        self._send(handler, json.dumps({"Errors": [{"description": "Bad number", "field": "number", "number": "06"}]}).encode())

    def _errors_and_nobody(self, handler):
        """An error that looks like an answer: whoever reads the count alone says that there is no such number."""
        error = {"description": "Try again later", "field": "", "number": "10"}
        self._send(handler, json.dumps({"Errors": [error], "result_count": 0, "results": []}).encode())

    def _repeated(self, handler):
        """As beyond `skip` 1,000: a page of others, whatever was asked for."""
        other = [entry(with_check_digit(f"19999999{digit}"), "Dentist") for digit in range(3)]
        self._send(handler, json.dumps({"result_count": 3, "results": other}).encode())
