"""What is told of a run: right numbers, names that exist, and nothing of a person or a secret."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import sys
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bidisync.clock import SystemChance
from bidisync.desk import Desk
from bidisync.errors import Misconfigured, SyncError
from bidisync.events import CallOutcome, CircuitMoved, Failed, Noticed, Passed, Served, SystemFailed, Told, Wrote
from bidisync.model import LinkState, Ref, Side
from bidisync.observe.log import JsonLines, Logged, Pseudonyms
from bidisync.observe.metrics import Metrics
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo.app import open_sync
from bidisync_espo_advo.notifying import advice, body, subject
from bidisync_espo_advo.simulators.server import FaultRule
from office import opened

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
NAME = re.compile(r"\bbidisync_[a-z_]+\b")
CANARY = "Kanarienvögel-Åß"
RARE = (
    CircuitMoved("espocrm", True),
    Served(Ref(Side.LEFT, "a"), 1.0),
    Told("dead", "espocrm", 1),
    Noticed(Ref(Side.LEFT, "a"), "title", "unknown_code"),
    Failed(Ref(Side.LEFT, "a"), "left:a", "rejected", 1, 0.0),
    SystemFailed("espocrm", "unavailable"),
)


def samples(text):
    """Every sample by name and labels, as a real parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(found, name, **labels):
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


async def scraped(*more):
    """The metrics of a run in which ten parties arrive, one is edited and one comes into conflict."""
    metrics, events = Metrics.open(intervals={"poll": 60.0, "full": 86_400.0}), []
    store = MemoryStore()
    groups = {"stammdaten": {"strategy": "review"}}
    async with opened(crm_records=10, groups=groups) as office:
        metrics.watch(store)
        async with open_sync(office.settings, store=store, observers=[metrics.observer, events.append]) as sync:
            await sync.sweep(everything=True)
            ids = sorted(office.crm.store.records)
            office.crm.store.edit(ids[0], titel="Dr.")
            await sync.sync(f"left:{ids[0]}")
            office.crm.store.edit(ids[1], zusatz="one")
            office.erp.store.edit(office.crm.store.records[ids[1]]["betnr"], zusatz="other")
            await sync.sync(f"left:{ids[1]}")
            calls = sync.calls
        for event in more:
            metrics.observer(event)
        found = await metrics.scrape()
    metrics.close()
    return found, events, calls


async def test_the_metrics_of_a_known_run_are_right():
    text, events, calls = await scraped()
    found = samples(text)
    assert value(found, "bidisync_writes_total", side="right", verb="create") == 10
    assert value(found, "bidisync_writes_total", side="right", verb="update") == 1
    assert value(found, "bidisync_conflicts_total", what="opened") == 1
    assert value(found, "bidisync_conflicts_total", what="settled") == 0
    assert value(found, "bidisync_links", state="in_sync") == 9
    assert value(found, "bidisync_links", state="conflict") == 1
    assert value(found, "bidisync_reviews_open") == 1
    assert value(found, "bidisync_pass_records_total", kind="full") == 10
    assert value(found, "bidisync_passes_total", kind="full", reason="") == 1
    assert value(found, "bidisync_last_pass_timestamp_seconds", kind="full") > 1.7e9
    assert value(found, "bidisync_hints_waiting") == 0
    assert value(found, "bidisync_record_duration_seconds_count", state="in_sync") == 11
    assert value(found, "bidisync_edit_lag_seconds_count", side="right") == 1, "the old stock is no lag"
    assert value(found, "bidisync_edit_lag_seconds_sum", side="right") < 10
    for system, verbs in calls.items():
        for verb, number in verbs.items():
            assert number == sum(
                count
                for (name, labels), count in found.items()
                if name == "bidisync_calls_total" and {("system", system), ("verb", verb)} <= set(labels)
            )
    runs = {event.run for event in events if isinstance(event, Passed | Wrote)}
    assert len(runs) == 2
    assert all(runs)


async def test_labels_come_from_small_sets_and_never_name_a_record():
    text, _, _ = await scraped(*RARE)
    labels = {pair for _, labels in samples(text) for pair in labels if pair[0] != "le"}
    assert {name for name, _ in labels} <= {
        "state", "reason", "what", "side", "verb", "system", "outcome", "kind", "code", "channel",
    }  # fmt: skip
    assert not [text for _, text in labels if re.search(r"\d{3}|[0-9a-f]{12}", text)]


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yaml"])
async def test_dashboard_and_alerts_load_and_name_only_metrics_that_exist(file):
    text = (DASHBOARDS / file).read_text()
    document = json.loads(text) if file.endswith("json") else yaml.safe_load(text)
    if file == "grafana.json":
        used = {target["expr"] for panel in document["panels"] for target in panel["targets"]}
    else:
        used = {rule["expr"] for group in document["groups"] for rule in group["rules"]}
    scrape, _, _ = await scraped(*RARE)
    there = {name for name, _ in samples(scrape)}
    named = {name for expression in used for name in NAME.findall(expression)}
    assert named
    assert named <= there
    if file == "grafana.json":
        exported = {name for name in there if not name.endswith(("_count", "_sum", "_created"))}
        assert exported - named == {"bidisync_pass_interval_seconds"}, "everything is shown somewhere"


def expressions():
    """Every expression of the dashboard and of the alert rules."""
    panels = json.loads((DASHBOARDS / "grafana.json").read_text())["panels"]
    groups = yaml.safe_load((DASHBOARDS / "alerts.yaml").read_text())["groups"]
    return [target["expr"] for panel in panels for target in panel["targets"]] + [
        rule["expr"] for group in groups for rule in group["rules"]
    ]


async def test_every_label_and_every_value_that_an_expression_asks_for_exists():
    text, _, _ = await scraped(*RARE)
    labels = {}
    for name, pairs in samples(text):
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    values = {
        "state": {state.value for state in LinkState},
        "outcome": set(get_args(CallOutcome)) | {"failed", "ok"},
        "what": {"opened", "closed", "settled"},
    }
    for expression in expressions():
        assert expression.count("(") == expression.count(")"), expression
        of_these = set().union(*(labels[name] for name in NAME.findall(expression)))
        asked = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        matched = re.findall(r'(\w+)=~?"([^"]*)"', expression)
        assert asked | {label for label, _ in matched} <= of_these, expression
        for label, wanted in matched:
            assert set(wanted.split("|")) <= values[label], expression


async def test_every_alert_says_how_bad_it_is_and_what_to_do():
    document = yaml.safe_load((DASHBOARDS / "alerts.yaml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "what_to_do"} <= set(rule["annotations"])
        named = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
        assert all(f"by ({label})" in rule["expr"] for label in named), rule["alert"]


def forms(secret):
    """The spellings in which a text might leak."""
    raw = secret.encode()
    yield secret
    yield quote(secret)
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(raw).decode().rstrip("=")[:-1]
    yield raw.hex()


async def test_a_noisy_run_leaks_neither_values_nor_secrets_nor_ids(caplog):
    caplog.set_level(logging.DEBUG)
    lines = logging.StreamHandler(told := io.StringIO())
    lines.setFormatter(JsonLines())
    logging.getLogger().addHandler(lines)
    metrics, store, notices = Metrics.open(), MemoryStore(), []

    class Kept:
        async def notify(self, notice):
            notices.append(f"{subject(notice)}\n{body(notice)}\n{notice!r}")

    metrics.watch(store)
    try:
        async with opened(crm_records=12, groups={"stammdaten": {"strategy": "review"}}) as office:
            settings, desk = office.settings, None
            logged = Logged(await Pseudonyms.of(store, SystemChance()))
            desk = Desk(store=store, clock=metrics._clock, channels={"kept": Kept()}, advise=advice, every_s=0.0)
            async with open_sync(settings, store=store, observers=[logged, metrics.observer, desk.reach]) as sync:
                await sync.sweep(everything=True)
                ids = sorted(office.crm.store.records)
                for n, id in enumerate(ids[:6]):
                    office.crm.store.edit(id, zusatz=f"{CANARY} {n}")
                    office.erp.store.edit(office.crm.store.records[id]["betnr"], zusatz=f"{CANARY} other {n}")
                office.crm.store.edit(ids[6], titel=CANARY)
                office.erp.control.rules.append(FaultRule("status", method="PUT", status=500, times=3))
                await sync.sweep()
                office.erp.control.rules.append(FaultRule("status", times=200))
                try:
                    await sync.sync(f"left:{ids[7]}")
                    await sync.sweep(everything=True)
                except SyncError as error:
                    logging.getLogger("bidisync").exception("the pass ended")
                    desk.reach.heard["advoware"] = error.reason
                desk.down_after_s = 0.0
                await desk.look()
            people = [record[k] for record in office.crm.store.records.values() for k in ("lastName", "dateOfBirth")]
    finally:
        logging.getLogger().removeHandler(lines)
    everything = "\n".join([told.getvalue(), *notices, (await metrics.scrape()).decode()])
    assert "a write was acknowledged" in everything
    assert "warten auf eine Entscheidung" in everything
    secrets = [settings.espocrm.api_key, settings.advoware.password, settings.advoware.api_key, CANARY]
    for text in [*secrets, *filter(None, people)]:
        for form in forms(text):
            assert form not in everything, "a value or a secret leaked"
    lines_told = told.getvalue()
    assert not [id for id in ids if id in lines_told], "logs name records by pseudonyms alone"
    runs = {json.loads(line).get("run") for line in lines_told.splitlines()} - {None}
    assert len(runs) >= 3, "each pass and each hint has its own"


async def test_pseudonyms_are_the_same_in_every_process_over_one_state_and_others_elsewhere():
    one, other = MemoryStore(), MemoryStore()
    first, again = await Pseudonyms.of(one, SystemChance()), await Pseudonyms.of(one, SystemChance())
    elsewhere = await Pseudonyms.of(other, SystemChance())
    assert first("left:a") == again("left:a") != elsewhere("left:a")


def test_without_the_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.prometheus", None)
    with pytest.raises(Misconfigured, match=r"bidisync\[metrics\]"):
        Metrics.open()


def test_a_flood_of_codes_ends_as_other():
    metrics = Metrics.open()
    for n in range(150):
        metrics.observer(Failed(Ref(Side.LEFT, "a"), "left:a", f"code_{n}", 1, 0.0))
    found = [key for key in samples(metrics.render()) if key[0] == "bidisync_failures_total"]
    metrics.close()
    assert len(found) == 101
