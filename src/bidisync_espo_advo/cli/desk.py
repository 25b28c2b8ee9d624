"""The operator's commands: what stands how and why, what waits for a person, and what the person says."""

from __future__ import annotations

import asyncio

import click

from bidisync_espo_advo.cli.options import Options, confirmed, global_options, values_option


@click.command()
@global_options
@click.pass_obj
def status(options: Options) -> int:
    """Say how the links stand, what waits for a person, and what the last pass did."""
    from bidisync_espo_advo.operating import status_command

    return asyncio.run(status_command(options.settings(), report=options.report))


@click.command()
@values_option
@global_options
@click.pass_obj
def conflicts(options: Options, shows: bool) -> int:
    """List everything that waits for a person, and what to do about it."""
    from bidisync_espo_advo.desk import conflicts_command

    return asyncio.run(conflicts_command(options.settings(), shows=shows, report=options.report))


@click.command()
@click.argument("link")
@click.option("--group", "field_group", help="Only this field group.")
@values_option
@global_options
@click.pass_obj
def explain(options: Options, link: str, field_group: str | None, shows: bool) -> int:
    """Say why a record is as it is: the row of the decision table and its result, now and in the past.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware). Values are masked: fields
    with the same letter hold the same value.
    """
    from bidisync_espo_advo.planning import explain_command

    work = explain_command(options.settings(), link=link, group=field_group, shows=shows, report=options.report)
    return asyncio.run(work)


@click.command()
@click.argument("link")
@click.option("--field-group", "field_group", required=True, help="The group that waits.")
@click.option("--take", required=True, metavar="left|right|base|merged|FILE", help="Whose values both sides get.")
@global_options
@click.pass_obj
def resolve(options: Options, link: str, field_group: str, take: str) -> int:
    """Settle what waits in one field group of a link.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware). A FILE holds a JSON object
    of field names and values.
    """
    from bidisync_espo_advo.desk import resolve_command

    work = resolve_command(options.settings(), link=link, group=field_group, take=take, report=options.report)
    return asyncio.run(work)


@click.command()
@click.argument("link", required=False)
@values_option
@global_options
@click.pass_obj
def history(options: Options, link: str | None, shows: bool) -> int:
    """Print the audit trail of one link, or the newest entries of all."""
    from bidisync_espo_advo.undoing import history_command

    return asyncio.run(history_command(options.settings(), name=link, shows=shows, report=options.report))


@click.command()
@click.argument("run_or_decision")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@global_options
@click.pass_obj
def undo(options: Options, run_or_decision: str, yes: bool) -> int:
    """Take back a run or one decision; what somebody edited since keeps the later edit.

    Runs and decisions stand in `history`.
    """
    from bidisync_espo_advo.undoing import undo_command

    settings = options.settings()
    confirmed(yes, f"Write back what {run_or_decision} replaced, to both systems?")
    return asyncio.run(undo_command(settings, what=run_or_decision, report=options.report))


@click.command()
@click.argument("links", nargs=-1, metavar="[LINK …]")
@click.option("--all", "everything", is_flag=True, help="Everything that was given up.")
@global_options
@click.pass_obj
def retry(options: Options, links: tuple[str, ...], everything: bool) -> int:
    """Try records again that were given up.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).
    """
    from bidisync_espo_advo.operating import retry_command

    if bool(links) == everything:
        raise click.UsageError("give records, or --all")
    work = retry_command(options.settings(), names=links, everything=everything, report=options.report)
    return asyncio.run(work)


@click.command()
@click.argument("plan_hash")
@global_options
@click.pass_obj
def approve(options: Options, plan_hash: str) -> int:
    """Let the held plans of this hash go: exactly those; what moved since is held again.

    The hash stands in what sync, plan and status print.
    """
    from bidisync_espo_advo.operating import approve_command

    return asyncio.run(approve_command(options.settings(), digest=plan_hash, report=options.report))


@click.command()
@click.argument("links", nargs=-1, required=True, metavar="LINK …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def unlink(options: Options, links: tuple[str, ...], yes: bool) -> int:
    """End links: both records stay, and are never kept in step again."""
    from bidisync_espo_advo.desk import unlink_command

    settings = options.settings()
    confirmed(yes, f"End {len(links)} links for good?")
    return asyncio.run(unlink_command(settings, names=links, report=options.report))


@click.command()
@click.argument("link")
@click.option("--yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def forget(options: Options, link: str, yes: bool) -> int:
    """Erase what the state holds of a person; a tombstone stays, so that nothing is made again.

    The records in EspoCRM and Advoware are not touched. Backups of the state are yours to handle.
    """
    from bidisync_espo_advo.desk import forget_command

    settings = options.settings()
    confirmed(yes, f"Erase everything about {link} from the state, for good?")
    return asyncio.run(forget_command(settings, name=link, report=options.report))
