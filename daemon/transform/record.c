/* record.c - see record.h. */
#include "transform/record.h"

static const char *const FLAG_NAMES[] = {
    [FLAG_NAME_UNKNOWN] = "name_unknown",
    [FLAG_PHONE_INVALID] = "phone_invalid",
    [FLAG_EMAIL_INVALID] = "email_invalid",
    [FLAG_DATE_INVALID] = "date_invalid",
    [FLAG_AMOUNT_NOT_POSITIVE] = "amount_not_positive",
    [FLAG_CLAIM_BEFORE_SERVICE] = "claim_before_service",
    [FLAG_PAID_BEFORE_SERVICE] = "paid_before_service",
    [FLAG_PAID_ABOVE_BILLED] = "paid_above_billed",
    [FLAG_MODIFIED_BEFORE_INSERTED] = "modified_before_inserted",
    [FLAG_ADDRESS_UNPARSED] = "address_unparsed",
    [FLAG_STATUS_UNKNOWN] = "status_unknown",
    [FLAG_TEXT_REPAIRED] = "text_repaired",
    [FLAG_NPI_CHECK_DIGIT] = "npi_check_digit",
    [FLAG_TIME_INFERRED] = "time_inferred",
    [FLAG_AMOUNT_UNREADABLE] = "amount_unreadable",
};

const char *flag_name(Flag flag) {
    if ((size_t)flag >= sizeof FLAG_NAMES / sizeof *FLAG_NAMES)
        return NULL;
    return FLAG_NAMES[flag];
}

static const char *const SETTLE_FLAG_NAMES[] = {
    [SETTLE_AGE_OUT_OF_RANGE] = "age_out_of_range",
    [SETTLE_CLAIM_LINK_MISMATCH] = "claim_link_mismatch",
    [SETTLE_ORPHAN_PATIENT] = "orphan_patient",
    [SETTLE_ORPHAN_PROVIDER] = "orphan_provider",
    [SETTLE_ORPHAN_DEPARTMENT] = "orphan_department",
    [SETTLE_ORPHAN_ENCOUNTER] = "orphan_encounter",
};

const char *settle_flag_name(SettleFlag flag) { return SETTLE_FLAG_NAMES[flag]; }
