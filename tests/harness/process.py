"""One server process: started without privileges, found again by its pid file, stopped for good.

A pid alone proves nothing after a crash or a reboot, so the pid file holds the process's start
time too (field 22 of /proc/PID/stat): a pid that was given to somebody else is never signalled.
"""
import contextlib
import ctypes
import itertools
import os
import pwd
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time


class ServerFailed(Exception):
    """A server did not start or stop; the message ends with the tail of its log."""


def _own_ports(step=16):
    """Below those that the kernel gives to whoever asks for any, in turns, and none of another test process's: between the
    choice and the start of who listens there may be many seconds."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw15")
    ports = range(10000 + int(worker[2:]) % step, 32768, step)
    first = random.randrange(len(ports))
    return itertools.cycle([*ports[first:], *ports[:first]])


OWN_PORTS = _own_ports()


def free_port(preferred=None):
    """A loopback port that nobody listens on: the preferred one when it is free."""
    for port in itertools.chain([preferred] if preferred else [], itertools.islice(OWN_PORTS, 200)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no free loopback port")


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the name, state first; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_time(pid):
    """When the process started, in clock ticks since boot; None when it is gone or a zombie."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def _descendants(pid):
    """Whom the process started, and whom those started."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = stat_fields(name)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
    found, unasked = [], [pid]
    while unasked:
        more = children.get(unasked.pop(), [])
        found += more
        unasked += more
    return found


def _stop_still(pid):
    """Stops the process and returns when it stands still, or is gone."""
    try:
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    except ProcessLookupError:
        pass
    except ChildProcessError:  # somebody else's child tells us nothing
        while (stat_fields(pid) or "X")[0] not in "TZX":
            time.sleep(0.001)


def _kill_all(pids, seconds):
    """Returns when all of them have ended: a process that is gone holds no memory and no port."""
    handles = []
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))
                signal.pidfd_send_signal(handles[-1], signal.SIGKILL)
        deadline = time.monotonic() + seconds
        for handle in handles:
            if not select.select([handle], [], [], max(0, deadline - time.monotonic()))[0]:
                raise ServerFailed(f"a process is still there {seconds} s after it was killed")
    finally:
        for handle in handles:
            os.close(handle)


def account(*names):
    """The first of these system accounts that exists, as root; None for an ordinary user."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerFailed(f"none of the accounts {', '.join(names)} exists; scripts/deps installs them")


def as_account(user, command):
    """The command, run as `user`. One capability stays: to pass through directories of root's
    that lead to the state directory (/root, mktemp -d), so that none of them is opened to all.
    The secure bit lets access(2) use it too: MariaDB asks that for its files, and makes those
    anew that it cannot see."""
    if user is None:
        return command
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
            "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
            "--securebits=+no_setuid_fixup", "--", *command]


def own(user, path):
    """Gives a directory inside the state directory to the account of its server."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    if user is not None:
        shutil.chown(path, user.pw_uid, user.pw_gid)


_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent(signum):
    """In the child: it gets this signal when we end, however we end. setpriv keeps it, for it
    execs no set-uid file; a change of credentials clears it, so setpriv sets it again."""
    def setup():
        _LIBC.prctl(_PR_SET_PDEATHSIG, signum)
    return setup


class Server:
    """The common part. A subclass says its name, accounts, stop signal, command, and how to ask
    whether it is ready. `outlive` leaves the process running when this one ends (demo --keep)."""

    name = "server"
    accounts = ("nobody",)
    stop_signal = signal.SIGTERM
    death_signal = None  # what it gets when we end without stopping it; None: stop_signal
    start_seconds = 60
    stop_seconds = 30

    def __init__(self, directory, outlive=False):
        self.directory = os.path.abspath(directory)
        self.outlive = outlive
        self.user = account(*self.accounts)
        self.pid_file = os.path.join(self.directory, "pid")
        self.log_file = os.path.join(self.directory, "log")
        self.port_file = os.path.join(self.directory, "port")
        self.child = None
        self.port = self._read_number(self.port_file)

    # -- what a subclass gives

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """Makes the data directory when it is not there yet."""

    def environment(self):
        return dict(os.environ)

    def is_ready(self):
        raise NotImplementedError

    # -- life

    @staticmethod
    def _read_number(path):
        try:
            with open(path, encoding="ascii") as file:
                return int(file.read().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def pid(self):
        """The pid of the running server, or None: the pid file is believed only as a pair."""
        try:
            with open(self.pid_file, encoding="ascii") as file:
                pid, started = map(int, file.read().split())
        except (FileNotFoundError, ValueError):
            return None
        return pid if start_time(pid) == started else None

    def start(self):
        """Starts it and returns when it answers. A server that runs already is left alone."""
        if self.pid():
            self._await_ready()
            return self
        os.makedirs(self.directory, exist_ok=True)
        self.prepare()
        self.choose_port()
        self._spawn()
        self._await_ready()
        return self

    def choose_port(self):
        """The port of last time when it is still free."""
        self.port = free_port(self.port)
        with open(self.port_file, "w", encoding="ascii") as file:
            file.write(f"{self.port}\n")

    def _spawn(self):
        pid = self._launch()
        with open(self.pid_file, "w", encoding="ascii") as file:
            file.write(f"{pid} {start_time(pid)}\n")

    def _launch(self):
        command = self.command()
        if self.user is not None:
            command = as_account(self.user, command)
            if not self.outlive:
                command.insert(1, f"--pdeathsig={signal.Signals(self.death_signal or self.stop_signal).name[3:]}")
        with open(self.log_file, "ab") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env=self.environment(), start_new_session=True,
                preexec_fn=None if self.outlive else _die_with_parent(self.death_signal or self.stop_signal))
        return self.child.pid

    def _await_ready(self):
        deadline = time.monotonic() + self.start_seconds
        while not self.is_ready():
            if not self.pid():
                raise ServerFailed(f"{self.name} ended while starting\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} is not ready after {self.start_seconds} s"
                                   f"\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, lines=15):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def signal(self, signum):
        pid = self.pid()
        if pid:
            os.kill(pid, signum)

    def _await_end(self, pid, seconds):
        """Waits for the end of a process that need not be our child."""
        if self.child is not None and self.child.pid == pid:
            try:
                self.child.wait(seconds)
                return True
            except subprocess.TimeoutExpired:
                return False
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)

    def stop(self):
        """Orderly, and if that takes too long, at once. Nothing of it is left afterwards."""
        self._end(self.stop_signal)

    def kill(self):
        """As a power cut would: no clean-up runs, and nothing of it is left afterwards."""
        pid = self.pid()
        if pid:
            self._kill_tree(pid)
        self._forget()

    def _kill_tree(self, pid):
        """The process with all it started, which it must not add to meanwhile. Its process group would
        not do: every backend of PostgreSQL has a session of its own, and outlives the postmaster by a
        moment in which no other can start."""
        _stop_still(pid)
        _kill_all([pid, *_descendants(pid)], self.stop_seconds)

    def _end(self, signum):
        pid = self.pid()
        if pid:
            os.kill(pid, signum)
            if not self._await_end(pid, self.stop_seconds):
                print(f"{self.name} did not stop within {self.stop_seconds} s, killing it",
                      file=sys.stderr)
                self._kill_tree(pid)
        self._forget()

    def _forget(self):
        if self.child is not None:
            self.child.wait(self.stop_seconds)
            self.child = None
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()


def run_quietly(command, failure, **options):
    """Runs a set-up command; its output is shown only when it fails."""
    options.setdefault("input", "")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    if done.returncode != 0:
        raise ServerFailed(f"{failure} (exit {done.returncode})\n{done.stdout[-4000:]}")
    return done.stdout


def secret(path):
    """A random password that lives in a file only its owner reads; the same one next time."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        value = os.urandom(18).hex()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value + "\n")
        return value
