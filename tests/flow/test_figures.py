"""The same figure in BigQuery and in PostgreSQL, row by row, on the sample with its dirt."""
from decimal import Decimal

import pytest

from component.test_kpi import KPIS
from harness.world import World

DIMENSIONS = ("payer_name", "payer_type", "method", "measure", "age_band", "claim_status", "group_code")
NUMBERS = ("numerator", "denominator", "value")


def comparable(rows, columns):
    """Rows by what tells them apart, numbers as numbers whatever they came as."""
    found = {}
    for row in rows:
        place = tuple(str(row[name]) for name in ("as_of", "month", "source_system", *columns))
        assert place not in found, place
        found[place] = (*(None if row[name] is None else Decimal(str(row[name])).normalize() for name in NUMBERS),
                        int(row["flagged_rows"]), row["missing"])
    return found


@pytest.fixture(scope="module")
def world(loaded_base, binary, tmp_path_factory):
    world = World(loaded_base, "figures", tmp_path_factory.mktemp("figures"), binary).make()
    yield world
    world.end()


@pytest.mark.parametrize("kpi", KPIS)
def test_a_figure_is_the_same_on_both_sides(world, kpi):
    warehouse = world.warehouse
    theirs = list(warehouse.rows(f"SELECT * FROM `{warehouse.dataset}.kpi_{kpi}`"))
    columns = [name for name in DIMENSIONS if name in theirs[0]]
    as_of = world.value("SELECT kpi.default_as_of()::text")
    names = ", ".join(["as_of", "month", "source_system", *columns, *NUMBERS, "flagged_rows", "missing"])
    ours = [dict(zip(names.split(", "), row)) for row in world.rows(f"SELECT {names} FROM kpi.{kpi}()")]
    assert comparable(ours, columns) == comparable(
        [row for row in theirs if row["as_of"] == as_of], columns)


def test_every_figure_was_kept_by_the_run(world):
    assert [name for name, in world.rows("SELECT DISTINCT kpi FROM ops.kpi_snapshot ORDER BY 1")] == list(KPIS)
