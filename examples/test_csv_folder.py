"""The file of ``08_csv_folder.py`` keeps what a replica promises, and every law in simulated runs."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bidisync import Field, Group, Identity, Policy, Records, Side, Unavailable, prefer_left
from bidisync.testing import Examples, Trial, check_replica, store_trial
from bidisync.testing.simulation import Pair, simulate

CsvFile: Callable[[Path], Records] = importlib.import_module("08_csv_folder").CsvFile


def fresh(folder: Path) -> Records:
    (folder / "people.csv").write_text("id,name,title,remark\n")
    return CsvFile(folder / "people.csv")


async def test_the_file_keeps_what_a_replica_promises(tmp_path: Path) -> None:
    async def trial() -> Trial:
        return store_trial(fresh(tmp_path), ["name", "title"])

    people = [{"name": "Ahorn", "title": "Dr."}, {"name": "Birke", "title": "Prof."}]
    examples = Examples(records=people, texts=["name", "title"], unmapped={"remark": "by phone"}, nobody="0")
    assert len((await check_replica(trial, examples)).kept) > 25


def test_every_law_holds_in_simulated_runs(tmp_path: Path) -> None:
    policy = Policy([Field("name", "g"), Field("title", "g")], [Group("g", strategy=prefer_left)])
    stores = {Side.RIGHT: lambda: fresh(tmp_path)}
    pair = Pair(policy=policy, identity=Identity(strong=(("name",),)), edited=("title",), stores=stores)
    for seed in range(12):
        assert not (run := simulate(pair, seed)).violations, run.violations


@pytest.mark.parametrize("content", ["", "id,name\n1,Ah", "id,name\n1\n", "id,name\n1,A\n1,B\n"])
def test_a_file_that_is_half_there_is_not_empty(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "people.csv").write_text(content)
    with pytest.raises(Unavailable):
        CsvFile(path).all()
