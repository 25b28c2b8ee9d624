"""Help that reads like a page of a manual: commands by what they are for, and examples for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

EXIT_STATUS = (
    ("0", "everything asked for is in sync"),
    ("1", "done, but something waits for a person, or failed"),
    ("2", "the call, the configuration or the credentials are wrong; nothing was written"),
    ("3", "a system, the state or the lock could not be reached; nothing half-done is lost"),
    ("130, 143", "stopped; what was done is kept"),
)


class Command(click.Command):
    """A command with examples: pairs of a command line and what it does."""

    def __init__(self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.examples = examples

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, below the options."""
        with formatter.section("Examples"):
            for line, does in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
                with formatter.indentation(), formatter.indentation():
                    formatter.write_text(does)


class Family(Command, click.Group):
    """Commands under a common name, with examples for all of them."""


class Pages(click.Group):
    """The command itself: its commands stand under what they are for."""

    def __init__(self, *arguments: Any, sections: Mapping[str, Sequence[click.Command]] = {}, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.sections = sections
        for command in (command for section in sections.values() for command in section):
            self.add_command(command)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with one line, by section; what was added later stands last."""
        shown = {name: list(section) for name, section in self.sections.items()}
        named = {command.name for section in shown.values() for command in section}
        shown["More"] = [command for name, command in self.commands.items() if name not in named]
        for title, commands in shown.items():
            if commands:
                with formatter.section(title):
                    formatter.write_dl([(command.name or "", command.get_short_help_str(70)) for command in commands])

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit status says, and where to read on."""
        with formatter.section("Exit status"):
            formatter.write_dl(EXIT_STATUS)
        formatter.write_paragraph()
        formatter.write_text(f"{context.command_path} COMMAND --help shows examples of a command.")
