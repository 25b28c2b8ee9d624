"""Who was touched, what must be kept, and what may go: the commands ``report``, ``hold`` and ``expire``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import attrs

from bidisync.approval import release, retain
from bidisync.chain import EXPIRE
from bidisync.clock import SystemClock, utc_text
from bidisync.errors import Misconfigured
from bidisync.model import Ref, Seen, Side
from bidisync.retention import expire
from bidisync.state import Journaled, Link
from bidisync.storage import StateStore
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.expiring import DAY_S
from bidisync_espo_advo.explaining import NAMES, Mask, ended, hold_document
from bidisync_espo_advo.operating import link_named, opened_state
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings

PAGE = 500
NAMING = ("family_name", "given_name")


def moment(text: str, *, ends: bool = False) -> float:
    """A date or a time as people write it, in UTC unless it says otherwise; with ``ends`` a date is its whole day."""
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text) + timedelta(days=1 if ends else 0)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise Misconfigured("a time is written 2026-01-31 or 2026-01-31T08:30 (UTC)") from error


@attrs.define
class Touched:
    """What was done to one link within the time, without a value."""

    link_id: str
    acts: Counter[str] = attrs.Factory(Counter)
    fields: dict[Side, set[str]] = attrs.Factory(lambda: {side: set() for side in Side})
    first: float = float("inf")
    last: float = float("-inf")

    def add(self, entry: Journaled) -> None:
        """Count an entry of the journal."""
        self.acts[entry.what] += 1
        self.first, self.last = min(self.first, entry.at), max(self.last, entry.at)
        for decision in entry.decisions:
            for side in decision.writes:
                self.fields[side].add(decision.field)

    def document(self, link: Link | None, mask: Mask) -> dict[str, object]:
        """The same for a program, with how the link stands now."""
        return {
            "link": self.link_id,
            "left": None if link is None else link.left_id,
            "right": None if link is None else link.right_id,
            "state": None if link is None else link.state.value,
            "why": "" if link is None else ended(link),
            "name": list(mask.each(*named(link))),
            "acts": dict(sorted(self.acts.items())),
            "written": {side.value: sorted(fields) for side, fields in self.fields.items()},
            "first": utc_text(self.first),
            "last": utc_text(self.last),
        }


def named(link: Link | None) -> tuple[Seen, ...]:
    """The name that a link's records go by, as far as the state knows it."""
    for shadow in () if link is None else (link.left_shadow, link.right_shadow):
        if shadow is not None:
            return tuple(value for field in NAMING if isinstance(value := shadow.fields.get(field), str))
    return ()


async def touched(store: StateStore, since: float, until: float) -> Mapping[str, Touched]:
    """Every link to which something was done between the two times, the first of them included.

    That old values went by their age is done to the state, and to nobody's record.
    """
    found: dict[str, Touched] = {}
    async for entry in _back_to(store, since):
        if since <= entry.at < until and entry.what != EXPIRE:
            found.setdefault(entry.link_id, Touched(entry.link_id)).add(entry)
    return dict(sorted(found.items(), key=lambda pair: (pair[1].first, pair[0])))


async def _back_to(store: StateStore, since: float) -> AsyncIterator[Journaled]:
    """The journal from its end on, until a whole page is older."""
    before: int | None = None
    while page := await store.history(before=before, limit=PAGE):
        for _, entry in page:
            yield entry
        if all(entry.at < since for _, entry in page):
            return
        before = page[-1][0]


async def report_command(settings: Settings, *, since: str, until: str | None, shows: bool, report: Report) -> int:
    """Which parties were touched between two times, and how."""
    now = SystemClock().now()
    start, end = moment(since), now if until is None else moment(until, ends=True)
    if end <= start:
        raise Misconfigured("--to must be later than --from")
    mask = Mask(shows)
    async with opened_state(settings) as store:
        found = await touched(store, start, end)
        links = await _links(store, list(found))
    acts: Counter[str] = Counter()
    for one in found.values():
        acts.update(one.acts)
    documents = [one.document(links.get(name), mask) for name, one in found.items()]
    document = {
        "from": utc_text(start),
        "to": utc_text(end),
        "parties": len(found),
        "acts": dict(sorted(acts.items())),
        "links": documents,
    }
    if report.as_json:
        report.document(document)
        return Exit.IN_SYNC
    title = f"Touched from {utc_text(start)} to {utc_text(end)} UTC"
    report.show(title, [("parties", str(len(found))), *((what, str(n)) for what, n in sorted(acts.items()))], {})
    rows = [_row(one, links.get(name), mask) for name, one in found.items()]
    report.table("by party", ("link", "name", "acts", "written", "first", "last", "state"), rows)
    for name in found:
        if (link := links.get(name)) is not None and link.tombstoned:
            report.say(f"{name}: {ended(link)}")
    return Exit.IN_SYNC


def _row(one: Touched, link: Link | None, mask: Mask) -> tuple[str, ...]:
    written = "; ".join(f"{NAMES[side]}: {', '.join(sorted(names))}" for side, names in one.fields.items() if names)
    return (
        one.link_id,
        " ".join(str(part) for part in mask.each(*named(link))) or "–",
        ", ".join(f"{number} {what}" for what, number in sorted(one.acts.items())),
        written or "–",
        utc_text(one.first),
        utc_text(one.last),
        "–" if link is None else link.state.value,
    )


async def _links(store: StateStore, names: Sequence[str]) -> dict[str, Link]:
    """The links of these names, or those that took them over."""
    found: dict[str, Link] = {}
    for start in range(0, len(names), PAGE):
        refs = {Ref.parse(name): name for name in names[start : start + PAGE]}
        found |= {refs[ref]: link for ref, link in (await store.load(list(refs))).items()}
    return found


async def hold_command(
    settings: Settings, *, names: Sequence[str], until: str | None, releases: bool, report: Report
) -> int:
    """Put retention holds on links, end them, or list them."""
    clock = SystemClock()
    async with opened_state(settings) as store:
        links = [await link_named(store, name) for name in names]
        if releases:
            await release(store, clock, links)
        elif links:
            await retain(store, clock, links, None if until is None else moment(until, ends=True))
        held = [link async for group in store.links() for link in group if link.retained(clock.now())]
    documents = [{"link": link.id, **(hold_document(link) or {})} for link in held]
    rows = [(str(one["link"]), f"since {one['since']}, until {one['until'] or 'it is released'}") for one in documents]
    report.show("Retention holds", rows or [("none", "")], {"held": documents})
    return Exit.IN_SYNC


async def expire_command(settings: Settings, *, days: float | None, report: Report) -> int:
    """Erase the values of the past that have had their time, all of them, now."""
    keep = settings.privacy.keep_values_days if days is None else days
    if keep <= 0:
        raise Misconfigured("privacy.keep_values_days is 0: values are kept; set it, or name --days")
    async with opened_state(settings) as store:
        done = await expire(store, SystemClock(), keep_s=keep * DAY_S, portions=sys.maxsize)
    rows = [
        ("decisions that lost their values", str(done.entries)),
        ("ended links that lost theirs", str(done.links)),
        ("stays", "what was done, when, to which link, by which rule"),
    ]
    report.show(f"Values older than {keep:g} days", rows, {"days": keep, "entries": done.entries, "links": done.links})
    return Exit.IN_SYNC
