"""The command ``completion``: what a shell needs to complete command lines of ``espo-advo``."""

from __future__ import annotations

import json

import click
from click.shell_completion import CompletionItem, get_completion_class

from bidisync.errors import Misconfigured
from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, global_options

PROGRAM, VARIABLE = "espo-advo", "_ESPO_ADVO_COMPLETE"
TAKES = ("left", "right", "base", "merged")


@click.command(
    cls=Command,
    short_help="Print what bash, zsh or fish needs to complete this command.",
    examples=[
        ("espo-advo completion bash > ~/.espo-advo.bash", "then in ~/.bashrc: source ~/.espo-advo.bash"),
        ("espo-advo completion zsh > ~/.espo-advo.zsh", "then in ~/.zshrc: source ~/.espo-advo.zsh"),
        ("espo-advo completion fish > ~/.config/fish/completions/espo-advo.fish", "is all that fish needs"),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_options
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes commands, options and their values in a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise Misconfigured(f"there is no completion for {shell}")
    script = kind(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    print(json.dumps({"shell": shell, "script": script}) if context.ensure_object(Options).as_json else script)
    return 0


def field_groups(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The field groups that begin like this."""
    from bidisync_espo_advo.fields import GROUPS

    return [CompletionItem(name) for name in GROUPS if name.startswith(begun)]


def takes(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Whose values ``--take`` may name; for anything else, files."""
    known = [CompletionItem(name) for name in TAKES if name.startswith(begun)]
    return known or [CompletionItem(begun, type="file")]
