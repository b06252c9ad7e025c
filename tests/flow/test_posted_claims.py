"""POST /v1/claims: rows as they happen, by the rules of files; answered after the commit, and placed once."""
import contextlib
import json
import signal
import threading
import urllib.error

import jsonschema
import pytest

from harness import jobs
from test_claims import COLUMNS, make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_drop_fence import NAME, pair  # noqa: F401

ONE_SOURCE = "?source=hospital_a"


@pytest.fixture
def desk(make_claims):  # noqa: F811
    """A running daemon that has had its first run."""
    claims = make_claims()
    claims.daemon.make_token()
    claims.daemon.start()
    jobs.until(lambda: claims.rows("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NOT NULL")[0][0], what="the first run")
    yield claims
    claims.daemon.stop()


def member(*arguments, **options):
    return dict(zip(COLUMNS, row(*arguments, **options)))


def check(claims, answer, schema="Posted"):
    """It is what the contract says."""
    document = claims.daemon.get("/openapi.json", token=None)[2]
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]}).validate(answer)


def post(claims, rows, query=ONE_SOURCE, key=None, **options):
    headers = {"Idempotency-Key": key} if key else {}
    headers.update(options.pop("headers", {}))
    return claims.daemon.post(f"/v1/claims{query}", rows, headers=headers, **options)


def outcomes(answer):
    return [item["outcome"] for item in answer["rows"]]


def test_every_row_is_answered_with_what_became_of_it(desk):
    status, headers, answer = post(desk, [member("C1"), member("C2", amount="ten"), member("C3", status="Denied"), member("")])
    assert status == 200, answer
    assert outcomes(answer) == ["new", "quarantined", "new", "quarantined"]
    assert answer["rows"][1]["rule"] == "amount_unreadable" and "ten" not in answer["rows"][1]["reason"]
    assert [answer[f"rows_{name}"] for name in ("read", "new", "corrected", "same", "quarantined")] == [4, 2, 0, 0, 2]
    check(desk, answer)
    assert headers["Location"] == f"/v1/files/{answer['file']}"
    entry = desk.daemon.get(headers["Location"])[2]
    check(desk, entry, "File")
    assert (entry["state"], entry["rows_read"], entry["rows_new"], entry["rows_quarantined"]) == ("done", 4, 2, 2)
    assert entry["period"] == answer["period"] and entry["source_system"] == "hospital_a"
    status, _, answer = post(desk, [member("C1"), member("C1", "2024-04-01", "Paid", "80.00"), member("C2", amount="ten"),
                                    member("C3", status="Denied", payer="Aetna")])
    assert outcomes(answer) == ["same", "corrected", "quarantined", "corrected"]
    assert answer["rows"][2]["rule"] == "amount_unreadable"
    assert desk.claims() == [("hospital_a", "C1", 1, False, "Pending", "0.00", "MEDICARE"),
                             ("hospital_a", "C1", 2, True, "Paid", "80.00", "MEDICARE"),
                             ("hospital_a", "C3", 1, True, "Denied", "0.00", "AETNA")]


def test_rows_and_the_same_rows_of_a_file_are_the_same_claims(desk, make_claims):  # noqa: F811
    rows = [row(f"C{number}", status="Denied", amount=f"{number}.25", patient="Zoë") for number in range(50)]
    other = make_claims()
    other.put("hospital1_2024-03.csv", text(rows))
    other.once()
    lines = "\n\n".join(json.dumps(dict(zip(COLUMNS, fields)), ensure_ascii=False) for fields in rows).encode() + b"\r\n"
    status, _, answer = post(desk, lines, headers={"Content-Type": "application/x-ndjson; charset=utf-8"})
    assert (status, outcomes(answer)) == (200, ["new"] * 50)
    hashes = "SELECT source_claim_id, iteration, is_final, encode(record_hash, 'hex'), source_payer_id FROM silver.claims ORDER BY 1, 2"
    assert desk.rows(hashes) == other.rows(hashes)


def test_a_post_is_in_the_figures_after_the_next_settle(desk):
    def denial():
        items = desk.daemon.get("/v1/kpis/denial_rate?by=source_system&as_of=2024-12-31")[2]["items"]
        return {(item["source_system"], float(item["numerator"]), float(item["denominator"])) for item in items}
    jobs.run_job(desk.daemon, "settle")
    assert post(desk, [member("C1", status="Denied"), member("C2", status="Paid", paid="84.00")])[0] == 200
    jobs.until(lambda: ("hospital_a", 1, 2) in denial(), 20, "the denial in the figures")
    unsettled = "SELECT count(*) FROM ops.batch WHERE settled_by IS NULL"
    jobs.until(lambda: desk.rows(unsettled) == [(0,)], 20, "settle, which nothing but the post called")


def test_a_post_is_in_bigquery_at_the_next_publication_which_may_be_seconds_away(loaded):
    """Nobody asks for a settle or a publication."""
    loaded.configure(lambda text: jobs.rarely(text.rpartition("bigquery:")[0]) + "bigquery:"
                     + text.rpartition("bigquery:")[2].replace("every: 1m", "every: 1s"))
    loaded.daemon.make_token()
    loaded.daemon.start()
    try:
        jobs.await_quiet(loaded.daemon)
        row_of_it = {"ClaimID": "POSTED-1", "ClaimStatus": "Denied", "ClaimAmount": "17.25", "PaidAmount": "0", "ServiceDate": "2024-02-02",
                     "ClaimDate": "2024-02-03"}
        status, _, answer = loaded.daemon.post("/v1/claims?source=hospital_a", [row_of_it])
        assert status == 200 and outcomes(answer) == ["new"], answer
        key = loaded.value("SELECT claim_key FROM silver.claims WHERE source_claim_id = 'POSTED-1'")
        found = jobs.until(lambda: list(loaded.warehouse.rows(
            f"SELECT claim_status, CAST(claim_amount AS STRING) AS amount FROM `healthcare_rcm.fact_claims` WHERE claim_key = {key}")),
            60, "the claim in BigQuery")
        assert [(item["claim_status"], float(item["amount"])) for item in found] == [("Denied", 17.25)]
    finally:
        loaded.daemon.stop()


NOT_TAKEN = [
    ([member("C1"), {**member("C2"), "ClaimAmount": 1.5}], "#/1/ClaimAmount", "fraction"),
    ([member("C1"), {**member("C2"), "PaidAmount": [1]}], "#/1/PaidAmount", "null is expected"),
    ([{**member("C2"), "Claim/Amount~": "1"}], "#/0/Claim~1Amount~0", "no such member"),
    ([member("C1"), "C2"], "#/1", "JSON object"),
    ({"ClaimID": "C1"}, "#", "array"),
    ([], "#", "no row"),
    (b"[{]", "#", "not JSON"),
    (b'[{"ClaimID": "C1", "ClaimID": "C2"}]', "#", "not JSON"),
    (b'[{"ClaimID": "\xff"}]', "#", "not JSON"),
]


@pytest.mark.parametrize("body,pointer,word", NOT_TAKEN, ids=[str(number) for number in range(len(NOT_TAKEN))])
def test_what_is_no_row_is_refused_whole_with_its_place(desk, body, pointer, word):
    status, headers, answer = post(desk, body)
    assert (status, headers.get_content_type()) == (400, "application/problem+json")
    assert [error["pointer"] for error in answer["errors"]] == [pointer] and word in answer["errors"][0]["detail"]
    assert desk.claims() == [] and desk.rows("SELECT count(*) FROM ops.file") == [(0,)]


def test_who_may_post_and_how_much(desk):
    assert post(desk, [member("C1")], query="")[2]["errors"][0]["pointer"] == "?source"
    assert post(desk, [member("C1")], query="?source=nobody")[2]["errors"][0]["pointer"] == "?source"
    assert post(desk, [member("C1")], query=ONE_SOURCE + "&feed=claims.none")[2]["errors"][0]["pointer"] == "?feed"
    assert post(desk, b"ClaimID\nC1\n", headers={"Content-Type": "text/csv"})[0] == 415
    assert post(desk, b"{}\n" * 10001, headers={"Content-Type": "application/x-ndjson"})[0] == 413
    lines = (json.dumps(member("C1")) + "\n{]\n").encode()
    answer = post(desk, lines, headers={"Content-Type": "application/x-ndjson"})[2]
    assert answer["errors"][0]["pointer"] == "#/1" and "line 2" in answer["errors"][0]["detail"]
    own = desk.daemon.token
    desk.daemon.make_token("reader", "read,phi")
    desk.daemon.token, reader = own, desk.daemon.token
    jobs.until(lambda: desk.daemon.get("/v1/status", token=reader)[0] == 200, what="the new token")
    assert post(desk, [member("C1")], token=reader)[0] == 403
    assert desk.daemon.post("/v1/jobs/claims.monthly/pause")[0] == 200
    assert post(desk, [member("C1")])[0] == 409
    assert desk.claims() == []


def test_the_same_key_gets_the_same_answer_also_from_another_daemon_process(desk):
    first = post(desk, [member("C1")], key="one")
    assert first[0] == 200
    assert post(desk, [member("C1", status="Denied", modified="")])[0] == 200
    again = post(desk, [member("C1")], key="one")
    assert (again[0], again[2], again[1]["Idempotency-Replayed"]) == (200, first[2], "true")
    assert post(desk, [member("C2")], key="one")[0] == 422
    assert post(desk, [member("C1")], query="?source=hospital_b", key="one")[0] == 422
    for rows, query in (([member("C2")], ONE_SOURCE), ([member("C1")], "?source=hospital_b")):
        desk.daemon.stop()  # what a process remembers itself would answer for the store
        desk.daemon.start()
        assert post(desk, rows, query=query, key="one")[0] == 422
    desk.daemon.stop()
    desk.daemon.start()
    again = post(desk, [member("C1")], key="one")
    assert (again[0], again[2], again[1]["Idempotency-Replayed"]) == (200, first[2], "true")
    assert desk.rows("SELECT count(*) FROM ops.file") == [(2,)]


def test_a_client_that_left_before_the_answer_asks_again_and_has_it(desk):
    """What waits for the feed's lock meanwhile goes on without its client, and ends its key."""
    assert post(desk, [member("C1")])[0] == 200
    with contextlib.closing(desk.store.connect(desk.database)) as link:
        link.autocommit = False
        with link.cursor() as cursor:
            cursor.execute("SELECT FROM ops.cursor WHERE feed = 'claims.monthly' FOR UPDATE")
        with pytest.raises(OSError):
            post(desk, [member("C2")], key="one", timeout=1)
        assert post(desk, [member("C2")], key="one")[0] == 409  # under way still
        link.rollback()
    status, headers, answer = jobs.until(lambda: next((asked for asked in [post(desk, [member("C2")], key="one")] if asked[0] != 409), None))
    assert (status, headers["Idempotency-Replayed"], outcomes(answer)) == (200, "true", ["new"])
    assert desk.rows("SELECT count(*) FROM ops.file") == [(2,)]
    posts = "SELECT count(*) FROM ops.audit WHERE action = 'POST /v1/claims' AND outcome = 'done'"
    jobs.until(lambda: desk.rows(posts)[0][0] == 3, what="an audit line of the one that nobody heard")


@pytest.mark.nightly
def test_an_answer_that_was_given_up_ends_its_key(desk):
    """Two posts take the API's workers until PostgreSQL's limit of 25 s; the third begins then and is given up at 30 s."""
    assert post(desk, [member("C0")])[0] == 200
    statuses = {}

    def ask(key):
        statuses[key] = post(desk, [member(key)], key=key)[0]
    with contextlib.closing(desk.store.connect(desk.database)) as link:
        link.autocommit = False
        with link.cursor() as cursor:
            cursor.execute("SELECT FROM ops.cursor WHERE feed = 'claims.monthly' FOR UPDATE")
        threads = [threading.Thread(target=ask, args=(key,)) for key in ("C1", "C2", "C3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        link.rollback()
    assert statuses == {"C1": 503, "C2": 503, "C3": 503}
    for key in ("C1", "C2", "C3"):
        jobs.until(lambda key=key: post(desk, [member(key)], key=key)[0] == 200, what=f"the key {key} to end")
    assert [claim[1:3] for claim in desk.claims()] == [("C0", 1), ("C1", 1), ("C2", 1), ("C3", 1)]


@pytest.mark.parametrize("key", ["one", None], ids=["with_a_key", "without"])
@pytest.mark.parametrize("failpoint", ["post.before_commit", "post.after_commit"])
def test_killed_before_the_answer_and_sent_again_nothing_is_there_twice(desk, failpoint, key):
    assert post(desk, [member("C1", modified=""), member("C3")])[0] == 200
    desk.daemon.stop()
    desk.daemon.extra["REVCYCLED_FAILPOINT"] = failpoint
    desk.daemon.start()
    rows = [member("C1", status="Paid", paid="84.00", modified=""), member("C2"), member("C4", amount="ten")]
    with pytest.raises((OSError, urllib.error.URLError)):
        post(desk, rows, key=key)
    assert desk.daemon.child.wait(20) == -signal.SIGKILL
    del desk.daemon.extra["REVCYCLED_FAILPOINT"]
    desk.daemon.start()
    status, _, answer = post(desk, rows, key=key)
    assert status == 200
    is_new = failpoint == "post.before_commit" or key
    assert outcomes(answer) == (["corrected", "new", "quarantined"] if is_new else ["same", "same", "quarantined"])
    assert [claim[1:5] for claim in desk.claims()] == [("C1", 1, False, "Pending"), ("C1", 2, True, "Paid"), ("C2", 1, True, "Pending"),
                                                       ("C3", 1, True, "Pending")]
    assert desk.rows("SELECT count(*) FROM dq.quarantine WHERE state = 'open'") == [(1,)]


def send_in_vain(claims):
    with contextlib.suppress(OSError):
        post(claims, [member("C1")])


def test_locks_of_one_that_is_stopped_in_a_post_go_with_its_leases(pair):  # noqa: F811
    """The cursor's row and the placement lock, in a session of the API's."""
    claims = pair.claims
    pair.first.extra["REVCYCLED_FAILPOINT"] = "post.before_commit:stop"
    pair.first.start()
    jobs.until(lambda: claims.rows("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NOT NULL")[0][0], what="the first run")
    sender = threading.Thread(target=send_in_vain, args=(claims,))
    sender.start()
    jobs.until(pair.first.is_stopped, what="it stands still")
    pair.take_over()
    claims.put(NAME, text([row("C2")]))
    jobs.until(lambda: claims.rows("SELECT source_claim_id FROM silver.claims") == [("C2",)], 60, "the second places a file")
    pair.second.stop()
    pair.first.kill()
    sender.join()


def not_busy(status):
    """409 until a daemon that got no processor has renewed its lease."""
    return status != 409 and status


def test_posts_beside_a_file_that_is_read_neither_wait_for_it_nor_drop_its_pages(make_claims):  # noqa: F811
    claims = make_claims(page_rows=20)
    claims.daemon.make_token()
    claims.daemon.start()
    try:
        jobs.until(lambda: claims.rows("SELECT count(*) FROM ops.feed_mapping WHERE remapped_at IS NOT NULL")[0][0])
        claims.put("hospital1_2024-03.csv", text([row(f"F{number}") for number in range(4000)]))
        statuses = []

        def keep_posting(thread):
            for number in range(25):
                rows = [member(f"P{thread}_{number}"), member(f"F{number * 100}", status="Denied", modified="")]
                statuses.append(jobs.until(lambda: not_busy(post(claims, rows)[0])))
        threads = [threading.Thread(target=keep_posting, args=(thread,)) for thread in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 50
        jobs.until(lambda: (claims.file("hospital1_2024-03.csv") or {}).get("state") == "done", 60, "the file")
        assert claims.rows("SELECT count(*) FROM silver.claims WHERE source_claim_id LIKE 'P%' OR is_final") == [(4050,)]
        assert claims.rows("SELECT count(*) FROM ops.run WHERE job = 'claims.monthly' AND state = 'failed'") == [(0,)]
        assert claims.file("hospital1_2024-03.csv")["rows_read"] == 4000
    finally:
        claims.daemon.stop()
