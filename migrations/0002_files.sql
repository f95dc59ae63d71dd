-- What is stored: writers, watermarks, versions, data files.
-- No foreign key to tenants: data outlives its tenant until the compactor has erased it.

CREATE TABLE writers (
    id TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    address TEXT NOT NULL,
    -- 'registered' or 'retired'.
    status TEXT NOT NULL,
    registered_at BIGINT NOT NULL
);

CREATE TABLE watermarks (
    tenant_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    writer_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, table_name, writer_id)
);

-- A writer that starts asks for all of its own.
CREATE INDEX watermarks_by_writer ON watermarks (writer_id);

-- The last version given out. A commit holds this row until it is done, so versions become visible in their order.
CREATE TABLE versions (
    tenant_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, table_name)
);

CREATE TABLE data_files (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    -- Days since 1970-01-01, UTC.
    day BIGINT NOT NULL,
    path TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    min_start BIGINT NOT NULL,
    max_start BIGINT NOT NULL,
    version BIGINT NOT NULL,
    -- Keys of 40 bytes (app, trace, span) in hex, one after the other; nearly always empty.
    superseded TEXT NOT NULL,
    removed_at BIGINT
);

-- Every query and every compaction looks here; removed files, which may be many, are not in it.
CREATE INDEX live_data_files ON data_files (tenant_id, table_name, day) WHERE removed_at IS NULL;

CREATE INDEX removed_data_files ON data_files (removed_at) WHERE removed_at IS NOT NULL;
