"""What people get wrong: one sentence that says what and how to mend it, an exit code, and no secret."""
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness.world import World

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
PASSWORD = "wrong-Secret-0815"


@pytest.fixture(scope="module")
def shared(binary, loaded_base, tmp_path_factory):
    world = World(loaded_base, "badinput", tmp_path_factory.mktemp("badinput"), binary).make()
    yield world
    world.end()


@pytest.fixture
def world(shared):
    """With its right configuration."""
    shared.configure()
    return shared


def secrets(world):
    return [PASSWORD, *(world.mysql.password(name) for name in ("root", "revcycle_ro", "hospital")),
            *(world.store.password(name) for name in ("postgres", "revcycled", "revcycle_owner"))]


def sentences(done):
    """What a person reads: lines of ours that are neither log nor table, each with its hint."""
    text = done.stderr + done.stdout
    found = re.findall(r"^(?!\{)([\w.]+: .+)\n(?:  hint: (.+)\n)?", text, re.MULTILINE)
    return [(sentence, hint) for sentence, hint in found]


def logged_errors(done):
    return [line for line in done.stderr.splitlines() if '"level":"error"' in line]


def expect_one(world, done, code, *words, hint=None):
    """One sentence with these words; the hint names what to change."""
    text = done.stderr + done.stdout
    assert done.returncode == code, text[-3000:]
    assert [secret for secret in secrets(world) if secret in text] == []
    found = sentences(done)
    assert len(found) == 1, text[-3000:]
    assert [word for word in words if word not in found[0][0]] == [], found
    assert hint is None or hint in found[0][1], found
    assert len(logged_errors(done)) <= 1, text[-3000:]


def in_file(world, name, content):
    path = os.path.join(world.directory, name)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    return path


def only(feed):
    """Takes the other feeds out, so that one mistake is one failure."""
    def edit(text):
        head, sources = text.split("sources:\n")
        sources = re.split(r"^claims:\n", sources, maxsplit=1, flags=re.MULTILINE)[0]
        first = re.split(r"^  hospital_b:\n", sources, maxsplit=1, flags=re.MULTILINE)[0]
        feeds = re.split(r"^      (?=\w+:)", first.split("    feeds:\n")[1], flags=re.MULTILINE)
        kept = [part for part in feeds if part.startswith(f"{feed}:")]
        return f"{head}sources:\n{first.split('    feeds:')[0]}    feeds:\n      {kept[0]}"
    return edit


def test_a_wrong_password_of_the_hospital(world):
    path = in_file(world, "wrong.password", PASSWORD + "\n")
    world.configure(edit=lambda text: re.sub("password_file: .*", f"password_file: {path}",
                                             only("departments")(text)))
    expect_one(world, world.daemon.once(), 1, "hospital_a.departments", "refused the account", hint="password_file")


def test_a_table_that_is_not_there(world):
    world.configure(edit=lambda text: only("departments")(text).replace("table: department", "table: ward"))
    expect_one(world, world.daemon.once(), 1, "hospital_a.departments", "ward", hint="table")


@pytest.mark.parametrize("role, before, after", [
    ("key", "key: [dept_id]", "key: [dept_number]"),
    ("map", "name: dept_name", "name: dept_number"),
])
def test_a_column_that_is_not_there(world, role, before, after):
    world.configure(edit=lambda text: only("departments")(text).replace(before, after))
    expect_one(world, world.daemon.once(), 1, "hospital_a.departments", "department", "dept_number", hint=role)


def test_a_column_that_the_hospital_dropped(world):
    world.configure(edit=only("departments"))
    world.play("ALTER TABLE department RENAME COLUMN dept_name TO label")
    try:
        expect_one(world, world.daemon.once(), 1, "hospital_a.departments", "dept_name", hint="map")
    finally:
        world.play("ALTER TABLE department RENAME COLUMN label TO dept_name")


@pytest.fixture
def claims_only(world):
    """One feed of a hospital's, for claims name their source, and the claims of that hospital."""
    def edit(text):
        claims = re.split(r"^claims:\n", text, flags=re.MULTILINE)[1].split("bigquery:")[0]
        claims = "\n".join(line for line in claims.splitlines() if "hospital_b" not in line)
        text = f"{only('departments')(text)}\nclaims:\n{claims}\n"
        return text.replace(world.mysql.ca_file(), authority)  # which an unprivileged daemon can read
    authority = shutil.copy(world.mysql.ca_file(), world.directory)
    world.configure(edit=edit)
    return world


def test_a_drop_directory_that_may_not_be_read(claims_only):
    world = claims_only
    mode = os.stat(world.drop).st_mode
    os.chmod(world.drop, 0)
    try:
        done = subprocess.run([*UNPRIVILEGED, world.daemon.binary, "--config", world.config, "--once"],
                              capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.chmod(world.drop, mode)
    expect_one(world, done, 1, "claims.monthly", world.drop, "Permission denied")


def test_a_drop_directory_that_is_not_there(claims_only):
    world = claims_only
    away = world.drop + ".away"
    shutil.move(world.drop, away)
    try:
        done = world.daemon.once(timeout=60)
    finally:
        shutil.rmtree(world.drop, ignore_errors=True)
        shutil.move(away, world.drop)
    expect_one(world, done, 1, "claims.monthly", world.drop, "No such file or directory")


def test_a_port_in_use(world):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        world.configure(edit=lambda text: re.sub("listen: .*", f'listen: "{address}"', text))
        expect_one(world, world.daemon.run(timeout=30), 1, "cannot listen", address, hint="server.listen")


def test_every_mistake_of_a_configuration_at_once(world):
    world.configure(edit=lambda text: text.replace("cursor: updated_at", "cursr: updated_at", 1)
                    .replace("workers: 4", "workers: four"))
    done = world.daemon.once(timeout=30)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert len(lines) == 2, done.stderr
    assert all(re.match(re.escape(world.config) + r":\d+:\d+: ", line) for line in lines), lines
    assert any("cursr" in line and "did you mean" in line and "cursor" in line for line in lines), lines
    assert any("workers" in line for line in lines), lines


def test_a_configuration_that_is_not_there(world):
    done = subprocess.run([world.daemon.binary, "--config", world.config + ".not"], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and world.config + ".not" in done.stderr


def test_a_configuration_that_is_not_yaml(world):
    in_file(world, "revcycled.yaml", "sources:\n  a: [1\nb: }\n")
    done = world.daemon.once(timeout=30)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and ":3:" in done.stderr, done.stderr


@pytest.mark.parametrize("before, after, words", [
    (r"dbname=\S+", "dbname=not_there", "database"),
    (r"port=\d+", "port=1", "cannot connect to PostgreSQL"),
    (r'passfile=[^\s"]+', "passfile=@WRONG@", "password"),
    (r"host=127.0.0.1", "hosst=127.0.0.1", "connection string"),
], ids=["database", "port", "password", "words"])
def test_a_wrong_store(world, before, after, words):
    wrong = in_file(world, "wrong.pgpass", f"*:*:*:*:{PASSWORD}\n")
    world.configure(edit=lambda text: re.sub(before, after.replace("@WRONG@", wrong), text))
    expect_one(world, world.daemon.once(timeout=30), 1, words, hint="")


def test_a_store_whose_password_stands_in_the_configuration(world):
    world.configure(edit=lambda text: re.sub(r'passfile=[^\s"]+', f"password={PASSWORD}", text, count=1))
    done = world.daemon.once(timeout=30)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "passfile" in done.stderr, done.stderr
    assert PASSWORD not in done.stderr + done.stdout
