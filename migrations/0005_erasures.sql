-- What has been erased, with the proof of it, and how long rows are kept.

CREATE TABLE erasures (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    -- What was named: 'traces', 'user', 'session', 'app' or 'tenant'; never the user or the session itself.
    subject TEXT NOT NULL,
    -- Which rows: 'traces', 'app' or 'tenant'.
    scope TEXT NOT NULL,
    app_id TEXT,
    -- Trace ids in hex, one after the other; emptied once no live file holds a row of them.
    traces TEXT NOT NULL,
    trace_count BIGINT NOT NULL,
    -- Words `writer.sequence` separated by spaces.
    bounds TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    rewritten_at BIGINT,
    finished_at BIGINT
);

-- Every query looks here for what to hide.
CREATE INDEX open_erasures ON erasures (tenant_id) WHERE rewritten_at IS NULL;

CREATE INDEX unfinished_erasures ON erasures (requested_at) WHERE finished_at IS NULL;

-- Which files an erasure took rows from.
CREATE TABLE erased_files (
    erasure_id TEXT NOT NULL REFERENCES erasures (id),
    file_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    -- The file that holds the rows that stay; null when none did.
    replaced_by TEXT,
    PRIMARY KEY (erasure_id, file_id)
);

-- Their removed inputs go sooner than others.
CREATE INDEX erased_files_by_file ON erased_files (file_id);

-- Where a tenant has said so itself: days that rows are kept, null for ever.
CREATE TABLE retentions (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    table_name TEXT NOT NULL,
    days BIGINT,
    PRIMARY KEY (tenant_id, table_name)
);
