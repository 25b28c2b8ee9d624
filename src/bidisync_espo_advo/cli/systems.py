"""The commands about what the sync stands on: ``check``, ``certify`` and ``backup``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, confirmed, global_options, yes_option


@click.command(
    cls=Command,
    short_help="Say what works and what is missing; write nothing.",
    examples=[
        ("espo-advo check", "every configured part, in one table"),
        ("espo-advo --json check", "the same for a monitoring system"),
    ],
)
@global_options
@click.pass_obj
def check(options: Options) -> int:
    """Open every configured part, read-only, and say what works and what is missing.

    Of the decision log the newest lines are looked at; `history --verify` looks at all.
    """
    from bidisync_espo_advo.checking import check_command

    return asyncio.run(check_command(options.settings(), report=options.report))


@click.command(
    cls=Command,
    short_help="Measure on one record what a system guarantees.",
    examples=[
        ("espo-advo certify advoware --sandbox-record 104711", "on a party that nobody needs"),
        ("espo-advo certify espocrm --yes", "on a new record, which stays there; without asking"),
    ],
)
@click.argument("system", type=click.Choice(["espocrm", "advoware"]))
@click.option("--sandbox-record", "record", metavar="ID", help="Measure on this record; else on one that is made.")
@yes_option
@global_options
@click.pass_obj
def certify(options: Options, system: str, record: str | None, yes: bool) -> int:
    """Measure on one record what a system guarantees, and write the profile that the sync then uses.

    Writes to that record, and writes back what it held. Nobody should work on it meanwhile.
    """
    from bidisync_espo_advo.certifying import certify_command

    settings = options.settings().require_remotes()
    what = f"record {record}" if record else "a new record, which stays there"
    unasked = f"certify writes to {system}, to {what}: without a terminal to ask it needs --yes"
    confirmed(yes, f"Write to {system}, to {what}?", unasked=unasked)
    return asyncio.run(certify_command(settings, system=system, record=record, report=options.report))


@click.command(
    cls=Command,
    short_help="Copy the state into a file, while others work on it.",
    examples=[
        ("espo-advo backup state-monday.db", "a copy in one file, checked, for its owner alone"),
        ("cp state-monday.db espo-advo.db", "bring it back, while nothing runs; then: espo-advo sync --all"),
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@global_options
@click.pass_obj
def backup(options: Options, file: Path) -> int:
    """Copy the state into a new file, while others may work on it.

    What is encrypted stays so: keep the key as well, and apart from the copy.
    """
    from bidisync_espo_advo.backing import backup_command

    return backup_command(options.settings(), file=file, report=options.report)
