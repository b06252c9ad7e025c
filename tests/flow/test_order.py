"""Order does not matter: the same deliveries another way round end in the same state."""
import os
import random

import pytest
import yaml

from harness import dump, loader

FEEDS = ("patients", "providers", "departments", "encounters", "transactions")


def only(feeds, page_rows=None):
    """An edit of the configuration that leaves these feeds alone in it."""
    def edit(text):
        config = yaml.safe_load(text)
        for source in config["sources"].values():
            source["feeds"] = {name: feed for name, feed in source["feeds"].items() if name in feeds}
            for feed in source["feeds"].values():
                if page_rows:
                    feed["page_rows"] = page_rows
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return edit


def take_claims(world):
    """Empties the drop directory: the test delivers the files itself. Returns their paths."""
    files = loader.claims_files(world.base.data)
    for path in files:
        os.unlink(os.path.join(world.drop, os.path.basename(path)))
    return files


@pytest.mark.parametrize("order", [
    ("claims", "transactions", "encounters", "patients", "providers", "departments"),
    ("departments", "patients", "claims", "encounters", "providers", "transactions"),
    ("encounters", "claims", "departments", "transactions", "providers", "patients"),
], ids=["claims first", "mixed", "patients last"])
def test_feeds_in_another_order_end_in_the_same_state(fresh, loaded_order_dump, order):
    files, seen = take_claims(fresh), []
    for place, name in enumerate(order):
        if name == "claims":
            for path in random.Random(place).sample(files, len(files)):
                fresh.drop_file(path)
        else:
            seen.append(name)
        fresh.configure(edit=only(seen or ["departments"]))
        fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


def test_claims_files_backwards_and_one_by_one_end_in_the_same_state(fresh, loaded_order_dump):
    files = take_claims(fresh)
    months = [path for path in files if "resent" not in path]
    for path in reversed(months):
        fresh.drop_file(path)
        fresh.configure(edit=only(["departments"]))
        fresh.once()
    for path in set(files) - set(months):
        fresh.drop_file(path)
    fresh.configure()
    fresh.once()
    dump.assert_equal(loaded_order_dump, fresh.dump(dump.ORDER))


def test_pages_of_another_size_end_in_the_same_state(fresh, loaded_dump):
    fresh.configure(edit=only(FEEDS, page_rows=37))
    fresh.once()
    dump.assert_equal(loaded_dump, fresh.dump())
