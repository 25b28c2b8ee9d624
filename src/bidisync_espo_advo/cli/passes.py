"""The commands that look at records: ``sync``, ``plan`` and ``apply``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bidisync import Side
from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, global_options, require_one_way, values_option, which_records


@click.command(
    cls=Command,
    short_help="Bring both sides into step: what changed, or named records.",
    examples=[
        ("espo-advo sync", "what changed since the last pass"),
        ("espo-advo sync --all", "both sides in full: the first time, and after an outage"),
        ("espo-advo sync left:65f0c0ffee 104711", "these two records"),
        ("espo-advo sync --all --dry-run", "say what would be done; write nothing"),
        ("espo-advo --json sync --side left", "only what changed in EspoCRM; one JSON document"),
    ],
)
@which_records
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option(
    "--rounds", metavar="N", type=click.IntRange(1), default=3, show_default=True, help="Take open records up so often."
)
@global_options
@click.pass_obj
def sync(options: Options, ids: tuple[str, ...], everything: bool, side: str | None, dry_run: bool, rounds: int) -> int:
    """One pass: the given records, or everything changed since the last one.

    An ID is left:ID (EspoCRM), right:ID (Advoware), or one side's own id.
    """
    from bidisync_espo_advo.commands import sync_command

    require_one_way(ids, everything, side)
    work = sync_command(
        options.settings(),
        ids=ids,
        everything=everything,
        side=None if side is None else Side(side),
        dry_run=dry_run,
        rounds=rounds,
        report=options.report,
    )
    return asyncio.run(work)


@click.command(
    cls=Command,
    short_help="Say what sync would do, field by field; write nothing.",
    examples=[
        ("espo-advo plan --all", "everything, values masked"),
        ("espo-advo plan left:65f0c0ffee --show-values", "one record, with its values"),
        ("espo-advo plan --all -o plan.json", "keep it, for espo-advo apply plan.json"),
    ],
)
@which_records
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan for apply.")
@values_option
@global_options
@click.pass_obj
def plan(
    options: Options, ids: tuple[str, ...], everything: bool, side: str | None, output: Path | None, shows: bool
) -> int:
    """Say what sync would do, record by record and field by field; write nothing.

    Values are masked: fields with the same letter hold the same value. A plan that was
    saved holds none.
    """
    from bidisync_espo_advo.planning import plan_command

    require_one_way(ids, everything, side)
    work = plan_command(
        options.settings(),
        ids=ids,
        everything=everything,
        side=None if side is None else Side(side),
        shows=shows,
        output=output,
        report=options.report,
    )
    return asyncio.run(work)


@click.command(
    cls=Command,
    short_help="Carry out exactly a saved plan.",
    examples=[
        ("espo-advo plan --all -o plan.json", "make a plan, and read it"),
        ("espo-advo apply plan.json", "do what it says; records that moved since are refused"),
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@global_options
@click.pass_obj
def apply(options: Options, file: Path) -> int:
    """Carry out exactly a plan that `plan -o FILE` saved; what moved since is refused."""
    from bidisync_espo_advo.applying import apply_command

    return asyncio.run(apply_command(options.settings(), file=file, report=options.report))
