"""An NPI registry on loopback that behaves like the real one, and, when told to, as badly.

Facts of the NPPES NPI Registry API, version 2.1 (https://npiregistry.cms.hhs.gov/api-page, and answers of it that
clients on GitHub keep as fixtures; both as read in November 2026):
  - GET with `version=2.1` and `number`; the answer is {"result_count": n, "results": [...]}, nobody: 0 and []
  - a request it does not like is answered with HTTP 200 and {"Errors": [{"description", "field", "number"}]}
  - `number` is a text in version 2.1, and was a JSON number before
  - `basic.status` is "A" (active) or "D"; `enumeration_type` NPI-1 (a person) or NPI-2 (an organisation)
  - `taxonomies` has code, desc, primary, state, license of each
  - `limit` is at most 200 and `skip` at most 1,000: beyond it the same page comes again
It sends validators here, so that the client's use of them can be seen; the real one may not.
"""
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


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


class Registry:
    """`entries` {npi: entry}; `faults`: how the next requests are answered, one each, the last for ever."""

    def __init__(self):
        self.entries, self.faults, self.requests = {}, [], []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.requests.append((self.command, self.path, dict(self.headers)))
                fault = registry.faults[0] if registry.faults else None
                if len(registry.faults) > 1:
                    registry.faults.pop(0)
                getattr(registry, f"_{fault}" if fault else "_well")(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/api/"

    def add(self, *args, **options):
        self.entries[args[0]] = entry(*args, **options)

    def asked(self):
        """Which numbers, in the order they came."""
        return [parse_qs(urlsplit(path).query)["number"][0] for _, path, _ in self.requests]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # -- answers

    @staticmethod
    def _send(handler, body, status=200, kind="application/json", **headers):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(self, handler):
        query = parse_qs(urlsplit(handler.path).query)
        if query.get("version") != ["2.1"] or "number" not in query:
            return {"Errors": [{"description": "No valid search criteria provided", "field": "", "number": "04"}]}
        found = self.entries.get(query["number"][0])
        return {"result_count": int(found is not None), "results": [found] if found else []}

    def _well(self, handler):
        body = json.dumps(self._answer(handler)).encode()
        etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        if handler.headers.get("If-None-Match") == etag:
            handler.send_response(304)
            handler.send_header("ETag", etag)
            handler.end_headers()
        else:
            self._send(handler, body, ETag=etag, Last_Modified="Thu, 05 Nov 2026 10:00:00 GMT")

    def _fine(self, handler):
        self._well(handler)

    def _errors(self, handler):
        self._send(handler, json.dumps({"Errors": [{"description": "Bad number", "field": "number", "number": "06"}]}).encode())

    def _repeated(self, handler):
        """As beyond `skip` 1,000: a page of others, whatever was asked for."""
        other = [entry(with_check_digit(f"19999999{digit}"), "Dentist") for digit in range(3)]
        self._send(handler, json.dumps({"result_count": 3, "results": other}).encode())

    def _unavailable(self, handler):
        self._send(handler, b"{}", 503)

    def _limited(self, handler):
        self._send(handler, b"{}", 429, Retry_After="600")

    def _limited_briefly(self, handler):
        self._send(handler, b"{}", 429, Retry_After="1")

    def _forbidden(self, handler):
        self._send(handler, b"{}", 403)

    def _moved(self, handler):
        self._send(handler, b"{}", 302, Location=self.endpoint + "elsewhere")

    def _slow(self, handler):
        time.sleep(2.5)  # beyond the request's second: what is tested is that nobody waits for it

    def _cut(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "4000")
        handler.end_headers()
        handler.wfile.write(b'{"result_count": 0, "results": []}')
        handler.close_connection = True

    def _garbage(self, handler):
        self._send(handler, b'{"result_count": 0, "results": [\xff\xfe')

    def _huge(self, handler):
        self._send(handler, b'{"result_count": 0, "results": []' + b" " * (3 << 20) + b"}")

    def _page(self, handler):
        self._send(handler, b'{"result_count": 0, "results": []}', kind="text/html; charset=utf-8")
