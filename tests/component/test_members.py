"""What a page's rows name, and what of it is remembered over the pages of a run (storage/member.h)."""
import pytest

from harness.placer import Placer

PAGES = 8  # so long a name that was nobody's is not asked for again (ABSENT_PAGES)


@pytest.fixture
def placer(build, postgres, schema_database):
    made = Placer(build, postgres, schema_database)
    made.feed("t", "a", "transactions", ("source_transaction_id", "source_department_id", "source_provider_id", "amount"))
    made.feed("d", "a", "departments", ("source_department_id", "name"))
    made.feed("p", "a", "providers", ("source_provider_id", "last_name"))
    yield made
    made.stop()


def keys(placer, number):
    """Whether this transaction's department and provider are known."""
    return placer.postgres.ask(placer.database, "SELECT department_key IS NOT NULL, provider_key IS NOT NULL FROM silver.transactions "
                                                f"WHERE source_transaction_id = 'T{number}'")[0]


def name_both(placer, *numbers):
    for number in numbers:
        placer.page("t", [(f"T{number}", "D1", "V1", "10.00")])


def test_who_comes_after_he_was_nobody_is_found_by_settle(placer):
    """Not asked for again meanwhile: that would be two statements a page, for nothing mostly."""
    name_both(placer, 1)
    placer.page("d", [("D1", "Cardiology")])
    placer.page("p", [("V1", "Lee")])
    name_both(placer, 2)
    assert keys(placer, 2) == (False, False)
    placer.settle()
    assert keys(placer, 1) == keys(placer, 2) == (True, True)
    name_both(placer, 3)
    placer.settle()
    assert keys(placer, 3) == (True, True)


def test_names_that_were_nobodys_are_asked_for_again_after_some_pages(placer):
    name_both(placer, 1)
    placer.page("d", [("D1", "Cardiology")])
    placer.page("p", [("V1", "Lee")])
    name_both(placer, *range(2, 2 + PAGES))
    assert keys(placer, PAGES) == (False, False) and keys(placer, PAGES + 1) == (True, True)


def test_a_name_that_was_nobodys_is_another_ones_in_the_same_page(placer):
    """One row's name is remembered as nobody's, the other's is asked for."""
    placer.page("d", [("D2", "Surgery")])
    name_both(placer, 1)
    placer.page("t", [("T2", "D1", "V1", "10.00"), ("T3", "D2", "V1", "10.00")])
    assert (keys(placer, 2), keys(placer, 3)) == ((False, False), (True, False))


WARM = 20_000  # patients that a page of a first load reads ahead (WARM_AT_ONCE of 5,000)


def test_the_patients_of_a_first_load_are_read_some_with_every_page(build, postgres, schema_database):
    """From the second on. Seen by who is taken away behind its back: he is known still when he was remembered, and nobody else is."""
    placer = Placer(build, postgres, schema_database)
    placer.feed("p", "a", "patients", ("source_patient_id", "last_name"))
    placer.page("p", [(f"P{number:05}", "Lee") for number in range(WARM + 2)])
    placer.feed("t", "a", "transactions", ("source_transaction_id", "source_patient_id", "amount"))

    def is_known(transaction, patient):
        placer.page("t", [(transaction, f"P{patient:05}", "10.00")])
        return postgres.ask(schema_database, "SELECT patient_key IS NOT NULL FROM silver.transactions "
                                             f"WHERE source_transaction_id = '{transaction}'")[0][0]

    def take_away(*patients):
        for patient in patients:
            postgres.execute(f"DELETE FROM silver.patients WHERE source_patient_id = 'P{patient:05}'", schema_database)

    assert is_known("T1", 0)
    take_away(1)
    assert not is_known("T2", 1)
    take_away(WARM, WARM + 1)
    assert is_known("T3", WARM) and not is_known("T4", WARM + 1)
    placer.stop()


def test_an_id_of_any_length_is_read_behind(build, postgres, schema_database):
    """An index holds long ones, too, that can be pressed. Were it forgotten, the first patients would be read over and over."""
    placer = Placer(build, postgres, schema_database)
    placer.feed("p", "a", "patients", ("source_patient_id", "last_name"))
    ids = [f"P{number:05}" + "Z" * (9000 if number == 4999 else 0) for number in range(5001)]
    placer.page("p", [(name, "Lee") for name in ids])
    placer.feed("t", "a", "transactions", ("source_transaction_id", "source_patient_id", "amount"))
    placer.page("t", [("T1", ids[0], "10.00")])
    placer.page("t", [("T2", ids[0], "10.00")])
    postgres.execute(f"DELETE FROM silver.patients WHERE source_patient_id = '{ids[5000]}'", schema_database)
    placer.page("t", [("T3", ids[5000], "10.00")])
    assert postgres.ask(schema_database, "SELECT patient_key IS NOT NULL FROM silver.transactions WHERE source_transaction_id = 'T3'") == [(True,)]
    placer.stop()


def test_behind_a_settle_that_put_members_right_patients_are_read_ahead_anew(build, postgres, schema_database):
    """What was remembered is forgotten then. Seen, as above, by who is taken away when he was remembered again."""
    placer = Placer(build, postgres, schema_database)
    placer.feed("p", "a", "patients", ("source_patient_id", "last_name"))
    placer.page("p", [(f"P{number}", "Lee") for number in range(3)])
    placer.feed("t", "a", "transactions", ("source_transaction_id", "source_patient_id", "amount"))
    placer.page("t", [("T1", "P0", "10.00")])
    placer.page("t", [("T2", "P0", "10.00")])  # all are read
    postgres.execute("UPDATE ops.member_change SET batch_id = batch_id + 1", schema_database)
    placer.page("t", [("T3", "P0", "10.00")])  # and once more
    postgres.execute("DELETE FROM silver.patients WHERE source_patient_id = 'P2'", schema_database)
    placer.page("t", [("T4", "P2", "10.00")])
    assert postgres.ask(schema_database, "SELECT patient_key IS NOT NULL FROM silver.transactions WHERE source_transaction_id = 'T4'") == [(True,)]
    placer.stop()
