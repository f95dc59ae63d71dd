-- Invitations: someone who shows the token becomes a member. Open ones have no accepted_at; one for each address and tenant.

CREATE TABLE invites (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    -- SHA-256 of the token.
    token_hash TEXT NOT NULL UNIQUE,
    -- The member who made it; null when a key did. No foreign key: whoever leaves takes their open invitations along.
    invited_by TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT
);

CREATE UNIQUE INDEX open_invites ON invites (tenant_id, email) WHERE accepted_at IS NULL;
