"""The command ``espo-advo``: options in, one line of error or a result out, and an exit status."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click

from bidisync import Side, __version__
from bidisync.errors import Misconfigured, RateLimited, SyncError, Unauthorized, Unavailable
from bidisync_espo_advo.settings import Settings, load_settings

WRONG, UNREACHABLE, INTERRUPTED, TERMINATED = 2, 3, 130, 143


@attrs.define
class Options:
    """The global options, wherever on the command line they stood."""

    config: Path | None = None
    as_json: bool = False

    def settings(self) -> Settings:
        """What the configuration says."""
        return load_settings(self.config)


def _global(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config`` and ``--json`` before or after the command's name."""

    def keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
        def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
            if value:
                setattr(context.ensure_object(Options), name, value)

        return callback

    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=keep("config"),
        help="Configuration file; else $ESPO_ADVO_CONFIG, else ./espo-advo.toml.",
    )
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, callback=keep("as_json"), help="One JSON document on stdout."
    )
    return config(as_json(command))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="espo-advo")
@_global
@click.pass_context
def group(context: click.Context) -> None:
    """Keep parties in step between EspoCRM and Advoware."""
    context.ensure_object(Options)


@group.command()
@click.argument("ids", nargs=-1, metavar="[ID …]")
@click.option("--all", "everything", is_flag=True, help="Read both sides in full.")
@click.option("--side", type=click.Choice(["left", "right"]), help="Only changes seen on this side.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Take up open records so often.")
@_global
@click.pass_obj
def sync(options: Options, ids: tuple[str, ...], everything: bool, side: str | None, dry_run: bool, rounds: int) -> int:
    """One pass: the given records, or everything changed since the last one.

    An ID is left:ID (EspoCRM), right:ID (Advoware), or one side's own id.
    """
    from bidisync_espo_advo.commands import sync_command
    from bidisync_espo_advo.report import Report

    if ids and (everything or side):
        raise click.UsageError("give records, or --all and --side, not both")
    work = sync_command(
        options.settings(),
        ids=ids,
        everything=everything,
        side=None if side is None else Side(side),
        dry_run=dry_run,
        rounds=rounds,
        report=Report(options.as_json),
    )
    return asyncio.run(work)


def _shows(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--show-values", "shows", is_flag=True, help="Print values; else only which are equal.")(
        command
    )


@group.command()
@click.argument("ids", nargs=-1, metavar="[ID …]")
@click.option("--all", "everything", is_flag=True, help="Read both sides in full.")
@click.option("--side", type=click.Choice(["left", "right"]), help="Only changes seen on this side.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan for apply.")
@_shows
@_global
@click.pass_obj
def plan(
    options: Options, ids: tuple[str, ...], everything: bool, side: str | None, output: Path | None, shows: bool
) -> int:
    """Say what sync would do, record by record and field by field; write nothing.

    Values are masked: fields with the same letter hold the same value. A plan that was
    saved holds none.
    """
    from bidisync_espo_advo.planning import plan_command
    from bidisync_espo_advo.report import Report

    if ids and (everything or side):
        raise click.UsageError("give records, or --all and --side, not both")
    work = plan_command(
        options.settings(),
        ids=ids,
        everything=everything,
        side=None if side is None else Side(side),
        shows=shows,
        output=output,
        report=Report(options.as_json),
    )
    return asyncio.run(work)


@group.command()
@click.argument("file", type=click.Path(path_type=Path))
@_global
@click.pass_obj
def apply(options: Options, file: Path) -> int:
    """Carry out exactly a plan that `plan -o FILE` saved; what moved since is refused."""
    from bidisync_espo_advo.applying import apply_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(apply_command(options.settings(), file=file, report=Report(options.as_json)))


@group.command()
@click.argument("link")
@click.option("--group", "field_group", help="Only this field group.")
@_shows
@_global
@click.pass_obj
def explain(options: Options, link: str, field_group: str | None, shows: bool) -> int:
    """Say why a record is as it is: the row of the decision table and its result, now and in the past.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware). Values are masked: fields
    with the same letter hold the same value.
    """
    from bidisync_espo_advo.planning import explain_command
    from bidisync_espo_advo.report import Report

    work = explain_command(
        options.settings(), link=link, group=field_group, shows=shows, report=Report(options.as_json)
    )
    return asyncio.run(work)


@group.command()
@_global
@click.pass_obj
def status(options: Options) -> int:
    """Say how the links stand, what waits for a person, and what the last pass did."""
    from bidisync_espo_advo.operating import status_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(status_command(options.settings(), report=Report(options.as_json)))


@group.command()
@click.argument("plan_hash")
@_global
@click.pass_obj
def approve(options: Options, plan_hash: str) -> int:
    """Let the held plans of this hash go: exactly those; what moved since is held again.

    The hash stands in what sync, plan and status print.
    """
    from bidisync_espo_advo.operating import approve_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(approve_command(options.settings(), digest=plan_hash, report=Report(options.as_json)))


@group.command()
@click.argument("links", nargs=-1, metavar="[LINK …]")
@click.option("--all", "everything", is_flag=True, help="Everything that was given up.")
@_global
@click.pass_obj
def retry(options: Options, links: tuple[str, ...], everything: bool) -> int:
    """Try records again that were given up.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware).
    """
    from bidisync_espo_advo.operating import retry_command
    from bidisync_espo_advo.report import Report

    if bool(links) == everything:
        raise click.UsageError("give records, or --all")
    work = retry_command(options.settings(), names=links, everything=everything, report=Report(options.as_json))
    return asyncio.run(work)


@group.command()
@_shows
@_global
@click.pass_obj
def conflicts(options: Options, shows: bool) -> int:
    """List everything that waits for a person, and what to do about it."""
    from bidisync_espo_advo.desk import conflicts_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(conflicts_command(options.settings(), shows=shows, report=Report(options.as_json)))


@group.command()
@click.argument("link")
@click.option("--field-group", "field_group", required=True, help="The group that waits.")
@click.option("--take", required=True, metavar="left|right|base|merged|FILE", help="Whose values both sides get.")
@_global
@click.pass_obj
def resolve(options: Options, link: str, field_group: str, take: str) -> int:
    """Settle what waits in one field group of a link.

    LINK is a link's id, left:ID (EspoCRM) or right:ID (Advoware). A FILE holds a JSON object
    of field names and values.
    """
    from bidisync_espo_advo.desk import resolve_command
    from bidisync_espo_advo.report import Report

    work = resolve_command(options.settings(), link=link, group=field_group, take=take, report=Report(options.as_json))
    return asyncio.run(work)


@group.command()
@click.argument("link", required=False)
@_shows
@_global
@click.pass_obj
def history(options: Options, link: str | None, shows: bool) -> int:
    """Print the audit trail of one link, or the newest entries of all."""
    from bidisync_espo_advo.report import Report
    from bidisync_espo_advo.undoing import history_command

    return asyncio.run(history_command(options.settings(), name=link, shows=shows, report=Report(options.as_json)))


@group.command()
@click.argument("run_or_decision")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@_global
@click.pass_obj
def undo(options: Options, run_or_decision: str, yes: bool) -> int:
    """Take back a run or one decision; what somebody edited since keeps the later edit.

    Runs and decisions stand in `history`.
    """
    from bidisync_espo_advo.report import Report
    from bidisync_espo_advo.undoing import undo_command

    settings = options.settings()
    _confirmed(yes, f"Write back what {run_or_decision} replaced, to both systems?")
    return asyncio.run(undo_command(settings, what=run_or_decision, report=Report(options.as_json)))


@group.command()
@click.argument("links", nargs=-1, required=True, metavar="LINK …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_global
@click.pass_obj
def unlink(options: Options, links: tuple[str, ...], yes: bool) -> int:
    """End links: both records stay, and are never kept in step again."""
    from bidisync_espo_advo.desk import unlink_command
    from bidisync_espo_advo.report import Report

    settings = options.settings()
    _confirmed(yes, f"End {len(links)} links for good?")
    return asyncio.run(unlink_command(settings, names=links, report=Report(options.as_json)))


@group.command()
@click.argument("link")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_global
@click.pass_obj
def forget(options: Options, link: str, yes: bool) -> int:
    """Erase what the state holds of a person; a tombstone stays, so that nothing is made again.

    The records in EspoCRM and Advoware are not touched. Backups of the state are yours to handle.
    """
    from bidisync_espo_advo.desk import forget_command
    from bidisync_espo_advo.report import Report

    settings = options.settings()
    _confirmed(yes, f"Erase everything about {link} from the state, for good?")
    return asyncio.run(forget_command(settings, name=link, report=Report(options.as_json)))


def _confirmed(yes: bool, question: str) -> None:
    """Ask a person at a terminal; without one, ``--yes`` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to ask: say --yes")
    click.confirm(question, abort=True, err=True)


@group.command()
@_global
@click.pass_obj
def check(options: Options) -> int:
    """Open every configured part, read-only, and say what works and what is missing."""
    from bidisync_espo_advo.checking import check_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(check_command(options.settings(), report=Report(options.as_json)))


@group.command()
@click.argument("system", type=click.Choice(["espocrm", "advoware"]))
@click.option("--sandbox-record", "record", metavar="ID", help="Measure on this record; else on one that is made.")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@_global
@click.pass_obj
def certify(options: Options, system: str, record: str | None, yes: bool) -> int:
    """Measure on one record what a system guarantees, and write the profile that the sync then uses.

    Writes to that record, and writes back what it held. Nobody should work on it meanwhile.
    """
    from bidisync_espo_advo.certifying import certify_command
    from bidisync_espo_advo.report import Report

    settings = options.settings().require_remotes()
    if not yes:
        what = f"record {record}" if record else "a new record, which stays there"
        if not sys.stdin.isatty():
            raise click.UsageError(f"certify writes to {system}, to {what}: without a terminal to ask it needs --yes")
        if not click.confirm(f"Write to {system}, to {what}?", err=True):
            raise click.UsageError("nothing was written")
    return asyncio.run(certify_command(settings, system=system, record=record, report=Report(options.as_json)))


@group.command()
@click.option("--host", help="Listen on this address instead of web.host.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Instead of web.port; 0: a free one.")
@_global
@click.pass_obj
def serve(options: Options, host: str | None, port: int | None) -> int:
    """Take webhooks, poll both sides, work, and show a page, until stopped.

    Prints a JSON line with its address when it is ready.
    """
    from bidisync_espo_advo.report import Report
    from bidisync_espo_advo.serving import serve_command

    return asyncio.run(serve_command(options.settings(), host=host, port=port, report=Report(options.as_json)))


@group.command()
@_global
@click.pass_obj
def worker(options: Options) -> int:
    """Work for a serve that runs elsewhere over the same state, until stopped."""
    from bidisync_espo_advo.report import Report
    from bidisync_espo_advo.serving import worker_command

    return asyncio.run(worker_command(options.settings(), report=Report(options.as_json)))


@group.command()
@click.option("--records", type=click.IntRange(0, 100_000), default=200, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same demo.")
@click.option("--port", type=click.IntRange(0, 65_534), default=0, help="First of two ports; 0: free ones.")
@click.option("--serve", "serves", is_flag=True, help="Keep simulators, worker and site running afterwards.")
@click.option("--hostile", is_flag=True, help="The simulated Advoware misbehaves.")
@_global
@click.pass_obj
def demo(options: Options, records: int, seed: int, port: int, serves: bool, hostile: bool) -> int:
    """Watch parties flow both ways between two simulated systems, over real HTTP."""
    from bidisync_espo_advo.demo import demo_command
    from bidisync_espo_advo.report import Report

    return asyncio.run(
        demo_command(
            records=records, seed=seed, port=port, report=Report(options.as_json), serve=serves, hostile=hostile
        )
    )


@group.command()
@click.argument("system", type=click.Choice(["espocrm", "advoware"]))
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0: a free one.")
@click.option("--records", type=click.IntRange(0, 100_000), default=0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="A behaviour; may be repeated.")
@_global
def simulate(system: str, port: int, records: int, seed: int, switches: tuple[str, ...]) -> int:
    """Run one simulated system as a server; prints a JSON line when it is ready."""
    named = {}
    for switch in switches:
        name, equals, value = switch.partition("=")
        if not equals:
            raise click.UsageError(f"--switch takes NAME=VALUE, not {switch!r}")
        named[name] = value
    return asyncio.run(_simulate(system, port, records, seed, named))


async def _simulate(system: str, port: int, records: int, seed: int, switches: dict[str, str]) -> int:
    from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator

    make = {"espocrm": espocrm_simulator, "advoware": advoware_simulator}[system]
    try:
        server = make(records=records, seed=seed, port=port, switches=switches)
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        await server.start()
    except OSError as error:
        raise Unavailable(f"can't listen on port {port}: {error.strerror or 'in use'}") from error
    print(json.dumps(server.announcement()), flush=True)
    await over.wait()
    await server.stop()
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit status.

    What ends it from outside (SIGTERM) is dealt with like an interruption: in order.
    """
    told: list[int] = []
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # started in the background by a shell
    if deaf:  # held back, not ignored: asyncio only listens to an interruption that Python handles
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def end(number: int, _frame: object) -> None:
        told.append(number)
        if deaf:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, end)
    status = run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(TERMINATED if told and status == INTERRUPTED else status)


def run(arguments: list[str]) -> int:
    """The exit status; every error is one line on stderr."""
    options = Options()
    if os.environ.get("ESPO_ADVO_DEBUG") != "1":
        logging.getLogger("stamina").disabled = True  # what a retry came to is told once, at its end
    try:
        status = group.main(arguments, prog_name="espo-advo", standalone_mode=False, obj=options)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        return _told(options, "usage", error.format_message(), WRONG)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _told(options, "interrupted", "stopped; what was done is kept, run it again to go on", INTERRUPTED)
    except BrokenPipeError:
        return UNREACHABLE
    except SyncError as error:
        return _told(options, error.reason, str(error), _status(error))
    except Exception as error:  # the last line of defence: never a traceback, never a value
        if os.environ.get("ESPO_ADVO_DEBUG") == "1":
            traceback.print_exc()
        what = f"{type(error).__name__}: this is a defect; ESPO_ADVO_DEBUG=1 shows where"
        return _told(options, "defect", what, 1)


def _status(error: SyncError) -> int:
    if isinstance(error, Misconfigured | Unauthorized):
        return WRONG
    return UNREACHABLE if isinstance(error, Unavailable | RateLimited) else 1


def _told(options: Options, code: str, message: str, status: int) -> int:
    print(f"espo-advo: {' '.join(message.split())}", file=sys.stderr)
    if options.as_json:
        print(json.dumps({"error": {"code": code, "message": message}}))
    return status


__all__ = ["main", "run"]
