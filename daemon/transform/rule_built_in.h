/* rule_built_in.h - the rules that hold everywhere: model.md's flags, and why rows are kept out. Static; any thread. */
#pragma once
#include "transform/record.h"
#include "transform/rule_spec.h"

enum { NO_FLAG = -1 };

typedef struct BuiltInRule {
    const char *name;
    int flag;           /* a Flag of the record; NO_FLAG: settle's, or it only keeps rows out */
    const char *entity; /* NULL: of every entity that has the column `needs`, or of all */
    const char *needs;
    QualityDimension dimension;
    Severity severity; /* unless the configuration says another */
    const char *check; /* NULL: a cleaner, place or settle raises it */
    const char *says;  /* what holds of a good row */
} BuiltInRule;

extern const BuiltInRule BUILT_IN_RULES[];
extern const size_t N_BUILT_IN_RULES;

/* Entities of sources alone have rules. */
bool built_in_is_for(const BuiltInRule *rule, const Entity *entity);
/* True when a built-in rule has the name, for whatever entity. */
bool built_in_has(const char *name);
/* True when the configuration may give it another severity or check: rows are looked at one by one. */
bool built_in_can_change(const char *name);
