"""What the packages promise is there, whatever was imported first, and nothing is loaded for nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from command import environment

FIRST = ["pass", "import bidisync.reconcile", "import bidisync.engine", "from bidisync import reconcile"]


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


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
