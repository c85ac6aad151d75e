-- What each role may do, table by table; what is not written here is refused. The owner has all. A table that is missing
-- here fails tests/storage/test_rights.py.

-- Everybody checks schema and installation at start.
GRANT SELECT ON alembic_version, installation TO park_ingest, park_operate, park_api, park_report, park_audit, park_backup;

-- ingest: commits readings, alarms and marks; makes points from births; sees nobody's sessions.
GRANT UPDATE (config_seq) ON installation TO park_ingest;
GRANT SELECT ON enterprise, zone, asset, device, rule, rule_point, rollup_progress TO park_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON worker, rule_state, attempt, gap TO park_ingest;
GRANT SELECT, UPDATE ON stream, gateway TO park_ingest;
GRANT SELECT, INSERT, UPDATE ON epoch, lane, birth, point, alarm, latest_pack TO park_ingest;
GRANT SELECT, INSERT ON reading, reading_conflict, quarantine, event, dead_letter, journal TO park_ingest;
GRANT USAGE ON SEQUENCE alarm_id_seq TO park_ingest;
GRANT SELECT, DELETE ON alarm_command TO park_ingest;
GRANT INSERT ON dirty TO park_ingest;

-- operate: rollups, partitions (as owner, by SET ROLE), alarms of the park stream.
GRANT SELECT, INSERT, UPDATE, DELETE ON dirty, rollup_1m, rollup_progress TO park_operate;
GRANT SELECT, INSERT, UPDATE ON alarm TO park_operate;
GRANT SELECT, UPDATE ON stream, gateway TO park_operate;
GRANT SELECT, INSERT ON journal TO park_operate;
GRANT USAGE ON SEQUENCE alarm_id_seq TO park_operate;
GRANT SELECT ON enterprise, zone, asset, device, point, rule, rule_point, rule_state, worker, epoch, lane, birth, reading,
  reading_conflict, quarantine, event, dead_letter, attempt, gap, alarm_command, latest_pack TO park_operate;

-- api: people and what they do; readings only through the doors.
GRANT SELECT ON enterprise, zone, asset, device, point, rule, rule_point, gateway, epoch, lane, worker, event, gap, attempt,
  quarantine, reading_conflict, rollup_progress TO park_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON person, access_grant, signin_link, session TO park_api;
GRANT SELECT, UPDATE ON stream, alarm, dead_letter TO park_api;
GRANT SELECT, INSERT ON journal, alarm_command, audit TO park_api;

-- report: reads what a report can name.
GRANT SELECT ON enterprise, zone, asset, device, point, stream, gateway, rule, rule_point, event, gap, alarm, journal,
  reading, reading_conflict, rollup_1m, rollup_progress TO park_report;

-- audit: writes the trail, reads nothing.
GRANT INSERT ON audit TO park_audit;

-- backup: reads everything, also what later migrations add.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO park_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO park_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO park_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO park_backup;
