"""The generated sample: the same bytes every time, and the numbers it promises."""
import hashlib
import json
import os

from harness import sample


def digest(directory):
    total = hashlib.sha256()
    for folder, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            with open(os.path.join(folder, name), "rb") as file:
                total.update(name.encode() + file.read())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample.generate(tmp_path / name, transactions=500, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_every_kind_of_dirt_is_planted_even_in_a_small_sample(tmp_path):
    planted = sample.generate(tmp_path / "s", transactions=2000)
    flags = {flag for entity in planted["flags"].values() for flag in entity}
    assert flags >= {
        "possible_duplicate", "phone_invalid", "email_invalid", "date_invalid", "name_unknown",
        "amount_not_positive", "orphan_patient", "orphan_provider", "orphan_encounter",
        "orphan_transaction", "text_repaired", "status_unknown", "npi_check_digit"}
    for fact in ("persons_in_both", "overlapping_rows", "corrected_claims", "duplicate_files"):
        assert planted[fact] > 0
    assert sum(planted["rows"]["transactions"].values()) == 2000
    with open(tmp_path / "s" / "planted.json", encoding="utf-8") as file:
        assert json.load(file) == planted
