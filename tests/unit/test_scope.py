"""What begins anew where the state was made for something else: another mapping, another policy, one field more."""

from __future__ import annotations

import json

import attrs
import pytest
from pairs import ERP, Pair
from test_deletions_and_approvals import filled
from test_guarded_passes import deleting, held

from bidisync import Field, LinkState, Ref, Side, Sweep, ask, open_pair, prefer_left, prefer_right
from bidisync.model import Value
from bidisync.scope import in_baseline
from bidisync.stores.memory import MemoryStore
from bidisync.testing.replica import MemoryReplica

NAMES = ("name", "born", "x", "y")


def with_fields(pair: Pair, *names: str, **initial: object) -> Pair:
    """The pair, where these fields take part from now on; the groups have this initial policy."""
    policy = Pair().policy
    pair.policy = attrs.evolve(
        policy,
        fields=[field for field in policy.fields if field.name in names],
        groups=[attrs.evolve(group, **initial) for group in policy.groups],
        on_delete=pair.policy.on_delete,
        deletes_on=pair.policy.deletes_on,
    )
    pair.more["scope"] = {name: name for name in names}
    for replica in (pair.left, pair.right):
        replica.names = names
        replica.shows = frozenset(names)
    return pair


@attrs.define
class Shown(MemoryReplica):
    """A replica that shows some of what its records hold."""

    shows: frozenset[str] = frozenset(NAMES)

    def _snapshot(self, id, *, row):
        seen = super()._snapshot(id, row=row)
        return attrs.evolve(seen, fields={name: value for name, value in seen.fields.items() if name in self.shows})


def office(number: int, left: Value, right: Value, **more: object) -> Pair:
    """So many records on both sides, the same but for ``x``, which takes no part so far."""
    plain = Pair()
    pair = Pair(
        left=Shown("l", capabilities=plain.left.capabilities),
        right=Shown("r", capabilities=more.pop("erp", ERP)),
        more=more,
    )
    for n in range(number):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=left, y="same")
        pair.right.add(name=f"P{n}", born=f"b{n}", x=right, y="same")
    return with_fields(pair, "name", "born", "y")


@pytest.mark.parametrize("everything", [True, False])
async def test_a_field_that_is_added_catches_up_though_no_record_moves(everything):
    pair = office(3, left="known", right=None)
    await pair.sweep(everything=True)
    with_fields(pair, *NAMES)
    await pair.sweep(everything=everything)
    assert {pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)} == {"known"}
    writes = pair.writes()
    await pair.sweep(everything=True)
    assert pair.writes() == writes
    assert pair.tally.states() == {LinkState.IN_SYNC: 3}


async def test_a_hint_is_enough_for_a_field_that_is_added():
    pair = office(1, left="known", right=None)
    await pair.sweep(everything=True)
    await (await with_fields(pair, *NAMES).engine()).sync(Ref(Side.LEFT, "l1"))
    assert pair.right.values("r1")["x"] == "known"


async def test_a_field_that_is_added_leaves_the_edits_of_all_others_what_they_are():
    pair = office(30, left="known", right=None)
    await pair.sweep(everything=True)
    pair.left.edit("l1", y="edited")
    await with_fields(pair, *NAMES).sweep(everything=True)
    assert pair.right.values("r1")["y"] == "edited", "an edit is no conflict, and waits for nobody"
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 31)} == {"known"}
    assert not await pair.store.waiting()


async def test_values_of_an_added_field_that_differ_are_for_a_person_and_none_is_overwritten():
    pair = office(3, left="L", right="R")
    await pair.sweep(everything=True)
    for _ in range(3):
        await with_fields(pair, *NAMES).sweep(everything=True)
    assert {pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)} == {"R"}
    assert pair.tally.states() == {LinkState.CONFLICT: 3}


@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize("follows", [True, False])
async def test_a_field_that_is_added_overwrites_nobody_by_the_dozen_unasked(everything, follows):
    pair = office(60, left="L", right="R", erp=attrs.evolve(ERP, changed_since=follows))
    pair.left.capabilities = attrs.evolve(pair.left.capabilities, changed_since=follows)
    await pair.sweep(everything=True)
    await with_fields(pair, *NAMES, initial=prefer_left).sweep(everything=everything)
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 61)} == {"R"}
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_overwrite", 60)


async def test_a_field_that_is_added_with_the_first_scope_overwrites_nobody_by_the_dozen_unasked():
    pair = office(60, left="L", right="R", erp=attrs.evolve(ERP, changed_since=True))
    pair.left.capabilities = attrs.evolve(pair.left.capabilities, changed_since=True)
    await pair.sweep(everything=True)
    await pair.sweep()
    await pair.store.set_mark("scope", None)  # as of a release whose pairs stored none
    await with_fields(pair, *NAMES, initial=prefer_left).sweep()
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 61)} == {"R"}
    assert [(plan.reason, len(plan.links)) for plan in await held(pair)] == [("mass_overwrite", 60)]


@pytest.mark.parametrize("side", Side)
async def test_a_pass_for_one_side_alone_overwrites_nobody_by_the_dozen_for_a_field_that_is_added(side):
    pair = office(60, left="L", right="R", erp=attrs.evolve(ERP, changed_since=True))
    pair.left.capabilities = attrs.evolve(pair.left.capabilities, changed_since=True)
    await pair.sweep(everything=True)
    await pair.sweep()
    await Sweep(await with_fields(pair, *NAMES, initial=prefer_left).engine()).run(side=side)
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 61)} == {"R"}
    assert [(plan.reason, len(plan.links)) for plan in await held(pair)] == [("mass_overwrite", 60)]


async def test_a_mass_is_foreseen_also_where_the_rows_are_too_many_to_be_kept():
    pair = office(60, left="L", right="R")
    await pair.sweep(everything=True)
    engine = await with_fields(pair, *NAMES, initial=prefer_left).engine()
    await Sweep(engine, keep_rows=2).run()
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 61)} == {"R"}
    assert [plan.reason for plan in await held(pair)] == ["mass_overwrite"]


async def test_a_field_that_comes_back_brings_along_what_was_edited_meanwhile():
    pair = with_fields(office(2, left="old", right="old"), *NAMES)
    await pair.sweep(everything=True)
    await with_fields(pair, "name", "born", "y").sweep(everything=True)
    pair.left.edit("l1", x="new")
    await pair.sweep(everything=True)
    await with_fields(pair, *NAMES).sweep(everything=True)
    assert pair.right.values("r1")["x"] == "new"
    assert not await pair.store.waiting()


def mapped(pair: Pair, **scope: str | None) -> Pair:
    """The pair, where the scope says so of these names; ``None``: nothing any more."""
    merged = {**pair.more["scope"], **scope}
    pair.more["scope"] = {name: text for name, text in merged.items() if text is not None}
    return pair


@pytest.mark.parametrize(
    ("gone", "back"),
    [
        ([{"x": None}], {"x": "mobile to phone"}),
        ([{"x": None}, {"y": "another y"}], {"x": "mobile to phone"}),
        ([{"x": None}, {"": "another firm"}], {"x": "phone to phone"}),
        ([{"x": None, "": None}], {"x": "phone to phone", "": "another firm"}),
        ([{"x": None, "": None}, {"": "another firm"}], {"x": "phone to phone"}),
    ],
)
async def test_a_field_that_comes_back_under_another_mapping_begins_anew_and_overwrites_nothing(gone, back):
    pair = office(3, left="same", right="same")
    await mapped(with_fields(pair, *NAMES), x="phone to phone", **{"": "the firm"}).sweep(everything=True)
    scope = pair.more["scope"]
    for step in gone:
        with_fields(pair, "name", "born", "y").more["scope"] = scope
        await mapped(pair, **step).sweep(everything=True)
        scope = pair.more["scope"]
    for n in (1, 2, 3):
        pair.left.records[f"l{n}"].fields["x"] = f"mobile {n}"  # no version moves: another native field stands for it
        pair.left.edit(f"l{n}", y="edited")
    with_fields(pair, *NAMES).more["scope"] = scope
    await mapped(pair, **back).sweep(everything=True)
    assert {pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)} == {"same"}
    assert pair.tally.states() == {LinkState.CONFLICT: 3}


async def test_a_field_that_a_state_of_before_forgot_begins_anew_when_it_comes_back():
    pair = with_fields(office(3, left="same", right="same"), *NAMES)
    await pair.sweep(everything=True)
    await with_fields(pair, "name", "born", "y").sweep(everything=True)
    mark = json.loads(await pair.store.get_mark("scope"))
    mark.pop("x", None)
    await pair.store.set_mark("scope", json.dumps(mark))  # as of a release that kept no name that left
    for n in (1, 2, 3):
        pair.left.edit(f"l{n}", x=f"mobile {n}")
    await with_fields(pair, *NAMES).sweep(everything=True)
    assert {pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)} == {"same"}


async def test_a_scope_that_is_given_for_the_first_time_drops_nothing():
    pair = await filled(deleting(), 3)
    pair.left.edit("l1", y="edited")
    pair.right.remove("r2")
    pair.more["scope"] = {"": "the firm", **{name: name for name in NAMES}}
    for _ in range(2):
        await pair.sweep(everything=True)
    assert pair.right.values("r1")["y"] == "edited", "what was agreed on before still counts"
    assert "l2" not in pair.left.records, "a deletion is no suspicion of another scope"


async def test_naming_the_systems_later_does_not_make_them_others():
    pair = with_fields(office(2, left="known", right=None), *NAMES)
    await pair.sweep(everything=True)
    pair.left.edit("l1", y="L")
    pair.more["scope"] = {"": "the firm", **pair.more["scope"]}
    await pair.sweep(everything=True)
    assert pair.right.values("r1")["y"] == "L"


async def test_a_policy_that_settles_what_the_old_one_left_open_overwrites_nobody_by_the_dozen():
    pair = with_fields(office(60, left="same", right="same"), *NAMES, strategy=ask)
    await pair.sweep(everything=True)
    for n in range(1, 41):
        pair.left.edit(f"l{n}", x="L"), pair.right.edit(f"r{n}", x="R")
    await pair.sweep()
    assert pair.tally.states()[LinkState.CONFLICT] == 40
    with_fields(pair, *NAMES, strategy=prefer_left)
    pair.more["scope"] = {**pair.more["scope"], ":policy": "the left side wins"}
    await pair.sweep()
    assert {pair.right.values(f"r{n}")["x"] for n in range(1, 41)} == {"R"}
    assert [(plan.reason, len(plan.links)) for plan in await held(pair)] == [("mass_overwrite", 40)]


async def of_two_mappings(pair: Pair) -> tuple[Sweep, Sweep]:
    """Workers of before a field was added, and of since, over one state that still has to be read in full."""
    await pair.sweep(everything=True)
    before = Sweep(await pair.engine())
    return before, Sweep(await with_fields(pair, *NAMES).engine())


async def test_a_pass_over_the_scope_of_before_is_no_pass_over_the_one_of_now():
    pair = office(3, left="L", right="L")
    before, now = await of_two_mappings(pair)
    await before.run(everything=True)
    assert await in_baseline(now.engine.parts), "whoever knows the field has not read anything yet"
    await now.run()
    assert not await in_baseline(now.engine.parts)


@pytest.mark.parametrize(
    "later",
    [
        {"scope": {":policy": "the left side wins"}},
        {"scope": {"y": None}},
        {"scope": {}},
        {},
    ],
)
async def test_whoever_begins_last_can_end_what_another_scope_began(later):
    pair = office(3, left="L", right="L")
    await of_two_mappings(pair)
    if "scope" in later:
        mapped(pair, **later["scope"])
    else:
        pair.more["scope"] = {}
    await pair.sweep()
    assert not await in_baseline((await pair.engine()).parts)


async def test_workers_of_two_policies_are_of_one_scope():
    pair = office(3, left="L", right="L")
    _, now = await of_two_mappings(pair)
    await mapped(pair, **{":policy": "the left side wins"}).engine()
    await now.run()
    assert not await in_baseline(now.engine.parts)


async def test_who_looks_at_a_state_and_names_no_scope_keeps_nobody_waiting():
    pair = office(3, left="L", right="L")
    _, now = await of_two_mappings(pair)
    pair.more["scope"] = {}
    await pair.engine()
    await now.run()
    assert not await in_baseline(now.engine.parts)


async def test_a_start_of_a_new_release_that_was_taken_back_at_once_leaves_nothing_waiting():
    pair = office(3, left="L", right="L")
    await pair.sweep(everything=True)
    mark = await pair.store.get_mark("scope")
    await with_fields(pair, *NAMES).engine()
    await pair.store.set_mark("scope", mark)  # it was killed before it had stored its own
    await with_fields(pair, "name", "born", "y").sweep()
    assert not await in_baseline((await pair.engine()).parts)


async def test_what_a_release_of_before_left_to_be_read_in_full_ends_with_a_pass():
    pair = office(3, left="L", right="L")
    await pair.sweep(everything=True)
    await pair.store.set_mark("baseline", "pending")
    await pair.sweep()
    assert not await in_baseline((await pair.engine()).parts)


@attrs.define
class Busy(MemoryStore):
    """A store in which somebody else has just stored one of the links, when many are stored together."""

    ready: bool = False

    async def save_many(self, links):
        if self.ready:
            self.ready = False
            (now,) = (await self.load([links[0][0].origin])).values()
            await self.save(now)
        return await super().save_many(links)


async def test_a_field_that_is_added_is_no_matter_of_who_else_is_at_a_link():
    pair = office(3, left="known", right=None)
    pair.store = Busy()
    await pair.sweep(everything=True)
    pair.store.ready = True
    await with_fields(pair, *NAMES).engine()
    assert not pair.store.ready
    assert len(await pair.store.unsettled()) == 3


class Shop:
    """A store as it stands in ``docs/pair.md``."""

    def __init__(self, *rows):
        self.rows = {row["id"]: {**row, "version": 1} for row in rows}

    def all(self):
        return [dict(row) for row in self.rows.values()]

    def get(self, id):
        return self.rows.get(id)

    def add(self, fields):
        self.rows[fields["id"]] = {**fields, "version": 1}
        return self.rows[fields["id"]]

    def change(self, id, fields, version):
        self.rows[id] = {**self.rows[id], **fields, "version": int(version) + 1}
        return self.rows[id]


async def test_a_pair_that_is_opened_with_another_strategy_settles_what_waited():
    left, right, state = Shop({"id": "1", "t": "a"}), Shop({"id": "1", "t": "a"}), MemoryStore()
    common = {"fields": [Field("t", "g"), Field("id", "g")], "match": ["id"], "state": state}
    async with open_pair(left, right, **common) as pair:
        await pair.sync()
        left.change("1", {"t": "L"}, "1"), right.change("1", {"t": "R"}, "1")
        await pair.sync()
    assert [link.state for link in await state.waiting()] == [LinkState.CONFLICT]
    async with open_pair(left, right, strategy=prefer_left, **common) as pair:
        await pair.sync()
    assert (right.rows["1"]["t"], await state.waiting()) == ("L", [])


async def test_a_pair_that_is_opened_with_one_field_more_brings_it_along():
    left, right = Shop({"id": "1", "t": "a", "u": "known"}), Shop({"id": "1", "t": "a", "u": None})
    state = MemoryStore()
    for names in (["id", "t"], ["id", "t", "u"]):
        async with open_pair(left, right, fields=names, match=["id"], state=state) as pair:
            await pair.sync()
    assert right.rows["1"]["u"] == "known"


@attrs.define
class Lowering(MemoryReplica):
    """A replica that keeps small letters alone."""

    async def update(self, seen, changes, *, notes=None):
        small = {name: value.lower() if isinstance(value, str) else value for name, value in changes.items()}
        return await MemoryReplica.update(self, seen, small, notes=notes)


@pytest.mark.parametrize("before", [None, "ask"], ids=["a state of before scopes", "another strategy"])
async def test_what_a_side_made_of_a_value_never_counts_as_an_edit_under_another_configuration(before):
    store = MemoryStore()
    left, right = MemoryReplica("l", names=("name", "x")), Lowering("r", names=("name", "x"))
    for replica in (left, right):
        replica.add(name="p", x="a")

    async def passes(strategy):
        async with open_pair(left, right, fields=["name", "x"], match=["name"], strategy=strategy, state=store) as pair:
            await pair.sync()
            return await pair.sync()

    await passes(ask if before else prefer_right)
    left.edit("l1", x="Müller")
    await passes(ask if before else prefer_right)
    assert right.values("r1")["x"] == "müller"
    (link,) = await store.waiting()
    assert [review.reason for review in link.reviews] == ["altered"]
    if not before:
        await store.set_mark("scope", None)
    await passes(prefer_right)
    assert left.values("l1")["x"] == "Müller", "nobody edited it on the right"
    (link,) = await store.waiting()
    assert [review.reason for review in link.reviews] == ["altered"]
