-- Queries of a tenant that run at the same time; null: as many as the installation lets a tenant run.

ALTER TABLE tenants ADD COLUMN queries_at_once BIGINT;
