"""People are told in EspoCRM and by apprise, over real HTTP; and `sync` does it at its end."""

from __future__ import annotations

import json

import attrs
import pytest
from aiohttp import web

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured, Unavailable
from bidisync.model import Ref, Review, ReviewKind, Side
from bidisync.notices import Notice, NoticeKind, Waiting
from bidisync.state import Link
from bidisync_espo_advo import Settings
from bidisync_espo_advo.app import Remotes, open_sync
from bidisync_espo_advo.commands import sync_command
from bidisync_espo_advo.notifying import ByApprise, EspoPosts, advice, body, subject
from bidisync_espo_advo.report import Report
from office import opened

NOTICE = Notice(NoticeKind.DEAD, (Waiting("left:a", "rejected", 0.0),), "espo-advo retry --all")


class Inbox:
    """An HTTP server that takes messages, or refuses them."""

    def __init__(self):
        self.messages, self.status = [], 200

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _take(self, request):
        self.messages.append(await request.json())
        return web.Response(status=self.status)

    @property
    def url(self):
        return f"json://user:canary-password@127.0.0.1:{self.port}/inbox"


async def test_apprise_carries_a_notice_to_its_address():
    async with Inbox() as inbox:
        await ByApprise.open(inbox.url).notify(NOTICE)
        (message,) = inbox.messages
    assert message["title"] == "bidisync: 1 records were given up · 1 Datensätze wurden aufgegeben"
    assert "left:a" in message["message"]
    assert "espo-advo retry --all" in message["message"]


async def test_an_address_that_refuses_is_an_error_without_its_password(caplog):
    caplog.set_level("DEBUG")
    async with Inbox() as inbox:
        inbox.status = 500
        with pytest.raises(Unavailable) as caught:
            await ByApprise.open(inbox.url).notify(NOTICE)
    assert "canary" not in str(caught.value) + caplog.text


def test_an_address_that_nobody_knows_is_named_by_its_place():
    with pytest.raises(Misconfigured) as caught:
        ByApprise.open("canary-nonsense", "notify.urls[2]")
    assert str(caught.value) == "notify.urls[2] is no address that apprise knows"


def test_a_message_names_twenty_things_and_counts_the_rest():
    items = tuple(Waiting(f"left:{n}", "rejected") for n in range(50))
    text = body(Notice(NoticeKind.REVIEW, items))
    assert "left:19" in text
    assert "left:20" not in text
    assert "and 30 more" in text
    assert subject(Notice(NoticeKind.REVIEW, items)).startswith("bidisync: 50 ")


def test_what_is_held_names_the_command_that_lets_it_go():
    link = attrs.evolve(
        Link.begin(Ref(Side.LEFT, "a")), reviews=(Review(ReviewKind.HELD, "mass_delete", plan="0123abcd"),)
    )
    assert advice(NoticeKind.HELD, [link]) == "espo-advo approve 0123abcd (1 records, mass_delete)"


async def posted(office, assigned):
    """A notice about two parties, of whom the first has somebody in charge."""
    ids = sorted(office.crm.store.records)
    office.crm.store.edit(ids[0], assignedUserId=assigned)
    items = tuple(Waiting(f"left:{id}", "conflict", 0.0, (Ref(Side.LEFT, id),)) for id in ids)
    remotes = Remotes.of(office.settings, SystemClock(), SystemChance())
    try:
        await EspoPosts(remotes.espocrm, "CBeteiligte").notify(Notice(NoticeKind.REVIEW, items, "look"))
    finally:
        await remotes.close()
    return ids


async def test_the_assigned_user_is_notified_of_their_records_alone():
    async with opened(crm_records=2, crm_switches={"message_permission": "all"}) as office:
        user = office.crm.store.users["admin"].id
        ids = await posted(office, user)
        (post,) = office.crm.store.notes.posts
        assert office.crm.store.notes.notified == {user: [post["id"]]}
        assert ids[0] in post["post"]
        assert ids[1] not in post["post"]
        assert "1 records wait" in post["post"]


async def test_without_the_message_permission_the_post_goes_to_the_records_stream():
    async with opened(crm_records=2) as office:
        ids = await posted(office, office.crm.store.users["admin"].id)
        (post,) = office.crm.store.notes.posts
        assert (post["parentType"], post["parentId"]) == ("CBeteiligte", ids[0])


async def test_a_record_that_nobody_is_in_charge_of_is_left_to_the_other_channels():
    async with opened(crm_records=2) as office:
        await posted(office, None)
        assert office.crm.store.notes.posts == []


async def test_sync_tells_what_waits_once_and_the_posts_change_no_record(tmp_path, capsys):
    async with Inbox() as inbox:
        notify = {"urls": [inbox.url], "espocrm": True}
        state = {"url": f"sqlite:///{tmp_path}/state.db"}
        groups = {"stammdaten": {"strategy": "review"}}
        switches = {"message_permission": "all"}
        async with opened(crm_records=2, crm_switches=switches, notify=notify, state=state, groups=groups) as office:
            assert await synced(office.settings) == 0
            assert inbox.messages == []
            ids = sorted(office.crm.store.records)
            office.crm.store.edit(ids[0], zusatz="one", assignedUserId=office.crm.store.users["admin"].id)
            office.erp.store.edit(office.crm.store.records[ids[0]]["betnr"], zusatz="other")
            assert await synced(office.settings) == 1
            assert await synced(office.settings) == 1
            (message,) = inbox.messages
            assert "1 conflict" in message["message"] or "why: 1 " in message["message"]
            assert len(office.crm.store.notes.posts) == 1
            for text in (json.dumps(message), json.dumps(office.crm.store.notes.posts), capsys.readouterr().out):
                assert office.crm.store.records[ids[0]]["lastName"] not in text
            office.forget_calls()
            async with open_sync(office.settings) as sync:
                await sync.sweep()
            assert office.writes() == 0


async def test_sync_tells_of_a_system_that_is_down_and_fails_as_ever(tmp_path):
    async with Inbox() as inbox:
        notify = {"urls": [inbox.url], "down_after_s": 0.0}
        state = {"url": f"sqlite:///{tmp_path}/state.db"}
        async with opened(crm_records=1, notify=notify, state=state) as office:
            await office.erp.stop()
            with pytest.raises(Unavailable):
                await synced(office.settings)
    (message,) = inbox.messages
    assert "advoware" in message["message"]
    assert "espo-advo check" in message["message"]


async def synced(settings: Settings) -> int:
    return await sync_command(
        settings, ids=(), everything=False, side=None, dry_run=False, rounds=1, report=Report(True)
    )
