-- Deliveries of an event other than its first: the same push under another delivery id. Without them such a
-- delivery would be a new event when it comes again after the ref has moved on.
CREATE TABLE deliveries (
    -- As in events.
    delivery_key  TEXT NOT NULL PRIMARY KEY,
    event         TEXT NOT NULL
);
