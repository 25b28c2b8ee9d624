CREATE TABLE link (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    document TEXT NOT NULL,
    revision INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    intent INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX link_state ON link (state);
CREATE INDEX link_intent ON link (intent) WHERE intent = 1;
CREATE INDEX link_due ON link (due) WHERE due = 1;
CREATE TABLE record (
    side TEXT NOT NULL,
    id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    PRIMARY KEY (side, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_link ON record (link_id);
CREATE TABLE journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX journal_link ON journal (link_id, number);
CREATE TABLE known (
    side TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (side, id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_hash ON known (side, name, hash);
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
