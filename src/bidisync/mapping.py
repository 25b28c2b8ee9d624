"""A system's own record and the shared one, translated both ways field by field.

Each ``FieldMap`` is a lens: what it reads from a native record can be written back without
a change, and what is written is read again. The spelling of a value is never touched; when
two spellings mean the same is the business of keys (``same_text``), not of the translation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import cast

import attrs

from bidisync.errors import Duplicate, Misconfigured, Rejected, Unmappable
from bidisync.model import (
    ABSENT,
    Capabilities,
    Created,
    Fields,
    Notes,
    Page,
    Seen,
    Snapshot,
    Value,
)
from bidisync.pages import Lazily, aopened
from bidisync.protocols import Mapper, Replica
from bidisync.state import Intent
from bidisync.values import PLAIN, SEEN, Unread, read, value_of


def _any(native: object) -> bool:
    return True


@attrs.frozen
class Codec:
    """Reads a native value and writes it; ``Unmappable`` where a value has no form.

    Neither is asked about ``None``: that a field is empty needs no translation. ``knows``
    tells of a native value that is read whether it is one of those expected. Whatever else
    they raise counts as ``Unmappable``, and is told by its name alone.
    """

    name: str
    decode: Callable[[object], Value]
    encode: Callable[[Value], object]
    knows: Callable[[object], bool] = _any

    def read(self, native: object) -> Value:
        """What ``decode`` makes of it; ``Unmappable`` where that is no value."""
        try:
            value = self.decode(native)
        except Unmappable:
            raise
        except Exception as error:  # it is not ours, and its text may hold the value
            raise Unmappable(f"the codec {self.name} can't read it ({type(error).__name__})") from None
        if type(value) in PLAIN:
            return value
        try:
            return value_of(value)
        except TypeError as error:
            raise Unmappable(f"the codec {self.name} reads {error}, which is no value") from None

    def write(self, value: Value) -> object:
        """What ``encode`` makes of it."""
        try:
            return self.encode(value)
        except Unmappable:
            raise
        except Exception as error:  # likewise
            raise Unmappable(f"the codec {self.name} can't write it ({type(error).__name__})") from None

    def expects(self, native: object) -> bool:
        """Whether it is known; what ``knows`` can't deal with is not."""
        try:
            return self.knows(native)
        except Exception:  # likewise
            return False


def _text(native: object) -> Value:
    if not isinstance(native, str):
        raise Unmappable(f"expected text, not {type(native).__name__}")
    if not native.isascii() and any("\ud800" <= char <= "\udfff" for char in native):
        raise Unmappable("the text holds half a character, which can be neither stored nor sent")
    return native if native.strip() else None


def _as_it_is(native: object) -> Value:
    if isinstance(native, list | tuple):
        return tuple(map(_as_it_is, native))
    if isinstance(native, str):
        return native if native.isascii() else _text(native) or native
    if native is None or isinstance(native, bool | int | float):
        return native
    raise Unmappable(f"expected text, a number, true, false or a list of these, not {type(native).__name__}")


def _encode_text(value: Value) -> object:
    if not isinstance(value, str):
        raise Unmappable(f"expected text, not {type(value).__name__}")
    return value


TEXT = Codec("text", _text, _encode_text)
"""Text as it is spelled; blank text is an empty field."""

AS_IT_IS = Codec("as it is", _as_it_is, _as_it_is)
"""Text, a number, true, false, or a list of these, without a translation; dates and decimals need a codec of yours."""


@attrs.frozen
class CodeTable:
    """Codes of a system and what they mean, with every spelling that is accepted.

    ``meanings`` lists the native spellings of each shared value; the first one is written.
    What the table does not know is kept as it is, in both directions, and reported.
    """

    name: str
    meanings: Mapping[str, tuple[str, ...]]
    _shared: Mapping[str, str] = attrs.field(init=False, repr=False, eq=False)

    @_shared.default
    def _by_spelling(self) -> Mapping[str, str]:
        shared: dict[str, str] = {}
        for meaning, spellings in self.meanings.items():
            for spelling in dict.fromkeys(map(_squeezed, (meaning, *spellings))):
                if shared.setdefault(spelling, meaning) != meaning:
                    raise Misconfigured(f"the code table {self.name!r} gives one spelling two meanings")
        return shared

    def meaning(self, text: str) -> str | None:
        """What a code means, in any of its spellings; ``None`` if the table does not know it."""
        return self._shared.get(_squeezed(text))

    def codec(self) -> Codec:
        """The codec of a field that holds such codes."""
        return Codec(self.name, self._decode, self._encode, self._knows)

    def _decode(self, native: object) -> Value:
        raw = _text(native)
        return self.meaning(raw) or raw if isinstance(raw, str) else raw

    def _encode(self, value: Value) -> object:
        text = _encode_text(value)
        spellings = self.meanings.get(str(text))
        return spellings[0] if spellings else text

    def _knows(self, native: object) -> bool:
        return not isinstance(native, str) or not native.strip() or self.meaning(native) is not None


def _squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).casefold().split())


@attrs.frozen
class FieldMap:
    """A field of the shared record and its place in a native one.

    ``default`` is what a new native record gets there where the shared one has nothing. It
    comes back to the other side like any value.
    """

    field: str
    native: str
    codec: Codec = TEXT
    default: Value = None

    def get(self, native: Mapping[str, object]) -> Seen:
        """The field's value; ``ABSENT`` where the native record lacks it."""
        if self.native not in native:
            return ABSENT
        value = native[self.native]
        if value is None:
            return None
        try:
            return self.codec.read(value)
        except Unmappable as error:
            raise self._named(error) from error

    def put(self, value: Value) -> object:
        """The native value."""
        if value is None:
            return None
        try:
            return self.codec.write(value)
        except Unmappable as error:
            raise self._named(error) from error

    def _named(self, error: Unmappable) -> Unmappable:
        return Unmappable(f"the field {self.field}: {error}", field=self.field)


@attrs.frozen
class FieldMapper:
    """A mapper made of field maps; one that names a field or a place twice is ``Misconfigured``."""

    maps: tuple[FieldMap, ...]

    def __attrs_post_init__(self) -> None:
        for kind, names in (("field", [m.field for m in self.maps]), ("native field", [m.native for m in self.maps])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise Misconfigured(f"the {kind} {twice[0]!r} stands twice in the mapping")

    def get(self, native: Mapping[str, object]) -> Fields:
        """The record's fields. One that can't be read is ``ABSENT``, and named by ``unreadable``."""
        return {field_map.field: self._read(field_map, native) for field_map in self.maps}

    def _read(self, field_map: FieldMap, native: Mapping[str, object]) -> Seen:
        try:
            return field_map.get(native)
        except Unmappable:
            return ABSENT

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields whose native values have no form here."""
        names = set()
        for field_map in self.maps:
            try:
                field_map.get(native)
            except Unmappable:
                names.add(field_map.field)
        return frozenset(names)

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields that hold a code which their table does not know."""
        return frozenset(m.field for m in self.maps if not m.codec.expects(native.get(m.native)))

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of these changes; with an empty ``native``, those of a new record."""
        placed = {m.native: m.put(changes[m.field]) for m in self.maps if m.field in changes}
        if not native:
            placed |= {
                m.native: m.put(m.default) for m in self.maps if m.default is not None and placed.get(m.native) is None
            }
        return placed

    def field_of(self, native: str) -> str:
        """The field that lives there; empty where none does."""
        return next((m.field for m in self.maps if m.native == native), "")

    @property
    def fields(self) -> frozenset[str]:
        """The fields that have a place here."""
        return frozenset(m.field for m in self.maps)


@attrs.frozen(eq=False, repr=False)
class Mapped:
    """A replica in the shared form, around one in a system's own form."""

    replica: Replica
    mapper: Mapper

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica within."""
        return self.replica.capabilities

    @property
    def newest(self) -> str | None:
        """That of the replica within."""
        return self.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record now."""
        return self._shared(await self.replica.get(id))

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that a bulk read finds."""
        return {id: self._shared(native) for id, native in (await self.replica.get_many(ids)).items()}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within."""
        async with aopened(self.replica.list(since)) as pages:
            async for page in pages:
                yield attrs.evolve(page, snapshots=Lazily(self._shared, page.snapshots), tokens=page.known_by)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record."""
        native = cast(Mapping[str, Value], self.mapper.put(fields, {}))
        try:
            created = await self.replica.create(native, notes=notes, despite_duplicates=despite_duplicates)
        except Duplicate as error:
            raise Duplicate(str(error), existing=[self._shared(found) for found in error.existing]) from error
        except Rejected as error:
            raise self._named(error) from error
        return attrs.evolve(created, snapshot=created.snapshot and self._shared(created.snapshot))

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change only these fields."""
        inner = cast(Snapshot, seen.native)
        native = cast(Mapping[str, Value], self.mapper.put(changes, _native(inner)))
        try:
            now = await self.replica.update(inner, native, notes=notes)
        except Rejected as error:
            raise self._named(error) from error
        return None if now is None else self._shared(now)

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record."""
        await self.replica.delete(cast(Snapshot, seen.native))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this id."""
        return [self._shared(native) for native in await self.replica.find_by_counterpart(counterpart)]

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that may be the one which this create made."""
        payload = cast(Mapping[str, Value], self.mapper.put(intent.payload, {}))
        found = await self.replica.find_created(attrs.evolve(intent, payload=payload))
        return [self._shared(native) for native in found]

    def _named(self, error: Rejected) -> Rejected:
        """The refusal, with the shared name of the field that it is about."""
        return Rejected(str(error), field=self.mapper.field_of(error.field))

    def _shared(self, inner: Snapshot) -> Snapshot:
        if inner.gone:
            return attrs.evolve(inner, fields={}, native=inner)
        native = _native(inner)
        fields, unreadable = self.mapper.get(native), self.mapper.unreadable(native)
        if not SEEN.issuperset(map(type, fields.values())):
            fields, unread = read(fields)
            unreadable = unreadable if unread is None else unreadable.union(unread.kinds)
        return attrs.evolve(
            inner, fields=fields, unreadable=unreadable, unknown=self.mapper.unknown(native), native=inner
        )


def _native(inner: Snapshot) -> Mapping[str, object]:
    """The record within as it is, with what has no form but for a mapper."""
    if inner.unreadable and isinstance(inner.native, Unread):
        return {**inner.fields, **inner.native.found}
    return inner.fields


_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_WORDS = re.compile(r"\w+")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def same_text(value: Value) -> Value:
    """The form in which two spellings of one text are equal: Unicode, white space and line ends aside."""
    if not isinstance(value, str):
        return value
    if value.isascii() and "\n" not in value and "\r" not in value:
        return " ".join(value.split()) or None
    text = unicodedata.normalize("NFC", value).translate(_INVISIBLE).replace("\r\n", "\n").replace("\r", "\n")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(lines).strip() or None


def match_key(value: Seen) -> str:
    """The form in which names are compared to find the same person: a hint, never written anywhere."""
    if value is ABSENT or value is None:
        return ""
    text = str(value)
    if text.isascii():
        return " ".join(_WORDS.findall(text.lower()))
    text = unicodedata.normalize("NFC", text).translate(_INVISIBLE).casefold().translate(_GERMAN)
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(_WORDS.findall(plain.replace("ł", "l").replace("ı", "i")))
