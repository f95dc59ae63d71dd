-- Since when a writer's rows are in files: of what it let in before then, nothing is left in its memory or its log. Null until it has said
-- so. A tenant's deletion is over when every writer that is registered has said so of a time after it.

ALTER TABLE writers ADD COLUMN settled_at BIGINT;
