"""One out of many: who comes first in Redis may, until the time is over.

A single SET over a plain connection. The client library would do it as well, and takes longer
to import than a cron step may take. Who runs a coroutine has asyncio loaded already, so it is
imported where it is used: Motia also imports each step once just to read its ``config``.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import unquote, urlsplit

from bidisync.errors import Misconfigured, Unavailable

PATIENCE_S = 5.0


async def claim(url: str, key: str, seconds: float) -> bool:
    """Whether this caller is the first to claim the key; nobody else is for so many seconds.

    ``url`` is that of a Redis server as for ``lock.url``. ``Unavailable`` where nobody can tell.
    """
    import asyncio

    commands = [*_greeting(url), ("SET", key, "claimed", "NX", "PX", str(max(1, int(seconds * 1000))))]
    try:
        async with asyncio.timeout(PATIENCE_S):
            answers = await _asked(url, commands)
    except (OSError, TimeoutError, EOFError) as error:
        raise Unavailable("the Redis server of lock.url can't be reached", system="lock") from error
    for answer in answers:
        if answer.startswith((b"-NOAUTH", b"-WRONGPASS", b"-NOPERM")):
            raise Misconfigured("the Redis server of lock.url refuses user or password")
        if answer.startswith(b"-"):
            raise Unavailable("the Redis server of lock.url can't answer now", system="lock")
    return answers[-1].startswith(b"+OK")


def _greeting(url: str) -> list[tuple[str, ...]]:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise Misconfigured("lock.url must name the Redis server that all steps share")
    commands: list[tuple[str, ...]] = []
    if parts.password:
        user = (unquote(parts.username),) if parts.username else ()
        commands.append(("AUTH", *user, unquote(parts.password)))
    if parts.path.strip("/"):
        commands.append(("SELECT", parts.path.strip("/")))
    return commands


async def _asked(url: str, commands: list[tuple[str, ...]]) -> list[bytes]:
    """One line of answer for each command."""
    import asyncio

    parts = urlsplit(url)
    secure = True if parts.scheme == "rediss" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 6379, ssl=secure)
    try:
        for command in commands:
            words = [word.encode() for word in command]
            writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        answers = [await reader.readuntil(b"\r\n") for _ in commands]
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return answers
