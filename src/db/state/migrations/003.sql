-- How often a refused object was tried; 0: it was refused by us and is not tried at all. What older versions recorded is
-- tried again soon.
ALTER TABLE record ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
UPDATE record SET tries = 1 WHERE standing IN ('rejected', 'undeletable');

-- When a person asked for the next pass (`approve`, `retry`).
ALTER TABLE subscription ADD COLUMN asked_at INTEGER;
-- At which end a failure was, until when the server asked us to stay away, and the files that the settings, secrets and
-- certificates came from, as they were then.
ALTER TABLE subscription ADD COLUMN failure_end TEXT;
ALTER TABLE subscription ADD COLUMN failure_until INTEGER;
ALTER TABLE subscription ADD COLUMN failure_inputs BLOB;
-- How many objects of the feed are not in the target.
ALTER TABLE subscription ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;

-- An object whose write failed, while nothing showed whether the object or the server was the cause: how often it
-- failed, and how often the server did not answer at all.
CREATE TABLE suspect (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    component    TEXT NOT NULL,
    uid          TEXT NOT NULL,
    failed       INTEGER NOT NULL,
    hung         INTEGER NOT NULL,
    PRIMARY KEY (subscription, component, uid)
) WITHOUT ROWID;

-- Whether a server obeys If-Match and If-None-Match; NULL: not found out yet.
ALTER TABLE calendar ADD COLUMN obeys INTEGER;

-- 'BAIK': how the program knows its own files.
PRAGMA application_id = 1111574859;
