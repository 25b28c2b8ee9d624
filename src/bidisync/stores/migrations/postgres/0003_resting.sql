ALTER TABLE record ADD COLUMN token TEXT COLLATE "C";
CREATE INDEX record_unknown ON record (link_id) WHERE token IS NULL;
CREATE INDEX act_name ON act (name, at, link_id);
