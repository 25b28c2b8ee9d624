"""Whose fault a refusal is that no rule of its system explains: this record's, or everybody's.

What answers a request for one record is that record's failure: it is left to a person, or tried again and given
up, and the others go on. A system as a whole fails where the answer would be the same for any record: to a list or
a sign-in, by somebody between us and the system, or because of how we ask.

| status | to a write of a record | to a read of a record | to anything else |
|---|---|---|---|
| 400 409 411 413 414 415 417 422 | rejected: as it is, it will not be taken | rejected | the system |
| 412 | the record moved | the record moved | the system |
| 407 421 426 428 431 | the system | the system | the system |
| any other 4xx, such as 402 405 406 410 418 423 425 451 | a failed attempt | a failed attempt | the system |
| another 2xx than expected | the write may have happened | the system | the system |
| 501 505 | the system | the system | the system |
"""

from __future__ import annotations

from bidisync.errors import Rejected, Stale, SyncError, Unavailable, Unconfirmed

OF_CONTENT = frozenset({400, 409, 411, 413, 414, 415, 417, 422})
OF_THE_WAY = frozenset({407, 421, 426, 428, 431})


def unexplained(system: str, status: int, method: str, *, of_record: bool) -> SyncError:
    """The error that this status stands for; ``of_record`` tells whether one record was asked for or written."""
    said = f"{system} answered {status} to a {method}"
    if not of_record:
        return Unavailable(said, system=system)
    if status in OF_CONTENT:
        return Rejected(f"{system} refuses the record ({status} to a {method})")
    if status == 412:
        return Stale(f"the record was changed in {system} since it was read")
    if 200 <= status < 300 and method != "GET":
        return Unconfirmed(f"{said}: the write may have happened")
    alone = 400 <= status < 500 and status not in OF_THE_WAY
    return Unavailable(said, system="" if alone else system)
