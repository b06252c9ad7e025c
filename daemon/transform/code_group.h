/* code_group.h - which part of its list a code stands in: by the code alone, no list is needed. Pure; any thread. */
#pragma once
#include "base/str.h"

/* ICD-10-CM's chapter, by the tabular list's ranges of categories (CDC/NCHS, ICD-10-CM Tabular List of Diseases and
 * Injuries, FY 2026); STR_NULL for a category that stands in none. */
Str icd10_chapter(Str code);
/* The section of HCPCS level II, by the ranges of CMS's alpha-numeric file; STR_NULL for none. */
Str hcpcs_section(Str code);
