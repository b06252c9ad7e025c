"""The proxy in front of the emulator: strict where the service is, and faulty on demand."""
import json
import urllib.error
import urllib.request

import pytest

from harness.proxy import Fault, Proxy


@pytest.fixture
def proxy(emulator):
    with Proxy(emulator.port) as proxy:
        yield proxy


def ask(proxy, job=None, query="SELECT 1 AS one"):
    body = {"query": query, "useLegacySql": False}
    path = "/queries"
    if job:
        body = {"jobReference": {"projectId": "p", "jobId": job}, "configuration": {"query": body}}
        path = "/jobs"
    request = urllib.request.Request(f"{proxy.endpoint}/bigquery/v2/projects/p{path}", method="POST",
                                     data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_query_passes_through(proxy):
    assert ask(proxy)["rows"] == [{"f": [{"v": "1"}]}]


def test_a_job_id_used_twice_is_refused(proxy):
    ask(proxy, job="once")
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(proxy, job="once")
    assert refused.value.code == 409


def test_a_fault_happens_as_often_as_it_was_told(proxy):
    proxy.fail(Fault("503", path="/queries", times=2))
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(proxy)
        assert refused.value.code == 503
    assert ask(proxy)["rows"]
    assert not proxy.pending()


def test_a_connection_cut_after_the_act_loses_the_answer_and_not_the_act(proxy):
    proxy.fail(Fault("cut_after", path="/jobs"))
    with pytest.raises((ConnectionError, urllib.error.URLError)):
        ask(proxy, job="lost")
    with urllib.request.urlopen(f"{proxy.endpoint}/bigquery/v2/projects/p/jobs/lost", timeout=30) as answer:
        assert json.load(answer)["status"]["state"] == "DONE"
