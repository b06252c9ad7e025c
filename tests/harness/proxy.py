"""Stands between the daemon and the emulator: adds the real service's strictness, and faults.

Strict, where the emulator is not: a job id that was used answers 409, and an upload's job is known
by the id its caller gave it. Able, where it is not: columns added by tables.patch can be written to. Faults are given by a test, each for a number of requests:

    proxy.fail(Fault("503", path="/jobs", times=2))
    503, 429 …     this status, with a BigQuery error body (429 with Retry-After: 0)
    cut            the connection ends before the request reaches the service
    cut_after      the service does it, the answer is lost
    meanwhile      `action` is called, then the service does it: what others did while the request was on its way
    job:REASON     200, and the job it made is DONE with this errorResult; the service never sees it
    answer         the service does it, and what it says goes through `action`, an object for an object

As a process of its own (harness.emulator starts it so):
    python -m harness.proxy EMULATOR_PORT LISTEN_PORT LEDGER
"""
import http.client
import http.server
import json
import re
import signal
import socket
import sys
import threading
import urllib.parse

REASONS = {"429": "rateLimitExceeded", "403": "rateLimitExceeded", "503": "backendError", "500": "internalError"}


class Fault:
    def __init__(self, kind, path="", method=None, body=None, times=1, action=None):
        self.kind, self.path, self.method, self.body, self.times = kind, path, method, body, times
        self.action = action

    def fits(self, method, path, body):
        return (self.times > 0 and re.search(self.path, path) and self.method in (None, method)
                and (self.body is None or re.search(self.body.encode(), body)))


class Proxy:
    def __init__(self, port, listen=0, ledger=None):
        """To the emulator on `port`. A context manager; `endpoint` is what the daemon is told. The
        ledger is a file that keeps the job ids over restarts."""
        self.port = port
        self.ledger = ledger
        self.faults = []
        self.requests = []  # (method, path, status)
        self.started = []   # (path, what was asked for) of every request that starts a job
        self.jobs = self._known_jobs(ledger)  # caller's job id -> the emulator's
        self.uploads = {}   # upload session -> caller's job id
        self.failed = {}    # caller's job id -> the job that a fault made fail
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", listen), self._handler())
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fail(self, *faults):
        with self.lock:
            self.faults += faults

    def pending(self):
        """Faults that have not happened yet: a test that leaves one proved nothing."""
        return [fault for fault in self.faults if fault.times > 0]

    def _fault_for(self, method, path, body):
        with self.lock:
            for fault in self.faults:
                if fault.fits(method, path, body):
                    fault.times -= 1
                    return fault
        return None

    def _handler(proxy):  # noqa: N805 - the class below has a self of its own
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body go in two pieces: the second would wait for 40 ms

            def log_message(self, *arguments):
                pass

            def _read(self):
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    parts = []
                    while True:
                        size = int(self.rfile.readline().split(b";")[0], 16)
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                        if size == 0:
                            return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _answer(self, status, headers, body):
                proxy.requests.append((self.command, self.path, status))
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _refuse(self, status, reason, message):
                body = json.dumps({"error": {"code": status, "message": message,
                                             "errors": [{"reason": reason, "message": message}]}}).encode()
                headers = [("Content-Type", "application/json")]
                self._answer(status, headers + ([("Retry-After", "0")] if status == 429 else []), body)

            def _cut(self):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

            def _serve(self):
                body = self._read()
                fault = proxy._fault_for(self.command, self.path, body)
                kind = fault.kind if fault else None
                if kind == "cut":
                    return self._cut()
                if kind == "meanwhile":
                    fault.action()
                elif kind and kind.startswith("job:"):
                    return self._answer(200, [], proxy._fail_job(self.command, self.path, body, kind[4:]))
                elif proxy._failed_job(self.command, self.path):
                    return self._answer(200, [], proxy._failed_job(self.command, self.path))
                elif kind and kind not in ("cut_after", "answer"):
                    return self._refuse(int(kind), REASONS.get(kind, "backendError"), "a fault of the test's")
                if self.command == "POST" and re.search(r"/(jobs|queries)(\?|$)", self.path):
                    proxy.started.append((self.path, proxy._asked_for(body)))
                session = re.search(r"upload_id=(\w+)", self.path)
                job = proxy._new_job(self.command, self.path, body)
                opens = job is not None and "uploadType=resumable" in self.path
                if opens and job in proxy.jobs or job and not opens and not proxy._remember(job):
                    return self._refuse(409, "duplicate", f"Already Exists: Job {job}")
                widened = proxy._before_widening(self.command, self.path, body)
                status, headers, answer = proxy._forward(self.command, self.path, self.headers, body)
                if widened and status == 200:
                    proxy._widen(self.path, widened, json.loads(answer))
                if opens:
                    proxy._open_upload(job, headers)
                elif session and status == 200:
                    answer = proxy._learn(proxy.uploads[session.group(1)], status, answer)
                else:
                    answer = proxy._learn(job, status, answer)
                if kind == "cut_after":
                    return self._cut()
                if kind == "answer":
                    answer = json.dumps(fault.action(json.loads(answer))).encode()
                return self._answer(status, proxy._own_links(headers), answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve
        return Handler

    # -- strictness

    @staticmethod
    def _known_jobs(ledger):
        try:
            with open(ledger or "/dev/null", encoding="ascii") as file:
                return dict(line.split() for line in file if len(line.split()) == 2)
        except FileNotFoundError:
            return {}

    def _note(self, job):
        """A job that was made stays known, under the emulator's id for it."""
        if self.ledger:
            with self.lock, open(self.ledger, "a", encoding="ascii") as file:
                file.write(f"{job} {self.jobs[job]}\n")

    @staticmethod
    def _asked_for(body):
        """The JSON of the request, or of the first part of a multipart one."""
        start = body.index(b"{")
        return json.JSONDecoder().raw_decode(body[start:].decode("utf-8", "replace"))[0]

    @staticmethod
    def _new_job(method, path, body):
        """The id of the job that this request would make."""
        if method != "POST" or not re.search(r"/(jobs|queries)(\?|$)", path):
            return None
        found = re.search(rb'"jobId"\s*:\s*"([^"]+)"', body[:65536])
        return found.group(1).decode() if found else None

    def _remember(self, job):
        with self.lock:
            if job in self.jobs:
                return False
            self.jobs[job] = job
            return True

    def _fail_job(self, method, path, body, reason):
        job = self._new_job(method, path, body)
        self._remember(job)
        failure = {"reason": reason, "message": "a fault of the test's"}
        self.failed[job] = json.dumps({"kind": "bigquery#job", "jobReference": {"jobId": job}, "status": {
            "state": "DONE", "errorResult": failure, "errors": [failure]}}).encode()
        return self.failed[job]

    def _failed_job(self, method, path):
        found = re.search(r"/jobs/([^/?]+)", path)
        return self.failed.get(found.group(1)) if method == "GET" and found else None

    def _open_upload(self, job, headers):
        """A session is not a job yet: the job begins when the last byte has arrived."""
        for name, value in headers:
            if name.lower() == "location":
                self.uploads[re.search(r"upload_id=(\w+)", value).group(1)] = job

    def _learn(self, job, status, answer):
        """The emulator gives uploads an id of its own: remember it under the caller's."""
        if not job:
            return answer
        if status >= 400:
            with self.lock:
                self.jobs.pop(job, None)
            return answer
        found = re.search(rb'"jobId"\s*:\s*"([^"]+)"', answer)
        if found and found.group(1).decode() != job:
            self.jobs[job] = found.group(1).decode()
            answer = answer.replace(found.group(1), job.encode())
        self._note(job)
        return answer

    # -- columns added in place: the emulator changes its catalogue and leaves the table as it was

    def _ask(self, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        status, _, answer = self._forward(method, path, headers, json.dumps(body).encode() if body else None)
        answer = json.loads(answer or b"{}")
        failure = answer.get("status", {}).get("errorResult") if isinstance(answer, dict) else None
        if status >= 400 or failure:
            raise RuntimeError(f"the emulator refuses {method} {path}: {failure or answer}")
        return answer

    def _before_widening(self, method, path, body):
        """The table as it is, when a request is about to change its columns."""
        if method != "PATCH" or b'"fields"' not in body or b'"view"' in body:
            return None
        return self._ask("GET", path)

    def _widen(self, path, before, after):
        old, new = ([field["name"] for field in table["schema"]["fields"]] for table in (before, after))
        if old == new:
            return
        project = path.split("/projects/")[1].split("/")[0]
        name = ".".join((project, before["tableReference"]["datasetId"], before["tableReference"]["tableId"]))
        names = ", ".join(f"`{column}`" for column in old)
        copy = f"{name}__narrow"

        def run(query):
            self._ask("POST", f"/bigquery/v2/projects/{project}/queries", {"query": query, "useLegacySql": False})
        run(f"CREATE TABLE `{copy}` AS SELECT * FROM `{name}`")
        self._ask("DELETE", path)
        kept = {key: after[key] for key in ("tableReference", "schema", "description", "labels", "timePartitioning",
                                            "clustering") if key in after}
        self._ask("POST", path.rsplit("/", 1)[0], kept)
        run(f"INSERT INTO `{name}` ({names}) SELECT {names} FROM `{copy}`")
        self._ask("DELETE", f"{path}__narrow")

    def _forward(self, method, path, headers, body):
        parts = urllib.parse.urlsplit(path)
        steps = [self.jobs.get(urllib.parse.unquote(step), step) for step in parts.path.split("/")]
        kept = {name: value for name, value in headers.items()
                if name.lower() not in ("host", "content-length", "transfer-encoding", "connection", "expect")}
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            link.request(method, "/".join(steps) + (f"?{parts.query}" if parts.query else ""), body, kept)
            answer = link.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            link.close()

    def _own_links(self, headers):
        """An upload's session address must lead back through here."""
        theirs = f"http://127.0.0.1:{self.port}"
        return [(name, value.replace(theirs, self.endpoint)) for name, value in headers]


def main():
    emulator, listen, ledger = sys.argv[1:4]
    proxy = Proxy(int(emulator), int(listen), ledger)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    proxy.server.serve_forever()


if __name__ == "__main__":
    main()
