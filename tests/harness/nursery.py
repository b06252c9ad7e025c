"""Starts emulators and proxies by forking a process that has imported them already.

Importing the emulator takes two seconds of processor time, and most worlds need one of their own. Whoever needs
it first starts the nursery; it ends with us, however we end, and what it forked ends with it.

As a process of its own it reads a JSON line per start and answers with the pid:
    python -m harness.nursery
"""
import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_process = None


def start(module, arguments, directory, environment, log):
    """Runs the module's main() with these arguments in sys.argv; the pid of its process."""
    asked = {"module": module, "arguments": arguments, "directory": directory, "environment": environment, "log": log}
    nursery = _running()
    nursery.stdin.write(json.dumps(asked) + "\n")
    nursery.stdin.flush()
    answer = nursery.stdout.readline()
    if not answer:
        raise RuntimeError("the nursery of emulators ended")
    return int(answer)


def _running():
    global _process
    if _process is None or _process.poll() is not None:
        # What it imports must not see the variables of one test; each start brings its own.
        _process = subprocess.Popen([sys.executable, "-m", "harness.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    return _process


# What a start and a first request import.
MODULES = ("harness.proxy", "bqemulator.cli", "bqemulator.server", "bqemulator.grpc_api.read_servicer",
           "bqemulator.grpc_api.write_servicer", "bqemulator.sql.builtin_udfs", "anyio._backends._asyncio", "duckdb", "fastavro",
           "pyarrow.compute", "pyarrow.dataset", "sqlglot.dialects.bigquery", "sqlglot.dialects.duckdb",
           "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto")


def _serve():
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what is imported has something to say
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()  # what is imported stays: no collection looks at it again
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody awaits what ended
    for line in sys.stdin:
        asked = json.loads(line)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            answers.close()
            _be(asked, parent)
        print(pid, file=answers, flush=True)


def _be(asked, parent):
    """In the child: everything that a program of its own would begin with."""
    code = 1
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        for number, source in ((0, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)), (1, log), (2, log)):
            os.dup2(source, number)
        os.environ.clear()
        os.environ.update(asked["environment"])
        time.tzset()
        os.chdir(asked["directory"])
        sys.argv = asked["arguments"]
        importlib.import_module(asked["module"]).main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:  # whatever it is, it must not go on as the nursery
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
