"""Everything that the state holds about one person, for whoever has a right to know it: the command ``export``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bidisync.clock import SystemClock, utc_text
from bidisync.errors import Misconfigured
from bidisync.rest import at_length
from bidisync.state import Link
from bidisync_espo_advo.app import Store
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.operating import link_named, opened_state
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.undoing import every_entry

FORMAT = 1


async def export_command(settings: Settings, *, name: str, output: Path | None, report: Report) -> int:
    """Everything about one person as JSON, nothing masked: on stdout, or in a file for its owner alone."""
    async with opened_state(settings) as store:
        link = await link_named(store, name)
        document = await _everything(store, link)
    if output is None:
        report.document(document)
        return Exit.IN_SYNC
    _save(output, document)
    rows = [("decisions", str(len(document["journal"]))), ("written to", f"{output}, for its owner alone")]
    report.show(f"Exported: {link.id}", rows, {"exported": link.id, "file": str(output)})
    return Exit.IN_SYNC


async def _everything(store: Store, link: Link) -> dict[str, Any]:
    """Both sides as they were last seen, what both agreed on, what waits, every decision with its values."""
    names = {link.id, *map(str, link.refs)}  # what was decided about a record before it became part of the link too
    entries = [pair async for pair in every_entry(store) if pair[1].link_id in names]
    journal = [(number, at_length(entry)) for number, entry in reversed(entries)]
    traces = await store.traces(link)
    return {
        "format": FORMAT,
        "exported_at": utc_text(SystemClock().now()),
        "link": {"id": link.id, "state": link.state.value, **at_length(link)},
        "journal": [{"decision": number, "utc": utc_text(entry["at"]), **entry} for number, entry in journal],
        "index": [{"record": str(known.ref), "keyed_hashes": dict(known.keys)} for known in traces.known],
        "hints": [{"record": str(hint.ref), "since": utc_text(hint.first_at)} for hint in traces.hints],
        "acts": [{"utc": utc_text(at), "act": act} for at, act in traces.acts],
    }


def _save(path: Path, document: dict[str, Any]) -> None:
    """Write the file; one that is there is not written over, as it may be open to others."""
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
    except FileExistsError as error:
        raise Misconfigured(f"{path} is there already: name another file") from error
    except OSError as error:
        raise Misconfigured(f"the export can't be written to {path}: {error.strerror}") from error
