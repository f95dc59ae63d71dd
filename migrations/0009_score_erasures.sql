-- Scores are erased with what they are about; their log positions are bounded apart from those of spans. Words as in `bounds`.
ALTER TABLE erasures ADD COLUMN score_bounds TEXT NOT NULL DEFAULT '';
