-- What the HTTP interface keeps: what happened, for those who watch, and what was answered, for those who ask twice.

-- What moved, in one order for all deployments. The oldest rows go; whoever missed them reads everything anew.
CREATE TABLE stream (
    seq           BIGINT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    -- created or moved
    kind          TEXT   NOT NULL,
    deployment    TEXT   NOT NULL,
    customer      TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    -- The deployment's state, its version, and as JSON what moved.
    state         TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    transitions   TEXT   NOT NULL
);

-- Answers to writes with an Idempotency-Key, for a day.
CREATE TABLE answers (
    -- Hash of the caller and the key.
    id            TEXT   NOT NULL PRIMARY KEY,
    -- Hash of what was asked for.
    request       TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    -- 0 while it is being worked on.
    status        BIGINT NOT NULL,
    location      TEXT,
    body          TEXT   NOT NULL
);
CREATE INDEX answers_at ON answers (at);
