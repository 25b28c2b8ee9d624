"""A certificate that nobody vouches for ends the connection before a credential is sent."""

from __future__ import annotations

import ssl
import subprocess

import pytest
from aiohttp import web

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import SyncError, Unavailable
from bidisync_espo_advo import Settings
from bidisync_espo_advo.app import Remotes


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
async def test_a_certificate_of_one_s_own_making_is_refused(tmp_path, name):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://localhost:{runner.addresses[0][1]}/"
    advoware = {"api_url": url, "security_url": url, "kanzlei": "k", "app_id": "a", "api_key": "a2V5", "timeout_s": 1.0}
    settings = Settings.from_tables({"espocrm": {"url": url, "api_key": "k", "timeout_s": 1.0}, "advoware": advoware})
    remotes = Remotes.of(settings, SystemClock(), SystemChance())
    try:
        for call in (remotes.espocrm.who_am_i, remotes.advoware.who_am_i):
            with pytest.raises(SyncError) as caught:
                await call()
            assert isinstance(caught.value, Unavailable)
            assert "its TLS certificate is refused" in str(caught.value)
        assert not seen
    finally:
        await remotes.close()
        await runner.cleanup()
