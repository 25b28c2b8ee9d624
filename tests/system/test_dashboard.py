"""The dashboard over HTTP: what it shows to whom, what a form may do, and what it never says."""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest

from bidisync.clock import SystemClock
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.running import Works, opened
from bidisync_espo_advo.serving import site_of
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.verifying import glance
from bidisync_espo_advo.web import Site, application, listening
from bidisync_espo_advo.web.patience import FREE, MOST_WAITING
from bidisync_espo_advo.web.pulse import Pulse
from office import Office
from office import opened as office_opened
from served import BEARER, TOKEN, until

NASTY = '<script>alert(1)</script>" onfocus="alert(2)'


@attrs.frozen
class Browser:
    """Somebody who is signed in, without a browser's engine."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, status: int = 200) -> str:
        async with self.session.get(self.url + path, headers={"Accept": "text/html"}) as response:
            assert response.status == status
            return await response.text()

    async def proof(self) -> str:
        (found,) = set(re.findall(r'name="csrf" value="([^"]+)"', await self.get("/")))
        return found

    async def send(self, path: str, **form: str) -> str:
        form = {"csrf": await self.proof(), "back": "/", **form}
        async with self.session.post(self.url + path, data=form) as response:
            assert response.status == 200
            return html.unescape(await response.text())

    async def card(self, path: str = "/conflicts") -> dict[str, str]:
        """The hidden fields of the first card."""
        page = await self.get(path)
        form = page[page.index('action="/settle"') :]
        return {name: re.search(rf'name="{name}" value="([^"]*)"', form)[1] for name in ("link", "seen")}


@attrs.frozen
class Desk:
    url: str
    office: Office
    works: Works
    site: Site
    app: Any

    @asynccontextmanager
    async def signed_in(self, **headers: str) -> AsyncIterator[Browser]:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, headers=headers) as session:
            async with session.post(self.url + "/login", data={"token": TOKEN}) as response:
                assert response.status == 200
            yield Browser(self.url, session)

    async def contest(self, place: int = 0, **fields: tuple[str, str]) -> str:
        """Both sides change these fields of a record; its id."""
        id = list(self.office.crm.store.records)[place]
        names = {"zusatz": "zusatz", "titel": "titel", "lastName": "name"}
        self.office.crm.store.edit(id, **{name: left for name, (left, _) in fields.items()})
        number = self.office.crm.store.records[id]["betnr"]
        self.office.erp.store.edit(number, **{names[name]: right for name, (_, right) in fields.items()})
        await self.works.sync.sync(f"left:{id}")
        return id


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with office_opened(crm_records=4) as office:
        tables = {**office.tables, "groups": {"stammdaten": {"strategy": "review"}}, "web": {"token": TOKEN}}
        pulse = Pulse(SystemClock().monotonic)
        async with opened(Settings.from_tables(tables), observers=(pulse,)) as works:
            await works.sync.sweep(everything=True)
            site = site_of(works, TOKEN, pulse)
            site.board.live.every_s = 0.05
            site.access.patience.slow_s = 0.05
            app = application(site)
            async with listening(app, "127.0.0.1", 0) as url:
                yield Desk(url, office, works, site, app)


async def test_a_form_without_the_proof_of_its_session_changes_nothing(desk):
    id = await desk.contest(zusatz=("links", "rechts"))
    actions = {route.resource.canonical for route in desk.app.router.routes() if route.method == "POST"}
    actions -= {"/login", "/webhooks/espocrm/{event}"}
    assert len(actions) == 8
    async with desk.signed_in() as browser, desk.signed_in() as other:
        good = {"csrf": await browser.proof(), **await browser.card()}
        desk.office.forget_calls()
        for path in sorted(actions):
            for form, headers in (
                ({}, {}),
                ({"csrf": "wrong"}, {}),
                ({"csrf": await other.proof()}, {}),
                (good, {"Origin": "https://evil.example"}),
                (good, {"Origin": "null"}),
                (good, {"Sec-Fetch-Site": "cross-site"}),
                (good, {"Content-Type": "text/plain"}),
            ):
                sent = {**good, "take": "left", "show": "1", "language": "de", **form}
                sent = form if "csrf" not in form else sent
                data = sent if "Content-Type" not in headers else "csrf=" + good["csrf"]
                async with browser.session.post(
                    desk.url + path, data=data, headers=headers, allow_redirects=False
                ) as answer:
                    assert answer.status == 403, (path, form, headers)
        assert desk.office.writes() == 0
        assert desk.office.pair(id)[1]["zusatz"] == "rechts"
        assert "Show values" in await browser.get("/"), "it is signed in as before, in English, and values are hidden"


async def test_a_conflict_is_settled_as_it_was_shown_or_not_at_all(desk):
    id = await desk.contest(zusatz=("Seitenflügel", "Gartenhaus"))
    async with desk.signed_in() as browser:
        card = await browser.card()
        desk.office.erp.store.edit(desk.office.pair(id)[0]["betnr"], zusatz="Dachboden")
        told = await browser.send("/settle", take="left", **card)
        assert "nothing was written" in told
        assert desk.office.pair(id)[1]["zusatz"] == "Dachboden", "nobody decided about that one"
        for wrong in ({"take": "left", **card}, {**await browser.card(), "take": "up"}):
            assert "nothing was written" in await browser.send("/settle", **wrong)
        told = await browser.send("/settle", take="right", **await browser.card())
        assert "Settled and written" in told
        assert [record["zusatz"] for record in desk.office.pair(id)] == ["Dachboden", "Dachboden"]
        assert "Nothing to decide" in await browser.get("/conflicts")
        timeline = html.unescape(await browser.get(f"/records/left/{id}"))
        assert "a person chose it" in timeline
        assert "dashboard: right" in timeline
        assert "not known" in (await browser.send("/settle", link="left:nobody", take="left")).lower()


async def test_a_message_waits_for_a_page_that_somebody_opens(desk):
    await desk.contest(zusatz=("a", "b"))
    async with desk.signed_in() as browser:
        form = {"csrf": await browser.proof(), "back": "/", "take": "left", **await browser.card()}
        async with browser.session.post(desk.url + "/settle", data=form, allow_redirects=False) as response:
            assert response.status == 303
        async with browser.session.get(desk.url + "/", headers={"X-Refresh": "1"}) as refreshed:
            assert "Settled and written" not in await refreshed.text(), "another open page does not take it"
        assert "Settled and written" in await browser.get("/conflicts")
        assert "Settled and written" not in await browser.get("/conflicts"), "and it is said once"


async def test_fields_of_one_conflict_are_settled_one_by_one(desk):
    id = await desk.contest(zusatz=("Hof", "Garten"), titel=("Dr.", "Prof."))
    async with desk.signed_in() as browser:
        card = await browser.card()
        assert "nothing was written" in await browser.send("/settle", take="fields", **card), "one has no answer"
        picks = {"pick.addition": "left", "pick.title": "right"}
        assert "Settled" in await browser.send("/settle", take="fields", **card, **picks)
        assert [(r["zusatz"], r["titel"]) for r in desk.office.pair(id)] == [("Hof", "Prof.")] * 2


async def test_values_are_masked_until_shown_on_purpose_and_always_escaped(desk):
    id = await desk.contest(zusatz=(NASTY, "Gartenhaus"), lastName=("Geheimnis", NASTY))
    name = desk.office.crm.store.records[id]["firstName"]
    pages = ("/", "/conflicts", "/dead", "/held", "/search", f"/records/left/{id}")
    async with desk.signed_in() as browser, desk.signed_in() as other:
        for path in pages:
            page = html.unescape(await browser.get(path))
            assert not [value for value in (NASTY, "alert", "Gartenhaus", "Geheimnis", name) if value in page]
        assert "‹A›" in html.unescape(await browser.get("/conflicts"))
        await browser.send("/values", show="1")
        for path in ("/conflicts", f"/records/left/{id}"):
            page = await browser.get(path)
            assert "Gartenhaus" in page
            assert html.escape(NASTY, quote=False) in page.replace("&#34;", '"')
            assert "<script>alert" not in page
            assert 'onfocus="' not in page
            assert "Gartenhaus" not in await other.get(path), "nobody else sees them"
        found = await browser.send("/search", q="geheimnis")
        assert f"/records/left/{id}" in found
        await browser.send("/values", show="0")
        assert "Gartenhaus" not in await browser.get("/conflicts")
    async with aiohttp.ClientSession(headers={**BEARER, "Accept": "text/html"}) as program:
        async with program.get(desk.url + "/conflicts") as response:
            assert response.status == 200
            assert "Gartenhaus" not in await response.text()
        async with program.get(desk.url + "/api/conflicts") as response:
            told = await response.text()
            assert (f"left:{id}" in told, "Gartenhaus" in told) == (True, False)
        async with program.post(desk.url + "/values", data={"show": "1"}) as response:
            assert response.status == 403


async def test_a_search_finds_by_name_and_number_and_leaves_no_trace_of_either(desk, caplog):
    caplog.set_level(logging.DEBUG)
    id = list(desk.office.crm.store.records)[1]
    desk.office.crm.store.edit(id, lastName="Müller-Lüdenscheidt", firstName="Wilhelmine")
    await desk.works.sync.sync(f"left:{id}")
    number = desk.office.pair(id)[0]["betnr"]
    async with desk.signed_in() as browser:
        for text in ("mueller luedenscheidt", "WILHELMINE", "Lüdenscheidt Wilh", id, str(number), f"right:{number}"):
            assert f"/records/left/{id}" in await browser.send("/search", q=text), text
        assert "Nothing was found" in await browser.send("/search", q="Niemand Nirgends")
        assert f"/records/left/{id}" not in await browser.get("/search?q=Wilhelmine"), "an address asks for nothing"
        found = await browser.send("/search", q="Wilhelmine")
        assert "Lüdenscheidt" not in found
        assert (await browser.get(f"/records/right/{number}")).count("<h3>") >= 2
        assert "Not known" in await browser.get("/records/left/nobody", status=404)
    assert "ilhelmine" not in caplog.text.replace("Wilh ", "")


async def test_wrong_tokens_are_answered_ever_more_slowly_and_the_right_one_at_once(desk):
    async def tried(token: str) -> int:
        url, data = desk.url + "/login", {"token": token}
        async with aiohttp.ClientSession() as session, session.post(url, data=data, allow_redirects=False) as one:
            return one.status

    assert [await tried(f"wrong{n}") for n in range(FREE)] == [401] * FREE
    assert await tried("one more") == 401, "told after a wait"
    patience = desk.site.access.patience
    patience.slow_s = 3600.0
    (peer,) = patience._peers.values()
    guesses = [asyncio.create_task(tried(f"guess{n}")) for n in range(MOST_WAITING)]
    await until(lambda: peer.waiting == MOST_WAITING, what="all of them wait")
    assert await tried("yet another") == 429
    assert await tried(TOKEN) == 303, "who has the token does not wait for those who guess from the same address"
    async with aiohttp.ClientSession(headers=BEARER) as program, program.get(desk.url + "/api/status") as answer:
        assert answer.status == 200
    assert not [guess for guess in guesses if guess.done()]
    async with desk.signed_in() as browser:
        assert "Sign out" in await browser.get("/"), "nor does a session"
    for guess in guesses:
        guess.cancel()
    await asyncio.gather(*guesses, return_exceptions=True)


async def event_of(stream: aiohttp.ClientResponse, name: str) -> str:
    """The data of the next event of that name."""
    async with asyncio.timeout(10):
        while await stream.content.readline() != f"event: {name}\n".encode():
            pass
        return (await stream.content.readline()).decode()


async def test_a_page_says_when_it_is_not_live_and_is_again_once_the_state_can_be_read(desk, caplog):
    async with desk.signed_in() as browser:
        assert 'data-stale="Not live' in await browser.get("/")
        async with browser.session.get(desk.url + "/api/live") as stream:
            await event_of(stream, "moved")
            desk.works.store._links["left:broken"] = None
            await event_of(stream, "stale")
            async with browser.session.get(desk.url + "/api/live") as later:
                await event_of(later, "stale")
            del desk.works.store._links["left:broken"]
            await event_of(stream, "moved")
            await desk.contest(zusatz=("a", "b"))
            while '"waiting": 1' not in await event_of(stream, "moved"):
                pass
    assert [record.message for record in caplog.records if "not live" in record.message] == [
        "open pages are not live: a look at the state failed: AttributeError"
    ], "once, not at every look"


async def test_an_open_page_is_told_at_once_that_something_moved_and_ends_with_its_session(desk):
    async with desk.signed_in() as browser:
        proof = await browser.proof()
        async with browser.session.get(desk.url + "/api/live") as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            assert "default-src 'self'" in stream.headers["Content-Security-Policy"]
            told = [await asyncio.wait_for(stream.content.readline(), 5) for _ in range(4)]
            assert b"event: moved\n" in told
            await stream.content.readline()
            await until(lambda: desk.site.board.live._stamp is not None, what="a first look at the state as it is")
            await desk.contest(zusatz=("a", "b"))
            assert await asyncio.wait_for(stream.content.readline(), 5) == b"event: moved\n"
            assert await stream.content.readline() == b'data: {"waiting": 1}\n'
            async with browser.session.post(desk.url + "/logout", data={"csrf": proof}) as response:
                assert response.status == 200
            await desk.contest(1, zusatz=("c", "d"))
            rest = await asyncio.wait_for(stream.content.read(), 5)
            assert rest.count(b"event") <= 1


async def test_what_can_not_be_reached_is_said_in_plain_words(desk):
    await desk.contest(zusatz=("a", "b"))
    async with desk.signed_in(**{"Accept-Language": "de"}) as browser:
        card = await browser.card()
        desk.office.erp.store.behave({"connector_offline": "503"})
        assert "Ein System antwortet nicht" in await browser.send("/settle", take="left", **card)


async def test_the_language_is_remembered_and_a_form_never_leads_elsewhere(desk):
    async with desk.signed_in() as browser:
        assert '<html lang="en">' in await browser.get("/")
        assert '<html lang="de">' in await browser.send("/language", language="de", back="/held")
        assert "Nichts ist angehalten" in await browser.get("/held")
        proof = await browser.proof()
        for back in ("//evil.example", "https://evil.example/", "/\\evil.example", "x", "/a\r\nSet-Cookie: b=c"):
            form = {"csrf": proof, "back": back, "language": "en"}
            async with browser.session.post(desk.url + "/language", data=form, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/")
    async with aiohttp.ClientSession() as stranger, stranger.get(desk.url + "/login?lang=de") as response:
        assert "Anmelden" in await response.text()
        assert response.cookies["espo_advo_language"].value == "de"


async def test_a_session_behind_a_proxy_with_tls_is_sent_over_tls_alone(desk):
    async with aiohttp.ClientSession() as session:
        headers = {"X-Forwarded-Proto": "https"}
        async with session.post(
            desk.url + "/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
        ) as one:
            cookie = one.cookies["espo_advo_session"]
            assert cookie["secure"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"


async def namesake(desk: Desk) -> str:
    """A new party in EspoCRM of whom only the name is known in Advoware as well; its id."""
    first = next(iter(desk.office.crm.store.records.values()))
    store = desk.office.crm.store
    id = store.create(lastName=first["lastName"], firstName=first["firstName"])
    await desk.works.sync.sync(f"left:{id}")
    return str(id)


async def test_a_namesake_is_kept_apart_by_a_button_as_long_as_what_was_shown_still_waits(desk):
    id = await namesake(desk)
    async with desk.signed_in() as browser:
        page = await browser.get("/conflicts")
        assert f"<code>espo-advo sync left:{id}</code>" in page, "what to run where they are the same"
        assert "enter Advoware&#39;s number as betnr" in page
        form = page[page.index('action="/unlink"') :]
        card = {name: re.search(rf'name="{name}" value="([^"]*)"', form)[1] for name in ("link", "seen")}
        assert "Keep this one for itself" in form
        desk.office.forget_calls()
        assert "It moved meanwhile" in await browser.send("/unlink", **{**card, "seen": "another"})
        assert len(await desk.works.store.waiting()) == 1
        told = await browser.send("/unlink", **card)
        assert f"espo-advo unlink left:{id} --take-back" in told
        assert "Nothing to decide" in await browser.get("/conflicts")
        assert "It moved meanwhile" in await browser.send("/unlink", **card)
    await desk.works.sync.sweep(everything=True)
    assert desk.office.writes() == 0
    assert (await desk.works.store.waiting()) == []


async def test_only_a_card_about_a_whole_record_offers_to_keep_it_apart(desk):
    await desk.contest(zusatz=("a", "b"))
    async with desk.signed_in() as browser:
        assert 'action="/unlink"' not in await browser.get("/conflicts")
        assert "It moved meanwhile" in await browser.send("/unlink", **await browser.card())
    assert len(await desk.works.store.waiting()) == 1


async def test_the_overview_says_whether_the_decision_log_is_as_it_was_written(desk):
    await desk.contest(zusatz=("a", "b"))
    async with desk.signed_in() as browser:
        assert "not looked at yet" in await browser.get("/")
        desk.works.log = await glance(MemoryStore(), party_policy(desk.works.settings), 0.0)
        page = await browser.get("/")
        assert "nothing decided yet" in page
        assert "0 lines" not in page
        await desk.works.look_at_log()
        page = await browser.get("/")
        assert "as it was written" in page
        assert "all 5 lines." in page
        journal = desk.works.store._journal
        journal[1] = attrs.evolve(journal[1], reason="as somebody would like it")
        await desk.works.look_at_log()
        page = await browser.get("/")
        assert "not as it was written" in page
        assert "<code>espo-advo history --verify</code>" in page
        async with browser.session.get(desk.url + "/api/status") as answer:
            told = (await answer.json())["log"]
    assert (told["holds"], told["whole"], told["lines"], told["broken"]) == (False, True, 5, 1)
