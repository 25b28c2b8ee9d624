"""Laws tried one after the other, each on something made for it alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from bidisync.errors import SyncError
from bidisync.testing.broken import Broken, NotJudgedError


class Closed(Protocol):
    """What is closed once a law was tried on it."""

    async def close(self) -> None:
        """Give everything back."""
        ...


C = TypeVar("C", bound=Closed)


async def all_hold(laws: Iterable[Callable[[C], Awaitable[None]]], make: Callable[[], Awaitable[C]]) -> None:
    """``Broken`` for the first law that does not hold, with its name as the promise; what can't be judged is not."""
    for law in laws:
        promise = law.__name__.strip("_")
        made = await make()
        try:
            await law(made)
        except NotJudgedError:
            continue
        except Broken as fault:
            fault.promise = promise
            raise
        except SyncError as error:
            raise Broken(
                f"a call that has to succeed raises {type(error).__name__}",
                "raise errors only where the protocol says so",
                promise=promise,
            ) from error
        finally:
            await made.close()
