"""Printing: for people on a terminal, as plain text elsewhere, or as one JSON document."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


@attrs.frozen
class Report:
    """Where results go. With ``as_json`` stdout holds one document; progress is on stderr alone."""

    as_json: bool = False

    def show(self, title: str, rows: Sequence[tuple[str, str]], document: Mapping[str, object]) -> None:
        """A titled table of two columns, or the document. A text of several lines stands below its name as a list."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False))
            return
        if not sys.stdout.isatty():
            width = max((len(name) for name, _ in rows), default=0)
            print(title)
            for name, text in rows:
                for place, line in enumerate(text.split("\n")):
                    print(f"  {'' if place else name:<{width}}  {line}")
            return
        table = Table(show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(name, text)
        console = _console()
        console.print(title, style="bold")
        console.print(table)

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
        console = _console()
        console.print(title, style="bold")
        if not rows:
            return
        table = _fitting(head, rows, console.width)
        for line in [table] if table is not None else _narrow(head, rows, console.width):
            console.print(line)

    def note(self, line: str) -> None:
        """Something worth knowing beside the result; on stderr."""
        print(f"note: {line}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line between results; on stderr where stdout belongs to JSON."""
        print(line, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """A bar with the time that is left, on a terminal; nothing elsewhere."""
        if not sys.stderr.isatty():
            yield None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        left = (TimeRemainingColumn(), TextColumn("left"))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *left)
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _console() -> Console:
    """A terminal to which everything is text: what stands in a record is no instruction to it."""
    return Console(markup=False, emoji=False, highlight=False)


LEAST = 20
"""The last column of a table may be wrapped down to this; a table that needs more room is no table."""


def _fitting(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table | None:
    """The table, if only its last column has to be wrapped for this terminal."""
    widths = _widths(head, rows)
    if sum(widths[:-1]) + 3 * len(widths) + 1 + min(widths[-1], LEAST) > width:
        return None
    table = Table()
    for name in head[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(head[-1], overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    return table


def _narrow(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The same for a narrow terminal: the last column below the others; all of them below the first, if need be."""
    widths = _widths(head, rows)[:-1]
    if sum(widths) + 2 * len(widths) > width:
        for name, *cells in rows:
            yield f"  {name}"
            text = "  ".join(f"{what}: {cell}" for what, cell in zip(head[1:], cells, strict=True))
            yield from _below(text, width)
        return
    for *cells, last in [head, *rows]:
        aligned = (cell + " " * (most - cell_len(cell)) for cell, most in zip(cells, widths, strict=True))
        yield "  " + "  ".join(aligned).rstrip()
        yield from _below(last, width)


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_len(cell) for cell in column) for column in zip(head, *rows, strict=True)]


def _below(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, LEAST), initial_indent="    ", subsequent_indent="    ")
