"""The same daemon built against Oracle's libmysqlclient: it builds without a warning and reads the same.

The library is of Debian's unstable suite (harness/mysql.py) and wants a later C library than the one here, so
the daemon is linked leaving that open and run by the loader the library was built for. Against MySQL only: Oracle's
client of today cannot log in to accounts of MariaDB's usual kind."""
import os
import subprocess
import sys

import pytest

from harness import mysql, settings
from harness.process import ServerFailed

PKG_CONFIG = """Name: mysqlclient
Description: Oracle's client library
Version: 24
Cflags: -I{include}/mysql -I{include}
Libs: -L{libraries} -lmysqlclient
"""
RUN = """#!/bin/sh
exec {loader} --library-path {theirs}:{ours} {binary} "$@"
"""


def build(directory, base):
    """A directory whose `revcycled` runs the daemon with Oracle's library."""
    theirs = mysql.loader(base)[2]
    include, packages = os.path.join(directory, "include"), os.path.join(directory, "pkgconfig")
    os.makedirs(include)
    os.makedirs(packages)
    os.symlink(os.path.join(base, "usr/include/mysql"), os.path.join(include, "mysql"))
    libraries = os.path.join(directory, "lib")  # theirs alone: the rest is linked as it is here
    os.makedirs(libraries)
    os.symlink(os.path.join(theirs, "libmysqlclient.so"), os.path.join(libraries, "libmysqlclient.so"))
    with open(os.path.join(packages, "mysqlclient.pc"), "w", encoding="ascii") as file:
        file.write(PKG_CONFIG.format(include=include, libraries=libraries))
    made = os.path.join(directory, "build")
    environment = {**os.environ, "PKG_CONFIG_PATH": packages}
    for command in (["meson", "setup", made, settings.ROOT, "-Dmysql_client=oracle", "-Dfailpoints=true",
                     "-Dc_link_args=-Wl,--allow-shlib-undefined"], ["ninja", "-C", made, "revcycled"]):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout[-4000:]
    wrapped = os.path.join(directory, "wrapped")
    os.makedirs(wrapped)
    ours = os.path.join("/usr/lib", os.path.basename(theirs))
    with open(os.path.join(wrapped, "revcycled"), "w", encoding="ascii") as file:
        file.write(RUN.format(loader=mysql.loader(base)[0], theirs=theirs, ours=ours,
                              binary=os.path.join(made, "revcycled")))
    os.chmod(file.name, 0o755)
    return wrapped


@pytest.mark.nightly
def test_the_daemon_with_oracles_client_reads_every_type(tmp_path):
    try:
        base = mysql.root()
    except ServerFailed as error:
        pytest.skip(mysql.explain(error))
    wrapped = build(str(tmp_path), base)
    linked = subprocess.run([*mysql.loader(base), "--list", os.path.join(tmp_path, "build", "revcycled")],
                            stdout=subprocess.PIPE, text=True, check=False).stdout
    assert "libmysqlclient.so" in linked and "libmariadb" not in linked
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.path.join(settings.ROOT, "tests/pytest.ini"), "--rootdir",
         os.path.join(settings.ROOT, "tests"), "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner"),
         os.path.join(settings.ROOT, "tests/flow/test_types.py"),
         os.path.join(settings.ROOT, "tests/flow/test_drift.py"), "-k", "mysql"],
        env={**os.environ, "REVCYCLED_BUILD": wrapped}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
