"""What a decision costs: a record of 14 fields in four groups, beside the same comparison written by hand.

    python3 dev bench decision

Prints ratios to the floor measured in the same run; times of this machine mean nothing
elsewhere. The floor takes both records and the base as dictionaries, cuts a tuple for each
group from each of the three, and compares them three ways; it decides nothing else.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from operator import itemgetter

from bidisync import Field, Group, Policy, Snapshot, prefer_left, reconcile
from bidisync.state import Agreement

FIELDS = [f"field{n}" for n in range(14)]
GROUPS = {"a": FIELDS[:5], "b": FIELDS[5:9], "c": FIELDS[9:12], "d": FIELDS[12:]}
ALLOWED = {"unchanged": 2.0, "changed": 8.0}

policy = Policy(
    [Field(name, group) for group, names in GROUPS.items() for name in names],
    [Group(group, strategy=prefer_left) for group in GROUPS],
)
values = {name: f"value of {name}" for name in FIELDS}
base = {name: Agreement(value, value) for name, value in values.items()}
same = Snapshot("1", dict(values), version="1")
edited = Snapshot("1", {**values, "field6": "edited"}, version="2")
crossed = Snapshot("1", {**values, "field0": "edited there"}, version="2")
cuts = [itemgetter(*names) for names in GROUPS.values()]


def by_hand(base: dict[str, str], left: dict[str, str], right: dict[str, str]) -> list[int]:
    """The floor: a row for each group."""
    rows = []
    for cut in cuts:
        agreed, here, there = cut(base), cut(left), cut(right)
        if here == agreed:
            rows.append(1 if there == agreed else 3)
        elif there == agreed:
            rows.append(2)
        else:
            rows.append(4 if here == there else 5)
    return rows


def best(call: Callable[[], object], number: int = 20_000) -> float:
    """The best of seven runs, in microseconds a call."""
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def main() -> int:
    """Print the ratios; 1 if one is above what is allowed."""
    plain = dict(values), {**values, "field6": "edited"}
    floors = {
        "unchanged": best(lambda: by_hand(plain[0], plain[0], plain[0])),
        "changed": best(lambda: by_hand(plain[0], plain[1], plain[0])),
    }
    ours = {
        "unchanged": best(lambda: reconcile(policy, base, same, same)),
        "changed": best(lambda: reconcile(policy, base, edited, same)),
    }
    both = best(lambda: reconcile(policy, base, edited, crossed))
    failed = False
    print(f"{'case':<28}{'floor µs':>10}{'ours µs':>10}{'ratio':>8}{'allowed':>9}")
    for case, allowed in ALLOWED.items():
        ratio = ours[case] / floors[case]
        failed |= ratio > allowed
        print(f"{case:<28}{floors[case]:>10.2f}{ours[case]:>10.2f}{ratio:>8.2f}{allowed:>9.1f}")
    print(
        f"{'changed on both sides':<28}{floors['changed']:>10.2f}{both:>10.2f}{both / floors['changed']:>8.2f}{'–':>9}"
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
