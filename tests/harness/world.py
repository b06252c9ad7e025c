"""One whole world for one test: two hospitals, a store, a warehouse, a drop directory, a daemon.

A Base is a state that many tests begin with: data of two hospitals in MariaDB, a PostgreSQL database
(the schemas alone, or loaded by a run), the emulator's files, the drop directory. A World is a copy of
it, made in a second or two, that a test may do anything with.
"""
import contextlib
import os
import shutil

from . import dump, loader, settings
from .bigquery import BigQuery
from .daemon import Daemon
from .emulator import Warehouse


class Base:
    """What worlds are copied from. Names of databases begin with `name`."""

    def __init__(self, name, data, template, mysql, store, directory):
        self.name = name
        self.data = data
        self.template = template
        self.mysql = mysql
        self.store = store
        self.directory = str(directory)
        self.hospitals = tuple(f"{name}_{hospital}" for hospital in loader.HOSPITALS)
        self.database = f"{name}_store"
        self.drop = os.path.join(self.directory, "claims")
        self.emulator = os.path.join(self.directory, "bigquery")

    def fill(self, schema_template):
        """The hospitals' data as it stands, nothing of it read yet."""
        for hospital, database in zip(loader.HOSPITALS, self.hospitals):
            loader.load_hospital(self.mysql, self.data, hospital, database)
        self.store.create_database(self.database, schema_template)
        loader.drop_claims(self.data, self.drop)
        os.makedirs(self.emulator, exist_ok=True)
        return self


class World:
    def __init__(self, base, name, directory, binary, environment=None):
        self.base = base
        self.directory = str(directory)
        self.mysql, self.store = base.mysql, base.store
        self.hospitals = tuple(f"{name}_{hospital}" for hospital in loader.HOSPITALS)
        self.database = f"{name}_store"
        self.drop = os.path.join(self.directory, "claims")
        self.config = os.path.join(self.directory, "revcycled.yaml")
        self.emulator = Warehouse(os.path.join(self.directory, "bigquery"))
        self.daemon = Daemon(os.path.join(self.directory, "daemon"), binary, self.config, environment)
        self.endpoint = None
        self.name, self.extra = name, []

    # -- life

    def make(self):
        for origin, copy in zip(self.base.hospitals, self.hospitals):
            self.mysql.copy_database(origin, copy)
        self.store.create_database(self.database, self.base.database)
        os.makedirs(self.directory, exist_ok=True)
        shutil.copytree(self.base.drop, self.drop, dirs_exist_ok=True)
        if os.path.isdir(self.base.emulator):
            shutil.copytree(self.base.emulator, self.emulator.directory, symlinks=True, dirs_exist_ok=True)
            self.emulator.forget_processes()
        self.emulator.start()
        key = os.path.join(self.base.directory, "audit.key")  # what the copied trail is sealed with
        if os.path.exists(key):
            shutil.copy(key, self.directory)
        self.configure()
        return self

    def configure(self, edit=None, endpoint=None):
        """Writes the configuration; `edit` may change its text, `endpoint` put a proxy in between."""
        self.daemon.choose_port()
        self.endpoint = endpoint or self.emulator.endpoint()
        values = settings.values(self.mysql, self.store, self.endpoint, self.emulator.project, self.directory,
                                 self.database, self.drop, self.daemon.port, self.hospitals)
        settings.write_config(self.base.template, self.config, values)
        if edit:
            with open(self.config, encoding="utf-8") as file:
                text = edit(file.read())
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(text)

    def edit(self, old, new, count=1):
        """Changes the text of the configuration, as a careful person would: whole or not at all."""
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        assert old in text, old
        with open(self.config + ".new", "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, count))
        os.replace(self.config + ".new", self.config)

    def end(self):
        self.daemon.stop()
        self.emulator.kill()  # nobody reads its files any more
        self.store.drop_database(self.database)
        for database in (*self.hospitals, *self.extra):
            self.mysql.drop_database(database)

    def extra_database(self, source):
        """The name of a further hospital's database, which goes with the world."""
        name = f"{self.name}_{source}"
        if name not in self.extra:
            self.extra.append(name)
        return name

    def keep_as(self, base):
        """Makes this world's state what `base` copies from: the daemon does not run any more."""
        self.daemon.stop()
        self.emulator.stop()
        base.hospitals, base.database = self.hospitals, self.database
        base.drop, base.emulator = self.drop, self.emulator.directory
        return base

    # -- acts

    def once(self, expect=0, timeout=300, **environment):
        """A complete run; its exit code must be the expected one."""
        done = self.daemon.once(timeout=timeout, **environment)
        assert done.returncode == expect, (
            f"--once ended with {done.returncode}, not {expect}\n{done.stderr[-6000:]}")
        return done

    def hospital(self, place=0):
        """A connection that may write, to play hospital a (0) or b (1)."""
        return self.mysql.connect(self.hospitals[place], user="hospital")

    def play(self, statement, *parameters, place=0):
        """One statement of the hospital's, committed; how many rows it touched."""
        with contextlib.closing(self.hospital(place)) as link, link.cursor() as cursor:
            return cursor.execute(statement, parameters or None)

    def drop_file(self, path, name=None):
        loader.drop_file(path, self.drop, name)

    # -- questions

    def rows(self, statement, *parameters):
        """Rows of PostgreSQL, as the harness's superuser sees them."""
        return self.store.ask(self.database, statement, *parameters)

    def value(self, statement, *parameters):
        return self.rows(statement, *parameters)[0][0]

    @property
    def warehouse(self):
        return BigQuery(self.emulator.endpoint(), self.emulator.project)

    def dump(self, mode=dump.KILL, warehouse=True):
        with contextlib.closing(self.store.connect(self.database)) as link:
            return dump.whole(link, self.warehouse if warehouse else None, mode)

    def counts(self, entity):
        """{source: current rows that are not inferred}"""
        inferred = " AND NOT is_inferred" if entity in ("patients", "providers", "departments") else ""
        current = {"patients": " AND is_current", "providers": " AND is_current", "claims": " AND is_final"}
        return dict(self.rows(
            f"SELECT source_system, count(*) FROM silver.{entity} WHERE NOT is_deleted AND source_system <> ''"
            f"{inferred}{current.get(entity, '')} GROUP BY 1"))

    def flags(self, entity):
        """{flag: rows} of current rows."""
        current = {"patients": " AND is_current", "providers": " AND is_current", "claims": " AND is_final"}
        return dict(self.rows(
            f"SELECT flag, count(*) FROM silver.{entity}, unnest(dq_flags) AS flag "
            f"WHERE NOT is_deleted{current.get(entity, '')} GROUP BY 1"))


def dump_after(base, name, directory, binary, change):
    """The end of an undisturbed run after `change(world)`, in a copy of `base`."""
    world = World(base, name, directory, binary).make()
    try:
        change(world)
        world.once()
        return world.dump()
    finally:
        world.end()
