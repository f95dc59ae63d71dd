-- Who changed what: entries of a tenant in a chain, each with a hash over itself and the one before. Only ever appended to.

CREATE TABLE audit_log (
    tenant_id TEXT NOT NULL,
    -- From 1, without a gap.
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- 'member:<id>' or 'key:<id>'.
    actor TEXT NOT NULL,
    -- Where the request came from, if that is known.
    address TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    -- JSON objects: what was so, and what is so now.
    before_change TEXT,
    after_change TEXT,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

-- The newest entry of each tenant: who appends holds this row, so a chain never forks, and entries cut off its end are missed.
CREATE TABLE audit_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL
);

-- Who made a key, as in `actor`; null for keys from before this step.
ALTER TABLE api_keys ADD COLUMN created_by TEXT;
