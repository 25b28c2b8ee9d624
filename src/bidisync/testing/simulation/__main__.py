"""``python -m bidisync.testing.simulation``: two remotes in memory."""

from bidisync.testing.simulation.command import exit_with
from bidisync.testing.simulation.pairs import PAIRS

if __name__ == "__main__":
    exit_with(PAIRS)
