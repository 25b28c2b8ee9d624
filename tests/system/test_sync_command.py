"""`espo-advo sync` as a user runs it: whole systems, whole processes, kills in between."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from typing import Any

import aiohttp
import psutil

from bidisync_espo_advo.simulators.server import FaultRule
from command import configure, run, simulated, start
from office import Office, opened

KEYS = {
    "rounds", "examined", "in_sync", "created", "updated", "deleted", "adopted", "conflicts", "held", "review",
    "blocked", "retrying", "dead", "calls", "duration_s",
}  # fmt: skip
TIMES: dict[str, dict[str, Any]] = {"lock": {"lease_s": 2.5}, "sync": {"search_lag_s": 0.2}}


async def fetched(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.json()


async def test_two_thousand_parties_of_one_side_only_arrive_on_the_other(tmp_path):
    async with (
        simulated("espocrm", "--records", "1000", cwd=tmp_path) as crm,
        simulated("advoware", "--records", "1000", cwd=tmp_path) as erp,
    ):
        configure(tmp_path, {"espocrm": crm["config"], "advoware": erp["config"]})
        process = await start("sync", "--all", "--json", cwd=tmp_path)
        peak, watched = 0, psutil.Process(process.pid)
        ended = asyncio.ensure_future(process.communicate())
        while not ended.done():
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.Error:
                break
            await asyncio.wait([ended], timeout=0.05)
        out, err = await ended
        result = json.loads(out)
        assert (process.returncode, err) == (0, b"")
        assert set(result) >= KEYS
        assert result["created"] == {"left": 1000, "right": 1000}
        assert (result["examined"], result["in_sync"]) == (2000, 2000)
        print(f"2000 parties in {result['duration_s']} s, at most {peak / 2**20:.0f} MiB")
        assert peak < 200 * 2**20
        records = await fetched(crm["url"] + "_simulator/records")
        parties = await fetched(erp["url"] + "_simulator/records")
        assert len(records) == len(parties) == 2000
        assert {record["betnr"] for record in records} == {party["betNr"] for party in parties}
        names = {(r["lastName"], r["firstName"], r["dateOfBirth"]) for r in records}
        assert len(names) == 2000, "nobody was doubled"
        again = await run("sync", "--all", "--json", cwd=tmp_path)
        calls = again.json["calls"]
        assert again.status == 0
        assert [calls["espocrm"][verb] for verb in ("POST", "PUT", "DELETE")] == [0, 0, 0]
        assert [calls["advoware"][verb] for verb in ("PUT", "DELETE")] == [0, 0]


async def test_a_dry_run_writes_nothing_anywhere_and_says_what_would_be(tmp_path):
    async with opened(crm_records=5, erp_records=5, state={"url": "sqlite:///espo-advo.db"}) as office:
        configure(tmp_path, office.tables)
        ended = await run("sync", "--all", "--dry-run", "--json", cwd=tmp_path)
        assert ended.json["created"] == {"left": 5, "right": 5}
        assert office.writes() == 0
        assert not (tmp_path / "espo-advo.db").exists()


KILLS = [
    *[("erp", "POST", when, skip) for when in ("before", "after") for skip in (0, 1, 2)],
    *[("crm", "POST", when, skip) for when in ("before", "after") for skip in (0, 1)],
    *[("crm", "PUT", when, skip) for when in ("before", "after") for skip in (0, 1)],
    *[("erp", "PUT", when, skip) for when in ("before", "after") for skip in (0, 1)],
    ("erp", "GET", "before", 0),
    ("crm", "GET", "after", 0),
][:: 1 if os.environ.get("BIDISYNC_NIGHT") else 3]


async def test_kills_in_the_middle_of_requests_lose_no_edit_and_make_no_duplicate(tmp_path):
    rng = random.Random(20)
    tables = {"espocrm": {"timeout_s": 2.0}, "advoware": {"timeout_s": 2.0}, **TIMES}
    tables["state"] = {"url": "sqlite:///espo-advo.db"}
    async with opened(crm_records=4, erp_records=4, **tables) as office:
        configure(tmp_path, office.tables)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        expected: dict[tuple[str, str], str] = {}
        kills = days = 0
        while kills < len(KILLS):
            assert days < 3 * len(KILLS), "requests are reached often enough to be killed in"
            days += 1
            people_at_work(office, days, expected, rng)
            system, method, when, skip = KILLS[kills]
            server = getattr(office, system)
            server.control.rules.append(FaultRule("hold", method=method, path="eteiligte", when=when, skip=skip))
            process = await start("sync", "--rounds", "1", cwd=tmp_path)
            held = asyncio.ensure_future(server.control.wait_until_held())
            ended = asyncio.ensure_future(process.communicate())
            await asyncio.wait([held, ended], return_when=asyncio.FIRST_COMPLETED, timeout=60)
            if held.done():
                process.send_signal(signal.SIGKILL)
                kills += 1
            held.cancel()
            await ended
            server.control.rules.clear()
        print(f"{kills} kills in the middle of a request, in {days} runs")
        final = await run("sync", "--all", "--rounds", "6", "--json", cwd=tmp_path)
        assert final.status == 0, final.out + final.err
        records, parties = office.crm.store.records, office.erp.store.records
        assert len(records) == len(parties) == 8 + 2 * NEW * days
        assert len({r["betnr"] for r in records.values()}) == len(records)
        by_number = {r["betnr"]: r for r in records.values()}
        for (field, name), value in expected.items():
            (record,) = [r for r in records.values() if r["lastName"] == name]
            crm, erp = record[field], parties[record["betnr"]][field]
            assert (crm, erp) == (value, value), f"the edit of {field} is on both sides"
        assert all(by_number[number]["lastName"] == party["name"] for number, party in parties.items())


NEW = 2


def people_at_work(office: Office, day: int, expected: dict[tuple[str, str], str], rng: random.Random) -> None:
    """New parties on each side, and edits on each side of different linked records."""
    for number in range(NEW):
        name = f"Neu-{day}-{number}"
        office.crm.store.create(lastName=name, firstName="Ada", dateOfBirth="1980-02-29")
        office.erp.store.create(name=f"Anders{name}", vorname="Bob", geburtsdatum="1970-01-01T00:00:00")
    linked = [r for r in office.crm.store.records.values() if r["betnr"] in office.erp.store.records]
    for number, record in enumerate(rng.sample(linked, 4)):
        field = ("zusatz", "titel")[number % 2]
        expected[field, record["lastName"]] = text = f"{field} {day}"
        if field == "zusatz":
            office.crm.store.edit(record["id"], zusatz=text)
        else:
            office.erp.store.edit(record["betnr"], titel=text)


async def test_wrong_settings_refused_credentials_and_dead_servers_are_one_line(tmp_path):
    secret = "kanarienvogel"
    async with opened(crm_records=1) as office:
        good = office.tables
        cases: list[tuple[dict[str, dict[str, Any]], int, str]] = [
            ({"espocrm": {"api_key": secret}}, 2, "espocrm.api_key"),
            ({"advoware": {"password": secret}}, 2, "advoware refuses the sign-in"),
            ({"advoware": {"kanzlei": secret}}, 2, "advoware.kanzlei"),
            ({"espocrm": {"colour": secret}}, 2, "espocrm.colour"),
            ({"espocrm": {"timeout_s": secret}}, 2, "espocrm.timeout_s"),
            ({"advoware": {"app_id": ""}}, 2, "advoware.app_id"),
            ({"lock": {"url": f"redis://:{secret}@127.0.0.1:1/0"}}, 3, "Redis"),
            ({"espocrm": {"url": "http://127.0.0.1:9/"}}, 3, "espocrm can't be reached"),
            ({"advoware": {"discovery_url": "http://127.0.0.1:9/"}}, 3, "advoware can't be reached"),
            ({"espocrm": {"entity_type": "CNichts"}}, 3, "CNichts"),
        ]
        for change, status, words in cases:
            tables = {name: {**table, **change.get(name, {})} for name, table in good.items()}
            configure(tmp_path, tables)
            ended = await run("sync", cwd=tmp_path)
            assert (ended.status, len(ended.err.splitlines())) == (status, 1), (change, ended)
            assert words in ended.err, (change, ended)
            assert secret not in ended.out + ended.err
            assert "Traceback" not in ended.err
        assert office.writes() == 0


async def test_check_names_what_works_and_writes_nothing(tmp_path):
    async with opened(crm_records=2, erp_records=2, state={"url": "sqlite:///espo-advo.db"}) as office:
        configure(tmp_path, office.tables)
        ended = await run("check", "--json", cwd=tmp_path)
        assert ended.status == 0
        assert {part: finding["works"] for part, finding in ended.json.items()} == dict.fromkeys(
            ("espocrm", "webhooks", "advoware", "state", "log", "lock"), True
        )
        assert office.writes() == 0
        assert not (tmp_path / "espo-advo.db").exists()
        configure(tmp_path, {**office.tables, "espocrm": {**office.tables["espocrm"], "api_key": "falsch"}})
        ended = await run("check", cwd=tmp_path)
        assert ended.status == 2
        assert "works: signed in as SYN" in ended.out
        assert "\n            no lost edit in Advoware: " in ended.out


async def test_named_records_alone_are_brought_into_step(tmp_path):
    async with opened(crm_records=3, state={"url": "sqlite:///espo-advo.db"}) as office:
        configure(tmp_path, office.tables)
        first = next(iter(office.crm.store.records))
        ended = await run("sync", f"left:{first}", "--json", cwd=tmp_path)
        assert ended.status == 0
        assert ended.json["created"] == {"left": 0, "right": 1}
        assert len(office.erp.store.records) == 1
        ended = await run("sync", "middle:1", cwd=tmp_path)
        assert (ended.status, len(ended.err.splitlines())) == (2, 1)
        ended = await run("sync", f"left:{first}", "right:99999999", "--json", cwd=tmp_path)
        assert (ended.status, ended.json["not_found"], ended.json["in_sync"]) == (1, 1, 1), "nobody has that id"
        assert "not found" in (await run("sync", "right:99999999", cwd=tmp_path)).out
