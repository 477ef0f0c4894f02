-- Traces: whose event is part of which, and up to where they were told.

-- What the sender of an event said of its trace (W3C Trace Context). Without a row the event begins one.
CREATE TABLE traces (
    event         TEXT   NOT NULL PRIMARY KEY REFERENCES events (id),
    traceparent   TEXT   NOT NULL
);

-- The last row of the stream that was told to somebody outside, by whom.
CREATE TABLE told (
    name          TEXT   NOT NULL PRIMARY KEY,
    seq           BIGINT NOT NULL
);
