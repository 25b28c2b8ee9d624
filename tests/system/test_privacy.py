"""Forgetting, holding, expiring, reporting, moving and changing keys: the commands end to end."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import attrs

from bidisync import Ref, Side
from bidisync.rest import to_rest
from bidisync.state import Journaled, Link, Tombstone
from bidisync.stores.seal import AesSeal
from bidisync.stores.sqlite import SqliteStore
from command import configure, start
from command import within as run
from office import FAST, Office, opened
from served import TOKEN, running, until

WORDS = ("Vergissmeinnicht", "Hinterlassenschaft", "Neuername")


def tables_of(folder: Path, office: Office, **more):
    tables = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    return tables


CLEAR = {"encryption_key": ""}
"""For tests that look into the file for values that are still to be in it."""


def stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("state.db*"))


def party(office, **fields):
    return office.crm.store.edit(next(iter(office.crm.store.records)), **fields)


async def swept(folder, *arguments, status=(0,)):
    ended = await run("--json", "sync", *(arguments or ("--all",)), cwd=folder)
    assert ended.status in status, ended.err + ended.out
    return ended.json


async def test_edits_of_a_forgotten_person_bring_nothing_back_on_either_side_and_the_report_says_why(tmp_path):
    async with opened(crm_records=4, erp_records=1) as office:
        configure(tmp_path, tables_of(tmp_path, office, state=CLEAR))
        await swept(tmp_path)
        id = next(iter(office.crm.store.records))
        office.crm.store.edit(id, lastName=WORDS[0], firstName="Erna", dateOfBirth="1950-02-03", zusatz=WORDS[1])
        await swept(tmp_path)
        number = office.crm.store.records[id]["betnr"]
        office.erp.store.edit(number, name=WORDS[2])
        office.crm.store.edit(id, lastName=WORDS[0])
        await swept(tmp_path, status=(0, 1))
        office.erp.store.edit(number, name=WORDS[0])
        office.crm.store.edit(id, lastName=WORDS[0])
        await swept(tmp_path)
        assert WORDS[0].encode() in stored(tmp_path)
        forgotten = await run("--json", "forget", f"left:{id}", "--yes", cwd=tmp_path)
        assert forgotten.status == 0, forgotten.err
        assert not [word for word in WORDS if word.encode() in stored(tmp_path)]

        async def quiet(what):
            office.forget_calls()
            for arguments in (("--all",), (), ("--all",), (f"left:{id}",), (f"right:{number}",)):
                await swept(tmp_path, *arguments, status=(0, 1))
            writes = [c for c in office.calls() if not c.endswith(("GET", "search"))]
            assert writes == [], f"{what}: {writes}"
            found = [word for word in (*WORDS, "Nachtrag") if word.encode() in stored(tmp_path)]
            assert found == [], f"{what}: {found} in the state"

        office.crm.store.edit(id, zusatz="Nachtrag links")
        await quiet("an edit in EspoCRM")
        office.erp.store.edit(number, zusatz="Nachtrag rechts")
        await quiet("an edit in Advoware")
        office.crm.store.edit(id, lastName=WORDS[2])
        office.erp.store.edit(number, name=WORDS[2])
        await quiet("edits on both sides")
        told = await run("--json", "explain", f"left:{id}", cwd=tmp_path)
        assert told.status == 0, told.err
        assert (told.json["state"], told.json["ended"]["by"]) == ("tombstoned", "forget")
        assert "erased on request" in told.json["ended"]["why"]
        assert told.json["groups"] == {}
        shown = await run("explain", f"right:{number}", "--show-values", cwd=tmp_path)
        assert "erased on request" in shown.out
        assert not [word for word in WORDS if word in shown.out]
        report = await run("--json", "report", "--from", "2020-01-01", "--show-values", cwd=tmp_path)
        (mine,) = [one for one in report.json["links"] if one["link"] == forgotten.json["forgotten"]]
        assert mine["acts"]["forget"] == 1
        assert mine["name"] == []
        assert "erased on request" in mine["why"]
        office.crm.store.delete(id)
        await quiet("the record was deleted in EspoCRM")
        assert number in office.erp.store.records


async def test_a_new_record_of_a_forgotten_person_waits_for_somebody_to_decide(tmp_path):
    same = {"lastName": "Vergissmeinnicht", "firstName": "Erna", "dateOfBirth": "1950-02-03"}
    async with opened(crm_records=3) as office:
        configure(tmp_path, tables_of(tmp_path, office))
        id = next(iter(office.crm.store.records))
        office.crm.store.edit(id, **same)
        await swept(tmp_path)
        number = office.crm.store.records[id]["betnr"]
        assert (await run("forget", f"left:{id}", "--yes", cwd=tmp_path)).status == 0
        office.crm.store.delete(id)
        again = office.crm.store.create(**same)
        copy = office.crm.store.create(**{**same, "firstName": "Eva", "betnr": number})
        parties = len(office.erp.store.records)
        for _ in range(3):
            swept_ = await swept(tmp_path, status=(1,))
        assert swept_["created"] == {"left": 0, "right": 0}
        assert len(office.erp.store.records) == parties
        waiting = (await run("--json", "conflicts", cwd=tmp_path)).json["conflicts"]
        assert {one["link"]: one["reason"] for one in waiting} == {
            f"left:{again}": "forgotten",
            f"left:{copy}": "forgotten",
        }
        for one in (again, copy):
            assert (await run("unlink", f"left:{one}", "--yes", cwd=tmp_path)).status == 0
        back = await run("forget", f"right:{number}", "--take-back", cwd=tmp_path)
        assert back.status == 0, back.err
        office.crm.store.delete(again)
        office.crm.store.delete(copy)
        told = await run("--json", "explain", f"right:{number}", cwd=tmp_path)
        assert [one["what"] for one in told.json["past"]][-2:] == ["forget", "readmit"]


async def test_a_lost_state_knows_nothing_of_whom_it_forgot(tmp_path):
    """What docs/privacy.md warns of: the tombstone is in the state, so whoever loses the state forgets once more."""
    async with opened(crm_records=2) as office:
        configure(tmp_path, tables_of(tmp_path, office))
        await swept(tmp_path)
        kept, deleted = office.crm.store.records
        numbers = {id: office.crm.store.records[id]["betnr"] for id in (kept, deleted)}
        for id in (kept, deleted):
            assert (await run("forget", f"left:{id}", "--yes", cwd=tmp_path)).status == 0
        office.crm.store.delete(deleted)

        def lose():
            for file in tmp_path.glob("state.db*"):
                file.unlink()

        lose()
        unknown = await run("forget", f"right:{numbers[deleted]}", "--yes", cwd=tmp_path)
        assert (unknown.status, unknown.out) == (2, "")
        for name in (f"right:{numbers[deleted]}", f"right:{numbers[kept]}", f"left:{kept}"):
            ended = await run("forget", name, "--even-unknown", "--yes", cwd=tmp_path)
            assert ended.status == 0, ended.err
        office.forget_calls()
        before = office.crm.store.records[kept]["zusatz"]
        office.crm.store.edit(kept, zusatz="bleibt hier")
        assert (await swept(tmp_path))["created"] == {"left": 0, "right": 0}
        assert office.writes() == 0, "who keeps a list can forget them again, before anything comes back"
        office.crm.store.edit(kept, zusatz=before)
        lose()
        done = await swept(tmp_path)
        assert done["created"] == {"left": 1, "right": 0}, "whose record was deleted on one side is made again"
        office.crm.store.edit(kept, zusatz="wieder im Gleichschritt")
        await swept(tmp_path)
        assert office.erp.store.records[numbers[kept]]["zusatz"] == "wieder im Gleichschritt"
        assert (await run("forget", f"right:{numbers[deleted]}", "--yes", cwd=tmp_path)).status == 0
        (made,) = [id for id, one in office.crm.store.records.items() if one["betnr"] == numbers[deleted]]
        assert (await run("forget", f"left:{made}", "--take-back", cwd=tmp_path)).status == 0
        office.crm.store.edit(made, zusatz="auf Wunsch wieder dabei")
        await swept(tmp_path, status=(0, 1))
        told = await run("--json", "explain", f"left:{made}", cwd=tmp_path)
        assert (told.json["ended"], office.erp.store.records[numbers[deleted]]["zusatz"]) == (
            None,
            "auf Wunsch wieder dabei",
        ), told.json


async def test_values_expire_by_setting_unless_they_are_held_and_what_was_done_stays(tmp_path):
    async with opened(crm_records=3) as office:
        configure(tmp_path, tables_of(tmp_path, office, state=CLEAR, sync={"visible_status": "off"}))
        await swept(tmp_path)
        one, two, _ = office.crm.store.records
        for id, word in ((one, "Altwort"), (two, "Haltwort")):
            office.crm.store.edit(id, zusatz=word)
        await swept(tmp_path)
        for id in (one, two):
            office.crm.store.edit(id, zusatz="Jetztwort")
        await swept(tmp_path)
        for id in (one, two):
            office.crm.store.edit(id, titel="Prof.")
        await swept(tmp_path)
        await aged(tmp_path / "state.db", days=30)
        held = await run("--json", "hold", f"left:{two}", "--until", "2999-12-31", cwd=tmp_path)
        assert [(h["link"], h["until"][:10]) for h in held.json["held"]] == [(f"left:{two}", "3000-01-01")], held.err
        told = await run("--json", "explain", f"left:{two}", cwd=tmp_path)
        assert told.json["hold"]["until"][:10] == "3000-01-01"
        assert "retention hold since" in (await run("explain", f"left:{two}", cwd=tmp_path)).out
        assert (await run("expire", "--yes", cwd=tmp_path)).status == 2, "no age is set"
        assert (await run("expire", cwd=tmp_path)).status == 2, "it asks first"
        assert all(word in stored(tmp_path) for word in (b"Altwort", b"Haltwort", b"Jetztwort"))
        configure(tmp_path, tables_of(tmp_path, office, state=CLEAR, privacy={"keep_values_days": 20.0}))
        await swept(tmp_path)
        assert [word for word in (b"Altwort", b"Haltwort") if word in stored(tmp_path)] == [b"Haltwort"]
        assert b"Jetztwort" in stored(tmp_path), "what is kept in step stays known"
        past = (await run("--json", "history", f"left:{one}", "--show-values", cwd=tmp_path)).json["history"]
        assert [entry["what"] for entry in past] == ["expire", "update", "update", "update", "create"]
        refused = await run("forget", f"left:{two}", "--yes", cwd=tmp_path)
        assert (refused.status, refused.out) == (2, "")
        assert "retention hold" in refused.err
        released = await run("--json", "hold", f"left:{two}", "--release", cwd=tmp_path)
        assert released.json == {"held": []}
        gone = await run("--json", "expire", "--yes", cwd=tmp_path)
        assert (gone.status, gone.json["entries"]) == (0, 4), gone.err
        assert b"Haltwort" not in stored(tmp_path)
        assert (await run("--json", "expire", "--yes", cwd=tmp_path)).json["entries"] == 0
        office.forget_calls()
        await swept(tmp_path)
        assert office.writes() == 0


async def test_a_service_erases_by_itself_what_has_had_its_time(tmp_path):
    async with opened(crm_records=2) as office:
        tables = tables_of(tmp_path, office, state=CLEAR, privacy={"keep_values_days": 20.0}, web={"token": TOKEN})
        configure(tmp_path, {**tables, "privacy": {}})
        await swept(tmp_path)
        id = next(iter(office.crm.store.records))
        for field, word in (("zusatz", "Altwort"), ("zusatz", "Jetztwort"), ("titel", "Prof.")):
            office.crm.store.edit(id, **{field: word})
            await swept(tmp_path)
        await aged(tmp_path / "state.db", days=30)
        assert b"Altwort" in stored(tmp_path)
        configure(tmp_path, tables)
        async with running("serve", "--port", "0", cwd=tmp_path) as served:
            await until(lambda: b"Altwort" not in stored(tmp_path), what="the end of old values")
            assert b"Jetztwort" in stored(tmp_path)
            assert (await served.stop())[0] == 0


async def aged(path: Path, days: float) -> None:
    """Have everything in the journal be older than it is."""
    store = await SqliteStore.open(path)
    for number, entry in await store.history(limit=1000):
        text = store._seal.seal(to_rest(attrs.evolve(entry, at=entry.at - days * 86_400)))
        await store._run(
            lambda c, text=text, n=number: (
                c.execute("UPDATE journal SET document = ? WHERE number = ?", (text, n)) and None
            )
        )
    await store.close()


async def test_the_report_names_who_was_touched_when_and_how_and_no_value(tmp_path):
    async with opened(crm_records=3) as office:
        configure(tmp_path, tables_of(tmp_path, office))
        await swept(tmp_path)
        await asyncio.sleep(1.1)
        between = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        one, two, _ = office.crm.store.records
        office.crm.store.edit(one, titel="Prof.", zusatz="Seitenflügel")
        office.erp.store.edit(office.crm.store.records[two]["betnr"], name="Vergissmeinnicht")
        await swept(tmp_path)
        told = await run("--json", "report", "--from", between, cwd=tmp_path)
        assert told.status == 0, told.err
        assert (told.json["parties"], told.json["acts"]) == (2, {"update": 2})
        found = {entry["link"]: entry for entry in told.json["links"]}
        assert found[f"left:{one}"]["written"] == {"left": [], "right": ["addition", "title"]}
        assert found[f"left:{two}"]["written"] == {"left": ["family_name"], "right": []}
        assert found[f"left:{two}"]["name"][0].startswith("‹")
        shown = await run("report", "--from", between, "--show-values", cwd=tmp_path)
        assert "Vergissmeinnicht" in shown.out
        plain = await run("report", "--from", "2020-01-01", cwd=tmp_path)
        assert "Vergissmeinnicht" not in plain.out + plain.err
        assert "Seitenflügel" not in plain.out + shown.out
        everything = (await run("--json", "report", "--from", "2020-01-01", "--to", "2999-01-01", cwd=tmp_path)).json
        assert (everything["parties"], everything["acts"]) == (3, {"create": 3, "update": 2})
        before = (await run("--json", "report", "--from", "2020-01-01", "--to", between, cwd=tmp_path)).json
        assert before["acts"] == {"create": 3}
        for wrong in (("--from", "gestern"), ("--from", "2030-01-01", "--to", "2029-01-01"), ()):
            ended = await run("report", *wrong, cwd=tmp_path)
            assert (ended.status, ended.out) == (2, "")


async def test_a_state_is_moved_by_one_command_and_the_old_place_is_refused(tmp_path, postgres_url):
    url = postgres_url()
    async with opened(crm_records=4, erp_records=2) as office:
        tables = tables_of(tmp_path, office)
        configure(tmp_path, tables)
        await swept(tmp_path)
        asked = await run("state", "move", url, cwd=tmp_path)
        assert asked.status == 2, "it asks first"
        (file := tmp_path / "url").write_text(f"{url}\n")
        moved = await run("--json", "state", "move", "--url-file", str(file), "--yes", cwd=tmp_path)
        assert moved.status == 0, moved.err
        assert (moved.json["rows"]["link"], moved.json["set"]) == (6, "state.url")
        assert "p%40ss" not in moved.out + moved.err
        for command in ("sync", "plan", "status", "check"):
            late = await run(command, cwd=tmp_path)
            assert late.status == 2, command
            assert "was moved to PostgreSQL" in late.err + late.out
        for other in (url, "sqlite:///other.db"):
            assert (await run("state", "move", other, "--yes", cwd=tmp_path)).status == 2
        configure(tmp_path, {**tables, "state": {"url": url}})
        office.forget_calls()
        await swept(tmp_path)
        assert office.writes() == 0
        office.crm.store.edit(next(iter(office.crm.store.records)), zusatz="umgezogen")
        assert (await swept(tmp_path))["updated"] == {"left": 0, "right": 1}
        full = await run("state", "move", f"sqlite:///{tmp_path / 'state.db'}", "--yes", cwd=tmp_path)
        assert (full.status, full.out) == (2, "")
        assert "holds a state already" in full.err
        back = await run("state", "move", f"sqlite:///{tmp_path / 'back.db'}", "--yes", cwd=tmp_path)
        assert back.status == 0, back.err
        configure(tmp_path, {**tables, "state": {"url": f"sqlite:///{tmp_path / 'back.db'}"}})
        office.forget_calls()
        await swept(tmp_path)
        assert office.writes() == 0
        wrong = await run("state", "move", "mysql://x", "--yes", cwd=tmp_path)
        assert (wrong.status, wrong.out) == (2, "")


async def test_keys_are_changed_by_one_command_that_goes_on_after_a_kill(tmp_path):
    async with opened(crm_records=5) as office:
        tables = tables_of(tmp_path, office, state=CLEAR)
        configure(tmp_path, tables)
        await swept(tmp_path)
        await many_lines(tmp_path / "state.db", 8_000)
        name = next(iter(office.crm.store.records.values()))["lastName"].encode()
        assert name in stored(tmp_path)
        (file := tmp_path / "new.key").write_text("ein langer Schlüssel\n")
        rotate = ("--json", "state", "rotate", "--new-key-file", str(file), "--yes")
        process = await start(*rotate, cwd=tmp_path)
        path = tmp_path / "state.db"
        while not (prefixed := b"sealed:1:" in stored(tmp_path)) and process.returncode is None:
            await asyncio.sleep(0.005)
        assert prefixed
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        assert process.returncode == -signal.SIGKILL
        between = await run("sync", cwd=tmp_path)
        assert (between.status, between.out) == (2, "")
        assert "change of keys" in between.err
        done = await run(*rotate, cwd=tmp_path)
        assert done.status == 0, done.err
        assert done.json["encrypted"] is True
        assert (await run(*rotate, cwd=tmp_path)).json["changed"] == 0, "twice is once"
        assert name not in stored(tmp_path)
        assert path.stat().st_mode & 0o077 == 0
        assert (await run("sync", cwd=tmp_path)).status == 2, "the old settings fit no more"
        configure(tmp_path, {**tables, "state": {**tables["state"], "encryption_key": "ein langer Schlüssel"}})
        office.forget_calls()
        await swept(tmp_path)
        assert office.writes() == 0
        store = await SqliteStore.open(path, seal=AesSeal.of("ein langer Schlüssel"))
        assert len(await store.history(limit=100_000)) > 8_000
        await store.close()
        for wrong in (("state", "rotate", "--yes"), ("state", "rotate", "--new-key-file", "missing", "--yes")):
            ended = await run(*wrong, cwd=tmp_path)
            assert (ended.status, ended.out) == (2, "")


async def many_lines(path: Path, number: int) -> None:
    """Make the journal long enough to be killed within."""
    store = await SqliteStore.open(path)
    over = attrs.evolve(Link.begin(Ref(Side.LEFT, "nobody")), tombstone=Tombstone(0.0), settled=True)
    await store.save(over, journal=[Journaled(over.id, time.time(), "agree")] * number)
    await store.close()
