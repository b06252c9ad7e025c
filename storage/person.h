/* person.h - which patients are one person (rules, section 7; the rules: transform/person.h).
 *
 * Links rest on the current versions. Rules are applied in their order, each to the groups the stronger ones
 * made: groups whose members share the rule's attributes are joined, unless two of them contradict each
 * other: birth dates that are not the same digits, social security numbers that differ by more than one slip, a
 * decision that they are two. Then the rule joins none of those that hang together by it, and they go to
 * silver.person_review. What a rule joins depends on the rows and the decisions alone, never on their order,
 * which decides at most whose id a group bears: the one a member bore first. Others become aliases.
 *
 * Looked at is who changed, and whoever hangs together with them by attributes, a person or a review. All in
 * transactions under the exclusive placement lock. Statements stand in storage/sql/person.sql. */
#pragma once
#include "storage/pg.h"
#include "transform/person.h"

typedef struct PersonOutcome {
    int64_t n_linked; /* members whose person or rule is another one now */
    int64_t n_merged; /* persons that became aliases */
    int64_t n_opened; /* conflicts that are new on the list */
} PersonOutcome;

/* Writes the rules in force; *ret_all is true when they are others than before and somebody is linked
 * already: then everybody has to be looked at. Writes nothing when they are the same. */
bool person_rules_set(Pg *tx, const PersonRule *rules, size_t n_rules, Arena *arena, bool *ret_all, Error *err);
/* Whether person_rules_set() would say so. */
bool person_rules_differ(Pg *pg, const PersonRule *rules, size_t n_rules, Arena *arena, bool *ret_all, Error *err);

/* Makes the temporary tables; the caller then puts into person_found (source_patient_id,
 * source_system) who changed, each once. After person_link() person_moved holds whose rows of
 * silver.patients bear another id than their person's; those are the caller's to write. Changes the session's planner
 * settings. */
bool person_begin(Pg *tx, Error *err);
typedef struct PersonWork {
    bool is_all;       /* everybody, whatever person_found says */
    const char *actor; /* of the audit lines */
    int64_t run_id;    /* 0: no run */
    Arena *arena;
} PersonWork;
bool person_link(Pg *tx, const PersonWork *work, PersonOutcome *ret_outcome, Error *err);

/* Appends the person as JSON: members and by which rule, since when and by which run they are linked, aliases,
 * the versions of all members in the order of time, encounters by source. An alias is answered
 * with the survivor. */
bool person_show(Pg *pg, const char *person_id, Buf *out, bool *ret_found, Error *err);

/* ---- decisions of people: each a transaction of its own, flushed ---- */

typedef enum PersonDecided {
    PERSON_DECIDED,
    PERSON_UNKNOWN,    /* there is no such person, no such conflict */
    PERSON_NOT_MEMBER, /* somebody named is not one of the person's */
    PERSON_ALL_NAMED   /* nobody would stay */
} PersonDecided;

typedef struct PersonDecision {
    const char *person_id; /* a uuid, of an alias too */
    const char *actor;
    Arena *arena;
    const char *other_id;                   /* merge: the other person */
    const char *source_systems, *source_ids; /* split: who leaves; array literals of equal length */
} PersonDecision;

/* The members named become a person of their own, and are never linked by rule with those that stay. *ret_id is
 * the id of those that left, in the arena. */
bool person_split(Pg *pg, const PersonDecision *decision, PersonDecided *ret_decided, const char **ret_id, Error *err);
/* Both are one from now on, whatever the rules say. *ret_id is the surviving id. */
bool person_merge(Pg *pg, const PersonDecision *decision, PersonDecided *ret_decided, const char **ret_id, Error *err);
/* The conflict leaves the review list, and these members are not listed by this rule again; nobody is linked or parted.
 * Once more changes nothing. PERSON_UNKNOWN: there is no such conflict, or none any more. */
bool person_dismiss(Pg *pg, int64_t review_id, const char *actor, PersonDecided *ret_decided, Error *err);
