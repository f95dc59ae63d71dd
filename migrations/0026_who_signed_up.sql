-- Who signs up does so once. Until now an address owned one tenant, however it came to: then a stranger who invited it as an owner, and
-- accepted, kept its person from signing up. The index goes in the same step: code from before it works without, but while both run, that
-- code would let an address sign up again.

-- The address of the owner who signed their tenant up; null for members who were invited.
ALTER TABLE members ADD COLUMN signed_up_as TEXT;

UPDATE members SET signed_up_as = email WHERE role = 'owner'
    AND created_at = (SELECT tenants.created_at FROM tenants WHERE tenants.id = members.tenant_id);

CREATE UNIQUE INDEX sign_ups_by_email ON members (signed_up_as) WHERE signed_up_as IS NOT NULL;

DROP INDEX owners_by_email;
