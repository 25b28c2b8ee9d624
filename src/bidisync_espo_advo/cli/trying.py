"""The commands to try it with: ``demo`` and ``simulate``."""

from __future__ import annotations

import asyncio
import json
import signal

import click

from bidisync.errors import Misconfigured, Unavailable
from bidisync_espo_advo.cli.help import Command
from bidisync_espo_advo.cli.options import Options, global_options


@click.command(
    cls=Command,
    short_help="Watch a sync between two simulated systems.",
    examples=[
        ("espo-advo demo", "200 parties, edits on both sides, and what the sync makes of them"),
        ("espo-advo demo --serve", "keep everything running, to look around"),
        ("espo-advo demo --hostile", "the same while Advoware misbehaves"),
    ],
)
@click.option(
    "--records",
    metavar="N",
    type=click.IntRange(0, 100_000),
    default=200,
    show_default=True,
    help="So many parties in EspoCRM.",
)
@click.option("--seed", metavar="S", type=int, default=0, show_default=True, help="The same seed, the same demo.")
@click.option(
    "--port", metavar="PORT", type=click.IntRange(0, 65_534), default=0, help="First of two ports; 0: free ones."
)
@click.option("--serve", "serves", is_flag=True, help="Keep simulators, worker and site running afterwards.")
@click.option("--hostile", is_flag=True, help="The simulated Advoware misbehaves.")
@global_options
@click.pass_obj
def demo(options: Options, records: int, seed: int, port: int, serves: bool, hostile: bool) -> int:
    """Watch parties flow both ways between two simulated systems, over real HTTP."""
    from bidisync_espo_advo.demo import demo_command

    return asyncio.run(
        demo_command(records=records, seed=seed, port=port, report=options.report, serve=serves, hostile=hostile)
    )


@click.command(
    cls=Command,
    short_help="Run one simulated system as a server.",
    examples=[
        ("espo-advo simulate espocrm --records 50", "an EspoCRM with 50 parties"),
        ("espo-advo simulate advoware --records 50 --shared 40", "an Advoware with 40 of them, and ten others"),
        ("espo-advo simulate advoware --switch post.reply=bare_int", "an Advoware that answers a create with a number"),
    ],
)
@click.argument("system", type=click.Choice(["espocrm", "advoware"]))
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65_535), default=0, help="0: a free one.")
@click.option(
    "--records", metavar="N", type=click.IntRange(0, 100_000), default=0, show_default=True, help="So many parties."
)
@click.option("--seed", metavar="S", type=int, default=0, show_default=True, help="The same seed, the same parties.")
@click.option(
    "--shared", metavar="N", type=click.IntRange(0), default=0, help="advoware: so many are EspoCRM's first parties."
)
@click.option(
    "--alike", metavar="N", type=click.IntRange(0), default=0, help="advoware: so many more, without birth date."
)
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="A behaviour; may be repeated.")
@global_options
def simulate(
    system: str, port: int, records: int, seed: int, shared: int, alike: int, switches: tuple[str, ...]
) -> int:
    """Run one simulated system as a server; prints a JSON line when it is ready."""
    named = {}
    for switch in switches:
        name, equals, value = switch.partition("=")
        if not equals:
            raise click.UsageError(f"--switch takes NAME=VALUE, not {switch!r}")
        named[name] = value
    if system == "espocrm" and (shared or alike):
        raise click.UsageError("--shared and --alike are for advoware: EspoCRM's parties are the first of the seed")
    return asyncio.run(_simulate(system, port, records, seed, named, shared, alike))


async def _simulate(
    system: str, port: int, records: int, seed: int, switches: dict[str, str], shared: int, alike: int
) -> int:
    from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator

    server: AdvowareServer | EspoServer
    try:
        if system == "espocrm":
            server = espocrm_simulator(records=records, seed=seed, port=port, switches=switches)
        else:
            server = advoware_simulator(
                records=records, seed=seed, port=port, switches=switches, shared=shared, alike=alike
            )
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
