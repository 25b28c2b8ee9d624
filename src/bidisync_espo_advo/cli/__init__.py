"""The command ``espo-advo``: options in, one line of error or a result out, and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback

import click

from bidisync import __version__
from bidisync.errors import SyncError
from bidisync_espo_advo.cli import desk, passes, privacy, services, stating, systems, trying
from bidisync_espo_advo.cli.completing import completion
from bidisync_espo_advo.cli.ending import INTERRUPTED, TERMINATED, UNREACHABLE, failed, told, usage
from bidisync_espo_advo.cli.help import Pages
from bidisync_espo_advo.cli.options import Options, global_options

SECTIONS = {
    "To try it": (trying.demo, trying.simulate),
    "To begin": (systems.check, systems.certify, completion),
    "To sync": (passes.sync, passes.plan, passes.apply, services.serve, services.worker),
    "To see": (desk.status, desk.conflicts, desk.explain, desk.history, desk.export),
    "To decide": (desk.resolve, desk.approve, desk.retry, desk.undo, desk.unlink, desk.forget),
    "To look after the data": (privacy.report, privacy.hold, privacy.expire, systems.backup, stating.state),
}


@click.group(cls=Pages, sections=SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="espo-advo")
@global_options
@click.pass_context
def group(context: click.Context) -> None:
    """Keep parties in step between EspoCRM (left) and Advoware (right)."""
    context.ensure_object(Options)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit status.

    What ends it from outside (SIGTERM) is dealt with like an interruption: in order.
    """
    ended: list[int] = []
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # started in the background by a shell
    if deaf:  # held back, not ignored: asyncio only listens to an interruption that Python handles
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def end(number: int, _frame: object) -> None:
        ended.append(number)
        if deaf:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, end)
    status = run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(TERMINATED if ended and status == INTERRUPTED else status)


def run(arguments: list[str]) -> int:
    """The exit status; every error is one line on stderr."""
    options = Options()
    as_json = "--json" in arguments  # also where the call is too wrong to be read
    if os.environ.get("ESPO_ADVO_DEBUG") != "1":
        logging.getLogger("stamina").disabled = True  # what a retry came to is told once, at its end
    try:
        status = group.main(arguments, prog_name="espo-advo", standalone_mode=False, obj=options)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        return usage(as_json, error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return told(as_json, "interrupted", "stopped; what was done is kept, run it again to go on", INTERRUPTED)
    except BrokenPipeError:
        return UNREACHABLE
    except SyncError as error:
        return failed(as_json, error)
    except Exception as error:  # the last line of defence: never a traceback, never a value
        if os.environ.get("ESPO_ADVO_DEBUG") == "1":
            traceback.print_exc()
        what = f"{type(error).__name__}: this is a defect; ESPO_ADVO_DEBUG=1 shows where"
        return told(as_json, "defect", what, 1)


__all__ = ["group", "main", "run"]
