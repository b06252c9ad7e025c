"""What holds a publication until a person looks: sides that differ, another database, another profile.

Silver's rows are made here, settled by hand, as in test_publish.py.
"""
import signal

import pytest

from harness.proxy import Fault
from harness.publishing import a_day_later, fill


def test_a_difference_holds_the_next_publication_until_a_rebuild(publishing):
    fill(publishing)
    assert publishing.run(failpoint="publish.before_outcome").returncode == -signal.SIGKILL
    list(publishing.bigquery.rows("DELETE FROM "
                                  f"`{publishing.project}.healthcare_rcm.fact_transactions` WHERE TRUE"))
    assert publishing.run().returncode == 3
    publishing.new_batch()
    publishing.transaction(9, "2024-01-01")
    assert publishing.run().returncode == 3
    assert publishing.states() == ["applied", "held"]
    assert publishing.sql("SELECT count(*) FROM ops.alert WHERE cleared_at IS NULL")[0][0] == 1
    publishing.publish("limited", "rebuild")
    assert [row[0] for row in publishing.facts()] == [1, 2, 3, 9]
    assert publishing.states()[-1] == "succeeded"
    assert publishing.sql("SELECT count(*) FROM ops.alert WHERE cleared_at IS NULL")[0][0] == 0


def comparisons(publishing):
    return publishing.sql("SELECT differences, details FROM ops.reconciliation ORDER BY reconciliation_id")


def test_once_a_day_all_partitions_are_compared_with_one_query_per_table(publishing):
    fill(publishing)
    publishing.transaction(4, None)
    publishing.publish()
    publishing.publish()
    assert comparisons(publishing) == []
    a_day_later(publishing)
    before = len(publishing.proxy.requests)
    publishing.publish()
    asked = [path for method, path, _ in publishing.proxy.requests[before:] if path.endswith("/queries")]
    assert len(asked) == 12 + 1  # and the newest publication
    (differences, tables), = comparisons(publishing)
    assert differences == 0 and len(tables) == 12
    facts = tables["fact_transactions"]
    assert facts["partitions"] == 4 and facts["differing"] == [] and facts["expected"] == facts["found"]
    assert facts["expected"]["rows"] == 4 and facts["expected"]["amount"] == 1675
    assert tables["dim_patients"]["expected"]["rows"] == 1  # the unknown member
    before = len(publishing.proxy.requests)
    publishing.publish()
    assert len(publishing.proxy.requests) == before
    assert publishing.states() == ["succeeded"]


def test_a_comparison_in_the_run_of_a_publication_sees_what_it_sent(publishing):
    fill(publishing)
    publishing.publish()
    a_day_later(publishing)
    publishing.move(1, "2024-02-15", "2023-11-01", amount="9.99")
    publishing.publish()
    assert publishing.states() == ["succeeded"] * 2
    assert [row[0] for row in comparisons(publishing)] == [0]


def test_a_difference_in_a_partition_that_nobody_touched_holds_the_next_publication(publishing):
    """The totals agree: a row stands in another month."""
    fill(publishing)
    publishing.publish()
    list(publishing.bigquery.rows(f"UPDATE `{publishing.project}.healthcare_rcm.fact_transactions` "
                                  "SET service_date = DATE '2022-07-01' WHERE transaction_key = 1"))
    publishing.new_batch()
    publishing.transaction(3, "2024-04-15", amount="4.00")
    publishing.publish()
    a_day_later(publishing)
    done = publishing.run()
    assert done.returncode == 3 and "fact_transactions of 2022-07 and 1 more" in done.stderr
    (differences, tables), = comparisons(publishing)
    assert differences == 2
    assert [part["month"] for part in tables["fact_transactions"]["differing"]] == [202207, 202402]
    alerts = "SELECT count(*) FROM ops.alert WHERE cleared_at IS NULL"
    assert publishing.sql(alerts) == [(1,)]
    publishing.new_batch()
    publishing.transaction(9, "2024-01-01")
    assert publishing.run().returncode == 3
    assert publishing.states() == ["succeeded", "succeeded", "held"]
    publishing.publish("limited", "rebuild")
    assert publishing.facts()[0] == (1, "2024-02-15", 1.25)
    assert publishing.sql(alerts) == [(0,)]
    publishing.new_batch()
    publishing.transaction(9, "2024-01-02")
    publishing.publish()
    assert publishing.states()[-1] == "succeeded"


def test_a_difference_that_was_mended_in_bigquery_is_seen_a_day_later(publishing):
    fill(publishing)
    publishing.publish()
    table = f"`{publishing.project}.healthcare_rcm.fact_transactions`"
    list(publishing.bigquery.rows(f"UPDATE {table} SET amount = 7 WHERE transaction_key = 1"))
    a_day_later(publishing)
    assert publishing.run().returncode == 3
    assert publishing.run().returncode == 0  # nothing to publish, nothing to hold
    list(publishing.bigquery.rows(f"UPDATE {table} SET amount = 1.25 WHERE transaction_key = 1"))
    a_day_later(publishing)
    publishing.publish()
    assert [row[0] for row in comparisons(publishing)] == [1, 0]
    assert publishing.sql("SELECT count(*) FROM ops.alert WHERE cleared_at IS NULL") == [(0,)]


def test_a_comparison_that_broke_off_is_made_by_the_next_run(publishing):
    fill(publishing)
    publishing.publish()
    a_day_later(publishing)
    publishing.proxy.fail(Fault("503", path="/queries", body="EXTRACT.*fact_transactions", times=6))
    assert publishing.run().returncode == 1
    assert comparisons(publishing) == []
    publishing.publish()
    assert [row[0] for row in comparisons(publishing)] == [0]


def test_another_epoch_is_held(publishing, postgres):
    """A restored database: its surrogates may name other people now."""
    fill(publishing)
    publishing.publish()
    publishing.sql("UPDATE ops.database SET epoch = gen_random_uuid()")
    publishing.new_batch()
    publishing.transaction(1, "2024-02-15", amount="99.00")
    done = publishing.run()
    assert done.returncode == 3
    assert "rebuild" in done.stderr
    assert publishing.facts()[0] == (1, "2024-02-15", 1.25)
    publishing.publish("limited", "rebuild")
    assert publishing.facts()[0] == (1, "2024-02-15", 99.0)


def draw(publishing, sequence, n=1):
    """Blocks of keys, as pages take them; the first number of the last one."""
    return publishing.sql(f"SELECT max(nextval('silver.{sequence}')) FROM generate_series(1, {n})")[0][0]


def positions(publishing):
    return dict(publishing.sql("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'silver' "
                               "AND last_value IS NOT NULL"))


def lost_a_day(publishing):
    """Published, backed up, published more, and then only the backup is left."""
    fill(publishing)
    draw(publishing, "patient_key_seq", 2)
    publishing.publish()
    backup = publishing.backup()
    for _ in range(2):
        publishing.new_batch()
        publishing.transaction(draw(publishing, "transaction_key_seq", 3), "2024-05-01")
        seen = draw(publishing, "patient_key_seq", 2)
        publishing.publish()
    published = positions(publishing)
    assert published == {"patient_key_seq": seen, "transaction_key_seq": 50001}
    publishing.restore(backup)
    assert positions(publishing) == {"patient_key_seq": 10001}
    return published


def test_a_restored_database_draws_no_key_that_bigquery_has_seen(publishing):
    published = lost_a_day(publishing)
    claims = draw(publishing, "claim_key_seq", 7)
    publishing.publish("limited", "rebuild")
    assert positions(publishing) == {**published, "claim_key_seq": claims}
    assert draw(publishing, "patient_key_seq") == published["patient_key_seq"] + 10000
    assert [row[0] for row in publishing.facts()] == [1, 2, 3]
    assert publishing.states()[-1] == "succeeded"


def test_keys_start_above_as_soon_as_the_restore_is_found(publishing):
    """Pages go on while publishing is held: what they draw must be new already."""
    published = lost_a_day(publishing)
    publishing.new_batch()
    publishing.transaction(4, "2024-06-01")
    assert publishing.run().returncode == 3
    assert positions(publishing) == published
    assert publishing.run().returncode == 3
    assert positions(publishing) == published


def test_a_restored_database_is_another_one_from_its_rebuild_on(publishing):
    original = publishing.database
    lost_a_day(publishing)
    publishing.publish("limited", "rebuild")
    newest = publishing.bigquery.value(f"SELECT epoch FROM `{publishing.project}.healthcare_rcm._publications` "
                                       "ORDER BY publication_id DESC LIMIT 1")
    assert newest == publishing.sql("SELECT epoch::text FROM ops.database")[0][0]
    publishing.publish("limited", "rebuild")
    assert newest == publishing.sql("SELECT epoch::text FROM ops.database")[0][0]
    publishing.restore(original)
    assert newest != publishing.sql("SELECT epoch::text FROM ops.database")[0][0]
    publishing.new_batch()
    publishing.transaction(5, "2024-06-01")
    assert publishing.run().returncode == 3
    assert [row[0] for row in publishing.facts()] == [1, 2, 3]


def test_a_restored_database_does_not_meet_the_jobs_of_the_lost_one(publishing):
    """Both gave the number 2. BigQuery knows the first one's load jobs, and has their rows in staging."""
    fill(publishing)
    publishing.publish()
    backup = publishing.backup()
    publishing.new_batch()
    publishing.transaction(1, "2024-02-15", amount="666.00")
    assert publishing.run(failpoint="publish.after_stage").returncode == -signal.SIGKILL
    publishing.restore(backup)
    publishing.new_batch()
    publishing.transaction(2, "2024-03-15", amount="7.00")
    publishing.publish()
    assert publishing.states() == ["succeeded"] * 2
    assert publishing.facts() == [(1, "2024-02-15", 1.25), (2, "2024-03-15", 7.0), (3, "2024-04-15", 3.25)]


def test_what_was_staged_before_a_restore_is_not_applied_over_what_came_after(publishing):
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    publishing.transaction(1, "2024-02-15", amount="2.00")
    assert publishing.run(failpoint="publish.after_stage").returncode == -signal.SIGKILL
    backup = publishing.backup()
    publishing.new_batch()
    publishing.transaction(1, "2024-02-15", amount="3.00")
    publishing.publish("limited", "rebuild")
    publishing.restore(backup)
    assert publishing.run().returncode == 3
    assert publishing.facts()[0] == (1, "2024-02-15", 3.0)
    assert publishing.states() == ["succeeded", "staged", "held"]


def test_a_position_that_no_database_reaches_is_refused(publishing):
    """One row in BigQuery must not use up the keys of years."""
    fill(publishing)
    draw(publishing, "patient_key_seq")
    publishing.publish()
    list(publishing.bigquery.rows(f"UPDATE `{publishing.project}.healthcare_rcm._publications` SET sequences = "
                                  "[STRUCT('patient_key_seq' AS name, 9223372036854775807 AS position), "
                                  "STRUCT('batch_id_seq' AS name, 5000 AS position)] WHERE TRUE"))
    done = publishing.run("limited", "rebuild")
    assert done.returncode == 1 and "patient_key_seq" in done.stderr
    assert positions(publishing) == {"patient_key_seq": 1}


def test_the_daemon_may_raise_keys_and_begin_an_epoch_and_no_more(publishing):
    link = publishing.postgres.connect(publishing.database, "revcycled")
    link.autocommit = True
    for statement in ("SELECT setval('silver.patient_key_seq', 5)", "ALTER SEQUENCE silver.patient_key_seq RESTART",
                      "UPDATE ops.database SET epoch = gen_random_uuid()"):
        with link.cursor() as cursor, pytest.raises(Exception, match="permission denied|must be owner"):
            cursor.execute(statement)
    with link.cursor() as cursor:
        cursor.execute("SELECT ops.begin_epoch()")
        assert cursor.fetchone()[0] == publishing.sql("SELECT epoch::text FROM ops.database")[0][0]
    link.close()


def test_another_profile_is_held_until_a_rebuild(publishing):
    fill(publishing)
    publishing.publish()
    publishing.new_batch()
    publishing.transaction(5, "2024-02-15")
    assert publishing.run("full").returncode == 3
    publishing.publish("full", "rebuild")
    table = publishing.bigquery.table("fact_transactions")
    assert table["labels"]["profile"] == "full"
    assert "source_transaction_id" in [field["name"] for field in table["schema"]["fields"]]
    assert publishing.sql("SELECT count(*) FROM ops.audit WHERE action = 'publication.disclose'")[0][0] == 1


@pytest.mark.parametrize("failpoint", ["publish.after_claim", "publish.during_stage"])
def test_a_rebuild_that_was_killed_is_still_one_afterwards(publishing, failpoint):
    """It had dropped tables: an ordinary publication would send what changed, into empty ones."""
    fill(publishing)
    publishing.publish()
    assert publishing.run("full", "rebuild", failpoint=failpoint).returncode == -signal.SIGKILL
    publishing.publish("full")
    assert [row[0] for row in publishing.facts()] == [1, 2, 3]
    assert publishing.states() == ["succeeded", "abandoned", "succeeded"]
    before = len(publishing.proxy.requests)
    publishing.publish("full")
    assert len(publishing.proxy.requests) == before
