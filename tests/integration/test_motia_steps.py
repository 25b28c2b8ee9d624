"""The adapters for Motia's steps with a context of our own: real systems, a real Redis, a state in a file."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from typing import Any

import attrs
import pytest
from redis import asyncio as aioredis

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured, Unavailable
from bidisync.model import Ref, Side, Snapshot
from bidisync.rehearsal import Rehearsal
from bidisync.stores.sqlite import SqliteStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.motia import shadow_event, sync_event, take_webhook, tick
from bidisync_espo_advo.motia.asked import Asked
from bidisync_espo_advo.motia.attached import Attached
from bidisync_espo_advo.motia.slots import claim
from bidisync_espo_advo.motia.syncing import Unfinished
from bidisync_espo_advo.motia.talk import chunks, forwarded
from bidisync_espo_advo.simulators.server import FaultRule
from bidisync_espo_advo.webhook import signature
from command import environment
from office import Office, opened
from watch import WATCH

HOOKS = {"h1": "secret of h1"}


@attrs.frozen
class Told:
    """A logger that keeps what it was told."""

    lines: list[tuple[str, str, Any]] = attrs.field(factory=list)

    def info(self, message: str, args: Any = None) -> None:
        self.lines.append(("info", message, args))

    def warn(self, message: str, args: Any = None) -> None:
        self.lines.append(("warn", message, args))

    def error(self, message: str, args: Any = None) -> None:
        self.lines.append(("error", message, args))

    def debug(self, message: str, args: Any = None) -> None:
        self.lines.append(("debug", message, args))


@attrs.frozen
class Step:
    """What a step is handed: emits and logs that must survive JSON, as Motia's have to."""

    logger: Told = attrs.field(factory=Told)
    emitted: list[Any] = attrs.field(factory=list)

    async def emit(self, event: Any) -> None:
        assert len(json.dumps(event)) < 60_000
        self.emitted.append(json.loads(json.dumps(event)))


def delivery(ids: list[str], key: str = HOOKS["h1"], **headers: str) -> dict[str, Any]:
    """A request as Motia 0.17 hands it to an API step."""
    raw = json.dumps([{"id": id, "lastName": "Beispielmann"} for id in ids])
    signed = {"signature": signature("h1", raw.encode(), key), **headers}
    return {"body": json.loads(raw), "rawBody": raw, "headers": signed, "pathParams": {}, "queryParams": {}}


def hooked(**tables: dict[str, Any]) -> Settings:
    return Settings.from_tables({"espocrm": {"webhooks": HOOKS}, **tables})


async def taken(request: dict[str, Any], step: Step, **more: Any) -> Any:
    return await take_webhook(request, step, event="update", topic="t", settings=hooked(), **more)


async def test_a_webhook_becomes_events_with_ids_and_nothing_else():
    step = Step()
    ids = [f"{n:017x}" for n in range(50)]
    assert await taken(delivery([*ids, ids[0]]), step) == {"status": 202, "body": {"accepted": 50}}
    assert [id for event in step.emitted for id in event["data"]["ids"]] == ids
    assert all(set(event) == {"topic", "data"} for event in step.emitted)
    assert all(set(event["data"]) == {"side", "ids"} for event in step.emitted)
    assert max(len(event["data"]["ids"]) for event in step.emitted) == 20


@pytest.mark.parametrize(
    "request_",
    [
        delivery(["1"], key="another key"),
        delivery(["1"], signature="nonsense"),
        delivery(["1"], signature=""),
        {"body": [{"id": "1"}], "rawBody": '[{"id":"1"}]', "headers": {}},
        {"body": [{"id": "1"}], "headers": delivery(["1"])["headers"]},
        {**delivery(["1"]), "rawBody": '[{"id":"2"}]'},
    ],
    ids=["another key", "no base64", "empty", "unsigned", "no raw body", "another body"],
)
async def test_what_nobody_signed_is_refused_and_emits_nothing(request_):
    step = Step()
    assert (await taken(request_, step))["status"] == 401
    assert step.emitted == []


@pytest.mark.parametrize("raw", ["{", "{}", "[1]", '[{"id": ""}]', '[{"id": 5}]', "[" * 100_000, "null"])
async def test_what_is_signed_and_can_not_be_read_is_left_to_the_poll(raw):
    step = Step()
    headers = {"signature": signature("h1", raw.encode(), HOOKS["h1"])}
    assert (await taken({"rawBody": raw, "headers": headers}, step))["status"] == 413
    assert step.emitted == []


async def test_an_event_that_can_not_be_emitted_is_raised_so_that_espocrm_sends_it_again():
    class Broken(Step):
        async def emit(self, event: Any) -> None:
            raise RuntimeError("no queue")

    with pytest.raises(RuntimeError):
        await taken(delivery(["1"]), Broken())


def test_ids_are_cut_into_events_that_fit_on_a_command_line():
    long = [chr(0x1F600) * 250 + str(n) for n in range(300)]
    cut = list(chunks(long, most=20))
    assert [id for ids in cut for id in ids] == long
    assert all(len(json.dumps({"topic": "t" * 200, "data": {"side": "left", "ids": ids}})) < 60_000 for ids in cut)


def test_an_event_names_records_in_our_form_or_in_that_of_the_steps_before():
    left = (Ref(Side.LEFT, "a"), Ref(Side.LEFT, "b"))
    assert Asked.of({"ids": ["a", "b", "a"]}).refs == left
    assert Asked.of({"entity_id": "a", "action": "update", "source": "webhook"}).refs == left[:1]
    assert Asked.of({"entity_ids": ["a", "b"]}).refs == left
    assert Asked.of({"side": "right", "ids": [104711]}).refs == (Ref(Side.RIGHT, "104711"),)
    for poll in ({}, None, "text", {"slot": 5}):
        assert Asked.of(poll) == Asked()
    assert Asked.of({"everything": True}).everything


async def test_the_first_instance_of_a_slot_asks_for_the_poll_and_no_other(redis_url):
    steps = [Step() for _ in range(6)]
    settings = hooked(lock={"url": redis_url})

    async def ticked(step: Step, now: float) -> bool:
        return await tick(step, topic="once", interval_s=60, settings=settings, now=now)

    at = 1_800_000_000.0
    assert sum(await asyncio.gather(*[ticked(step, at + n) for n, step in enumerate(steps)])) == 1
    assert not await ticked(Step(), at + 59.9), "the slot is taken until it ends"
    assert await ticked(Step(), at + 60)
    assert [event for step in steps for event in step.emitted] == [
        {"topic": "once", "data": {"slot": 30_000_000, "everything": False}}
    ]


async def test_a_slot_needs_a_redis_that_answers(redis_url):
    with pytest.raises(Unavailable):
        await claim("redis://127.0.0.1:1/0", "k", 1)
    with pytest.raises(Misconfigured):
        await claim("local://", "k", 1)
    with pytest.raises((Misconfigured, Unavailable)):
        await claim(redis_url.replace("://", "://user:wrong@"), "k", 1)
    client = aioredis.Redis.from_url(redis_url)
    assert await claim(redis_url.rsplit("/", 1)[0], "slot of 2 s", 2)
    assert 0 < await client.pttl("slot of 2 s") <= 2000
    await client.aclose()


def tables_of(tmp_path: Any, redis_url: str) -> dict[str, Any]:
    return {"state": {"url": f"sqlite:///{tmp_path}/state.db"}, "lock": {"url": redis_url}}


async def waiting(tmp_path: Any) -> int:
    store = await SqliteStore.open(tmp_path / "state.db", seal=WATCH.seal())
    number, _ = await store.hints_waiting()
    await store.close()
    return number


async def test_an_event_brings_its_records_into_step_and_leaves_no_hint(tmp_path, redis_url):
    async with opened(crm_records=3, **tables_of(tmp_path, redis_url)) as office:
        step = Step()
        await sync_event({"ids": list(office.crm.store.records)}, step, timeout_s=30, settings=office.settings)
        assert len(office.erp.store.records) == 3
        assert await waiting(tmp_path) == 0
        (last,) = [args for level, _, args in step.logger.lines if level == "info" and "states" in (args or {})]
        assert last["states"] == {"in_sync": 3}
        json.dumps(step.logger.lines)
        assert "Muster" not in json.dumps(step.logger.lines)


async def test_an_event_without_ids_polls_both_sides(tmp_path, redis_url):
    async with opened(crm_records=2, **tables_of(tmp_path, redis_url)) as office:
        await sync_event({"slot": 1, "everything": True}, Step(), timeout_s=30, settings=office.settings)
        (id, *_) = office.crm.store.records
        office.erp.store.edit(office.crm.store.records[id]["betnr"], titel="Dr.")
        await sync_event({"slot": 2}, Step(), timeout_s=30, settings=office.settings)
        assert office.crm.store.records[id]["titel"] == "Dr."


async def test_a_system_that_is_down_raises_keeps_the_hint_and_counts_no_attempt(tmp_path, redis_url):
    async with opened(crm_records=1, **tables_of(tmp_path, redis_url)) as office:
        (id,) = office.crm.store.records
        office.erp.control.rules.append(FaultRule("status", status=503, times=1000))
        with pytest.raises(Unavailable):
            await sync_event({"ids": [id]}, Step(), timeout_s=30, settings=office.settings)
        assert await waiting(tmp_path) == 1
        office.erp.control.rules.clear()
        await until_due()
        await sync_event({"ids": ["somebody-else"]}, Step(), timeout_s=30, settings=office.settings)
        assert len(office.erp.store.records) == 1, "whichever event comes next finds the hint"
        assert await waiting(tmp_path) == 0


async def until_due() -> None:
    await SystemClock().sleep(1.1)


async def test_a_call_ends_before_its_time_is_up_and_the_rest_waits(tmp_path, redis_url):
    async with opened(crm_records=2, **tables_of(tmp_path, redis_url)) as office:
        office.erp.control.rules.append(FaultRule("hold", method="GET", path="Url", seconds=30))
        with pytest.raises((TimeoutError, Unfinished, Unavailable)):
            await asyncio.wait_for(
                sync_event({"ids": list(office.crm.store.records)}, Step(), timeout_s=3, settings=office.settings), 3
            )
        assert await waiting(tmp_path) == 2


async def test_a_record_that_keeps_failing_is_parked_with_its_attempts_in_the_state(tmp_path, redis_url):
    async with opened(crm_records=1, **tables_of(tmp_path, redis_url)) as office:
        (id,) = office.crm.store.records
        rule = FaultRule("status", method="GET", path=f"CBeteiligte/{id}", status=500, body="x", times=1000)
        office.crm.control.rules.append(rule)
        step = Step()
        await sync_event({"ids": [id]}, step, timeout_s=30, settings=office.settings)
        assert step.logger.lines[-1][2]["states"] == {"retry": 1}
        store = await SqliteStore.open(tmp_path / "state.db", seal=WATCH.seal())
        link = (await store.load([Ref(Side.LEFT, id)]))[Ref(Side.LEFT, id)]
        assert link.attempts.count == 1
        await store.close()
        assert await waiting(tmp_path) == 1, "it is due again at its time, not at Motia's"


@pytest.mark.parametrize("wrong", [{"lock": {"url": "local://"}}, {"state": {"url": "sqlite:///:memory:"}}])
async def test_settings_that_forget_between_calls_are_refused(tmp_path, redis_url, wrong):
    settings = Settings.from_tables({**tables_of(tmp_path, redis_url), **wrong})
    with pytest.raises(Misconfigured):
        await sync_event({}, Step(), timeout_s=30, settings=settings)


async def test_two_events_of_one_record_at_once_make_one_party(tmp_path, redis_url):
    async with opened(crm_records=1, **tables_of(tmp_path, redis_url)) as office:
        event = {"ids": list(office.crm.store.records)}
        await asyncio.gather(*[sync_event(event, Step(), timeout_s=30, settings=office.settings) for _ in range(4)])
        assert len(office.erp.store.records) == 1


async def test_without_its_parent_a_step_reads_and_writes_no_more():
    parents = iter([1])

    class Nothing(Rehearsal):
        async def get(self, id: str) -> Snapshot:
            return Snapshot(id, {"family_name": "Beispielmann"})

    orphan = Attached(Nothing(None, "new"), parent=4711, parent_now=lambda: next(parents, 1))  # type: ignore[arg-type]
    seen = await orphan.get("1")
    for write in (lambda: orphan.create({}), lambda: orphan.update(seen, {}), lambda: orphan.delete(seen)):
        with pytest.raises(Unavailable) as caught:
            await write()
        assert caught.value.system == "step", "no record's failure"
    child = Attached(Nothing(None, "new"))  # type: ignore[arg-type]
    assert child.parent == os.getppid()
    await child.update(seen, {"title": "Dr."})


async def test_the_shadow_tells_what_the_library_would_do_and_writes_nothing(tmp_path, redis_url):
    async with opened(**tables_of(tmp_path, redis_url)) as office:
        same = {"lastName": "Gleich", "firstName": "Ada", "dateOfBirth": "1980-02-29"}
        equal = office.crm.store.create(**same, betnr=None)
        async with open_sync(office.settings) as sync:  # stands for the steps that do the work now
            await sync.sync(f"left:{equal}")
        (tmp_path / "state.db").unlink()
        new = office.crm.store.create(lastName="Neu", firstName="Bob", dateOfBirth="1970-01-01")
        office.forget_calls()
        redis = aioredis.Redis.from_url(redis_url)
        keys = await redis.dbsize()
        step, found = Step(), []
        told = await shadow_event(
            {"entity_id": equal}, step, timeout_s=30, settings=office.settings, report=found.append
        )
        assert (told, found) == (0, []), "in step: nothing to tell"
        office.crm.store.edit(equal, zusatz="nur hier")
        assert await shadow_event({"entity_ids": [equal, new]}, step, timeout_s=30, settings=office.settings) == 2
        edited, created = [args for _, message, args in step.logger.lines if message.startswith("shadow: the")]
        assert edited["updates"] == ["right"]
        assert [field["field"] for field in edited["fields"] if field["writes"]] == ["addition"]
        assert created["creates"] == ["right"]
        assert "nur hier" not in json.dumps(step.logger.lines)
        assert "Neu" not in json.dumps(step.logger.lines)
        assert await redis.dbsize() == keys
        await redis.aclose()
        assert not (tmp_path / "state.db").exists()
        writes = [call for call in office.calls() if not call.endswith(("GET", "search", "list"))]
        assert writes == []
        assert Office.writes(office) == 0


def test_what_the_standard_library_logs_reaches_the_step_s_logger():
    told = Told()
    with forwarded(told):
        logging.getLogger("any").info("an %s", "info")
        logging.getLogger("any").warning("careful")
        try:
            raise ValueError("geheim")
        except ValueError:
            logging.getLogger("any").exception("failed")
    logging.getLogger("any").info("after the block")
    assert told.lines == [
        ("info", "an info", {"logger": "any"}),
        ("warn", "careful", {"logger": "any"}),
        ("error", "failed", {"logger": "any", "error": "ValueError"}),
    ]


HEAVY = {
    "aiohttp",
    "asyncio",
    "redis",
    "cattrs",
    "cryptography",
    "stamina",
    "sqlite3",
    "bidisync.engine",
    "rich",
    "click",
}


@pytest.mark.parametrize(
    ("name", "may"),
    [("take_webhook", set()), ("tick", set()), ("shadow_event", HEAVY), ("sync_event", HEAVY)],
)
def test_a_step_imports_what_it_needs_and_no_more(name, may):
    code = f"import sys; from bidisync_espo_advo.motia import {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split()) & HEAVY
    assert loaded <= may
    assert not {"redis", "cryptography", "rich", "click"} & loaded, "these come with the first use, if at all"
