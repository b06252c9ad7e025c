"""A private PostgreSQL on a loopback port, its data under a state directory.

Accounts: `postgres` (the harness's own), `revcycle_owner` (migrates), `revcycled` (the daemon's)
and `inspector` (reads everything). Passwords are files beside the data.
"""
import contextlib
import glob
import hashlib
import os
import re
import signal

import psycopg2
import psycopg2.extensions

from .process import Server, ServerFailed, as_account, own, run_quietly, secret
from .settings import ROOT

ACCOUNTS = ("postgres", "revcycle_owner", "revcycled", "inspector")
OLDEST = 15


def binary_directory(version=None):
    """Where Debian keeps the newest PostgreSQL, or this version. Never what PATH happens to say."""
    found = {}
    for path in glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        number = int(path.split("/")[4])
        found[number] = os.path.dirname(path)
    wanted = version or max(found, default=0)
    if wanted < OLDEST or wanted not in found:
        raise ServerFailed(f"PostgreSQL {version or OLDEST} is not installed; run scripts/deps")
    return found[wanted]


def ask(link, statement, *values):
    """The rows; of what returns none, how many it touched."""
    with link.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else cursor.rowcount


class Postgres(Server):
    name = "PostgreSQL"
    accounts = ("postgres",)
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint

    def __init__(self, directory, outlive=False, settings=None, by_socket=False):
        """By its socket programs come as those of an installation do; it lies with the data, which is nobody else's."""
        super().__init__(directory, outlive)
        self.data = os.path.join(self.directory, "data")
        self.host = self.data if by_socket else "127.0.0.1"
        self.settings = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": self.data if by_socket else "",
            "max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "4GB",
            "timezone": "UTC", "log_timezone": "UTC", "lc_messages": "C",
            **(settings or {})}

    def password(self, name):
        """One for the superuser, one for all others: who sourced the demo's env has PGPASSWORD set, and
        libpq lets that go before a DSN's passfile."""
        return secret(self._password_path(name))

    def _password_path(self, name):
        return os.path.join(self.directory, "postgres.password" if name == "postgres" else "accounts.password")

    def prepare(self):
        """initdb, and the accounts. The version file is initdb's last word: without it the
        directory is the rest of an attempt that was cut short."""
        if os.path.exists(os.path.join(self.data, "PG_VERSION")) and os.path.exists(self._done_file()):
            return
        own(self.user, self.data)
        run_quietly(["find", self.data, "-mindepth", "1", "-delete"], "cannot empty the data directory")
        binaries = binary_directory()
        self.password("postgres")
        run_quietly(
            as_account(self.user, [
                os.path.join(binaries, "initdb"), "-D", self.data, "-U", "postgres",
                "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync",
                f"--pwfile={os.path.join(self.directory, 'postgres.password')}"]),
            "initdb failed", cwd=self.directory)

    def _done_file(self):
        return os.path.join(self.directory, "accounts-made")

    def command(self):
        with open(os.path.join(self.data, "PG_VERSION"), encoding="ascii") as file:
            binaries = binary_directory(int(file.read()))
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        return [os.path.join(binaries, "postgres"), "-D", self.data, f"-p{self.port}", *options]

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}

    def is_ready(self):
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error):
                raise ServerFailed(f"{self.name} on port {self.port} is not ours") from error
            return False

    def start(self):
        super().start()
        if not os.path.exists(self._done_file()):
            self._make_accounts()
        return self

    def _make_accounts(self):
        """As an administrator would: the owner's account, the daemon's, and the two group roles that
        the migrations grant to (storage/sql/migrations, roles)."""
        with self.connect("postgres") as link, link.cursor() as cursor:
            rights = {"revcycle_owner": "CREATEROLE", "revcycled": "", "inspector": ""}
            for name, right in rights.items():
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
                verb = "ALTER" if cursor.fetchone() else "CREATE"
                cursor.execute(f"{verb} ROLE {name} LOGIN {right} PASSWORD %s", (self.password(name),))
            for group in ("revcycle_daemon", "revcycle_reader"):
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (group,))
                if not cursor.fetchone():
                    cursor.execute(f"CREATE ROLE {group} NOLOGIN")
            cursor.execute("GRANT revcycle_daemon TO revcycled")
            cursor.execute("GRANT pg_read_all_data, pg_monitor TO inspector")
        link.close()
        with open(self._done_file(), "w", encoding="ascii"):
            pass

    # -- for tests and the demo

    def connect(self, database, user="postgres"):
        return psycopg2.connect(host="127.0.0.1", port=self.port, dbname=database, user=user,
                                password=self.password(user), connect_timeout=5)

    def dsn(self, database, user="revcycled"):
        """Without the password: settings.write_passfile() puts that into a file for libpq."""
        return f"host={self.host} port={self.port} dbname={database} user={user}"

    def ask(self, database, statement, *values):
        """As the harness's superuser, in a transaction of its own."""
        with contextlib.closing(self.connect(database)) as link, link:
            return ask(link, statement, *values)

    def execute(self, statement, database="postgres"):
        link = self.connect(database)
        try:
            link.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with link.cursor() as cursor:
                cursor.execute(statement)
        finally:
            link.close()

    def create_database(self, name, template="template1"):
        """A database of the owner's; from a template it is a copy, whole, in a fraction of a second."""
        for part in (name, template):
            if not re.fullmatch(r"[a-z0-9_]+", part):
                raise ValueError(f"not a database name: {part}")
        self.execute(f"CREATE DATABASE {name} OWNER revcycle_owner TEMPLATE {template}")
        return name

    def drop_database(self, name):
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise ValueError(f"not a database name: {name}")
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def has_database(self, name):
        with self.connect("postgres") as link, link.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            return cursor.fetchone() is not None

    def apply_migrations(self, database, upto=None):
        """storage/sql/migrations in their order, as the owner, recorded as `revcycled migrate` does:
        for tests that need the schemas and not the daemon. With `upto` those of smaller names alone; again: the others."""
        folder = os.path.join(ROOT, "storage", "sql")
        with open(os.path.join(folder, "migrate.sql"), encoding="utf-8") as file:
            ledger = re.search(r"-- name: migrate_ledger\n(.*?)(?=\n-- name|\Z)", file.read(), re.S).group(1)
        link = self.connect(database, "revcycle_owner")
        with link, link.cursor() as cursor:
            cursor.execute(ledger)
            cursor.execute("SELECT name || '.sql' FROM public.revcycle_migration")
            applied = {name for name, in cursor.fetchall()}
            for name in sorted(set(os.listdir(os.path.join(folder, "migrations"))) - applied):
                if upto and name > upto:
                    break
                with open(os.path.join(folder, "migrations", name), encoding="utf-8") as file:
                    text = file.read().strip()
                cursor.execute(text)
                cursor.execute("INSERT INTO public.revcycle_migration (name, sha256) VALUES (%s, %s)",
                               (name[:-4], hashlib.sha256(text.encode()).hexdigest()))
        link.close()
