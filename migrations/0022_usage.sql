-- What each tenant took in, by the day on which it reached a data file; counted in the transaction that commits the files.

CREATE TABLE usage_days (
    tenant_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    -- Days since 1970-01-01, UTC.
    day BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, table_name, day)
);

-- Null: as many as they like.
ALTER TABLE tenants ADD COLUMN spans_per_month BIGINT;
