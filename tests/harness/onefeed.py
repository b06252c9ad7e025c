"""A hospital of one table and a daemon that reads it, for tests about one table's peculiarities.

No BigQuery, no claims. `server` is a MariaDB or a MySQL; the table stands in a database of its own.
"""
import contextlib
import os

import yaml

from .daemon import Daemon
from .settings import write_passfile


class OneFeed:
    """`feed` is the feed's configuration as a dictionary; its name is h.f, its table `t`."""

    def __init__(self, server, store, database, binary, directory, feed, environment=None):
        self.server, self.store, self.database = server, store, database
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.hospital = server.create_database(f"h{database[-8:]}")
        self.config = os.path.join(self.directory, "revcycled.yaml")
        self.daemon = Daemon(os.path.join(self.directory, "daemon"), binary, self.config, environment)
        self.daemon.choose_port()
        self.feed = {"table": "t", "every": "200ms", **feed}
        self.source, self.top = {}, {}  # further settings of the source, and of the whole
        self.write()

    def write(self, **changes):
        """The configuration, with other settings of the feed; None takes one out."""
        self.feed = {key: value for key, value in {**self.feed, **changes}.items() if value is not None}
        passfile = write_passfile(os.path.join(self.directory, "pgpass"), self.store, "revcycled")
        source = {
            "kind": "mysql", "host": "127.0.0.1", "port": self.server.port, "database": self.hospital,
            "user": "revcycle_ro", "password_file": self.server.password_file("revcycle_ro"), "tls": "required",
            "tls_ca": self.server.ca_file(), "timezone": self.server.zone, "feeds": {"f": self.feed},
            **self.source}
        document = {"server": {"listen": f"127.0.0.1:{self.daemon.port}"},
                    "store": {"dsn": f"{self.store.dsn(self.database)} passfile={passfile}"},
                    "workers": 2, "timezone": "America/New_York", "sources": {"h": source}, **self.top}
        with os.fdopen(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            yaml.safe_dump(document, file, sort_keys=False)

    def end(self):
        self.daemon.stop()
        self.server.drop_database(self.hospital)

    def play(self, *statements, mode=""):
        """Statements of the hospital's, each committed, in this sql_mode."""
        with contextlib.closing(self.server.connect(self.hospital)) as link, link.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", (mode,))
            for statement in statements:
                statement, values = statement if isinstance(statement, tuple) else (statement, None)
                cursor.execute(statement, values)

    def once(self, expect=0):
        done = self.daemon.once(timeout=120)
        assert done.returncode == expect, (done.stdout[-2000:], done.stderr[-3000:])
        return done

    def rows(self, statement, *parameters):
        return self.store.ask(self.database, statement, *parameters)

    def value(self, statement, *parameters):
        return self.rows(statement, *parameters)[0][0]

    def bronze(self):
        """Every raw row as a dictionary by the source's columns, in the order they came."""
        schemas = dict(self.rows("SELECT schema_id, columns FROM ops.feed_schema WHERE feed = 'h.f'"))
        return [dict(zip(schemas[schema], map(_unescape, raw.split("\t"))))
                for schema, raw in self.rows('SELECT schema_id, raw FROM bronze."h__f_raw" ORDER BY ctid')]


def _unescape(field):
    """What COPY's escapes stand for (PostgreSQL, COPY, text format); bytes that are no text stay as \\xHH."""
    if field == "\\N":
        return None
    made, at = [], 0
    plain = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
    while at < len(field):
        if field[at] == "\\" and field[at + 1] in plain:
            made.append(plain[field[at + 1]])
            at += 2
        elif field[at] == "\\":
            made.append("\\x" + field[at + 2:at + 4])
            at += 4
        else:
            made.append(field[at])
            at += 1
    return "".join(made)
