/* reference.h - THE table of what silver names that others keep lists of: whose, and in which columns. Pure; any thread.
 *
 * Registers are asked about one number or code at a time (storage/lookup.h). */
#pragma once
#include "base/str.h"

typedef enum Reference {
    REFERENCE_NPI,
    REFERENCE_ICD10,
    REFERENCE_HCPCS,
    REFERENCES
} Reference;
enum { REFERENCE_REGISTERS = REFERENCES };

typedef struct ReferenceKind {
    const char *name;        /* in the configuration, ref.service, metrics and notes */
    const char *subject;     /* in sentences */
    const char *code_system; /* silver's word for it; NULL: no list of codes */
    const char *table;       /* silver's, of which the columns are */
    const char *key, *group;
    bool (*is_formed)(Str code); /* what has no such form is asked of nobody */
    Str (*group_of)(Str code);   /* NULL: the list says */
} ReferenceKind;
extern const ReferenceKind REFERENCE_KINDS[REFERENCES];
