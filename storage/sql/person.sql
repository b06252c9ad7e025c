-- Who is one person (rules, section 7); storage/person.c runs these, in a transaction under the exclusive
-- placement lock. Temporary tables hold the members looked at and their groups: a group is a `label`.

-- ---- the rules in force ----

-- Arrays in the order of places: names, attributes joined by commas.
-- name: person_rules_differ
SELECT (SELECT array_agg(name ORDER BY place) FROM silver.person_rule) IS DISTINCT FROM $1::text[]
    OR (SELECT array_agg(array_to_string(attributes, ',') ORDER BY place) FROM silver.person_rule)
       IS DISTINCT FROM $2::text[],
    EXISTS (SELECT FROM silver.person_link)

-- name: person_rules_forget
DELETE FROM silver.person_rule

-- name: person_rules_write
INSERT INTO silver.person_rule (place, name, attributes)
SELECT place, name, string_to_array(attributes, ',')
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u(name, attributes, place)

-- Their attributes as columns, as the columns an index is looked up by (it knows the number as it is written), and,
-- for rules without it, their hash as a column of person_key.
-- name: person_rules
SELECT name, columns, CASE WHEN 'ssn' = ANY (attributes) THEN 'ssn_written, ' ELSE '' END || columns,
       CASE WHEN 'ssn' <> ALL (attributes) THEN 'rule_' || place END,
       CASE WHEN 'ssn' <> ALL (attributes) THEN
           format('CASE WHEN (%1$s) IS NOT NULL THEN hash_record_extended(ROW(%1$s), 0) END AS rule_%2$s',
                  columns, place) END
FROM silver.person_rule,
LATERAL (SELECT string_agg(quote_ident(attribute), ', ' ORDER BY place) AS columns
         FROM unnest(attributes) WITH ORDINALITY AS u(attribute, place)) AS listed
ORDER BY silver.person_rule.place

-- ---- who is looked at ----

-- name: person_session
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '128MB', true),
       set_config('jit', 'off', true)

-- Evidence of few is looked up, that of everybody is hashed: without statistics on temporary tables the
-- planner would not know.
-- name: person_session_few
SELECT set_config('enable_nestloop', 'on', true), set_config('enable_mergejoin', 'on', true)

-- name: person_session_all
SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: person_begin_found
CREATE TEMP TABLE person_found (source_patient_id text COLLATE "C", source_system text COLLATE "C") ON COMMIT DROP

-- `old_person` is the link's, `borne` that of the patient's row; `ssn` is empty where the number is no evidence. `rule` and `last_rule`: the places of the first and the
-- last rule that joined the group with another, 0: a decision.
-- name: person_begin_member
CREATE TEMP TABLE person_member (
    id bigint, label bigint, round int, source_patient_id text COLLATE "C", source_system text COLLATE "C",
    ssn_written text, ssn text, birth_date date, birth_digits text, first_name text, first_initial text,
    middle_initial text, last_name text, gender text, phone text, email text, street text, city text, state text,
    zip text, member_id text, borne uuid, old_person uuid, joined_at timestamptz, rule int, last_rule int
) ON COMMIT DROP

-- Members whose rows bear another id than their person's.
-- name: person_begin_moved
CREATE TEMP TABLE person_moved (source_patient_id text COLLATE "C", source_system text COLLATE "C") ON COMMIT DROP

-- name: person_count_found
SELECT count(*) FROM person_found

-- name: person_count_current
SELECT count(*) FROM silver.patients WHERE is_current

-- When everybody is looked at: hashes of each patient's number and of what the rules without it match. Members are those
-- alone that have one in common with another, or are linked, decided about or under review already. {keys}: of
-- PERSON_RULES. OFFSET 0: what several rules name is normalised once.
-- name: person_day
CREATE TEMP TABLE person_day ON COMMIT DROP AS
SELECT birth_date, silver.person_digits(birth_date) AS digits
FROM (SELECT DISTINCT birth_date FROM silver.patients WHERE is_current) AS days

-- name: person_key
CREATE TEMP TABLE person_key ON COMMIT DROP AS
SELECT patient_key, hashtextextended(ssn, 0) AS number{keys}
FROM (SELECT patient_key, ssn, birth_date, d.digits AS birth_digits, first_name, first_initial, middle_initial, last_name,
             gender, phone, email, street, city, state, zip, member_id
      FROM silver.person_evidence LEFT JOIN person_day d USING (birth_date)
      OFFSET 0) AS e

-- name: person_candidate
CREATE TEMP TABLE person_candidate ON COMMIT DROP AS
SELECT p.patient_key
FROM (SELECT source_patient_id, source_system FROM silver.person_link WHERE rule <> 'alone'
      UNION
      SELECT source_patient_id, source_system FROM silver.person_merge
      UNION
      SELECT substr(named.member, strpos(named.member, '|') + 1), split_part(named.member, '|', 1)
      FROM silver.person_review r, unnest(r.members) AS named(member) WHERE r.state = 'open') AS known
JOIN silver.patients p USING (source_patient_id, source_system)
WHERE p.is_current

-- name: person_candidate_rule
INSERT INTO person_candidate
SELECT patient_key FROM person_key
WHERE {key} IN (SELECT {key} FROM person_key WHERE {key} IS NOT NULL GROUP BY {key} HAVING count(*) > 1)

-- name: person_take_candidates
INSERT INTO person_member
SELECT n.id, n.id, 0, n.source_patient_id, n.source_system, ssn_written, ssn, birth_date, d.digits, first_name,
       first_initial, middle_initial, last_name, gender, phone, email, street, city, state, zip, member_id, borne,
       l.person_id, l.joined_at
FROM (SELECT row_number() OVER () AS id, e.* FROM silver.person_evidence e
      WHERE patient_key IN (SELECT patient_key FROM person_candidate)) n
LEFT JOIN person_day d USING (birth_date)
LEFT JOIN silver.person_link l USING (source_patient_id, source_system)

-- Of those found the ones that are new here: the next round.
-- name: person_take
INSERT INTO person_member
SELECT n.id, n.id, $1::int, n.source_patient_id, n.source_system, ssn_written, ssn, birth_date, birth_digits,
       first_name, first_initial, middle_initial, last_name, gender, phone, email, street, city, state, zip,
       member_id, borne, l.person_id, l.joined_at
FROM (SELECT (SELECT count(*) FROM person_member) + row_number() OVER () AS id, e.*
      FROM (SELECT DISTINCT source_patient_id, source_system FROM person_found
            EXCEPT SELECT source_patient_id, source_system FROM person_member) f
      JOIN silver.person_evidence e USING (source_patient_id, source_system)) n
LEFT JOIN silver.person_link l USING (source_patient_id, source_system)

-- name: person_found_clear
TRUNCATE person_found

-- Whoever shares the attributes of a rule with the last round.
-- name: person_spread_rule
INSERT INTO person_found
SELECT o.source_patient_id, o.source_system
FROM person_member m JOIN silver.person_evidence o USING ({columns})
WHERE m.round = $1::int

-- Whoever shares a number, a person or a review with the last round. Decisions need no look: those of a merge are
-- one person, and who was split matters to the other side only where both share attributes.
-- name: person_spread_others
INSERT INTO person_found
SELECT o.source_patient_id, o.source_system
FROM person_member m JOIN silver.patients o ON o.ssn = m.ssn_written AND o.is_current
WHERE m.round = $1::int AND m.ssn IS NOT NULL
UNION ALL
SELECT o.source_patient_id, o.source_system
FROM person_member m JOIN silver.person_link o ON o.person_id = m.old_person
WHERE m.round = $1::int
UNION ALL
SELECT substr(named.member, strpos(named.member, '|') + 1), split_part(named.member, '|', 1)
FROM silver.person_review r, unnest(r.members) AS named(member)
WHERE r.members && (SELECT array_agg(m.source_system || '|' || m.source_patient_id)
                    FROM person_member m WHERE m.round = $1::int)

-- name: person_member_analyze
ANALYZE person_member

-- ---- what is evidence ----

-- Numbers of several birth dates; of more than three they are no evidence.
-- name: person_ssn_find
CREATE TEMP TABLE person_ssn ON COMMIT DROP AS
SELECT ssn, count(birth_date) AS births
FROM (SELECT ssn, birth_date FROM person_member WHERE ssn IS NOT NULL GROUP BY ssn, birth_date) AS born
GROUP BY ssn HAVING count(birth_date) > 1

-- name: person_ssn_shared
UPDATE person_member m SET ssn = NULL FROM person_ssn s WHERE s.ssn = m.ssn AND s.births > 3

-- name: person_side_find
CREATE TEMP TABLE person_side ON COMMIT DROP AS
SELECT s.split_id, s.side, m.id
FROM silver.person_split s JOIN person_member m USING (source_patient_id, source_system)

-- ---- groups, rule by rule, strongest first ----

-- Groups that share a class are to be joined; a root is what they will be called.
-- name: person_class
CREATE TEMP TABLE person_class (class bigint, label bigint, root bigint) ON COMMIT DROP

-- Sets of groups of which some cannot be one person.
-- name: person_refused
CREATE TEMP TABLE person_refused (set bigint, conflict text) ON COMMIT DROP

-- name: person_conflict
CREATE TEMP TABLE person_conflict (place int, rule text, conflict text, ids bigint[]) ON COMMIT DROP

-- name: person_class_merged
INSERT INTO person_class
SELECT merge_id, label, root
FROM (SELECT d.merge_id, m.label, min(m.label) OVER one AS root, count(*) OVER one AS n
      FROM silver.person_merge d JOIN person_member m USING (source_patient_id, source_system)
      WINDOW one AS (PARTITION BY d.merge_id)) AS decided
WHERE n > 1

-- name: person_class_rule
INSERT INTO person_class
SELECT c.class, m.label, c.root
FROM (SELECT {columns}, min(label) AS root, row_number() OVER () AS class
      FROM person_member WHERE ({columns}) IS NOT NULL
      GROUP BY {columns} HAVING min(label) <> max(label)) c
JOIN person_member m USING ({columns})
GROUP BY c.class, m.label, c.root

-- A class that holds both sides of a decision falls into parts of equal sides. Who stands on neither
-- side may belong to either: that goes to a person. $1 and $2: the rule's place and name.
-- name: person_class_sides
WITH side AS MATERIALIZED (
    SELECT DISTINCT c.class, c.label, s.split_id, s.side
    FROM person_class c JOIN person_member m USING (label) JOIN person_side s ON s.id = m.id
), opposed AS MATERIALIZED (
    SELECT class, split_id FROM side GROUP BY class, split_id HAVING min(side) <> max(side)
), signed AS MATERIALIZED (
    SELECT c.class, c.label,
           coalesce(string_agg(s.split_id || ':' || s.side, ',' ORDER BY s.split_id), '') AS signature
    FROM person_class c
    LEFT JOIN (side s JOIN opposed USING (class, split_id)) ON s.class = c.class AND s.label = c.label
    WHERE c.class IN (SELECT class FROM opposed)
    GROUP BY c.class, c.label
), parts AS MATERIALIZED (
    SELECT class, label, -dense_rank() OVER (ORDER BY class, signature) AS part,
           min(label) OVER (PARTITION BY class, signature) AS root
    FROM signed
), ambiguous AS (
    SELECT DISTINCT a.class
    FROM parts a JOIN parts b ON b.class = a.class AND b.part < a.part
    WHERE NOT EXISTS (SELECT FROM side s JOIN side t USING (class, split_id)
                      WHERE s.class = a.class AND s.label = a.label AND t.label = b.label AND s.side <> t.side)
), told AS (
    INSERT INTO person_conflict
    SELECT $1::int, $2, 'split', array_agg(m.id)
    FROM ambiguous JOIN person_class c USING (class) JOIN person_member m USING (label)
    GROUP BY c.class
)
UPDATE person_class c SET class = p.part, root = p.root
FROM parts p WHERE p.class = c.class AND p.label = c.label

-- name: person_class_alone
DELETE FROM person_class WHERE class IN (SELECT class FROM person_class GROUP BY class HAVING count(*) = 1)

-- {set}: class, and then root, when classes have met.
-- name: person_refuse
WITH suspicious AS MATERIALIZED (
    SELECT c.{set} AS set
    FROM person_class c JOIN person_member m USING (label)
    GROUP BY c.{set}
    HAVING min(m.birth_digits) <> max(m.birth_digits) OR min(m.ssn) <> max(m.ssn)
    UNION
    SELECT c.{set} FROM person_class c JOIN person_member m USING (label) JOIN person_side s ON s.id = m.id
), facts AS MATERIALIZED (
    SELECT g.set, m.label,
           coalesce(array_agg(DISTINCT m.birth_digits) FILTER (WHERE m.birth_digits IS NOT NULL), '{}') AS births,
           coalesce(array_agg(DISTINCT m.ssn) FILTER (WHERE m.ssn IS NOT NULL), '{}') AS ssns,
           coalesce(array_agg(DISTINCT s.split_id * 2 + s.side) FILTER (WHERE s.id IS NOT NULL), '{}') AS splits,
           coalesce(array_agg(DISTINCT s.split_id * 2 + 1 - s.side) FILTER (WHERE s.id IS NOT NULL), '{}') AS opposites
    FROM (SELECT DISTINCT c.{set} AS set, c.label FROM person_class c JOIN suspicious ON suspicious.set = c.{set}) g
    JOIN person_member m USING (label) LEFT JOIN person_side s ON s.id = m.id
    GROUP BY g.set, m.label
), crowds AS MATERIALIZED (
    SELECT set, count(*) > 100 AS is_crowd FROM facts GROUP BY set
)
INSERT INTO person_refused
SELECT set, 'many' FROM crowds WHERE is_crowd
UNION ALL
SELECT set, min(conflict)
FROM (SELECT a.set, silver.person_contradiction(a.births, b.births, a.ssns, b.ssns, a.splits, b.opposites) AS conflict
      FROM crowds JOIN facts a USING (set) JOIN facts b ON b.set = a.set AND b.label > a.label
      WHERE NOT is_crowd) AS pairs
WHERE conflict IS NOT NULL
GROUP BY set

-- name: person_refuse_tell
INSERT INTO person_conflict
SELECT $1::int, $2, r.conflict, array_agg(DISTINCT m.id)
FROM person_refused r JOIN person_class c ON c.{set} = r.set JOIN person_member m USING (label)
GROUP BY r.set, r.conflict

-- name: person_refuse_drop
DELETE FROM person_class c USING person_refused r WHERE c.{set} = r.set

-- name: person_refused_clear
TRUNCATE person_refused

-- The least root of all classes that share a group, until nothing moves.
-- name: person_class_spread
UPDATE person_class c SET root = n.root
FROM (SELECT p.class, min(l.root) AS root
      FROM person_class p JOIN (SELECT label, min(root) AS root FROM person_class GROUP BY label) l USING (label)
      GROUP BY p.class) n
WHERE n.class = c.class AND n.root < c.root

-- name: person_join
UPDATE person_member m SET label = c.root, rule = coalesce(m.rule, $1::int), last_rule = $1::int
FROM (SELECT DISTINCT label, root FROM person_class) c
WHERE m.label = c.label

-- name: person_class_clear
TRUNCATE person_class

-- ---- who they are ----

-- An old id goes to the group of the member that bore it first.
-- name: person_owned
CREATE TEMP TABLE person_owned ON COMMIT DROP AS
SELECT DISTINCT ON (old_person) old_person, label, joined_at, last_rule
FROM person_member WHERE old_person IS NOT NULL
ORDER BY old_person, joined_at, source_system, source_patient_id

-- A group keeps the oldest it got; one that got none takes what a row of its members bears: who was never linked
-- bears an id that nobody else does.
-- name: person_group
CREATE TEMP TABLE person_group ON COMMIT DROP AS
SELECT g.label, coalesce(k.old_person, g.borne, gen_random_uuid()) AS person_id
FROM (SELECT DISTINCT ON (label) label, CASE WHEN old_person IS NULL THEN borne END AS borne
      FROM person_member ORDER BY label, (old_person IS NOT NULL OR borne IS NULL), source_system, source_patient_id) g
LEFT JOIN (SELECT DISTINCT ON (label) label, old_person FROM person_owned
           ORDER BY label, joined_at, old_person) k USING (label)

-- name: person_alias_find
CREATE TEMP TABLE person_merged ON COMMIT DROP AS
SELECT o.old_person AS old_id, g.person_id, CASE WHEN o.last_rule = 0 THEN 'manual' ELSE r.name END AS rule
FROM person_owned o JOIN person_group g USING (label)
LEFT JOIN silver.person_rule r ON r.place = o.last_rule
WHERE o.old_person <> g.person_id

-- name: person_alias_again
UPDATE silver.person_alias a SET person_id = p.person_id FROM person_merged p WHERE a.person_id = p.old_id

-- name: person_alias
INSERT INTO silver.person_alias (old_id, person_id, rule, run_id)
SELECT old_id, person_id, rule, nullif($1::bigint, 0) FROM person_merged
ON CONFLICT (old_id) DO UPDATE
SET person_id = EXCLUDED.person_id, rule = EXCLUDED.rule, run_id = EXCLUDED.run_id, made_at = now()

-- name: person_alias_audit
INSERT INTO ops.audit (actor, action, object, outcome, details)
SELECT $2, 'person.merge', person_id::text, 'done',
       jsonb_build_object('old_id', old_id, 'rule', rule, 'run', nullif($1::bigint, 0)::text)
FROM person_merged

-- name: person_linked
CREATE TEMP TABLE person_linked ON COMMIT DROP AS
SELECT m.source_patient_id, m.source_system, m.borne, m.old_person, g.person_id,
       CASE WHEN m.rule = 0 THEN 'manual' ELSE coalesce(r.name, 'alone') END AS rule
FROM person_member m JOIN person_group g USING (label)
LEFT JOIN silver.person_rule r ON r.place = m.rule

-- name: person_link_new
INSERT INTO silver.person_link (source_patient_id, source_system, person_id, rule, run_id)
SELECT source_patient_id, source_system, person_id, rule, nullif($1::bigint, 0)
FROM person_linked WHERE old_person IS NULL
ORDER BY source_patient_id, source_system

-- name: person_link_again
UPDATE silver.person_link k
SET person_id = l.person_id, rule = l.rule, run_id = nullif($1::bigint, 0), linked_at = now(),
    joined_at = CASE WHEN k.person_id = l.person_id THEN k.joined_at ELSE now() END
FROM person_linked l
WHERE k.source_patient_id = l.source_patient_id AND k.source_system = l.source_system
  AND (k.person_id, k.rule) IS DISTINCT FROM (l.person_id, l.rule)

-- name: person_move
INSERT INTO person_moved
SELECT source_patient_id, source_system FROM person_linked WHERE borne IS DISTINCT FROM person_id

-- Everybody else, when everybody is looked at: who has nothing in common with anybody keeps the id that he bears.
-- name: person_link_others
INSERT INTO silver.person_link (source_patient_id, source_system, person_id, rule, run_id)
SELECT source_patient_id, source_system, coalesce(p.person_id, gen_random_uuid()), 'alone', nullif($1::bigint, 0)
FROM silver.patients p LEFT JOIN silver.person_link l USING (source_patient_id, source_system)
WHERE p.is_current AND l.person_id IS NULL
ORDER BY source_patient_id, source_system

-- name: person_move_others
INSERT INTO person_moved
SELECT source_patient_id, source_system FROM silver.patients WHERE is_current AND person_id IS NULL

-- name: person_moved_analyze
ANALYZE person_moved

-- ---- what a person has to look at ----

-- One number, several birth dates.
-- name: person_conflict_ssn
INSERT INTO person_conflict
SELECT 0, CASE WHEN s.births > 3 THEN 'ssn_shared' ELSE 'ssn_birth_date' END,
       CASE WHEN s.births > 3 THEN 'shared' ELSE 'birth_date' END, array_agg(m.id)
FROM person_ssn s JOIN person_member m ON m.ssn_written = s.ssn
GROUP BY s.ssn, s.births

-- Of conflicts between the same members the strongest; none when they are one person by now, or when it was
-- decided that no two of the groups are.
-- name: person_open
CREATE TEMP TABLE person_open ON COMMIT DROP AS
WITH numbered AS MATERIALIZED (
    SELECT row_number() OVER () AS n, place, rule, conflict, ids FROM person_conflict
), facts AS MATERIALIZED (
    SELECT c.n, m.label,
           coalesce(array_agg(DISTINCT s.split_id * 2 + s.side) FILTER (WHERE s.id IS NOT NULL), '{}') AS splits,
           coalesce(array_agg(DISTINCT s.split_id * 2 + 1 - s.side) FILTER (WHERE s.id IS NOT NULL), '{}') AS opposites
    FROM numbered c CROSS JOIN LATERAL unnest(c.ids) AS u(id) JOIN person_member m ON m.id = u.id
    LEFT JOIN person_side s ON s.id = m.id
    GROUP BY c.n, m.label
), undecided AS (
    SELECT n FROM facts GROUP BY n
    HAVING count(*) > 100 OR (count(*) > 1 AND bool_and(splits = '{}'))
    UNION
    SELECT a.n FROM facts a JOIN facts b ON b.n = a.n AND b.label > a.label
    WHERE a.n IN (SELECT n FROM facts GROUP BY n HAVING bool_or(splits <> '{}') AND count(*) <= 100)
      AND NOT a.splits && b.opposites
)
SELECT DISTINCT ON (members) members, rule, conflict
FROM (SELECT c.n, c.place, c.rule, c.conflict,
             array_agg(m.source_system || '|' || m.source_patient_id
                       ORDER BY m.source_system, m.source_patient_id) AS members
      FROM undecided JOIN numbered c USING (n) CROSS JOIN LATERAL unnest(c.ids) AS u(id)
      JOIN person_member m ON m.id = u.id
      GROUP BY c.n, c.place, c.rule, c.conflict) AS told
ORDER BY members, place, rule, conflict

-- name: person_review_close
DELETE FROM silver.person_review
WHERE review_id IN (
    SELECT r.review_id
    FROM silver.person_review r CROSS JOIN LATERAL unnest(r.members) AS named(member)
    JOIN person_member m ON m.source_system || '|' || m.source_patient_id = named.member
    WHERE r.state = 'open'
      AND NOT EXISTS (SELECT FROM person_open o WHERE o.members = r.members AND o.rule = r.rule))

-- name: person_review_open
INSERT INTO silver.person_review (members, rule, conflict)
SELECT members, rule, conflict FROM person_open o
WHERE NOT EXISTS (SELECT FROM silver.person_review r WHERE r.members = o.members AND r.rule = o.rule)

-- ---- who is asked for ----

-- name: person_show
WITH person AS MATERIALIZED (
    SELECT coalesce((SELECT person_id FROM silver.person_alias WHERE old_id = $1::uuid), $1::uuid) AS person_id
), member AS MATERIALIZED (
    SELECT l.* FROM silver.person_link l JOIN person USING (person_id)
)
SELECT json_build_object(
    'person_id', person_id::text,
    'aliases', coalesce((
        SELECT json_agg(json_build_object('person_id', a.old_id::text, 'rule', a.rule, 'run', a.run_id::text,
            'merged_at', to_char(a.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            ORDER BY a.made_at, a.old_id)
        FROM silver.person_alias a WHERE a.person_id = person.person_id), '[]'),
    'members', (
        SELECT json_agg(json_build_object('source_system', m.source_system, 'source_patient_id', m.source_patient_id,
            'rule', m.rule, 'run', m.run_id::text,
            'linked_at', to_char(m.linked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'explanation', CASE m.rule WHEN 'alone' THEN 'linked with nobody' WHEN 'manual' THEN 'linked by decision'
                                       ELSE 'linked by rule ' || m.rule END
                || ' on ' || to_char(m.linked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') || coalesce(', run ' || m.run_id, ''))
            ORDER BY m.source_system, m.source_patient_id)
        FROM member m),
    'versions', (
        SELECT json_agg(json_build_object('patient_key', p.patient_key::text, 'source_system', p.source_system,
            'source_patient_id', p.source_patient_id, 'version', p.version,
            'effective_date', to_char(p.effective_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'expiry_date', to_char(p.expiry_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'is_current', p.is_current, 'is_deleted', p.is_deleted, 'first_name', p.first_name,
            'middle_name', p.middle_name, 'last_name', p.last_name, 'ssn', p.ssn, 'birth_date', p.birth_date,
            'gender', p.gender, 'phone', p.phone, 'email', p.email, 'address', p.address, 'city', p.city,
            'state', p.state, 'zip', p.zip, 'source_payer_id', p.source_payer_id, 'member_id', p.member_id,
            'dq_flags', p.dq_flags)
            ORDER BY p.effective_date, p.source_system, p.source_patient_id)
        FROM member JOIN silver.patients p USING (source_patient_id, source_system)),
    'encounters', coalesce((
        SELECT json_agg(json_build_object('source_system', s.source_system, 'count', s.n, 'first', s.first_day,
                                          'last', s.last_day) ORDER BY s.first_day, s.source_system)
        FROM (SELECT e.source_system, count(*) AS n, min(e.encounter_date) AS first_day,
                     max(e.encounter_date) AS last_day
              FROM member JOIN silver.encounters e USING (source_patient_id, source_system)
              WHERE NOT e.is_deleted GROUP BY e.source_system) s), '[]'))::text
FROM person WHERE EXISTS (SELECT FROM member)

-- ---- decisions ----

-- name: person_lock_limit
SELECT set_config('lock_timeout', '10s', true)

-- The person that an id means by now.
-- name: person_survivor
SELECT l.person_id FROM silver.person_link l
WHERE l.person_id = coalesce((SELECT person_id FROM silver.person_alias WHERE old_id = $1::uuid), $1::uuid) LIMIT 1

-- name: person_named_begin
CREATE TEMP TABLE person_named ON COMMIT DROP AS
SELECT DISTINCT u.source_patient_id COLLATE "C" AS source_patient_id, u.source_system COLLATE "C" AS source_system
FROM unnest($1::text[], $2::text[]) AS u(source_patient_id, source_system)

-- How many are named, how many of them are the person's, how many the person has.
-- name: person_named_count
SELECT (SELECT count(*) FROM person_named),
       (SELECT count(*) FROM person_named JOIN silver.person_link l USING (source_patient_id, source_system)
        WHERE l.person_id = $1::uuid),
       (SELECT count(*) FROM silver.person_link WHERE person_id = $1::uuid)

-- name: person_split_write
WITH decision AS MATERIALIZED (SELECT nextval('silver.person_decision_seq') AS id)
INSERT INTO silver.person_split (split_id, side, source_system, source_patient_id, actor)
SELECT decision.id, (n.source_patient_id IS NOT NULL)::int, l.source_system, l.source_patient_id, $2
FROM decision CROSS JOIN silver.person_link l
LEFT JOIN person_named n USING (source_patient_id, source_system)
WHERE l.person_id = $1::uuid

-- An older decision that both sides are one falls apart into two.
-- name: person_split_unmerge
UPDATE silver.person_merge m SET merge_id = renamed.new_id
FROM (SELECT merge_id, nextval('silver.person_decision_seq') AS new_id
      FROM (SELECT DISTINCT merge_id FROM silver.person_merge
            JOIN person_named USING (source_patient_id, source_system)) AS torn) AS renamed
WHERE m.merge_id = renamed.merge_id
  AND (m.source_patient_id, m.source_system) IN (SELECT source_patient_id, source_system FROM person_named)

-- Whoever stays keeps the id.
-- name: person_split_disown
UPDATE silver.person_link l SET joined_at = clock_timestamp()
FROM person_named n
WHERE n.source_patient_id = l.source_patient_id AND n.source_system = l.source_system

-- name: person_merge_write
WITH decision AS MATERIALIZED (SELECT nextval('silver.person_decision_seq') AS id)
INSERT INTO silver.person_merge (merge_id, source_system, source_patient_id, actor)
SELECT decision.id, l.source_system, l.source_patient_id, $3
FROM decision CROSS JOIN silver.person_link l
WHERE l.person_id IN ($1::uuid, $2::uuid)

-- An older decision that they are two no longer holds between them.
-- name: person_merge_unsplit
WITH merged AS MATERIALIZED (
    SELECT s.split_id, s.side, s.source_patient_id, s.source_system
    FROM silver.person_split s JOIN silver.person_link l USING (source_patient_id, source_system)
    WHERE l.person_id IN ($1::uuid, $2::uuid)
)
DELETE FROM silver.person_split s USING merged m
WHERE m.split_id = s.split_id AND m.source_patient_id = s.source_patient_id AND m.source_system = s.source_system
  AND m.split_id IN (SELECT split_id FROM merged GROUP BY split_id HAVING min(side) <> max(side))

-- A dismissed conflict stays: between the same members by the same rule it is not opened again.
-- name: person_review_dismiss
UPDATE silver.person_review SET state = 'dismissed', decided_by = $2, decided_at = now()
WHERE review_id = $1::bigint AND state = 'open'

-- name: person_review_known
SELECT EXISTS (SELECT FROM silver.person_review WHERE review_id = $1::bigint)

-- name: person_find_decided
INSERT INTO person_found
SELECT source_patient_id, source_system FROM silver.person_link WHERE person_id IN ($1::uuid, $2::uuid)

-- Every version bears the person's id.
-- name: person_write
UPDATE silver.patients p SET person_id = l.person_id, batch_id = $1::bigint
FROM person_moved m JOIN silver.person_link l USING (source_patient_id, source_system)
WHERE p.source_patient_id = m.source_patient_id AND p.source_system = m.source_system
  AND p.person_id IS DISTINCT FROM l.person_id

-- Those that left are one person, or several where nothing holds them together.
-- name: person_of_named
SELECT min(l.person_id::text) FROM person_named JOIN silver.person_link l USING (source_patient_id, source_system)
