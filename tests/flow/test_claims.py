"""Claims files: from the drop directory to iterations in silver, with PostgreSQL alone.

The hospitals of the configuration have no feeds but the files, so that every test is a directory, a database and `--once`.
"""
import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import random
import stat
import time

import pytest

from harness import dump, settings
from harness.daemon import Daemon

COLUMNS = ("ClaimID,TransactionID,PatientID,EncounterID,ProviderID,DeptID,ServiceDate,ClaimDate,PayorID,ClaimAmount,"
           "PaidAmount,ClaimStatus,PayorType,Deductible,Coinsurance,Copay,InsertDate,ModifiedDate").split(",")

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
store: {{ dsn: "{dsn}" }}
timezone: America/New_York
sources:
  hospital_a: {{ kind: mysql, host: 127.0.0.1, database: none, user: nobody, timezone: America/Chicago }}
  hospital_b: {{ kind: mysql, host: 127.0.0.1, database: none, user: nobody, timezone: America/New_York }}
claims:
  monthly:
    kind: files
    directory: {drop}
    format: csv
    entity: claims
    every: 1d
    complete_after: {complete_after}
    page_rows: {page_rows}
    from:
      - {{pattern: "hospital1_*.csv", source: hospital_a, period: "_([0-9]{{4}}-[0-9]{{2}})"}}
      - {{pattern: "hospital2_*.csv", source: hospital_b, period: "_([0-9]{{4}}-[0-9]{{2}})"}}
      - {{pattern: "*_both_*.csv", source: hospital_b}}
    map:
      source_claim_id: ClaimID
      source_transaction_id: TransactionID
      source_encounter_id: EncounterID
      source_patient_id: PatientID
      source_provider_id: ProviderID
      source_department_id: DeptID
      source_payer_id: PayorID
      service_date: ServiceDate
      claim_date: ClaimDate
      claim_amount: ClaimAmount
      paid_amount: PaidAmount
      claim_status: ClaimStatus
      payer_type: PayorType
      deductible: Deductible
      coinsurance: Coinsurance
      copay: Copay
      source_inserted_at: InsertDate
      source_modified_at: ModifiedDate
"""


def migration(name):
    with open(os.path.join(settings.ROOT, "storage", "sql", "migrations", name), encoding="utf-8") as file:
        return file.read()


def row(claim, modified="2024-03-01", status="Pending", paid="0.00", payer="Medicare", patient="P1", amount="100.00"):
    return [claim, "T" + claim, patient, "E1", "D1", "DEPT1", "2024-01-10", "2024-01-20", payer, amount, paid, status,
            "Government", "10.00", "5.00", "1.00", "2024-01-21", modified]


def text(rows, columns=COLUMNS, end="\n"):
    return end.join([",".join(columns), *(",".join(fields) for fields in rows)]) + end


class Claims:
    """A drop directory, a database, and the daemon over both."""

    def __init__(self, store, database, directory, binary, page_rows=5000, complete_after="1s"):
        self.store, self.database = store, database
        self.drop = os.path.join(directory, "drop")
        os.makedirs(self.drop)
        passfile = settings.write_passfile(os.path.join(directory, "pgpass"), store, "revcycled", "revcycle_owner")
        config = os.path.join(directory, "revcycled.yaml")
        self.daemon = Daemon(os.path.join(directory, "daemon"), binary, config)
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(port=self.daemon.choose_port(), dsn=f"{store.dsn(database)} passfile={passfile}",
                                     drop=self.drop, page_rows=page_rows, complete_after=complete_after))

    def put(self, name, content):
        content = content.encode() if isinstance(content, str) else content
        with open(os.path.join(self.drop, name), "wb") as file:
            file.write(content)

    def once(self, expected=0, **environment):
        done = self.daemon.once(timeout=120, **environment)
        assert done.returncode == expected, (done.stdout + done.stderr)[-3000:]
        return done

    def rows(self, statement):
        return self.store.ask(self.database, statement)

    def claims(self):
        return self.rows("SELECT source_system, source_claim_id, iteration, is_final, claim_status, paid_amount::text, "
                         "source_payer_id FROM silver.claims ORDER BY 1, 2, 3")

    def file(self, name):
        names = ("state", "error", "rows_read", "rows_new", "rows_corrected", "rows_same", "rows_quarantined", "period")
        found = self.rows(f"SELECT {', '.join(names)} FROM ops.file WHERE name = '{name}' ORDER BY file_id DESC LIMIT 1")
        return dict(zip(names, found[0])) if found else None

    def listed(self, folder):
        path = os.path.join(self.drop, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else None

    def dump(self, mode):
        with contextlib.closing(self.store.connect(self.database)) as link:
            return dump.postgres(link, mode)


@pytest.fixture
def make_claims(postgres, schema_template, database_name, tmp_path, binary):
    made = []

    def make(**options):
        number = len(made)
        database = postgres.create_database(f"{database_name[:40]}_{number}", schema_template)
        directory = str(tmp_path / f"claims{number}")
        made.append(Claims(postgres, database, directory, binary, **options))
        return made[-1]
    yield make
    for claims in made:
        postgres.drop_database(claims.database)


@pytest.fixture
def claims(make_claims):
    return make_claims()


def test_a_file_ends_in_done_with_its_report_and_its_claims_in_silver(claims):
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2", status="paid", paid="84.00")]))
    claims.put("hospital2_2024-03.csv", text([row("C1", paid="7.00")], end="\r\n"))
    claims.once()
    assert claims.claims() == [
        ("hospital_a", "C1", 1, True, "Pending", "0.00", "MEDICARE"),
        ("hospital_a", "C2", 1, True, "Paid", "84.00", "MEDICARE"),
        ("hospital_b", "C1", 1, True, "Pending", "7.00", "MEDICARE")]
    assert claims.file("hospital1_2024-03.csv") == {
        "state": "done", "error": None, "rows_read": 2, "rows_new": 2, "rows_corrected": 0, "rows_same": 0,
        "rows_quarantined": 0, "period": "2024-03"}
    assert claims.listed("receiving") == []
    assert claims.listed("failed") == []
    assert "hospital1_2024-03.csv" in claims.listed("done")
    with open(os.path.join(claims.drop, "done", "hospital1_2024-03.csv.report.json"), encoding="utf-8") as report:
        report = json.load(report)
    assert (report["state"], report["rows_new"], report["source_system"]) == ("done", 2, "hospital_a")


def test_a_report_counts_rows_and_names_what_was_held_by_rule_and_line(claims):
    """Lines are counted from the header's, which is the first."""
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2")]))
    claims.once()
    claims.put("hospital1_2024-04.csv", text([row("C1", "2024-04-01"), row("C2", "2024-04-01", "Paid", "84.00"), row("C3", status="Frozen"),
                                              row("C4", amount="ten"), row(""), row("C5", amount="x")]))
    claims.once()
    unread = "`claim_amount` cannot be read as an amount of money"
    held = [(5, "amount_unreadable", unread), (6, "key_missing", "the row has no id"), (7, "amount_unreadable", unread)]
    path = os.path.join(claims.drop, "done", "hospital1_2024-04.csv.report")
    with open(path + ".txt", encoding="utf-8") as report:
        assert report.read().split("\n") == [
            "file hospital1_2024-04.csv: done", "", "rows read 6, new 1, corrected 1, same 1, flagged 1, quarantined 3",
            "rule amount_unreadable: 2", "rule key_missing: 1", *(f"line {line}: {reason} ({rule})" for line, rule, reason in held), ""]
    with open(path + ".json", encoding="utf-8") as report:
        report = json.load(report)
    assert {name: report[f"rows_{name}"] for name in ("read", "new", "corrected", "same", "flagged", "quarantined")} == {
        "read": 6, "new": 1, "corrected": 1, "same": 1, "flagged": 1, "quarantined": 3}
    assert report["quarantined_by_rule"] == {"amount_unreadable": 2, "key_missing": 1}
    assert [(item["line"], item["rule"], item["reason"]) for item in report["quarantined"]] == held


def test_the_same_bytes_twice_change_nothing(claims):
    content = text([row("C1"), row("C2")])
    claims.put("hospital1_2024-03.csv", content)
    claims.once()

    def state():
        tables = {name: rows for name, rows in claims.dump(dump.KILL).items() if name != "ops.file"}
        return tables, claims.rows("SELECT count(*) FROM ops.batch")
    before = state()
    claims.put("hospital1_2024-03.csv", content)
    claims.put("hospital1_2024-04.csv", content)
    claims.once()
    assert state() == before
    assert claims.file("hospital1_2024-03.csv")["state"] == "duplicate"
    assert claims.file("hospital1_2024-04.csv")["state"] == "duplicate"
    assert "hospital1_2024-03.csv.2" in claims.listed("done")


def test_the_same_bytes_of_another_source_are_no_duplicate(claims):
    content = text([row("C1")])
    claims.put("hospital1_2024-03.csv", content)
    claims.put("hospital2_2024-03.csv", content)
    claims.once()
    assert [line[0] for line in claims.claims()] == ["hospital_a", "hospital_b"]


def test_overlapping_files_add_what_is_new_and_make_iterations_of_what_changed(claims):
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2"), row("C3")]))
    claims.once()
    claims.put("hospital1_2024-04.csv", text([
        row("C2"), row("C3", "2024-04-02", "Paid", "84.00"), row("C4", "2024-04-03")]))
    claims.once()
    assert [line[1:6] for line in claims.claims()] == [
        ("C1", 1, True, "Pending", "0.00"), ("C2", 1, True, "Pending", "0.00"),
        ("C3", 1, False, "Pending", "0.00"), ("C3", 2, True, "Paid", "84.00"), ("C4", 1, True, "Pending", "0.00")]
    counts = claims.file("hospital1_2024-04.csv")
    assert (counts["rows_read"], counts["rows_new"], counts["rows_corrected"], counts["rows_same"]) == (3, 1, 1, 1)
    assert claims.rows("SELECT count(*) FROM bronze.claims__monthly") == [(5,)]  # C2 again is no news


def test_a_claim_is_found_whatever_stands_between_the_ids_of_its_page(claims):
    """Before a page's claims are looked up it is asked whether any stands among them, in so many rows as the page has."""
    claims.put("hospital2_2024-01.csv", text([row(f"C{number}") for number in range(10, 20)]))
    claims.put("hospital1_2024-01.csv", text([row("C3"), row("D1"), row("E\\2"), row("F 5")]))
    claims.once()
    for month, ids in enumerate((["B0", "D1"], ["C0", "D2"], ["D3", "E\\2"], ["F 5", "C3"], ["Z9", "F 5", "A0"]), 2):
        claims.put(f"hospital1_2024-{month:02}.csv",
                   text([row(claim, modified=f"2024-{month + 2:02}-01", status="Paid", paid="99.00") for claim in ids]))
        claims.once()
    assert claims.rows("SELECT source_claim_id, max(iteration), count(*) FROM silver.claims WHERE source_system = 'hospital_a' "
                       "GROUP BY 1 ORDER BY 1") == [
        ("A0", 1, 1), ("B0", 1, 1), ("C0", 1, 1), ("C3", 2, 2), ("D1", 2, 2), ("D2", 1, 1), ("D3", 1, 1), ("E\\2", 2, 2),
        ("F 5", 2, 2), ("Z9", 1, 1)]
    assert claims.rows("SELECT count(*) FROM dq.quarantine") == [(0,)]


def test_a_corrected_file_corrects_the_iteration_and_keeps_its_key(claims):
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2")]))
    claims.once()
    key = claims.rows("SELECT claim_key FROM silver.claims WHERE source_claim_id = 'C1'")
    claims.put("hospital1_2024-03_corrected.csv", text([row("C1", "2024-03-05", payer="Aetna"), row("C2")]))
    claims.once()
    assert [(line[1], line[2], line[6]) for line in claims.claims()] == [("C1", 1, "AETNA"), ("C2", 1, "MEDICARE")]
    assert claims.rows("SELECT claim_key FROM silver.claims WHERE source_claim_id = 'C1'") == key
    assert claims.rows("SELECT source_payer_id FROM silver.claims_past") == [("MEDICARE",)]
    assert claims.rows("SELECT claim_key, is_final, patient_key, dq_flags, source_payer_id FROM silver.claims_absorbed "
                       "WHERE source_claim_id = 'C1'") == [(0, False, None, [], "MEDICARE")]


def test_a_file_of_which_every_row_was_replaced_is_superseded(claims):
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2")]))
    claims.once()
    claims.put("hospital1_2024-03_first.csv", text([row("C1", "2024-03-05", payer="Aetna")]))
    claims.once()
    assert claims.file("hospital1_2024-03.csv")["state"] == "done"
    claims.put("hospital1_2024-03_second.csv", text([row("C2", "2024-03-05", payer="Aetna")]))
    claims.once()
    assert claims.file("hospital1_2024-03.csv")["state"] == "superseded"
    claims.put("hospital1_2024-03.csv", text([row("C1"), row("C2")]))
    claims.once()
    assert claims.file("hospital1_2024-03.csv")["state"] == "duplicate"


def said_of_claims(name, content):
    """Of a file's rows: (place in the order, claim, what makes an iteration, what it says)."""
    sha, period = hashlib.sha256(content.encode()).digest(), name.rsplit("_", 1)[1][:7]
    for line, fields in enumerate(list(csv.reader(io.StringIO(content)))[1:], 2):
        if fields[9] != "no amount":
            yield (fields[17], period, sha, line), fields[0], (fields[11], *fields[9:11], *fields[13:16]), tuple(fields[:17])


def superseded_files(files):
    """Those of which nothing shows: an iteration shows the last of neighbours that agree in status and amounts."""
    claims = {}
    for name, content in files.items():
        for place, number, kind, said in said_of_claims(name, content):
            claims.setdefault(number, []).append((place, kind, said, name))
    saying = set()
    for deliveries in claims.values():
        deliveries.sort()
        shown = {said for (_, kind, said, _), after in zip(deliveries, [*deliveries[1:], None]) if after is None or after[1] != kind}
        saying |= {name for _, _, said, name in deliveries if said in shown}
    return set(files) - saying


def test_which_file_is_superseded_does_not_hang_on_which_was_read_first(make_claims):
    """Of one month five files, in 30 orders: an original, its correction, one that says the same again, an iteration, and what
    slots in between and says what the original did."""
    claims, runs, all_files = make_claims(page_rows=3), [{} for _ in range(5)], {}
    orders = [list(order) for order in itertools.permutations(range(5))]
    random.Random(5).shuffle(orders)
    for number, order in enumerate(orders[:30]):
        c, d, e = (f"{letter}{number}" for letter in "CDE")
        contents = [[row(c), row(d), row(e, amount="no amount")],
                    [row(c, "2024-03-05", payer="Aetna"), row(d, "2024-03-05", payer="Aetna"), row(e)],
                    [row(d, "2024-03-05", payer="Aetna"), row(c, "2024-03-05", payer="Aetna")],
                    [row(c, "2024-03-09", "Paid", paid="84.00")],
                    [row(d, "2024-03-03")]]
        files = {f"hospital1_{number}_{kind}_2024-03.csv": text(rows) for kind, rows in enumerate(contents)}
        for run, kind in zip(runs, order):
            name = f"hospital1_{number}_{kind}_2024-03.csv"
            run[name] = files[name]
        all_files |= files
    for run in runs:
        for name, content in run.items():
            claims.put(name, content)
        claims.once()
    expected = superseded_files(all_files)
    assert {name.split("_")[2] for name in expected} == {"0", "4"} and len(expected) == 60
    found = dict(claims.rows("SELECT name, state FROM ops.file"))
    assert found == {name: "superseded" if name in expected else "done" for name in all_files}
    # so it is when the ledger's states are worked out anew, as for a database of before
    claims.store.execute("UPDATE ops.file SET state = CASE state WHEN 'done' THEN 'superseded' ELSE 'done' END", claims.database)
    claims.store.execute(migration("0077_superseded.sql").partition("-- What hung on the order until now.")[2], claims.database)
    assert dict(claims.rows("SELECT name, state FROM ops.file")) == found


def held(claims, states=("open", "superseded", "replayed", "dismissed")):
    """[(claim, file, line, state)]"""
    found = claims.rows("SELECT natural_key, name, line::int, q.state FROM dq.quarantine q JOIN ops.file f USING (file_id)")
    return sorted(entry for entry in found if entry[3] in states)


@pytest.mark.parametrize("page_rows", [2, 5000])
def test_what_is_held_of_a_claim_does_not_hang_on_which_file_was_read_first(make_claims, page_rows):
    """Every unusable row is an entry; that of a claim's last delivery is open. Four files in all 24 orders, each with claims of
    its own."""
    claims, orders = make_claims(page_rows=page_rows), list(itertools.permutations(range(4)))
    runs, expected = [{} for _ in range(4)], set()
    for number, order in enumerate(orders):
        c1, c2, c3, c4, c5, c6, c7 = (f"C{place}N{number}" for place in range(1, 8))
        contents = [[row(c1), row(c2, "2024-03-05"), row(c3, amount="ten"), row(c4), row(c5, amount="ten")],
                    [row(c1, amount="ten"), row(c2, amount="ten"), row(c3), row(c4, amount="ten"), row(c4, paid="7.00"), row(c5, paid="ten")],
                    [row(c3, amount="ten"), row(c1, "2024-02-01"), row(c6, amount="ten"), row(c6), row(c6, amount="ten"),
                     row(c7, "yesterday", amount="ten")],
                    [row(c4, "2024-03-02", amount="ten"), row(c7)]]
        names = [f"hospital1_{number}_{kind}_2024-0{kind + 1}.csv" for kind in range(4)]
        for run, kind in zip(runs, order):
            run[names[kind]] = text(contents[kind])
        last = {(c1, 1, 2), (c3, 2, 2), (c4, 3, 2), (c5, 1, 7), (c6, 2, 6)}
        ended = {(c2, 1, 3), (c3, 0, 4), (c4, 1, 5), (c5, 0, 6), (c6, 2, 4), (c7, 2, 7)}
        expected |= {(claim, names[kind], line, "open" if (claim, kind, line) in last else "superseded")
                     for claim, kind, line in last | ended}
    for run in runs:
        for name, content in run.items():
            claims.put(name, content)
        claims.once()
    assert held(claims) == sorted(expected)
    assert claims.rows("SELECT count(*) FROM dq.quarantine WHERE (state = 'superseded') <> (ended_at IS NOT NULL)") == [(0,)]


def later(a, b):
    """By when it was changed, where both say that; else by period; else what came later."""
    if a["modified"] and b["modified"] and a["modified"] != b["modified"]:
        return a["modified"] > b["modified"]
    if a["period"] and b["period"] and a["period"] != b["period"]:
        return a["period"] > b["period"]
    return a["place"] > b["place"]


def held_by_the_rules(files):
    """What is held of these files [(name, rows)], in the order they came: counted here, from the rows alone."""
    found, said = [], {}
    for number, (name, rows) in enumerate(files):
        period = name.split("_")[-1][:7] if "2024" in name else None
        for line, fields in enumerate(rows, 2):
            said.setdefault(fields[0], []).append({
                "modified": fields[-1] if fields[-1] != "never" else None, "period": period, "place": (number, line),
                "name": name, "line": line, "is_usable": fields[9] != "ten"})
    for claim, rows in said.items():
        bad, usable = [r for r in rows if not r["is_usable"]], [r for r in rows if r["is_usable"]]
        alive = sorted((r for r in bad if not any(later(u, r) for u in usable)), key=lambda r: (r["period"] or "", r["place"]))
        counts = None
        for r in reversed(alive):
            counts = r if counts is None or later(r, counts) else counts
        found += [(claim, r["name"], r["line"], "open" if r is counts else "superseded") for r in bad]
    return sorted(found)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_held_of_claims_is_what_the_rules_say(make_claims, seed):
    """Files of months, and some of none, in an order of chance, one by one or several together."""
    choice = random.Random(seed)
    claims, files = make_claims(page_rows=choice.choice([1, 3, 5000])), []
    for number in range(10):
        rows = [row(f"C{choice.randint(1, 5)}", choice.choice(["2024-03-01"] * 2 + ["2024-03-02", "2024-02-01", "never"]),
                    amount=choice.choice(["100.00", "ten"])) for _ in range(choice.randint(1, 8))]
        files.append((f"hospital1_{number}" + choice.choice(["", "_2024-01", "_2024-02", "_2024-03"]) + ".csv", rows))
    choice.shuffle(files)
    together = choice.randint(0, 8)
    files[together:together + 2] = sorted(files[together:together + 2])  # two that come at once are read by their names
    for number, (name, rows) in enumerate(files):
        claims.put(name, text(rows))
        if number != together:
            claims.once()
    assert held(claims) == held_by_the_rules(files)
    assert len({entry[3] for entry in held(claims)}) == 2


def test_a_row_that_is_unusable_in_two_files_is_told_of_both(make_claims):
    """Word by word the same: each file's report says which of its own lines cannot be used."""
    claims = make_claims()
    for month in ("02", "01", "03"):
        claims.put(f"hospital1_2024-{month}.csv", text([row(f"C{month}"), row("C1", amount="ten")]))
        claims.once()
        entry = claims.file(f"hospital1_2024-{month}.csv")
        assert (entry["rows_quarantined"], entry["rows_read"]) == (1, 2)
    assert held(claims) == [("C1", f"hospital1_2024-0{month}.csv", 3, state)
                            for month, state in ((1, "superseded"), (2, "superseded"), (3, "open"))]


def test_what_a_person_dismissed_stays_so_wherever_it_is_said_again(make_claims):
    """Another content of the claim is another matter."""
    claims = make_claims()
    claims.daemon.make_token()
    claims.put("hospital1_2024-02.csv", text([row("C1", amount="ten"), row("C2", amount="ten")]))
    claims.once()
    claims.daemon.start()
    try:
        ((entry,),) = claims.rows("SELECT quarantine_id FROM dq.quarantine WHERE natural_key = 'C1'")
        assert claims.daemon.post(f"/v1/quarantine/{entry}/dismiss")[0] == 200
    finally:
        claims.daemon.stop()
    claims.put("hospital1_2024-03.csv", text([row("C1", amount="ten"), row("C2", amount="ten"), row("C3")]))
    claims.put("hospital1_2024-01.csv", text([row("C1", amount="ten"), row("C1", amount="eleven")]))
    claims.once()
    assert held(claims, ["open", "dismissed"]) == [("C1", "hospital1_2024-03.csv", 2, "dismissed"), ("C2", "hospital1_2024-03.csv", 3, "open")]
    claims.put("hospital1_2024-04.csv", text([row("C1", amount="twelve")]))
    claims.once()
    assert held(claims, ["open", "dismissed"]) == [("C1", "hospital1_2024-04.csv", 2, "open"), ("C2", "hospital1_2024-03.csv", 3, "open")]
    configure_readable(claims)
    claims.once()  # cleaned again, what was dismissed is passed by
    found = claims.rows("SELECT name, line::int FROM dq.quarantine JOIN ops.file USING (file_id) "
                        "WHERE dq.quarantine.state <> 'replayed' AND natural_key = 'C1' ORDER BY 1, 2")
    assert found == [("hospital1_2024-01.csv", 2), ("hospital1_2024-02.csv", 2), ("hospital1_2024-03.csv", 2)]
    assert held(claims, ["open", "dismissed"]) == []


def configure_readable(claims):
    """The configuration from now on: what cannot be read as an amount is flagged, and placed."""
    with open(claims.daemon.config, encoding="utf-8") as file:
        content = file.read()
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(content.replace("claims:\n", "rules:\n  - {name: amount_unreadable, entity: claims, severity: flag}\nclaims:\n", 1))


def add_weekly(claims, directory):
    """A second feed of the same files; its drop directory."""
    with open(claims.daemon.config, encoding="utf-8") as file:
        config = file.read()
    directory.mkdir()
    with open(claims.daemon.config, "w", encoding="utf-8") as file:
        file.write(config + config.split("claims:\n", 1)[1].replace("  monthly:", "  weekly:").replace(claims.drop, str(directory)))
    return directory


STAND_STILL = """
CREATE FUNCTION public.stands_still() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(TG_ARGV[0]::bigint); RETURN NEW; END $$;
CREATE TRIGGER stands_still BEFORE INSERT ON bronze.claims__monthly_raw FOR EACH ROW EXECUTE FUNCTION public.stands_still(424242);
CREATE TRIGGER stands_still BEFORE INSERT ON bronze.claims__weekly_raw FOR EACH ROW EXECUTE FUNCTION public.stands_still(424243);
"""
WAITING = ("SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND {} "
           "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")


def test_of_two_feeds_that_place_one_claim_at_once_neither_leaves_the_others_delivery_out(claims, tmp_path):
    """Each page stands still when it has seen what is stored. Without what the other one says, the last is the first once more."""
    weekly = add_weekly(claims, tmp_path / "weekly")
    claims.put("hospital1_2024-01.csv", text([row("C1", "2024-03-01")]))
    (weekly / "hospital1_2024-05.csv").write_text(text([row("C2")]))
    claims.once()
    claims.store.execute(STAND_STILL, claims.database)
    claims.put("hospital1_2024-03.csv", text([row("C1", "2024-03-03")]))
    (weekly / "hospital1_2024-02.csv").write_text(text([row("C1", "2024-03-02", "Denied")]))
    with contextlib.closing(claims.store.connect(claims.database)) as link, link.cursor() as cursor:
        link.autocommit = True
        cursor.execute("SELECT pg_advisory_lock(424242), pg_advisory_lock(424243)")
        claims.daemon.begin_once()
        wait_until(lambda: claims.rows(WAITING.format("true")) == [(2,)])
        cursor.execute("SELECT pg_advisory_unlock(424243)")
        wait_until(lambda: claims.rows("SELECT FROM silver.claims WHERE claim_status = 'Denied'") or
                   claims.rows(WAITING.format("classid = 7310")) == [(1,)])
        cursor.execute("SELECT pg_advisory_unlock(424242)")
        assert claims.daemon.end_once(120) == 0
    assert claims.rows("SELECT iteration, is_final, claim_status FROM silver.claims WHERE source_claim_id = 'C1' ORDER BY 1") == [
        (1, False, "Pending"), (2, False, "Denied"), (3, True, "Pending")]


def test_members_that_only_a_replaced_delivery_names_are_there_in_any_order(make_claims):
    """A patient, a payer and a day that were named at first, and then corrected: whether the first delivery ever showed is chance."""
    first = [row("C1", patient="P7", payer="Gone Health"), row("C2")]
    first[0][6] = "2019-06-01"
    files = {"hospital1_2024-03.csv": text(first), "hospital1_2024-04.csv": text([row("C1", "2024-03-05"), row("C3", patient="P8")])}
    worlds = []
    for names in (list(files), [*files][::-1], None):
        world = make_claims()
        for name in names or files:
            world.put(name, files[name])
            if names:
                world.once()
        world.once()
        worlds.append(world.dump(dump.ORDER))
        assert world.rows("SELECT source_patient_id FROM silver.patients ORDER BY 1") == [("P1",), ("P7",), ("P8",)]
        assert world.rows("SELECT count(*)::int FROM silver.dates WHERE year = 2019") == [(365,)]
    dump.assert_equal(worlds[0], worlds[1])
    dump.assert_equal(worlds[0], worlds[2])


def test_a_late_file_slots_in_between(claims):
    claims.put("hospital1_2024-03.csv", text([row("C1", "2024-03-01")]))
    claims.put("hospital1_2024-05.csv", text([row("C1", "2024-05-01")]))
    claims.once()
    assert len(claims.claims()) == 1
    claims.put("hospital1_2024-04.csv", text([row("C1", "2024-04-01", "Denied")]))
    claims.once()
    assert [line[2:5] for line in claims.claims()] == [(1, False, "Pending"), (2, False, "Denied"), (3, True, "Pending")]


def files_of_many_months():
    choice = random.Random(7)
    for month in range(1, 6):
        rows = [row(f"C{claim}", f"2024-0{choice.randint(1, 3)}-01", choice.choice(["Pending", "Paid", "Denied"]),
                    choice.choice(["0.00", "5.00"]), choice.choice(["Medicare", "Aetna"]))
                for claim in range(40) for _ in range(choice.randint(0, 2))]
        choice.shuffle(rows)
        yield f"hospital1_2024-{month:02}.csv", text(rows)


def test_files_in_any_order_and_pages_of_any_size_end_in_the_same_state(make_claims):
    files = list(files_of_many_months())
    states = []
    for number, page_rows in enumerate((5000, 7, 3)):
        claims = make_claims(page_rows=page_rows)
        random.Random(number).shuffle(files)
        for name, content in files:
            claims.put(name, content)
            claims.once()
        states.append(claims.dump(dump.ORDER))
    assert states[0] == states[1] == states[2]


def test_rows_that_do_not_fit_go_to_quarantine_with_their_line(claims):
    good, short, long = row("C1"), row("C2")[:-1], row("C3") + ["more"]
    stray = "\"C4,stray quote" + ",x" * 17
    claims.put("hospital1_2024-03.csv", text([good, short, long]) + stray + "\n" + ",".join(row("C5")) + "\n")
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C5"]
    assert claims.rows("SELECT line, rule, state FROM dq.quarantine ORDER BY line") == [
        (3, "field_count", "open"), (4, "field_count", "open"), (5, "line_unreadable", "open")]
    assert claims.file("hospital1_2024-03.csv")["rows_quarantined"] == 3


def test_bytes_that_are_no_text_harm_nothing(claims):
    content = text([row("C1", payer="Ren\u00e9"), row("C2"), row("C\0003")]).encode("latin-1")
    claims.put("hospital1_2024-03.csv", content)
    claims.once()
    assert claims.rows("SELECT source_claim_id, 'text_repaired' = ANY(dq_flags) FROM silver.claims ORDER BY 1") == [
        ("C1", True), ("C2", False)]
    assert claims.rows("SELECT line, rule FROM dq.quarantine") == [(4, "line_unreadable")]


def test_of_a_cut_file_the_cut_line_is_held_and_the_whole_file_adds_the_rest(claims):
    whole = text([row("C1"), row("C2"), row("C3")])
    claims.put("hospital1_2024-03.csv", whole[:-60])
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2"]
    entry = claims.file("hospital1_2024-03.csv")
    assert entry["state"] == "done" and "cut" in entry["error"]
    assert claims.rows("SELECT line, rule FROM dq.quarantine") == [(4, "line_cut")]
    assert claims.rows("SELECT count(*) FROM ops.alert WHERE kind = 'file_cut'") == [(1,)]
    claims.put("hospital1_2024-03.csv", whole)
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2", "C3"]
    assert claims.file("hospital1_2024-03.csv")["rows_same"] == 2


def test_columns_stand_in_any_order_and_extra_ones_are_kept(claims):
    order = [*reversed(range(len(COLUMNS)))]
    columns = ["Remark", *(COLUMNS[i] for i in order)]
    claims.put("hospital1_2024-03.csv", "\ufeff" + text([["hello", *(row("C1")[i] for i in order)]], columns))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1"]
    assert claims.rows('SELECT "Remark", "ClaimID" FROM bronze.claims__monthly') == [("hello", "C1")]


@pytest.mark.parametrize("name, content, sentence", [
    ("hospital1_bad.csv", text([row("C1")]).replace("PaidAmount", "PayedAmount"), ("PaidAmount", "PayedAmount")),
    ("hospital1_empty.csv", "", ("the file is empty",)),
    ("hospital1_wide.csv", text([row("C1")]).encode("utf-16-le"), ("UTF-16",)),
    ("hospital1_headless.csv", text([row("C2")], row("C1")), ("line 1 is no header of claims.monthly",)),
    ("hospital3.csv", text([row("C1")]), ("no pattern",)),
    ("hospital1_both_1.csv", text([row("C1")]), ("two patterns", "hospital1_*.csv", "*_both_*.csv")),
], ids=["missing column", "empty", "utf-16", "no header", "no pattern", "two patterns"])
def test_a_file_that_is_no_good_is_refused_with_a_sentence(claims, name, content, sentence):
    claims.put(name, content)
    claims.put("hospital1_good.csv", text([row("C9")]))
    claims.once()
    entry = claims.file(name)
    assert entry["state"] == "failed" and all(word in entry["error"] for word in sentence), entry
    assert claims.listed("failed") == [name, name + ".report.json", name + ".report.txt"]
    with open(os.path.join(claims.drop, "failed", name + ".report.txt"), encoding="utf-8") as report:
        assert sentence[0] in report.read()
    assert [line[1] for line in claims.claims()] == ["C9"]


def test_what_is_no_file_stays_where_it_is_and_is_said_once(claims):
    os.mkdir(os.path.join(claims.drop, "folder"))
    os.mkfifo(os.path.join(claims.drop, "hospital1_fifo.csv"))
    os.symlink("/etc/hostname", os.path.join(claims.drop, "hospital1_link.csv"))
    claims.once()
    claims.once()
    assert claims.rows("SELECT name, error FROM ops.file ORDER BY name") == [
        ("folder", "a directory is not taken; put its files here"),
        ("hospital1_fifo.csv", "not a regular file"),
        ("hospital1_link.csv", "a symbolic link is not taken; put the file itself here")]
    assert stat.S_ISFIFO(os.lstat(os.path.join(claims.drop, "hospital1_fifo.csv")).st_mode)


def test_gzip_is_unpacked(claims):
    claims.put("hospital1_2024-03.csv.gz", gzip.compress(text([row("C1"), row("C2")]).encode()))
    claims.once()
    assert [line[1] for line in claims.claims()] == ["C1", "C2"]


def test_a_missing_directory_stops_the_job_with_a_sentence(claims):
    os.rmdir(claims.drop)
    done = claims.once(expected=1)
    assert "cannot open the drop directory" in done.stderr


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_daemon_at_work_takes_a_file_when_it_is_closed_and_not_before(make_claims):
    """The interval is a day: only the directory's own events can wake the job."""
    claims = make_claims(complete_after="1h")
    claims.daemon.choose_port()
    claims.daemon._spawn()
    try:
        wait_until(lambda: claims.listed("receiving") is not None)  # the first look is over soon after
        with open(os.path.join(claims.drop, "hospital1_2024-03.csv"), "w", encoding="utf-8") as file:
            file.write(text([row("C1")]))
            file.flush()
            claims.put(".hospital1_2024-04.csv.tmp", text([row("C2")]))
            os.rename(os.path.join(claims.drop, ".hospital1_2024-04.csv.tmp"),
                      os.path.join(claims.drop, "hospital1_2024-04.csv"))
            wait_until(lambda: "hospital1_2024-04.csv" in (claims.listed("done") or ()))
            wait_until(lambda: claims.file("hospital1_2024-03.csv")["state"] == "seen")
            file.write(",".join(row("C3")) + "\n")
        wait_until(lambda: "hospital1_2024-03.csv" in claims.listed("done"))
        assert [line[1] for line in claims.claims()] == ["C1", "C2", "C3"]
    finally:
        claims.daemon.stop()


POINTS = ["receive.after_seen", "receive.after_rename", "receive.after_hash", "receive.after_detected", "receive.after_begin",
          "receive.after_page", "receive.after_page:3", "receive.before_done", "receive.before_done:2", "receive.after_failed",
          "receive.after_done", "page.after_decided:2", "page.before_commit:2", "page.after_commit"]


@pytest.fixture(scope="module")
def undisturbed():
    return {}


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_ends_in_the_same_state(make_claims, undisturbed, point):
    """Pages of seven rows; a cut file and a refused one are among them."""
    def fill(claims):
        for name, content in itertools.islice(files_of_many_months(), 3):
            claims.put(name, content)
        claims.put("hospital1_cut.csv", text([row("X1"), row("X2")])[:-40])
        claims.put("hospital1_refused.csv", "nothing\n")

    def state(claims):
        entries = claims.rows("SELECT name, state, error, rows_read, rows_new, rows_corrected, rows_same, "
                              "rows_quarantined, detected FROM ops.file ORDER BY name, state")
        return claims.dump(dump.KILL), entries, claims.listed("done"), claims.listed("failed"), claims.listed("receiving")

    if not undisturbed:
        calm = make_claims(page_rows=7)
        fill(calm)
        calm.once()
        undisturbed["state"] = state(calm)
    claims = make_claims(page_rows=7)
    fill(claims)
    assert claims.daemon.once(timeout=120, REVCYCLED_FAILPOINT=point).returncode == -9
    claims.once()
    assert state(claims) == undisturbed["state"]


def twin(claim, of, status, **columns):
    """Another claim that says what that one says."""
    fields = row(claim, "2024-07-01", status, **columns)
    return [fields[0], "T" + of, *fields[2:]]


SHOWN_CLAIMS = "source_claim_id, iteration, is_final, claim_status, paid_amount::text, file_id, line"


def test_what_was_known_of_claims_at_an_instant(claims):
    """Iterations that come, are renumbered by a late one, corrected and revived; settle writes in all of them."""
    steps = {"hospital1_2024-03.csv": [row("C1", "2024-03-01", "Pending"), row("C2", "2024-03-01", "Pending")],
             "hospital1_2024-05.csv": [row("C1", "2024-05-01", "Paid", "90.00"), row("C3", "2024-05-01", "Denied")],
             "hospital1_2024-04.csv": [row("C1", "2024-04-01", "Denied"), row("C2", "2024-04-01", "Pending", amount="120.00")],
             "hospital1_2024-06.csv": [row("C1", "2024-06-01", "Paid", "90.00", patient="P2"),
                                       row("C3", "2024-06-01", "Denied", patient="P2")],
             "hospital1_2024-02.csv": [row("C3", "2024-02-01", "Paid", "5.00"), row("C2", "2024-02-01", "Denied")],
             # of equal content: settle flags the older ones, long after they were placed
             "hospital1_2024-07.csv": [twin("C9", "C2", "Pending", amount="120.00"), twin("C8", "C3", "Denied", patient="P2")],
             "hospital1_2024-08.csv": [row("C2", "2024-08-01", "Paid", "1.00"), row("C3", "2024-08-01", "Denied", patient="P3")]}
    record = [(claims.rows("SELECT clock_timestamp()")[0][0], [])]

    def remap():
        """By another map, which cleans every delivery again."""
        with open(claims.daemon.config, encoding="utf-8") as file:
            config = file.read()
        with open(claims.daemon.config, "w", encoding="utf-8") as file:
            file.write(config.replace("paid_amount: PaidAmount", "paid_amount: ClaimAmount"))
    for name, rows in [*steps.items(), ("", None)]:
        if name:
            claims.put(name, text(rows))
        else:
            remap()
        claims.once()
        record.append((claims.rows("SELECT clock_timestamp()")[0][0],
                       sorted(claims.rows(f"SELECT {SHOWN_CLAIMS} FROM silver.claims"))))
    assert claims.rows("SELECT source_claim_id, count(*) FROM silver.claims_past WHERE 'possible_duplicate' = ANY (dq_flags) "
                       "GROUP BY 1 ORDER BY 1")[:2] == [("C2", 1), ("C3", 1)]
    assert record[-1][1] != record[-2][1]
    for instant, expected in record:
        assert sorted(claims.rows(f"SELECT {SHOWN_CLAIMS} FROM silver.claims_known_at('{instant.isoformat()}')")) == expected
