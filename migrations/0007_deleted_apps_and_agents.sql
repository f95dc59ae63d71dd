-- An app or agent that was deleted keeps its row, since traces and keys name its id; nobody finds it any more.
-- Its name is free again: the row's own name becomes its id.

ALTER TABLE apps ADD COLUMN deleted_at BIGINT;
ALTER TABLE agents ADD COLUMN deleted_at BIGINT;

-- A deleted app takes its keys along, and a deleted agent its own.
CREATE INDEX api_keys_by_app ON api_keys (app_id) WHERE app_id IS NOT NULL;
CREATE INDEX api_keys_by_agent ON api_keys (agent_id) WHERE agent_id IS NOT NULL;
