-- What processes that remember who is who must ask for anew, newest last. A short memory: the last ten thousand.

CREATE TABLE account_changes (
    sequence BIGINT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    -- 'key', 'member', 'app', 'agent' or 'tenant'.
    what TEXT NOT NULL,
    id TEXT NOT NULL
);

-- The last sequence. A change holds this row until it commits, so they become visible in their order.
CREATE TABLE account_change_heads (
    name TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL
);
