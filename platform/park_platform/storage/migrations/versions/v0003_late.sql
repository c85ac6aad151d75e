-- Hours of a stream to which late readings came, so that a pass judges them once the hole has closed (chain 5).
CREATE TABLE late_hour (
  stream_id int NOT NULL REFERENCES stream,
  hour      timestamptz NOT NULL,
  from_ts   timestamptz NOT NULL,                               -- the oldest and the newest late reading in it
  to_ts     timestamptz NOT NULL,
  since     timestamptz NOT NULL DEFAULT clock_timestamp(),     -- when the first and the last of them came
  noted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (stream_id, hour)
) WITH (fillfactor = 50);

-- An alarm that only late readings tell of. It is history: closed when it is written, in nobody's list of open alarms.
ALTER TABLE alarm ADD COLUMN late boolean NOT NULL DEFAULT false;

GRANT SELECT, INSERT, UPDATE ON late_hour TO park_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON late_hour TO park_operate;
GRANT SELECT ON late_hour TO park_api, park_report, park_backup;
