"""What each shipped strategy answers."""

from __future__ import annotations

import pytest

from bidisync import (
    ABSENT,
    Conflict,
    Contested,
    Defer,
    FillBlanks,
    Longest,
    Merge,
    Newest,
    Prefer,
    Side,
    Union,
    ask,
    fill_blanks,
    prefer_left,
    prefer_right,
)


def answered(strategy, left, right, base=ABSENT, **times):
    answer = strategy(Conflict("g", {"f": Contested(base, left, right)}, **times))
    return answer if isinstance(answer, Defer) else answer["f"]


def test_a_side_that_is_preferred_wins_and_a_person_is_asked_by_ask():
    assert (answered(prefer_left, "l", "r"), answered(prefer_right, "l", "r")) == ("l", "r")
    assert answered(ask, "l", "r") == Defer("conflict")


@pytest.mark.parametrize(
    ("left", "right", "winner"),
    [
        (100.0, 106.0, "r"),
        (106.0, 100.0, "l"),
        (100.0, 105.0, None),
        (105.0, 100.0, None),
        (None, 1.0, None),
        (1.0, None, None),
    ],
)
def test_the_newest_wins_only_where_that_can_be_known(left, right, winner):
    got = answered(Newest(), "l", "r", left_modified_at=left, right_modified_at=right)
    assert got == (winner or Defer("conflict"))
    fallen_back = answered(Newest(otherwise=prefer_left), "l", "r", left_modified_at=left, right_modified_at=right)
    assert fallen_back == (winner or "l")
    assert answered(Newest(skew_s=0.5), "l", "r", left_modified_at=1.0, right_modified_at=2.0) == "r"


@pytest.mark.parametrize(
    ("base", "left", "right", "merged"),
    [
        (("a",), ("a", "b"), ("a", "c"), ("a", "b", "c")),
        (("a", "b"), ("a",), ("a", "b", "c"), ("a", "c")),
        (("a", "b"), ("b",), ("a",), ()),
        (ABSENT, ("a",), ("b",), ("a", "b")),
        ("text", ("a",), ("b",), ("a", "b")),
        (("a",), ("c", "a"), ("b", "a"), ("c", "a", "b")),
    ],
)
def test_lists_are_merged_three_way(base, left, right, merged):
    assert answered(Merge(), left, right, base) == merged


@pytest.mark.parametrize(("left", "right"), [("l", "r"), (("a",), "r"), ("l", ("a",)), (None, ("a",))])
def test_what_is_no_pair_of_lists_goes_to_the_loser_rule(left, right):
    assert answered(Merge(), left, right) == Defer("conflict")
    assert answered(Merge(prefer_right), left, right) == right


def test_a_union_keeps_everything_and_an_empty_field_is_an_empty_list():
    assert answered(Union(), ("a", "b"), ("b", "c"), ("b",)) == ("a", "b", "c")
    assert answered(Union(), ("a",), None) == ("a",)
    assert answered(Union(), None, ("a",)) == ("a",)
    assert answered(Union(), "l", ("a",)) == Defer("conflict")
    assert answered(Union(), ("a",), "r") == Defer("conflict")
    assert answered(Union(prefer_left), "l", "r") == "l"


def test_the_longest_wins_and_equal_lengths_go_on():
    assert answered(Longest(), "long", "lo") == "long"
    assert answered(Longest(), "l", "long") == "long"
    assert answered(Longest(), None, "x") == "x"
    assert answered(Longest(), ("a",), None) == ("a",)
    assert answered(Longest(), "ab", "cd") == Defer("conflict")
    assert answered(Longest(prefer_right), "ab", "cd") == "cd"
    assert answered(Longest(), 1, 22) == Defer("conflict")
    assert answered(Longest(), "a", 22) == Defer("conflict")
    assert answered(Longest(), 22, "a") == Defer("conflict")


def test_the_filled_one_wins_over_the_empty_one():
    assert answered(fill_blanks, None, "r") == "r"
    assert answered(fill_blanks, "l", None) == "l"
    assert answered(fill_blanks, "l", "r") == Defer("conflict")
    assert answered(fill_blanks, "", "r") == Defer("conflict"), "an empty text is a value"
    assert answered(FillBlanks(prefer_right), "l", "r") == "r"


def test_only_what_a_strategy_knows_no_answer_to_goes_to_the_other_one():
    asked: list[Conflict] = []

    def remember(conflict: Conflict):
        asked.append(conflict)
        return dict.fromkeys(conflict.fields, "asked")

    fields = {"list": Contested((), ("a",), ("b",)), "text": Contested("b", "l", "r")}
    conflict = Conflict("g", fields, left_modified_at=1.0, right_modified_at=2.0)
    assert Merge(remember)(conflict) == {"list": ("a", "b"), "text": "asked"}
    assert asked == [Conflict("g", {"text": fields["text"]}, left_modified_at=1.0, right_modified_at=2.0)]
    assert Merge()(conflict) == Defer("conflict"), "one field for a person puts the conflict before one"


def test_strategies_have_names_for_people():
    named = [Prefer(Side.LEFT), Newest(), Merge(), Union(), Longest(), FillBlanks()]
    assert [str(one) for one in named] == ["prefer left", "newest", "merge", "union", "longest", "fill blanks"]
