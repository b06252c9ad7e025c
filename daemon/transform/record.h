/* record.h - one row after cleaning.
 *
 * `values` has one Value per column of the entity, in its order; place fills the rest (surrogates,
 * hashes, batch). Flags are bits: the built-in ones below, a site's own rules from FLAG_SITE on.
 * A row that cannot be used has `reject_rule` set, and goes to quarantine. */
#pragma once
#include "transform/entity.h"
#include "transform/value.h"

typedef enum Flag {
    FLAG_NAME_UNKNOWN,
    FLAG_PHONE_INVALID,
    FLAG_EMAIL_INVALID,
    FLAG_DATE_INVALID,
    FLAG_AMOUNT_NOT_POSITIVE,
    FLAG_CLAIM_BEFORE_SERVICE,
    FLAG_PAID_BEFORE_SERVICE,
    FLAG_PAID_ABOVE_BILLED,
    FLAG_MODIFIED_BEFORE_INSERTED,
    FLAG_ADDRESS_UNPARSED,
    FLAG_STATUS_UNKNOWN,
    FLAG_TEXT_REPAIRED,
    FLAG_NPI_CHECK_DIGIT,
    FLAG_TIME_INFERRED,
    FLAG_AMOUNT_UNREADABLE, /* quarantines, unless a rule of that name says otherwise */
    FLAG_SITE = 32 /* … 63: rules of the configuration that are not built in */
} Flag;

enum { FLAGS_MAX = 64 };

/* Name of a built-in flag; NULL beyond them. */
const char *flag_name(Flag flag);

/* Flags that need other feeds' rows: settle owns them, place sets what it can see already
 * (storage/member.h). Outside record_hash. */
typedef enum SettleFlag {
    SETTLE_AGE_OUT_OF_RANGE,
    SETTLE_CLAIM_LINK_MISMATCH,
    SETTLE_ORPHAN_PATIENT,
    SETTLE_ORPHAN_PROVIDER,
    SETTLE_ORPHAN_DEPARTMENT,
    SETTLE_ORPHAN_ENCOUNTER,
    SETTLE_FLAGS
} SettleFlag;
const char *settle_flag_name(SettleFlag flag);

typedef struct Record {
    const Entity *entity;
    Value *values; /* entity->n_columns */
    uint64_t flags;
    uint32_t settle_flags; /* bits of SettleFlag */
    int64_t source_hash;
    uint8_t record_hash[16];
    const char *reject_rule;   /* NULL when the row is fit for use */
    const char *reject_reason; /* a sentence without a row value */
} Record;
