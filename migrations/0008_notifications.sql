-- Notifications: who is still to be told of what, and how often whom was.

-- One row for each message that a target has not taken yet.
CREATE TABLE notifications (
    target        TEXT   NOT NULL,
    -- The message's own id, the same each time that it is sent.
    id            TEXT   NOT NULL,
    -- What it is about, by its word; when that happened; and what is said of it (JSON).
    kind          TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    notice        TEXT   NOT NULL,
    -- When it is sent next, and how often that failed.
    due           BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    PRIMARY KEY (target, id)
);
CREATE INDEX notifications_due ON notifications (target, due);

-- What became of messages, counted.
CREATE TABLE notified (
    target        TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    outcome       TEXT   NOT NULL,
    number        BIGINT NOT NULL,
    PRIMARY KEY (target, kind, outcome)
);
