"""The command ``espo-advo``: options in, one line of error or a result out, and an exit status."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback

import click

from bidisync import __version__
from bidisync.errors import Misconfigured, RateLimited, SyncError, Unauthorized, Unavailable
from bidisync_espo_advo.cli import desk, passes, services, systems, trying
from bidisync_espo_advo.cli.options import Options, global_options

WRONG, UNREACHABLE, INTERRUPTED, TERMINATED = 2, 3, 130, 143


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="espo-advo")
@global_options
@click.pass_context
def group(context: click.Context) -> None:
    """Keep parties in step between EspoCRM and Advoware."""
    context.ensure_object(Options)


for _command in (
    *(passes.sync, passes.plan, passes.apply),
    *(desk.status, desk.conflicts, desk.resolve, desk.retry, desk.approve, desk.unlink, desk.forget),
    *(desk.explain, desk.history, desk.undo),
    *(systems.check, systems.certify),
    *(services.serve, services.worker),
    *(trying.demo, trying.simulate),
):
    group.add_command(_command)


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


__all__ = ["group", "main", "run"]
