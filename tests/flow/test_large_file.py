"""A large file names many patients: they are read as a whole, whether it is the feed's first file or not."""
import contextlib

from harness import jobs
from test_claims import COLUMNS, make_claims, row, text  # noqa: F401  (a fixture and what it makes)

PAGE, PATIENTS = 50, 300
LARGE_BYTES = 8 << 20  # of delivery.c


def file_of(prefix, padding=0):
    rows = [[*row(f"{prefix}{number:03}", patient=f"P{number:03}"), "x" * padding] for number in range(PATIENTS)]
    return text(rows, [*COLUMNS, "Note"])


def scans(claims):  # noqa: F811
    """Of the indexes of patients: each who is asked for by name costs one."""
    return claims.rows("SELECT sum(idx_scan)::int FROM pg_stat_user_indexes WHERE relname = 'patients'")[0][0]


def scans_of(claims, name, content):  # noqa: F811
    before = scans(claims)
    claims.put(name, content)
    claims.once()
    return scans(claims) - before


def test_a_large_file_reads_its_patients_once_where_a_small_one_asks_for_each(make_claims):  # noqa: F811
    claims = make_claims(page_rows=PAGE)
    claims.put("hospital1_2024-01.csv", file_of("A"))
    claims.once()  # settle makes the patients that it names
    large = file_of("C", padding=LARGE_BYTES // PATIENTS + 1)
    of_small, of_large = scans_of(claims, "hospital1_2024-02.csv", file_of("B")), scans_of(claims, "hospital1_2024-03.csv", large)
    assert of_small >= PATIENTS
    assert of_small - of_large >= PATIENTS - 3 * PAGE  # its first page asks, and those that are placed while others are read
    keys = claims.rows("SELECT source_patient_id, count(DISTINCT patient_key)::int, count(*)::int FROM silver.claims GROUP BY 1")
    assert sorted(keys) == [(f"P{number:03}", 1, 3) for number in range(PATIENTS)]


READ_AHEAD = "state = 'idle' AND query LIKE 'SET LOCAL synchronous_commit = off; COMMIT%%'"


def sessions(claims, condition):  # noqa: F811
    return claims.rows(f"SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'revcycled' AND datname = '{claims.database}' "
                       f"AND {condition}")[0][0]


def test_before_its_second_page_is_due_others_have_read_them(make_claims):  # noqa: F811
    """The first page is placed alone, and here it waits for somebody."""
    claims = make_claims(page_rows=PAGE)
    claims.put("hospital1_2024-01.csv", file_of("A"))
    claims.once()
    of_small = scans_of(claims, "hospital1_2024-02.csv", file_of("B"))
    claims.put("hospital1_2024-03.csv", file_of("C", padding=LARGE_BYTES // PATIENTS + 1))
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as other:
        other.execute("INSERT INTO silver.claims (claim_key, source_system, source_claim_id, iteration, is_final, batch_id) "
                      "VALUES (-1, 'hospital_a', 'C000', 1, true, 0)")
        before = scans(claims)
        claims.daemon.begin_once()
        jobs.until(lambda: sessions(claims, "wait_event = 'transactionid'") == 1 and sessions(claims, READ_AHEAD) > 0, 60,
                   "the first page waits, and another session has read")
        link.rollback()
    assert claims.daemon.end_once(timeout=120) == 0
    of_large = scans(claims) - before
    assert of_small - of_large > PATIENTS - 2 * PAGE  # its first page asks
