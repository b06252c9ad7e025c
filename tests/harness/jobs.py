"""What a person does with a running daemon: start a job and await its end, wait until all is quiet."""
import re
import time

FINAL = ("succeeded", "failed", "canceled", "held")


def until(condition, seconds=30, what=None):
    """Asks until the answer is true, and returns it; an AssertionError when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition.__name__}"
        time.sleep(0.02)


def rarely(text):
    """A configuration in which jobs run once at the start, and then when asked."""
    return re.sub(r"every: \S+", "every: 12h", text)


def small_pages(text):
    """Many pages, so that there is a middle to be disturbed in."""
    return text.replace("        every: ", "        page_rows: 20\n        every: ")


def jobs(daemon):
    status, _, answer = daemon.get("/v1/jobs")
    assert status == 200, answer
    return {job["name"]: job for job in answer["items"]}


def await_run(daemon, run, seconds=60):
    """The run when it has ended; the daemon answers at its end, or after its longest wait."""
    deadline = time.monotonic() + seconds
    while True:
        status, _, answer = daemon.get(f"/v1/runs/{run}?wait=10")
        assert status == 200, answer
        if answer["state"] in FINAL:
            return answer
        assert time.monotonic() < deadline, f"run {run} of {answer['job']} is {answer['state']}"


def run_job(daemon, job, **body):
    """Starts the job, after a run that is under way, and awaits the end."""
    while True:
        status, headers, answer = daemon.post(f"/v1/jobs/{job}/runs", body)
        if status == 202:
            return await_run(daemon, headers["Location"].rsplit("/", 1)[1])
        assert status == 409, answer
        while daemon.get(f"/v1/runs/{answer['run']}?wait=10")[2].get("state", "gone") not in (*FINAL, "gone"):
            pass  # a scheduled one that found nothing leaves no trace


def is_at_rest(job):
    """Neither under way nor before its first turn; a reconcile's may have been before this daemon began."""
    if job["state"] in ("queued", "running", "waiting"):
        return False
    if job["kind"] == "settle" and job["next_due_at"]:
        return False  # woken, it waits a second for more batches
    rests = job["kind"] == "reconcile" and (job["next_due_at"] or job["state"] == "held")
    return bool(rests or job["last_success_at"] or job["last_run"])


def await_quiet(daemon, seconds=60):
    """Until every job has run and none runs: the jobs as they are then. A run that found nothing
    leaves no trace but its time."""
    def waiting():
        return [name for name, job in jobs(daemon).items() if name not in ("kpi", "quality") and not is_at_rest(job)]
    deadline = time.monotonic() + seconds
    while waiting():
        assert time.monotonic() < deadline, f"not within {seconds} s: {waiting()}"
        time.sleep(0.05)
    return jobs(daemon)
