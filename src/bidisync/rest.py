"""The form at rest of what is remembered: JSON, read back as it was, and short where both sides agree.

A link holds every value up to four times: in both shadows, and on both sides of its base. At
rest each stands there once, as long as nothing differs: the right shadow names only what it
has otherwise than the left one (``as_left``), and ``agreed`` names the fields whose base is
what the shadows show, ``true`` for all of them. What was stored in full is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from bidisync.errors import Unmappable
from bidisync.model import ABSENT, Fields, Ref, Seen, Value
from bidisync.state import Agreed, Agreement, Link, Shadow
from bidisync.values import PLAIN, value_of

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")
_ABSENT_AT_REST = {"absent": True}
_EVIDENT = frozenset({str, int, bool, type(None)})
"""Types whose equal values have one form at rest."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def to_rest(value: attrs.AttrsInstance) -> str:
    """A link, an intent or another value of ``state`` as JSON text.

    ``Unmappable`` where a field holds what could not be read back.
    """
    return _encode(_converter().unstructure(value))


def at_length(value: attrs.AttrsInstance) -> dict[str, Any]:
    """The same as a document in which everything stands in its place, for people and other programs."""
    if not isinstance(value, Link):
        document: dict[str, Any] = _converter().unstructure(value)
        return document
    return _told(value) | _base_to_rest(value.base)


def from_rest(text: str, type_: type[T]) -> T:
    """The value that ``to_rest`` made; anything else is a ``ValueError``."""
    try:
        document: Any = json.loads(text)
        return _converter().structure(document, type_)
    except (ExceptionGroup, ValueError, TypeError, KeyError, AttributeError) as error:  # the group is cattrs' own
        raise ValueError(f"this is not a stored {type_.__name__}") from error


def _seen_to_rest(value: object, field: str = "") -> object:
    if type(value) in PLAIN:
        return value
    if value is ABSENT:
        return _ABSENT_AT_REST
    try:
        return value_of(value)
    except TypeError as error:
        where = f"the field {field}" if field else "a field"
        raise Unmappable(f"{where} holds {error}, which is no value and can't be stored", field=field) from None


def _seen_from_rest(value: object, _type: object = None) -> Seen:
    return ABSENT if value == _ABSENT_AT_REST else _value_from_rest(value)


def _value_from_rest(value: object, _type: object = None) -> Value:
    if isinstance(value, list):
        return tuple(_value_from_rest(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"a stored value has the type {type(value).__name__}")


def _fields_to_rest(fields: Fields) -> Mapping[str, object]:
    if PLAIN.issuperset(map(type, fields.values())):
        return fields
    return {name: _seen_to_rest(value, name) for name, value in fields.items()}


def _fields_from_rest(fields: Any, _type: object = None) -> Fields:
    if PLAIN.issuperset(map(type, fields.values())):
        parsed: Fields = fields  # made by the parser, and nobody else's
        return parsed
    return {name: _seen_from_rest(value) for name, value in fields.items()}


def _same(one: Seen, other: Seen) -> bool:
    """Whether two values have the same form at rest: 1 is neither 1.0 nor true there."""
    return one is other or (type(one) is type(other) and type(one) in _EVIDENT and one == other)


def _alike(one: Fields, other: Fields) -> bool:
    """Whether two records have the same form at rest, found fast; false where that would take a closer look."""
    if one is other:
        return True
    types = list(map(type, one.values()))
    return one == other and types == list(map(type, other.values())) and _EVIDENT.issuperset(types)


def _short(link: Link, document: dict[str, Any]) -> dict[str, Any]:
    """The document of a link, with what its shadows and its base have in common once."""
    left, right = link.left_shadow, link.right_shadow
    if left is None or right is None:
        document.update(_base_to_rest(link.base))
        return document
    mine, theirs, base = left.fields, right.fields, link.base
    if _alike(mine, theirs):
        document["right_shadow"].update(fields={}, as_left=True)
    elif mine.keys() == theirs.keys():
        other = {name: value for name, value in theirs.items() if not _same(value, mine[name])}
        document["right_shadow"].update(fields=_fields_to_rest(other), as_left=True)
    if _alike(base.left, mine) and _alike(base.right, theirs):
        document["agreed"] = True
        return document
    shown = [
        name
        for name, value in base.left.items()
        if name in mine and name in theirs and _same(value, mine[name]) and _same(base.right[name], theirs[name])
    ]
    if len(shown) == len(base) == len(mine):
        document["agreed"] = True
    else:
        document["agreed"], there = shown, set(shown)
        document.update(_base_to_rest({name: base[name] for name in base if name not in there}))
    return document


def _base_to_rest(base: Mapping[str, Agreement]) -> dict[str, Any]:
    pairs = {
        name: {"left": _seen_to_rest(one.left, name), "right": _seen_to_rest(one.right, name)}
        for name, one in base.items()
    }
    return {"base": pairs} if pairs else {}


def _made(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a link with its shadows and its base made."""
    document = dict(document)
    left, right = document.get("left_shadow"), document.get("right_shadow")
    if isinstance(left, dict) and isinstance(right, dict) and right.pop("as_left", False):
        right["fields"] = {**left["fields"], **right["fields"]} if right["fields"] else left["fields"]
    structure = _converter().structure
    for name, shadow in (("left_shadow", left), ("right_shadow", right)):
        if shadow is not None:
            document[name] = structure(shadow, Shadow)
    agreed, told = document.pop("agreed", ()), document.pop("base", {})
    lefts = {name: _seen_from_rest(pair["left"]) for name, pair in told.items()}
    rights = {name: _seen_from_rest(pair["right"]) for name, pair in told.items()}
    if agreed:
        mine, theirs = document["left_shadow"].fields, document["right_shadow"].fields
        if agreed is True and mine.keys() == theirs.keys():
            lefts, rights = mine, theirs
        else:
            names = mine if agreed is True else agreed
            lefts |= {name: mine[name] for name in names}
            rights |= {name: theirs[name] for name in names}
    document["base"] = Agreed(lefts, rights)
    return document


def _made_already(value: Any, _type: object) -> Any:
    """As ``_made`` left it."""
    return value


@cache
def _converter() -> cattrs.Converter:
    """Made when something is first kept or read: who only decides does not wait for it."""
    import cattrs
    from cattrs.gen import make_dict_structure_fn, override

    converter = cattrs.Converter(omit_if_default=True, forbid_extra_keys=True, detailed_validation=False)
    converter.register_structure_hook(Ref, lambda text, _: Ref.parse(text))
    converter.register_unstructure_hook(Ref, str)
    converter.register_unstructure_hook_func(lambda t: t == frozenset[str], sorted)
    converter.register_structure_hook_func(lambda t: t == Seen, _seen_from_rest)
    converter.register_structure_hook_func(lambda t: t == Value, _value_from_rest)
    converter.register_unstructure_hook_func(lambda t: t in (Seen, Value), _seen_to_rest)
    converter.register_structure_hook_func(lambda t: t == Fields, _fields_from_rest)
    converter.register_unstructure_hook_func(lambda t: t == Fields, _fields_to_rest)
    parse: Callable[[Any, Any], Link] = make_dict_structure_fn(
        Link,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=False,
        base=override(struct_hook=_made_already),
        left_shadow=override(struct_hook=_made_already),
        right_shadow=override(struct_hook=_made_already),
    )
    converter.register_structure_hook(Link, lambda document, type_: parse(_made(document), type_))
    converter.register_unstructure_hook(Link, lambda link: _short(link, _told(link)))
    return converter


def _told(link: Link) -> dict[str, Any]:
    """The document of a link, without its base."""
    return _teller()(link)


@cache
def _teller() -> Callable[[Link], dict[str, Any]]:
    from cattrs.gen import make_dict_unstructure_fn, override

    return make_dict_unstructure_fn(Link, _converter(), _cattrs_omit_if_default=True, base=override(omit=True))
