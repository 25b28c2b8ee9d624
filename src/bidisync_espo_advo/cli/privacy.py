"""What the data-protection officer asks for: who was touched, what must be kept, and what may go."""

from __future__ import annotations

import asyncio

import click

from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, confirmed, global_options, values_option, yes_option


@click.command(
    cls=Command,
    short_help="Say which parties were touched between two times.",
    examples=[
        ("espo-advo report --from 2026-01-01 --to 2026-01-31", "whole days, in UTC; names are masked"),
        ("espo-advo --json report --from 2026-01-05T08:30", "the same for a program, up to now"),
    ],
)
@click.option("--from", "since", required=True, metavar="TIME", help="2026-01-31 or 2026-01-31T08:30, in UTC.")
@click.option("--to", "until", metavar="TIME", help="A date counts as its whole day; now, if left out.")
@values_option
@global_options
@click.pass_obj
def report(options: Options, since: str, until: str | None, shows: bool) -> int:
    """Say which parties were touched between two times, how often and in which fields.

    Names are masked, and no other value is told.
    """
    from bidisync_espo_advo.privacy import report_command

    work = report_command(options.settings(), since=since, until=until, shows=shows, report=options.report)
    return asyncio.run(work)


@click.command(
    cls=Command,
    short_help="Put a retention hold on links, end it, or list the holds.",
    examples=[
        ("espo-advo hold right:104711 --until 2032-12-31", "nothing stored of it is erased up to that day"),
        ("espo-advo hold right:104711 --release", "from now on it may be"),
        ("espo-advo hold", "every hold there is"),
    ],
)
@click.argument("links", nargs=-1, metavar="[LINK …]")
@click.option("--until", metavar="DATE", help="The last day of the hold; else until it is released.")
@click.option("--release", "releases", is_flag=True, help="End the holds of these links.")
@global_options
@click.pass_obj
def hold(options: Options, links: tuple[str, ...], until: str | None, releases: bool) -> int:
    """Put a retention hold on links, end it, or list the holds.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).

    While it lasts nothing stored of a link is erased: not by age, and not by forget; and no
    record of it is deleted or archived.
    """
    from bidisync_espo_advo.privacy import hold_command

    if (releases and (until or not links)) or (until and not links):
        raise click.UsageError("name the links; --release ends holds, --until gives them a date")
    work = hold_command(options.settings(), names=links, until=until, releases=releases, report=options.report)
    return asyncio.run(work)


@click.command(
    cls=Command,
    short_help="Erase the values in the journal that have had their time.",
    examples=[
        ("espo-advo expire", "those older than privacy.keep_values_days"),
        ("espo-advo expire --days 365 --yes", "those older than a year, unasked"),
    ],
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Instead of privacy.keep_values_days.")
@yes_option
@global_options
@click.pass_obj
def expire(options: Options, days: float | None, yes: bool) -> int:
    """Erase the values in the journal that have had their time; what was done stays.

    serve and sync do this by themselves once a day where privacy.keep_values_days is set.
    Decisions without their values can be read and counted, but not undone.
    """
    from bidisync_espo_advo.privacy import expire_command

    settings = options.settings()
    confirmed(yes, "Erase old values from the journal, for good?")
    return asyncio.run(expire_command(settings, days=days, report=options.report))
