"""The commands that run on until stopped: ``serve`` and ``worker``."""

from __future__ import annotations

import asyncio

import click

from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, global_options


@click.command(
    cls=Command,
    short_help="Take webhooks, poll, work and show a page, until stopped.",
    examples=[
        ("espo-advo serve", "on web.host and web.port of the configuration"),
        ("espo-advo serve --host 0.0.0.0 --port 8377", "for a proxy on another machine"),
    ],
)
@click.option("--host", metavar="ADDRESS", help="Listen on this address instead of web.host.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65_535), help="Instead of web.port; 0: a free one.")
@global_options
@click.pass_obj
def serve(options: Options, host: str | None, port: int | None) -> int:
    """Take webhooks, poll both sides, work, and show a page, until stopped.

    Prints a JSON line with its address when it is ready.
    """
    from bidisync_espo_advo.serving import serve_command

    return asyncio.run(serve_command(options.settings(), host=host, port=port, report=options.report))


@click.command(
    cls=Command,
    short_help="Work for a serve that runs elsewhere, until stopped.",
    examples=[
        ("espo-advo worker", "on every further machine; needs a state and a queue that all share"),
    ],
)
@global_options
@click.pass_obj
def worker(options: Options) -> int:
    """Work for a serve that runs elsewhere over the same state, until stopped."""
    from bidisync_espo_advo.serving import worker_command

    return asyncio.run(worker_command(options.settings(), report=options.report))
