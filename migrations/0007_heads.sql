-- Where refs were when they were last looked at, so that a push that nobody told of is found.
CREATE TABLE heads (
    source        TEXT   NOT NULL,
    reference     TEXT   NOT NULL,
    head          TEXT   NOT NULL,
    seen_at       BIGINT NOT NULL,
    PRIMARY KEY (source, reference)
);
