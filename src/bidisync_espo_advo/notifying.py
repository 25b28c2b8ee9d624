"""People are told: in EspoCRM, and by mail or chat through apprise.

An API user may not create a ``Notification`` in EspoCRM (its rights say ``create: no``), so
the assigned users of the records get a post, of which EspoCRM itself notifies them: one post
for each user, with all of their records. That takes the role's *message permission*. Where
it is missing, the post goes to the streams of the records, and whoever follows them is told.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from bidisync.clock import utc_text
from bidisync.desk import Desk, Reach
from bidisync.errors import Misconfigured, Rejected, SyncError, Unavailable
from bidisync.guards import held_plans
from bidisync.model import Side
from bidisync.notices import Notice, NoticeKind, Waiting
from bidisync.protocols import Clock, LockProvider, Notifier, Observer
from bidisync.state import Link
from bidisync.storage import StateStore
from bidisync_espo_advo.sections import NotifySettings

SHOWN = 20
"""No message names more things than this."""

STREAMS = 10
"""No notice goes to the streams of more records than this."""

_SUBJECTS = {
    NoticeKind.DEAD: ("records were given up", "Datensätze wurden aufgegeben"),
    NoticeKind.REVIEW: ("records wait for a decision", "Datensätze warten auf eine Entscheidung"),
    NoticeKind.HELD: ("changes wait for approval", "Änderungen warten auf Freigabe"),
    NoticeKind.REMOTE_DOWN: ("systems can't be used", "Systeme sind nicht benutzbar"),
}


def subject(notice: Notice) -> str:
    """One line, in English and in German."""
    english, german = _SUBJECTS[notice.kind]
    return f"bidisync: {notice.count} {english} · {notice.count} {german}"


def body(notice: Notice, names: Sequence[str] | None = None) -> str:
    """The rest: codes, since when, which, and what to do. ``names`` are shown in place of the links."""
    shown = list(names if names is not None else notice.links)
    more = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    reasons = ", ".join(f"{number} {code}" for code, number in notice.reasons.items())
    lines = [f"why: {reasons}", f"since: {utc_text(notice.first_at)} UTC", "", *shown[:SHOWN], *more]
    return "\n".join([*lines, "", f"what to do: {notice.hint}"] if notice.hint else lines)


def advice(kind: NoticeKind, waiting: Sequence[Link]) -> str:
    """The command to run."""
    match kind:
        case NoticeKind.DEAD:
            return "espo-advo status, and once the cause is gone: espo-advo retry --all"
        case NoticeKind.REVIEW:
            return "espo-advo conflicts, and for one of them: espo-advo explain LINK"
        case NoticeKind.HELD:
            plans = held_plans(waiting)
            commands = [f"espo-advo approve {plan.digest} ({len(plan.links)} records, {plan.reason})" for plan in plans]
            return "; ".join(commands[:5])
        case NoticeKind.REMOTE_DOWN:
            return "espo-advo check"


class Board(Protocol):
    """What the notices need of EspoCRM."""

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Records by id."""
        ...

    async def post_item(self, path: str, body: Mapping[str, object]) -> object:
        """Make something that is no record."""
        ...


@attrs.frozen
class EspoPosts:
    """A channel: posts in EspoCRM to the assigned users, else in the records' streams.

    What has no record there, or nobody assigned, is left to the other channels.
    """

    board: Board
    entity_type: str

    async def notify(self, notice: Notice) -> None:
        """One post for each user; ``SyncError`` if not one got through."""
        of_user = await self._by_user(notice)
        errors, reached = [], 0
        for user, items in of_user.items():
            mine = notice.about(items.values())
            text = f"{subject(mine)}\n\n{body(mine, [self._link_to(id) for id in items])}"
            try:
                await self._post(user, list(items), text)
                reached += 1
            except SyncError as error:
                errors.append(error)
        if errors and not reached:
            raise errors[0]

    async def _by_user(self, notice: Notice) -> dict[str, dict[str, Waiting]]:
        items = {ref.id: item for item in notice.items for ref in item.records if ref.side is Side.LEFT}
        found: dict[str, dict[str, Waiting]] = {}
        for id, record in (await self.board.get_many(list(items)) if items else {}).items():
            user = record.fields.get("assignedUserId")
            if isinstance(user, str):
                found.setdefault(user, {})[id] = items[id]
        return found

    async def _post(self, user: str, ids: list[str], text: str) -> None:
        to_user = {"type": "Post", "targetType": "users", "usersIds": [user], "post": text}
        try:
            await self.board.post_item("Note", to_user)
            return
        except Rejected as error:  # the role has no message permission
            refused, reached = error, 0
        for id in ids[:STREAMS]:
            in_stream = {"type": "Post", "parentType": self.entity_type, "parentId": id, "post": text}
            with contextlib.suppress(Rejected):
                await self.board.post_item("Note", in_stream)
                reached += 1
        if not reached:
            raise refused

    def _link_to(self, id: str) -> str:
        return f"[left:{id}](#{self.entity_type}/view/{id})"


@attrs.frozen
class ByApprise:
    """A channel: one address of ``notify.urls`` (mail, chat, …). Made by ``ByApprise.open``."""

    _apprise: Any = attrs.field(repr=False)

    @classmethod
    def open(cls, url: str, name: str = "the address") -> ByApprise:
        """A channel to this address; ``Misconfigured`` says the extra, or the name of one that can't be used."""
        try:
            import apprise
        except ImportError as error:
            raise Misconfigured("notify.urls needs one package more: pip install 'bidisync[notify]'") from error
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines may hold addresses with passwords
        client = apprise.Apprise()
        if not client.add(url):
            raise Misconfigured(f"{name} is no address that apprise knows")
        return cls(client)

    async def notify(self, notice: Notice) -> None:
        """One message; ``Unavailable`` if it did not go out."""
        if not await self._apprise.async_notify(body=body(notice), title=subject(notice), body_format="text"):
            raise Unavailable("a notice could not be delivered")


def open_desk(
    settings: NotifySettings,
    *,
    store: StateStore,
    clock: Clock,
    board: Board | None = None,
    entity_type: str = "CBeteiligte",
    reach: Reach | None = None,
    locks: LockProvider | None = None,
    observe: Observer = lambda event: None,
) -> Desk:
    """The desk that these settings ask for; without channels it tells nobody.

    Raises ``Misconfigured`` for an address that can't be used.
    """
    channels: dict[str, Notifier] = {}
    if settings.espocrm and board is not None:
        channels["espocrm"] = EspoPosts(board, entity_type)
    for place, url in enumerate(settings.urls):
        channels[f"apprise:{place}"] = ByApprise.open(url, f"notify.urls[{place}]")
    return Desk(
        store=store,
        clock=clock,
        channels=channels,
        advise=advice,
        every_s=settings.every_s,
        down_after_s=settings.down_after_s,
        reach=reach or Reach(),
        locks=locks,
        observe=observe,
    )
