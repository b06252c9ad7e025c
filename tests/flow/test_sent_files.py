"""POST /v1/files and /v1/files/{id}/replay: a file sent instead of dropped, and one that is read once more."""
import contextlib
import http.client
import itertools
import os
import resource
import signal
import threading
import time
import urllib.error

import jsonschema
import pytest

from harness import dump, jobs
from test_claims import COLUMNS, make_claims, row, text  # noqa: F401  (a fixture and what it makes)

MIB = 1 << 20


@pytest.fixture
def desk(make_claims):  # noqa: F811
    """A running daemon that has had its first run."""
    claims = make_claims()
    claims.daemon.make_token()
    claims.daemon.start()
    jobs.until(lambda: claims.listed("receiving") is not None, what="the first run")
    yield claims
    claims.daemon.stop()


def named(name, **more):
    return {"Content-Disposition": f'attachment; filename="{name}"', "Content-Type": "text/csv", **more}


def send(claims, name, content, query="", **options):
    content = content.encode() if isinstance(content, str) else content
    headers = named(name, **options.pop("headers", {})) if name else options.pop("headers")
    return claims.daemon.post(f"/v1/files{query}", content, headers=headers, **options)


def ended(claims, headers):
    """The file's row when it has ended; it is moved somewhat later, with others."""
    return jobs.until(lambda: next((entry for entry in [claims.daemon.get(headers["Location"] + "?wait=20")[2]]
                                    if entry["state"] not in ("seen", "receiving") and claims.listed("receiving") == []), None))


def hidden(claims):
    """What of uploads lies there that have not landed."""
    return [name for name in os.listdir(claims.drop) if name.startswith(".")]


def check(claims, entry):
    document = claims.daemon.get("/openapi.json", token=None)[2]
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/File", "components": document["components"]}).validate(entry)


def test_a_file_that_is_sent_is_received_as_one_that_was_dropped(desk, make_claims):  # noqa: F811
    content = text([row(f"C{number}", patient="Zoë") for number in range(30)] + [row("C99", amount="ten")])
    other = make_claims()
    other.put("hospital1_2024-03.csv", content)
    other.once()
    status, headers, entry = send(desk, "hospital1_2024-03.csv", content)
    assert status == 202, entry
    check(desk, entry)
    assert entry["state"] in ("seen", "receiving", "done") and headers["Location"] == f"/v1/files/{entry['id']}"
    last = ended(desk, headers)
    check(desk, last)
    assert (last["state"], last["rows_read"], last["rows_new"], last["rows_quarantined"], last["period"]) == ("done", 31, 30, 1, "2024-03")
    assert last["id"] == entry["id"] and last["name"] == "hospital1_2024-03.csv"
    assert {name: last["detected"][name] for name in ("packing", "encoding", "format", "delimiter", "line_end", "header", "decimal")} == {
        "packing": "plain", "encoding": "utf-8", "format": "delimited", "delimiter": ",", "line_end": "lf", "header": True, "decimal": "point"}
    assert last["detected"]["columns"] == COLUMNS and last["detected"]["unpacked_bytes"] == len(content.encode())
    assert desk.claims() == other.claims()
    assert "hospital1_2024-03.csv" in desk.listed("done")
    assert hidden(desk) == []
    # the same bytes, by whatever name
    status, headers, entry = send(desk, "hospital1_2024-04.csv", content)
    assert (status, entry["state"]) == (200, "duplicate") and f"file {last['id']}" in entry["error"]
    assert headers["Location"] == f"/v1/files/{entry['id']}" and desk.listed(".") == ["done", "failed", "receiving"]
    # and of another hospital: another file
    status, headers, entry = send(desk, "hospital2_2024-03.csv", content)
    assert status == 202 and ended(desk, headers)["state"] == "done"


def test_names_are_read_as_the_standard_says(desk):
    ways = ["attachment; filename*=UTF-8''hospital1_%C3%A9%20%221%22.csv; filename=\"hospital2_x.csv\"",
            'form-data ; filename = hospital1_token.csv', 'attachment;filename="hospital1_\\"quoted\\".csv"']
    names = ['hospital1_é "1".csv', "hospital1_token.csv", 'hospital1_"quoted".csv']
    for number, (way, name) in enumerate(zip(ways, names)):
        status, headers, entry = send(desk, None, text([row(f"C{number}")]), headers={"Content-Disposition": way, "Content-Type": "text/csv"})
        assert (status, entry.get("name")) == (202, name), entry
        assert ended(desk, headers)["state"] == "done"


REFUSED = [("hospital3_2024.csv", {}, 400, "no pattern"), ("hospital1_both_1.csv", {}, 400, "two patterns"),
           ("x/../hospital1_1.csv", {}, 400, "slash"), (".hospital1_1.csv", {}, 400, "dot"), ("hospital1_1.csv.report.txt", {}, 400, "report"), ("receiving", {}, 400, "own folders"),
           ("hospital1_" + "x" * 300 + ".csv", {}, 400, "200 bytes"), ("hospital1_\x01.csv", {}, 400, "control"),
           ("hospital1_1.csv", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "file itself"),
           ("hospital1_1.csv", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "file itself"),
           ("hospital1_1.csv", {"Content-Disposition": "attachment"}, 400, "names the file"),
           ("hospital1_1.csv", {"Content-Disposition": "attachment; filename=\"x"}, 400, "names the file"),
           ("hospital1_1.csv", {"Content-Disposition": "attachment; filename*=latin1''x"}, 400, "names the file"),
           ("hospital1_1.csv", {"Content-Disposition": "attachment; filename*=UTF-8''hospital1_%ff.csv"}, 400, "UTF-8")]


@pytest.mark.parametrize("name,headers,status,word", REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_cannot_be_a_claims_file_is_refused_with_a_sentence(desk, name, headers, status, word):
    answer = send(desk, name, text([row("C1")]), headers=headers)
    assert answer[0] == status, answer[2]
    sentence = answer[2]["errors"][0]["detail"] if status == 400 else answer[2]["detail"]
    assert word in sentence and (status == 415 or answer[2]["errors"][0]["pointer"] == "Content-Disposition")
    assert desk.rows("SELECT count(*) FROM ops.file") == [(0,)] and desk.listed(".") == ["done", "failed", "receiving"]


def test_who_may_send_and_how_much(desk):
    assert send(desk, "hospital1_1.csv", "")[0] == 400
    assert send(desk, "hospital1_1.csv", text([row("C1")]), query="?feed=claims.none")[2]["errors"][0]["pointer"] == "?feed"
    assert send(desk, "hospital1_1.csv", text([row("C1")]), query="?feed=claims.monthly&colour=red")[0] == 400
    own = desk.daemon.token
    desk.daemon.make_token("reader", "read,phi")
    desk.daemon.token, reader = own, desk.daemon.token
    jobs.until(lambda: desk.daemon.get("/v1/status", token=reader)[0] == 200, what="the new token")
    assert send(desk, "hospital1_1.csv", text([row("C1")]), token=reader)[0] == 403
    assert send(desk, "hospital1_1.csv", text([row("C1")]), token=None)[0] == 401
    assert announce(desk, 64 * MIB + 1)[0] == 413 and announce(desk, 1 << 40)[0] == 413
    assert announce(desk, 64 * MIB + 1, token=reader)[0] == 403
    assert desk.rows("SELECT count(*) FROM ops.file") == [(0,)]
    refused = "SELECT count(*) FROM ops.audit WHERE action = 'POST /v1/files' AND outcome = 'refused'"
    jobs.until(lambda: desk.rows(refused) == [(2,)], what="the refusals in the audit trail")


def announce(claims, size, token=None):
    """A head that promises so much, and no body: the answer does not wait for it."""
    link = http.client.HTTPConnection("127.0.0.1", claims.daemon.port, timeout=20)
    link.putrequest("POST", "/v1/files")
    for name, value in {**named("hospital1_1.csv"), "Content-Length": str(size),
                        "Authorization": f"Bearer {token or claims.daemon.token}"}.items():
        link.putheader(name, value)
    link.endheaders()
    answer = link.getresponse()
    return answer.status, answer.read()


def pieces(size, piece=64 * 1024):
    """A file of so many bytes, never whole here either: a row, and a line that is too long for any."""
    first = text([row("C1")]).encode()
    yield first
    for sent in range(len(first), size, piece):
        yield b"#" * min(piece, size - sent)


def stream(claims, chunks, name="hospital1_2024-03.csv", length=None, limit=None):
    """Sends by pieces, chunked where the length is not said; slowly enough for others to come between."""
    link = http.client.HTTPConnection("127.0.0.1", claims.daemon.port, timeout=60)
    headers = {**named(name), "Authorization": f"Bearer {claims.daemon.token}"}
    if length is not None:
        headers["Content-Length"] = str(length)
    link.request("POST", "/v1/files", body=itertools.islice(chunks, limit), headers=headers, encode_chunked=length is None)
    answer = link.getresponse()
    return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["by_length", "chunked"])
def test_64_mib_are_streamed_and_others_are_answered_meanwhile(desk, is_chunked):
    before = desk.daemon.resident_bytes("VmHWM")
    answers, is_over = [], threading.Event()

    def ask():
        while not is_over.wait(0.05):  # a client may ask so many times a second
            began = time.monotonic()
            status = desk.daemon.get("/v1/jobs")[0]
            answers.append((status, time.monotonic() - began))
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        status, headers, body = stream(desk, pieces(64 * MIB), length=None if is_chunked else 64 * MIB)
    finally:
        is_over.set()
        asking.join()
    assert status == 202, body
    entry = ended(desk, headers)
    assert (entry["state"], entry["size_bytes"]) == ("done", 64 * MIB)
    if desk.daemon.is_size_its_own():
        assert desk.daemon.resident_bytes("VmHWM") - before < 24 * MIB
    assert answers and {status for status, _ in answers} == {200} and max(seconds for _, seconds in answers) < 5
    status, _, body = stream(desk, pieces(64 * MIB + 1), name="hospital1_2024-04.csv")
    assert status == 413, body
    jobs.until(lambda: not hidden(desk), what="the rest of it to go")


def leave_midway(claims):
    """Sends a part of what it promised, and closes once the daemon has begun to write."""
    link = http.client.HTTPConnection("127.0.0.1", claims.daemon.port, timeout=20)
    link.putrequest("POST", "/v1/files")
    for name, value in {**named("hospital1_1.csv"), "Content-Length": str(8 * MIB),
                        "Authorization": f"Bearer {claims.daemon.token}"}.items():
        link.putheader(name, value)
    link.endheaders()
    for piece in itertools.islice(pieces(8 * MIB), 40):
        link.send(piece)
    jobs.until(lambda: hidden(claims), what="the first piece to be written")
    link.close()
    jobs.until(lambda: not hidden(claims), what="the rest of it to go")


def test_a_client_that_leaves_in_the_middle_leaves_nothing(desk):
    for _ in range(20):  # its end may come with its last bytes, or after them
        leave_midway(desk)
    assert desk.rows("SELECT count(*) FROM ops.file") == [(0,)]


def test_a_name_that_waits_already_and_a_key(desk):
    with open(os.path.join(desk.drop, "hospital1_1.csv"), "w", encoding="utf-8") as held:  # open: nobody takes it
        held.write(text([row("C1")]))
        held.flush()
        assert send(desk, "hospital1_1.csv", text([row("C2")]))[0] == 409
        first = send(desk, "hospital1_2.csv", text([row("C3")]), headers={"Idempotency-Key": "one"})
        assert first[0] == 202
        again = send(desk, "hospital1_2.csv", text([row("C3")]), headers={"Idempotency-Key": "one"})
        assert (again[0], again[2]["id"], again[1]["Idempotency-Replayed"]) == (202, first[2]["id"], "true")
        assert send(desk, "hospital1_2.csv", text([row("C4")]), headers={"Idempotency-Key": "one"})[0] == 422
        assert send(desk, "hospital1_3.csv", text([row("C3")]), headers={"Idempotency-Key": "one"})[0] == 422
        assert ended(desk, first[1])["state"] == "done"
    jobs.until(lambda: (desk.file("hospital1_1.csv") or {}).get("state") == "done", what="the file that was held")
    assert [line[1] for line in desk.claims()] == ["C1", "C3"]


@contextlib.contextmanager
def no_file_beyond(claims, size):
    """For the running daemon: a write beyond fails, as on a full disk."""
    pid = claims.daemon.pid()
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def check_nothing_came_of_it(claims, pid):
    """And the next upload is received by the same process."""
    assert claims.daemon.pid() == pid and claims.daemon.is_alive()
    assert claims.rows("SELECT count(*) FROM ops.file") == [(0,)] and claims.claims() == []
    jobs.until(lambda: not hidden(claims), what="the rest of it to go")
    assert claims.listed(".") == ["done", "failed", "receiving"] and claims.listed("done") == []
    status, headers, entry = send(claims, "hospital1_2024-03.csv", text([row("C1")]))
    assert status == 202, entry
    assert ended(claims, headers)["state"] == "done" and [line[1] for line in claims.claims()] == ["C1"]


def test_a_write_that_fails_fails_its_upload_and_nothing_else(desk):
    pid = desk.daemon.pid()
    with no_file_beyond(desk, MIB):
        for _ in range(4):
            status, headers, body = stream(desk, pieces(8 * MIB), length=8 * MIB)
            assert status == 503 and b"cannot write in the drop directory" in body
    check_nothing_came_of_it(desk, pid)


def test_what_comes_after_a_write_that_failed_is_thrown_away(desk):
    """Its answer waits for its audit line; meanwhile there is room again, and the rest of the body comes."""
    pid, content = desk.daemon.pid(), b"".join(pieces(MIB // 2 + 1024))
    link = http.client.HTTPConnection("127.0.0.1", desk.daemon.port, timeout=60)
    with contextlib.closing(desk.store.connect(desk.database)) as locking, locking.cursor() as cursor:
        cursor.execute("LOCK TABLE ops.audit IN ACCESS EXCLUSIVE MODE")
        with no_file_beyond(desk, 64 * 1024):
            link.putrequest("POST", "/v1/files")
            for name, value in {**named("hospital1_2024-03.csv"), "Content-Length": str(len(content)),
                                "Authorization": f"Bearer {desk.daemon.token}"}.items():
                link.putheader(name, value)
            link.endheaders()
            link.send(content[:MIB // 2])
            waiting = "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'ops.audit'::regclass AND NOT granted"
            jobs.until(lambda: desk.rows(waiting) == [(True,)], what="the audit line to be written")
        link.send(content[MIB // 2:])
        answer = link.getresponse()  # at the deadline of its audit line
        assert answer.status == 503 and b"cannot write in the drop directory" in answer.read()
        locking.rollback()
    link.close()
    check_nothing_came_of_it(desk, pid)


@pytest.mark.parametrize("failpoint", ["upload.before_name", "upload.after_name"])
def test_killed_before_the_answer_and_sent_again_it_is_there_once(desk, failpoint):
    content = text([row("C1"), row("C2")])
    desk.daemon.stop()
    desk.daemon.extra["REVCYCLED_FAILPOINT"] = failpoint
    desk.daemon.start()
    with pytest.raises((OSError, urllib.error.URLError)):
        send(desk, "hospital1_2024-03.csv", content)
    assert desk.daemon.child.wait(20) == -signal.SIGKILL
    del desk.daemon.extra["REVCYCLED_FAILPOINT"]
    stale = [name for name in os.listdir(desk.drop) if name.startswith(".revcycled-upload-")]
    assert len(stale) == (failpoint == "upload.before_name")
    for name in stale:
        os.utime(os.path.join(desk.drop, name), (1, 1))
    desk.daemon.start()

    def again():
        answer = send(desk, "hospital1_2024-03.csv", content)
        return answer if answer[0] != 409 else None
    status, headers, _ = jobs.until(again)
    assert status in (200, 202) and ended(desk, headers)["state"] in ("done", "duplicate")
    assert [line[1:3] for line in desk.claims()] == [("C1", 1), ("C2", 1)]
    assert desk.rows("SELECT count(*) FROM ops.file WHERE state = 'done'") == [(1,)]
    assert desk.rows("SELECT count(*) FROM ops.file WHERE state NOT IN ('done', 'duplicate')") == [(0,)]
    assert hidden(desk) == []


def replay(claims, entry, **options):
    return claims.daemon.post(f"/v1/files/{entry}/replay", **options)


def change(claims, old, new):
    with open(claims.daemon.config, encoding="utf-8") as file:
        config = file.read()
    assert old in config
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(config.replace(old, new))


def test_a_failed_file_is_read_again_when_the_configuration_is_mended(desk):
    rows = [row("C1"), row("C2")]
    content = text(rows).replace("2024-01-10", "01/10/2024")
    status, headers, entry = send(desk, "hospital1_2024-03.csv", content)
    entry = ended(desk, headers)
    assert entry["state"] == "failed" and "hospital1_2024-03.csv.report.json" in desk.listed("failed")
    change(desk, "service_date: ServiceDate", "service_date: {from: ServiceDate, clean: [{date: \"MM/DD/YYYY\"}]}")
    assert desk.daemon.post("/v1/config/reload")[0] in (200, 202)
    status, headers, answer = jobs.until(lambda: next((asked for asked in [replay(desk, entry["id"])] if asked[0] == 202), None))
    check(desk, answer)
    assert headers["Location"] == f"/v1/files/{entry['id']}"
    again = jobs.until(lambda: next((e for e in [ended(desk, headers)] if e["state"] == "done"), None))
    assert (again["id"], again["rows_read"], again["rows_new"], again["error"]) == (entry["id"], 2, 2, None)
    assert desk.listed("failed") == [] and "hospital1_2024-03.csv" in desk.listed("done")
    assert desk.rows("SELECT source_claim_id, service_date::text FROM silver.claims ORDER BY 1") == [("C1", "2024-01-10"), ("C2", "2024-01-10")]


def test_a_file_that_is_done_changes_nothing_when_it_is_read_again(desk):
    for month in ("03", "04"):
        assert send(desk, f"hospital1_2024-{month}.csv", text([row("C1", f"2024-{month}-01", status=f"S{month}"), row("C2"), row("C3", amount="ten")]))[0] == 202
    jobs.until(lambda: desk.rows("SELECT count(*) FROM ops.file WHERE state = 'done'") == [(2,)])
    entry = desk.rows("SELECT file_id FROM ops.file WHERE name = 'hospital1_2024-03.csv'")[0][0]

    def state():
        return {name: rows for name, rows in desk.dump(dump.KILL).items() if name not in ("ops.file", "ops.job")}
    jobs.run_job(desk.daemon, "settle")
    before, counts = state(), desk.file("hospital1_2024-03.csv")
    status, headers, _ = replay(desk, entry)
    assert status == 202
    jobs.until(lambda: desk.rows(f"SELECT readings, state FROM ops.file WHERE file_id = {entry}") == [(1, "done")])
    assert state() == before
    after = desk.file("hospital1_2024-03.csv")
    assert (after["rows_read"], after["rows_same"], after["rows_quarantined"]) == (3, 2, 1)
    assert (counts["rows_new"], counts["rows_quarantined"]) == (2, 1)
    assert desk.listed("done").count("hospital1_2024-03.csv") == 1


def test_what_cannot_be_read_again_says_why(desk):
    status, headers, entry = send(desk, "hospital1_2024-03.csv", text([row("C1")]))
    entry = ended(desk, headers)
    assert replay(desk, 999999)[0] == 404 and replay(desk, "x")[0] == 404
    duplicate = send(desk, "hospital1_2024-04.csv", text([row("C1")]))[2]
    assert replay(desk, duplicate["id"])[0] == 409
    posted = desk.daemon.post("/v1/claims?source=hospital_a", [{"ClaimID": "C5", "ClaimStatus": "Paid"}])[2]
    assert "send it again" in replay(desk, posted["file"])[2]["detail"]
    with open(os.path.join(desk.drop, "hospital1_2024-03.csv"), "w", encoding="utf-8") as held:
        held.write("x")
        held.flush()
        assert "waits in the drop directory" in replay(desk, entry["id"])[2]["detail"]
        os.unlink(held.name)  # before it is closed: then it would be taken
    os.unlink(os.path.join(desk.drop, "done", "hospital1_2024-03.csv"))
    assert "send it again" in replay(desk, entry["id"])[2]["detail"]


@pytest.fixture
def killed_before_put_back(desk):
    """What asks for a file to be read again, while the daemon dies between its move and its commit."""
    def kill(entry, meanwhile=lambda: None):
        desk.daemon.stop()
        desk.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.before_put_back"
        desk.daemon.start()
        with contextlib.suppress(OSError, http.client.HTTPException):  # it may be killed before it answers
            replay(desk, entry["id"])
        assert desk.daemon.child.wait(20) == -signal.SIGKILL
        del desk.daemon.extra["REVCYCLED_FAILPOINT"]
        assert os.path.exists(os.path.join(desk.drop, entry["name"]))
        meanwhile()
        desk.daemon.start()
        open_files = "SELECT count(*) FROM ops.file WHERE state IN ('seen', 'receiving') OR replay_asked_at IS NOT NULL"
        jobs.until(lambda: desk.listed(".") == ["done", "failed", "receiving"] and desk.listed("receiving") == []
                   and desk.rows(open_files) == [(0,)], what="its end")
    return kill


def readings(claims):
    return claims.rows("SELECT file_id, state, readings, rows_read, rows_new, rows_same FROM ops.file ORDER BY file_id")


def test_killed_while_a_failed_file_is_put_back_it_is_read_once_more_all_the_same(desk, killed_before_put_back):
    content = text([row("C1"), row("C2")]).replace("2024-01-10", "01/10/2024")
    entry = ended(desk, send(desk, "hospital1_2024-03.csv", content)[1])
    assert entry["state"] == "failed"
    change(desk, "service_date: ServiceDate", "service_date: {from: ServiceDate, clean: [{date: \"MM/DD/YYYY\"}]}")
    killed_before_put_back(entry)
    assert [line[1] for line in desk.claims()] == ["C1", "C2"] and desk.listed("failed") == []
    assert readings(desk) == [(int(entry["id"]), "done", 1, 2, 2, 0)]


def test_killed_while_a_file_that_is_done_is_put_back_it_is_read_once_more_all_the_same(desk, killed_before_put_back):
    entry = ended(desk, send(desk, "hospital1_2024-03.csv", text([row("C1"), row("C2")]))[1])
    before = desk.claims()
    killed_before_put_back(entry)
    assert readings(desk) == [(int(entry["id"]), "done", 1, 2, 0, 2)]
    assert desk.claims() == before and desk.listed("done").count("hospital1_2024-03.csv") == 1


def test_killed_while_a_file_is_put_back_and_another_lies_there_since_that_one_is_received(desk, killed_before_put_back):
    entry = ended(desk, send(desk, "hospital1_2024-03.csv", text([row("C1")]))[1])
    killed_before_put_back(entry, meanwhile=lambda: desk.put("hospital1_2024-03.csv", text([row("C2"), row("C3")])))
    first, second = readings(desk)
    assert first == (int(entry["id"]), "done", 0, 1, 1, 0) and second[1:] == ("done", 0, 2, 2, 0)
    assert [line[1] for line in desk.claims()] == ["C1", "C2", "C3"]
