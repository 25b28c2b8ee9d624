"""How thoroughly properties are tested: a little here, the same every time in CI, long at night; and what was found."""

import os
from collections.abc import Iterator

import pytest
import stamina
from hypothesis import HealthCheck, Phase, Verbosity, settings

from watch import WATCH, watched

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=150,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "night",
    max_examples=int(os.environ.get("BIDISYNC_NIGHT_EXAMPLES", "8000")),
    deadline=None,
    verbosity=Verbosity.normal,
)
settings.register_profile(
    "mutants",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a mutant has only to be noticed
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=os.environ.get("BIDISYNC_LEAKS") == "1")
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """With ``python3 dev leaks``: no value and no secret is in what the test's run said or left behind."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield from watched(folder)
    found = WATCH.leaked()
    WATCH.count(request.node.nodeid, len(found))
    assert found == []


@pytest.fixture
def impatient() -> Iterator[None]:
    """Reads are tried again as often as ever, and at once; what is about the waiting itself is tested elsewhere."""
    with stamina.set_testing(True, attempts=8, cap=True):
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that passed tests printed, whatever process they ran in."""
    for report in terminalreporter.getreports("passed"):
        lines = report.capstdout.strip().splitlines() if report.when == "call" else []
        if lines:
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}:")
            for line in lines:
                terminalreporter.write_line(f"    {line}")
