"""A billing office maps another column as the claim's id: hundreds of thousands of rows have one and the same id.

What a page costs must not grow with what was placed of them more than it has to be looked at.
"""
from harness import bench_world
from test_claims import COLUMNS, make_claims, row  # noqa: F401  (a fixture and what it makes)

NAME = "hospital1_2024-03.csv"


def many(n, make):
    return "\n".join([",".join(COLUMNS), *(",".join(make(i)) for i in range(n))]) + "\n"


def usable(i):
    return row("MEDICARE", amount=f"{i + 1}.00")


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
