"""The commands of the state as a whole: ``state move`` and ``state rotate``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bidisync.errors import Misconfigured
from bidisync_espo_advo.cli.help import Command, Family
from bidisync_espo_advo.cli.options import Options, confirmed, global_options, yes_option

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(
    cls=Family,
    short_help="Bring the state to another database, or under another key.",
    examples=[
        ("espo-advo state move postgresql://sync@db.example.org/sync", "from the file to a server"),
        ("espo-advo state rotate --new-key-file new.key", "from the key in the settings to that in the file"),
    ],
)
@global_options
@click.pass_obj
def state(_options: Options) -> None:
    """Bring the state as a whole to another database, or under another key.

    Stop serve and all workers first.
    """


@state.command(
    cls=Command,
    short_help="Bring the state to another, empty database.",
    examples=[
        ("espo-advo state move postgresql://sync@db.example.org/sync", "from the file to a server"),
        ("espo-advo state move --url-file new-address", "the same, with a password that nobody sees"),
    ],
)
@click.argument("url", required=False)
@click.option("--url-file", type=FILE, help="Read the address from a file: a password on a command line can be seen.")
@yes_option
@global_options
@click.pass_obj
def move(options: Options, url: str | None, url_file: Path | None, yes: bool) -> int:
    """Bring the state to another, empty database.

    URL is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE. All of the state is
    moved, read back and compared, or nothing. The old place takes no write from then on, also
    from a serve that was left running, and keeps what it holds. Where it was interrupted, the
    same command ends it.
    """
    from bidisync_espo_advo.stating import move_command

    if (url is None) == (url_file is None):
        raise click.UsageError("give the new address, or --url-file")
    if url_file is not None:
        try:
            url = url_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured("the file that --url-file names can't be read") from error
    settings = options.settings()
    confirmed(yes, "Move the state? Nothing else may use it meanwhile.")
    return asyncio.run(move_command(settings, url=url or "", report=options.report))


@state.command(
    cls=Command,
    short_help="Bring all that is stored under another key.",
    examples=[
        ("espo-advo state rotate --new-key-file new.key", "from the key in the settings to that in the file"),
        ("espo-advo state rotate --no-key", "readable for everybody who may read the files"),
    ],
)
@click.option("--new-key-file", type=FILE, help="The new key: a long random text, alone in a file.")
@click.option("--no-key", is_flag=True, help="Store everything readable from now on.")
@yes_option
@global_options
@click.pass_obj
def rotate(options: Options, new_key_file: Path | None, no_key: bool, yes: bool) -> int:
    """Bring all that is stored from the key in the settings to a new one.

    Where it was interrupted, the same command goes on. Also encrypts a state that was not,
    and the other way round.
    """
    from bidisync_espo_advo.stating import rotate_command

    if (new_key_file is None) != no_key:
        raise click.UsageError("give --new-key-file, or --no-key")
    settings = options.settings()
    confirmed(yes, "Write the whole state anew? Nothing else may use it meanwhile.")
    return asyncio.run(rotate_command(settings, key_file=new_key_file, report=options.report))
