"""Whatever a remote answers, a client ends with a value or a declared error, and says nothing of what it read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import attrs
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from bidisync.errors import SyncError
from bidisync.mapping import Mapped
from bidisync.model import Notes, Side, Snapshot, Verb
from bidisync.state import Intent
from bidisync.testing import ManualClock, SeededChance
from bidisync_espo_advo.advoware import AdvowareReplica
from bidisync_espo_advo.advoware_session import AdvowareSession
from bidisync_espo_advo.connections import AdvowareConfig, EspoConfig
from bidisync_espo_advo.espocrm import EspoReplica
from bidisync_espo_advo.fields import PARTY, party_mapper
from bidisync_espo_advo.transport import Request, Response
from bidisync_espo_advo.wire import Wire

SECRET = "Geheimrat-Muster-4711"
names = st.sampled_from(
    ["id", "betNr", "BetNr", "rowId", "name", "lastName", "versionNumber", "modifiedAt", "geaendertAm", "deleted",
     "list", "total", "data", "value", "error", "user", "access_token", "betnr", "syncStatus",
     "geburtsdatum", "dateOfBirth"]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), st.just(SECRET),
    st.sampled_from(["2026-11-24 03:42:14", "2026-10-25T02:30:00", "0001-01-01T00:00:00", "17", "\ud800"]),
)  # fmt: skip
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6), max_leaves=15
)
bodies = st.one_of(
    documents.map(lambda document: json.dumps(document).encode()),
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"[{}]",
            b"{}",
            b"true",
            b"<html>Anmeldung</html>",
            b'{"list": [{}]}',
            b"[" * 200_000,
        ]
    ),
)
statuses = st.sampled_from(
    [200, 200, 200, 201, 204, 206, 302, 400, 401, 403, 404, 409, 413, 418, 422, 423, 429, 500, 503, 504]
)
headers = st.dictionaries(
    st.sampled_from(["x-status-reason", "retry-after", "location", "content-type"]),
    st.sampled_from(["", "duplicate", "modified", "No edit access.", "field: lastName, type: required", "0", "-5",
                     "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "http://x/7", "///", SECRET]),
    max_size=3,
)  # fmt: skip
responses = st.builds(Response, statuses, headers, bodies)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


@attrs.define
class Answering:
    """A transport that gives these answers, one after the other, again and again."""

    answers: list[Response]
    signed_in: bool
    sent: int = 0

    async def send(self, request: Request) -> Response:
        if self.signed_in and request.url.endswith("Token"):
            return Response(200, {}, b'{"access_token": "t", "expires_in": 3000}')
        self.sent += 1
        return self.answers[self.sent % len(self.answers)]

    async def close(self) -> None:
        """Nothing is held."""


def espocrm(answering: Answering) -> EspoReplica:
    clock = ManualClock()
    config = EspoConfig(url="http://crm.example", api_key="k")
    return EspoReplica(config, Wire("espocrm", answering, clock), clock, tuple(field.espocrm for field in PARTY))


def advoware(answering: Answering) -> AdvowareReplica:
    clock = ManualClock()
    config = AdvowareConfig(
        api_url="http://erp.example/", security_url="http://erp.example/", kanzlei="K", user="U", password="P",
        app_id="A", api_key="a2V5", database="D",
    )  # fmt: skip
    session = AdvowareSession(config, Wire("advoware", answering, clock), clock, SeededChance())
    return AdvowareReplica(config, session, clock)


async def everything(replica: EspoReplica | AdvowareReplica, system: str) -> AsyncIterator[object]:
    """Every call that there is, in the shared form too."""
    mapped = Mapped(replica, party_mapper(system))  # type: ignore[arg-type]
    seen = Snapshot("17", {"name": "x"}, version="1", native={"betNr": 17, "rowId": "1"})
    outer = Snapshot("17", {}, version="1", native=seen)
    notes = Notes(counterpart="17")
    intent = Intent(Verb.CREATE, Side.RIGHT, {"family_name": "x"}, 0.0, 1.0, watermark="5")
    calls = [
        lambda: replica.who_am_i(),
        lambda: mapped.get("17"),
        lambda: mapped.get_many(["17", "18"]),
        lambda: mapped.create({"family_name": "x"}, notes=notes),
        lambda: mapped.update(outer, {"family_name": "y"}, notes=notes),
        lambda: mapped.delete(outer),
        lambda: mapped.find_by_counterpart("17"),
        lambda: mapped.find_created(intent),
    ]
    for call in calls:
        try:
            yield await call()
        except SyncError as error:
            yield error
    try:
        async for page in mapped.list():
            yield page
            break
    except SyncError as error:
        yield error


@pytest.mark.parametrize(("system", "make"), [("espocrm", espocrm), ("advoware", advoware)])
@given(answers=st.lists(responses, min_size=1, max_size=4), signed_in=st.booleans())
async def test_any_answer_ends_in_a_value_or_a_declared_error(system, make, answers, signed_in):
    async for result in everything(make(Answering(answers, signed_in)), system):
        assert SECRET not in repr(result)
        if isinstance(result, SyncError):
            assert SECRET not in str(result)
