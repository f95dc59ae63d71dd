-- Exports into files: what to write where, how far it has come, and what was written.

CREATE TABLE exports (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    -- Null when a whole app is exported.
    agent_id TEXT,
    -- Who asked, as our services pass a caller on, in hex.
    caller TEXT NOT NULL,
    -- What and where to, as JSON with a version; never a credential.
    spec TEXT NOT NULL,
    -- The destination's credentials, sealed, in hex; null when it needs none.
    sealed TEXT,
    -- When to run, as cron; null for once.
    schedule TEXT,
    created_at BIGINT NOT NULL,
    -- 'waiting', 'running', 'done', 'failed' or 'cancelled'.
    status TEXT NOT NULL,
    -- When the next run, or the next attempt at it, is due.
    not_before BIGINT NOT NULL,
    -- Whoever claimed it last; it is theirs until the lease ends.
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- The run at hand, counted from 1.
    run BIGINT NOT NULL,
    -- How often in a row it has failed, and why the last time.
    failures BIGINT NOT NULL,
    error_code TEXT,
    error_message TEXT,
    -- When the attempt at hand began; null between runs.
    started_at BIGINT,
    -- What the attempt at hand has written; what there is to write, once that is known.
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    file_count BIGINT NOT NULL,
    total_rows BIGINT,
    -- Up to where each writer's log has been exported: words `writer.sequence`.
    through TEXT NOT NULL,
    -- The run that wrote the last manifest; null before there is one.
    last_run BIGINT,
    finished_at BIGINT
);

CREATE INDEX exports_by_app ON exports (tenant_id, app_id, created_at);

-- Every look for work.
CREATE INDEX due_exports ON exports (not_before) WHERE status IN ('waiting', 'running');

-- One row for each manifest that was written.
CREATE TABLE export_runs (
    export_id TEXT NOT NULL REFERENCES exports (id),
    run BIGINT NOT NULL,
    -- Below the destination.
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    manifest TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    delete_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    file_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (export_id, run)
);

-- What was erased and a scheduled export has yet to say so.
CREATE TABLE export_erasures (
    export_id TEXT NOT NULL REFERENCES exports (id),
    erasure_id TEXT NOT NULL,
    -- 'traces', 'app' or 'tenant'.
    scope TEXT NOT NULL,
    -- Trace ids in hex, one after the other.
    traces TEXT NOT NULL,
    PRIMARY KEY (export_id, erasure_id)
);
