/* clinical_tables.h - what the Clinical Table Search Service of the National Library of Medicine says of one code of
 * ICD-10-CM or HCPCS level II: two of lookup.h's registers.
 *
 * https://clinicaltables.nlm.nih.gov/apidoc/icd10cm/v3/doc.html and .../hcpcs/v3/doc.html: GET with `terms` (words or
 * their beginnings, all of which must match), `sf` (fields searched), `df` (fields shown), `count` (7; at most 500) and
 * `offset`, together at most 7,500. The answer is a list: [number of matches, [codes], extra or null, [[shown
 * fields], ...]]. It is made for completing what somebody types: J45 matches J45.20 too, and what stands first is what
 * it thinks likeliest. So the exact code is picked from all that comes, part by part; it is not listed when all
 * matches came and none is it. ICD-10-CM has codes with their dot, as silver has. */
#pragma once
#include "storage/lookup.h"

const char *icd10_list_url(Arena *arena, const LookupQuestion *question);
const char *hcpcs_list_url(Arena *arena, const LookupQuestion *question);
void clinical_tables_read(const json_t *root, const LookupQuestion *question, Arena *arena, LookupAnswer *answer);
