/* rule_built_in.c - see rule_built_in.h. */
#include "transform/rule_built_in.h"

#define FLAGS(name, flag, entity, needs, dimension, check, says) \
    {name, flag, entity, needs, DIMENSION_##dimension, SEVERITY_FLAG, check, says}
#define SETTLE(name, entity, dimension, says) {name, NO_FLAG, entity, NULL, DIMENSION_##dimension, SEVERITY_FLAG, NULL, says}
#define KEEPS_OUT(name, flag, needs, dimension, says) \
    {name, flag, NULL, needs, DIMENSION_##dimension, SEVERITY_QUARANTINE, NULL, says}
#define KEEPS_OUT_CLAIMS(name, dimension, says) \
    {name, NO_FLAG, "claims", NULL, DIMENSION_##dimension, SEVERITY_QUARANTINE, NULL, says}

const BuiltInRule BUILT_IN_RULES[] = {
    FLAGS("name_unknown", FLAG_NAME_UNKNOWN, "patients", NULL, COMPLETENESS,
          "first_name is not null and last_name is not null", "a patient has a first and a last name"),
    FLAGS("name_unknown", FLAG_NAME_UNKNOWN, "providers", NULL, COMPLETENESS,
          "first_name is not null and last_name is not null", "a provider has a first and a last name"),
    FLAGS("phone_invalid", FLAG_PHONE_INVALID, NULL, "phone", VALIDITY, NULL, "a telephone number has ten digits, or a country's code"),
    FLAGS("email_invalid", FLAG_EMAIL_INVALID, NULL, "email", VALIDITY, NULL, "an e-mail address is written as one"),
    FLAGS("date_invalid", FLAG_DATE_INVALID, NULL, NULL, VALIDITY, NULL, "dates and times can be read as declared"),
    FLAGS("amount_not_positive", FLAG_AMOUNT_NOT_POSITIVE, "transactions", NULL, VALIDITY,
          "amount is not null and paid_amount is not null and amount > 0", "a transaction has an amount above 0, and says what was paid"),
    FLAGS("amount_not_positive", FLAG_AMOUNT_NOT_POSITIVE, "claims", NULL, VALIDITY,
          "claim_amount is not null and claim_amount > 0", "a claim has an amount above 0"),
    FLAGS("claim_before_service", FLAG_CLAIM_BEFORE_SERVICE, "claims", NULL, CONSISTENCY, "claim_date >= service_date",
          "nothing is claimed before it was done"),
    FLAGS("paid_before_service", FLAG_PAID_BEFORE_SERVICE, "transactions", NULL, CONSISTENCY, "paid_date >= service_date",
          "nothing is paid before it was done"),
    FLAGS("paid_above_billed", FLAG_PAID_ABOVE_BILLED, "transactions", NULL, CONSISTENCY, "paid_amount <= amount",
          "no more is paid than was billed"),
    FLAGS("modified_before_inserted", FLAG_MODIFIED_BEFORE_INSERTED, NULL, "source_modified_at", CONSISTENCY,
          "source_modified_at >= source_inserted_at", "a row is not changed before it is made"),
    FLAGS("address_unparsed", FLAG_ADDRESS_UNPARSED, NULL, "address", VALIDITY, NULL, "an address has a street, a city, a state and a ZIP"),
    FLAGS("status_unknown", FLAG_STATUS_UNKNOWN, "claims", NULL, VALIDITY,
          "claim_status is not null and claim_status in ('Paid', 'Approved', 'Pending', 'Denied', 'Rejected')",
          "a claim's status is Paid, Approved, Pending, Denied or Rejected"),
    FLAGS("text_repaired", FLAG_TEXT_REPAIRED, NULL, NULL, VALIDITY, NULL, "texts are written in the encoding that was declared"),
    FLAGS("npi_check_digit", FLAG_NPI_CHECK_DIGIT, NULL, "npi", VALIDITY, NULL, "the check digit of an NPI is right"),
    FLAGS("time_inferred", FLAG_TIME_INFERRED, NULL, "effective_date", TIMELINESS, NULL, "a change says when it happened"),
    KEEPS_OUT("amount_unreadable", FLAG_AMOUNT_UNREADABLE, NULL, VALIDITY, "amounts and counts can be read"),
    KEEPS_OUT("key_missing", NO_FLAG, NULL, COMPLETENESS, "a row has an id"),
    KEEPS_OUT("key_collision", NO_FLAG, NULL, UNIQUENESS, "no two rows of the source have the same id here"),
    KEEPS_OUT_CLAIMS("key_rounded", VALIDITY, "an id is no number that a spreadsheet has rounded"),
    KEEPS_OUT_CLAIMS("total_row", VALIDITY, "a row is a claim, and not the sum of others"),
    SETTLE("possible_duplicate", "patients", UNIQUENESS, "no two patients of a source are alike"),
    SETTLE("possible_duplicate", "providers", UNIQUENESS, "no two providers of a source are alike"),
    SETTLE("possible_duplicate", "encounters", UNIQUENESS, "no two encounters of a source are alike"),
    SETTLE("possible_duplicate", "transactions", UNIQUENESS, "no two transactions of a source are alike"),
    SETTLE("possible_duplicate", "claims", UNIQUENESS, "no two claims of a source are alike"),
    SETTLE("age_out_of_range", "transactions", CONSISTENCY, "a patient is 0 to 120 years old when served"),
    SETTLE("claim_link_mismatch", "transactions", CONSISTENCY, "the claim that a transaction names, names the transaction"),
    SETTLE("claim_patient_mismatch", "claims", CONSISTENCY, "a claim and its transaction name the same patient"),
    SETTLE("claim_encounter_mismatch", "claims", CONSISTENCY, "a claim and its transaction name the same encounter"),
    SETTLE("claim_provider_mismatch", "claims", CONSISTENCY, "a claim and its transaction name the same provider"),
    SETTLE("claim_date_mismatch", "claims", CONSISTENCY, "a claim and its transaction have the same service date"),
    SETTLE("claim_department_mismatch", "claims", CONSISTENCY, "a claim and its transaction name the same department"),
    SETTLE("orphan_patient", "encounters", INTEGRITY, "the patient of an encounter is there"),
    SETTLE("orphan_provider", "encounters", INTEGRITY, "the provider of an encounter is there"),
    SETTLE("orphan_department", "encounters", INTEGRITY, "the department of an encounter is there"),
    SETTLE("orphan_patient", "transactions", INTEGRITY, "the patient of a transaction is there"),
    SETTLE("orphan_provider", "transactions", INTEGRITY, "the provider of a transaction is there"),
    SETTLE("orphan_department", "transactions", INTEGRITY, "the department of a transaction is there"),
    SETTLE("orphan_encounter", "transactions", INTEGRITY, "the encounter of a transaction is there"),
    SETTLE("orphan_patient", "claims", INTEGRITY, "the patient of a claim is there"),
    SETTLE("orphan_provider", "claims", INTEGRITY, "the provider of a claim is there"),
    SETTLE("orphan_department", "claims", INTEGRITY, "the department of a claim is there"),
    SETTLE("orphan_encounter", "claims", INTEGRITY, "the encounter of a claim is there"),
    SETTLE("orphan_transaction", "claims", INTEGRITY, "the transaction of a claim is there"),
    SETTLE("orphan_claim", "adjustments", INTEGRITY, "the claim of an adjustment is there"),
};
const size_t N_BUILT_IN_RULES = sizeof BUILT_IN_RULES / sizeof *BUILT_IN_RULES;

bool built_in_is_for(const BuiltInRule *rule, const Entity *entity) {
    if (!entity->id || (rule->entity && strcmp(rule->entity, entity->name) != 0))
        return false;
    return !rule->needs || entity_column(entity, str_of(rule->needs)) != COLUMN_NONE;
}

bool built_in_can_change(const char *name) {
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        if (strcmp(BUILT_IN_RULES[i].name, name) == 0)
            return BUILT_IN_RULES[i].flag != NO_FLAG;
    return false;
}

bool built_in_has(const char *name) {
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        if (strcmp(BUILT_IN_RULES[i].name, name) == 0)
            return true;
    return false;
}
