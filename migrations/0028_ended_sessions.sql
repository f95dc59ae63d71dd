-- Sessions that are over are looked for by when they end, to be deleted.
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);
CREATE INDEX invites_by_end ON invites (expires_at);
