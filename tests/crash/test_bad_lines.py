"""A Redis that is dead, frozen or behind a bad line; remotes behind a bad line: nothing half done, nothing hangs."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from proxy import Mood, proxy_to
from siege import TIMEOUT_S, Town, town

from bidisync_espo_advo.settings import load_settings
from command import run


async def one_edit_each(town: Town, text: str) -> None:
    """An edit on either side, of different records."""
    people = town.people
    people.replaced[f"{text} left"] = await people.crm.edit(people.crm_ids[0], "titel", f"{text} left")
    people.replaced[f"{text} right"] = await people.erp.edit(people.erp_ids[5], "titel", f"{text} right")


async def writes(town: Town) -> int:
    return sum([*(await town.people.crm.writes()).values(), *(await town.people.erp.writes()).values()])


async def forget(town: Town) -> None:
    await town.people.crm.forget_requests()
    await town.people.erp.forget_requests()


async def test_with_go_on_a_dead_or_frozen_redis_stops_nothing(tmp_path, redis_server):
    async with town(tmp_path, redis_server, 1, lock={"when_unreachable": "go_on"}) as office:
        redis_server.kill()
        await one_edit_each(office, "dead")
        ended = [await run("sync", "--all", "--json", cwd=tmp_path)]
        assert ended[0].status == 0, ended
        redis_server.start()
        await one_edit_each(office, "frozen")
        redis_server.freeze()
        try:
            began = time.monotonic()
            ended = [await run("sync", "--all", "--json", cwd=tmp_path)]
            assert (ended[0].status, time.monotonic() - began < 12.0) == (0, True), ended
        finally:
            redis_server.thaw()
        await office.nothing_is_wrong()


async def test_a_dead_redis_or_a_bad_line_to_it_pauses_writing_and_is_one_line(tmp_path, redis_server):
    moods: list[Mood] = ["reset", "cut", "stall"]
    async with town(tmp_path, redis_server, 1) as office, proxy_to(redis_server.port) as line:
        url = f"redis://127.0.0.1:{line.port}/0"
        for mood in moods:
            await one_edit_each(office, mood)
            line.mood, line.cut_after = mood, 1
            began = time.monotonic()
            ended = await run("sync", "--all", cwd=tmp_path, ESPO_ADVO_LOCK_URL=url)
            assert (ended.status, len(ended.err.splitlines())) == (3, 1), (mood, ended)
            assert time.monotonic() - began < 12.0, mood
        await forget(office)
        redis_server.kill()
        try:
            ended = await run("sync", "--all", "--json", cwd=tmp_path)
            assert (ended.status, ended.json["error"]["code"]) == (3, "unavailable")
            assert (len(ended.err.splitlines()), "Redis" in ended.err) == (1, True)
            assert await writes(office) == 0
        finally:
            redis_server.start()
        line.mood = "pass"
        assert (await run("sync", "--all", cwd=tmp_path, ESPO_ADVO_LOCK_URL=url)).status == 0
        await office.nothing_is_wrong()


async def test_a_bad_line_to_a_remote_loses_nothing_and_never_hangs(tmp_path, redis_server):
    async with town(tmp_path, redis_server, 1) as office:
        settings = load_settings(tmp_path / "espo-advo.toml")
        ports = {
            "ESPO_ADVO_ESPOCRM_URL": urlsplit(settings.espocrm.url).port,
            "ESPO_ADVO_ADVOWARE_DISCOVERY_URL": urlsplit(settings.advoware.discovery_url).port,
        }
        for mood, name in zip(("reset", "cut", "stall"), [*ports, *ports], strict=False):
            async with proxy_to(ports[name] or 0) as line:
                await one_edit_each(office, f"{mood} {name}")
                began = time.monotonic()
                through = f"http://127.0.0.1:{line.port}/"
                command = asyncio.ensure_future(run("sync", "--all", cwd=tmp_path, **{name: through}))
                while line.bytes_passed < 4_000 and not command.done():
                    await asyncio.sleep(0.005)
                line.mood = mood
                ended = await asyncio.wait_for(command, 40)
                assert ended.status in (0, 1, 3), ended
                assert "defect" not in ended.err
                assert time.monotonic() - began < 10 * TIMEOUT_S
        await office.settle()
        await office.nothing_is_wrong()
