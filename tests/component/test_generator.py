"""The generated sample: the same bytes every time, and the numbers it promises."""
import hashlib
import json
import os

from harness import bench_data, sample


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


def test_the_benchs_hospital_agrees_with_itself_but_for_one_fact_in_a_hundred(tmp_path):
    for name in ("a", "b"):
        os.makedirs(tmp_path / name)
        bench_data.generate(tmp_path / name, bench_data.Sizes(3000))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")

    def table(name, separator="\t"):
        with open(tmp_path / "a" / name, encoding="utf-8") as file:
            return [line.rstrip("\n").split(separator) for line in file]
    tables = {name: table(f"{name}.tsv") for name in ("patient_master", "clinician", "department", "encounter",
                                                     "billing_transaction")}
    assert [len(rows) for rows in tables.values()] == [600, 500, 12, 1500, 3000]
    known = {name: {row[0] for row in rows} for name, rows in tables.items()}
    assert all([row[0] for row in rows] == sorted(known[name]) for name, rows in tables.items())
    visits = {row[0]: row[1:5] for row in tables["encounter"]}
    orphans = [row for row in tables["billing_transaction"] if row[1] not in visits or row[2] not in known["patient_master"]
               or row[3] not in known["clinician"]]
    assert 20 <= len(orphans) <= 40
    assert all(visits[row[1]] == row[2:6] for row in tables["billing_transaction"] if row[1] in visits)
    transactions = {row[0]: row for row in tables["billing_transaction"]}
    claims = table(bench_data.CLAIMS_FILE, ",")[1:]
    assert len(claims) == 600
    assert all([claim[3], claim[2], claim[4], claim[5], claim[6]] == transactions[claim[1]][1:6] for claim in claims)
