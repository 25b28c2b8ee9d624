"""How the command ends: an exit status, and for every error one line that says what to do next."""

from __future__ import annotations

import json
import sys

import click
from click.exceptions import NoArgsIsHelpError

from bidisync.errors import Misconfigured, RateLimited, SyncError, Unauthorized, Unavailable
from bidisync_espo_advo.cli.options import Declined

WRONG, UNREACHABLE, INTERRUPTED, TERMINATED = 2, 3, 130, 143


def usage(as_json: bool, error: click.ClickException) -> int:
    """The call is wrong: which part of it, and which page of the help says more."""
    if isinstance(error, NoArgsIsHelpError) and not as_json:
        print(error.format_message(), file=sys.stderr)
        return WRONG
    if isinstance(error, Declined):
        return told(as_json, "declined", error.format_message(), WRONG)
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "espo-advo"
    message = "a command is missing" if isinstance(error, NoArgsIsHelpError) else error.format_message()
    return told(as_json, "usage", message, WRONG, f"{command} --help shows how")


def failed(as_json: bool, error: SyncError) -> int:
    """Something could not be done."""
    status = 1
    if isinstance(error, Misconfigured | Unauthorized):
        status = WRONG
    elif isinstance(error, Unavailable | RateLimited):
        status = UNREACHABLE
    return told(as_json, error.reason, str(error), status, _next(error))


def _next(error: SyncError) -> str:
    """What to do about it, where the message does not say so itself."""
    from bidisync.stores.sql import NoState

    if isinstance(error, NoState):
        return "the first espo-advo sync makes it; or name another configuration with --config"
    if isinstance(error, Unauthorized):
        return "espo-advo check shows what works"
    if isinstance(error, RateLimited) or (isinstance(error, Unavailable) and error.system):
        return "run it again later, it goes on where it was; espo-advo check shows what works"
    return ""


def told(as_json: bool, code: str, message: str, status: int, advice: str = "") -> int:
    """One line on stderr, with ``--json`` also a document on stdout; the status."""
    line = "; ".join(part for part in (" ".join(message.split()).rstrip("."), advice) if part)
    print(f"espo-advo: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message, "next": advice}}))
    return status
