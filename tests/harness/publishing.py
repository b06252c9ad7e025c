"""A database, a dataset of its own project, and the tool that runs the publish step between them."""
import os
import subprocess

from .bigquery import BigQuery
from .postgres import ask


class Publishing:
    """One database, one dataset of its own project, and the tool that runs the step."""

    def __init__(self, build, postgres, database, proxy, project):
        self.tool = os.path.join(build, "publish_tool")
        self.postgres, self.password = postgres, postgres.password("revcycled")
        self.proxy = proxy
        self.project = project
        self.bigquery = BigQuery(proxy.endpoint, project)
        self.batch = 0
        self.backups = []
        self.use(database)

    def use(self, database):
        self.database, self.dsn = database, self.postgres.dsn(database)
        self.link = self.postgres.connect(database)
        self.link.autocommit = True

    def backup(self):
        """The database as it is now, under another name."""
        self.link.close()
        self.backups.append(self.postgres.create_database(f"{self.database}_{len(self.backups)}", self.database))
        self.use(self.database)
        return self.backups[-1]

    def restore(self, backup):
        """From now on the backup is the database."""
        self.link.close()
        self.use(backup)

    def end(self):
        self.link.close()
        for backup in self.backups:
            self.postgres.drop_database(backup)

    def sql(self, statement, *values):
        return ask(self.link, statement, *values)

    def new_batch(self):
        self.batch = self.sql("SELECT nextval('ops.batch_id_seq')")[0][0]
        self.sql("INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined) "
                 "VALUES (%s, 'hospital_a.transactions', 1, 1, 0)", self.batch)
        return self.batch

    def transaction(self, key, day, amount="10.00", **more):
        columns = {"transaction_key": key, "source_system": "hospital_a",
                   "source_transaction_id": f"T{key}", "service_date": day, "amount": amount,
                   "paid_amount": "1.05", "dq_flags": [], "batch_id": self.batch, **more}
        names = ", ".join(columns)
        places = ", ".join(["%s"] * len(columns))
        self.sql(f"DELETE FROM silver.transactions WHERE transaction_key = {key}")
        self.sql(f"INSERT INTO silver.transactions ({names}) VALUES ({places})", *columns.values())

    def move(self, key, old, new, **more):
        """As place does it: the row anew, and where it was last published."""
        self.new_batch()
        self.sql("INSERT INTO ops.moved (table_name, key, old_date, batch_id) VALUES ('transactions', %s, %s, %s)",
                 key, old, self.batch)
        self.transaction(key, new, **more)

    def run(self, profile="limited", *arguments, failpoint=None):
        environment = {**os.environ, "PGPASSWORD": self.password}
        if failpoint:
            environment["REVCYCLED_FAILPOINT"] = failpoint
        return subprocess.run([self.tool, self.dsn, self.proxy.endpoint, self.project, profile, *arguments],
                              env=environment, capture_output=True, text=True, timeout=120)

    def publish(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done

    def states(self):
        return [row[0] for row in self.sql("SELECT state FROM ops.publication ORDER BY publication_id")]

    def facts(self):
        """What stands in BigQuery: key, service date, amount."""
        rows = self.bigquery.rows("SELECT transaction_key, service_date, amount FROM "
                                  f"`{self.project}.healthcare_rcm.fact_transactions` ORDER BY 1, 2")
        return [(int(row["transaction_key"]), row["service_date"], float(row["amount"])) for row in rows]

    def published(self):
        return int(self.bigquery.value(f"SELECT COUNT(*) FROM `{self.project}.healthcare_rcm._publications`"))


def fill(publishing, n=3):
    """So many transactions, one a month."""
    publishing.new_batch()
    for key in range(1, n + 1):
        publishing.transaction(key, f"2024-0{key % 9 + 1}-15", amount=f"{key}.25")


def a_day_later(publishing):
    publishing.sql("UPDATE ops.publication SET finished_at = finished_at - interval '25 hours'")
    publishing.sql("UPDATE ops.reconciliation SET finished_at = finished_at - interval '25 hours'")
