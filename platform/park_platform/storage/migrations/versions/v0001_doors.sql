-- Doors: how the role `api`, which has no right on readings, rollups and packs, reads them. A caller passes ids that it
-- has already cut down to what the person may see. The search path is fixed, or a caller could slip in its own tables.

CREATE FUNCTION readings_of(asked int[], from_ts timestamptz, to_ts timestamptz)
RETURNS TABLE (ts timestamptz, value float8, point_id int, quality smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT ts, value, point_id, quality FROM reading WHERE point_id = ANY (asked) AND ts >= from_ts AND ts < to_ts
$$;

-- The reading of each point that still holds at a moment, by the point's max_age.
CREATE FUNCTION held_at(asked int[], moment timestamptz)
RETURNS TABLE (ts timestamptz, value float8, point_id int, quality smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT h.* FROM point p CROSS JOIN LATERAL (
    SELECT r.ts, r.value, r.point_id, r.quality FROM reading r
    WHERE r.point_id = p.id AND r.ts < moment AND r.ts > moment - p.max_age_ms * interval '1 millisecond'
    ORDER BY r.ts DESC LIMIT 1
  ) AS h WHERE p.id = ANY (asked)
$$;

CREATE FUNCTION rollups_of(asked int[], from_ts timestamptz, to_ts timestamptz) RETURNS SETOF rollup_1m
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM rollup_1m WHERE point_id = ANY (asked) AND bucket >= from_ts AND bucket < to_ts
$$;

-- The images of the streams that these points belong to; storage/latest.py takes the asked points out of them.
CREATE FUNCTION packs_of(asked int[]) RETURNS SETOF latest_pack
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM latest_pack WHERE stream_id IN (SELECT stream_id FROM point WHERE id = ANY (asked))
$$;

REVOKE EXECUTE ON FUNCTION readings_of, held_at, rollups_of, packs_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readings_of, held_at, rollups_of, packs_of TO park_api, park_report, park_operate, park_ingest;
