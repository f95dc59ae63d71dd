-- Tenants that were deleted: their accounts went at once, their files go when the compactor comes by.

CREATE TABLE closed_tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of what whoever deleted it can ask with: nobody has a credential any more.
    receipt_hash TEXT NOT NULL UNIQUE,
    requested_at BIGINT NOT NULL,
    -- Since when nothing is left but this row.
    finished_at BIGINT
);
