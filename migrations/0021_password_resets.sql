-- Links that let a member set a new password once; one for each member.

CREATE TABLE password_resets (
    tenant_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    -- SHA-256 of the token.
    token_hash TEXT NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, member_id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
);

-- The token that a refresh token was exchanged for it: SHA-256 of the one before; null for the first of a session.
ALTER TABLE refresh_tokens ADD COLUMN replaces TEXT;
CREATE INDEX refresh_tokens_by_replaced ON refresh_tokens (replaces) WHERE replaces IS NOT NULL;
CREATE INDEX refresh_tokens_by_member ON refresh_tokens (tenant_id, member_id);
