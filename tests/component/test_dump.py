"""The definition of equal states: blind to surrogates, not to anything that matters."""
import pytest

from harness import dump


def patient(cursor, key, number, **columns):
    row = {"patient_key": key, "source_system": "a", "source_patient_id": number, "effective_date": "2024-01-01",
           "expiry_date": "9999-12-31", "is_current": True, "version": 1, "batch_id": key, "last_name": "Doe",
           **columns}
    names = ", ".join(row)
    cursor.execute(f"INSERT INTO silver.patients ({names}) VALUES ({', '.join(['%s'] * len(row))})",
                   list(row.values()))


def encounter(cursor, key, patient_key):
    cursor.execute("INSERT INTO silver.encounters (encounter_key, source_system, source_encounter_id, patient_key, "
                   "batch_id) VALUES (%s, 'a', 'E1', %s, %s)", (key, patient_key, key))


@pytest.fixture
def link(postgres, schema_database):
    link = postgres.connect(schema_database)
    yield link
    link.close()


def dumped(link, fill):
    """The dump of what `fill` writes; nothing of it stays."""
    with link.cursor() as cursor:
        fill(cursor)
    result = dump.postgres(link)
    with link, link.cursor() as cursor:
        cursor.execute("TRUNCATE silver.patients, silver.encounters")
    return result


PERSON = "00000000-0000-0000-0000-00000000000"


def test_other_surrogates_batches_and_person_ids_are_equal(link):
    def one(cursor):
        patient(cursor, 7, "P1", person_id=PERSON + "1")
        patient(cursor, 8, "P2", person_id=PERSON + "1")
        encounter(cursor, 3, 7)

    def other(cursor):
        patient(cursor, 70, "P2", person_id=PERSON + "2")
        patient(cursor, 80, "P1", person_id=PERSON + "2")
        encounter(cursor, 30, 80)

    assert dump.differences(dumped(link, one), dumped(link, other)) == []


@pytest.mark.parametrize("change", [
    lambda c: patient(c, 7, "P1", last_name="Roe"),
    lambda c: patient(c, 7, "P1", effective_date="2024-01-02"),
    lambda c: patient(c, 7, "P1", dq_flags=["name_unknown"]),
    lambda c: patient(c, 7, "P1", ssn="123456789"),
    lambda c: (patient(c, 7, "P1"), patient(c, 9, "P3")),
])
def test_another_value_flag_time_or_row_is_a_difference(link, change):
    assert dump.differences(dumped(link, lambda c: patient(c, 7, "P1")), dumped(link, change))


def test_a_fact_that_points_at_another_version_is_a_difference(link):
    def fill(cursor, points_at):
        patient(cursor, 7, "P1", expiry_date="2024-06-01", is_current=False)
        patient(cursor, 8, "P1", effective_date="2024-06-01", version=2)
        encounter(cursor, 1, points_at)
    assert dump.differences(dumped(link, lambda c: fill(c, 7)), dumped(link, lambda c: fill(c, 8)))


def test_other_groups_of_persons_are_a_difference(link):
    def fill(cursor, second):
        patient(cursor, 7, "P1", person_id=PERSON + "1")
        patient(cursor, 8, "P2", person_id=second)
    assert dump.differences(dumped(link, lambda c: fill(c, PERSON + "1")), dumped(link, lambda c: fill(c, PERSON + "2")))


def test_an_inferred_start_is_left_out_with_the_end_before_it(link):
    def fill(cursor, instant, flags):
        patient(cursor, 7, "P1", expiry_date=instant, is_current=False)
        patient(cursor, 8, "P1", effective_date=instant, version=2, dq_flags=flags)
    inferred = [dumped(link, lambda c, i=i: fill(c, i, ["time_inferred"])) for i in ("2024-05-01", "2024-05-02")]
    assert dump.differences(*inferred) == []
    given = [dumped(link, lambda c, i=i: fill(c, i, [])) for i in ("2024-05-01", "2024-05-02")]
    assert dump.differences(*given)
