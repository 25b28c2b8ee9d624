"""What waits for a person, and what the person says: ``conflicts``, ``resolve``, ``unlink`` and ``forget``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import attrs

from bidisync.approval import forget, readmit, unlink
from bidisync.clock import SystemClock
from bidisync.conflicts import Merge, ask
from bidisync.errors import Misconfigured
from bidisync.imposing import Choose
from bidisync.model import ABSENT, Conflict, Contested, Defer, LinkState, Review, ReviewKind, Seen, Value, Versions
from bidisync.outcome import Outcome
from bidisync.state import Link
from bidisync.storage import StateStore
from bidisync_espo_advo.app import PartySync, open_store, open_sync
from bidisync_espo_advo.commands import Exit, read_ref
from bidisync_espo_advo.explaining import NAMES, Mask, versions_document, versions_line
from bidisync_espo_advo.fields import GROUPS, party_fields
from bidisync_espo_advo.operating import link_named, opened_state
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import sign_in

TAKES = ("left", "right", "base", "merged")


async def conflicts_command(settings: Settings, *, shows: bool, report: Report) -> int:
    """Everything that waits for a person, link by link."""
    mask = Mask(shows)
    async with opened_state(settings) as store:
        links = await store.waiting()
    if report.as_json:
        report.document({"conflicts": [waiting_document(link, mask) for link in links]})
    elif not links:
        report.say("Nothing waits for a person.")
    for link in () if report.as_json else links:
        report.say(f"{link.id}: {link.state.value} ({', '.join(str(ref) for ref in link.refs)})")
        if link.attempts.dead:
            report.say(f"  given up: {link.attempts.reason}; espo-advo retry {link.id}")
        for review in link.reviews:
            title = f"  {review.kind.value}, {review.reason} {review.group}".rstrip()
            rows = [versions_line(name, versions, mask) for name, versions in review.fields.items()]
            report.table(title, ("field", "base", *NAMES.values()), rows)
            report.say(f"  {_advice(link, review)}")
    return Exit.WAITING if links else Exit.IN_SYNC


def _advice(link: Link, review: Review) -> str:
    if review.plan:
        return "espo-advo status shows the hash to approve"
    if review.kind is ReviewKind.READ_ONLY:
        return (
            f"Advoware takes this at its own desk alone: enter it there; or "
            f"espo-advo resolve {link.id} --field-group {review.group} --take right"
        )
    if review.kind is ReviewKind.IDENTITY:
        return (
            f"if both systems know this one, enter Advoware's number as betnr in EspoCRM, or merge the doubles; "
            f"then espo-advo sync --all; to leave it alone: espo-advo unlink {link.id}"
        )
    if review.group:
        return f"espo-advo resolve {link.id} --field-group {review.group} --take {'|'.join(TAKES)}|FILE"
    return f"settle it in the systems themselves, or: espo-advo unlink {link.id}"


def waiting_document(link: Link, mask: Mask) -> dict[str, object]:
    """Everything that waits in a link, for a program."""
    return {
        "link": link.id,
        "left": link.left_id,
        "right": link.right_id,
        "state": link.state.value,
        "reason": link.attempts.reason if link.attempts.dead else (link.reviews[0].reason if link.reviews else ""),
        "reviews": [
            {
                "kind": review.kind.value,
                "reason": review.reason,
                "group": review.group,
                "hash": review.plan,
                "fields": {name: versions_document(versions, mask) for name, versions in review.fields.items()},
            }
            for review in link.reviews
        ],
    }


@attrs.define
class Choice:
    """What a person chose for the fields of one group; it remembers what it was asked."""

    fields: frozenset[str]
    pick: Callable[[str, Versions], Seen]
    chosen: set[str] = attrs.Factory(set)

    def __call__(self, name: str, versions: Versions) -> Seen:
        """The chosen value of a field of the group; other fields are left alone."""
        value = self.pick(name, versions) if name in self.fields else ABSENT
        if value is not ABSENT:
            self.chosen.add(name)
        return value


@attrs.frozen
class Settlement:
    """What became of a choice: the link now, what was settled, and what of the group is still open."""

    link: Link
    outcome: Outcome
    settled: tuple[str, ...]
    open: tuple[str, ...]


def fields_waiting(link: Link, group: str) -> frozenset[str]:
    """The fields of a group about which a person is asked something."""
    return frozenset(name for review in link.reviews if review.group == group for name in review.fields)


async def settle(sync: PartySync, store: StateStore, link: Link, group: str, pick: Choose, *, by: str) -> Settlement:
    """Give both sides what ``pick`` says for every field of the group that waits."""
    choice = Choice(fields_waiting(link, group), pick)
    outcome = await sync.engine.impose(link.refs[0], choice, by=by)
    now = await link_named(store, str(link.refs[0]))
    left_open = fields_waiting(now, group)
    return Settlement(now, outcome, tuple(sorted(choice.chosen - left_open)), tuple(sorted(left_open)))


async def resolve_command(settings: Settings, *, link: str, group: str, take: str, report: Report) -> int:
    """Settle what waits in one group of a link, on both sides."""
    if group not in GROUPS:
        raise Misconfigured(f"there is no field group {group!r}; known are {', '.join(GROUPS)}")
    pick = picks(take, group)
    settings.require_remotes()
    async with AsyncExitStack() as stack:
        store = await open_store(settings, create=False)
        stack.push_async_callback(store.close)
        found = await link_named(store, link)
        if not fields_waiting(found, group):
            raise Misconfigured(f"nothing of {group} waits in {found.id}; espo-advo conflicts lists what does")
        _require_answers(found, group, pick)
        sync = await stack.enter_async_context(open_sync(settings, store=store))
        await sign_in(sync.remotes)
        done = await settle(sync, store, found, group, pick, by=f"operator: {take if take in TAKES else 'values'}")
    now, outcome = done.link, done.outcome
    document = {
        "link": now.id,
        "state": outcome.state.value,
        "reason": outcome.reason,
        "settled": list(done.settled),
        "open": list(done.open),
        "updated": {side.value: side in outcome.updated for side in NAMES},
    }
    written = " and ".join(name for side, name in NAMES.items() if side in outcome.updated) or "nowhere"
    rows = [("settled", ", ".join(done.settled) or "nothing"), ("written to", written)]
    rows += [("still open", ", ".join(done.open))] if done.open else []
    report.show(f"{now.id}: {outcome.state.value}", rows, document)
    settled = not done.open and outcome.state in (LinkState.IN_SYNC, now.state)
    return Exit.IN_SYNC if settled and not now.waits else Exit.WAITING


def _require_answers(link: Link, group: str, pick: Choose) -> None:
    """Refuse a choice that has no value for a field that waits, before anything is written."""
    for review in link.reviews:
        for name, versions in review.fields.items() if review.group == group else ():
            if pick(name, versions) is ABSENT:
                raise Misconfigured(
                    f"there is no such value for {name}, or it can't be merged: take a side, or a file with its value"
                )


def picks(take: str, group: str) -> Choose:
    """The choice that a person names: a side, ``base``, ``merged``, or a file of values."""
    if take in ("left", "right", "base"):
        return lambda name, versions: getattr(versions, take)
    if take == "merged":
        return lambda name, versions: _merged(group, name, versions)
    values = _values(Path(take), group)
    return lambda name, versions: values.get(name, ABSENT)


def _merged(group: str, name: str, versions: Versions) -> Seen:
    if versions.left is ABSENT or versions.right is ABSENT:
        return ABSENT
    one = Contested(versions.base, versions.left, versions.right)
    answer = Merge(ask)(Conflict(group, {name: one}))
    return ABSENT if isinstance(answer, Defer) else answer[name]


def _values(path: Path, group: str) -> Mapping[str, Value]:
    """The values in a JSON file, by field name."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"--take is {', '.join(TAKES)} or a JSON file of values; {path} can't be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise Misconfigured(f"{path} is no JSON") from error
    members = [field.name for field in party_fields() if field.group == group]
    if not isinstance(document, dict) or not all(isinstance(v, str | None) for v in document.values()):
        raise Misconfigured(f"{path} must hold an object of field names and texts (or null)")
    strange = sorted(set(document) - set(members))
    if strange:
        raise Misconfigured(f"{path}: {strange[0]!r} is no field of {group}; it has {', '.join(members)}")
    return document


async def forget_command(settings: Settings, *, name: str, report: Report, even_unknown: bool = False) -> int:
    """Take everything about a person out of the state; with ``even_unknown`` also a record that it does not know."""
    async with opened_state(settings, create=even_unknown) as store:
        if even_unknown:
            ref = read_ref(name)
            link = (await store.load([ref])).get(ref) or Link.begin(ref)
        else:
            link = await link_named(store, name)
        erased = await forget(store, SystemClock(), link)
    rows = [
        ("erased", "every value that was stored, the journal's included"),
        ("stays", "a tombstone with the two ids and keyed hashes, so that nothing is made again"),
        ("not touched", "both records in their systems; backups of the state; logs"),
    ]
    report.show(f"Forgotten: {erased.id}", rows, {"forgotten": erased.id})
    return Exit.IN_SYNC


async def readmit_command(settings: Settings, *, names: Sequence[str], report: Report) -> int:
    """Keep those in step again who were unlinked or forgotten."""
    async with opened_state(settings) as store:
        links = [await link_named(store, name) for name in names]
        for link in links:
            await readmit(store, SystemClock(), link)
    ids = [link.id for link in links]
    rows = [("next", "espo-advo sync compares both records as they are now, as at a first contact")]
    report.show(f"Taken back: {', '.join(ids)}", rows, {"readmitted": ids})
    return Exit.IN_SYNC


async def unlink_command(settings: Settings, *, names: Sequence[str], report: Report) -> int:
    """End links: both records stay as they are, and are not kept in step until that is taken back."""
    async with opened_state(settings) as store:
        links = [await link_named(store, name) for name in names]
        number = await unlink(store, SystemClock(), links)
    ids = [link.id for link in links]
    rows = [("links ended", str(number)), ("to take it back", f"espo-advo unlink {' '.join(ids)} --take-back")]
    report.show("Unlinked", rows, {"unlinked": ids})
    return Exit.IN_SYNC
