"""Two daemons on one drop directory: one is stopped right before a move, the other takes its jobs and goes on with its files.
What the first does when it wakes must move nothing of the other's: no lock of the database tells it in time.
"""
import os
import signal

import pytest

from harness import jobs
from harness.daemon import Daemon
from test_claims import make_claims, row, text  # noqa: F401  (a fixture and what it makes)

NAME = "hospital1_2024-03.csv"
LATE_S = 30  # beyond the lease of 3 s, on a busy machine


class Pair:
    """The claims' own daemon, `first`, and a `second` with the same directory and database."""

    def __init__(self, claims):  # noqa: F811
        self.claims, self.first = claims, claims.daemon
        with open(self.first.config, encoding="utf-8") as file:
            plain = file.read().replace("store: { dsn", "store: { lease: 3s, dsn")
        with open(self.first.config, "w", encoding="utf-8") as file:
            file.write(plain)
        config = os.path.join(os.path.dirname(self.first.config), "second.yaml")
        self.second = Daemon(self.first.directory + "_second", self.first.binary, config)
        port = self.first.port
        with open(config, "w", encoding="utf-8") as file:
            file.write(plain.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.second.choose_port()}"))
        self.second.token = self.first.make_token()

    def take_over(self, failpoint=None):
        """The first stands still; the second has its lease."""
        self.second.extra = {"REVCYCLED_FAILPOINT": failpoint} if failpoint else {}
        self.second._spawn()
        jobs.until(lambda: self.claims.rows("SELECT count(*) FROM ops.job WHERE owner LIKE '%second.yaml' AND name = 'claims.monthly'")
                   == [(1,)], LATE_S, "the second has the job")

    def await_loss(self):
        """It reads the tokens anew first: until then it answers nobody."""
        def is_lost():
            status, _, answer = self.first.get("/v1/jobs")
            return status == 200 and [job["state"] for job in answer["items"] if job["name"] == "claims.monthly"] == ["elsewhere"]
        jobs.until(is_lost, LATE_S, "the first knows of its loss")


@pytest.fixture
def pair(make_claims):  # noqa: F811
    both = Pair(make_claims())
    yield both
    for daemon in (both.first, both.second):
        if daemon.pid():
            daemon.kill()


def path(claims, *parts):  # noqa: F811
    return os.path.join(claims.drop, *parts)


def content_of(claims, *parts):  # noqa: F811
    with open(path(claims, *parts), encoding="utf-8") as file:
        return file.read()


def test_who_wakes_before_the_move_of_a_file_that_ended_moves_no_other_of_its_name(pair):
    claims, first, second = pair.claims, text([row("C1")]), text([row("C2")])
    claims.put(NAME, first)
    pair.first.start_until("receive.before_move")
    assert claims.listed("receiving") == [NAME] and claims.file(NAME)["state"] == "done"
    pair.take_over("receive.after_page:stop")
    jobs.until(lambda: NAME in claims.listed("done") and claims.listed("receiving") == [], LATE_S, "the second moves it")
    os.rename(path(claims, "done", NAME), path(claims, "..", "archived"))  # the name is free again
    claims.put(NAME, second)
    jobs.until(pair.second.is_stopped, LATE_S, "the second reads another of its name")
    pair.first.go_on()
    pair.await_loss()
    assert content_of(claims, "receiving", NAME) == second and NAME not in claims.listed("done") + os.listdir(claims.drop)
    pair.second.go_on()
    jobs.until(lambda: claims.listed("receiving") == [], LATE_S, "its end")
    assert content_of(claims, "done", NAME) == second and content_of(claims, "..", "archived") == first
    assert claims.rows("SELECT state, rows_read FROM ops.file ORDER BY file_id") == [("done", 1), ("done", 1)]


def test_who_wakes_before_a_file_is_put_back_leaves_it_where_the_other_has_put_it(pair):
    claims = pair.claims
    claims.put(NAME, text([row("C1")]))
    claims.once()
    claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
    pair.first.start_until("receive.before_fetch_back")
    pair.take_over()
    again = "SELECT state, readings, replay_asked_at IS NULL FROM ops.file"
    jobs.until(lambda: claims.rows(again) == [("done", 1, True)] and NAME in claims.listed("done"), LATE_S, "the second reads it anew")
    pair.first.go_on()
    pair.await_loss()
    assert NAME in claims.listed("done") and NAME not in os.listdir(claims.drop) and claims.listed("receiving") == []
    assert claims.rows(again) == [("done", 1, True)]


def test_who_lost_the_lease_puts_no_file_back(pair):
    """Its sessions live on, and it is asked for two: the second comes after the loss."""
    claims = pair.claims
    names = [NAME, "hospital1_2024-04.csv"]
    for name, number in zip(names, ("C1", "C2")):
        claims.put(name, text([row(number)]))
        claims.once()
    claims.store.execute("UPDATE ops.file SET replay_asked_at = now()", claims.database)
    claims.daemon.extra["REVCYCLED_FAILPOINT"] = "receive.before_fetch_back:stop"
    claims.daemon.begin_once()
    jobs.until(claims.daemon.is_stopped, what="it stands still")
    claims.store.execute("UPDATE ops.job SET epoch = epoch + 1000", claims.database)
    claims.daemon.go_on()
    assert claims.daemon.end_once(timeout=120) not in (0, -signal.SIGKILL)
    assert claims.rows("SELECT name, readings, replay_asked_at IS NULL FROM ops.file ORDER BY file_id") == [
        (names[0], 1, True), (names[1], 0, False)]
    assert names[1] in claims.listed("done")
    del claims.daemon.extra["REVCYCLED_FAILPOINT"]
    claims.once()
    assert claims.rows("SELECT state, readings FROM ops.file ORDER BY file_id") == [("done", 1), ("done", 1)]
