"""What a strategy says of itself is the same at every start, whatever order its sets are in."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType

import attrs
import pytest

from bidisync import Defer, Field, Group, Policy, prefer_left
from bidisync.conflicts import Merge
from bidisync.schema import describe

ONE, OTHER = frozenset([0, 8]), frozenset([8, 0])
"""The same set, in two orders."""


@attrs.frozen
class Careful:
    """A strategy of somebody's own."""

    about: object
    otherwise: object = prefer_left
    unseen: object = attrs.field(default=None, repr=False)

    def __call__(self, conflict):
        return Defer("ask")


@dataclass(frozen=True)
class Plain:
    about: object

    def __call__(self, conflict):
        return Defer("ask")


@attrs.frozen
class Talkative(Careful):
    def __str__(self):
        return f"careful about {self.about}"


def asking(conflict, about):
    return Defer("ask")


HOLDING = [
    Careful,
    Plain,
    Talkative,
    lambda about: Careful(Plain((about, "x"))),
    lambda about: Careful({"fields": [about]}),
    lambda about: Careful(MappingProxyType({about: 1})),
    lambda about: functools.partial(asking, about=about),
]


def named(strategy):
    return Policy([Field("x", "g")], [Group("g", strategy)]).name_of(["g"])


def test_the_two_sets_tell_themselves_differently():
    assert ONE == OTHER
    assert str(ONE) != str(OTHER)


@pytest.mark.parametrize("made", HOLDING)
def test_a_strategy_that_holds_a_set_is_the_same_policy_at_every_start(made):
    assert named(made(ONE)) == named(made(OTHER))
    assert describe(made(ONE)) == describe(made(OTHER))


@pytest.mark.parametrize("made", HOLDING)
def test_a_strategy_that_holds_another_set_is_another_policy(made):
    assert named(made(ONE)) != named(made(frozenset([0, 9])))


def test_a_key_that_holds_a_set_is_the_same_policy_at_every_start():
    one, other = (Policy([Field("x", "g", key=Careful(about))], [Group("g")]) for about in (ONE, OTHER))
    assert one.name_of(["g"]) == other.name_of(["g"])


def test_what_is_not_shown_of_a_value_does_not_count():
    assert describe(Careful(ONE, unseen=1)) == describe(Careful(ONE, unseen=2))


@pytest.mark.parametrize("value", [Careful((1, 2)), Plain({"a": [1]}), Talkative("x"), Merge(prefer_left)])
def test_what_holds_no_set_says_of_itself_what_it_always_said(value):
    assert describe(value) == str(value)


def test_what_holds_itself_can_be_told():
    about: list[object] = [ONE]
    about.append(about)
    assert describe(Careful(about, asking)) == "Careful(about=list({0, 8}, …), otherwise=asking)"
