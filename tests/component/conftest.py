"""Fixtures of several component tests."""
import pytest

from harness.proxy import Proxy
from harness.publishing import Publishing


@pytest.fixture
def publishing(build, postgres, schema_database, emulator):
    """A project of its own per test: one emulator serves them all."""
    with Proxy(emulator.port) as proxy:
        setup = Publishing(build, postgres, schema_database, proxy, "p" + schema_database[-8:])
        yield setup
        setup.end()
        assert not proxy.pending()
