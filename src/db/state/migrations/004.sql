-- A record is what the feed last had (source_hash to ends_at), what we left in the target (href to form_hash), and where the
-- object stands with us (status to approved). The hash of an object is one now, its UID left out; that of the next pass
-- replaces what is carried over here, by reading the target (`form` of the subscription tells which records are older).
ALTER TABLE record RENAME TO old_record;

CREATE TABLE record (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    component    TEXT NOT NULL,
    uid          TEXT NOT NULL,
    source_hash  BLOB NOT NULL,
    summary      TEXT NOT NULL,
    start        TEXT NOT NULL,
    -- Seconds since 1970; never: the last second of the year 9999; unknown: NULL.
    ends_at      INTEGER,
    status       TEXT NOT NULL CHECK (status IN
        ('mirrored', 'removed', 'refused', 'occupied', 'kept', 'pinned', 'held', 'undeletable')),
    -- Where it stands, or is to stand.
    href         TEXT,
    target_uid   TEXT,
    -- What we left there; NULL: nothing. `form` tells what stands there instead; NULL: nothing, a person deleted it.
    sent_hash    BLOB,
    etag         TEXT,
    form         TEXT CHECK (form IN ('as sent', 'rewritten', 'overwrote')),
    form_hash    BLOB,
    -- Of a refusal, or whose object has the UID.
    reason       TEXT,
    since        INTEGER,
    tries        INTEGER,
    approved     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription, component, uid),
    CHECK ((status = 'occupied') = (href IS NULL)),
    CHECK (status NOT IN ('mirrored', 'removed', 'kept', 'pinned', 'held', 'undeletable') OR sent_hash IS NOT NULL),
    CHECK (status NOT IN ('mirrored', 'kept', 'pinned', 'held', 'undeletable') OR form IS NOT NULL),
    CHECK (status <> 'removed' OR form IS NULL),
    CHECK (form IS NULL OR sent_hash IS NOT NULL),
    CHECK (etag IS NULL OR form IS NOT NULL),
    CHECK ((form IN ('rewritten', 'overwrote')) IS (form_hash IS NOT NULL) OR form IS NULL),
    CHECK ((tries IS NOT NULL) = (status IN ('refused', 'undeletable')))
) WITHOUT ROWID;

-- Of what was refused, the form that stands in the target is not known: an empty hash is none.
INSERT INTO record
SELECT subscription, component, uid, content_hash, summary, start, NULL,
    CASE standing WHEN 'rejected' THEN 'refused' WHEN 'foreign' THEN 'occupied'
        WHEN 'doomed' THEN 'held' WHEN 'approved' THEN 'held' ELSE standing END,
    CASE WHEN standing <> 'foreign' THEN href END,
    CASE WHEN standing <> 'foreign' THEN target_uid END,
    CASE WHEN standing = 'foreign' OR standing = 'rejected' AND etag IS NULL THEN NULL
        WHEN standing = 'rejected' OR sent_hash = zeroblob(32) THEN zeroblob(32) ELSE content_hash END,
    CASE WHEN standing <> 'foreign' THEN etag END,
    CASE WHEN standing = 'foreign' OR standing = 'rejected' AND etag IS NULL THEN NULL
        WHEN server_hash IS NOT NULL THEN 'rewritten' WHEN restored_hash IS NOT NULL THEN 'overwrote' ELSE 'as sent' END,
    CASE WHEN standing = 'foreign' OR standing = 'rejected' AND etag IS NULL THEN NULL
        ELSE coalesce(server_hash, restored_hash) END,
    CASE WHEN standing <> 'foreign' THEN reason
        WHEN reason LIKE 'another subscription%' THEN 'subscription' ELSE 'different' END,
    since,
    CASE WHEN standing IN ('rejected', 'undeletable') THEN tries END,
    standing = 'approved'
FROM old_record;

-- How the hrefs of a subscription begin. New ones are made by chance; those that stand in its records stay its own. A
-- claimed one was found again by evidence, after the state was lost.
CREATE TABLE prefix (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    prefix       TEXT NOT NULL,
    claimed      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (subscription, prefix)
);

INSERT INTO prefix (subscription, prefix)
SELECT DISTINCT subscription, substr(href, 1, 9) FROM old_record
WHERE length(href) = 45 AND substr(href, 9, 1) = '-' AND substr(href, 42) = '.ics'
    AND substr(href, 1, 8) NOT GLOB '*[^0-9a-f]*' AND substr(href, 10, 32) NOT GLOB '*[^0-9a-f]*';

DROP TABLE old_record;

-- A collection at one end of a subscription, as the last pass left it: `a` is the source of a mirror, `b` its target.
CREATE TABLE ends (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    which        TEXT NOT NULL,
    address      TEXT,
    ctag         TEXT,
    sync_token   TEXT,
    last_written TEXT,
    looked_at    INTEGER,
    listed_at    INTEGER,
    PRIMARY KEY (subscription, which)
) WITHOUT ROWID;

INSERT INTO ends
SELECT id, 'b', address, ctag, sync_token, last_written, looked_at, listed_at FROM subscription;

-- What a pass was about to leave at an href: an object with this hash, or nothing (an empty hash). A row a write; it goes
-- when the record knows the outcome.
ALTER TABLE intent RENAME TO journal;

-- A pass that wrote and has not settled leaves no feed to compare with.
UPDATE subscription SET feed_body = NULL WHERE pending;

-- A person has said that what stands in the calendar is to be taken over.
ALTER TABLE subscription ADD COLUMN take_over INTEGER NOT NULL DEFAULT 0;

ALTER TABLE subscription ADD COLUMN held_for TEXT;
UPDATE subscription SET held_for = CASE WHEN held_reason LIKE 'the feed is empty%' THEN 'empty'
    WHEN held_reason LIKE '%could not be stored' THEN 'unstored' ELSE 'many' END
WHERE held_deletes IS NOT NULL;

UPDATE subscription SET failure_end = CASE failure_end WHEN 'source' THEN 'a' ELSE 'b' END
WHERE failure_end IS NOT NULL;

ALTER TABLE subscription DROP COLUMN address;
ALTER TABLE subscription DROP COLUMN ctag;
ALTER TABLE subscription DROP COLUMN sync_token;
ALTER TABLE subscription DROP COLUMN last_written;
ALTER TABLE subscription DROP COLUMN looked_at;
ALTER TABLE subscription DROP COLUMN listed_at;
ALTER TABLE subscription DROP COLUMN pending;

-- What earlier passes took out of a calendar and brought into it, of events that were still to come and of all: by this the
-- guards see a calendar that is emptied slowly.
CREATE TABLE tide (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL,
    component    TEXT NOT NULL,
    left_ahead   INTEGER NOT NULL,
    new_ahead    INTEGER NOT NULL,
    left_all     INTEGER NOT NULL,
    new_all      INTEGER NOT NULL,
    PRIMARY KEY (subscription, at, component)
) WITHOUT ROWID;

-- What passes overwrote or deleted, as it stood there.
CREATE TABLE aside (
    id           INTEGER PRIMARY KEY,
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL,
    what         TEXT NOT NULL CHECK (what IN ('overwritten', 'deleted')),
    component    TEXT,
    uid          TEXT,
    href         TEXT NOT NULL,
    text         BLOB NOT NULL
);
CREATE INDEX aside_by_time ON aside (at);
