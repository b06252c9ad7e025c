"""Pages of rows into PostgreSQL as the daemon places them, with clocks of the test's own (place_tool)."""
import os
import signal
import subprocess

START = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z in microseconds


class Refused(Exception):
    """The tool said no; its sentence."""


class Killed(Exception):
    """A failpoint ended the tool."""


class Placer:
    def __init__(self, build, postgres, database):
        self.tool = os.path.join(build, "place_tool")
        self.dsn, self.password = postgres.dsn(database), postgres.password("revcycled")
        self.postgres, self.database = postgres, database
        self.process = None
        self.feeds = {}

    def start(self, **environment):
        self.stop()
        self.process = subprocess.Popen(
            [self.tool, self.dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PGPASSWORD": self.password, **environment})
        for words in self.feeds.values():
            self._say(words)
        return self

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait(30)
            self.process = None

    def _say(self, *lines):
        if self.process is None:
            self.start()
        texts = ["\t".join("\\N" if word is None else str(word) for word in line) for line in lines]
        try:
            self.process.stdin.write("\n".join(texts) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split(" ", 2)
        except BrokenPipeError:
            answer = [""]
        if answer[0] == "ok":
            return dict(zip(("new", "changed", "same", "quarantined", "deleted"),
                            map(int, " ".join(answer[1:]).split())))
        if answer[0] == "failed":
            raise Refused(" ".join(answer[1:]).strip())
        code = self.process.wait(30)
        self.process = None
        if code == -signal.SIGKILL:
            raise Killed()
        raise AssertionError(f"place_tool ended with {code}")

    def feed(self, name, source, entity, columns, tells="now"):
        words = ("feed", name, source, entity, tells, *columns)
        self.feeds[name] = words
        return self._say(words)

    def page(self, name, rows, received=None, source_now=None):
        """Rows of one page; clocks in microseconds."""
        received = START + 10**12 if received is None else received
        return self._say(("page", name, received, received if source_now is None else source_now, len(rows)), *rows)

    def gone(self, name, ids, received=None):
        return self._say(("gone", name, START + 10**12 if received is None else received, *ids))

    def settle(self):
        return self._say(("settle",))
