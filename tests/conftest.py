"""Fixtures: servers once per session, databases fresh per test, whole worlds from prepared copies.

Servers start when the first test asks for them and live in the session's temporary directory; they
end with the process, however it ends.
"""
import os
import subprocess
import tempfile
import zlib

import pytest

from harness import dump, sample, settings
from harness.emulator import Emulator
from harness.mariadb import MariaDB
from harness.mysql import MySQL, explain
from harness.onefeed import OneFeed
from harness.postgres import Postgres
from harness.process import ServerFailed
from harness.world import Base, World

# Servers that forget at a power cut are faster; a killed process loses nothing by it.
FAST_POSTGRES = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "1GB", "shared_buffers": "128MB"}
FAST_MARIADB = ("--innodb-flush-log-at-trx-commit=0", "--skip-sync-binlog", "--innodb-doublewrite=0")


# Files that take long. scripts/test gives files to two processes: one that began last would let the other wait for it.
LONG = ("test_kill.py", "test_watermark.py", "test_order.py", "test_demo.py", "test_types.py", "test_sources.py")


def pytest_collection_modifyitems(config, items):
    """Nightly tests are not collected by day: a skip means that something was missing here."""
    items.sort(key=lambda item: item.path.name not in LONG)
    if os.environ.get("REVCYCLED_NIGHTLY"):
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]


def pytest_terminal_summary(terminalreporter):
    """What tests measured for people: `record_property("shown", text)`."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "shown" and report.when == "call":
                terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def build():
    """The build directory of the test build, made now when scripts/test did not say which."""
    path = os.environ.get("REVCYCLED_BUILD")
    if path is None:
        path = subprocess.run([os.path.join(settings.ROOT, "scripts", "build"), "test"],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return path


@pytest.fixture(scope="session")
def binary(build):
    return os.path.join(build, "revcycled")


@pytest.fixture(scope="session")
def server_directory(tmp_path_factory):
    """Makes directories for servers' data: where scripts/test says, which is memory when there is enough of it."""
    memory = os.environ.get("REVCYCLED_SERVERS")

    def make(name):
        return tempfile.mkdtemp(prefix=f"{name}-", dir=memory) if memory else tmp_path_factory.mktemp(name)
    return make


@pytest.fixture(scope="session")
def postgres(server_directory):
    with Postgres(server_directory("postgresql"), settings=FAST_POSTGRES) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(server_directory):
    with MariaDB(server_directory("mariadb"), options=FAST_MARIADB[:1]) as server:
        yield server


@pytest.fixture(scope="session")
def mysql(server_directory):
    """A real MySQL; the first one on a machine takes a minute to fetch."""
    try:
        server = MySQL(server_directory("mysql"), options=FAST_MARIADB[:1]).start()
    except ServerFailed as error:
        pytest.skip(explain(error))
    yield server
    server.stop()


@pytest.fixture(params=["mariadb", "mysql"])
def source_server(request):
    """Each of the two, for what must be the same with both."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def emulator(server_directory):
    with Emulator(server_directory("bigquery")) as server:
        yield server


@pytest.fixture
def database_name(request):
    """A name of this test's own, as a database may be called."""
    words = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())
    return f"t_{words[:40]}_{zlib.crc32(request.node.nodeid.encode()):08x}"


@pytest.fixture
def empty_database(postgres, database_name):
    """An empty PostgreSQL database of the owner's."""
    yield postgres.create_database(database_name)
    postgres.drop_database(database_name)


@pytest.fixture(scope="session")
def schema_template(postgres):
    """A database with the schemas and no rows; tests copy it."""
    name = postgres.create_database("template_schema")
    postgres.apply_migrations(name)
    return name


@pytest.fixture
def schema_database(postgres, schema_template, database_name):
    """A copy of the schemas for one test: its name."""
    yield postgres.create_database(database_name, schema_template)
    postgres.drop_database(database_name)


@pytest.fixture(scope="session")
def small_sample(tmp_path_factory):
    """About 2,000 transactions with every kind of dirt."""
    directory = str(tmp_path_factory.mktemp("data") / "small")
    sample.generate(directory, transactions=2000)
    return directory


@pytest.fixture(scope="session")
def small_base(small_sample, mariadb, postgres, schema_template, tmp_path_factory):
    """The small sample, nothing of it read yet."""
    base = Base("small", small_sample, settings.template_of(small_sample), mariadb, postgres,
                tmp_path_factory.mktemp("small"))
    return base.fill(schema_template)


@pytest.fixture(scope="session")
def loaded_state(small_base, binary, mariadb, postgres, tmp_path_factory):
    """The small sample after one complete run: what to copy, and its dumps."""
    world = World(small_base, "loaded", tmp_path_factory.mktemp("loaded"), binary).make()
    world.once()
    state = {mode: world.dump(mode) for mode in (dump.KILL, dump.ORDER)}
    return world.keep_as(Base("loaded", small_base.data, small_base.template, mariadb, postgres,
                              world.directory)), state


@pytest.fixture(scope="session")
def loaded_base(loaded_state):
    return loaded_state[0]


@pytest.fixture(scope="session")
def loaded_dump(loaded_state):
    """The end state of an undisturbed run over the small sample (a kill test's measure)."""
    return loaded_state[1][dump.KILL]


@pytest.fixture(scope="session")
def loaded_order_dump(loaded_state):
    """The same, for deliveries in another order."""
    return loaded_state[1][dump.ORDER]


@pytest.fixture
def make_world(binary, tmp_path, database_name):
    """Makes worlds from a base: make_world(base). They end with the test."""
    worlds = []

    def make(base, **environment):
        number = len(worlds)
        world = World(base, f"w{database_name[-8:]}_{number}", tmp_path / f"world{number}", binary, environment)
        worlds.append(world)
        return world.make()
    yield make
    for world in worlds:
        world.end()


@pytest.fixture
def fresh(make_world, small_base):
    """A world in which nothing was read yet."""
    return make_world(small_base)


@pytest.fixture
def loaded(make_world, loaded_base):
    """A world after its first complete run."""
    return make_world(loaded_base)


@pytest.fixture
def make_feed(binary, postgres, schema_database, tmp_path):
    """Makes hospitals of one table: make_feed(server, feed). They end with the test."""
    feeds = []

    def make(server, feed, **environment):
        feeds.append(OneFeed(server, postgres, schema_database, binary, tmp_path / "feed", feed, environment))
        return feeds[-1]
    yield make
    for feed in feeds:
        feed.end()
