"""vdirsyncer on the same pair, by its own sync function: runs in the environment that has it.

    python -m pairs.by_vdirsyncer NUMBER CHANGED FOLDER

It compares tokens (its etags) with an SQLite status, and copies whole items as the text of a card; making the
text and reading it is part of its run, as it knows nothing else. It remembers a hash of an item and no values, so
that it can't merge: a record edited on both sides becomes the left one whole, and what was typed into other fields
on the right is gone. That is the one way in which it has less to do; it is counted as wrong all the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pairs.measured import PEER, main
from pairs.workload import NAMES, Table, Workload
from vdirsyncer.storage.base import Storage
from vdirsyncer.sync import sync
from vdirsyncer.sync.status import SqliteStatus
from vdirsyncer.vobject import Item


class Stored(Storage):
    """A table as vdirsyncer's storage: an href is the id, an etag the version."""

    storage_name = "table"

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    async def list(self) -> AsyncIterator[tuple[str, str]]:
        """Every href with its etag."""
        for row in self.table.all():
            yield row["id"], row["version"]

    async def get(self, href: str) -> tuple[Item, str]:
        """The item now."""
        row = self.table.rows[href]
        return item_of(row), row["version"]

    async def upload(self, item: Item) -> tuple[str, str]:
        """A new record."""
        made = self.table.add(fields_of(item))
        return made["id"], made["version"]

    async def update(self, href: str, item: Item, etag: str) -> str:
        """The record anew, whole, where it is as it was seen."""
        version: str = self.table.change(href, fields_of(item), etag)["version"]
        return version

    async def delete(self, href: str, etag: str) -> None:
        """The record no more."""
        self.table.remove(href, etag)


def item_of(row: Mapping[str, Any]) -> Item:
    """The text of a card."""
    lines = [f"X-{name.upper()}:{row[name]}" for name in NAMES[1:]]
    return Item("\r\n".join(["BEGIN:VCARD", "VERSION:3.0", f"UID:{row['id']}", *lines, "END:VCARD"]))


def fields_of(item: Item) -> dict[str, str]:
    """What a card says."""
    read = dict(line.split(":", 1) for line in item.raw.split("\r\n"))
    return {"id": read["UID"], **{name: read[f"X-{name.upper()}"] for name in NAMES[1:]}}


def once(work: Workload, state: Path) -> None:
    """One sync from opening the status to closing it."""
    with closing(SqliteStatus(str(state))) as status:
        asyncio.run(sync(Stored(work.left), Stored(work.right), status, conflict_resolution="a wins"))


if __name__ == "__main__":
    sizes, folder = map(int, sys.argv[1:3]), Path(sys.argv[3])
    found = main(
        PEER, *sizes, folder, begin=lambda _, *given: once(*given), runs=lambda _, *given: lambda: once(*given)
    )
    print(json.dumps(found))
