-- What the systems need: which are enabled, derived points, their rules, where things stand in the park, registers.

CREATE TABLE system (                                           -- enabled systems, from park.toml
  key      key PRIMARY KEY,
  settings jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE derivation_fault (                                 -- a derivation that raised, and since when it is fenced
  stream_id  int NOT NULL REFERENCES stream,
  system     key NOT NULL,
  derivation key NOT NULL,
  reason     text NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (stream_id, system, derivation)
);

ALTER TABLE zone ADD COLUMN outline jsonb NOT NULL DEFAULT '[]';  -- [[longitude, latitude], …], WGS-84
ALTER TABLE asset ADD COLUMN longitude float8, ADD COLUMN latitude float8,
  ADD COLUMN fed_from_id int REFERENCES asset;                  -- the meter upstream of it
ALTER TABLE rule ADD COLUMN system key;                         -- whose rule it is; NULL: the park's own

-- Derived points: named {system}.{quantity}, which no gateway can name, on the device that is called like the asset.
DROP VIEW rule_point;
ALTER TABLE point ALTER COLUMN name TYPE text;
ALTER TABLE point ADD COLUMN system key, ADD COLUMN derivation key,
  ADD CONSTRAINT point_name CHECK (
    (system IS NULL AND name ~ '^[a-z0-9-]{1,32}$') OR (derivation IS NOT NULL AND name = system || '.' || quantity));

CREATE VIEW rule_point AS                                       -- which rule watches which point, with its limit
SELECT r.id AS rule_id, p.id AS point_id, p.stream_id, r.kind,
       CASE WHEN r.limit_design IS NULL THEN r.limit_value
            ELSE r.limit_value * (a.design ->> r.limit_design)::float8 END AS limit_value,
       r.deadband, r.on_delay_ms, r.off_delay_ms, p.max_age_ms, r.latch, r.priority
FROM rule r
JOIN point p ON (r.on_quantity IS NULL OR r.on_quantity = p.quantity)
LEFT JOIN asset a ON a.id = p.asset_id
JOIN stream s ON s.id = p.stream_id
WHERE r.enabled AND r.kind <> 'SYSTEM' AND p.gone_at IS NULL
  AND (r.system IS NULL OR r.system IN (SELECT key FROM system))
  AND (r.on_asset_kind IS NULL OR r.on_asset_kind = a.kind)
  AND (r.on_asset IS NULL OR r.on_asset = a.key)
  AND (r.on_point IS NULL OR r.on_point = regexp_replace(s.name, '^gw-', '') || '/' || p.device || '/' || p.name)
  AND (r.limit_design IS NULL OR a.design ? r.limit_design);
GRANT SELECT ON rule_point TO park_ingest, park_operate, park_api, park_report, park_backup;

INSERT INTO stream (name, kind) VALUES ('park', 'park') ON CONFLICT (name) DO NOTHING;

CREATE TABLE derived_until (                                    -- how far a derivation of the park stream has got
  system     key NOT NULL,
  derivation key NOT NULL,
  done       timestamptz NOT NULL,
  PRIMARY KEY (system, derivation)
);
CREATE TABLE derive_again (                                     -- stretches whose minutes changed after they were used
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  from_ts timestamptz NOT NULL,
  to_ts   timestamptz NOT NULL
);

INSERT INTO rule (key, kind, name_zh, name_en, priority, cause, consequence, action) VALUES
 ('system-fenced', 'SYSTEM', '计算停止', 'Derivation stopped', 'high',
  '{"zh": "某系统的计算出错", "en": "A derivation of a system raised an error"}',
  '{"zh": "其派生测点没有新数据，相应报警失效", "en": "Its derived points get no new values; alarms on them do not work"}',
  '{"zh": "查看系统页面上的错误说明，修正系统或台账后重启接入", "en": "Read the reason on the system''s page, correct the system or its registers and start the intake anew"}');

-- registers (台账): every version of every row; nothing is ever overwritten ------------------------------------------

CREATE TABLE register_row (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  system        key NOT NULL,
  register      key NOT NULL,
  key           text NOT NULL,                                  -- the key fields' values as JSON
  enterprise_id int REFERENCES enterprise,                      -- whose it is now; NULL: the park's
  version       int NOT NULL,                                   -- the newest
  UNIQUE (system, register, key)
);
CREATE TABLE register_version (
  row_id        bigint NOT NULL REFERENCES register_row,
  version       int NOT NULL,
  enterprise_id int REFERENCES enterprise,                      -- whose it was then: a new owner does not see the past
  record        jsonb NOT NULL,
  state         text,
  deleted       boolean NOT NULL DEFAULT false,
  valid_from    timestamptz NOT NULL,                           -- from when on it is true …
  recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(), -- … and since when we know
  action        text NOT NULL,                                  -- added, changed, deleted, imported, or step:<id>
  actor         text NOT NULL,
  note          text,
  PRIMARY KEY (row_id, version)
);
CREATE FUNCTION register_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'versions of a register are append-only'; END $$;
CREATE TRIGGER register_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_version
  FOR EACH STATEMENT EXECUTE FUNCTION register_is_append_only();

-- What derivations read from registers is loaded with the rules: a new version lets every stream load them again.
CREATE FUNCTION register_changes_rules() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
$$ BEGIN UPDATE installation SET rules_seq = rules_seq + 1; RETURN NULL; END $$;
CREATE TRIGGER register_changes_rules AFTER INSERT ON register_version
  FOR EACH STATEMENT EXECUTE FUNCTION register_changes_rules();

-- doors for reports, as in v0001_doors.sql: a caller passes ids that it has already cut down to what may be seen --------

-- What counters counted in steps of [from_ts, to_ts): per point and step the sum, the seconds that readings cover, and
-- the sum and number of minutes in which something was assumed (flags ESTIMATED 8, RESET 32).
CREATE FUNCTION totals_of(asked int[], from_ts timestamptz, to_ts timestamptz, step interval)
RETURNS TABLE (point_id int, begin_ts timestamptz, counted float8, good_seconds float8, assumed float8, assumed_minutes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.point_id, date_bin(step, r.bucket, from_ts), sum(COALESCE(r.consumption, 0)), sum(r.good_seconds),
         sum(CASE WHEN r.flags & 40 <> 0 THEN COALESCE(r.consumption, 0) ELSE 0 END), count(*) FILTER (WHERE r.flags & 40 <> 0)
  FROM rollup_1m r WHERE r.point_id = ANY (asked) AND r.bucket >= from_ts AND r.bucket < to_ts GROUP BY 1, 2
$$;

-- The last usable value of each point before a moment, however old: from it a counter's next step counts.
CREATE FUNCTION counted_before(asked int[], moment timestamptz) RETURNS TABLE (point_id int, value float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.id, l.value FROM unnest(asked) AS p(id) CROSS JOIN LATERAL (
    SELECT r.value FROM reading r WHERE r.point_id = p.id AND r.ts < moment
      AND (r.quality & 128) = 0 AND r.value < 'Infinity' AND r.value > '-Infinity' ORDER BY r.ts DESC LIMIT 1
  ) AS l
$$;

REVOKE EXECUTE ON FUNCTION totals_of, counted_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION totals_of, counted_before TO park_api, park_report;

-- rights ---------------------------------------------------------------------------------------------------------------

GRANT SELECT ON system, derivation_fault, register_row, register_version TO park_ingest, park_operate, park_api, park_report;
GRANT INSERT, DELETE ON derivation_fault TO park_ingest, park_operate;
GRANT SELECT ON derived_until TO park_api, park_report, park_ingest;
GRANT INSERT ON derive_again TO park_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON derived_until, derive_again TO park_operate;
GRANT SELECT, INSERT, UPDATE ON register_row TO park_api;
GRANT SELECT, INSERT ON register_version TO park_api;
GRANT USAGE ON SEQUENCE register_row_id_seq TO park_api;

-- operate owns the park stream: it commits derived readings and judges the rules on them.
GRANT SELECT, INSERT ON reading TO park_operate;
-- What was measured is never deleted; what was derived may be computed again.
CREATE FUNCTION take_back_derived(asked int[], times timestamptz[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DELETE FROM reading r USING unnest(asked, times) AS gone(point_id, ts), point p
  WHERE p.id = gone.point_id AND p.system IS NOT NULL AND r.point_id = p.id AND r.ts = gone.ts
    AND r.ts BETWEEN (SELECT min(t) FROM unnest(times) t) AND (SELECT max(t) FROM unnest(times) t)
$$;
REVOKE EXECUTE ON FUNCTION take_back_derived FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_back_derived TO park_operate;
GRANT SELECT, INSERT, UPDATE ON point, latest_pack TO park_operate;
GRANT SELECT, INSERT, UPDATE, DELETE ON worker, rule_state TO park_operate;
GRANT SELECT, INSERT ON reading_conflict, quarantine, event, dead_letter TO park_operate;
GRANT SELECT, INSERT, UPDATE, DELETE ON attempt, gap TO park_operate;
GRANT SELECT, INSERT, UPDATE ON lane, epoch TO park_operate;
GRANT SELECT, DELETE ON alarm_command TO park_operate;
GRANT UPDATE (config_seq) ON installation TO park_operate;

-- Who sees some enterprise sees the park's rows too (which registers, the route decides), but writes only rows that are
-- its own.
ALTER TABLE register_row ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON register_row FOR SELECT TO park_api USING ((SELECT sees_park())
  OR enterprise_id = ANY ((SELECT seen_tenants())::int[])
  OR (enterprise_id IS NULL AND (SELECT cardinality(seen_tenants())) > 0));
CREATE POLICY added ON register_row FOR INSERT TO park_api
  WITH CHECK ((SELECT sees_park()) OR enterprise_id = ANY ((SELECT seen_tenants())::int[]));
CREATE POLICY changed ON register_row FOR UPDATE TO park_api
  USING ((SELECT sees_park()) OR enterprise_id = ANY ((SELECT seen_tenants())::int[]));
CREATE POLICY every_row ON register_row TO park_ingest, park_operate, park_report USING (true);
ALTER TABLE register_version ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON register_version FOR SELECT TO park_api USING ((SELECT sees_park())
  OR enterprise_id = ANY ((SELECT seen_tenants())::int[])
  OR (enterprise_id IS NULL AND (SELECT cardinality(seen_tenants())) > 0));
CREATE POLICY added ON register_version FOR INSERT TO park_api WITH CHECK ((SELECT sees_park())
  OR (enterprise_id = ANY ((SELECT seen_tenants())::int[])
      AND row_id IN (SELECT id FROM register_row WHERE enterprise_id = ANY (seen_tenants()))));
CREATE POLICY every_row ON register_version TO park_ingest, park_operate, park_report USING (true);
