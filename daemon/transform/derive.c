/* derive.c - see derive.h. */
#include "transform/derive.h"

#include "transform/code.h"
#include "transform/date.h"

#define PERCENT_MAX INT64_C(9999999) /* numeric(7,2) in hundredths */
enum { INPUTS_MAX = 6, AGE_MAX = 120 };

/* The columns a derivation reads and writes, by index. */
struct Derivation {
    void (*run)(const Derivation *derivation, Record *record);
    int input[INPUTS_MAX];
    int output[2];
};

Str derive_claim_status(const ClaimAmounts *claim) {
    if (claim->status.is_set && (str_equal_nocase(value_str(claim->status), STR("Denied")) ||
                                 str_equal_nocase(value_str(claim->status), STR("Rejected"))))
        return STR("Denied");
    if (claim->status.is_set && str_equal_nocase(value_str(claim->status), STR("Pending")))
        return STR("Pending");
    if (!claim->claimed.is_set || !claim->paid.is_set)
        return STR("Pending");
    int64_t owed = (claim->deductible.is_set ? claim->deductible.number : 0) +
                   (claim->coinsurance.is_set ? claim->coinsurance.number : 0) +
                   (claim->copay.is_set ? claim->copay.number : 0);
    if (claim->paid.number >= claim->claimed.number - owed)
        return STR("Paid");
    return claim->paid.number > 0 ? STR("Partial") : STR("Pending");
}

Str derive_transaction_status(Value amount, Value paid, bool is_denied) {
    if (!amount.is_set || !paid.is_set || amount.number <= 0)
        return STR("Pending");
    if (paid.number >= amount.number)
        return STR("Paid");
    if (paid.number > 0)
        return STR("Partial");
    return is_denied ? STR("Denied") : STR("Pending");
}

Value derive_age(Value birth, Value day, bool *ret_out_of_range) {
    *ret_out_of_range = false;
    if (!birth.is_set || !day.is_set)
        return VALUE_NULL;
    CivilDate from = date_from_days(birth.number), to = date_from_days(day.number);
    bool is_before_birthday = to.month < from.month || (to.month == from.month && to.day < from.day);
    int years = to.year - from.year - is_before_birthday;
    *ret_out_of_range = day.number < birth.number || years > AGE_MAX;
    return *ret_out_of_range ? VALUE_NULL : value_number(years);
}

Value derive_coverage(Value claimed, Value paid) {
    if (!claimed.is_set || !paid.is_set || claimed.number == 0)
        return VALUE_NULL;
    __int128 hundredths = (__int128)paid.number * 10000, whole = claimed.number;
    bool is_negative = (hundredths < 0) != (whole < 0);
    if (hundredths < 0)
        hundredths = -hundredths;
    if (whole < 0)
        whole = -whole;
    __int128 rounded = (2 * hundredths + whole) / (2 * whole);
    if (rounded > PERCENT_MAX)
        return VALUE_NULL;
    return value_number(is_negative ? -(int64_t)rounded : (int64_t)rounded);
}

static void derive_claim(const Derivation *d, Record *record) {
    const Value *values = record->values;
    ClaimAmounts claim = {values[d->input[0]], values[d->input[1]], values[d->input[2]],
                          values[d->input[3]], values[d->input[4]], values[d->input[5]]};
    record->values[d->output[0]] = value_text(derive_claim_status(&claim));
    record->values[d->output[1]] = derive_coverage(claim.claimed, claim.paid);
}

/* The cleaner `npi` flags what has no ten digits. A good check digit only says that the number could
 * be one; whether it is, the registry says: unchecked until then. */
static void derive_provider(const Derivation *d, Record *record) {
    Value npi = record->values[d->input[0]];
    if (npi.is_set && !npi_check_digit_is_valid(value_str(npi)))
        record->flags |= UINT64_C(1) << FLAG_NPI_CHECK_DIGIT;
    bool is_bad = record->flags & UINT64_C(1) << FLAG_NPI_CHECK_DIGIT;
    record->values[d->output[0]] = value_text(is_bad ? STR("bad_check_digit") : STR("unchecked"));
}

/* One line per entity: what is run, what it reads and what it fills. */
typedef struct DerivationSpec {
    const char *entity;
    void (*run)(const Derivation *derivation, Record *record);
    const char *input[INPUTS_MAX];
    const char *output[2];
} DerivationSpec;

static const DerivationSpec SPECS[] = {
    {"claims", derive_claim,
     {"claim_status", "claim_amount", "paid_amount", "deductible", "coinsurance", "copay"},
     {"payment_status", "coverage_percent"}},
    {"providers", derive_provider, {"npi"}, {"npi_status"}},
};

const Derivation *derive_compile(Arena *arena, const Entity *entity) {
    for (size_t i = 0; i < sizeof SPECS / sizeof *SPECS; i++) {
        if (strcmp(SPECS[i].entity, entity->name) != 0)
            continue;
        Derivation *derivation = ARENA_NEW(arena, Derivation);
        derivation->run = SPECS[i].run;
        for (int k = 0; k < INPUTS_MAX && SPECS[i].input[k]; k++)
            derivation->input[k] = entity_column(entity, str_of(SPECS[i].input[k]));
        for (int k = 0; k < 2 && SPECS[i].output[k]; k++)
            derivation->output[k] = entity_column(entity, str_of(SPECS[i].output[k]));
        return derivation;
    }
    return NULL;
}

void derive(const Derivation *derivation, Record *record) {
    if (derivation)
        derivation->run(derivation, record);
}
