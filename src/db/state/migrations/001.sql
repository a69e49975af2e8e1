-- A subscription and what the last passes over it left. Moments are seconds since 1970, hashes are 32 octets.
CREATE TABLE subscription (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL,
    target          TEXT NOT NULL,
    source          BLOB,
    settings        BLOB,
    form            INTEGER,
    feed_etag       TEXT,
    feed_modified   TEXT,
    feed_body       BLOB,
    feed_digest     BLOB,
    feed_objects    INTEGER,
    feed_read_at    INTEGER,
    ctag            TEXT,
    sync_token      TEXT,
    looked_at       INTEGER,
    listed_at       INTEGER,
    started_at      INTEGER,
    settled_at      INTEGER,
    pending         INTEGER NOT NULL DEFAULT 0,
    next_change_at  INTEGER,
    failures        INTEGER NOT NULL DEFAULT 0,
    failing_since   INTEGER,
    retry_at        INTEGER,
    failure_kind    TEXT,
    failure_message TEXT,
    failure_said_at INTEGER,
    held_deletes    INTEGER,
    held_reason     TEXT,
    held_said_at    INTEGER,
    UNIQUE (name, target)
);

-- An object of the feed: where it stands with us. `etag` is null when nothing of ours stands on the target.
CREATE TABLE record (
    subscription  INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    component     TEXT NOT NULL,
    uid           TEXT NOT NULL,
    target_uid    TEXT,
    href          TEXT NOT NULL,
    etag          TEXT,
    source_hash   BLOB NOT NULL,
    sent_hash     BLOB NOT NULL,
    server_hash   BLOB,
    content_hash  BLOB NOT NULL,
    restored_hash BLOB,
    start         TEXT NOT NULL,
    summary       TEXT NOT NULL,
    standing      TEXT NOT NULL,
    reason        TEXT,
    since         INTEGER,
    PRIMARY KEY (subscription, component, uid)
) WITHOUT ROWID;

-- An object of the target that is not ours, so that its UID need not be read again.
CREATE TABLE foreign_object (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    href         TEXT NOT NULL,
    etag         TEXT NOT NULL,
    component    TEXT,
    uid          TEXT,
    PRIMARY KEY (subscription, href)
) WITHOUT ROWID;

-- What discovery found behind a target, and the last challenge of its server; dropped on the first surprise.
CREATE TABLE calendar (
    target        TEXT PRIMARY KEY,
    url           TEXT NOT NULL,
    server        TEXT NOT NULL,
    can_sync      INTEGER NOT NULL,
    auto_schedule INTEGER NOT NULL,
    components    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE challenge (
    server TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) WITHOUT ROWID;
