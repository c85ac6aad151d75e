-- A door for completeness, as in v0001_doors.sql: a caller passes ids that it has already cut down to what may be seen.
--
-- Readings by point and stretch between two `edges`: how many came, at most `most` a minute, so that a burst does not make
-- up for a hole; how many of them were good; the first and the last.
CREATE FUNCTION counts_of(asked int[], most int[], edges timestamptz[])
RETURNS TABLE (point_id int, slot int, received float8, good float8, first_ts timestamptz, last_ts timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.point_id, width_bucket(r.bucket, edges) - 1, sum(LEAST(r.count, a.most))::float8,
         sum(LEAST(r.good_count, a.most))::float8, min(r.first_ts), max(r.last_ts)
  FROM unnest(asked, most) AS a(id, most) JOIN rollup_1m r ON r.point_id = a.id
  WHERE r.bucket >= edges[1] AND r.bucket < edges[cardinality(edges)] AND r.count > 0 GROUP BY 1, 2
$$;

-- Since when each of these points is known: its own first minute, or that of its stream when it never was read.
CREATE FUNCTION known_since(asked int[]) RETURNS TABLE (point_id int, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.id, COALESCE(own.bucket, (
      SELECT min(f.bucket) FROM point o CROSS JOIN LATERAL (
        SELECT r.bucket FROM rollup_1m r WHERE r.point_id = o.id ORDER BY r.bucket LIMIT 1) AS f
      WHERE o.stream_id = p.stream_id))
  FROM point p LEFT JOIN LATERAL (
    SELECT r.bucket FROM rollup_1m r WHERE r.point_id = p.id ORDER BY r.bucket LIMIT 1) AS own ON true
  WHERE p.id = ANY (asked)
$$;

REVOKE EXECUTE ON FUNCTION counts_of, known_since FROM PUBLIC;
GRANT EXECUTE ON FUNCTION counts_of, known_since TO park_api, park_report;
