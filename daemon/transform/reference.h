/* reference.h - THE table of what silver names that others keep lists of: whose, and in which columns. Pure; any thread.
 *
 * Registers are asked about one number or code at a time (storage/lookup.h). The others are files of the customer's, which
 * are read whole (formats/list_file.h): what a licence forbids to ship, or nobody else can know. */
#pragma once
#include "transform/formats/list_file.h"

typedef enum Reference {
    REFERENCE_NPI,
    REFERENCE_ICD10,
    REFERENCE_HCPCS,
    REFERENCE_REGISTERS,
    REFERENCE_CPT = REFERENCE_REGISTERS,
    REFERENCE_CARC,
    REFERENCE_RARC,
    REFERENCE_PAYERS,
    REFERENCES
} Reference;

/* Columns of a file of codes, and of the payers' file: places in a ListRow. */
enum { CODE_CODE, CODE_DESCRIPTION, CODE_CATEGORY };
enum { PAYER_ALIAS, PAYER_NAME, PAYER_TYPE, PAYER_SOURCE };

typedef struct ReferenceKind {
    const char *name;        /* in the configuration, ref.service, metrics and notes */
    const char *subject;     /* in sentences */
    const char *code_system; /* silver's word for it; NULL: no list of codes */
    const char *table;       /* silver's, of which the columns are */
    const char *key, *group;
    bool (*is_formed)(Str code); /* what has no such form is asked of nobody */
    Str (*group_of)(Str code);   /* a register's */
    const ListFormat *format;    /* a file's; NULL: a register */
} ReferenceKind;
extern const ReferenceKind REFERENCE_KINDS[REFERENCES];
