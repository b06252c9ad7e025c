"""X12 files of public test suites, read in place: the parser finds what an independent checker found."""
import json
import os
import subprocess
from decimal import Decimal

import pytest

from harness import settings, x12

FILES = os.path.join(settings.ROOT, "..", "shared", "data", "x12")
AMOUNTS = ("charged", "paid", "plb", "check", "transaction_difference")


@pytest.fixture(scope="module")
def files():
    directory = os.path.realpath(os.environ.get("REVCYCLED_X12_FILES", FILES))
    if not os.path.exists(os.path.join(directory, "expected.json")):
        pytest.skip(f"the public X12 files are not on this machine: {directory} has no expected.json")
    with open(os.path.join(directory, "expected.json"), encoding="utf-8") as file:
        return directory, json.load(file)


def read(build, paths, chunk_bytes=65536):
    found = subprocess.run([os.path.join(build, "x12_tool"), str(chunk_bytes), *paths], check=True, capture_output=True,
                           text=True, timeout=60).stdout
    return [json.loads(line) for line in found.splitlines()]


def as_decimals(transaction):
    """Our cents, or a checker's text, as exact decimals."""
    return {key: (Decimal(value).scaleb(-2) if isinstance(value, int) else Decimal(value)) if key in AMOUNTS else value
            for key, value in transaction.items()}


def compare(found, expected):
    for key in ("interchanges", "groups", "segments"):
        assert found[key] == expected[key], key
    assert len(found["transactions"]) == len(expected["transactions"])
    for ours, theirs in zip(found["transactions"], expected["transactions"]):
        ours, theirs = as_decimals(ours), as_decimals(theirs)
        assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize("chunk_bytes", [1, 37, 65536])
def test_the_public_files_hold_what_an_independent_checker_found(build, files, chunk_bytes):
    directory, expected = files
    paths = [os.path.join(directory, entry["file"]) for entry in expected]
    for ours, theirs in zip(read(build, paths, chunk_bytes), expected, strict=True):
        compare(ours, theirs)
        if "balanced" in theirs:
            assert all(t["balanced"] for t in ours["transactions"]) == theirs["balanced"], theirs["file"]


def test_the_tests_own_reader_agrees_with_the_independent_checker(files):
    directory, expected = files
    for entry in expected:
        with open(os.path.join(directory, entry["file"]), "rb") as file:
            found = x12.summary(file.read())
        for ours, theirs in zip(found["transactions"], entry["transactions"], strict=True):
            assert as_decimals({key: str(value) if key in AMOUNTS else value for key, value in ours.items()
                                if key in theirs}) == as_decimals(theirs), entry["file"]
        assert {key: found[key] for key in ("interchanges", "groups", "segments")} == \
            {key: entry[key] for key in ("interchanges", "groups", "segments")}, entry["file"]


def test_the_public_files_read_the_same_in_every_dress(build, files, tmp_path):
    """Line ends behind the terminator, none, CRLF, a BOM, indents, folded lines: the same segments and sums."""
    directory, expected = files
    plain = [entry for entry in expected if entry["bytes"] < 10000]
    for number, dress in enumerate(DRESSES):
        paths = []
        for entry in plain:
            with open(os.path.join(directory, entry["file"]), "rb") as file:
                segments = x12.segments_of(file.read())
            paths.append(tmp_path / f"{number}-{entry['file']}")
            paths[-1].write_bytes(dress(segments))
        for ours, theirs in zip(read(build, paths, 13), plain, strict=True):
            compare(ours, theirs)


def written(segments, separator="*", terminator="~", behind="\n", before=""):
    return "".join(before + separator.join(s) + terminator + behind for s in segments).encode("latin-1")


def folded(segments):
    text = written(segments, behind="").decode("latin-1")
    return "\r\n".join(text[i:i + 80] for i in range(0, len(text), 80)).encode("latin-1")


DRESSES = [
    written,
    lambda s: written(s, behind=""),
    lambda s: written(s, behind="\r\n"),
    lambda s: written(s, behind="\r"),
    lambda s: written(s, terminator="\n", behind=""),
    lambda s: written(s, terminator="\r\n", behind=""),
    lambda s: b"\xef\xbb\xbf" + written(s),
    lambda s: written(s, before="    ", behind="\r\n"),
    lambda s: written(s, separator="|", terminator="'"),
    lambda s: written(s, separator="\x1d", terminator="\x1c", behind=""),
    lambda s: b"\n\n" + written(s) + b"\n\x1a",
    lambda s: written(s).rstrip(b"~\n"),
    lambda s: written([[e.rstrip() for e in x] if x[0] == "ISA" else x for x in s]),
    folded,
]
