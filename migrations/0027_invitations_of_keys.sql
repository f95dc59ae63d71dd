-- The key that made an invitation, which ends with the key; null when a member did, or a key before this step.
ALTER TABLE invites ADD COLUMN invited_by_key TEXT;
