"""Printing: for people on a terminal, as plain text elsewhere, or as one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table


@attrs.frozen
class Report:
    """Where results go. With ``as_json`` stdout holds one document; progress is on stderr alone."""

    as_json: bool = False

    def show(self, title: str, rows: Sequence[tuple[str, str]], document: Mapping[str, object]) -> None:
        """A titled table of two columns, or the document."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False))
            return
        if not sys.stdout.isatty():
            width = max((len(name) for name, _ in rows), default=0)
            print(title)
            for name, text in rows:
                print(f"  {name:<{width}}  {text}")
            return
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(style="bold")
        table.add_column()
        for name, text in rows:
            table.add_row(name, text)
        _console().print(table)

    def document(self, document: Mapping[str, object]) -> None:
        """The one JSON document."""
        print(json.dumps(document, ensure_ascii=False))

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A titled table of as many columns as ``head`` has; without rows, the title alone."""
        if not sys.stdout.isatty():
            widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
            print(title)
            for cells in [head, *rows] if rows else []:
                print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
            return
        table = Table(title=title, title_justify="left")
        for name in head:
            table.add_column(name)
        for cells in rows:
            table.add_row(*cells)
        _console().print(table if rows else title)

    def note(self, line: str) -> None:
        """Something worth knowing beside the result; on stderr."""
        print(f"note: {line}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line between results; on stderr where stdout belongs to JSON."""
        print(line, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """A bar on a terminal; nothing elsewhere."""
        if not sys.stderr.isatty():
            yield None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _console() -> Console:
    """A terminal to which everything is text: what stands in a record is no instruction to it."""
    return Console(markup=False, emoji=False, highlight=False)
