"""A private MySQL beside MariaDB, with MariaDB's interface.

Debian 12 has no MySQL. Its unstable suite has: the packages of the server and of Oracle's client library are
fetched by debootstrap, which checks their signatures, and unpacked into the cache directory, once. Nothing of
them is installed and nothing mounted: the server is started through the C library it was built for, and
runs under the account and in the directories of MariaDB's. Its version moves with the suite.
"""
import contextlib
import fcntl
import glob
import os
import shutil
import signal
import subprocess
import tempfile

from . import settings
from .mariadb import MariaDB
from .process import ServerFailed, as_account, own, run_quietly

SUITE = "sid"
PACKAGES = "mysql-server-core,libmysqlclient-dev"
FETCH_SECONDS = 600


class NoMySQL(ServerFailed):
    """It cannot be had here; the message says why."""


def root():
    """The directory with MySQL's files, made now when it is not there yet."""
    cache = run_quietly([os.path.join(settings.ROOT, "scripts", "deps"), "--cache"], "scripts/deps failed").strip()
    os.makedirs(cache, exist_ok=True)
    directory = os.path.join(cache, f"mysql-{SUITE}")
    if not os.path.isdir(directory):
        with open(f"{directory}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(directory):
                _make(directory)
    return directory


def _make(directory):
    """Whole or not at all: it gets its name when it is complete."""
    if os.geteuid() != 0:
        raise NoMySQL("fetching it needs root")
    if shutil.which("debootstrap") is None:
        raise NoMySQL("debootstrap is not installed; run scripts/deps")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(directory), prefix="mysql-") as scratch:
        packages = _fetch(os.path.join(scratch, "packages"))
        made = os.path.join(scratch, "root")
        os.mkdir(made)
        for package in packages:
            run_quietly(["dpkg-deb", "-x", package, made], f"cannot unpack {os.path.basename(package)}")
        os.chmod(made, 0o755)
        os.rename(made, directory)


def _mirror():
    """Whence this machine has its own packages; without an answer, whence debootstrap takes them by itself."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Component: main"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return [site for site in done.stdout.split() if "security" not in site][:1]


def _fetch(directory):
    try:
        done = subprocess.run(
            ["debootstrap", "--download-only", "--variant=minbase", f"--include={PACKAGES}", SUITE, directory,
             *_mirror()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired as late:
        raise NoMySQL(f"Debian's mirror did not give it within {FETCH_SECONDS} s") from late
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise NoMySQL(f"debootstrap failed: {last[:200]}")
    archives = os.path.join(directory, "var/cache/apt/archives")
    return sorted(glob.glob(f"{archives}/mysql-*.deb") + glob.glob(f"{archives}/lib*.deb"))


def _one(base, pattern):
    found = sorted(glob.glob(os.path.join(base, pattern)))
    if not found:
        raise NoMySQL(f"the packages hold no {pattern}")
    return found[0]


def loader(base):
    """The dynamic linker of these packages, told where their libraries are."""
    linker = _one(base, "usr/lib/*/ld-linux*.so.*")
    return [linker, "--library-path", os.path.dirname(linker)]


class MySQL(MariaDB):
    name = "MySQL"
    death_signal = signal.SIGKILL  # its orderly end waits for ever when its directory is gone by then

    def __init__(self, directory, outlive=False, options=()):
        super().__init__(directory, outlive, options)
        self.root = root()

    def _mysqld(self, *options):
        usr = os.path.join(self.root, "usr")
        return [*loader(self.root), os.path.join(usr, "sbin", "mysqld"), "--no-defaults", f"--datadir={self.data}",
                f"--basedir={usr}", f"--lc-messages-dir={usr}/share/mysql",
                f"--character-sets-dir={usr}/share/mysql/charsets", "--secure-file-priv=NULL", "--mysqlx=OFF",
                *options]

    def prepare(self):
        own(self.user, self.scratch())
        done = os.path.join(self.directory, "installed")
        if os.path.exists(done):
            return
        self._make_certificates()
        own(self.user, self.data)
        run_quietly(["find", self.data, "-mindepth", "1", "-delete"], "cannot empty the data directory")
        run_quietly(as_account(self.user, self._mysqld("--initialize-insecure", "--log-error-verbosity=1",
                                                       "--innodb-redo-log-capacity=100M")),
                    "mysqld --initialize failed", cwd=self.directory, env=self.environment())
        self._make_accounts()
        with open(done, "w", encoding="ascii"):
            pass

    def _make_accounts(self):
        """A file that the server runs before it listens: there is no moment without a password."""
        root_password, reader, writer = (self.password(name) for name in ("root", "revcycle_ro", "hospital"))
        statements = [f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{root_password}';",
                      "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;",
                      "GRANT PROCESS ON *.* TO 'revcycle_ro'@'127.0.0.1';",
                      "GRANT PROCESS, CONNECTION_ADMIN ON *.* TO 'hospital'@'127.0.0.1';"]
        for place, (name, password) in enumerate((("root", root_password), ("revcycle_ro", reader),
                                                  ("hospital", writer))):
            statements.insert(place, f"CREATE USER IF NOT EXISTS '{name}'@'127.0.0.1' IDENTIFIED BY '{password}';")
        with os.fdopen(os.open(self._accounts_file(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(statements) + "\n")
        if self.user is not None:
            os.chown(self._accounts_file(), self.user.pw_uid, self.user.pw_gid)

    def _accounts_file(self):
        return os.path.join(self.tls, "accounts.sql")

    def command(self):
        return self._mysqld(
            f"--port={self.port}", "--bind-address=127.0.0.1", "--socket=mysql.sock", "--pid-file=mysql.pid",
            "--skip-name-resolve", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci",
            "--innodb-buffer-pool-size=128M", "--innodb-redo-log-capacity=100M", "--max-connections=200",
            "--max-allowed-packet=64M", "--local-infile=1", "--skip-log-bin", f"--init-file={self._accounts_file()}",
            f"--ssl-ca={self.ca_file()}", f"--ssl-cert={self.tls}/server.pem", f"--ssl-key={self.tls}/server-key.pem",
            *self.options)

    def connect(self, database=None, user="root", **options):
        """Over TLS: its accounts' passwords want a connection that nobody can read."""
        options.setdefault("ssl", {"ca": self.ca_file()})
        return super().connect(database, user, **options)

    def version(self):
        with contextlib.closing(self.connect()) as link, link.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            return cursor.fetchone()[0]


def explain(error):
    """Why there is no MySQL, for a skipped test."""
    return f"no MySQL: {str(error).splitlines()[0]}"

