"""A private MariaDB on a loopback port, its data under a state directory, TLS offered.

Accounts: `root` (the harness's own), `revcycle_ro` (the daemon's: SELECT, and PROCESS, which the
cursor rule needs) and `hospital` (writes into the hospitals' databases, to play the hospital).
"""
import glob
import os
import re

import pymysql

from .process import Server, ServerFailed, as_account, own, run_quietly, secret

BINARY = "/usr/sbin/mariadbd"
INSTALL = "/usr/bin/mariadb-install-db"
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
ZONE = "America/Chicago"  # of the server's clock, and so of its DATETIME and DATE columns


class MariaDB(Server):
    name = "MariaDB"
    accounts = ("mysql", "postgres")
    zone = ZONE

    def __init__(self, directory, outlive=False, options=()):
        super().__init__(directory, outlive)
        self.data = os.path.join(self.directory, "data")
        self.tls = os.path.join(self.directory, "tls")
        self.options = list(options)

    def password(self, name):
        return secret(self.password_file(name))

    def password_file(self, name):
        path = os.path.join(self.directory, f"{name}.password")
        secret(path)
        return path

    def ca_file(self):
        return os.path.join(self.tls, "ca.pem")

    def prepare(self):
        if not os.path.exists(BINARY):
            raise ServerFailed("MariaDB is not installed; run scripts/deps")
        own(self.user, self.scratch())
        done = os.path.join(self.directory, "installed")
        if os.path.exists(done):
            return
        self._make_certificates()
        own(self.user, self.data)
        run_quietly(["find", self.data, "-mindepth", "1", "-delete"], "cannot empty the data directory")
        run_quietly(
            as_account(self.user, [
                INSTALL, "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--skip-name-resolve"]),
            "mariadb-install-db failed", cwd=self.directory, env=self.environment())
        self._make_accounts()
        with open(done, "w", encoding="ascii"):
            pass

    def _make_accounts(self):
        """Before the server listens for the first time: there is no moment without a password."""
        root, reader, writer = (self.password(name) for name in ("root", "revcycle_ro", "hospital"))
        statements = (
            "FLUSH PRIVILEGES;\n"
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{root}';\n"
            f"CREATE OR REPLACE USER 'root'@'127.0.0.1' IDENTIFIED BY '{root}';\n"
            "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
            f"CREATE OR REPLACE USER 'revcycle_ro'@'127.0.0.1' IDENTIFIED BY '{reader}';\n"
            "GRANT PROCESS ON *.* TO 'revcycle_ro'@'127.0.0.1';\n"
            f"CREATE OR REPLACE USER 'hospital'@'127.0.0.1' IDENTIFIED BY '{writer}';\n"
            "GRANT PROCESS, CONNECTION ADMIN ON *.* TO 'hospital'@'127.0.0.1';\n")
        run_quietly(
            as_account(self.user, [BINARY, "--no-defaults", f"--datadir={self.data}", "--bootstrap",
                                   "--skip-name-resolve", "--log-warnings=0"]),
            "making MariaDB's accounts failed", cwd=self.directory, env=self.environment(),
            input=statements)

    def _make_certificates(self):
        """A certificate authority of one day's use, and the server's certificate for 127.0.0.1."""
        own(self.user, self.tls)
        extensions = os.path.join(self.tls, "extensions")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new_key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run_quietly([*new_key, "-x509", "-days", "3650", "-subj", "/CN=revcycled test authority",
                     "-keyout", "ca-key.pem", "-out", "ca.pem"], "openssl failed", cwd=self.tls)
        run_quietly([*new_key, "-subj", "/CN=127.0.0.1", "-keyout", "server-key.pem",
                     "-out", "server.csr"], "openssl failed", cwd=self.tls)
        run_quietly(["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey",
                     "ca-key.pem", "-CAcreateserial", "-days", "3650", "-out", "server.pem",
                     "-extfile", "extensions"], "openssl failed", cwd=self.tls)
        if self.user is not None:
            for name in os.listdir(self.tls):
                os.chown(os.path.join(self.tls, name), self.user.pw_uid, self.user.pw_gid)

    def command(self):
        return [BINARY, "--no-defaults", f"--datadir={self.data}", f"--port={self.port}",
                "--bind-address=127.0.0.1", "--socket=mysql.sock", "--pid-file=mysql.pid",
                "--skip-name-resolve", "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci", "--innodb-buffer-pool-size=256M",
                "--innodb-log-file-size=96M", "--max-connections=200", "--local-infile=1",
                "--performance-schema=OFF",
                f"--ssl-ca={self.ca_file()}", f"--ssl-cert={self.tls}/server.pem",
                f"--ssl-key={self.tls}/server-key.pem", *self.options]

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TZ": ZONE, "TMPDIR": self.scratch()}

    def scratch(self):
        """A server that starts deletes the temporary tables of every other one that shares its directory for them."""
        return os.path.join(self.directory, "tmp")

    def is_ready(self):
        try:
            self.connect().close()
            return True
        except pymysql.err.OperationalError as error:
            if error.args[0] == 1045:
                raise ServerFailed(f"{self.name} on port {self.port} is not ours") from error
            return False

    def connect(self, database=None, user="root", **options):
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=self.password(user),
            database=database, charset="utf8mb4", autocommit=True, local_infile=True,
            connect_timeout=5, **options)

    def execute(self, *statements, database=None):
        link = self.connect(database)
        try:
            with link.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            link.close()

    def create_database(self, name):
        """An empty database of a hospital: the daemon's account reads it, `hospital` may all."""
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise ValueError(f"not a database name: {name}")
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
                     f"GRANT SELECT ON {name}.* TO 'revcycle_ro'@'127.0.0.1'",
                     f"GRANT ALL ON {name}.* TO 'hospital'@'127.0.0.1'")
        return name

    def copy_database(self, origin, name):
        """A copy for one test: definitions as they stand, rows in bulk."""
        self.create_database(name)
        link = self.connect(name)
        try:
            with link.cursor() as cursor:
                cursor.execute(f"SHOW TABLES FROM {origin}")
                for (table,) in cursor.fetchall():
                    cursor.execute(f"CREATE TABLE `{table}` LIKE {origin}.`{table}`")
                    cursor.execute(f"INSERT INTO `{table}` SELECT * FROM {origin}.`{table}`")
        finally:
            link.close()
        return name

    def drop_database(self, name):
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise ValueError(f"not a database name: {name}")
        self.execute(f"DROP DATABASE IF EXISTS {name}")

    def has_database(self, name):
        link = self.connect()
        try:
            with link.cursor() as cursor:
                cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,))
                return cursor.fetchone() is not None
        finally:
            link.close()


class SteppedMariaDB(MariaDB):
    """One whose clock a test sets while it runs: libfaketime looks into a file whenever it is asked the time."""

    def __init__(self, directory, outlive=False, options=()):
        super().__init__(directory, outlive, options)
        self.clock = os.path.join(self.directory, "clock")

    def environment(self):
        return {**super().environment(), "LD_PRELOAD": glob.glob(FAKETIME)[0], "FAKETIME_TIMESTAMP_FILE": self.clock,
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def prepare(self):
        self.step(0)
        super().prepare()

    def step(self, seconds):
        """From now on it is so far ahead of ours."""
        with open(self.clock + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.chmod(self.clock + ".new", 0o644)
        os.replace(self.clock + ".new", self.clock)
