"""A server goes away in the middle; the daemon goes on, and the end is that of an undisturbed run.

A feed that had to be given up for this run arrives later than its facts: that is another order of
deliveries, so the databases' outages are measured as order tests are, the warehouse's as kill tests.
"""
import contextlib
import threading

import pytest

from harness import dump
from harness.proxy import Fault, Proxy


def small_pages(text):
    """Many pages, so that there is a middle to be disturbed in."""
    return text.replace("        every: ", "        page_rows: 20\n        every: ")


def batches(world):
    return world.value("SELECT count(*) FROM ops.batch")


def await_batches(world, number):
    """Until so many pages are placed; the run must not be over by then."""
    while batches(world) < number:
        assert world.daemon.is_alive(), "the run was over before the outage"


def test_postgresql_stopped_and_started_in_the_middle(fresh, loaded_order_dump):
    fresh.configure(edit=small_pages)
    fresh.daemon.begin_once()
    await_batches(fresh, 5)
    fresh.store.kill()
    fresh.store.start()
    code = fresh.daemon.end_once(timeout=120)
    fresh.once()
    assert code in (0, 1)
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


def test_mysql_connections_cut_in_the_middle_of_pages(fresh, loaded_order_dump):
    fresh.configure(edit=small_pages)
    over = threading.Event()

    def cut():
        with contextlib.closing(fresh.mysql.connect()) as link, link.cursor() as cursor:
            while not over.is_set():
                cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'revcycle_ro' "
                               "AND command <> 'Sleep' LIMIT 1")
                for (number,) in cursor.fetchall():
                    with contextlib.suppress(Exception):
                        cursor.execute(f"KILL {number}")
                        cuts.append(number)
                        if len(cuts) >= 3:
                            return

    cuts = []
    thread = threading.Thread(target=cut)
    fresh.daemon.begin_once()
    thread.start()
    try:
        fresh.daemon.end_once(timeout=120)
    finally:
        over.set()
        thread.join()
    assert cuts, "no connection was cut: the test proved nothing"
    fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


@pytest.mark.parametrize("faults", [
    [Fault("503", method="POST", times=2)],
    [Fault("429", method="POST", times=2)],
    [Fault("cut", method="POST", times=2)],
    [Fault("cut_after", method="POST", body="COMMIT TRANSACTION")],
    [Fault("cut_after", path="upload", times=1)],
], ids=["503", "429", "cut", "cut after the commit", "cut after the upload"])
def test_the_warehouse_fails_and_the_end_is_equal(fresh, loaded_dump, faults):
    fresh_faults = [Fault(f.kind, f.path, f.method, f.body, f.times) for f in faults]
    with Proxy(fresh.emulator.port) as proxy:
        fresh.configure(endpoint=proxy.endpoint)
        proxy.fail(*fresh_faults)
        fresh.daemon.once()
        assert not proxy.pending(), "a fault never happened: the test proved nothing"
        fresh.once()
        dump.assert_equal(loaded_dump, fresh.dump())
