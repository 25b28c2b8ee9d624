"""The command ``backup``: a copy of the state in one file, whole and checked, made while others work on it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from bidisync.errors import Misconfigured, Unavailable
from bidisync.stores.sql import NoState
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings

SQLITE = "sqlite:///"


def backup_command(settings: Settings, *, file: Path, report: Report) -> int:
    """Copy the state into a new file, for its owner alone; what is sealed stays sealed."""
    source = _file_of(settings.state.url)
    if file.exists():
        raise Misconfigured(f"{file} is there already: name a new file")
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        links = _copy(source, unfinished)
        _to_disk(unfinished)
        unfinished.rename(file)
    except OSError as error:
        raise Unavailable(f"the backup can't be written to {file}: {error.strerror}", system="state") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    size = file.stat().st_size
    rows = [("links", str(links)), ("bytes", str(size)), ("checked", "every page can be read")]
    if not settings.state.encryption_key:
        rows.append(("note", "it holds values of people in the clear: keep it as safe as the systems themselves"))
    report.show(f"Backup in {file}", rows, {"file": str(file), "links": links, "bytes": size})
    return Exit.IN_SYNC


def _file_of(url: str) -> Path:
    if not url.startswith(SQLITE) or url.endswith(":memory:"):
        raise Misconfigured("only a state in a file is copied by this command: a PostgreSQL server has pg_dump")
    path = Path(url.removeprefix(SQLITE))
    if not path.exists():
        raise NoState(f"there is no state in {path}")
    return path


def _copy(source: Path, target: Path) -> int:
    """Copy page by page from one moment's state, and read the copy through; the number of its links."""
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=15.0)) as state,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            state.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise Misconfigured(f"{source} is damaged: go back to the last backup that was whole")
            return int(copy.execute("SELECT count(*) FROM link").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"the state in {source} can't be copied: {error}", system="state") from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
