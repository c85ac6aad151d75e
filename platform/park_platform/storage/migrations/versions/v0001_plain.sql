-- Readings and rollups on plain PostgreSQL: partitions by time, made ahead by `park operate` and on demand.

CREATE TABLE reading (                                          -- 52 bytes a row in this order of columns
  ts       timestamptz NOT NULL,
  value    float8 NOT NULL,                                     -- NaN: a bad reading without a value
  point_id int NOT NULL,
  quality  smallint NOT NULL,                                   -- park_wire/quality.py
  PRIMARY KEY (point_id, ts)
) PARTITION BY RANGE (ts);

CREATE TABLE rollup_1m (                                        -- storage/rollups.py says what each column means
  bucket       timestamptz NOT NULL,
  first_ts     timestamptz,
  last_ts      timestamptz,
  min          float8,
  max          float8,
  mean         float8,
  good_seconds float8 NOT NULL,
  first        float8,
  last         float8,
  consumption  float8,                                          -- NULL: not a counter
  point_id     int NOT NULL,
  count        int NOT NULL,
  good_count   int NOT NULL,
  flags        smallint NOT NULL,
  PRIMARY KEY (point_id, bucket)
) PARTITION BY RANGE (bucket);

-- The partition of `parent` that holds `moment`: a UTC day of readings, a UTC month of rollups. True when it was made.
-- Created by itself and attached: CREATE ... PARTITION OF would lock the parent against every COPY, and wait for the
-- longest export first. A definer's function because `park ingest` must not be able to make any other table.
CREATE FUNCTION make_partition(parent text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  span  text := CASE parent WHEN 'reading' THEN 'day' WHEN 'rollup_1m' THEN 'month' END;
  low   timestamptz := date_trunc(span, moment);
  high  timestamptz := low + CASE span WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END;
  child text := parent || '_' || to_char(low, CASE span WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END);
BEGIN
  IF span IS NULL THEN
    RAISE EXCEPTION 'table "%" has no partitions', parent;
  END IF;
  IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(child) AND NOT inhdetachpending) THEN
    RETURN false;
  END IF;
  -- ATTACH takes this lock anyway; taken now, a second maker waits and then finds the partition.
  EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
  IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(child) AND NOT inhdetachpending) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, low, high);
  RETURN true;
END $$;

REVOKE EXECUTE ON FUNCTION make_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partition TO park_ingest, park_operate;
