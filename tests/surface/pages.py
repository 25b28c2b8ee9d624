"""The page of the docs that lists every public name; the strict build proves that each link ends in the reference."""

from __future__ import annotations

from collections.abc import Iterator

from api import Name
from promised import PACKAGES, PARTS

HEAD = """# Every public name

What [is promised to stay](../stability.md): these names, imported from where they stand here. Each leads to its
place in the reference. `python3 dev surface --write` writes this page.
"""


def index(known: list[Name]) -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *_lines(known)]).rstrip() + "\n"


def _lines(known: list[Name]) -> Iterator[str]:
    for package in PACKAGES:
        yield f"## `from {package} import …`\n"
        yield from _table([name for name in known if name.package == package])
    yield "## Parts with a library of their own\n"
    yield from _table([name for name in known if name.package in PARTS], full=True)


def _table(found: list[Name], *, full: bool = False) -> Iterator[str]:
    yield "| name | what |"
    yield "|---|---|"
    for name in found:
        shown = f"{name.package}.{name.name}" if full else name.name
        yield f"| [`{shown}`][{name.home}] | {name.promise.replace('|', chr(92) + '|')} |"
    yield ""
