/* rule.h - checks over one clean row: `check: "claim_date >= service_date"`.
 *
 *     check    = and-term { "or" and-term }
 *     and-term = term { "and" term }
 *     term     = "not" term | sum [ ( "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=" ) sum
 *                | "is" [ "not" ] "null" | "is" [ "not" ] form | [ "not" ] "matches" 'pattern'
 *                | [ "not" ] "in" "(" literal { "," literal } ")" ]
 *     sum      = value { ( "+" | "-" ) value }
 *     value    = column | number | 'text' | "true" | "false" | "(" check ")"
 *     form     = "whole_number" | "decimal" | "date" | "npi"
 *
 * A quote within a text is doubled: 'O''Hare'. A pattern (pattern.h) describes the whole text. A form is how a text is
 * written: a whole number, a decimal number with a point, a date as YYYY-MM-DD, ten digits with the check digit of an NPI.
 * Types are those of the entity's columns. Numbers take the type of what they meet: 12.5 is money
 * beside money, percent beside percent; 'YYYY-MM-DD' beside a date is a date, beside a timestamp a
 * time in UTC. Sums are for money, percent and whole numbers; a date minus a date is a whole number
 * of days, a date plus or minus a whole number a date.
 * Logic is SQL's, of three values: an unknown operand makes a comparison unknown, and a row
 * breaks a rule only when its check is false. Pure; a Check is immutable, any thread. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "transform/entity.h"
#include "transform/value.h"

typedef struct Check Check;

/* NULL and a sentence when the text is not a check over the entity's columns. Lives in `arena`. */
const Check *check_compile(Arena *arena, const Entity *entity, const char *text, Error *err);
/* True when the check is false for these values (one per column of the entity). */
bool check_is_broken(const Check *check, const Value *values);
/* True when every column the check reads is marked; one mark per column of the entity. */
bool check_reads_only(const Check *check, const bool *is_filled);
