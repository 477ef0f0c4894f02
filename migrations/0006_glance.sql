-- How each deployment stands at a glance (JSON), so that all places are shown without a look into any. NULL for rows that
-- an older version wrote and nothing moved since.
ALTER TABLE deployments ADD COLUMN glance TEXT;
