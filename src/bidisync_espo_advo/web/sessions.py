"""Who is signed in: sessions of one process, each with its proof against forged requests.

A browser holds a random id in a cookie; here stands its hash alone. Values of records are
masked until the session asks for them, and again after a while.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

import attrs

SESSION_S = 12 * 3600.0
SHOWS_S = 15 * 60.0
MOST_SESSIONS = 1000


@attrs.define(eq=False)
class Session:
    """One browser: until when, the proof that a form is ours, whether values are shown, what it is told next."""

    until: float
    csrf: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    shows_until: float = 0.0
    told: list[tuple[str, str]] = attrs.Factory(list)  # kind and text, shown once

    def proves(self, given: object) -> bool:
        """Whether a form or a script that sent this got it from one of our pages."""
        return isinstance(given, str) and hmac.compare_digest(bytes_of(given), bytes_of(self.csrf))

    def tell(self, kind: str, text: str) -> None:
        """Say this on the next page."""
        self.told.append((kind, text))

    def heard(self) -> list[tuple[str, str]]:
        """What there is to say, which is then said."""
        told, self.told = self.told, []
        return told


@attrs.define(eq=False)
class Sessions:
    """The sessions of this process, on its monotonic clock; the oldest make room for new ones."""

    clock: Callable[[], float]
    _known: dict[str, Session] = attrs.field(factory=dict, repr=False)

    def begin(self) -> str:
        """A new session: the id that its browser keeps."""
        now = self.clock()
        self._known = {key: session for key, session in self._known.items() if session.until > now}
        if len(self._known) >= MOST_SESSIONS:
            self._known.pop(next(iter(self._known)))
        id = secrets.token_urlsafe(32)
        self._known[_hashed(id)] = Session(now + SESSION_S)
        return id

    def of(self, id: str) -> Session | None:
        """The session of this id, as long as it lasts."""
        session = self._known.get(_hashed(id))
        return session if session is not None and session.until > self.clock() else None

    def end(self, id: str) -> None:
        """There is no such session any more."""
        session = self._known.pop(_hashed(id), None)
        if session is not None:
            session.until = 0.0

    def show(self, session: Session, *, shows: bool) -> None:
        """Show values to this session for a while, or mask them again."""
        session.shows_until = self.clock() + SHOWS_S if shows else 0.0

    def shows(self, session: Session | None) -> bool:
        """Whether values are shown to this session now."""
        return session is not None and session.shows_until > self.clock()


def _hashed(id: str) -> str:
    return hashlib.sha256(bytes_of(id)).hexdigest()


def bytes_of(text: str) -> bytes:
    """What was sent, also where it is no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
