/* person.c - see person.h. */
#include "transform/person.h"

const PersonAttribute PERSON_ATTRIBUTES[] = {
    {"ssn", true, "nine digits; none that begins with 000, 666 or 9, none that more than three birth dates share"},
    {"birth_date", true, "the date"},
    {"birth_digits", false, "the eight digits of the date in ascending order: equal when some were exchanged"},
    {"first_name", false, "small letters and digits, without accents, blanks and punctuation"},
    {"first_initial", false, "the first letter of that"},
    {"middle_initial", false, "the first letter of the middle name"},
    {"last_name", false, "as first_name"},
    {"gender", false, "Male, Female or Other; Unknown is no evidence"},
    {"phone", true, "E.164"},
    {"email", false, "small letters"},
    {"street", false, "as first_name"},
    {"city", false, "as first_name"},
    {"state", false, "small letters"},
    {"zip", false, "the first five digits"},
    {"member_id", false, "of the insurance, as first_name"},
};
const size_t N_PERSON_ATTRIBUTES = sizeof PERSON_ATTRIBUTES / sizeof *PERSON_ATTRIBUTES;

#define RULE(rule, ...)                                            \
    {rule, (const char *const[]){__VA_ARGS__},                     \
     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)}

/* The first name stands in every rule without a number: twins share all the rest. The birth date does too,
 * at least by its digits: father and son may share all but that. */
const PersonRule PERSON_RULES[] = {
    RULE("ssn_birth", "ssn", "birth_date"),
    RULE("ssn_name", "ssn", "first_name", "last_name", "birth_digits"),
    RULE("name_birth_phone", "first_name", "last_name", "birth_date", "phone"),
    RULE("name_birth_email", "first_name", "last_name", "birth_date", "email"),
    RULE("name_birth_address", "first_name", "last_name", "birth_date", "street", "zip"),
    RULE("first_birth_phone", "first_name", "birth_date", "gender", "phone", "zip"),
    RULE("name_phone_email", "first_name", "last_name", "birth_digits", "phone", "email"),
};
const size_t N_PERSON_RULES = sizeof PERSON_RULES / sizeof *PERSON_RULES;

const PersonAttribute *person_attribute(Str name) {
    for (size_t i = 0; i < N_PERSON_ATTRIBUTES; i++)
        if (str_equal(str_of(PERSON_ATTRIBUTES[i].name), name))
            return &PERSON_ATTRIBUTES[i];
    return NULL;
}

bool person_rule_name_is_taken(Str name) {
    static const char *const TAKEN[] = {"alone", "manual", "ssn_birth_date", "ssn_shared"};
    for (size_t i = 0; i < sizeof TAKEN / sizeof *TAKEN; i++)
        if (str_equal(str_of(TAKEN[i]), name))
            return true;
    return false;
}
