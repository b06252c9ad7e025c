"""A hospital that writes as awkwardly as it can, and pollers that read it by other rules than ours.

Every row bears a number that each update raises, so that what a poller missed can be counted. The tables differ
in the type of their cursor. Writers: transactions that stay open, several statements, rollbacks, savepoints, rows
moved twice, statements that wait for row and metadata locks, long INSERT … SELECT, triggers, an event, XA.
"""
import contextlib
import random
import select
import threading
import time

import pymysql

TABLES = {
    "instant": "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
    "civil": "DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
    "second": "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "day": "DATE NOT NULL",
}
SHOWN = {"second": len("2026-01-01 00:00:00")}  # what a value shows of a time; else all of it
ROWS = 1000
LOCKED = 1    # a row of each table that long transactions fight for
EVENT = range(10, 20)
RACED = 700   # rows from here on belong to the statements that race a poll: nobody masks what was lost of them
PAUSE = 0.05  # between two steps of a poll: what a scheduler may do to anyone


def make_tables(server, database):
    statements = []
    for name, cursor in TABLES.items():
        first = name[0].upper()
        statements += [
            f"CREATE TABLE {name} (id VARCHAR(12) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, n INT NOT NULL, v {cursor}, KEY (v))",
            f"INSERT INTO {name} (id, n, v) WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {ROWS})"
            f" SELECT CONCAT('{first}', LPAD(i, 6, '0')), 0, NOW(6) - INTERVAL 3 DAY FROM s"]
    statements += [
        # a change of one table moves a row of another, in the same statement
        "CREATE TRIGGER follow AFTER UPDATE ON instant FOR EACH ROW"
        " UPDATE civil SET n = n + 1 WHERE id = CONCAT('C', SUBSTRING(NEW.id, 2)) AND NEW.n % 7 = 0",
        # 4 s of one statement, four tables' worth of rows of `civil`
        "CREATE EVENT slow ON SCHEDULE EVERY 6 SECOND DISABLE DO UPDATE civil SET n = n + 1"
        f" WHERE id BETWEEN 'C{EVENT[0]:06d}' AND 'C{EVENT[-1]:06d}' AND SLEEP({4 / len(EVENT)}) = 0",
    ]
    server.execute(*statements, database=database)


class Writers:
    """Eight sessions until the time is over; end() waits for the last commit."""

    def __init__(self, server, database, seconds, seed):
        self.server, self.database = server, database
        self.until = time.monotonic() + seconds
        self.seconds = seconds
        self.errors = []
        self.threads = [threading.Thread(target=self._live, args=(random.Random(seed * 100 + i), i), daemon=True) for i in range(8)]

    def start(self):
        self.server.execute("SET GLOBAL event_scheduler = ON", "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
                            "SET GLOBAL sync_binlog = 0")
        self.server.execute("ALTER EVENT slow ENABLE", database=self.database)
        for thread in self.threads:
            thread.start()

    def end(self):
        for thread in self.threads:
            thread.join()
        self.server.execute("DROP EVENT slow", database=self.database)
        while self._events_running():
            time.sleep(0.05)
        self.server.execute("SET GLOBAL event_scheduler = OFF")
        if self.errors:
            raise self.errors[0]

    def _events_running(self):
        with contextlib.closing(self.server.connect(self.database)) as link, link.cursor() as cursor:
            schema = "information_schema" if "MariaDB" in link.get_server_info() else "performance_schema"
            cursor.execute(f"SELECT COUNT(*) FROM {schema}.processlist"
                           " WHERE info LIKE 'UPDATE civil SET%' AND id <> CONNECTION_ID()")
            return cursor.fetchone()[0] > 0

    def _live(self, chance, number):
        acts = [self._quick, self._quick, self._quick, self._open, self._open, self._twice]
        special = [self._hold_row, self._hold_table, self._long_insert, self._xa, self._report]
        try:
            with contextlib.closing(self.server.connect(self.database)) as link, link.cursor() as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = 12, lock_wait_timeout = 12")
                if number < len(special):
                    self._act(special[number], chance, cursor, number)
                while time.monotonic() < self.until:
                    self._act(chance.choice(acts), chance, cursor, number)
        except Exception as error:  # told by end()
            self.errors.append(error)

    @staticmethod
    def _act(act, chance, cursor, number):
        try:
            act(chance, cursor, number)
        except pymysql.err.OperationalError as error:
            if error.args[0] not in (1205, 1213, 3572, 1020):  # a lock lost, a deadlock
                raise
            cursor.execute("ROLLBACK")

    # -- what a session does

    @staticmethod
    def _update(chance, cursor, table=None, rows=None):
        table = table or chance.choice(list(TABLES))
        numbers = [chance.randrange(1, RACED) for _ in range(rows or chance.choice((1, 1, 2, 5)))]
        stamp = ", v = CURDATE()" if table == "day" else ""
        ids = ", ".join(f"'{table[0].upper()}{number:06d}'" for number in sorted(numbers))
        cursor.execute(f"UPDATE {table} SET n = n + 1{stamp} WHERE id IN ({ids})")

    def _quick(self, chance, cursor, _number):
        self._update(chance, cursor)

    def _open(self, chance, cursor, _number):
        """A transaction of several statements, open up to five seconds; some are given up."""
        cursor.execute("BEGIN")
        pause = chance.choice((0, 0.05, 0.3, 1, min(5, self.seconds / 4)))
        for step in range(chance.randrange(1, 4)):
            if step == 1:
                cursor.execute("SAVEPOINT here")
            self._update(chance, cursor)
            if step == 2 and chance.random() < 0.5:
                cursor.execute("ROLLBACK TO SAVEPOINT here")
            time.sleep(pause / 3)
        cursor.execute("ROLLBACK" if chance.random() < 0.2 else "COMMIT")

    def _twice(self, chance, cursor, _number):
        table = chance.choice(list(TABLES))
        number = chance.randrange(1, RACED)
        stamp = ", v = CURDATE()" if table == "day" else ""
        cursor.execute("BEGIN")
        for pause in (chance.random() * 0.2, 0):
            cursor.execute(f"UPDATE {table} SET n = n + 1{stamp} WHERE id = '{table[0].upper()}{number:06d}'")
            time.sleep(pause)
        cursor.execute("COMMIT")

    def _hold_row(self, chance, cursor, _number):
        """One transaction holds a row of each table; another's statements wait for it, stamped when they began."""
        for table in ("instant", "civil", "second"):
            with contextlib.closing(self.server.connect(self.database)) as link, link.cursor() as holder:
                holder.execute("BEGIN")
                holder.execute(f"UPDATE {table} SET n = n + 1 WHERE id = '{table[0].upper()}{LOCKED:06d}'")
                waiting = threading.Thread(target=self._wait_for_row, args=(table,))
                waiting.start()
                time.sleep(min(10, self.seconds / 8))
                holder.execute("COMMIT")
                waiting.join()

    def _wait_for_row(self, table):
        with contextlib.closing(self.server.connect(self.database)) as link, link.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 20")
            cursor.execute(f"UPDATE {table} SET n = n + 1 WHERE id = '{table[0].upper()}{LOCKED:06d}'")

    def _hold_table(self, chance, cursor, _number):
        """A table locked for a second: statements that wait for it have begun no transaction yet."""
        cursor.execute("SET SESSION lock_wait_timeout = 1")  # whoever waits behind it waits as long
        while time.monotonic() < self.until:
            self._act(self._lock_table, chance, cursor, _number)
            time.sleep(chance.random())

    @staticmethod
    def _lock_table(chance, cursor, _number):
        cursor.execute(f"LOCK TABLES {chance.choice(('instant', 'civil'))} WRITE")
        time.sleep(chance.random())
        cursor.execute("UNLOCK TABLES")

    def _long_insert(self, chance, cursor, number):
        seconds = min(4, self.seconds / 5)
        for turn in range(2):
            for table in ("instant", "second"):
                cursor.execute(
                    f"INSERT INTO {table} (id, n) SELECT CONCAT('{table[0].upper()}9{turn}', SUBSTRING(id, 4)), 1 FROM {table}"
                    f" WHERE id <= '{table[0].upper()}000020' AND SLEEP({seconds / 20}) = 0")

    def _xa(self, chance, cursor, number):
        for turn in range(3):
            name = f"'x{number}_{turn}'"
            cursor.execute(f"XA START {name}")
            self._update(chance, cursor, "instant", 1)
            self._update(chance, cursor, "second", 1)
            cursor.execute(f"XA END {name}")
            cursor.execute(f"XA PREPARE {name}")
            time.sleep(min(5, self.seconds / 8))
            cursor.execute(f"XA COMMIT {name}")

    def _report(self, chance, cursor, _number):
        cursor.execute(f"SELECT SUM(n) FROM civil WHERE SLEEP({min(10, self.seconds / 2) / ROWS}) = 0")


class Race:
    """A statement that begins before a poll's first step, ends in the pause behind it, and commits after the last."""

    def __init__(self, server, database, table, offset):
        self.link, self.other = server.connect(database), server.connect(database)
        self.table, self.number = table, RACED + offset
        self.schema = "information_schema" if "MariaDB" in self.link.get_server_info() else "performance_schema"

    def begin(self):
        """Returns when the server runs it, or has run it already."""
        self.number = RACED + (self.number - RACED + 3) % (ROWS - RACED)
        with self.link.cursor() as cursor:
            cursor.execute("BEGIN")
        self.link._execute_command(3, f"UPDATE {self.table} SET n = n + 1 WHERE id = '{self.table[0].upper()}{self.number:06d}'"
                                      f" AND SLEEP({PAUSE / 2}) = 0")  # COM_QUERY, its answer is read by end()
        with self.other.cursor() as cursor:
            command = "Sleep"
            while command == "Sleep" and not select.select([self.link._sock], [], [], 0)[0]:
                cursor.execute(f"SELECT command FROM {self.schema}.processlist WHERE id = {self.link.thread_id()}")
                command = cursor.fetchone()[0]

    def end(self):
        self.link._read_query_result()
        self.link.commit()

    def close(self):
        self.link.close()
        self.other.close()


class Poller(threading.Thread):
    """A reader of one table by some rule, until told to stop; then, when all have stopped, once more."""

    def __init__(self, server, database, table, rule, race=None):
        super().__init__(daemon=True)
        self.race = race
        self.link = server.connect(database, user="hospital")
        self.mariadb = "MariaDB" in self.link.get_server_info()
        self.table, self.rule = table, rule
        self.seen, self.cursor = {}, "2000-01-01"
        self.reread = 0
        self.stopping, self.closing = threading.Event(), threading.Event()
        self.idle = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self._poll_in_a_race() if self.race else self.rule(self)
                self.stopping.wait(0.2)
            self.idle.set()
            self.closing.wait()
            self.rule(self)
        except Exception as error:
            self.error = error
        finally:
            self.idle.set()
            self.link.close()
            if self.race:
                self.race.close()

    def _poll_in_a_race(self):
        self.race.begin()
        try:
            self.rule(self)
        finally:
            self.race.end()

    def ask(self, statement, *parameters):
        with self.link.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def take(self, rows):
        for key, number, _ in rows:
            self.reread += self.seen.get(key) == number
            self.seen[key] = number

    def clean(self, comparison=">="):
        return self.ask(f"SELECT id, n, CAST(v AS CHAR) FROM {self.table} WHERE v {comparison} %s", self.cursor)

    def dirty(self):
        self.ask("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        return self.clean()

    def statements(self):
        """The start of each running statement, and now."""
        now = str(self.ask("SELECT NOW(6)")[0][0])
        what = ("NOW(6) - INTERVAL FLOOR(time_ms * 1000) + 1 MICROSECOND FROM information_schema.processlist" if self.mariadb
                else "FROM_UNIXTIME(FLOOR(UNIX_TIMESTAMP(NOW(6))) - time - 1) FROM performance_schema.processlist")
        running = self.ask(f"SELECT {what} WHERE id <> CONNECTION_ID() AND command NOT IN ('Sleep', 'Daemon')"
                           " AND user NOT IN ('event_scheduler', 'hospital', 'revcycle_ro')")
        return [now] + [str(start) for start, in running]

    def advance(self, clean, dirty, bounds):
        """To the lowest bound, cut to what the column's values show of a second."""
        known = set(clean)
        unseen = [value for key, number, value in dirty if (key, number, value) not in known]
        self.cursor = max(self.cursor, min(bounds + unseen)[:SHOWN.get(self.table)])


def naive(poller):
    """> max(updated_at): what most do."""
    rows = poller.clean(">")
    poller.take(rows)
    poller.cursor = max([poller.cursor] + [value for _, _, value in rows])


def list_first(poller):
    """The rule of rules section 4, with a pause wherever a scheduler may put one."""
    bounds = poller.statements()
    time.sleep(PAUSE)
    clean = poller.clean()
    time.sleep(PAUSE)
    dirty = poller.dirty()
    poller.take(clean)
    poller.advance(clean, dirty, bounds)


def list_last(poller):
    """The same steps, the list after the dirty read: a statement that wrote and ended in between is in neither."""
    dirty = poller.dirty()
    time.sleep(PAUSE)
    bounds = poller.statements()
    clean = poller.clean()
    poller.take(clean)
    poller.advance(clean, dirty, bounds)


def end_all(pollers):
    for poller in pollers:
        poller.stopping.set()
    for poller in pollers:
        poller.idle.wait()
    for poller in pollers:
        poller.closing.set()
        poller.join()
        if poller.error:
            raise poller.error
