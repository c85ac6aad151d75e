-- Row security for the role `api`: a transaction sees what its scope names (storage/scope.py), and nothing when it names
-- none. It stops a forgotten filter, not somebody who can write SQL of their own. All other roles see every row.
-- (Readings, rollups and packs have none: COPY refuses tables with row security, and `api` has no right on them.)

CREATE FUNCTION sees_park() RETURNS boolean LANGUAGE sql STABLE
  RETURN COALESCE(current_setting('app.park', true) = 'on', false);
CREATE FUNCTION seen_tenants() RETURNS int[] LANGUAGE sql STABLE
  RETURN NULLIF(current_setting('app.tenants', true), '')::int[];

-- In a sub-select each is computed once a query, not once a row.
ALTER TABLE asset ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON asset TO park_api USING ((SELECT sees_park()) OR enterprise_id = ANY ((SELECT seen_tenants())::int[]));
ALTER TABLE point ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON point TO park_api USING ((SELECT sees_park()) OR asset_id IN (SELECT id FROM asset));
ALTER TABLE device ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON device TO park_api USING ((SELECT sees_park()) OR asset_id IN (SELECT id FROM asset));
ALTER TABLE alarm ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON alarm TO park_api USING ((SELECT sees_park()) OR point_id IN (SELECT id FROM point));
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON journal TO park_api USING ((SELECT sees_park()) OR point_id IN (SELECT id FROM point));
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON event TO park_api
  USING ((SELECT sees_park()) OR (stream_id, device) IN (SELECT stream_id, key FROM device));
ALTER TABLE gap ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gap TO park_api USING ((SELECT sees_park())
  OR gateway_id IN (SELECT g.id FROM gateway g JOIN point p ON p.stream_id = g.stream_id));
ALTER TABLE dead_letter ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON dead_letter TO park_api USING ((SELECT sees_park()));

ALTER TABLE quarantine ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON quarantine TO park_api USING ((SELECT sees_park()) OR point_id IN (SELECT id FROM point));
ALTER TABLE reading_conflict ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON reading_conflict TO park_api USING ((SELECT sees_park()) OR point_id IN (SELECT id FROM point));

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['asset', 'point', 'device', 'alarm', 'journal', 'event', 'gap', 'dead_letter',
                              'quarantine', 'reading_conflict'] LOOP
    EXECUTE format('CREATE POLICY every_row ON %I TO park_ingest, park_operate, park_report USING (true)', name);
  END LOOP;
END $$;
