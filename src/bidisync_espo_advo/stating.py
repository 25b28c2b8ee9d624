"""The state as a whole, to another database or under another key: ``state move`` and ``state rotate``."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from bidisync.errors import Misconfigured
from bidisync.storage import Seal
from bidisync.stores.closing import MOVED, StateMoved
from bidisync.stores.moving import move
from bidisync.stores.seal import AesSeal, Plain, Rekeyed
from bidisync.stores.sealing import reseal
from bidisync.stores.sql import NoState
from bidisync_espo_advo.app import open_database, seal_of
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings


async def move_command(settings: Settings, *, url: str, report: Report) -> int:
    """Bring the state to another database: all of it, checked, or nothing."""
    there = settings.with_state(url)
    for named in (settings, there):
        if named.state.url == "sqlite:///:memory:":
            raise Misconfigured("a state in memory can't be moved: name a file or a server")
    seal = seal_of(settings)
    async with AsyncExitStack() as stack:
        source = await open_database(settings, create=False, seal=seal)
        stack.push_async_callback(source.close)
        moved = await source.get_mark(MOVED)
        try:
            target = await open_database(there, create=moved is None, seal=seal)
        except NoState as error:
            raise StateMoved.to(moved or "another place") from error
        stack.push_async_callback(target.close)
        done = await move(source, target)
        places = source.where, target.where
    names = {"link": "links", "journal": "entries of the journal", "known": "keyed hashes", "hint": "hints"}
    rows = [(names[table], str(number)) for table, number in done.rows.items() if table in names]
    rows += [
        ("checked", "every row was read back and is the same"),
        ("now", "set state.url (ESPO_ADVO_STATE_URL) to the new place, with the same encryption_key"),
        ("the old place", "takes no write any more; it still holds everything: remove it when all runs well"),
    ]
    document = {"from": places[0], "to": places[1], "rows": dict(done.rows), "set": "state.url"}
    report.show(f"Moved from {places[0]} to {places[1]}", rows, document)
    return Exit.IN_SYNC


async def rotate_command(settings: Settings, *, key_file: Path | None, report: Report) -> int:
    """Bring all that is stored under another key, or under none."""
    if settings.state.url == "sqlite:///:memory:":
        raise Misconfigured("a state in memory has no key")
    old, new = seal_of(settings), _seal_in(key_file)
    store = await open_database(settings, create=False, seal=Rekeyed(new, old))
    try:
        changed = await reseal(store, old, new)
    finally:
        await store.close()
    advice = "set state.encryption_key (ESPO_ADVO_STATE_ENCRYPTION_KEY) to the new key before anything else runs"
    if key_file is None:
        advice = "unset state.encryption_key before anything else runs: the state is readable without it"
    rows = [("written anew", f"{changed} texts"), ("now", advice)]
    rows.append(("backups", "from before are readable with the old key alone: keep it as long as you keep them"))
    report.show("The key was changed", rows, {"changed": changed, "encrypted": key_file is not None})
    return Exit.IN_SYNC


def _seal_in(key_file: Path | None) -> Seal:
    """The seal of the key in a file; none without one."""
    if key_file is None:
        return Plain()
    try:
        key = key_file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured("the file that --new-key-file names can't be read") from error
    if not key:
        raise Misconfigured("the file that --new-key-file names is empty")
    return AesSeal.of(key)
