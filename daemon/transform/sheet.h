/* sheet.h - what spreadsheets make of rows that were exported by way of them. Pure; any thread. */
#pragma once
#include "base/str.h"

/* 1.23E+11: a long number of which the digits behind the first ones are gone. Ids of several rows become one. */
bool sheet_has_rounded(Str id);
/* "Grand Total:" and the like, as stands in front of a row that adds up others. */
bool sheet_says_total(Str id);
