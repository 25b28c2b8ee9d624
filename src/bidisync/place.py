"""Where a pair keeps what it remembers, and whether that is its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from bidisync.errors import Misconfigured
from bidisync.storage import StateStore
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore

PLACES = "the state of a pair is 'memory:', 'sqlite:///FILE', a pathlib.Path, 'postgresql://…' or a store"
_OWNER = "pair"  # the mark of the fields that the pair has which keeps its state there
_EVER = "pair:ever"  # the mark of all that it ever had


async def open_state(state: str | Path | StateStore) -> StateStore:
    """The state store that ``state`` names, or is; ``Misconfigured`` if it is neither, or can't be opened."""
    if isinstance(state, type):
        raise Misconfigured(f"{state.__name__} is a class: give a store that was made of it, as in {state.__name__}()")
    if not isinstance(state, str | Path):
        if not hasattr(state, "get_mark"):
            raise Misconfigured(f"{PLACES}, not {type(state).__name__}")
        return state
    try:
        return await (SqliteStore.open(state) if isinstance(state, Path) else _at(state))
    except Misconfigured as error:  # stores call the place by the name of a setting, which a pair has not
        raise Misconfigured(str(error).replace("state.url", "state=")) from error


async def _at(url: str) -> StateStore:
    kind, colon, rest = url.partition(":")
    if kind == "memory" and not rest:
        return MemoryStore()
    if kind == "sqlite" and rest.startswith("///") and rest != "///":
        return await SqliteStore.open(rest.removeprefix("///"))
    if kind in ("postgresql", "postgres"):
        return await _postgres(url)
    if kind == "sqlite" or not colon:
        file = rest.lstrip("/") if colon else url
        named = file and not set(file) & set("=@ ")  # else it may hold a password
        raise Misconfigured(f"{PLACES}: write state='sqlite:///{file if named else 'FILE'}'")
    raise Misconfigured(f"{PLACES}; {kind} is no kind of it")


async def _postgres(url: str) -> StateStore:
    try:
        from bidisync.stores.postgres import PostgresStore
    except ModuleNotFoundError as error:
        raise Misconfigured("a state in PostgreSQL needs more: pip install 'bidisync[postgres]'") from error
    return await PostgresStore.open(url)


async def refuse_another(store: StateStore, fields: Iterable[str]) -> None:
    """``Misconfigured`` if this state is that of another pair than the one with these fields.

    Fields may be added, and they may be left out; one that does both at once may be another kind
    of record altogether. A state that holds no link yet is nobody's.
    """
    await _owned(store, frozenset(fields))


async def claim(store: StateStore, fields: Iterable[str]) -> None:
    """Make this state that of the pair with these fields, before it stores anything; else as ``refuse_another``."""
    names = frozenset(fields)
    last, ever = await _owned(store, names)
    if ever != ever | names:
        await store.set_mark(_EVER, _written(ever | names))
    if last != names:
        await store.set_mark(_OWNER, _written(names))


async def _owned(store: StateStore, names: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that the pair had which keeps its state there when it last synced, and all that it ever had."""
    last, ever = _read(await store.get_mark(_OWNER)), _read(await store.get_mark(_EVER))
    ever |= last
    if last <= names or names <= ever:
        return last, ever
    if not any((await store.count()).values()):
        return frozenset(), frozenset()
    raise Misconfigured(
        f"this state belongs to a pair with the fields {_listed(last)}: {_listed(names - last)} would be new, and "
        f"without {_listed(last - names)} this is another pair, and each pair has a state of its own. Where a field of "
        "this pair shall have another name, add the new one first, sync, and leave the old one out after that"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _read(mark: str | None) -> frozenset[str]:
    return frozenset(json.loads(mark)) if mark else frozenset()


def _written(names: Iterable[str]) -> str:
    return json.dumps(sorted(names))
