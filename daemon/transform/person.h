/* person.h - the rules by which patients of several sources are one person (rules, section 7).
 *
 * A rule is a name and the attributes that must agree, all of them known on both sides, after each was
 * normalised; the table of attributes says how. Which of the rules is stronger, their order says.
 * storage/person.h applies them; silver.person_evidence computes the attributes. Pure, any thread. */
#pragma once
#include "base/str.h"

typedef struct PersonAttribute {
    const char *name;
    /* Few share it and an index finds them: every rule names one such. Otherwise everybody would be
     * compared with everybody. */
    bool is_selective;
    const char *help; /* how it is normalised */
} PersonAttribute;

extern const PersonAttribute PERSON_ATTRIBUTES[];
extern const size_t N_PERSON_ATTRIBUTES;

typedef struct PersonRule {
    const char *name;
    const char *const *match; /* names of attributes */
    size_t n_match;
} PersonRule;

/* Those in force where the configuration names none. Each of them holds for a pair of which one field is
 * wrong in a place of its own; together they need two wrong fields to miss one. */
extern const PersonRule PERSON_RULES[];
extern const size_t N_PERSON_RULES;

/* NULL when there is none of this name. */
const PersonAttribute *person_attribute(Str name);
/* Names that the explanations use for something else. */
bool person_rule_name_is_taken(Str name);
