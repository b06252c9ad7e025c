/* nppes.h - what the National Plan and Provider Enumeration System says of one NPI: one of lookup.h's registers.
 *
 * NPPES NPI Registry API, version 2.1 (https://npiregistry.cms.hhs.gov/api-page): GET with `number`; only the number
 * leaves the house. A refusal comes with HTTP 200 and a member `Errors`; `result_count` 0 says that nobody bears the
 * number; `number` stands in an answer as a text or as a number, by version; `basic.status` is A for an active one.
 * It repeats itself after `skip` 1,000, so nothing is paged: one number is asked for, and its own entry taken. */
#pragma once
#include "storage/lookup.h"

const char *nppes_url(Arena *arena, const LookupQuestion *question);
void nppes_read(const json_t *root, const LookupQuestion *question, Arena *arena, LookupAnswer *answer);
