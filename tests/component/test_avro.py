"""Our Avro files, read by an independent reader."""
import datetime
import io
import os
import subprocess
from decimal import Decimal

import fastavro
import pytest

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def expected(i):
    if i % 3 == 2:
        return {"key": i, "text": None, "amount": None, "day": None, "at": None, "fact": None, "flags": []}
    text = f"Ünal {i}"
    return {"key": i, "text": text, "amount": Decimal((-1 if i % 2 else 1) * i * 98837).scaleb(-2),
            "day": EPOCH.date() + datetime.timedelta(days=i - 100),
            "at": EPOCH + datetime.timedelta(microseconds=i * 86399999999), "fact": bool(i % 2),
            "flags": ["paid_above_billed", text][:i % 3 + 1]}


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("rows", [0, 1, 20000])
def test_another_reader_finds_every_value(build, codec, rows):
    written = subprocess.run([os.path.join(build, "avro_tool"), codec, str(rows)], check=True, capture_output=True,
                             timeout=60).stdout
    reader = fastavro.reader(io.BytesIO(written))
    assert reader.metadata["avro.codec"] == codec
    count = 0
    for i, row in enumerate(reader):
        assert row == expected(i)
        count += 1
    assert count == rows
