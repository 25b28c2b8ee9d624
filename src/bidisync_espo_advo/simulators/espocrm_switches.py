"""What an EspoCRM's administrator may have chosen, and how slow its line is.

The first value of each switch is the default. The rest of EspoCRM is recorded and not a question.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

VALUES: Mapping[str, tuple[str, ...]] = {
    "occ": ("off", "on"),  # optimistic concurrency control of the entity type
    "login_block": ("on", "off"),  # more than 10 failed logins in 60 s block the address
    "latency_ms": ("0", "20", "200"),
    "webhook.interval_s": ("120", "1"),  # how often the job runs that sends webhooks
    "webhook.portion": ("20", "50"),  # how many changes it takes up at once
    "inactive_user": ("", "sync", "sync2", "synchmac", "syncro", "synclim", "syncfld"),  # one who may not sign in
    "message_permission": ("no", "all"),  # whether users may post to others (as recorded: no)
    "maintenance": ("off", "on"),  # only the administrator gets in
    "database": ("up", "down"),  # the server's own database can't be reached
}
WHOLE_NUMBERS = frozenset({"latency_ms", "webhook.interval_s", "webhook.portion"})


def _known(_instance: object, _attribute: object, chosen: Mapping[str, str]) -> None:
    for name, value in chosen.items():
        if name not in VALUES:
            raise ValueError(f"unknown switch {name!r}; there are: {', '.join(VALUES)}")
        number = name in WHOLE_NUMBERS and value.isascii() and value.isdecimal()
        if value not in VALUES[name] and not number:
            more = " or any whole number" if name in WHOLE_NUMBERS else ""
            raise ValueError(f"switch {name} cannot be {value!r}; allowed: {', '.join(VALUES[name])}{more}")


def _own(chosen: Mapping[str, str]) -> Mapping[str, str]:
    return dict(chosen)


@attrs.frozen
class EspoSwitches:
    """The chosen behaviour; whatever is not chosen has its default.

    ``ValueError`` names an unknown switch or value and says which there are.
    """

    chosen: Mapping[str, str] = attrs.field(factory=dict, validator=_known, converter=_own)

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, VALUES[name][0])
