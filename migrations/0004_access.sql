-- Who is logged in, and who changed what.

-- Logins of people by their browsers.
CREATE TABLE sessions (
    -- Hash of what the cookie has.
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    -- As JSON. What they allow is decided by the configuration at each request.
    groups        TEXT   NOT NULL,
    -- What a page of ours sends with each write.
    csrf          TEXT   NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- Every write that somebody asked for, in one order.
CREATE TABLE audit (
    seq           BIGINT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    actor         TEXT   NOT NULL,
    -- cli, http, trigger or webhook
    via           TEXT   NOT NULL,
    address       TEXT,
    -- The id of the request, as logs have it.
    request       TEXT,
    action        TEXT   NOT NULL,
    customer      TEXT,
    environment   TEXT,
    deployment    TEXT,
    event         TEXT,
    -- The input of the deployment's inbox, by which what came of it is noted.
    input         BIGINT,
    -- As JSON: what was asked for.
    detail        TEXT   NOT NULL,
    -- What it was about, before and after; nothing after as long as the worker has not taken it.
    before        TEXT,
    after         TEXT
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_customer ON audit (customer, seq);
CREATE INDEX audit_input ON audit (deployment, input);
CREATE INDEX audit_event ON audit (event);
