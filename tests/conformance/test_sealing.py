"""Encrypted state: nothing readable at rest, wrong keys refused, keys changed in place."""

from __future__ import annotations

import os
import subprocess
import sys

import attrs
import psycopg
import pytest

from bidisync import Ref, Side
from bidisync.errors import Misconfigured
from bidisync.model import ABSENT, Decision, Row, Versions
from bidisync.state import Agreement, Journaled, Link, Shadow
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.seal import AesSeal, Plain, Rekeyed
from bidisync.stores.sealing import reseal
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import check_hint_store, check_state_store
from command import environment

NAME = "Wüstenrot-Zeisig"
ONE, TWO = AesSeal.of("the first key"), AesSeal.of("the second key")


def personal(number: int) -> tuple[Link, Journaled]:
    link = Link.begin(Ref(Side.LEFT, str(number)))
    shadow = Shadow({"family_name": NAME}, version=f"{NAME} {number}")  # a version may be made of values
    base = {"family_name": Agreement(NAME, NAME)}
    link = attrs.evolve(link, right_id=f"R{number}", base=base, left_shadow=shadow, settled=True)
    decision = Decision("family_name", "g", Row.BOTH_CHANGED, Versions(ABSENT, NAME, NAME), "p", (Side.RIGHT,), NAME)
    return link, Journaled(link.id, 1.0, "update", (decision,))


async def fill(store, number: int) -> None:
    for n in range(number):
        link, line = personal(n)
        await store.save(link, journal=[line])
    await store.set_mark("m", NAME)


async def whole(store, number: int) -> None:
    assert len([link for group in [g async for g in store.links()] for link in group]) == number
    assert (await store.load([Ref(Side.LEFT, "0")]))[Ref(Side.LEFT, "0")].base["family_name"].left == NAME
    assert (await store.journal("left:0"))[0].lost == (("family_name", Side.RIGHT, NAME),)
    assert (await store.verify()).holds
    assert await store.get_mark("m") == NAME


async def rests(store) -> bool:
    return await store.resting(Side.LEFT, [("0", f"{NAME} 0"), ("1", "another")]) == {"0": "left:0"}


def found_in(folder) -> int:
    return sum(path.read_bytes().count(NAME.encode()) for path in folder.iterdir() if path.is_file())


async def test_a_sealed_store_keeps_every_promise():
    async def make():
        return await SqliteStore.open(":memory:", seal=ONE)

    await check_state_store(make)
    await check_hint_store(make)


async def test_no_value_can_be_read_in_the_file_or_its_log(tmp_path):
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    for folder, seal in ((plain, Plain()), (sealed, ONE)):
        folder.mkdir()
        store = await SqliteStore.open(folder / "s.db", seal=seal)
        await fill(store, 20)
        hits = found_in(folder)
        await store.close()
        assert (hits > 0) == (found_in(folder) > 0) == (seal == Plain())
    store = await SqliteStore.open(sealed / "s.db", seal=ONE)
    await whole(store, 20)
    await store.close()


async def test_no_value_can_be_read_in_postgres(postgres_url):
    url = postgres_url()
    store = await PostgresStore.open(url, seal=ONE)
    await fill(store, 5)
    rows = await store._query(
        "SELECT document FROM link UNION ALL SELECT document FROM journal UNION ALL SELECT value FROM mark"
    )
    assert rows
    assert all(text.startswith(ONE.prefix) for (text,) in rows)
    await store.close()
    store = await PostgresStore.open(url, seal=Rekeyed(TWO, ONE))
    assert await reseal(store, ONE, TWO) == 12
    await whole(store, 5)
    await store.close()
    with pytest.raises(Misconfigured, match="not the key"):
        await PostgresStore.open(url, seal=ONE)
    look = await PostgresStore.look(url, seal=TWO)
    await whole(look, 5)
    await look.close()


async def test_what_stood_beside_the_records_before_a_seal_is_not_left_in_the_tables_of_postgres(postgres_url):
    url = postgres_url()
    store = await PostgresStore.open(url)
    await fill(store, 5)
    await store.close()
    sealed = await PostgresStore.open(url, seal=Rekeyed(ONE, Plain()))

    async def left_in(table: str) -> int:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            (pages,) = connection.execute(f"SELECT pg_read_binary_file(pg_relation_filepath('{table}'))").fetchone()
        return bytes(pages).count(NAME.encode())

    assert await left_in("record") == 5
    await reseal(sealed, Plain(), ONE)
    await whole(sealed, 5)
    assert await rests(sealed)
    await sealed.close()
    assert [await left_in(table) for table in ("link", "record", "journal", "mark")] == [0, 0, 0, 0]


async def test_the_wrong_key_no_key_and_a_key_for_a_plain_state_are_refused(tmp_path):
    sealed, plain = tmp_path / "sealed.db", tmp_path / "plain.db"
    await (await SqliteStore.open(sealed, seal=ONE)).close()
    store = await SqliteStore.open(plain)
    await store.set_mark("m", "1")
    await store.close()
    for path, seal, words in (
        (sealed, TWO, "encryption_key is not the key"),
        (sealed, Plain(), "set state.encryption_key"),
        (plain, ONE, "not encrypted"),
    ):
        with pytest.raises(Misconfigured, match=words):
            await SqliteStore.open(path, seal=seal)


async def test_a_text_that_was_changed_is_noticed():
    sealed = ONE.seal("text")
    assert ONE.unseal(sealed) == "text"
    assert ONE.seal("text") != sealed
    with pytest.raises(Misconfigured, match="damaged"):
        ONE.unseal(sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:])


@pytest.mark.parametrize(("old", "new"), [(Plain(), ONE), (ONE, TWO), (ONE, Plain())])
async def test_a_state_is_brought_from_one_key_to_another_in_place(tmp_path, old, new):
    store = await SqliteStore.open(tmp_path / "s.db", seal=old)
    await fill(store, 30)
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db", seal=Rekeyed(new, old))
    assert await reseal(store, old, new) == 62
    await store.close()
    assert (found_in(tmp_path) > 0) == (new == Plain())
    with pytest.raises(Misconfigured):
        await SqliteStore.open(tmp_path / "s.db", seal=old)
    store = await SqliteStore.open(tmp_path / "s.db", seal=new)
    await whole(store, 30)
    assert await rests(store)
    await store.close()


KILLED = """
import asyncio, os, sys
from bidisync.stores import sealing
from bidisync.stores.seal import AesSeal, Rekeyed
from bidisync.stores.sqlite import SqliteStore

async def main():
    old, new = AesSeal.of("the first key"), AesSeal.of("the second key")
    sealing.GROUP, left, commit = 10, [int(sys.argv[2])], sealing._resealing
    def counted(*arguments):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)
        return commit(*arguments)
    sealing._resealing = counted
    store = await SqliteStore.open(sys.argv[1], seal=Rekeyed(new, old))
    await sealing.reseal(store, old, new)

asyncio.run(main())
"""


@pytest.mark.parametrize("steps", [0, 2, 5])
async def test_a_change_of_keys_that_was_killed_goes_on_where_it_was(tmp_path, steps):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path, seal=ONE)
    await fill(store, 30)
    await store.close()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), str(steps)], env=environment())
    assert ended.returncode == -9
    for alone in (ONE, TWO):
        with pytest.raises(Misconfigured, match="not the key"):
            await SqliteStore.open(path, seal=alone)
    store = await SqliteStore.open(path, seal=Rekeyed(TWO, ONE))
    await whole(store, 30)
    assert await reseal(store, ONE, TWO) == 62 - min(10 * steps, 10 * 3 + 10 * max(0, steps - 4))
    await store.close()
    store = await SqliteStore.open(path, seal=TWO)
    await whole(store, 30)
    assert await rests(store)
    await store.close()


async def test_without_its_package_a_key_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(Misconfigured, match=r"pip install 'bidisync\[encryption\]'"):
        AesSeal.of("a key")


def test_keys_stay_out_of_texts():
    assert "the first key" not in repr(ONE)
    assert os.linesep not in ONE.prefix
