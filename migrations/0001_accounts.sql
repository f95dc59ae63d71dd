-- Who there is: tenants, apps, agents, members, keys, refresh tokens.
-- Ids are UUID text, times are nanoseconds since 1970 in UTC, hashes are hex; the text is the same for SQLite and Postgres.

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- Names a row of apps. No foreign key, since sign-up makes both and each would have to come first.
    default_app_id TEXT NOT NULL,
    requests_per_second BIGINT NOT NULL,
    spans_per_second BIGINT NOT NULL,
    bytes_per_second BIGINT NOT NULL,
    exports_per_hour BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- (tenant_id, id) is unique so that others can refer to both: then nothing can hang on another tenant's row.
CREATE TABLE apps (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    app_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, id),
    UNIQUE (app_id, name),
    FOREIGN KEY (tenant_id, app_id) REFERENCES apps (tenant_id, id)
);

CREATE TABLE members (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, email)
);

-- Log-in looks for a person in all tenants.
CREATE INDEX members_by_email ON members (email);

-- One person signs up once, also when two requests race.
CREATE UNIQUE INDEX owners_by_email ON members (email) WHERE role = 'owner';

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    app_id TEXT,
    agent_id TEXT,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    pepper_version BIGINT NOT NULL,
    last4 TEXT NOT NULL,
    -- Words separated by spaces.
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    FOREIGN KEY (tenant_id, app_id) REFERENCES apps (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id)
);

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at);

CREATE TABLE refresh_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    family TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
);

CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
