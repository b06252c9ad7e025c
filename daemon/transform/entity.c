/* entity.c - see entity.h. One line per column; the order is the order of columns in gold. */
#include "transform/entity.h"

#include "base/nearest.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define COLUMN(n, ty, ro, pr, hi, de) \
    {.name = n, .description = de, .type = TYPE_##ty, .role = ROLE_##ro, .privacy = CLASS_##pr, \
     .history = HISTORY_##hi}

/* The columns every silver table has (model.md, section 1), after its own. */
#define SYSTEM_COLUMNS \
    COLUMN("dq_flags", TEXTS, SYSTEM, TECHNICAL, IGNORE, "names of the rules this row breaks, sorted"), \
    COLUMN("is_deleted", BOOL, SYSTEM, TECHNICAL, IGNORE, "the source no longer has this row"), \
    COLUMN("source_hash", BIGINT, SYSTEM, NONE, IGNORE, "hash of the row as received"), \
    COLUMN("record_hash", BYTES, SYSTEM, NONE, IGNORE, "hash of the clean row"), \
    COLUMN("source_inserted_at", TIMESTAMP, SYSTEM, PERSON_DATE, IGNORE, "when the source says the row was made"), \
    COLUMN("source_modified_at", TIMESTAMP, SYSTEM, PERSON_DATE, IGNORE, "the last change of content, by the source's clock"), \
    COLUMN("batch_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the last batch that changed the row"), \
    COLUMN("mapping_version", INT, SYSTEM, TECHNICAL, IGNORE, "version of the mapping that cleaned the row")

#define HISTORY_COLUMNS \
    COLUMN("effective_date", TIMESTAMP, SYSTEM, PERSON_DATE, IGNORE, "start of this version, inclusive"), \
    COLUMN("expiry_date", TIMESTAMP, SYSTEM, PERSON_DATE, IGNORE, "end of this version, exclusive; 9999-12-31 while current"), \
    COLUMN("is_current", BOOL, SYSTEM, TECHNICAL, IGNORE, "this is the version in force"), \
    COLUMN("version", INT, SYSTEM, TECHNICAL, IGNORE, "1, 2, … per source and id"), \
    COLUMN("is_inferred", BOOL, SYSTEM, TECHNICAL, IGNORE, "made from a fact that names it; its own row has not arrived"), \
    COLUMN("made_by_batch", BIGINT, SYSTEM, NONE, IGNORE, "the batch that made this version, whatever corrected or closed it later")

#define SOURCE_COLUMN COLUMN("source_system", TEXT, SYSTEM, TECHNICAL, IGNORE, "name of the source in the configuration")
#define REFERENCE(n, pr, de) COLUMN(n, TEXT, ATTRIBUTE, pr, VERSION, de)
#define KEY_OF(n, de) COLUMN(n, BIGINT, SETTLE, TECHNICAL, IGNORE, de)

static const Column PATIENTS[] = {
    COLUMN("patient_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key of this version"),
    SOURCE_COLUMN,
    COLUMN("source_patient_id", TEXT, ID, DIRECT, IGNORE, "the hospital's record number"),
    COLUMN("person_id", UUID, SETTLE, TECHNICAL, IGNORE, "one id per human being across hospitals"),
    COLUMN("first_name", TEXT, ATTRIBUTE, DIRECT, VERSION, "given name, proper case"),
    COLUMN("middle_name", TEXT, ATTRIBUTE, DIRECT, VERSION, "middle name or initial"),
    COLUMN("last_name", TEXT, ATTRIBUTE, DIRECT, VERSION, "family name, proper case"),
    COLUMN("ssn", TEXT, ATTRIBUTE, SSN, OVERWRITE, "social security number, nine digits"),
    COLUMN("birth_date", DATE, ATTRIBUTE, PERSON_DATE, OVERWRITE, "date of birth"),
    COLUMN("gender", TEXT, ATTRIBUTE, DEMOGRAPHIC, VERSION, "Male, Female, Other or Unknown"),
    COLUMN("phone", TEXT, ATTRIBUTE, DIRECT, VERSION, "telephone number, E.164"),
    COLUMN("phone_extension", TEXT, ATTRIBUTE, DIRECT, VERSION, "extension of the telephone number"),
    COLUMN("email", TEXT, ATTRIBUTE, DIRECT, VERSION, "e-mail address, lower case"),
    COLUMN("address", TEXT, ATTRIBUTE, DIRECT, VERSION, "street part, or the whole where it could not be parsed"),
    COLUMN("city", TEXT, ATTRIBUTE, PLACE, VERSION, "city"),
    COLUMN("state", TEXT, ATTRIBUTE, PLACE, VERSION, "USPS two-letter state"),
    COLUMN("zip", TEXT, ATTRIBUTE, PLACE, VERSION, "ZIP or ZIP+4"),
    COLUMN("source_payer_id", TEXT, ATTRIBUTE, CODE, VERSION, "the hospital's id of the payer"),
    KEY_OF("payer_key", "payer of the patient"),
    COLUMN("member_id", TEXT, ATTRIBUTE, DIRECT, VERSION, "insurance member number"),
    HISTORY_COLUMNS,
    SYSTEM_COLUMNS,
};

static const Column PROVIDERS[] = {
    COLUMN("provider_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key of this version"),
    SOURCE_COLUMN,
    COLUMN("source_provider_id", TEXT, ID, CODE, IGNORE, "the hospital's id of the provider"),
    COLUMN("first_name", TEXT, ATTRIBUTE, CODE, VERSION, "given name"),
    COLUMN("last_name", TEXT, ATTRIBUTE, CODE, VERSION, "family name"),
    COLUMN("specialization", TEXT, ATTRIBUTE, CODE, VERSION, "specialty in the hospital's words"),
    COLUMN("source_department_id", TEXT, ATTRIBUTE, CODE, VERSION, "the hospital's id of the department"),
    COLUMN("npi", TEXT, ATTRIBUTE, CODE, OVERWRITE, "national provider identifier, ten digits"),
    COLUMN("npi_status", TEXT, DERIVED, CODE, IGNORE, "valid, bad_check_digit, not_found, mismatch or unchecked"),
    HISTORY_COLUMNS,
    SYSTEM_COLUMNS,
};

static const Column DEPARTMENTS[] = {
    COLUMN("department_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    SOURCE_COLUMN,
    COLUMN("source_department_id", TEXT, ID, CODE, IGNORE, "the hospital's id of the department"),
    COLUMN("name", TEXT, ATTRIBUTE, CODE, IGNORE, "name of the department"),
    COLUMN("is_inferred", BOOL, SYSTEM, TECHNICAL, IGNORE, "made from a fact that names it; its own row has not arrived"),
    SYSTEM_COLUMNS,
};

static const Column PAYERS[] = {
    COLUMN("payer_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    SOURCE_COLUMN,
    COLUMN("source_payer_id", TEXT, ID, CODE, IGNORE, "the hospital's id of the payer"),
    COLUMN("name", TEXT, ATTRIBUTE, CODE, IGNORE, "name in the hospital's words"),
    COLUMN("payer_name", TEXT, ATTRIBUTE, CODE, IGNORE, "one spelling across hospitals"),
    COLUMN("payer_type", TEXT, ATTRIBUTE, CODE, IGNORE, "NULL unless a reference list gives it"),
    COLUMN("reference_status", TEXT, SYSTEM, CODE, IGNORE, "listed, unlisted or unchecked"),
    SYSTEM_COLUMNS,
};

static const Column PROCEDURES[] = {
    COLUMN("procedure_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    COLUMN("code", TEXT, ID, CODE, IGNORE, "procedure code"),
    COLUMN("code_system", TEXT, SYSTEM, CODE, IGNORE, "CPT, HCPCS, ICD10PCS or LOCAL"),
    COLUMN("description", TEXT, SYSTEM, CODE, IGNORE, "NULL where no licence or list gives it"),
    COLUMN("category", TEXT, SYSTEM, CODE, IGNORE, "category of the code's list"),
    COLUMN("reference_status", TEXT, SYSTEM, CODE, IGNORE, "listed, unlisted or unchecked"),
    COLUMN("batch_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the last batch that changed the row"),
};

static const Column DIAGNOSES[] = {
    COLUMN("diagnosis_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    COLUMN("code", TEXT, ID, CODE, IGNORE, "diagnosis code with its dot"),
    COLUMN("code_system", TEXT, SYSTEM, CODE, IGNORE, "ICD10CM"),
    COLUMN("description", TEXT, SYSTEM, CODE, IGNORE, "text of the code's list"),
    COLUMN("chapter", TEXT, SYSTEM, CODE, IGNORE, "ICD-10-CM chapter"),
    COLUMN("reference_status", TEXT, SYSTEM, CODE, IGNORE, "listed, unlisted or unchecked"),
    COLUMN("batch_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the last batch that changed the row"),
};

static const Column ADJUSTMENT_CODES[] = {
    COLUMN("adjustment_code_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    COLUMN("code", TEXT, ID, CODE, IGNORE, "as adjustments bear it"),
    COLUMN("code_system", TEXT, SYSTEM, CODE, IGNORE, "CAGC (group codes), CARC (reason codes) or RARC (remark codes)"),
    COLUMN("description", TEXT, SYSTEM, CODE, IGNORE, "text of the code's list; NULL where none gives it"),
    COLUMN("category", TEXT, SYSTEM, CODE, IGNORE, "category of the code's list"),
    COLUMN("reference_status", TEXT, SYSTEM, CODE, IGNORE, "listed, unlisted or unchecked"),
    COLUMN("batch_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the last batch that changed the row"),
};

static const Column DATES[] = {
    COLUMN("date_key", INT, SURROGATE, TECHNICAL, IGNORE, "yyyymmdd"),
    COLUMN("date", DATE, SYSTEM, TECHNICAL, IGNORE, "the day"),
    COLUMN("year", INT, SYSTEM, TECHNICAL, IGNORE, "calendar year"),
    COLUMN("quarter", INT, SYSTEM, TECHNICAL, IGNORE, "calendar quarter, 1 to 4"),
    COLUMN("month", INT, SYSTEM, TECHNICAL, IGNORE, "month, 1 to 12"),
    COLUMN("month_name", TEXT, SYSTEM, TECHNICAL, IGNORE, "January to December"),
    COLUMN("iso_week", INT, SYSTEM, TECHNICAL, IGNORE, "ISO 8601 week"),
    COLUMN("day_of_week", INT, SYSTEM, TECHNICAL, IGNORE, "1 = Monday to 7 = Sunday"),
    COLUMN("day_name", TEXT, SYSTEM, TECHNICAL, IGNORE, "Monday to Sunday"),
    COLUMN("is_weekend", BOOL, SYSTEM, TECHNICAL, IGNORE, "Saturday or Sunday"),
    COLUMN("is_holiday", BOOL, SYSTEM, TECHNICAL, IGNORE, "US federal holiday (5 U.S.C. 6103)"),
    COLUMN("is_business_day", BOOL, SYSTEM, TECHNICAL, IGNORE, "neither weekend nor holiday"),
    COLUMN("fiscal_year", INT, SYSTEM, TECHNICAL, IGNORE, "fiscal year, named by the year it ends in"),
    COLUMN("fiscal_quarter", INT, SYSTEM, TECHNICAL, IGNORE, "fiscal quarter, 1 to 4"),
    COLUMN("batch_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the last batch that changed the row"),
};

static const Column ENCOUNTERS[] = {
    COLUMN("encounter_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    SOURCE_COLUMN,
    COLUMN("source_encounter_id", TEXT, ID, DIRECT, IGNORE, "the hospital's id of the encounter"),
    REFERENCE("source_patient_id", DIRECT, "the hospital's record number of the patient"),
    REFERENCE("source_provider_id", CODE, "the hospital's id of the provider"),
    REFERENCE("source_department_id", CODE, "the hospital's id of the department"),
    KEY_OF("patient_key", "the patient's version valid on the encounter date"),
    KEY_OF("provider_key", "the provider's version valid on the encounter date"),
    KEY_OF("department_key", "the department"),
    KEY_OF("procedure_key", "the procedure"),
    COLUMN("encounter_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day of the encounter"),
    COLUMN("encounter_type", TEXT, ATTRIBUTE, CODE, VERSION, "inpatient, outpatient, …, in proper case"),
    COLUMN("procedure_code", TEXT, ATTRIBUTE, CODE, VERSION, "procedure code as billed"),
    SYSTEM_COLUMNS,
};

static const Column TRANSACTIONS[] = {
    COLUMN("transaction_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    SOURCE_COLUMN,
    COLUMN("source_transaction_id", TEXT, ID, DIRECT, IGNORE, "the hospital's id of the transaction"),
    REFERENCE("source_encounter_id", DIRECT, "the hospital's id of the encounter"),
    REFERENCE("source_patient_id", DIRECT, "the hospital's record number of the patient"),
    REFERENCE("source_provider_id", CODE, "the hospital's id of the provider"),
    REFERENCE("source_department_id", CODE, "the hospital's id of the department"),
    REFERENCE("source_payer_id", CODE, "the hospital's id of the payer"),
    REFERENCE("source_claim_id", DIRECT, "the claim the transaction names"),
    COLUMN("encounter_key", BIGINT, GOLD, TECHNICAL, IGNORE, "the encounter; NULL until it has arrived"),
    KEY_OF("patient_key", "the patient's version valid on the service date"),
    KEY_OF("provider_key", "the provider's version valid on the service date"),
    KEY_OF("department_key", "the department"),
    KEY_OF("procedure_key", "the procedure"),
    KEY_OF("diagnosis_key", "the diagnosis"),
    KEY_OF("payer_key", "the payer"),
    COLUMN("visit_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day of the visit"),
    COLUMN("service_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day of the service"),
    COLUMN("paid_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day of the payment"),
    COLUMN("visit_type", TEXT, ATTRIBUTE, CODE, VERSION, "type of the visit, proper case"),
    COLUMN("amount_type", TEXT, ATTRIBUTE, CODE, VERSION, "who is billed, in the source's word"),
    COLUMN("amount", MONEY, ATTRIBUTE, AMOUNT, VERSION, "billed amount, USD"),
    COLUMN("paid_amount", MONEY, ATTRIBUTE, AMOUNT, VERSION, "paid amount, USD"),
    COLUMN("payment_status", TEXT, SETTLE, CODE, IGNORE, "Paid, Partial, Pending or Denied"),
    COLUMN("procedure_code", TEXT, ATTRIBUTE, CODE, VERSION, "procedure code as billed"),
    COLUMN("diagnosis_code", TEXT, ATTRIBUTE, CODE, VERSION, "ICD-10-CM code with its dot"),
    COLUMN("line_of_business", TEXT, ATTRIBUTE, CODE, VERSION, "line of business"),
    COLUMN("medicaid_id", TEXT, ATTRIBUTE, DIRECT, VERSION, "Medicaid number"),
    COLUMN("medicare_id", TEXT, ATTRIBUTE, DIRECT, VERSION, "Medicare number"),
    COLUMN("patient_age", INT, SETTLE, DEMOGRAPHIC, IGNORE, "whole years on the service date"),
    SYSTEM_COLUMNS,
};

static const Column CLAIMS[] = {
    COLUMN("claim_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key of this iteration"),
    SOURCE_COLUMN,
    COLUMN("source_claim_id", TEXT, ID, DIRECT, IGNORE, "the claim's id"),
    COLUMN("iteration", INT, SYSTEM, TECHNICAL, IGNORE, "1, 2, … in the order of deliveries"),
    COLUMN("is_final", BOOL, SYSTEM, TECHNICAL, IGNORE, "the iteration that counts"),
    REFERENCE("source_transaction_id", DIRECT, "the transaction the claim names"),
    REFERENCE("source_encounter_id", DIRECT, "the encounter the claim names"),
    REFERENCE("source_patient_id", DIRECT, "the patient the claim names"),
    REFERENCE("source_provider_id", CODE, "the provider the claim names"),
    REFERENCE("source_department_id", CODE, "the department the claim names"),
    REFERENCE("source_payer_id", CODE, "the payer the claim names"),
    COLUMN("encounter_key", BIGINT, GOLD, TECHNICAL, IGNORE, "the encounter; NULL until it has arrived"),
    COLUMN("transaction_key", BIGINT, GOLD, TECHNICAL, IGNORE, "the transaction; NULL until it has arrived"),
    KEY_OF("patient_key", "the patient's version valid on the service date"),
    KEY_OF("provider_key", "the provider's version valid on the service date"),
    KEY_OF("department_key", "the department"),
    KEY_OF("payer_key", "the payer"),
    COLUMN("service_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day of the service"),
    COLUMN("claim_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day the claim was filed"),
    COLUMN("decision_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day the payer decided"),
    COLUMN("claim_amount", MONEY, ATTRIBUTE, AMOUNT, VERSION, "claimed amount, USD"),
    COLUMN("paid_amount", MONEY, ATTRIBUTE, AMOUNT, VERSION, "amount the payer paid, USD"),
    COLUMN("deductible", MONEY, ATTRIBUTE, AMOUNT, VERSION, "patient's deductible, USD"),
    COLUMN("coinsurance", MONEY, ATTRIBUTE, AMOUNT, VERSION, "patient's coinsurance, USD"),
    COLUMN("copay", MONEY, ATTRIBUTE, AMOUNT, VERSION, "patient's copay, USD"),
    COLUMN("claim_status", TEXT, ATTRIBUTE, CODE, VERSION, "the source's word, proper case"),
    COLUMN("payment_status", TEXT, DERIVED, CODE, VERSION, "Paid, Partial, Pending or Denied"),
    COLUMN("payer_type", TEXT, ATTRIBUTE, CODE, VERSION, "type of payer in the source's word"),
    COLUMN("coverage_percent", PERCENT, DERIVED, AMOUNT, VERSION, "100 x paid / claimed; NULL when nothing was claimed"),
    COLUMN("file_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the claims file"),
    COLUMN("line", BIGINT, SYSTEM, TECHNICAL, IGNORE, "line in the file; the header is line 1; in X12 the segment"),
    SYSTEM_COLUMNS,
    COLUMN("payer_claim_id", TEXT, ATTRIBUTE, DIRECT, VERSION, "the payer's number of the claim"),
    COLUMN("delivery_kind", TEXT, ATTRIBUTE, CODE, VERSION, "claim, or what was said of it: remittance, status"),
    COLUMN("adjustment_list", TEXT, ATTRIBUTE, NONE, VERSION, "the remittance's adjustments, which settle makes rows of"),
    COLUMN("inherited", TEXT, SETTLE, TECHNICAL, IGNORE, "columns that this delivery does not say and another of the claim does"),
};

static const Column ADJUSTMENTS[] = {
    COLUMN("adjustment_key", BIGINT, SURROGATE, TECHNICAL, IGNORE, "surrogate key"),
    SOURCE_COLUMN,
    COLUMN("source_claim_id", TEXT, ID, DIRECT, IGNORE, "the claim's id"),
    COLUMN("iteration", INT, SYSTEM, TECHNICAL, IGNORE, "the claim's iteration"),
    COLUMN("service_line", INT, ATTRIBUTE, CODE, VERSION, "service line, 0 for the whole claim"),
    COLUMN("group_code", TEXT, ATTRIBUTE, CODE, VERSION, "X12 CAS01: CO, OA, PI, PR"),
    COLUMN("reason_code", TEXT, ATTRIBUTE, CODE, VERSION, "claim adjustment reason code (CARC)"),
    COLUMN("position", INT, ATTRIBUTE, CODE, VERSION, "position within claim and line"),
    COLUMN("claim_key", BIGINT, GOLD, TECHNICAL, IGNORE, "the claim's iteration"),
    COLUMN("claim_date", DATE, ATTRIBUTE, PERSON_DATE, VERSION, "day the claim was filed"),
    COLUMN("remark_codes", TEXT, ATTRIBUTE, CODE, VERSION, "remittance advice remark codes (RARC)"),
    COLUMN("amount", MONEY, ATTRIBUTE, AMOUNT, VERSION, "adjusted amount, USD"),
    COLUMN("quantity", INT, ATTRIBUTE, AMOUNT, VERSION, "adjusted quantity"),
    COLUMN("file_id", BIGINT, SYSTEM, TECHNICAL, IGNORE, "the remittance file"),
    COLUMN("line", BIGINT, SYSTEM, TECHNICAL, IGNORE, "line in the file"),
    SYSTEM_COLUMNS,
};

const Entity ENTITIES[] = {
    {"patients", "dim_patients", "source_patient_id", "patient_key",
     "patients of every hospital, one row per version", ENTITY_HISTORY, NULL, {NULL},
     PATIENTS, COUNT(PATIENTS)},
    {"providers", "dim_providers", "source_provider_id", "provider_key",
     "physicians and other providers, one row per version", ENTITY_HISTORY, NULL, {NULL},
     PROVIDERS, COUNT(PROVIDERS)},
    {"departments", "dim_departments", "source_department_id", "department_key",
     "departments of every hospital", ENTITY_MEMBER, NULL, {NULL}, DEPARTMENTS, COUNT(DEPARTMENTS)},
    {"payers", "dim_payers", "source_payer_id", "payer_key", "insurers and other payers",
     ENTITY_MEMBER, NULL, {NULL}, PAYERS, COUNT(PAYERS)},
    {"procedures", "dim_procedures", NULL, "procedure_key", "procedure codes in use", ENTITY_CODE,
     NULL, {NULL}, PROCEDURES, COUNT(PROCEDURES)},
    {"diagnoses", "dim_diagnoses", NULL, "diagnosis_key", "diagnosis codes in use", ENTITY_CODE,
     NULL, {NULL}, DIAGNOSES, COUNT(DIAGNOSES)},
    {"adjustment_codes", "dim_adjustment_codes", NULL, "adjustment_code_key", "codes of adjustments in use",
     ENTITY_CODE, NULL, {NULL}, ADJUSTMENT_CODES, COUNT(ADJUSTMENT_CODES)},
    {"dates", "dim_date", NULL, "date_key", "calendar of every date in use, of whole years from 1990 to 2099", ENTITY_CODE, NULL,
     {NULL}, DATES, COUNT(DATES)},
    {"encounters", "fact_encounters", "source_encounter_id", "encounter_key",
     "encounters of patients with a hospital", ENTITY_FACT, "encounter_date",
     {"source_system", "department_key", "patient_key", NULL}, ENCOUNTERS, COUNT(ENCOUNTERS)},
    {"transactions", "fact_transactions", "source_transaction_id", "transaction_key",
     "billing transactions", ENTITY_FACT, "service_date",
     {"source_system", "payer_key", "patient_key", NULL}, TRANSACTIONS, COUNT(TRANSACTIONS)},
    {"claims", "fact_claims", "source_claim_id", "claim_key",
     "insurance claims, one row per iteration", ENTITY_CLAIM, "claim_date",
     {"source_system", "payer_key", "patient_key", NULL}, CLAIMS, COUNT(CLAIMS)},
    {"adjustments", "fact_adjustments", "source_claim_id", "adjustment_key",
     "adjustments of claims and service lines", ENTITY_FACT, "claim_date",
     {"source_system", "group_code", NULL}, ADJUSTMENTS, COUNT(ADJUSTMENTS)},
};
const int N_ENTITIES = COUNT(ENTITIES);

const Entity *entity_find(Str name) {
    for (int i = 0; i < N_ENTITIES; i++)
        if (str_equal(str_of(ENTITIES[i].name), name))
            return &ENTITIES[i];
    return NULL;
}

void entity_suggest(Str name, char *ret_text) {
    Nearest nearest = nearest_start(name);
    for (int i = 0; i < N_ENTITIES; i++)
        if (ENTITIES[i].id)
            nearest_offer(&nearest, ENTITIES[i].name);
    nearest_suggest(&nearest, ret_text);
}

bool history_mode_find(const char *name, HistoryMode *ret_mode) {
    static const char *const NAMES[] = {
        [HISTORY_VERSION] = "history", [HISTORY_OVERWRITE] = "overwrite", [HISTORY_IGNORE] = "ignore"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(NAMES[i], name) == 0) {
            *ret_mode = (HistoryMode)i;
            return true;
        }
    return false;
}

int entity_column(const Entity *entity, Str name) {
    for (int i = 0; i < entity->n_columns; i++)
        if (str_equal(str_of(entity->columns[i].name), name))
            return i;
    return COLUMN_NONE;
}

static bool is_named(const Column *column, const char *name) { return strcmp(column->name, name) == 0; }

bool column_is_mappable(const Column *column) {
    return column->role == ROLE_ID || column->role == ROLE_ATTRIBUTE ||
           is_named(column, "source_inserted_at") || is_named(column, "source_modified_at");
}

bool column_is_hashed(const Column *column) {
    return (column->role == ROLE_ATTRIBUTE || column->role == ROLE_DERIVED) &&
           !is_named(column, "npi_status");
}

bool column_is_stored(const Column *column) { return column->role != ROLE_GOLD; }

bool column_leaves(const Column *column, PrivacyProfile profile) {
    switch (column->privacy) {
    case CLASS_NONE:
    case CLASS_SSN:
        return false;
    case CLASS_DIRECT:
        return profile == PROFILE_FULL;
    default:
        return true;
    }
}
