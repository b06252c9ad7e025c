"""A claims desk: one drop directory for claims as CSV, one for X12, a database, and the daemon over all.

Files of months come from the tests; what becomes of their claims is worked out here from the files alone.
"""
import contextlib
import os
import re

from . import dump, settings
from .daemon import Daemon

CONFIG = """
server: {{ listen: {socket} }}
store: {{ dsn: "{dsn}" }}
timezone: America/New_York
sources:
  hospital_a: {{ kind: files, timezone: America/Chicago }}
  hospital_b: {{ kind: files, timezone: America/New_York }}
claims:
  monthly:
    kind: files
    directory: {drop}
    format: csv
    entity: claims
    every: 1d
    complete_after: 1s
    from: [ {{pattern: "hospital1_*.csv", source: hospital_a}}, {{pattern: "hospital2_*.csv", source: hospital_b}} ]
    map: {{ source_claim_id: ClaimID, source_transaction_id: TransactionID, source_patient_id: PatientID,
           source_payer_id: PayorID, service_date: ServiceDate, claim_date: ClaimDate, claim_amount: ClaimAmount,
           paid_amount: PaidAmount, claim_status: ClaimStatus, source_modified_at: ModifiedDate }}
  remits:
    kind: files
    directory: {x12}
    format: x12
    entity: claims
    every: 1d
    complete_after: 1s
    page_rows: {page_rows}
    from: [ {{pattern: "a_*", source: hospital_a}}, {{pattern: "b_*", source: hospital_b}},
            {{pattern: "west_*", source: hospital_a, timezone: America/Los_Angeles}} ]
"""
CSV = "ClaimID,TransactionID,PatientID,PayorID,ServiceDate,ClaimDate,ClaimAmount,PaidAmount,ClaimStatus,ModifiedDate\n"


def claim(number, modified="2025-01-05", status="Pending", amount="100.00", paid="0.00", service="2025-01-02", filed="2025-01-05"):
    return f"{number},T{number},P{number},Aetna,{service},{filed},{amount},{paid},{status},{modified}\n"


class Desk:
    def __init__(self, store, database, directory, binary, page_rows=5000):
        self.store, self.database = store, database
        self.drop, self.x12 = os.path.join(directory, "drop"), os.path.join(directory, "x12")
        os.makedirs(self.drop)
        os.makedirs(self.x12)
        passfile = settings.write_passfile(os.path.join(directory, "pgpass"), store, "revcycled", "revcycle_owner")
        config = os.path.join(directory, "revcycled.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(dsn=f"{store.dsn(database)} passfile={passfile}", drop=self.drop, x12=self.x12, socket=os.path.join(directory, "api.sock"),
                                     page_rows=page_rows))
        self.daemon = Daemon(os.path.join(directory, "daemon"), binary, config)

    def put(self, name, content):
        directory = self.drop if name.endswith(".csv") else self.x12
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def once(self, expected=0, **environment):
        done = self.daemon.once(timeout=120, **environment)
        assert done.returncode == expected, (done.stdout + done.stderr)[-3000:]
        return done

    @contextlib.contextmanager
    def serving(self):
        """The daemon runs, and answers a person with a token."""
        with open(self.daemon.config, encoding="utf-8") as file:
            config = file.read()
        with open(self.daemon.config, "w", encoding="utf-8") as file:
            file.write(re.sub(r"listen: [^ ]+", f"listen: 127.0.0.1:{self.daemon.choose_port()}", config, count=1))
        self.daemon.make_token()
        self.daemon.start()
        try:
            yield self.daemon
        finally:
            self.daemon.stop()

    def report(self, name, kind):
        """What stands beside a file that is done."""
        directory = self.drop if name.endswith(".csv") else self.x12
        with open(os.path.join(directory, "done", f"{name}.report.{kind}"), encoding="utf-8") as file:
            return file.read()

    def rows(self, statement):
        with contextlib.closing(self.store.connect(self.database)) as link, link.cursor() as cursor:
            cursor.execute(statement)
            found = cursor.fetchall()
            link.commit()
            return found

    def claims(self, number=None):
        where = f"WHERE source_claim_id = '{number}'" if number else ""
        return self.rows("SELECT source_claim_id, iteration, is_final, claim_status, claim_amount::text, paid_amount::text, "
                         f"delivery_kind FROM silver.claims {where} ORDER BY source_system, 1, 2")

    def adjustments(self, number=None):
        where = f"WHERE source_claim_id = '{number}'" if number else ""
        return self.rows("SELECT source_claim_id, iteration, service_line, group_code, reason_code, position, amount::text, "
                         f"remark_codes FROM silver.adjustments {where} ORDER BY source_system, 1, 2, 3, 6")

    def file(self, name):
        names = ("state", "error", "rows_read", "rows_new", "rows_corrected", "rows_same", "rows_quarantined")
        found = self.rows(f"SELECT {', '.join(names)} FROM ops.file WHERE name = '{name}' ORDER BY file_id DESC LIMIT 1")
        return dict(zip(names, found[0])) if found else None

    def dump(self, mode=dump.ORDER):
        with contextlib.closing(self.store.connect(self.database)) as link:
            return dump.postgres(link, mode)
