"""The parties of one Advoware, and everything that may happen to them.

Each method takes effect at once and as a whole. A person at the desktop program uses
``edit``, ``create``, ``delete``, ``open`` and ``close``; requests use the rest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from bidisync_espo_advo.simulators.advoware_rows import (
    CHILDREN,
    FIELDS,
    KEYS,
    TWIN,
    Party,
    day_of_ticks,
    opaque_id,
    pascal,
    row_id,
    shown,
    values_of,
)
from bidisync_espo_advo.simulators.advoware_switches import Switches
from bidisync_espo_advo.simulators.advoware_values import Refused, accepted, completed
from bidisync_espo_advo.simulators.people import SyntheticParty

FIRST_BETNR = 104_711
FIRST_CHILD_ID = 88_002
PERSON = "MUS"  # the Kürzel of whoever sits at the desktop program
DEDUPE = timedelta(seconds=60)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


@attrs.define
class AdvowareStore:
    """All parties by rising betNr; the same for the same seed and the same calls."""

    seed: int = 0
    switches: Switches = attrs.Factory(Switches)
    clock: Clock = utc_now
    _parties: dict[int, Party] = attrs.field(factory=dict, repr=False)
    _merged: dict[int, int] = attrs.Factory(dict)
    _opened: set[int] = attrs.Factory(set)
    _next_betnr: int = FIRST_BETNR
    _next_child: int = FIRST_CHILD_ID
    _encoded: dict[tuple[int, bool], bytes] = attrs.field(factory=dict, repr=False)
    _posted: dict[str, tuple[int, datetime]] = attrs.field(factory=dict, repr=False)

    def behave(self, switches: Mapping[str, str]) -> None:
        """Have these switches from now on, all others at their default; what is stored stays.

        ``path_prefix`` is left as it was: addresses are settled when the server is made.
        """
        self.switches = Switches({**switches, "path_prefix": self.switches["path_prefix"]})
        self._encoded.clear()

    # A person at the desktop program

    @property
    def records(self) -> dict[int, dict[str, Any]]:
        """A copy of every party by betNr, as default switches show it."""
        return {betnr: shown(party, self.seed, Switches()) for betnr, party in self._parties.items()}

    def create(self, **values: Any) -> int:
        """A new party with these fields; returns its betNr. ``ValueError`` if they do not fit."""
        with _as_value_error():
            return self._add(_only_fields(values), PERSON)

    def edit(self, betnr: int, **changes: Any) -> None:
        """Change these fields and no others, class R and ``kommunikation`` included.

        ``KeyError`` if there is no such party, ``ValueError`` if the values do not fit.
        """
        party = self._parties[betnr]
        with _as_value_error():
            new = accepted(_only_fields(changes), self.switches)
            values = completed({**party.values, **new}, self.switches)
        if CHILDREN in changes:
            party.children = self._children(party, changes[CHILDREN])
        self._change(party, values, PERSON, child_only=set(changes) == {CHILDREN})

    def delete(self, betnr: int, *, merged_into: int | None = None) -> None:
        """Remove the party, in favour of another or (by default) of the oldest one left."""
        party = self._parties[betnr]
        if self.switches["delete"] == "soft_flag":
            party.flagged_deleted = True
            self._change(party, party.values, PERSON)
            return
        del self._parties[betnr]
        self._merged[betnr] = merged_into or next(iter(self._parties), 0)
        self._forget_encoded(betnr)

    def open(self, betnr: int) -> None:
        """Open the party for editing; whether that locks it is a switch."""
        self._opened.add(betnr)

    def close(self, betnr: int) -> None:
        """Close it again."""
        self._opened.discard(betnr)

    def fill(self, people: Iterable[SyntheticParty]) -> None:
        """Take these people on, as entered in years past."""
        for person in people:
            rng = random.Random(f"advoware/{self.seed}/{self._next_betnr}")
            values = values_of(person, rng)
            if rng.random() < 0.5:
                values[CHILDREN] = [{"tlf": f"0511/{rng.randint(10**5, 10**6)}-0", "kommKz": 1}]
            party = self._parties[self._add(values, PERSON)]
            party.created_at = datetime(2012, 1, 2, 9, tzinfo=UTC) + timedelta(days=rng.randint(0, 4500))
            party.changed_at = party.created_at + timedelta(minutes=rng.randint(0, 400_000))

    # Requests

    def encoded(self, betnr: int) -> bytes:
        """One party as JSON; ``KeyError`` if there is none."""
        return self._encode(self._parties[betnr], in_list=False)

    def encoded_list(self, changed_since: datetime | None = None) -> list[bytes]:
        """All parties as JSON, by rising betNr; or those that changed at that time or later."""
        found = (p for p in self._parties.values() if changed_since is None or p.changed_at >= changed_since)
        return [self._encode(party, in_list=True) for party in found]

    def shown(self, betnr: int) -> dict[str, Any]:
        """One party as a reply has it; ``KeyError`` if there is none."""
        return shown(self._parties[betnr], self.seed, self.switches)

    def merged_into(self, betnr: int) -> int | None:
        """For a deleted party the one it was merged into (0: none was left); None if never deleted."""
        return self._merged.get(betnr)

    def post(self, body: Mapping[str, Any], by: str) -> int:
        """Create what the body says, class R fields too; returns the betNr."""
        self._refuse_unknown(body)
        own = {name: value for name, value in body.items() if name != CHILDREN}
        if self.switches["post.idempotency"] == "none":
            return self._add(own, by)
        payload, now = json.dumps([by, body], sort_keys=True), self.clock()
        betnr, at = self._posted.get(payload, (0, now - 2 * DEDUPE))
        if now - at > DEDUPE:
            betnr = self._add(own, by)
            self._posted[payload] = (betnr, now)
        return betnr

    def put(self, betnr: int, body: Mapping[str, Any], by: str) -> None:
        """Put the body in the party's place: a writable field that it lacks becomes empty.

        ``KeyError`` if there is no such party; class R and server fields stay as they are.
        """
        party = self._parties[betnr]
        self._refuse_put(party, body)
        given = {name: value for name, value in body.items() if name in FIELDS and FIELDS[name].access == "W"}
        if self.switches["put.semantics"] == "partial_null_ignored":
            given = {name: value for name, value in given.items() if value is not None}
        values = {name: value if self._keeps(name) else None for name, value in party.values.items()}
        values |= accepted(given, self.switches)
        if self.switches["redundant_twins"] == "twin_overrides" and isinstance(body.get(TWIN), int):
            values["geburtsdatum"] = day_of_ticks(body[TWIN])
        if self.switches["child.id_stability"] == "re-numbered_on_parent_put":
            party.children = self._children(party, [{**row, "id": None} for row in party.children])
        self._change(party, completed(values, self.switches), by)

    def party(self, betnr: int) -> Party:
        """The stored party itself, for what belongs to it; ``KeyError`` if there is none."""
        return self._parties[betnr]

    def keep_children(self, betnr: int, rows: Iterable[Mapping[str, Any]], by: str) -> list[dict[str, Any]]:
        """Have the party hold these rows of ``kommunikation``, as they are stored then; its rowId may stay."""
        party = self._parties[betnr]
        party.children = self._children(party, rows)
        self._change(party, party.values, by, child_only=True)
        return party.children

    def keep_others(self, betnr: int, name: str, rows: list[dict[str, Any]], by: str) -> None:
        """Have the party hold these rows of another collection."""
        party = self._parties[betnr]
        party.others[name] = rows
        self._change(party, party.values, by, child_only=True)

    def next_child(self) -> int:
        """A number that no child has."""
        self._next_child += 1
        return self._next_child - 1

    # Inside

    def _keeps(self, name: str) -> bool:
        """Whether a PUT without this field leaves it alone."""
        field = FIELDS[name]
        if field.access == "R":
            return True
        if not field.mapped and self.switches["put.unknown_field"] == "clears_when_absent":
            return False
        return self.switches["put.semantics"] != "full_replace"

    def _refuse_put(self, party: Party, body: Mapping[str, Any]) -> None:
        self._refuse_unknown(body)
        if party.betnr in self._opened and self.switches["lock_in_ui"] != "off":
            status = 423 if self.switches["lock_in_ui"] == "423" else 409
            raise Refused(status, f"Der Beteiligte {party.betnr} wird gerade von {PERSON} bearbeitet.")
        checked = self.switches["if_match"] == "rowId_in_body_checked" and body.get("rowId")
        if checked and checked != row_id(party, self.seed, self.switches):
            raise Refused(409, f"Der Beteiligte {party.betnr} wurde zwischenzeitlich geändert.")
        if self.switches["put.readonly_field"] == "400":
            for name in (name for name, field in FIELDS.items() if field.access == "R" and name in body):
                if (body[name] or None) != (party.values[name] or None):
                    raise Refused(400, f"Das Feld {name} kann nicht geändert werden.")

    def _refuse_unknown(self, body: Mapping[str, Any]) -> None:
        unknown = sorted(set(body) - KEYS)
        if unknown and self.switches["put.unknown_field"] == "400":
            raise Refused(400, f"Unbekanntes Feld: {unknown[0]}")

    def _add(self, given: Mapping[str, Any], by: str) -> int:
        values = completed({**dict.fromkeys(FIELDS), **accepted(given, self.switches)}, self.switches)
        now = self.clock()
        party = Party(self._next_betnr, values, created_at=now, created_by=by, changed_at=now, changed_by=by)
        party.children = self._children(party, given.get(CHILDREN, ()))
        self._parties[party.betnr] = party
        self._next_betnr += 1
        return party.betnr

    def _change(self, party: Party, values: dict[str, Any], by: str, *, child_only: bool = False) -> None:
        moves = {
            "every_write": not child_only,
            "only_real_change": values != party.values,
            "child_write_too": True,
            "never": False,
        }
        if moves[self.switches["rowId.changes_on"]]:
            party.version += 1
        if not (child_only and self.switches["geaendertAm"] == "stale_on_child_change"):
            party.changed_at, party.changed_by = self.clock(), by
        party.values = values
        self._forget_encoded(party.betnr)

    def _children(self, party: Party, given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows of ``kommunikation``: a new or changed one gets a rowId of its own."""
        old = {row["id"]: row for row in party.children}
        rows = []
        for child in given:
            number = child.get("id") or self._next_child
            self._next_child = max(self._next_child, number + 1)
            row = {"bemerkung": None, "online": False, **child, "id": number, "betNr": party.betnr}
            row.setdefault("kommArt", row.get("kommKz"))
            if row != old.get(number):
                source = f"{self.seed}/child/{json.dumps(row, sort_keys=True)}"
                row["rowId"] = opaque_id(source, self.switches["rowId.format"])
            rows.append(row)
        return rows

    def _encode(self, party: Party, *, in_list: bool) -> bytes:
        key = (party.betnr, in_list and self.switches["rowId.missing"] == "absent_in_list")
        if key not in self._encoded:
            record = shown(party, self.seed, self.switches, in_list=in_list)
            if self.switches["json_case"] == "PascalCase":
                record = pascal(record)
            self._encoded[key] = json.dumps(record, ensure_ascii=False).encode()
        return self._encoded[key]

    def _forget_encoded(self, betnr: int) -> None:
        for in_list in (False, True):
            self._encoded.pop((betnr, in_list), None)


@contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise ValueError(refused.text) from None


def _only_fields(given: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = set(given) - set(FIELDS) - {CHILDREN}
    if unknown:
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
    return given
