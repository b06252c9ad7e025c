"""A public register on loopback that answers as a subclass says, and, when told to, as badly as any service does.

It sends validators, so that the client's use of them can be seen; the real ones may not.
"""
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Register:
    """`faults`: how the next requests are answered, one each, the last for ever; `requests`: method, path, headers; `times`: when."""
    PATH = "/"
    EMPTY = ""  # a whole answer that names nobody

    def __init__(self):
        self.faults, self.requests, self.times = [], [], []
        register = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                register.times.append(time.monotonic())
                register.requests.append((self.command, self.path, dict(self.headers)))
                fault = register.faults[0] if register.faults else None
                if len(register.faults) > 1:
                    register.faults.pop(0)
                getattr(register, f"_{fault}" if fault else "_well")(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}{self.PATH}"

    def asked(self, parameter):
        """Which numbers or codes, in the order they came."""
        return [parse_qs(urlsplit(path).query)[parameter][0] for _, path, _ in self.requests]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, query):
        """What it has to say, as JSON; `query`: lists of values by parameter."""
        raise NotImplementedError

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

    def _well(self, handler):
        body = json.dumps(self.answer(parse_qs(urlsplit(handler.path).query))).encode()
        etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        if handler.headers.get("If-None-Match") == etag:
            handler.send_response(304)
            handler.send_header("ETag", etag)
            handler.end_headers()
        else:
            self._send(handler, body, ETag=etag, Last_Modified="Thu, 05 Nov 2026 10:00:00 GMT")

    def _fine(self, handler):
        self._well(handler)

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
        handler.wfile.write(self.EMPTY.encode())
        handler.close_connection = True

    def _garbage(self, handler):
        self._send(handler, self.EMPTY[:-1].encode() + b"\xff\xfe")

    def _huge(self, handler):
        self._send(handler, self.EMPTY[:-1].encode() + b" " * (3 << 20) + self.EMPTY[-1:].encode())

    def _page(self, handler):
        self._send(handler, self.EMPTY.encode(), kind="text/html; charset=utf-8")
