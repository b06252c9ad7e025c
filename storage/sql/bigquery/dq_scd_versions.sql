-- How many patients and providers have how many versions, by hospital: versions are gapless, so who has a third has a second.
WITH spans AS (
  SELECT 'patients' AS entity, source_system, version, COUNT(*) AS n FROM `{dataset}.dim_patients`
  WHERE NOT is_inferred AND source_system <> '' GROUP BY source_system, version
  UNION ALL
  SELECT 'providers', source_system, version, COUNT(*) FROM `{dataset}.dim_providers`
  WHERE NOT is_inferred AND source_system <> '' GROUP BY source_system, version
)
SELECT s.entity, s.source_system, s.version AS versions, s.n - COALESCE(f.n, 0) AS members
FROM spans s LEFT JOIN spans f ON f.entity = s.entity AND f.source_system = s.source_system AND f.version = s.version + 1
WHERE s.n > COALESCE(f.n, 0)
