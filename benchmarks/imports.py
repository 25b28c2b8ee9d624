"""What it costs to import a step: a process of Motia lives for one call, so it pays for this every time.

    python3 dev bench imports

CPU time of fresh interpreters above a bare one, as ratios to `import aiohttp` of the same run;
the best of several turns, taken in turns. An import of a step that needs no HTTP client is
compared with half of aiohttp's: that is what 100 ms are where aiohttp takes 200. All modules
are compiled before that, into a folder of this run, as they are where a wheel was installed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping

TURNS = 9
STEPS = {
    "bare interpreter": "pass",
    "import aiohttp": "import aiohttp",
    "webhook step": "from bidisync_espo_advo.motia import take_webhook",
    "cron step": "from bidisync_espo_advo.motia import tick",
    "event step": "from bidisync_espo_advo.motia import sync_event",
    "event step, with what a call loads": (
        "from bidisync_espo_advo.motia import sync_event; import bidisync.stores.sqlite, cattrs, tomllib;"
        "import bidisync.locks.redis; import cryptography.hazmat.primitives.ciphers.aead"
    ),
    "redis-py, which is part of that": "import redis.asyncio",
}
ALLOWED = {"webhook step": 0.5, "cron step": 0.5, "event step": 1.3}


def compiled(folder: str) -> dict[str, str]:
    """An environment in which bytecode is kept in that folder."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**clean, "PYTHONPYCACHEPREFIX": folder}


def cost(code: str, env: Mapping[str, str]) -> float:
    """CPU seconds of an interpreter that does this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=env)  # noqa: S603 - our own texts
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def costs(turns: int = TURNS) -> dict[str, float]:
    """The least CPU seconds of each import."""
    best = {name: float("inf") for name in STEPS}
    with tempfile.TemporaryDirectory() as folder:
        env = compiled(folder)
        for code in STEPS.values():
            cost(code, env)
        for _ in range(turns):
            for name, code in STEPS.items():
                best[name] = min(best[name], cost(code, env))
    return best


def main() -> int:
    """Print the ratios; 1 if one is above what is allowed."""
    best = costs()
    bare = best["bare interpreter"]
    floor = best["import aiohttp"] - bare
    status = 0
    for name, seconds in best.items():
        ratio, allowed = (seconds - bare) / floor, ALLOWED.get(name)
        goal = "" if allowed is None else f", at most {allowed:.2f}: {'reached' if ratio <= allowed else 'not reached'}"
        print(f"{name:42} {ratio:5.2f} x aiohttp ({(seconds - bare) * 1000:.0f} ms of CPU here{goal})")
        status |= int(allowed is not None and ratio > allowed)
    return status


if __name__ == "__main__":
    sys.exit(main())
