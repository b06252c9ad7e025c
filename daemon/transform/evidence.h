/* evidence.h - what the texts of a column show of how its sender writes dates and amounts.
 *
 * Nothing is read by it: it only finds out that a column's declared way cannot be the sender's, and what would be. Whether
 * 03/04/2025 is in March or in April no text tells; that is then said. Pure; any thread. */
#pragma once
#include "base/str.h"
#include "transform/money.h"

enum { EVIDENCE_FORMATS_MAX = 8 };

/* Date formats (transform/date.h) that read all the texts, NULL and empty ones left aside; returns how many, 0 when there
 * is no text. Two of them that differ in what is the month and what the day both stand in the list. */
size_t evidence_date_formats(const Str *texts, size_t n, const char *ret_formats[EVIDENCE_FORMATS_MAX]);

/* How many texts only one decimal sign makes an amount of. */
typedef struct DecimalEvidence {
    size_t n_point, n_comma; /* texts that only this one reads */
    size_t n_neither;        /* nor the other */
} DecimalEvidence;
DecimalEvidence evidence_decimal(const Str *texts, size_t n);
