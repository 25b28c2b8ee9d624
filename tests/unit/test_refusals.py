"""Whose fault a refusal is: every status, to a write, a read by id and a list, from both systems."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina
from test_hostile_replies import Answering, advoware, espocrm

from bidisync.errors import Rejected, Stale, SyncError, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import Snapshot
from bidisync_espo_advo.transport import Response

SEEN = Snapshot("17", {"name": "x"}, version="1", native={"betNr": 17, "rowId": "1"})
SYSTEM, RECORD = "the system", "this record"

TABLE = {  # status: what follows of it for a write, a read by id, and a list
    400: (Rejected, Rejected, SYSTEM),
    402: (RECORD, RECORD, SYSTEM),
    405: (RECORD, RECORD, SYSTEM),
    406: (RECORD, RECORD, SYSTEM),
    407: (SYSTEM, SYSTEM, SYSTEM),
    408: (Unconfirmed, SYSTEM, SYSTEM),
    411: (Rejected, Rejected, SYSTEM),
    412: (Stale, Stale, SYSTEM),
    413: (Rejected, Rejected, SYSTEM),
    414: (Rejected, Rejected, SYSTEM),
    415: (Rejected, Rejected, SYSTEM),
    418: (RECORD, RECORD, SYSTEM),
    421: (SYSTEM, SYSTEM, SYSTEM),
    422: (Rejected, Rejected, SYSTEM),
    425: (RECORD, RECORD, SYSTEM),
    426: (SYSTEM, SYSTEM, SYSTEM),
    428: (SYSTEM, SYSTEM, SYSTEM),
    431: (SYSTEM, SYSTEM, SYSTEM),
    451: (RECORD, RECORD, SYSTEM),
    499: (RECORD, RECORD, SYSTEM),
    500: (Unconfirmed, RECORD, RECORD),  # a list that fails at one record looks like this, too
    501: (SYSTEM, SYSTEM, SYSTEM),
    502: (Unconfirmed, SYSTEM, SYSTEM),
    507: (Unconfirmed, SYSTEM, SYSTEM),
    520: (Unconfirmed, SYSTEM, SYSTEM),
    524: (Unconfirmed, SYSTEM, SYSTEM),
    202: (Unconfirmed, SYSTEM, SYSTEM),
}


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


def meaning(error: SyncError) -> object:
    if type(error) is Unavailable:
        return SYSTEM if error.system else RECORD
    return type(error)


async def three(replica) -> list[object]:
    found: list[object] = []
    try:
        await replica.update(SEEN, {"name": "y"})
    except SyncError as error:
        found.append(meaning(error))
    try:
        await replica.get("17")
    except SyncError as error:
        found.append(meaning(error))
    try:
        async for _ in replica.list():
            break
    except SyncError as error:
        found.append(meaning(error))
    return found


@pytest.mark.parametrize("make", [espocrm, advoware])
@pytest.mark.parametrize("status", TABLE)
async def test_a_status_means_the_same_in_both_systems_unless_one_of_them_says_otherwise(make, status):
    reply = Response(status, {"x-status-reason": "?"}, b"<html>?</html>")
    assert await three(make(Answering([reply], signed_in=True))) == list(TABLE[status])


OWN = {
    (espocrm, 403): (Rejected, Rejected, SYSTEM),  # with a reason that names no permission
    (advoware, 403): (Unauthorized, Unauthorized, Unauthorized),
    (espocrm, 404): (SYSTEM, SYSTEM, SYSTEM),  # not about a record: its reason would say so
    (espocrm, 423): (RECORD, RECORD, SYSTEM),
    (advoware, 423): (Stale, RECORD, SYSTEM),  # open on somebody's desk
    (espocrm, 409): (Rejected, Rejected, SYSTEM),
    (advoware, 409): (Stale, Rejected, SYSTEM),
    (espocrm, 410): (RECORD, RECORD, SYSTEM),
}


@pytest.mark.parametrize(("make", "status"), OWN)
async def test_what_a_system_means_by_a_status_of_its_own_stays(make, status):
    reply = Response(status, {"x-status-reason": "?"}, b"<html>?</html>")
    assert await three(make(Answering([reply], signed_in=True))) == list(OWN[make, status])


async def test_where_parties_are_made_nobody_is_missing():
    for status in (404, 410):
        with pytest.raises(Unavailable) as told:
            await advoware(Answering([Response(status)], signed_in=True)).create({"name": "x"})
        assert told.value.system == "advoware"
