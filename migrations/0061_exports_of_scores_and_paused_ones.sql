-- Exports whose rows change with scores know how far those have been exported; a schedule that fails for long is paused.

-- As through, of scores: words `writer.sequence`.
ALTER TABLE exports ADD COLUMN scores_through TEXT NOT NULL DEFAULT '';
-- When the run at hand failed first; null after one that did not.
ALTER TABLE exports ADD COLUMN failing_since BIGINT;
-- Set when a paused schedule has missed an erasure, so that it is to begin anew; else null.
ALTER TABLE exports ADD COLUMN lost_erasures_at BIGINT;
