"""BRIN indexes of rows (storage/sql/migrations/0101_range_filters.sql): what a row costs that comes into a range which has its
summary.
"""
import math

from test_claims import make_claims, row, text  # noqa: F401  (a fixture and what it makes)

COMPRESSED_ABOVE = 510   # bytes: TOAST_INDEX_TARGET of access/heaptoast.h, by which brin_form_tuple() compresses a value
ROWS_A_PAGE = 291        # MaxHeapTuplesPerPage of access/htup_details.h, for pages of 8 KiB
FILTER_HEAD = 16         # BloomFilter of access/brin/brin_bloom.c, before its bits

FILTERS = """
    SELECT x.oid::regclass::text, a.attname, x.reloptions, a.attoptions
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = x.oid
    JOIN pg_opclass o ON o.oid = i.indclass[a.attnum - 1]
    WHERE o.opcname LIKE '%bloom%' AND x.relnamespace IN ('bronze'::regnamespace, 'silver'::regnamespace)
    ORDER BY 1, 2"""


def option(options, name, default):
    return float(dict(one.split("=") for one in options or []).get(name, default))


def filter_bytes(index_options, column_options):
    """As brin_bloom.c sizes it: brin_bloom_get_ndistinct() and bloom_init()."""
    rows = ROWS_A_PAGE * option(index_options, "pages_per_range", 128)
    distinct = option(column_options, "n_distinct_per_range", -0.1)
    distinct = min(max(-distinct * rows if distinct < 0 else distinct, 16), rows)
    bits = math.ceil(-distinct * math.log(option(column_options, "false_positive_rate", 0.01)) / math.log(2) ** 2)
    return FILTER_HEAD + (bits + 7) // 8


def test_no_summary_is_so_large_that_postgresql_compresses_it_for_every_row(make_claims):  # noqa: F811
    claims = make_claims()
    claims.put("hospital1_2024-03.csv", text([row("C1")]))
    claims.once()
    found = claims.rows(FILTERS)
    names = {index for index, *_ in found}
    assert {"silver.encounters_ranges", "silver.transactions_ranges", "silver.claims_ranges",
            "bronze.claims__monthly_raw_ranges"} <= names
    large = [(index, column) for index, column, *options in found if filter_bytes(*options) > COMPRESSED_ABOVE]
    assert not large
