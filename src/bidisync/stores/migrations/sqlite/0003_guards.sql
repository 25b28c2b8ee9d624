ALTER TABLE link ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE link ADD COLUMN watch INTEGER NOT NULL DEFAULT 0;
CREATE INDEX link_waits ON link (waits) WHERE waits = 1;
CREATE INDEX link_watch ON link (watch) WHERE watch = 1;
CREATE TABLE act (
    at REAL NOT NULL,
    name TEXT NOT NULL,
    link_id TEXT NOT NULL
) STRICT;
CREATE INDEX act_at ON act (at);
UPDATE link SET document = json_set(
    json_remove(document, '$.tombstoned'),
    '$.tombstone', json('{"at":0.0}')
) WHERE json_extract(document, '$.tombstoned') = 1;
UPDATE link SET waits = 1 WHERE state IN ('gone', 'dead', 'review', 'conflict', 'blocked', 'held');
