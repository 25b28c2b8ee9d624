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
_OWNER = "pair"  # the mark of what the pair is made of that keeps its state there


async def open_state(state: str | Path | StateStore) -> StateStore:
    """The state store that ``state`` names, or is; ``Misconfigured`` if it is neither, or can't be opened."""
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


async def claim(store: StateStore, fields: Iterable[str]) -> None:
    """Make this state that of the pair with these fields; ``Misconfigured`` if it is another pair's.

    Another pair is one that has none of them. Fields may come and go otherwise.
    """
    names = sorted(fields)
    stored = await store.get_mark(_OWNER)
    owned: list[str] = json.loads(stored) if stored else names
    if not set(owned) & set(names):
        raise Misconfigured(
            f"this state belongs to a pair with the fields {', '.join(owned)}, none of which is given here: "
            "each pair has a state of its own, and so has one whose fields all got other names"
        )
    if owned != names or not stored:
        await store.set_mark(_OWNER, json.dumps(names))
