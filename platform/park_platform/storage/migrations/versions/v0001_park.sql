-- The park's database, first edition. Run as park_owner (storage/migrate.py makes roles and database before).
-- Times are timestamptz with µs. Readings, rollups and marks carry no tenant column: isolation is at the API's doors.

-- Times cross the driver as whole µs since 1970 UTC.
CREATE FUNCTION at_us(us bigint) RETURNS timestamptz LANGUAGE sql STABLE
  RETURN timestamptz 'epoch' + us * interval '1 microsecond';
CREATE FUNCTION us_of(ts timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
  RETURN (extract(epoch FROM ts) * 1000000)::bigint;

CREATE TABLE installation (
  one            boolean PRIMARY KEY DEFAULT true CHECK (one),
  db_incarnation uuid NOT NULL DEFAULT gen_random_uuid(),       -- a restore replaces it (chain 4.1)
  engine         text NOT NULL CHECK (engine IN ('plain', 'timescale')),
  park_key       text,
  name_zh        text,
  name_en        text,
  time_zone      text NOT NULL DEFAULT 'Asia/Shanghai',
  config_seq     bigint NOT NULL DEFAULT 0,                     -- every change of points, assets or rules adds one
  rules_seq      bigint NOT NULL DEFAULT 0,                     -- every change of assets or rules adds one: the intake loads them
  raw_days       int NOT NULL DEFAULT 90 CHECK (raw_days BETWEEN 30 AND 3660)
);

-- who and what -------------------------------------------------------------------------------------------------

CREATE DOMAIN key AS text CHECK (VALUE ~ '^[a-z0-9-]{1,32}$');

CREATE TABLE enterprise (
  id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key     key NOT NULL UNIQUE,
  name_zh text NOT NULL,
  name_en text NOT NULL
);

CREATE TABLE zone (
  id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key     key NOT NULL UNIQUE,
  name_zh text NOT NULL,
  name_en text NOT NULL
);

CREATE TABLE asset (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key           key NOT NULL UNIQUE,
  kind          key NOT NULL,
  name_zh       text NOT NULL,
  name_en       text NOT NULL,
  enterprise_id int REFERENCES enterprise,                      -- NULL: the park itself
  zone_id       int REFERENCES zone,
  design        jsonb NOT NULL DEFAULT '{}'                     -- design values by quantity, in canonical units
);

-- streams: the unit of ownership among intake workers (chain 4.1) -----------------------------------------------

CREATE TABLE worker (
  id            uuid PRIMARY KEY,
  started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  beat_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  backend_pid   int NOT NULL,                                   -- of the connection that commits
  backend_start timestamptz NOT NULL
);

CREATE TABLE stream (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text NOT NULL UNIQUE,                           -- gw-{gateway}, push-{enterprise}, park
  kind          text NOT NULL CHECK (kind IN ('gateway', 'push', 'park')),
  owner         uuid,
  term          bigint NOT NULL DEFAULT 0,
  event_until   timestamptz,                                    -- event time of the stream: nothing older will follow live
  live_seq      bigint NOT NULL DEFAULT 0,                      -- sequence of the live values that were published
  journal_seq   bigint NOT NULL DEFAULT 0,
  journal_head  bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
) WITH (fillfactor = 50);                                       -- updated by every commit: keep it HOT

CREATE TABLE gateway (
  id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key            key NOT NULL UNIQUE,
  stream_id      int NOT NULL UNIQUE REFERENCES stream,
  name_zh        text NOT NULL,
  name_en        text NOT NULL,
  config_version bytea,                                         -- the birth in force: what the live lane last spoke
  epoch          bytea,                                         -- of the last hello
  hello_at       timestamptz,
  online         boolean NOT NULL DEFAULT false,
  made_at        timestamptz NOT NULL DEFAULT now(),
  heard_at       timestamptz,                                   -- any message; the clock of "gateway silent"
  depth          bigint,
  oldest_age_ms  bigint,
  disk_free      bigint,
  skew_us        bigint
) WITH (fillfactor = 50);

CREATE TABLE epoch (                                            -- every epoch that a gateway ever named
  gateway_id int NOT NULL REFERENCES gateway,
  epoch      bytea NOT NULL CHECK (length(epoch) = 16),
  PRIMARY KEY (gateway_id, epoch)
);

CREATE TABLE lane (
  gateway_id   int NOT NULL REFERENCES gateway,
  epoch        bytea NOT NULL CHECK (length(epoch) = 16),
  lane         text NOT NULL CHECK (lane IN ('live', 'backfill')),
  mark         bigint NOT NULL DEFAULT 0,
  head         bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (length(head) = 32),
  until        timestamptz,
  committed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway_id, epoch, lane)
) WITH (fillfactor = 50);

CREATE TABLE birth (
  gateway_id     int NOT NULL REFERENCES gateway,
  config_version bytea NOT NULL CHECK (length(config_version) = 32),
  indices        bigint[] NOT NULL,                             -- u32 indices of the gateway, ascending …
  point_ids      int[] NOT NULL,                                -- … and the points behind them
  content        bytea NOT NULL,                                -- as it came: what its points are once it is in force
  PRIMARY KEY (gateway_id, config_version)
);

-- points and rules ---------------------------------------------------------------------------------------------

CREATE TABLE device (                                           -- which asset a device belongs to, from park.toml
  stream_id int NOT NULL REFERENCES stream,
  key       key NOT NULL,
  asset_id  int REFERENCES asset,
  PRIMARY KEY (stream_id, key)
);

CREATE TABLE point (
  id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id  int NOT NULL REFERENCES stream,
  device     key NOT NULL,
  name       key NOT NULL,
  quantity   text NOT NULL,
  unit       text NOT NULL,
  low        float8 NOT NULL,
  high       float8 NOT NULL,
  period_ms  int NOT NULL CHECK (period_ms > 0),
  max_age_ms int NOT NULL CHECK (max_age_ms > 0),               -- how long a value holds; 3 periods unless the park says otherwise
  asset_id   int REFERENCES asset,
  gone_at    timestamptz,                                       -- since when the gateway reads it no more; no rule watches it
  UNIQUE (stream_id, device, name)
);
CREATE INDEX point_asset ON point (asset_id);

CREATE TABLE rule (
  id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key          key NOT NULL UNIQUE,
  kind         text NOT NULL CHECK (kind IN ('HH', 'H', 'L', 'LL', 'STALE', 'BAD_QUALITY', 'SYSTEM')),
  name_zh      text NOT NULL,
  name_en      text NOT NULL,
  on_quantity  text,                                            -- selects points: every given column must match
  on_asset_kind text,
  on_asset     text,
  on_point     text,                                            -- gateway/device/name
  limit_value  float8,
  limit_design text,                                            -- then the limit is limit_value times the asset's design value
  deadband     float8 NOT NULL DEFAULT 0 CHECK (deadband >= 0),
  on_delay_ms  int NOT NULL DEFAULT 0 CHECK (on_delay_ms >= 0),
  off_delay_ms int NOT NULL DEFAULT 0 CHECK (off_delay_ms >= 0),
  latch        boolean NOT NULL DEFAULT false,
  priority     text NOT NULL CHECK (priority IN ('critical', 'high', 'medium', 'low')),
  cause        jsonb NOT NULL DEFAULT '{}',                     -- {"zh": …, "en": …}
  consequence  jsonb NOT NULL DEFAULT '{}',
  action       jsonb NOT NULL DEFAULT '{}',
  respond_s    int,                                             -- time to respond
  source       text,                                            -- standard and edition behind the limit
  enabled      boolean NOT NULL DEFAULT true
);

-- Alarms about the platform itself have no limit and no point; their subject names gateway, stream or worker.
INSERT INTO rule (key, kind, name_zh, name_en, priority, cause, consequence, action) VALUES
 ('gateway-silent', 'SYSTEM', '网关失联', 'Gateway silent', 'high',
  '{"zh": "网关断电、网络中断或程序停止", "en": "Gateway without power, network or process"}',
  '{"zh": "该网关的全部测点没有新数据", "en": "No new data from any point of this gateway"}',
  '{"zh": "检查网关电源与网络", "en": "Check power and network of the gateway"}'),
 ('gateway-gap', 'SYSTEM', '数据缺口', 'Gap in the data', 'high',
  '{"zh": "网关丢弃或丢失了数据批次", "en": "The gateway dropped or lost batches"}',
  '{"zh": "报表与趋势在缺口内不完整", "en": "Reports and trends are incomplete within the gap"}',
  '{"zh": "查看缺口记录及其原因", "en": "Look at the gap and its reason"}'),
 ('gateway-conflict', 'SYSTEM', '同一批次内容不一致', 'Same batch, other content', 'high',
  '{"zh": "两台网关使用同一缓存的副本，或数据被重放或篡改", "en": "Two gateways run copies of one outbox, or data was replayed or changed"}',
  '{"zh": "与已入库批次不一致的批次不入库，原文保存为死信；两台网关同时运行时，双方的读数会混在同一网关名下", "en": "A batch that contradicts a stored one is kept as a dead letter and not stored; while two gateways run, readings of both mix under one name"}',
  '{"zh": "停用多余的网关，查看是否有死信", "en": "Stop the second gateway and see whether there are dead letters"}'),
 ('dead-letter', 'SYSTEM', '无法处理的数据', 'Data that could not be processed', 'medium',
  '{"zh": "报文损坏、含有未知测点，或多次处理失败", "en": "A message is damaged, names unknown points, or has failed again and again"}',
  '{"zh": "其中无法处理的读数和事件缺失，原文保存为死信", "en": "The readings and events in it that could not be processed are missing; the payload is kept as a dead letter"}',
  '{"zh": "查看死信的原因，修正网关或其配置；缺失的数据不会自动补入", "en": "Read the reason of the dead letter and correct the gateway or its configuration; what is missing is not filled in by itself"}');

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
  AND (r.on_asset_kind IS NULL OR r.on_asset_kind = a.kind)
  AND (r.on_asset IS NULL OR r.on_asset = a.key)
  AND (r.on_point IS NULL OR r.on_point = regexp_replace(s.name, '^gw-', '') || '/' || p.device || '/' || p.name)
  AND (r.limit_design IS NULL OR a.design ? r.limit_design);

CREATE TABLE rule_state (                                       -- only rules that are pending, active, returning or latched
  rule_id  int NOT NULL REFERENCES rule,
  point_id int NOT NULL REFERENCES point,
  phase    smallint NOT NULL,
  since    timestamptz NOT NULL,
  due      timestamptz,
  PRIMARY KEY (point_id, rule_id)
) WITH (fillfactor = 70);

-- what came in ---------------------------------------------------------------------------------------------------

-- reading(ts, value, point_id, quality) and rollup_1m are made by the engine (storage/engines).

CREATE TABLE reading_conflict (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  point_id    int NOT NULL,
  ts          timestamptz NOT NULL,
  kept        float8 NOT NULL,
  value       float8 NOT NULL,
  quality     smallint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reading_conflict_point ON reading_conflict (point_id, ts);

CREATE TABLE event (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id   int NOT NULL REFERENCES stream,
  device      key NOT NULL,
  kind        key NOT NULL,
  ts          timestamptz NOT NULL,
  body        jsonb NOT NULL,
  body_sha256 bytea NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (stream_id, device, kind, ts, body_sha256)
);

CREATE TABLE quarantine (                                       -- readings whose time is impossible (chain 4.4); time as it came
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  point_id    int NOT NULL,
  time_us     bigint NOT NULL,
  value       float8 NOT NULL,
  quality     smallint NOT NULL,
  reason      text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE dead_letter (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id   int NOT NULL REFERENCES stream,
  epoch       bytea,
  lane        text,
  seq         bigint,
  reason      text NOT NULL,
  payload     bytea NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE attempt (                                          -- failures of a batch that was tried alone (chain 4.6)
  stream_id int NOT NULL REFERENCES stream,
  sha256    bytea NOT NULL,
  failures  int NOT NULL,
  PRIMARY KEY (stream_id, sha256)
);

CREATE TABLE gap (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gateway_id  int NOT NULL REFERENCES gateway,
  epoch       bytea NOT NULL,
  lane        text NOT NULL,
  from_seq    bigint NOT NULL,
  to_seq      bigint,                                           -- NULL: open-ended
  from_ts     timestamptz,
  to_ts       timestamptz,
  n           bigint,                                           -- readings, when known
  reason      text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gap_gateway ON gap (gateway_id, recorded_at);

-- alarms ---------------------------------------------------------------------------------------------------------

CREATE TABLE alarm (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id    int NOT NULL REFERENCES stream,
  rule_id      int NOT NULL REFERENCES rule,
  point_id     int REFERENCES point,
  subject      text NOT NULL DEFAULT '',                        -- of a SYSTEM rule
  priority     text NOT NULL,
  state        text NOT NULL CHECK (state IN ('unacknowledged', 'acknowledged', 'returned', 'latched_unacknowledged',
                                              'latched_acknowledged', 'normal')),
  raised_at    timestamptz NOT NULL,
  raised_value float8,
  limit_value  float8,
  times_raised int NOT NULL DEFAULT 1,
  acked_at     timestamptz,
  acked_by     text,
  cleared_at   timestamptz,
  closed_at    timestamptz,
  recorded_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX alarm_one_active ON alarm (rule_id, COALESCE(point_id, 0), subject) WHERE closed_at IS NULL;
CREATE INDEX alarm_raised ON alarm (raised_at DESC, id DESC);

CREATE TABLE journal (                                          -- append-only; a hash chain per stream (chain 8)
  stream_id   int NOT NULL REFERENCES stream,
  seq         bigint NOT NULL,
  at          timestamptz NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('raised', 'cleared', 'reset', 'acknowledged')),
  rule_id     int NOT NULL REFERENCES rule,
  point_id    int REFERENCES point,
  subject     text NOT NULL DEFAULT '',
  alarm_id    bigint NOT NULL REFERENCES alarm,
  value       float8,
  limit_value float8,
  late        boolean NOT NULL DEFAULT false,
  actor       text,
  note        text,
  recorded_at timestamptz NOT NULL,
  prev        bytea NOT NULL,
  hash        bytea NOT NULL,
  PRIMARY KEY (stream_id, seq),
  UNIQUE NULLS NOT DISTINCT (rule_id, point_id, subject, kind, at)
);
CREATE INDEX journal_alarm ON journal (alarm_id);

CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

CREATE TABLE alarm_command (                                    -- that a latched alarm be reset; the stream's owner takes it
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id int NOT NULL REFERENCES stream,
  rule_id   int NOT NULL REFERENCES rule,
  point_id  int NOT NULL REFERENCES point,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor     text NOT NULL,
  note      text
);
CREATE INDEX alarm_command_stream ON alarm_command (stream_id);

-- what is derived ------------------------------------------------------------------------------------------------

CREATE TABLE latest_pack (                                      -- the image of a stream, packed, at most once a second
  stream_id int PRIMARY KEY REFERENCES stream,
  packed    bytea NOT NULL,
  live_seq  bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE dirty (                                            -- what rollups must recompute
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream_id int NOT NULL REFERENCES stream,
  from_ts   timestamptz NOT NULL,
  to_ts     timestamptz NOT NULL
);
CREATE INDEX dirty_stream ON dirty (stream_id);

CREATE TABLE rollup_progress (
  stream_id int PRIMARY KEY REFERENCES stream,
  done      timestamptz NOT NULL                                -- every bucket before it is written; -infinity: none yet
);

-- people ---------------------------------------------------------------------------------------------------------

CREATE TABLE person (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          key NOT NULL UNIQUE,
  display_zh    text NOT NULL,
  display_en    text NOT NULL,
  role          text NOT NULL CHECK (role IN ('administrator', 'operator', 'safety', 'enterprise', 'regulator', 'auditor')),
  enterprise_id int REFERENCES enterprise,
  disabled_at   timestamptz,
  CHECK ((role = 'enterprise') = (enterprise_id IS NOT NULL))
);

CREATE TABLE access_grant (                                     -- what a regulator may read
  person_id     int NOT NULL REFERENCES person,
  enterprise_id int NOT NULL REFERENCES enterprise,
  until         timestamptz NOT NULL,
  PRIMARY KEY (person_id, enterprise_id)
);

CREATE TABLE signin_link (
  token_sha256 bytea PRIMARY KEY,
  person_id    int NOT NULL REFERENCES person,
  expires_at   timestamptz NOT NULL,
  used_at      timestamptz
);

CREATE TABLE session (
  token_sha256 bytea PRIMARY KEY,
  person_id    int NOT NULL REFERENCES person,
  csrf         text NOT NULL,
  seen_at      timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL
);

CREATE TABLE audit (                                            -- append-only, with its own chain
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor    text NOT NULL,
  action   text NOT NULL,
  object   text NOT NULL,
  before   jsonb,
  after    jsonb,
  source   text,
  prev     bytea NOT NULL,
  hash     bytea NOT NULL
);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE FUNCTION audit_text(entry audit) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS
$$ SELECT jsonb_build_array(entry.id, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor, entry.action,
                            entry.object, entry.before, entry.after, entry.source)::text $$;
-- As owner: who may only insert can neither choose a number nor a hash, and needs no right to read the trail.
CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE last record;
BEGIN
  PERFORM pg_advisory_xact_lock(7103);
  SELECT id, hash INTO last FROM audit ORDER BY id DESC LIMIT 1;
  NEW.id := COALESCE(last.id, 0) + 1;
  NEW.at := clock_timestamp();
  NEW.prev := COALESCE(last.hash, decode(repeat('00', 32), 'hex'));
  NEW.hash := sha256(NEW.prev || convert_to(audit_text(NEW), 'UTF8'));
  RETURN NEW;
END $$;
CREATE TRIGGER audit_chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain();
