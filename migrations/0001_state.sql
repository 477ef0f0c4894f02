-- All that must survive a crash. One dialect for SQLite and PostgreSQL: TEXT and BIGINT columns only.
--
-- Flags are 0 or 1. Times (`*_at`) are microseconds since 1970 and serve to sort and to show; where a time
-- decides something it stands, exact, in the JSON beside it. JSON is TEXT. `seq` is the order in which rows were
-- inserted, taken inside the inserting transaction, so that no clock can disorder them.

-- What was accepted. A row is the promise that we gave with our answer.
CREATE TABLE events (
    id            TEXT   NOT NULL PRIMARY KEY,
    seq           BIGINT NOT NULL,
    received_at   BIGINT NOT NULL,
    source        TEXT   NOT NULL,
    customer      TEXT,
    environment   TEXT,
    -- Hash of the delivery (or event) id and the target; NULL where none came with it.
    delivery_key  TEXT UNIQUE,
    -- Hash of repository, ref, before, after and target; NULL for manual requests.
    natural_key   TEXT,
    -- Hash of ref and target: pushes that follow one another.
    lane          TEXT,
    -- Rises whenever the lane moves to another natural key, so that A->B may come again after B->A.
    generation    BIGINT NOT NULL,
    request       TEXT   NOT NULL,
    -- accepted, planned, ignored, rejected or superseded
    state         TEXT   NOT NULL,
    -- While accepted: when it is worked on next, how often that was put off, and why.
    due_at        BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    reason        TEXT,
    settled_at    BIGINT,
    outcome       TEXT,
    UNIQUE (natural_key, generation)
);
CREATE INDEX events_seq ON events (seq);
CREATE INDEX events_lane ON events (lane, seq);
CREATE INDEX events_accepted ON events (seq) WHERE state = 'accepted';

-- Requests that can never succeed, kept for people. The same bytes twice are one row.
CREATE TABLE dead_letters (
    digest        TEXT   NOT NULL PRIMARY KEY,
    id            TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    count         BIGINT NOT NULL,
    faults        TEXT   NOT NULL,
    -- 'text:' and the text, or 'hex:' and the bytes in hexadecimal.
    resource      TEXT   NOT NULL,
    payload       TEXT   NOT NULL
);
CREATE INDEX dead_letters_seq ON dead_letters (seq);

-- What of a deployment changes. The first columns repeat what lists are sorted and filtered by.
CREATE TABLE deployments (
    id            TEXT   NOT NULL PRIMARY KEY,
    seq           BIGINT NOT NULL,
    event         TEXT   NOT NULL,
    customer      TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    revision      TEXT   NOT NULL,
    purpose       TEXT   NOT NULL,
    requested_by  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    reason        TEXT,
    finished      BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT,
    progress      TEXT   NOT NULL
);
CREATE INDEX deployments_seq ON deployments (seq);
CREATE INDEX deployments_place ON deployments (customer, environment, seq);
CREATE INDEX deployments_unfinished ON deployments (seq) WHERE finished = 0;

-- What never changes, apart: each step rewrites the row above as a whole, and this is most of the bytes.
CREATE TABLE briefs (
    deployment    TEXT   NOT NULL PRIMARY KEY REFERENCES deployments (id),
    brief         TEXT   NOT NULL
);

CREATE TABLE event_deployments (
    event         TEXT   NOT NULL REFERENCES events (id),
    deployment    TEXT   NOT NULL REFERENCES deployments (id),
    PRIMARY KEY (event, deployment)
);

CREATE TABLE journal (
    deployment    TEXT   NOT NULL REFERENCES deployments (id),
    seq           BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    entry         TEXT   NOT NULL,
    PRIMARY KEY (deployment, seq)
);

-- Effects that were decided and may not have been performed.
CREATE TABLE outbox (
    deployment    TEXT   NOT NULL REFERENCES deployments (id),
    id            BIGINT NOT NULL,
    effect        TEXT   NOT NULL,
    PRIMARY KEY (deployment, id)
);

-- Inputs from people and from other deployments. Rows stay after they were taken, so that ids do not come again.
CREATE TABLE inbox (
    deployment    TEXT   NOT NULL REFERENCES deployments (id),
    id            BIGINT NOT NULL,
    sent_at       BIGINT NOT NULL,
    taken         BIGINT NOT NULL,
    input         TEXT   NOT NULL,
    PRIMARY KEY (deployment, id)
);
CREATE INDEX inbox_waiting ON inbox (deployment, id) WHERE taken = 0;

-- What each service ran healthily: one row per revision, the highest seq is the baseline.
CREATE TABLE service_revisions (
    customer      TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    service       TEXT   NOT NULL,
    revision      TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    fingerprint   TEXT   NOT NULL,
    baseline      TEXT   NOT NULL,
    deployment    TEXT   NOT NULL,
    healthy_at    BIGINT NOT NULL,
    PRIMARY KEY (customer, environment, service, revision)
);
CREATE INDEX service_revisions_seq ON service_revisions (customer, environment, service, seq);

-- Content that failed, and is not deployed again unless somebody asks for it.
CREATE TABLE quarantine (
    customer      TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    service       TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    deployment    TEXT   NOT NULL,
    since_at      BIGINT NOT NULL,
    PRIMARY KEY (customer, environment, service, fingerprint)
);

-- What each customer and environment was last brought to, as a whole.
CREATE TABLE customers (
    customer      TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    revision      TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (customer, environment)
);

-- Who works. The epoch only rises; writes of an earlier one are refused.
CREATE TABLE leases (
    name          TEXT   NOT NULL PRIMARY KEY,
    epoch         BIGINT NOT NULL,
    holder        TEXT   NOT NULL,
    since_at      BIGINT NOT NULL
);
