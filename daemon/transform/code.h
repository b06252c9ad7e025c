/* code.h - identifiers with rules of their own. Pure; any thread. */
#pragma once
#include "base/arena.h"

/* Nine digits, with hyphens or spaces as 3-2-4 or without; STR_NULL otherwise. */
Str ssn_parse(Arena *arena, Str text);

/* Upper case, with its dot: i194 -> I19.4 (ICD-10-CM Official Guidelines: a letter, a digit, a digit
 * or letter, a dot, up to four more). A text of another form is upper-cased only: which codes
 * exist, a reference list says. */
Str icd10_format(Arena *arena, Str text);

/* Whether a code has that form, with its dot; silver.is_icd10cm() says the same. */
bool icd10_is_formed(Str code);
/* HCPCS level II: a letter from A to V and four digits; silver.procedure_system() says the same. */
bool hcpcs_is_formed(Str code);

/* Ten digits; STR_NULL otherwise. */
Str npi_parse(Str text);
/* The check digit of ten digits by the Luhn formula over "80840" and the NPI: 80 says health, 840 the
 * United States (CMS, "Requirements for National Provider Identifier (NPI) and NPI Check Digit";
 * ISO/IEC 7812). */
bool npi_check_digit_is_valid(Str npi);
