"""A plan as a file, and the command ``apply`` that carries out exactly that.

The file names links and the digest of what would be done with each, no values. Whoever has
it could try values against the digests, so it is for its owner alone.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured
from bidisync.guards import Run, digest_of
from bidisync.model import Ref
from bidisync.state import Journaled
from bidisync_espo_advo.app import open_sync
from bidisync_espo_advo.commands import Exit, SyncResult, next_rows, remember_pass
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import sign_in

FORMAT = 1


@attrs.frozen
class SavedPlan:
    """What was planned: the digest of each link's plan, under a key of the file's own."""

    key: str = attrs.field(repr=False)
    plans: Mapping[str, str]

    @classmethod
    def of(cls, entries: Sequence[Journaled], key: str) -> SavedPlan:
        """The plans that these entries remember."""
        planned = {entry.link_id: digest_of(entry, key.encode()) for entry in entries if _writes(entry)}
        return cls(key, planned)

    def save(self, path: Path) -> None:
        """Write the file, for its owner alone."""
        text = json.dumps({"format": FORMAT, "key": self.key, "plans": dict(self.plans)}, indent=1) + "\n"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.fchmod(descriptor, 0o600)  # also one that was there before
                file.write(text)
        except OSError as error:
            raise Misconfigured(f"the plan can't be written to {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> SavedPlan:
        """The plan in this file; ``Misconfigured`` for anything else."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            plans = document["plans"]
            known = document["format"] == FORMAT and isinstance(document["key"], str) and isinstance(plans, dict)
            if not known or not all(isinstance(text, str) and Ref.parse(name) for name, text in plans.items()):
                raise ValueError(path)
        except OSError as error:
            raise Misconfigured(f"the plan {path} can't be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Misconfigured(f"{path} is no plan: espo-advo plan -o FILE writes one") from error
        return cls(document["key"], plans)


def _writes(entry: Journaled) -> bool:
    return entry.what == "delete" or any(decision.writes for decision in entry.decisions)


async def apply_command(settings: Settings, *, file: Path, report: Report) -> int:
    """Carry out the plans of the file; those whose records moved since are refused, one by one."""
    saved = SavedPlan.load(file)
    clock = SystemClock()
    began = clock.monotonic()
    async with open_sync(settings) as sync:
        await sign_in(sync.remotes)
        parts = sync.engine.parts
        run = Run(parts.chance.token()[:16], only=saved.plans, key=saved.key.encode())
        with report.progress("applying") as progress:
            refs = [Ref.parse(name) for name in saved.plans]
            tally = await sync.sweeps.named(refs, rounds=1, progress=progress, run=run)
        refused = sorted(link for link, outcome in tally.outcomes.items() if outcome.reason == "moved")
        result = SyncResult.of(tally, tally.states(), sync.calls, clock.monotonic() - began)
        await remember_pass(parts.store, clock.now(), attrs.asdict(result))
    rows = [("plans in the file", str(len(saved.plans))), *result.rows()]
    rows += next_rows(result.waits_for_a_person, result.retrying)
    if refused:
        rows.append(("refused, as the record moved", f"{len(refused)}: plan again, or espo-advo sync"))
    report.show("Apply", rows, {**attrs.asdict(result), "planned": len(saved.plans), "refused": refused})
    return Exit.WAITING if refused else result.status
