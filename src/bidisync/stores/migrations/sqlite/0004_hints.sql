CREATE TABLE hint (
    side TEXT NOT NULL,
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    not_before REAL NOT NULL,
    taken_until REAL NOT NULL,
    PRIMARY KEY (side, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hint_first ON hint (first_at, side, id);
