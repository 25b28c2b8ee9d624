"""The command with its state in PostgreSQL, encrypted: rehearsed, written, checked, and shared by two processes."""

from __future__ import annotations

import asyncio

import psycopg

from command import configure, run
from office import opened

KEY = "a long and random text, or nearly"


async def test_a_state_in_postgres_is_rehearsed_without_a_trace_then_made_shared_and_checked(tmp_path, postgres_url):
    url = postgres_url()
    async with opened(crm_records=6, erp_records=6, state={"url": url, "encryption_key": KEY}) as office:
        configure(tmp_path, office.tables)
        checked = await run("check", "--json", cwd=tmp_path)
        assert (checked.status, checked.json["state"]["works"]) == (0, True)
        assert "no state yet" in checked.json["state"]["says"]
        dry = await run("sync", "--all", "--dry-run", "--json", cwd=tmp_path)
        assert dry.status in (0, 1), dry.err
        assert office.writes() == 0
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('link')").fetchone() == (None,)
        both = await asyncio.gather(*(run("sync", "--all", "--json", cwd=tmp_path) for _ in range(2)))
        assert all(ended.status in (0, 1) for ended in both), [ended.err for ended in both]
        again = await run("sync", "--all", "--json", cwd=tmp_path)
        assert again.status == 0, again.err
        before = office.writes()
        with psycopg.connect(url) as connection:
            revisions = connection.execute("SELECT sum(revision), count(*) FROM link").fetchone()
        dry = await run("sync", "--all", "--dry-run", "--json", cwd=tmp_path)
        assert (dry.status, office.writes()) == (0, before)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT sum(revision), count(*) FROM link").fetchone() == revisions
        assert revisions is not None
        assert revisions[1] == 12, "nobody was doubled"
        checked = await run("check", "--json", cwd=tmp_path)
        assert checked.json["state"]["says"] == "12 links, encrypted"


async def test_a_wrong_password_and_a_wrong_key_end_with_2_a_server_that_is_away_with_3_and_no_secret_is_told(
    tmp_path, postgres_url
):
    url = postgres_url()
    right = {"url": url, "encryption_key": KEY}
    wrong = [
        ({**right, "url": "postgresql://u:geheim@127.0.0.1:1/x"}, 3, "127.0.0.1:1/x"),
        ({**right, "encryption_key": "geheim"}, 2, "encryption_key"),
        ({"url": url}, 2, "encryption_key"),
    ]
    if "p%40ss-geheim" in url:  # our own server
        wrong.append(({**right, "url": url.replace("p%40ss-geheim", "geheim")}, 2, "password"))
    async with opened(crm_records=1, erp_records=1, state=right) as office:
        configure(tmp_path, office.tables)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        for state, status, words in wrong:
            configure(tmp_path, {**office.tables, "state": state})
            for ended in await asyncio.gather(*(run(command, "--json", cwd=tmp_path) for command in ("sync", "check"))):
                assert (ended.status, words in ended.out + ended.err) == (status, True), ended.out + ended.err
                assert "geheim" not in ended.out + ended.err
                assert "Traceback" not in ended.err
