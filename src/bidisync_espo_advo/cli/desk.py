"""The operator's commands: what stands how and why, what waits for a person, and what the person says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bidisync_espo_advo.cli.completing import field_groups, takes
from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import (
    Options,
    confirmed,
    confirmed_at_a_terminal,
    global_options,
    unasked_option,
    values_option,
    yes_option,
)


@click.command(
    cls=Command,
    short_help="Say how everything stands.",
    examples=[
        ("espo-advo status", "links by state, what waits for a person, the last pass"),
        ("espo-advo --json status", "the same for a monitoring system"),
    ],
)
@global_options
@click.pass_obj
def status(options: Options) -> int:
    """Say how the links stand, what waits for a person, and what the last pass did."""
    from bidisync_espo_advo.operating import status_command

    return asyncio.run(status_command(options.settings(), report=options.report))


@click.command(
    cls=Command,
    short_help="List what waits for a person, and what to do about it.",
    examples=[
        ("espo-advo conflicts", "masked: the same letter is the same value"),
        ("espo-advo conflicts --show-values", "with the values themselves"),
    ],
)
@values_option
@global_options
@click.pass_obj
def conflicts(options: Options, shows: bool) -> int:
    """List everything that waits for a person, and what to do about it."""
    from bidisync_espo_advo.desk import conflicts_command

    return asyncio.run(conflicts_command(options.settings(), shows=shows, report=options.report))


@click.command(
    cls=Command,
    short_help="Say why a record is as it is, now and in the past.",
    examples=[
        ("espo-advo explain right:104711", "every field, and every decision of the past"),
        ("espo-advo explain left:65f0c0ffee --group stammdaten", "one field group"),
    ],
)
@click.argument("link")
@click.option(
    "--group",
    "--field-group",
    "field_group",
    metavar="GROUP",
    shell_complete=field_groups,
    help="Only this field group.",
)
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


@click.command(
    cls=Command,
    short_help="Settle what waits in a field group of a link.",
    examples=[
        ("espo-advo resolve right:104711 --field-group stammdaten --take left", "both sides get what EspoCRM holds"),
        (
            "espo-advo resolve right:104711 --field-group stammdaten --take values.json",
            "both sides get the values of this file",
        ),
    ],
)
@click.argument("link")
@click.option(
    "--field-group",
    "--group",
    "field_group",
    required=True,
    metavar="GROUP",
    shell_complete=field_groups,
    help="The group that waits.",
)
@click.option(
    "--take",
    required=True,
    shell_complete=takes,
    metavar="left|right|base|merged|FILE",
    help="Whose values both sides get.",
)
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


@click.command(
    cls=Command,
    short_help="Print what was done.",
    examples=[
        ("espo-advo history", "the newest decisions of all links, with their numbers and runs"),
        ("espo-advo history right:104711 --show-values", "those of one link, with values"),
        ("espo-advo history --verify", "whether somebody tampered with the log; prints its head"),
        ("espo-advo history --replay", "whether every decision would come out the same again"),
    ],
)
@click.argument("link", required=False)
@click.option("--verify", "verifies", is_flag=True, help="Say whether the log is as it was written.")
@click.option("--head", metavar="NUMBER:CHAIN", help="With --verify: what it printed before.")
@click.option("--replay", "replays", is_flag=True, help="Decide everything again and compare.")
@values_option
@global_options
@click.pass_obj
def history(options: Options, link: str | None, verifies: bool, head: str | None, replays: bool, shows: bool) -> int:
    """Print the audit trail of one link, or the newest entries of all, newest first.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).

    With --verify the whole log is checked instead: lines that were changed, moved, added or
    taken out are named. Keep the head that it prints elsewhere: given again later, it shows
    whether the end was cut off.
    """
    from bidisync_espo_advo.auditing import replay_command, verify_command
    from bidisync_espo_advo.undoing import history_command

    if (verifies and (link or replays)) or (head is not None and not verifies):
        raise click.UsageError("--verify goes over the whole log, by itself; --head goes with it")
    settings, report = options.settings(), options.report
    if verifies:
        return asyncio.run(verify_command(settings, head=head, report=report))
    command = replay_command if replays else history_command
    return asyncio.run(command(settings, name=link, shows=shows, report=report))


@click.command(
    cls=Command,
    short_help="Hand out everything about one person.",
    examples=[
        ("espo-advo export right:104711 -o person.json", "into a new file, for its owner alone"),
    ],
)
@click.argument("link")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Into this new file, mode 0600.")
@global_options
@click.pass_obj
def export(options: Options, link: str, output: Path | None) -> int:
    """Print everything that the state holds about one person as JSON, values included.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).

    For a request about personal data: both sides as last seen, what both agreed on, what
    waits, every decision. The records in EspoCRM and Advoware are not part of it.
    """
    from bidisync_espo_advo.exporting import export_command

    work = export_command(options.settings(), name=link, output=output, report=options.report)
    return asyncio.run(work)


@click.command(
    cls=Command,
    short_help="Take back a run or one decision; later edits stay.",
    examples=[
        ("espo-advo undo 4711", "one decision, by its number in espo-advo history"),
        ("espo-advo undo 9f2c4e7a1b3d5f60", "a whole run; its own run can be undone in turn"),
    ],
)
@click.argument("run_or_decision")
@unasked_option
@global_options
@click.pass_obj
def undo(options: Options, run_or_decision: str, yes: bool) -> int:
    """Take back a run or one decision; what somebody edited since keeps the later edit.

    Runs and decisions stand in `history`.
    """
    from bidisync_espo_advo.undoing import undo_command

    settings = options.settings()
    confirmed_at_a_terminal(yes, f"Write back what {run_or_decision} replaced, to both systems?")
    return asyncio.run(undo_command(settings, what=run_or_decision, report=options.report))


@click.command(
    cls=Command,
    short_help="Try records again that were given up.",
    examples=[
        ("espo-advo retry --all", "everything that was given up"),
        ("espo-advo retry right:104711", "one record; also sends an unconfirmed create again"),
    ],
)
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


@click.command(
    cls=Command,
    short_help="Let plans go that a guard holds.",
    examples=[
        ("espo-advo status", "shows what is held, why, and the hash"),
        ("espo-advo approve 3f9a1c0b", "lets exactly that go; then: espo-advo sync"),
    ],
)
@click.argument("plan_hash")
@unasked_option
@global_options
@click.pass_obj
def approve(options: Options, plan_hash: str, yes: bool) -> int:
    """Let the held plans of this hash go: exactly those; what moved since is held again.

    The hash stands in what sync, plan and status print.
    """
    from bidisync_espo_advo.operating import approve_command

    settings = options.settings()
    confirmed_at_a_terminal(yes, f"Let everything go that is held as {plan_hash}, deletions included?")
    return asyncio.run(approve_command(settings, digest=plan_hash, report=options.report))


@click.command(
    cls=Command,
    short_help="End links; both records stay.",
    examples=[
        ("espo-advo unlink right:104711", "these two are not kept in step any more"),
        ("espo-advo unlink right:104711 --take-back", "they are again, from what they hold now"),
    ],
)
@click.argument("links", nargs=-1, required=True, metavar="LINK …")
@click.option("--take-back", is_flag=True, help="Keep both records in step again, from what they hold now.")
@unasked_option
@global_options
@click.pass_obj
def unlink(options: Options, links: tuple[str, ...], take_back: bool, yes: bool) -> int:
    """End links: both records stay as they are, and are not kept in step until somebody takes that back.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).
    """
    from bidisync_espo_advo.desk import readmit_command, unlink_command

    settings = options.settings()
    if take_back:
        return asyncio.run(readmit_command(settings, names=links, report=options.report))
    confirmed_at_a_terminal(yes, f"End {len(links)} links?")
    return asyncio.run(unlink_command(settings, names=links, report=options.report))


@click.command(
    cls=Command,
    short_help="Erase what the state holds of a person.",
    examples=[
        ("espo-advo forget right:104711", "asks first; the records in both systems stay"),
        ("espo-advo forget right:104711 --yes", "the same in a script"),
    ],
)
@click.argument("link")
@click.option("--take-back", is_flag=True, help="Keep both records in step again, from what they hold now.")
@click.option("--even-unknown", is_flag=True, help="Also a record that the state does not know: after it was lost.")
@yes_option
@global_options
@click.pass_obj
def forget(options: Options, link: str, take_back: bool, even_unknown: bool, yes: bool) -> int:
    """Erase what the state holds of a person; a tombstone stays, so that nothing is made again.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware). What was erased can't be
    brought back: --take-back begins anew with what both records hold. The records in EspoCRM
    and Advoware are not touched. Backups of the state are yours to handle.
    """
    from bidisync_espo_advo.desk import forget_command, readmit_command

    settings = options.settings()
    if take_back:
        return asyncio.run(readmit_command(settings, names=[link], report=options.report))
    confirmed(yes, f"Erase everything about {link} from the state, for good?")
    work = forget_command(settings, name=link, report=options.report, even_unknown=even_unknown)
    return asyncio.run(work)
