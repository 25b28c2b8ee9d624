"""What is made sure of before anything is written: credentials, and that EspoCRM has what is needed."""

from __future__ import annotations

from bidisync.errors import Misconfigured
from bidisync_espo_advo.app import Remotes
from bidisync_espo_advo.espocrm_schema import problems
from bidisync_espo_advo.fields import PARTY


async def sign_in(remotes: Remotes) -> None:
    """Prove both credentials before anything is written: a wrong one must not be found half-way."""
    await remotes.espocrm.who_am_i()
    await remotes.advoware.who_am_i()


async def require_schema(remotes: Remotes) -> None:
    """Refuse to start where EspoCRM lacks what the mapping or the bookkeeping needs."""
    found = problems(await remotes.espocrm.schema(), PARTY, remotes.espocrm.config.entity_type)
    if found:
        more = f" (and {len(found) - 1} more: espo-advo check)" if found[1:] else ""
        raise Misconfigured(f"{found[0]}{more}")
