"""``python -m bidisync.testing.simulation``: two remotes in memory."""

from bidisync.conflicts import prefer_left
from bidisync.identity import Identity
from bidisync.schema import Field, Group, Policy
from bidisync.testing.simulation.command import exit_with
from bidisync.testing.simulation.plain import Pair

POLICY = Policy(
    [Field("name", "g", required=True), Field("a", "g"), Field("b", "g"), Field("c", "h")],
    [Group("g", strategy=prefer_left), Group("h")],
)


def pair() -> Pair:
    """Two groups, one that the left side wins and one that a person settles."""
    return Pair(policy=POLICY, identity=Identity(strong=(("name",),)), edited=("a", "b", "c"))


if __name__ == "__main__":
    exit_with({"pair": pair})
