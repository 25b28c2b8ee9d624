"""What the packages promise is there, whatever was imported first, and nothing is loaded for nothing."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from command import environment

FIRST = ["pass", "import bidisync.reconcile", "import bidisync.engine", "from bidisync import reconcile"]


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("first", FIRST)
def test_every_public_name_is_there_and_no_module_in_its_place(first):
    code = (
        f"{first}\nimport bidisync, types\n"
        "names = {name: getattr(bidisync, name) for name in bidisync.__all__}\n"
        "print([name for name, value in names.items() if isinstance(value, types.ModuleType)], len(names))"
    )
    assert printed(code).startswith("[] ")


def test_reconcile_is_the_function_as_soon_as_its_module_is_loaded():
    code = "import bidisync.reconcile as it; from bidisync import reconcile; print(it is reconcile, callable(it))"
    assert printed(code) == "True True"


@pytest.mark.parametrize("package", ["bidisync", "bidisync_espo_advo", "bidisync_espo_advo.motia"])
def test_a_package_alone_loads_nothing_heavy_and_refuses_what_it_does_not_have(package):
    heavy = {"attrs", "aiohttp", "asyncio"}
    code = f"import sys, {package} as p; print(sorted({heavy} & set(sys.modules)), hasattr(p, 'no'))"
    assert printed(code) == "[] False"


@pytest.mark.parametrize("package", ["bidisync_espo_advo", "bidisync_espo_advo.motia"])
def test_every_name_that_a_package_promises_can_be_had(package):
    assert printed(f"import {package} as p; print(all(getattr(p, name) for name in p.__all__))") == "True"


def test_a_webhook_is_proven_without_a_client():
    assert printed("import sys, bidisync_espo_advo.webhook; print('asyncio' in sys.modules)") == "False"


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("take_webhook", "asyncio aiohttp cattrs tomllib"),
        ("tick", "asyncio aiohttp cattrs tomllib redis"),
        (
            "sync_event",
            "stamina tenacity cattrs tomllib sqlite3 redis phonenumbers email_validator stdnum click rich "
            "cryptography psycopg docket opentelemetry bidisync.sweep bidisync.rehearsal bidisync.stores.memory",
        ),
    ],
)
def test_importing_a_step_loads_nothing_that_not_every_call_needs(name, unused):
    code = f"import sys; from bidisync_espo_advo.motia import {name}; print(set('{unused}'.split()) & set(sys.modules))"
    assert printed(code) == "set()"


def test_importing_a_step_costs_little_beside_an_http_client():
    """The goals stand in ``benchmarks/imports.py``; this bound is wide: a busy machine, and nothing compiled before."""
    codes = {"bare": "pass", "aiohttp": "import aiohttp", "step": "from bidisync_espo_advo.motia import sync_event"}
    spent = {name: min(cpu_seconds(code) for _ in range(2)) for name, code in codes.items()}
    assert (spent["step"] - spent["bare"]) / (spent["aiohttp"] - spent["bare"]) < 3.5, spent
