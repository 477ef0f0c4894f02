-- How each deployment stands at a glance (JSON), so that all places are shown without a look into any. NULL for rows that
-- an older version wrote and nothing moved since.
ALTER TABLE deployments ADD COLUMN glance TEXT;

-- Most records of the audit are of events, which are no deployment's input: those are not to cost anything here.
DROP INDEX audit_input;
CREATE INDEX audit_input ON audit (deployment, input) WHERE input IS NOT NULL;
