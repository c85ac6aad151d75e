-- Readings and rollups as hypertables of TimescaleDB, either edition. The first row of a day makes its chunk.

CREATE TABLE reading (                                          -- 52 bytes a row in this order of columns
  ts       timestamptz NOT NULL,
  value    float8 NOT NULL,                                     -- NaN: a bad reading without a value
  point_id int NOT NULL,
  quality  smallint NOT NULL,                                   -- park_wire/quality.py
  PRIMARY KEY (point_id, ts)
);

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
);

-- WITH (tsdb.hypertable) needs 2.20; this also works on Debian's 2.19.
SELECT create_hypertable('reading', by_range('ts', interval '1 day'), create_default_indexes => false);
SELECT create_hypertable('rollup_1m', by_range('bucket', interval '30 days'), create_default_indexes => false);
