-- Where the target of a subscription was found, for one calendar can be written in many ways; and the object of ours
-- that was written last.
ALTER TABLE subscription ADD COLUMN address TEXT;
ALTER TABLE subscription ADD COLUMN last_written TEXT;
UPDATE subscription SET address =
    coalesce((SELECT url FROM calendar WHERE calendar.target = subscription.target), target);

-- What a pass was about to leave at an href when it was cut off: an object with this hash, or nothing (an empty hash).
CREATE TABLE intent (
    subscription INTEGER NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    href         TEXT NOT NULL,
    hash         BLOB NOT NULL,
    PRIMARY KEY (subscription, href, hash)
) WITHOUT ROWID;
