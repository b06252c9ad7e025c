-- What a publication does in BigQuery (rules, section 8). {names} and numbers come from the entity table
-- and the ledger; months stand as literals on the bare partition column, so that only those are scanned.

-- name: bq_newest_publication
SELECT CAST(publication_id AS STRING), epoch FROM `{dataset}._publications`
ORDER BY publication_id DESC LIMIT 1

-- The highest position, whichever publication saw it.
-- name: bq_sequences
SELECT s.name, CAST(MAX(s.position) AS STRING) FROM `{dataset}._publications`, UNNEST(sequences) AS s
GROUP BY s.name ORDER BY s.name

-- name: bq_outcome
SELECT COUNT(*) FROM `{dataset}._publications` WHERE publication_id = {id} AND epoch = '{epoch}'

-- One transaction over all changed tables. The MERGE makes two publications at a time conflict; the test before
-- it stops the second run of one, and one that others have overtaken.
-- name: bq_apply_begin
BEGIN TRANSACTION;
IF EXISTS (SELECT 1 FROM `{dataset}._publications` WHERE publication_id >= {id}) THEN
  RAISE USING MESSAGE = 'publication {id} is applied already, or a later one is';
END IF;
MERGE INTO `{dataset}._publications` P
USING (SELECT {id} AS publication_id) S
ON P.publication_id = S.publication_id
WHEN NOT MATCHED THEN
  INSERT (publication_id, published_at, epoch, as_of, sequences, tables)
  VALUES (S.publication_id, CURRENT_TIMESTAMP(), '{epoch}', {as_of}, [{sequences}], [{tables}]);

-- name: bq_apply_table
MERGE INTO `{dataset}.{table}` T
USING `{dataset}.{staging}` S
ON T.{key} = S.{key} AND {partitions}
WHEN MATCHED AND S._deleted THEN DELETE
WHEN MATCHED THEN UPDATE SET {assignments}
WHEN NOT MATCHED AND NOT S._deleted THEN
  INSERT ({columns}) VALUES ({values});

-- Everything the table holds is replaced: nothing matches, so all that is there goes.
-- name: bq_replace_table
MERGE INTO `{dataset}.{table}` T
USING `{dataset}.{staging}` S
ON FALSE
WHEN NOT MATCHED AND NOT S._deleted THEN
  INSERT ({columns}) VALUES ({values})
WHEN NOT MATCHED BY SOURCE THEN DELETE;

-- name: bq_apply_commit
COMMIT TRANSACTION;

-- name: bq_months
SELECT COALESCE(EXTRACT(YEAR FROM T.{partition}) * 100 + EXTRACT(MONTH FROM T.{partition}), 0), {sums}
FROM `{dataset}.{table}` T GROUP BY 1 ORDER BY 1

-- name: bq_table
SELECT 0, {sums} FROM `{dataset}.{table}` T

-- name: bq_sums
SELECT {sums} FROM `{dataset}.{table}` T WHERE {partitions}
