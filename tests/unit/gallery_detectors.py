"""Wrong detectors, each with the words that tell it."""

from __future__ import annotations

from bidisync import ABSENT, Change
from bidisync.detectors import ByContent, by_version
from bidisync.schema import exact
from bidisync.testing.detectors import NAMES

BY_CONTENT = ByContent(dict.fromkeys(NAMES, exact))


# Detectors


def counts_what_was_not_delivered(shadow, snapshot):
    moved = {name for name in NAMES if snapshot.fields[name] != shadow.fields[name]}
    return Change(snapshot, frozenset(moved | (snapshot.unreadable ^ shadow.unreadable)))


def takes_no_version_for_the_same(shadow, snapshot):
    return Change(snapshot, frozenset()) if snapshot.version == shadow.version else BY_CONTENT(shadow, snapshot)


def trusts_every_time_stamp(shadow, snapshot):
    same = snapshot.modified_at is not None and snapshot.modified_at == shadow.modified_at
    return Change(snapshot, frozenset()) if same else BY_CONTENT(shadow, snapshot)


def takes_a_moved_token_for_a_change(shadow, snapshot):
    if snapshot.version is None or snapshot.version == shadow.version:
        return by_version(shadow, snapshot)
    return Change(snapshot, frozenset(name for name in NAMES if snapshot.fields[name] is not ABSENT))


def overlooks_the_unreadable(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    return Change(snapshot, found.fields - (snapshot.unreadable ^ shadow.unreadable))


def looks_at_the_first_field(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    return Change(snapshot, found.fields & frozenset(NAMES[:1] if not snapshot.unreadable else NAMES))


def answers_yes_or_no(shadow, snapshot):
    return bool(BY_CONTENT(shadow, snapshot))


def forgets_what_it_saw(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    shadow.fields.clear()
    return found


def never_knows(shadow, snapshot):
    return None


DETECTORS = (
    (counts_what_was_not_delivered, "not delivered counts as a change"),
    (takes_no_version_for_the_same, "the change of a field is missed"),
    (trusts_every_time_stamp, "the edit came soon after the look"),
    (takes_a_moved_token_for_a_change, "or none at all, counts as a change"),
    (overlooks_the_unreadable, "it can't be read any more, or again"),
    (looks_at_the_first_field, "the change of a field is missed"),
    (answers_yes_or_no, "the answer is bool and no Change"),
    (forgets_what_it_saw, "the detector changes what it is shown"),
    (never_knows, "a detector that always knows answers None"),
)
