"""What the versions of a member must be, from the rules alone (rules, section 7). Slow and plain.

A member is a set of moments: at that instant the source showed this content, or the row was gone. Sorted, neighbours
of equal content put together, they are the versions. Nothing of it is taken from the daemon's code.
"""
from dataclasses import dataclass

OPEN_END = 253402214400 * 1_000_000
MICROSECOND = 1


@dataclass
class Moment:
    content: tuple
    deleted: bool = False
    inferred: bool = False  # our clock's instant, not the source's


@dataclass
class Version:
    start: int
    content: tuple
    deleted: bool
    inferred: bool
    end: int = OPEN_END


class Member:
    def __init__(self):
        self.moments = {}
        self.overwritten = None  # attributes that every version shows alike
        self.text = None         # of the row that told of the current version last

    def versions(self):
        found = []
        for at in sorted(self.moments):
            moment = self.moments[at]
            content = found[-1].content if moment.deleted else moment.content
            if found and (found[-1].content, found[-1].deleted) == (content, moment.deleted):
                continue
            if found:
                found[-1].end = at
            found.append(Version(at, content, moment.deleted, moment.inferred))
        return found

    def _current(self):
        versions = self.versions()
        return versions[-1] if versions else None

    def _begin(self, at, moment):
        """From `at` on this is true, whatever was thought to be seen later."""
        self.moments = {when: what for when, what in self.moments.items() if when < at}
        self.moments[at] = moment

    def now(self, content, overwritten, modified, received, source_now):
        """A live table shows the row: that is true now. A text that is known says nothing."""
        current, text = self._current(), (content, overwritten, modified)
        if text == self.text and not current.deleted:
            return
        self.text = text
        usable = modified is not None and modified <= source_now and (current is None or modified > current.start)
        if current is None:
            self._begin(modified if usable else received, Moment(content, inferred=not usable))
        elif current.deleted or current.content != content:
            at = modified if usable else max(received, current.start + MICROSECOND)
            self._begin(at, Moment(content, inferred=not usable))
        elif usable:
            self.moments.setdefault(modified, Moment(content))
        self.overwritten = overwritten

    def gone(self, received):
        current = self._current()
        if current is not None and not current.deleted:
            self._begin(max(received, current.start + MICROSECOND), Moment(None, deleted=True, inferred=True))

    def past(self, content, overwritten, modified, source_now):
        """A history table says what was at that time. False: it bears no time that has come."""
        if modified is None or modified > source_now:
            return False
        if modified in self.moments and self.moments[modified].deleted:
            return True
        before = self._current(), self.overwritten
        is_newest = not self.moments or modified >= max(self.moments)
        if is_newest:
            self.overwritten = overwritten
        self.moments[modified] = Moment(content)
        if is_newest and before != (self._current(), self.overwritten):
            self.text = content, overwritten, modified
        return True

    def as_of(self, day_end):
        """Number of the version valid at the last microsecond of a day; older than all: the first."""
        began = [number for number, version in enumerate(self.versions(), 1) if version.start < day_end]
        return began[-1] if began else 1
