/* money.h - amounts as cents, straight from the decimal text, never through a binary fraction.
 *
 * "988.3699951171875", as a FLOAT column shows 988.37, is 98837 cents: the third digit after the
 * point decides, half away from zero. Range of numeric(14,2). Pure; any thread. */
#pragma once
#include "base/str.h"

#define MONEY_CENTS_MAX INT64_C(99999999999999)

typedef struct MoneyStyle {
    bool decimal_comma; /* 1.234,50 instead of 1,234.50 */
    bool parentheses;   /* (12.00) is negative */
    bool minor_units;   /* 1234 is 12.34: the source counts cents */
} MoneyStyle;

/* Sign in front or behind, "$", groups of three with one and the same separator (comma, or point where that is no decimal sign;
 * blank, apostrophe), fraction, exponent (1.5e3). False for anything else, for more than one reading, and outside the range. */
bool money_parse(Str text, MoneyStyle style, int64_t *ret_cents);
