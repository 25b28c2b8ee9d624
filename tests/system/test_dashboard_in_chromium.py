"""A Monday morning at the dashboard, in a real browser, against ``espo-advo serve`` and both simulators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, expect

from bidisync_espo_advo.simulators.server import FaultRule
from chromium import Watched, chromium
from office import Office, opened
from served import TOKEN, begun, free_port, hooked, running, until, write_config

RECORDS = 24
PATIENCE_MS = 30_000
SETTINGS = {
    "sync": {"poll_interval_s": 1.0, "inventory_interval_s": 3.0, "max_attempts": 1, "delete": "propagate"},
    "groups.stammdaten": {"strategy": "review"},
}


async def test_a_morning_at_the_dashboard(tmp_path: Path) -> None:
    port = free_port()
    async with chromium() as browser, opened(crm_records=RECORDS, crm_switches={"webhook.interval_s": "1"}) as office:
        webhooks = {"webhooks": hooked(office, port, skip_own=True)}
        write_config(tmp_path, office, **SETTINGS, espocrm=webhooks)
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            watched = Watched(urlsplit(served.url).netloc)
            await until(lambda: len(office.erp.store.records) == RECORDS, what="the first contact")
            await begun(served)
            await asyncio.wait_for(_morning(browser, served.url, office, watched), 240)
            code, took = await served.stop()
            assert (code, took < 10) == (0, True), "an open page does not keep it from stopping"
    assert watched.wrong == []


async def _morning(browser: Browser, url: str, office: Office, watched: Watched) -> None:
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="de-DE")
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = await context.new_page()
    watched.watch(page)
    await _sign_in(page, url, watched)
    await _settle_by_keyboard(page, url, office, watched)
    await _retry(page, url, office, watched)
    await _approve(page, url, office, watched)
    await _find(page, url, office, watched)
    await _on_a_phone(browser, url, watched, await context.storage_state())
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    await context.close()


async def _sign_in(page: Page, url: str, watched: Watched) -> None:
    await page.goto(url + "/login")
    await watched.look(page, "01-login")
    await page.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alles ruhig: Nichts wartet auf eine Entscheidung.")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await watched.look(page, "02-overview")


async def _settle_by_keyboard(page: Page, url: str, office: Office, watched: Watched) -> None:
    """Two conflicts appear while the page is open, and are settled without a mouse."""
    await page.goto(url + "/conflicts")
    await expect(page.get_by_text("Nichts zu entscheiden.")).to_be_visible()
    ids = list(office.crm.store.records)[:2]
    for id in ids:
        office.crm.store.edit(id, zusatz="c/o Seitenflügel")
        office.erp.store.edit(office.crm.store.records[id]["betnr"], zusatz="c/o Gartenhaus")
    await expect(page.locator("[data-card]")).to_have_count(2)
    assert not await page.get_by_text("Gartenhaus").count(), "values are masked"
    await page.keyboard.press("v")
    await expect(page.get_by_text("Gartenhaus")).to_have_count(2)
    await watched.look(page, "04-conflicts")
    await page.set_viewport_size({"width": 360, "height": 740})
    await watched.look(page, "04-conflicts-phone")
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.keyboard.press("j")
    second = await page.locator("[data-card].chosen input[name=link]").get_attribute("value")
    await expect(page.locator("[data-card]").nth(1)).to_be_focused()
    await expect(page.locator("html[data-keys=awake]")).to_be_attached()
    await page.keyboard.press("1")
    await page.keyboard.press("1")
    await expect(page.locator("[data-card]")).to_have_count(1)
    await expect(page.get_by_role("status").filter(has_text="Entschieden und geschrieben")).to_be_visible()
    await expect(page.locator("html[data-keys=awake]")).to_be_attached()
    await page.keyboard.press("2")
    await expect(page.get_by_text("Nichts zu entscheiden.")).to_be_visible()
    for id in ids:
        taken = "c/o Seitenflügel" if second == f"left:{id}" else "c/o Gartenhaus"
        assert [record["zusatz"] for record in office.pair(id)] == [taken, taken], "on both sides"
    await page.keyboard.press("v")
    await expect(page.get_by_role("button", name="Werte zeigen")).to_be_visible()


async def _retry(page: Page, url: str, office: Office, watched: Watched) -> None:
    """A record was given up; once its cause is gone it is tried again, and arrives."""
    id = list(office.crm.store.records)[2]
    number = office.pair(id)[0]["betnr"]
    office.erp.control.rules.append(FaultRule("status", "GET", rf"/Beteiligte/{number}$", status=500, times=10_000))
    await page.goto(url + "/dead")
    office.crm.store.edit(id, zusatz="kommt doch noch an")
    await expect(page.get_by_text("Ein System antwortete nicht oder mit einem eigenen Fehler.")).to_be_visible()
    await watched.look(page, "05-given-up")
    office.erp.control.rules.clear()
    await page.get_by_role("button", name="Noch einmal versuchen").click()
    await until(lambda: office.pair(id)[1]["zusatz"] == "kommt doch noch an", what="the retried record")
    await expect(page.get_by_text("Nichts wurde aufgegeben.")).to_be_visible()


async def _approve(page: Page, url: str, office: Office, watched: Watched) -> None:
    """Eight parties vanish from Advoware: nothing follows until somebody has looked and said so."""
    ids = list(office.crm.store.records)[10:18]
    for id in ids:
        office.erp.store.delete(office.crm.store.records[id]["betnr"])
    await page.goto(url + "/held")
    await expect(page.get_by_role("button", name="8 Datensätze freigeben")).to_be_visible()
    await watched.look(page, "06-held-back")
    assert len(office.crm.store.records) == RECORDS, "nothing was deleted unasked"
    await page.get_by_label("Ich habe es angesehen und will genau dies.").check()
    await page.get_by_role("button", name="8 Datensätze freigeben").click()
    await until(lambda: len(office.crm.store.records) == RECORDS - 8, what="the approved deletions")
    assert not set(ids) & set(office.crm.store.records)
    await expect(page.get_by_text("Nichts ist angehalten.")).to_be_visible()


async def _find(page: Page, url: str, office: Office, watched: Watched) -> None:
    """A record is found by its name, and tells what happened to it."""
    id = next(iter(office.crm.store.records))
    record = office.crm.store.records[id]
    await page.keyboard.press("/")
    await page.get_by_label("Name, Nummer oder ID").fill(f"{record['lastName']} {record['firstName']}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=2)).to_contain_text("Datens")
    assert page.url == url + "/search", "a name stands in no address"
    await watched.look(page, "07-search")
    await page.locator(f'a[href="/records/left/{id}"]').click()
    entries = page.locator(".timeline > li h3")
    await expect(entries.last).to_have_text("Auf der anderen Seite angelegt")
    assert "Einem Menschen überlassen" in await entries.all_inner_texts()
    await expect(page.get_by_text("ein Mensch hat es gewählt")).to_be_visible()
    await page.get_by_role("button", name="Werte zeigen").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(record["lastName"])
    await watched.look(page, "08-record")


async def _on_a_phone(browser: Browser, url: str, watched: Watched, signed_in: object) -> None:
    """The same pages on a small screen, in English, by day and in the dark."""
    for name, scheme, paths in (("phone", "light", ("/", "/search")), ("phone-dark", "dark", ("/",))):
        context = await browser.new_context(
            viewport={"width": 360, "height": 740},
            locale="en-GB",
            color_scheme=scheme,
            has_touch=True,
            storage_state=signed_in,
        )
        page = await context.new_page()
        watched.watch(page)
        for path in paths:
            await page.goto(url + path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await watched.look(page, f"09-{name}-{path.strip('/') or 'overview'}")
        await context.close()
