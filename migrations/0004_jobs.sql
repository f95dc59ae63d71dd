-- Who of several compactors works on what, and what they know of it.

-- One row for each tenant's table and day that a compactor has claimed before; without a row, nothing is known.
CREATE TABLE jobs (
    tenant_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    day BIGINT NOT NULL,
    -- Whoever claimed it last; it is theirs until the lease ends.
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- In a row, and when to try again.
    failures BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    -- There is nothing to merge in files up to this version, by these rules; anything else is looked at again.
    settled_version BIGINT NOT NULL,
    settled_rules TEXT NOT NULL,
    -- When the day was over and made as few files as may be; null before.
    finished_at BIGINT,
    PRIMARY KEY (tenant_id, table_name, day)
);

-- Walks through the whole store that one compactor at a time makes: one row for each kind of walk.
CREATE TABLE sweeps (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- When to go on.
    not_before BIGINT NOT NULL,
    -- The last name seen; empty at the start of a walk.
    position TEXT NOT NULL
);
