/* contact.h - telephone numbers and e-mail addresses. Pure; any thread. */
#pragma once
#include "base/arena.h"

typedef struct Phone {
    Str number;    /* E.164: "+16308297585" */
    Str extension; /* digits; NULL when there is none */
} Phone;

/* Reads the shapes people type: (703)210-5078x2916, 456.746.7289, +1-630-829-7585 ext. 769, 001-…,
 * 011 44 20 7946 0018. `country` is the calling code of a number that names none: "1" (national numbers
 * have ten digits; no check of area codes, which grow) or another, where a leading 0 is dropped.
 * False when it is no number, or one digit over and over. */
bool phone_parse(Arena *arena, Str text, const char *country, Phone *ret_phone);

/* The part of RFC 5321 and 5322 that mail servers accept in practice: dot-atom local part of up to 64
 * bytes, domain of at least two labels, no comments, no quotes, no address literals; ASCII. */
bool email_is_valid(Str text);
