"""scripts/bench: revcycled against the bare C loop, in one run, on the same servers and rows.

Each figure is the best of several rounds; every round starts from empty tables. Wall time, CPU time of
the process itself come from wait4, its peak resident size from the kernel's high-water mark; times of single jobs from the table
that --once prints. The servers' CPU is theirs and not in these columns.
"""
import argparse
import csv
import datetime
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import time

import yaml

from . import loader, names, sample, settings
from .mariadb import MariaDB
from .postgres import Postgres

DATABASE, STORE = "hospital_a_db", "revcycle"
BEGIN = datetime.datetime(2023, 1, 1)
CHANGED_AT = "2025-06-01 12:00:00.000000"


def write_transactions(path, rows):
    """One table of 21 columns, in key order; no other table: what is measured is the way of a row."""
    rng = random.Random(1)
    day = [(sample.FIRST_DAY + datetime.timedelta(days=i)).isoformat() for i in range(sample.DAYS)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["txn_id", "enc_id", "pat_id", "clin_id", "dept_id", "visit_date", "service_date", "paid_date",
                      "visit_type", "amount", "amount_type", "paid_amount", "claim_no", "payer_code", "cpt", "icd10",
                      "line_of_business", "medicaid_no", "medicare_no", "created_at", "updated_at"])
        for number in range(1, rows + 1):
            service, amount = rng.randrange(sample.DAYS - 30), rng.randrange(2000, 500000)
            moment = (BEGIN + datetime.timedelta(seconds=number * 20)).strftime("%Y-%m-%d %H:%M:%S.%f")
            out.writerow([
                f"T{number:09}", f"E{rng.randrange(rows // 2 + 1):08}", f"A-{rng.randrange(rows // 5 + 1):07}",
                f"DR-{rng.randrange(500):04}", f"D{rng.randrange(12):02}", day[service], day[service],
                day[service + rng.randrange(30)], "Routine", f"{amount / 100:.2f}", "Insurance",
                f"{amount * 8 // 10 / 100:.2f}", f"CA{number:08}", rng.choice(names.PAYERS),
                rng.choice(names.PROCEDURES), rng.choice(names.DIAGNOSES), "Commercial", f"MD{number % 90000}",
                f"MC{number % 90000}", moment, moment])


def peak_resident(pid):
    """MiB. Not ru_maxrss: that remembers the size of the process that forked."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = re.search(r"VmHWM:\s+(\d+)", status.read())
            return int(found.group(1)) / 1024 if found else 0.0
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def measured(command):
    """(seconds of wall, seconds of CPU, peak MiB, output)"""
    with tempfile.TemporaryFile("w+") as out:
        begun, peak = time.monotonic(), 0.0
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        handle = os.pidfd_open(child.pid)
        while not select.select([handle], [], [], 0.02)[0]:
            peak = max(peak, peak_resident(child.pid))
        os.close(handle)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode != 0:
            raise RuntimeError(f"{os.path.basename(command[0])} ended with {child.returncode}")
        return wall, usage.ru_utime + usage.ru_stime, peak, out.read()


def job_seconds(output, job):
    """The time of one job in the table of --once, or None."""
    found = re.search(rf"^{re.escape(job)}\s.*?(\d+)$", output, re.M)
    return int(found.group(1)) / 1000 if found else None


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.mysql = MariaDB(os.path.join(directory, "mariadb"), options=("--innodb-buffer-pool-size=1G",))
        self.store = Postgres(os.path.join(directory, "postgresql"))
        self.config = os.path.join(directory, "revcycled.yaml")
        self.results = []

    def prepare(self):
        folder = os.path.join(self.directory, "hospital-a")
        os.makedirs(folder)
        table = re.search(r"CREATE TABLE billing_transaction .*", sample.SCHEMA_A, re.S).group(0)
        with open(os.path.join(folder, "schema.sql"), "w", encoding="utf-8") as file:
            file.write(table)
        print(f"making {self.options.rows:,} transactions", file=sys.stderr)
        write_transactions(os.path.join(folder, "billing_transaction.csv"), self.options.rows)
        self.mysql.start()
        self.store.start()
        loader.load_hospital(self.mysql, self.directory, "hospital_a", DATABASE)
        self.write_config()

    def write_config(self):
        drop = os.path.join(self.directory, "claims")
        os.makedirs(drop, exist_ok=True)
        values = settings.values(self.mysql, self.store, "http://127.0.0.1:1", "none", self.directory, STORE, drop, 0)
        settings.write_config(sample.TEMPLATE, self.config, values)
        with open(self.config, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        feeds = config["sources"]["hospital_a"]["feeds"]
        config["sources"] = {"hospital_a": {**config["sources"]["hospital_a"],
                                            "feeds": {"transactions": feeds["transactions"]}}}
        for part in ("bigquery", "claims"):
            config.pop(part)
        with open(self.config, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file, sort_keys=False)

    def pipe(self, verb, *more):
        dsn = f"{self.store.dsn(STORE, 'postgres')} password={self.store.password('postgres')}"
        return measured([self.options.cpipe, verb, "127.0.0.1", str(self.mysql.port), "revcycle_ro",
                         self.mysql.password("revcycle_ro"), DATABASE, dsn, *more])

    def once(self):
        return measured([self.options.binary, "--config", self.config, "--once"])

    def change(self):
        """One row in a hundred, at one instant that both programs can ask for."""
        self.mysql.execute(f"UPDATE billing_transaction SET paid_amount = paid_amount + 1, updated_at = '{CHANGED_AT}' "
                           "WHERE MOD(CAST(SUBSTR(txn_id, 2) AS UNSIGNED), 100) = 0", database=DATABASE)

    def round(self):
        """Every figure once, from empty tables."""
        self.store.drop_database(STORE)
        self.store.create_database(STORE)
        loaded = self.pipe("load")
        measured([self.options.binary, "--config", self.config, "migrate"])
        first = self.once()
        quiet = self.once()
        self.change()
        changed = self.once()
        piped = self.pipe("change", CHANGED_AT)
        return {"C pipe, first load": loaded, "revcycled, first load": first, "revcycled, nothing changed": quiet,
                "revcycled, 1 % changed": changed, "C pipe, 1 % changed": piped}

    def run(self):
        self.prepare()
        best = {}
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}", file=sys.stderr)
            for name, result in self.round().items():
                if name not in best or result[0] < best[name][0]:
                    best[name] = result
            self.mysql.execute("UPDATE billing_transaction SET paid_amount = paid_amount - 1, updated_at = created_at "
                               f"WHERE updated_at = '{CHANGED_AT}'", database=DATABASE)
        self.show(best)

    def show(self, best):
        rows = self.options.rows
        print(f"\n{rows:,} transactions of 21 columns, best of {self.options.rounds}\n")
        print(f"{'work':30} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9}")
        for name, (wall, cpu, peak, _) in best.items():
            print(f"{name:30} {wall:8.2f} {cpu:8.2f} {peak:9.1f}")
        first = best["revcycled, first load"]
        extract = job_seconds(first[3], "hospital_a.transactions")
        settle = job_seconds(first[3], "settle")
        print(f"\n{'ratio':52} {'measured':>9} {'at least':>9}")
        if extract:
            print(f"{'first load: rate against the C pipe':52} {best['C pipe, first load'][0] / extract:9.2f} {0.4:9.2f}")
            if settle:
                print(f"{'settle: share of the first load' :52} {settle / extract:9.2f} {0.2:9.2f}")
        print(f"{'1 % changed: seconds':52} {best['revcycled, 1 % changed'][0]:9.2f} {0.5:9.2f}")
        print(f"{'1 % changed: against the C pipe':52} "
              f"{best['revcycled, 1 % changed'][0] / best['C pipe, 1 % changed'][0]:9.2f} {1.0:9.2f}")
        print(f"{'peak resident MiB':52} {first[2]:9.1f} {32.0:9.1f}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cpipe", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    bench = Bench(options, tempfile.mkdtemp(dir=options.scratch))
    try:
        bench.run()
    finally:
        bench.mysql.stop()
        bench.store.stop()


if __name__ == "__main__":
    main()
