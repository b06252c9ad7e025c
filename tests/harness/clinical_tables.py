"""A list of the Clinical Table Search Service on loopback that behaves like the real one, and, when told to, as badly.

Facts of the service (https://clinicaltables.nlm.nih.gov/apidoc/icd10cm/v3/doc.html and .../hcpcs/v3/doc.html, and answers
of it that clients on GitHub keep as fixtures; both as read in November 2026):
  - GET with `terms`, `sf` (fields searched), `df` (fields shown), `cf` (the code's field), `count` (7; at most 500),
    `offset`; offset + count is at most 7,500
  - the answer is [total, [codes], extra or null, [[shown fields], ...]]; nobody: [0, [], null, []]
  - a term matches what begins with it: J45.2 finds J45.20, J45.21, ...; what comes first is what it thinks likeliest,
    so that an exact code need not be the first
  - ICD-10-CM: fields code (with its dot) and name; the list has codes that may be billed, no headings (J45, J45.2)
  - HCPCS level II: fields code, short_desc, long_desc and more; no CPT
"""
import json

from .register import Register


class CodeList(Register):
    """`rows`: {"code": ..., further fields}, in the order in which it gives them."""
    EMPTY = "[0, [], null, []]"

    def __init__(self, path, *rows):
        super().__init__()
        self.PATH, self.rows = path, list(rows)

    def asked(self, parameter="terms"):
        return super().asked(parameter)

    def answer(self, query):
        matches = [row for row in self.rows if row["code"].startswith(query["terms"][0])]
        first, count = int(query.get("offset", ["0"])[0]), min(int(query.get("count", ["7"])[0]), 500)
        page = matches[first:min(first + count, 7500)]
        shown = [[row.get(field, "") for field in query["df"][0].split(",")] for row in page]
        return [len(matches), [row["code"] for row in page], None, shown]

    def _send_json(self, handler, answer):
        self._send(handler, json.dumps(answer).encode())

    def _errors(self, handler):
        self._send_json(handler, {"error": "no such field"})

    def _others(self, handler):
        """Begins like it, and ends before what it counts."""
        self._send_json(handler, [9000, [], None, []])

    def _uneven(self, handler):
        self._send_json(handler, [1, ["I10"], None, []])
