"""A billing office maps another column as the claim's id: hundreds of thousands of rows have one and the same id.

What a page costs must not grow with what was placed of them more than it has to be looked at.
"""
from harness import bench_world
from test_claims import COLUMNS, make_claims, row, text  # noqa: F401  (a fixture and what it makes)
from test_held_contents import FROM_TRANSACTION
from test_remap_claims import configure

NAME = "hospital1_2024-03.csv"


def many(n, make):
    return "\n".join([",".join(COLUMNS), *(",".join(make(i)) for i in range(n))]) + "\n"


def usable(i):
    fields = row("MEDICARE", amount=f"{i + 1}.00")
    fields[1] = f"T{i}"
    return fields


def once(claims):  # noqa: F811
    """(seconds of the daemon's CPU, peak MiB)"""
    _, cpu, peak, _ = bench_world.measured([*claims.daemon.command(), "--once"], **claims.daemon.environment())
    return cpu, peak


def test_what_a_page_costs_grows_with_the_deliveries_of_its_claim_not_with_their_square(make_claims):  # noqa: F811
    """By the square of each page's it was 14 s of CPU; it is one."""
    claims = make_claims(page_rows=500)
    claims.put(NAME, many(20000, usable))
    cpu, _ = once(claims)
    assert claims.rows("SELECT count(*), max(iteration), count(*) FILTER (WHERE is_final) FROM silver.claims") == [(20000, 20000, 1)]
    assert cpu < 6


def multiply(claims, n, step=1):  # noqa: F811
    """As if the only entry's file had had so many rows more before it."""
    claims.store.execute(
        "INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, file_id, line, state, source_hash, "
        "mapping_version, batch_id, source_modified_at, ended_at) SELECT feed, source_system, natural_key, '{}', rule, reason, file_id, "
        f"line - i, 'superseded', source_hash + {step} * i, mapping_version, batch_id, source_modified_at, now() "
        f"FROM dq.quarantine, generate_series(1, {n}) AS i", claims.database)


def test_memory_does_not_grow_with_what_is_held_of_a_claim(make_claims):  # noqa: F811
    """All entries of a claim were in memory at once: 200,000 took 65 MB."""
    claims, peaks = make_claims(), []
    for month, held in enumerate((0, 200000), 1):
        if held:
            multiply(claims, held)
        claims.put(f"hospital1_2024-0{month}.csv", many(1, lambda i: row("MEDICARE", amount=f"x{month}")))
        peaks.append(once(claims)[1])
        assert claims.rows("SELECT name FROM dq.quarantine q JOIN ops.file USING (file_id) WHERE q.state = 'open'") == [
            (f"hospital1_2024-0{month}.csv",)]
    assert peaks[1] < peaks[0] + 8 or not claims.daemon.is_size_its_own(), peaks


def repeat(claims, n_claims, n, which="iteration = 1"):  # noqa: F811
    """As if the file of each claim's delivery had said so many more of it, of the same amounts."""
    columns = ", ".join(f"line - {n_claims} * i" if name == "line" else "0" if name == "claim_key" else name for (name,) in claims.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'silver.claims_absorbed'::regclass AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum"))
    claims.store.execute(f"INSERT INTO silver.claims_absorbed SELECT {columns} FROM silver.claims, generate_series(1, {n}) AS i "
                         f"WHERE {which}", claims.database)


def test_memory_does_not_grow_with_what_is_stored_of_many_claims(make_claims):  # noqa: F811
    """Who sends all claims each week has a hundred deliveries of each in two years. All of a page's were in memory at once:
    these took 107 MB."""
    claims, peaks = make_claims(), []
    for month in (1, 2, 3):
        if month == 3:
            repeat(claims, 500, 200)
        claims.put(f"hospital1_2024-0{month}.csv", text([row(f"C{i}", amount=f"{month}.00") for i in range(500)]))
        peaks.append(once(claims)[1])
    assert claims.rows("SELECT count(*), max(iteration), count(*) FILTER (WHERE is_final) FROM silver.claims") == [(1500, 3, 500)]
    assert claims.rows("SELECT count(*) FROM silver.claims_absorbed") == [(100000,)]
    assert peaks[2] < peaks[1] + 8 or not claims.daemon.is_size_its_own(), peaks


def test_cleaned_again_a_claim_of_many_deliveries_is_read_by_what_they_are_not_by_their_square(make_claims):  # noqa: F811
    """For each row behind a full page all before it were copied once more, and none given back: 4,000 took 900 MB."""
    claims = make_claims(page_rows=500)
    claims.put(NAME, many(4000, usable))
    claims.once()
    configure(claims, ("copay: Copay", "copay: Coinsurance"))
    _, peak = once(claims)
    assert claims.rows("SELECT count(*), max(iteration), min(copay)::text FROM silver.claims") == [(4000, 4000, "5.00")]
    assert peak < 128 or not claims.daemon.is_size_its_own()


def test_cleaned_again_a_claim_of_many_held_rows_comes_in_parts(make_claims):  # noqa: F811
    """All of them were one page."""
    claims = make_claims(page_rows=500)
    claims.put(NAME, many(1, lambda _: row("MEDICARE", amount="ten")))
    claims.once()
    multiply(claims, 12000, step=0)
    configure(claims, ("copay: Copay", "copay: Coinsurance"))
    claims.once()
    assert claims.rows("SELECT mapping_version, count(*), count(*) FILTER (WHERE state = 'open') FROM dq.quarantine GROUP BY 1") == [
        (2, 12001, 1)]
    assert claims.rows("SELECT rows_read FROM ops.batch WHERE rows_read > 1 ORDER BY 1") == [(1001,), (5500,), (5500,)]


def test_a_file_whose_rows_are_all_of_one_claim_fails_once_that_has_more_than_a_claim_can(make_claims):  # noqa: F811
    """Every page looks at all deliveries of its claims, so that each costs more than the one before. A file that says few things of
    each is none of those: who sends all claims every day has a thousand deliveries of each in three years."""
    claims, told = make_claims(), []
    claims.put(NAME, many(1, usable))
    claims.once()
    for month, n, rows, others in ((4, 19999, 5, 0), (5, 2, 5, 0), (6, 0, 5, 20), (7, 0, 3, 0)):
        repeat(claims, 1, n, "source_claim_id = 'MEDICARE'")
        name = f"hospital1_2024-0{month}.csv"
        claims.put(name, text([*(usable(i + month) for i in range(rows)), *(row(f"C{i}") for i in range(others))]))
        claims.once()
        told.append((claims.file(name)["state"], claims.file(name)["rows_new"], claims.file(name)["error"]))
    assert told[0] == ("done", 0, None) and told[2] == ("done", 20, None)  # most claims of that are those of their rows
    assert told[3] == ("done", 0, None)
    assert told[1][:2] == ("failed", 0) and told[1][2].startswith(
        "of the claims that a page's rows name, 1, there are at least 20017 deliveries already, of one alone 20017: what `source_claim_id` is "
        "mapped to is no claim's id; ")
    configure(claims, FROM_TRANSACTION, ("  monthly:", "  yearly:"))
    claims.put("hospital1_2024-05.csv", text([usable(i + 5) for i in range(5)]))
    claims.once()
    assert claims.file("hospital1_2024-05.csv")["state"] == "done"
    assert claims.rows("SELECT source_claim_id FROM silver.claims WHERE source_claim_id LIKE 'T_' ORDER BY 1") == [("T5",), ("T6",), ("T7",), ("T8",), ("T9",)]


def test_a_file_fails_that_names_one_claim_of_more_deliveries_than_any_can_have(make_claims):  # noqa: F811
    claims, told = make_claims(), []
    claims.put(NAME, many(1, usable))
    claims.once()
    repeat(claims, 1, 49999)
    for month in (4, 5):
        name = f"hospital1_2024-0{month}.csv"
        claims.put(name, text([usable(month), *(row(f"C{month}{i:02}") for i in range(60))]))
        claims.once()
        told.append((claims.file(name)["state"], claims.file(name)["rows_new"], claims.file(name)["error"]))
    assert told[0] == ("done", 60, None) and told[1][:2] == ("failed", 0)
    assert told[1][2].startswith("of the claims that a page's rows name, 61, there are at least 50001 deliveries already, of one alone 50001: ")
