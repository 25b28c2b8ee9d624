"""Nothing of a person and no secret gets out: a noisy day in an office, and everything that it left behind."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import logging
import sqlite3
import unicodedata
import urllib.parse
from contextlib import closing

import aiohttp
import pytest

from bidisync.stores.seal import AesSeal, Plain
from bidisync.stores.sqlite import SqliteStore
from bidisync_espo_advo import operating
from bidisync_espo_advo.simulators.server import FaultRule
from command import within as run
from leaks import files, leaks, values_of
from office import opened
from served import BEARER, TOKEN, begun, drained, free_port, hooked, running, until, write_config
from watch import Watch

KEY = "Schlüssel-der-nirgends-stehen-darf"
NAME = "Kanarienvögel-Ößling"
REVIEW = {"groups.stammdaten": {"strategy": "review"}, "sync": {"poll_interval_s": 3600.0}}

SPELT = {
    "plain": lambda text: text.encode(),
    "upper case": lambda text: text.upper().encode(),
    "lower case": lambda text: text.lower().encode(),
    "decomposed": lambda text: unicodedata.normalize("NFD", text).encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "Latin-1": lambda text: text.encode("latin-1"),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "hex of UTF-16": lambda text: text.encode("utf-16-le").hex().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 at one": lambda text: base64.b64encode(f"x{text}".encode()),
    "base64 at two": lambda text: base64.b64encode(f"xx{text}yy".encode()),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(f"?>{text}".encode()),
    "base64 of decomposed UTF-16": lambda text: base64.b64encode(unicodedata.normalize("NFD", text).encode("utf-16")),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})).encode(),
    "an address": lambda text: urllib.parse.quote(text).encode(),
    "an address, in small letters": lambda text: urllib.parse.quote(text).lower().encode(),
    "a form": lambda text: urllib.parse.urlencode({"a": text}).encode(),
    "HTML": lambda text: html.escape(f"<{text}>").encode(),
    "repr": lambda text: repr({"a": text}).encode(),
    "repr of bytes": lambda text: repr(text.encode()).encode(),
    "ascii": lambda text: ascii(text).encode(),
    "backwards": lambda text: text[::-1].encode(),
}


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("text", [NAME, "1911-02-17", "geheim+/= 'x'"])
def test_every_spelling_of_a_text_that_was_planted_is_found(spelt, text):
    blob = b"\x00\xff noise " + SPELT[spelt](text) + b" noise \x00"
    assert leaks([text], {"place": blob})
    assert not leaks(["Gartenzwerg-Äöü", "1912-02-17"], {"place": blob})


def test_what_a_test_says_is_searched_for_what_its_people_are_called():
    watch = Watch()
    watch.on = True
    watch.keep([{"lastName": NAME, "firstName": "Zipfelmütze"}], {"espocrm": {"api_key": KEY}})
    watch.hear("stderr", "all is well")
    assert watch.leaked() == []
    try:
        raise ValueError(KEY)
    except ValueError:
        logger = logging.Logger("quiet")
        logger.addHandler(watch)
        logger.exception("it failed", extra={"who": NAME.upper()})
    assert [text.partition(" as ")[0] for text in watch.leaked()] == [
        f"the log quiet (log lines): {NAME!r}",
        f"the log quiet (log lines): {KEY!r}",
    ]
    watch.clear()
    assert watch.leaked() == []


async def test_every_file_is_searched_that_a_test_leaves_but_what_it_was_given_and_states_in_the_clear(tmp_path):
    watch = Watch()
    watch.on = True
    watch.keep([{"lastName": NAME}], {})
    for name, seal in (("sealed.db", AesSeal.of(KEY)), ("plain.db", Plain())):
        store = await SqliteStore.open(tmp_path / name, seal=seal)
        await store.set_mark("somebody", NAME)
        await store.close()
    (tmp_path / "espo-advo.toml").write_text(NAME)
    (tmp_path / "core").write_bytes(b"nothing of anybody")
    watch.files(tmp_path)
    assert watch.leaked() == []
    assert sorted(who.partition(" ")[0] for _, who in watch.said) == ["core", "sealed.db"]
    assert len(watch.plain) == 1, "that it is in the clear is counted"
    watch.clear()
    watch.keep([{"lastName": NAME}], {})
    with closing(sqlite3.connect(tmp_path / "sealed.db")) as careless:
        careless.execute("CREATE TABLE scratch AS SELECT ? AS name", (NAME,))
        careless.commit()
    (tmp_path / "core").write_text(f"Traceback: {NAME!a}")
    watch.files(tmp_path)
    assert sorted(hit.partition(" ")[0].rstrip(":") for hit in watch.leaked()) == ["core", "sealed.db"]


def peopled(office):
    """Give everybody a name, a birthday and more that nobody else has."""
    for n, id in enumerate(office.crm.store.records):
        office.crm.store.edit(
            id,
            lastName=f"{NAME}{n}",
            firstName=f"Zipfelmütze{n}",
            zusatz=f"Gartenhäuschen {n} hinten",
            briefanrede=f"Verehrter Vogel Nr. {n}",
            dateOfBirth=f"19{11 + n}-02-17",
        )


async def noise(office, served, hooks):
    """Conflicts, refusals, failures, forged and broken webhooks, and people who guess the token."""
    crm, erp = office.crm.store, office.erp.store
    ids = list(crm.records)
    for id in ids[:3]:
        crm.edit(id, zusatz=f"Streitwert links {id[-4:]}")
        erp.edit(crm.records[id]["betnr"], zusatz=f"Streitwert rechts {id[-4:]}")
    told = json.dumps({"messages": [f"{NAME} ist abgelehnt", crm.records[ids[3]]["firstName"]]})
    rules = office.erp.control.rules
    rules.append(FaultRule("status", method="PUT", status=400, body=told, times=1))
    rules.append(FaultRule("status", method="PUT", status=500, body=told, times=2, skip=1))
    rules.append(FaultRule("drop", method="PUT", when="after", times=1))
    office.crm.control.rules.append(FaultRule("status", method="PUT", status=403, body=told, times=1))
    office.crm.control.rules.append(FaultRule("status", method="GET", status=200, body=told[:-9], times=1))
    for id in ids[3:7]:
        crm.edit(id, lastName=f"Umbenannter-Ößling {id[-4:]}")
    while await office.crm.send_webhooks():
        await drained(served)
    pages = {}
    hook = next(iter(hooks))
    body = json.dumps([{"id": ids[0], "lastName": NAME}]).encode()
    forged = {"Signature": base64.b64encode(f"{hook}:{KEY}".encode()).decode()}
    async with aiohttp.ClientSession() as session:
        for method, path, more in (
            ("POST", "/webhooks/espocrm/update", {"data": body, "headers": forged}),
            ("POST", f"/webhooks/espocrm/{urllib.parse.quote(NAME)}", {"data": body}),
            ("POST", "/login", {"data": {"token": KEY}}),
            ("GET", f"/api/status?q={urllib.parse.quote(NAME)}", {}),
            ("GET", f"/{urllib.parse.quote(NAME)}", {"headers": BEARER}),
            ("GET", "/", {}),
            ("GET", "/", {"headers": BEARER}),
            ("GET", "/login", {}),
            ("GET", "/api/status", {"headers": BEARER}),
            ("GET", "/metrics", {"headers": BEARER}),
            ("GET", "/readyz", {"headers": BEARER}),
            ("GET", "/healthz", {}),
        ):
            async with session.request(method, served.url + path, **more) as answer:
                pages[f"{method} {path[:12]} {len(pages)}"] = await answer.read()
    return pages


async def commands(folder, monkeypatch, names):
    """What every command prints to somebody who does not ask for values, a defect included."""
    told = {}
    for arguments in (
        ("status",),
        ("conflicts",),
        ("history",),
        ("report", "--from", "2020-01-01"),
        ("plan", "--all", "-o", str(folder / "plan.json")),
        ("check",),
        ("forget", names[-1], "--yes"),
        ("sync", "--all"),
        *(("explain", name) for name in names[:3]),
    ):
        for form in ((), ("--json",)):
            ended = await run(*form, *arguments, cwd=folder)
            told[" ".join((*form, *arguments))] = f"{ended.out}{ended.err}".encode()
    with monkeypatch.context() as patch:

        async def broken(_store):
            raise RuntimeError(f"{NAME} {KEY}")

        patch.setattr(operating, "standing", broken)
        crashed = await run("--json", "status", cwd=folder)
    assert (crashed.status, "this is a defect" in crashed.err) == (1, True)
    told["crash"] = f"{crashed.out}{crashed.err}".encode()
    return told


async def test_a_noisy_day_leaves_neither_a_value_nor_a_secret_anywhere(tmp_path, monkeypatch):
    port = free_port()
    async with opened(crm_records=9, erp_records=2, crm_switches={"webhook.interval_s": "3600"}) as office:
        peopled(office)
        hooks = hooked(office, port)
        write_config(tmp_path, office, **REVIEW, espocrm={"webhooks": hooks}, state={"encryption_key": KEY})
        values = values_of(office.crm.store.records.values())
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await until(lambda: len(office.erp.store.records) == 11, what="the first contact")
            await begun(served)
            pages = await noise(office, served, hooks)
            names = [f"left:{id}" for id in office.crm.store.records]
            told = await commands(tmp_path, monkeypatch, names)
            office.crm.store.edit(names[3].removeprefix("left:"), zusatz="Letzte Worte vor dem Ende")
            await office.crm.send_webhooks()
            with contextlib.suppress(ProcessLookupError):
                served.kill()
            await served.process.wait()
        logs = "".join(served.told).encode()
        values |= values_of(office.crm.store.records.values()) | values_of(office.erp.store.records.values())
        tables = office.tables
    secrets = [KEY, TOKEN, NAME, *hooks.values()]
    secrets += [str(tables[system].get(key, "")) for system in ("espocrm", "advoware") for key in SECRET]
    left = files(tmp_path, "espo-advo.toml")
    assert {"state.db", "state.db-wal", "plan.json"} <= left.keys(), "killed in the middle, so its log is there"
    assert len(values) > 40
    assert logs.count(b"\n") > 5
    assert b"bidisync_failures_total" in b"".join(pages.values())
    places = {"logs": logs, **pages, **told, **left}
    assert leaks([*values, *secrets], places) == []
    shown = await run("history", "--show-values", cwd=tmp_path)
    assert len(leaks(values, {"history": shown.out.encode()})) > 5, "what is looked for would be found"
    planted = {"logs": logs + base64.b64encode(f"x{NAME}".encode())}
    assert len(leaks([*values, *secrets], planted)) == 1


SECRET = ("api_key", "secret_key", "password", "app_id")
