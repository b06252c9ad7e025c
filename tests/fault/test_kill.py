"""Killed anywhere, started again: the end is that of an undisturbed run.

Every FAILPOINT() in the sources is one test: a name that no run passes is a failure, not a skip.
"""
import glob
import os
import re
import signal

import pytest

from harness import dump, settings
from harness.world import dump_after


# Passed only when something is asked for that a plain run does not do; a test of its own walks each.
ELSEWHERE = {"hospitals.before_commit": "flow/test_reload.py", "hospitals.after_commit": "flow/test_reload.py",
             "person.after_decision": "component/test_persons.py", "person.before_commit": "component/test_persons.py",
             "reference.after_kept": "flow/test_reference.py", "reference.before_commit": "flow/test_reference.py",
             "reference.after_commit": "flow/test_reference.py",
             "stop.after_approved": "flow/test_stops.py",
             "upload.before_name": "flow/test_sent_files.py", "upload.after_name": "flow/test_sent_files.py",
             "receive.before_put_back": "flow/test_sent_files.py", "receive.before_fetch_back": "flow/test_drop_fence.py",
             "page.after_withdrawn": "flow/test_read_anew.py", "page.early": "flow/test_lane.py", "page.in_turn": "flow/test_lane.py", "receive.after_failed": "flow/test_claims.py",
             "receive.before_give_back": "flow/test_ledger.py",
             "post.before_commit": "flow/test_posted_claims.py", "post.after_commit": "flow/test_posted_claims.py",
             "lineage.after_sent": "flow/test_openlineage.py", "lineage.after_told": "flow/test_openlineage.py",
             "quality.before_commit": "flow/test_rules.py",
             "repair.after_deleted": "flow/test_reconcile.py", "repair.after_delivered": "flow/test_reconcile.py",
             "repair.after_found": "flow/test_reconcile.py",
             "again.before_asked_done": "flow/test_replay.py", "again.before_restate": "flow/test_remap_claims.py", "again.opened": "flow/test_remap_claims.py",
             "extract.before_counter": "flow/test_watermark.py",
             "retention.after_chosen": "flow/test_retention.py", "retention.after_deleted": "flow/test_retention.py",
             "retention.after_ledger": "flow/test_retention.py", "retention.after_month": "flow/test_retention.py",
             "retention.before_commit": "flow/test_retention.py", "retention.after_commit": "flow/test_retention.py",
             "x12.after_note": "flow/test_remittances.py", "x12.after_mend": "flow/test_remittances.py"}


def failpoints():
    """Every place where the sources say a test may kill, and a run passes."""
    names = set()
    for path in glob.glob(os.path.join(settings.ROOT, "**", "*.c"), recursive=True):
        if "/tests/" not in path:
            with open(path, encoding="utf-8") as file:
                names |= set(re.findall(r'FAILPOINT\("([a-z_.]+)"\)', file.read()))
    return sorted(names - ELSEWHERE.keys())


def killed_at(world, name):
    done = world.daemon.once(REVCYCLED_FAILPOINT=name)
    assert done.returncode == -signal.SIGKILL, f"{name} was never passed\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("name", failpoints())
def test_killed_during_the_first_run_and_started_again_the_end_is_equal(fresh, loaded_dump, name):
    killed_at(fresh, name)
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())


@pytest.mark.nightly
@pytest.mark.parametrize("passing", [2, 5])
@pytest.mark.parametrize("name", failpoints())
def test_killed_at_a_later_passing_the_end_is_equal(fresh, loaded_dump, name, passing):
    done = fresh.daemon.once(REVCYCLED_FAILPOINT=f"{name}:{passing}")
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr[-2000:]  # 0: passed less often
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())


def test_killed_again_and_again_the_end_is_equal(fresh, loaded_dump):
    for name in failpoints():
        fresh.daemon.once(REVCYCLED_FAILPOINT=name)
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())


CHANGES = (
    "UPDATE patient_master SET street = '1 New Street' WHERE pat_id LIKE '%7'",
    "UPDATE billing_transaction SET service_date = service_date + INTERVAL 1 MONTH WHERE txn_id LIKE '%3'",
    "UPDATE billing_transaction SET paid_amount = 1 WHERE txn_id LIKE '%5'",
)


def change(world):
    """The hospital changes rows; at one instant, so that two worlds do the same."""
    for statement in CHANGES:
        world.play(f"SET STATEMENT timestamp = 1767000000 FOR {statement}")


@pytest.fixture(scope="module")
def changed_dump(binary, loaded_base, tmp_path_factory):
    """The end of an undisturbed second run after those changes."""
    return dump_after(loaded_base, "changedref", tmp_path_factory.mktemp("changed"), binary, change)


@pytest.mark.nightly
@pytest.mark.parametrize("name", failpoints())
def test_killed_during_a_run_of_changes_the_end_is_equal(loaded, changed_dump, name):
    change(loaded)
    done = loaded.daemon.once(REVCYCLED_FAILPOINT=name)
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr[-2000:]
    loaded.once()
    dump.assert_equal(changed_dump, loaded.dump())
