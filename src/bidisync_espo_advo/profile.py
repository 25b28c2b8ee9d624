"""What was measured about one Advoware, and what may be relied on because of it.

``espo-advo certify advoware`` writes a profile; without one the weakest is assumed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import attrs

from bidisync.errors import Misconfigured
from bidisync.model import ClockTrust, Conditional

if TYPE_CHECKING:
    import cattrs

FORMAT = 1
Moves = Literal["every_write", "real_change", "never", "unknown"]
Empty = Literal["null", "absent", "other"]
Stamp = Literal["local", "utc", "offset", "missing", "unreliable", "unknown"]


@attrs.frozen(kw_only=True)
class AdvowareProfile:
    """One Advoware as it was measured; the defaults are the weakest that there is.

    ``ignored``, ``altered`` and ``refused`` are native fields that a write of them leaves,
    changes into something else, or that make the whole write fail. ``side_effects`` are
    fields that moved although another one was written. Times in seconds.
    """

    format: int = FORMAT
    measured_at: str = ""
    conditional_write: Conditional = Conditional.IGNORED
    version_moves: Moves = "unknown"
    version_returns: bool = True  # an old rowId may come back with an old value
    empty_as: Empty = "null"
    changed_at: Stamp = "unknown"
    create_reply_has_version: bool = False
    numbers_rise: bool = False
    list_lag_s: float | None = None
    clock_off_s: float | None = None  # by how much the stamp of a write differed from our clock
    ignored: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()

    @property
    def version_proves_rest(self) -> bool:
        """Whether an equal rowId proves that nothing changed."""
        return self.version_moves in ("every_write", "real_change") and not self.version_returns

    @property
    def clock(self) -> ClockTrust:
        """Whether ``geaendertAm`` may decide which edit is newer."""
        readable = self.changed_at in ("local", "utc", "offset")
        return _trust(self.clock_off_s) if readable else ClockTrust.UNTRUSTED

    def guarantees(self) -> list[tuple[str, str]]:
        """What follows, for people: a guarantee and how far it holds."""
        lost = {
            Conditional.ENFORCED: "holds: a write against an outdated party is refused",
            Conditional.CHECKED: "nearly: an outdated party is refused, two writes at the same moment may both pass",
            Conditional.IGNORED: "bounded: an edit between our read and our write (one round trip) is overwritten",
        }
        rows = [
            ("no lost edit in Advoware", lost[self.conditional_write]),
            (
                "an equal rowId means unchanged",
                "holds: lists are skipped by it" if self.version_proves_rest else "not relied on: values are compared",
            ),
            (
                "an emptied value travels",
                "holds" if self.empty_as != "other" else "not from Advoware: it shows empty fields as something else",
            ),
            (
                "no second party for one record",
                "holds, bounded by how long a new party is missing from the list"
                + ("" if self.list_lag_s is None else f" ({self.list_lag_s:.1f} s were measured)"),
            ),
            ("the newest edit wins", _newest(self.clock)),
        ]
        for what, names in (
            ("takes no change of", self.ignored),
            ("alters", self.altered),
            ("refuses a change of", self.refused),
            ("changes by itself", self.side_effects),
        ):
            if names:
                rows.append((f"Advoware {what}", ", ".join(names)))
        return rows


@attrs.frozen(kw_only=True)
class EspoProfile:
    """One EspoCRM as it was measured: what its version numbers are good for."""

    format: int = FORMAT
    has_versions: bool = False
    refuses_outdated: bool = False
    moves_on_noop: bool = False
    clock_off_s: float | None = None  # by how much the stamp of a write differed from our clock

    @property
    def clock(self) -> ClockTrust:
        """Whether ``modifiedAt`` may decide which edit is newer."""
        return _trust(self.clock_off_s)

    def guarantees(self) -> list[tuple[str, str]]:
        """What follows, for people."""
        if self.refuses_outdated:
            lost = "nearly: an outdated record is refused, two writes at the same moment may both pass"
        else:
            lost = "bounded: switch on optimistic concurrency control of the entity type"
        return [
            ("no lost edit in EspoCRM", f"{lost}; only the fields that changed are written"),
            ("the newest edit wins", _newest(self.clock)),
        ]


CLOCK_S = 2.0
"""How far a clock may be off to be trusted: two of them, and whole seconds, stay within ``Newest``'s skew."""


def _trust(off_s: float | None) -> ClockTrust:
    return ClockTrust.TRUSTED if off_s is not None and abs(off_s) <= CLOCK_S else ClockTrust.UNTRUSTED


def _newest(clock: ClockTrust) -> str:
    return "holds where the other clock is right too" if clock is ClockTrust.TRUSTED else "not relied on: a person says"


_Profile = TypeVar("_Profile", AdvowareProfile, EspoProfile)


def load_profile(path: str, type_: type[_Profile]) -> _Profile:
    """The profile in this file; the weakest for no file. ``Misconfigured`` for one that can't be read."""
    if not path:
        return type_()
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError(path)
        profile = _converter().structure(document, type_)
    except OSError as error:
        raise Misconfigured(f"the profile {path} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, ExceptionGroup) as error:  # the group is cattrs' own
        system = "espocrm" if type_ is EspoProfile else "advoware"
        raise Misconfigured(f"{path} is no profile: let 'espo-advo certify {system}' write it again") from error
    if profile.format != FORMAT:
        raise Misconfigured(f"the profile {path} was written by another version: certify again")
    return profile


def save_profile(path: Path, profile: AdvowareProfile | EspoProfile) -> None:
    """Write the profile; ``Misconfigured`` where that is not possible."""
    try:
        path.write_text(json.dumps(_converter().unstructure(profile), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"the profile {path} can't be written: {error.strerror}") from error


@cache
def _converter() -> cattrs.Converter:
    import cattrs

    return cattrs.Converter(forbid_extra_keys=True)
