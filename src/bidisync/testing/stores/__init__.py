"""Whether a store keeps what the engine relies on: ``check``, its laws, and a link that uses every field there is."""

from __future__ import annotations

from bidisync.model import ABSENT, LinkState, Notes, Ref, Review, ReviewKind, Side, Verb, Versions
from bidisync.state import Agreement, Attempts, Intent, Link, Missing, Recent, Replaced, Retention, Shadow, Watch


def rich_link(id: str = "1") -> Link:
    """A link that uses every field there is."""
    return Link(
        origin=Ref(Side.LEFT, id),
        left_id=id,
        right_id=f"R{id}",
        base={"a": Agreement("x", "X"), "b": Agreement(None, ABSENT), "c": Agreement(("p", "q"), ("q",))},
        left_shadow=Shadow({"a": "x", "b": None, "d": 1, "e": True, "f": 1.5}, "v1", 12.5),
        right_shadow=Shadow(
            {"a": "X", "b": ABSENT}, unreadable=frozenset({"b", "c"}), replaced=Replaced({"a": "w"}, "v0", 20.0)
        ),
        intent=Intent(Verb.CREATE, Side.RIGHT, {"a": "x"}, 1.0, 2.0, "104711", True, True),
        reviews=(Review(ReviewKind.CONFLICT, "why", "g", {"a": Versions(ABSENT, "x", None)}, "digest"),),
        attempts=Attempts(2, 3.5, "unavailable"),
        shown={Side.LEFT: Notes("R1", "v", LinkState.CONFLICT, "why", 2, 9.0)},
        missing=Missing(Side.RIGHT, 1.5, "run", 2, 1.75),
        approved="digest",
        watch=Watch(Intent(Verb.CREATE, Side.RIGHT, {"a": "x"}, 1.0, 2.0), 3.0, 4.0),
        recent=(Recent(1.0, "g", "digest"), Recent(2.0, "h", "other")),
        retention=Retention(1.0, 2.5),
        given_up="R0",
        fence=3,
    )
