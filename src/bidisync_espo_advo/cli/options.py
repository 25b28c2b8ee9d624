"""What the commands share: the global options, the forms of often needed ones, and asking first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from bidisync_espo_advo.settings import Settings, load_settings

if TYPE_CHECKING:
    from bidisync_espo_advo.report import Report


@attrs.define
class Options:
    """The global options, wherever on the command line they stood."""

    config: Path | None = None
    as_json: bool = False

    def settings(self) -> Settings:
        """What the configuration says."""
        return load_settings(self.config)

    @property
    def report(self) -> Report:
        """Where results go."""
        from bidisync_espo_advo.report import Report

        return Report(self.as_json)


def global_options(command: Callable[..., Any]) -> Callable[..., Any]:
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


def values_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--show-values``: values are masked without it."""
    return click.option("--show-values", "shows", is_flag=True, help="Print values; else only which are equal.")(
        command
    )


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--yes`` of what can't be taken back: without a terminal it is needed."""
    return click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")(command)


def unasked_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--yes`` of what can be taken back: only a terminal asks."""
    return click.option("--yes", is_flag=True, help="Do not ask at a terminal.")(command)


def which_records(command: Callable[..., Any]) -> Callable[..., Any]:
    """``[ID …] [--all] [--side]``: what a pass looks at."""
    ids = click.argument("ids", nargs=-1, metavar="[ID …]")
    everything = click.option("--all", "everything", is_flag=True, help="Read both sides in full.")
    side = click.option("--side", type=click.Choice(["left", "right"]), help="Only changes seen on this side.")
    return ids(everything(side(command)))


def require_one_way(ids: tuple[str, ...], everything: bool, side: str | None) -> None:
    """Refuse records together with a pass."""
    if ids and (everything or side):
        raise click.UsageError("give records, or --all and --side, not both")


class Declined(click.ClickException):
    """A person was asked, and said no."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("nothing was done")


def confirmed(yes: bool, question: str, *, unasked: str = "nobody is there to ask: say --yes") -> None:
    """Ask a person at a terminal; without one, ``--yes`` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(unasked)
    if not click.confirm(question, err=True):
        raise Declined


def confirmed_at_a_terminal(yes: bool, question: str) -> None:
    """Ask whoever is there about what can be taken back; a script that names it exactly means it."""
    if sys.stdin.isatty():
        confirmed(yes, question)
