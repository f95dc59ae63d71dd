-- Links that set a password end with what their maker and their member were when they were made. A link from before this step has no role and
-- opens nothing: it would have lived a day, and an admin makes another.

-- 'member:<id>' or 'key:<id>'; null: whoever runs the installation.
ALTER TABLE password_resets ADD COLUMN made_by TEXT;
-- The member's role at that time.
ALTER TABLE password_resets ADD COLUMN role TEXT;
