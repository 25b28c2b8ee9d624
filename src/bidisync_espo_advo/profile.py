"""What was measured about one Advoware, and what may be relied on because of it.

``espo-advo certify advoware`` writes a profile; without one the weakest is assumed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypeVar

import attrs
import cattrs

from bidisync.errors import Misconfigured
from bidisync.model import Conditional

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
    ignored: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()

    @property
    def version_proves_rest(self) -> bool:
        """Whether an equal rowId proves that nothing changed."""
        return self.version_moves in ("every_write", "real_change") and not self.version_returns

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
            (
                "the newest edit wins",
                "geaendertAm can be read" if self.changed_at in ("local", "utc", "offset") else "a person decides",
            ),
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

    def guarantees(self) -> list[tuple[str, str]]:
        """What follows, for people."""
        if self.refuses_outdated:
            lost = "nearly: an outdated record is refused, two writes at the same moment may both pass"
        else:
            lost = "bounded: switch on optimistic concurrency control of the entity type"
        return [("no lost edit in EspoCRM", f"{lost}; only the fields that changed are written")]


P = TypeVar("P", AdvowareProfile, EspoProfile)


def load_profile(path: str) -> AdvowareProfile:
    """The profile in this file; the weakest for no file. ``Misconfigured`` for one that can't be read."""
    return _loaded(path, AdvowareProfile, "advoware")


def load_espo_profile(path: str) -> EspoProfile:
    """Likewise for EspoCRM."""
    return _loaded(path, EspoProfile, "espocrm")


def _loaded(path: str, kind: type[P], system: str) -> P:
    if not path:
        return kind()
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError(path)
        profile = _converter.structure(document, kind)
    except OSError as error:
        raise Misconfigured(f"the profile {path} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
        raise Misconfigured(f"{path} is no profile: let 'espo-advo certify {system}' write it again") from error
    if profile.format != FORMAT:
        raise Misconfigured(f"the profile {path} was written by another version: certify again")
    return profile


def save_profile(path: Path, profile: AdvowareProfile | EspoProfile) -> None:
    """Write the profile; ``Misconfigured`` where that is not possible."""
    try:
        path.write_text(json.dumps(_converter.unstructure(profile), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"the profile {path} can't be written: {error.strerror}") from error


_converter = cattrs.Converter(forbid_extra_keys=True)
