"""Workers to be killed: imports once, then forks one for each line on stdin and prints its process id.

    python worker.py CONFIG LOG

A worker opens a sync with the settings of CONFIG and polls until it is killed; what concerns
a whole system is an error that it goes on after. Anything else ends it, with a trace in LOG.
When stdin ends, so do the workers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from bidisync.errors import SyncError
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.settings import load_settings


async def work(settings: Settings) -> None:
    """Poll, and now and then read everything, for ever."""
    passes = os.getpid()  # so that not all workers read everything at the same time
    while True:
        with suppress(SyncError):
            async with open_sync(settings) as sync:
                while True:
                    passes += 1
                    await sync.sweep(everything=passes % 7 == 0, rounds=1)
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)


def main(config: str, log: str) -> None:
    """Fork on demand."""
    logging.getLogger("stamina").disabled = True
    settings = load_settings(Path(config))
    alive: set[int] = set()
    for _ in sys.stdin:
        for pid in list(alive):
            if os.waitpid(pid, os.WNOHANG)[0]:
                alive.discard(pid)
        pid = os.fork()
        if pid == 0:
            out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for number, file in ((0, nothing), (1, out), (2, out)):
                os.dup2(file, number)
            try:
                asyncio.run(work(settings))
            finally:
                sys.stderr.flush()
        alive.add(pid)
        print(pid, flush=True)
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
