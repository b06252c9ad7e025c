/* rule.c - see rule.h.
 *
 * A check becomes a postfix program over a small stack. Types are settled while it is compiled, so
 * that running it is a loop over calls without decisions. A literal is typed late, when what it
 * meets is known: an Operand remembers the instruction that pushes it, which is then rewritten.
 * What most checks are made of, a column against another or against a literal, and a column that is
 * null or not, is one instruction that takes its operands from where they are, not from the stack. */
#include "transform/rule.h"

#include "base/nearest.h"
#include "transform/code.h"
#include "transform/date.h"
#include "transform/money.h"
#include "transform/pattern.h"

enum { INSTRUCTIONS_MAX = 128, STACK_MAX = 16, NO_LITERAL = -1 };
/* Types of literals that have not met a column yet, beside those of ColumnType. */
enum { TYPE_LITERAL_NUMBER = 100, TYPE_LITERAL_TEXT };

typedef struct Instruction Instruction;
typedef Value *Run(const Instruction *instruction, const Value *row, Value *top);
struct Instruction {
    Run *run;
    int column;
    int other; /* a comparison in place: the column on the right; COLUMN_NONE: `literal` is there */
    int n_items; /* of an `in` list */
    const Value *items;
    const Pattern *pattern;     /* of `matches` */
    bool (*has_form)(Str text); /* of `is whole_number` and its like */
    Value literal;
};

_Static_assert(ENTITY_COLUMNS_MAX <= 64, "a bit for each column");
struct Check {
    const Instruction *code;
    int n;
    uint64_t reads; /* bits of columns */
};

/* ---- instructions: `top` is the next free place of the stack ------------------------------- */

static Value *run_column(const Instruction *i, const Value *row, Value *top) {
    *top = row[i->column];
    return top + 1;
}

static Value *run_literal(const Instruction *i, const Value *row, Value *top) {
    (void)row;
    *top = i->literal;
    return top + 1;
}

/* Both operands of a binary instruction, left in place of the first; NULL when one is unknown. */
static bool are_known(Value *top) {
    bool known = top[-2].is_set && top[-1].is_set;
    if (!known)
        top[-2] = VALUE_NULL;
    return known;
}

#define COMPARE(name, order, operator)                                               \
    static Value *name(const Instruction *i, const Value *row, Value *top) {         \
        (void)i, (void)row;                                                          \
        if (are_known(top))                                                          \
            top[-2] = value_number(order(&top[-2], &top[-1]) operator 0);            \
        return top - 1;                                                              \
    }
#define COMPARE_IN_PLACE(name, operator)                                             \
    static Value *name(const Instruction *i, const Value *row, Value *top) {         \
        const Value *left = &row[i->column];                                         \
        const Value *right = i->other == COLUMN_NONE ? &i->literal : &row[i->other]; \
        top->number = left->number operator right->number;                           \
        top->is_set = left->is_set & right->is_set;                                  \
        return top + 1;                                                              \
    }
static int number_order(const Value *a, const Value *b) {
    return (a->number > b->number) - (a->number < b->number);
}
static int text_order(const Value *a, const Value *b) { return str_compare(value_str(*a), value_str(*b)); }
COMPARE(run_number_eq, number_order, ==)
COMPARE(run_number_ne, number_order, !=)
COMPARE(run_number_lt, number_order, <)
COMPARE(run_number_le, number_order, <=)
COMPARE(run_number_gt, number_order, >)
COMPARE(run_number_ge, number_order, >=)
COMPARE_IN_PLACE(run_column_eq, ==)
COMPARE_IN_PLACE(run_column_ne, !=)
COMPARE_IN_PLACE(run_column_lt, <)
COMPARE_IN_PLACE(run_column_le, <=)
COMPARE_IN_PLACE(run_column_gt, >)
COMPARE_IN_PLACE(run_column_ge, >=)
static bool text_differs(const Value *a, const Value *b) { return !str_equal(value_str(*a), value_str(*b)); }
COMPARE(run_text_eq, text_differs, ==)
COMPARE(run_text_ne, text_differs, !=)
COMPARE(run_text_lt, text_order, <)
COMPARE(run_text_le, text_order, <=)
COMPARE(run_text_gt, text_order, >)
COMPARE(run_text_ge, text_order, >=)

/* Beyond 64 bits nothing is known. */
static Value *run_add(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    int64_t sum;
    if (are_known(top))
        top[-2] = __builtin_add_overflow(top[-2].number, top[-1].number, &sum) ? VALUE_NULL
                                                                               : value_number(sum);
    return top - 1;
}

static Value *run_subtract(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    int64_t rest;
    if (are_known(top))
        top[-2] = __builtin_sub_overflow(top[-2].number, top[-1].number, &rest) ? VALUE_NULL
                                                                                : value_number(rest);
    return top - 1;
}

static bool is_false(const Value *value) { return value->is_set && value->number == 0; }
static bool is_true(const Value *value) { return value->is_set && value->number != 0; }

static Value *run_and(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    if (is_false(&top[-2]) || is_false(&top[-1]))
        top[-2] = value_number(0);
    else if (!is_true(&top[-2]) || !is_true(&top[-1]))
        top[-2] = VALUE_NULL;
    return top - 1;
}

static Value *run_or(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    if (is_true(&top[-2]) || is_true(&top[-1]))
        top[-2] = value_number(1);
    else if (!is_false(&top[-2]) || !is_false(&top[-1]))
        top[-2] = VALUE_NULL;
    return top - 1;
}

static Value *run_not(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    if (top[-1].is_set)
        top[-1] = value_number(!top[-1].number);
    return top;
}

static Value *run_is_null(const Instruction *i, const Value *row, Value *top) {
    (void)i, (void)row;
    top[-1] = value_number(!top[-1].is_set);
    return top;
}

static Value *run_column_is_null(const Instruction *i, const Value *row, Value *top) {
    *top = value_number(!row[i->column].is_set);
    return top + 1;
}

static Value *run_column_is_known(const Instruction *i, const Value *row, Value *top) {
    *top = value_number(row[i->column].is_set);
    return top + 1;
}

/* NULL is in no list and out of none. */
static Value *run_number_in(const Instruction *i, const Value *row, Value *top) {
    (void)row;
    bool is_in = false;
    for (int k = 0; k < i->n_items && !is_in; k++)
        is_in = i->items[k].number == top[-1].number;
    if (top[-1].is_set)
        top[-1] = value_number(is_in);
    return top;
}

static Value *run_text_in(const Instruction *i, const Value *row, Value *top) {
    (void)row;
    if (!top[-1].is_set)
        return top;
    bool is_in = false;
    for (int k = 0; k < i->n_items && !is_in; k++)
        is_in = str_equal(value_str(i->items[k]), value_str(top[-1]));
    top[-1] = value_number(is_in);
    return top;
}

static Value *run_matches(const Instruction *i, const Value *row, Value *top) {
    (void)row;
    if (top[-1].is_set)
        top[-1] = value_number(pattern_matches(i->pattern, value_str(top[-1])));
    return top;
}

static Value *run_has_form(const Instruction *i, const Value *row, Value *top) {
    (void)row;
    if (top[-1].is_set)
        top[-1] = value_number(i->has_form(value_str(top[-1])));
    return top;
}

static bool is_whole_number(Str text) {
    int64_t ignored;
    return str_to_int64(text, &ignored);
}

/* Digits, and digits behind a point; a sign before them. */
static bool is_decimal(Str text) {
    size_t at = text.size > 0 && (text.at[0] == '-' || text.at[0] == '+'), n_digits = 0, n_points = 0;
    for (; at < text.size; at++) {
        bool is_digit = text.at[at] >= '0' && text.at[at] <= '9';
        if (!is_digit && text.at[at] != '.')
            return false;
        n_digits += is_digit;
        n_points += !is_digit;
    }
    return n_digits > 0 && n_points <= 1;
}

static bool is_date(Str text) {
    CivilTime civil;
    return text.size == 10 && civil_parse_iso(text, &civil);
}

static bool is_npi(Str text) {
    Str npi = npi_parse(text);
    return !str_is_null(npi) && npi_check_digit_is_valid(npi);
}

static const struct {
    const char *name;
    bool (*has_form)(Str text);
} FORMS[] = {{"whole_number", is_whole_number}, {"decimal", is_decimal}, {"date", is_date}, {"npi", is_npi}};

/* ---- tokens -------------------------------------------------------------------------------- */

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_NUMBER,
    TOKEN_TEXT,
    TOKEN_SIGN,
    TOKEN_BAD
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Str text;
} Token;

typedef struct Compiler {
    Arena *arena;
    const Entity *entity;
    const char *text, *at;
    Token token;
    Instruction code[INSTRUCTIONS_MAX];
    int n, depth, nesting;
    uint64_t reads; /* bits of columns */
    Error *err;
} Compiler;

typedef struct Operand {
    int type;    /* a ColumnType, or one of the two literal types */
    int literal; /* instruction that pushes it, while its type is open; else NO_LITERAL */
    bool is_column;
} Operand;

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
static bool is_number_char(char c) { return (c >= '0' && c <= '9') || c == '.'; }

static Token span(const char *start, bool (*belongs)(char), TokenKind kind) {
    const char *end = start;
    while (belongs(*end))
        end++;
    return (Token){kind, {start, (size_t)(end - start)}};
}

static Token read_token(const char *at) {
    static const char *const SIGNS[] = {"<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ",", "+", "-"};
    if (*at == '\0')
        return (Token){TOKEN_END, {at, 0}};
    if (is_number_char(*at))
        return span(at, is_number_char, TOKEN_NUMBER);
    if (is_word_char(*at))
        return span(at, is_word_char, TOKEN_WORD);
    const char *close = *at == '\'' ? strchr(at + 1, '\'') : NULL;
    while (close && close[1] == '\'')
        close = strchr(close + 2, '\'');
    if (close)
        return (Token){TOKEN_TEXT, {at, (size_t)(close - at + 1)}};
    for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++)
        if (strncmp(at, SIGNS[i], strlen(SIGNS[i])) == 0)
            return (Token){TOKEN_SIGN, {at, strlen(SIGNS[i])}};
    return (Token){TOKEN_BAD, {at, 1}};
}

static void advance(Compiler *c) {
    c->at = c->token.text.at + c->token.text.size;
    while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n')
        c->at++;
    c->token = read_token(c->at);
}

static bool accept(Compiler *c, TokenKind kind, const char *text) {
    if (c->token.kind != kind || !str_equal_nocase(c->token.text, str_of(text)))
        return false;
    advance(c);
    return true;
}

static bool fail(Compiler *c, const char *what) {
    return error_set(c->err, STATE_CONFIG, "check \"%s\": %s", c->text, what);
}

static bool fail_at(Compiler *c, const char *wanted) {
    if (c->token.kind == TOKEN_END)
        return error_set(c->err, STATE_CONFIG, "check \"%s\" ends where %s is expected", c->text, wanted);
    return error_set(c->err, STATE_CONFIG, "check \"%s\": %s is expected at `%.*s`", c->text, wanted,
                     STR_ARG(c->token.text));
}

static bool expect(Compiler *c, const char *sign) {
    return accept(c, TOKEN_SIGN, sign) || fail_at(c, sign);
}

/* ---- code ---------------------------------------------------------------------------------- */

/* `grows`: what the instruction does to the height of the stack. */
static bool emit(Compiler *c, Instruction instruction, int grows) {
    c->depth += grows;
    if (c->n == INSTRUCTIONS_MAX || c->depth > STACK_MAX)
        return fail(c, "it is too long");
    c->code[c->n++] = instruction;
    return true;
}

static const char *type_name(int type) {
    static const char *const NAMES[] = {
        [TYPE_TEXT] = "text", [TYPE_DATE] = "date", [TYPE_TIMESTAMP] = "timestamp",
        [TYPE_MONEY] = "money", [TYPE_PERCENT] = "percent", [TYPE_INT] = "whole number",
        [TYPE_BIGINT] = "whole number", [TYPE_BOOL] = "condition",
    };
    if (type == TYPE_LITERAL_NUMBER)
        return "number";
    if (type == TYPE_LITERAL_TEXT)
        return "text";
    return (size_t)type < sizeof NAMES / sizeof *NAMES && NAMES[type] ? NAMES[type] : "this type";
}

static bool fail_types(Compiler *c, const char *verb, int left, int right) {
    return error_set(c->err, STATE_CONFIG, "check \"%s\" %s %s and %s, which do not go together", c->text,
                     verb, type_name(left), type_name(right));
}

static bool number_as(Str text, int type, int64_t *ret_number) {
    if (type == TYPE_MONEY || type == TYPE_PERCENT)
        return money_parse(text, (MoneyStyle){0}, ret_number);
    return (type == TYPE_INT || type == TYPE_BIGINT) && str_to_int64(text, ret_number);
}

static bool time_as(Str text, int type, int64_t *ret_number) {
    CivilTime civil;
    if ((type != TYPE_DATE && type != TYPE_TIMESTAMP) || !civil_parse_iso(text, &civil))
        return false;
    *ret_number = type == TYPE_DATE ? date_to_days(civil.date)
                                    : civil_to_us(&civil) - civil.offset_seconds * US_PER_SECOND;
    return true;
}

/* Gives an open literal the type of what it meets. */
static bool settle_literal(Compiler *c, Operand *operand, int type) {
    if (operand->literal == NO_LITERAL || type >= TYPE_LITERAL_NUMBER)
        return true;
    if (operand->type == TYPE_LITERAL_TEXT && type == TYPE_TEXT) {
        *operand = (Operand){TYPE_TEXT, NO_LITERAL, false};
        return true;
    }
    Value *literal = &c->code[operand->literal].literal;
    int64_t number;
    bool fits = operand->type == TYPE_LITERAL_NUMBER ? number_as(value_str(*literal), type, &number)
                                                     : time_as(value_str(*literal), type, &number);
    if (!fits)
        return error_set(c->err, STATE_CONFIG, "check \"%s\": `%.*s` is no %s", c->text,
                         STR_ARG(value_str(*literal)), type_name(type));
    *literal = value_number(number);
    *operand = (Operand){type, NO_LITERAL, false};
    return true;
}

static int widened(int type) { return type == TYPE_INT ? TYPE_BIGINT : type; }

/* Settles the literals of a pair; two literals among themselves are whole numbers, or texts. */
static bool settle_pair(Compiler *c, Operand *left, Operand *right) {
    bool both_open = left->type >= TYPE_LITERAL_NUMBER && right->type >= TYPE_LITERAL_NUMBER;
    int open_as = left->type == TYPE_LITERAL_TEXT ? TYPE_TEXT : TYPE_BIGINT;
    return settle_literal(c, left, both_open ? open_as : right->type) &&
           settle_literal(c, right, left->type);
}

/* ---- grammar ------------------------------------------------------------------------------- */

static bool parse_or(Compiler *c, Operand *ret);

static bool parse_column(Compiler *c, Operand *ret) {
    int column = entity_column(c->entity, c->token.text);
    if (column == COLUMN_NONE) {
        Nearest nearest = nearest_start(c->token.text);
        for (int i = 0; i < c->entity->n_columns; i++)
            nearest_offer(&nearest, c->entity->columns[i].name);
        char suggestion[NEAREST_TEXT_BYTES];
        nearest_suggest(&nearest, suggestion);
        return error_set(c->err, STATE_CONFIG, "check \"%s\": unknown column `%.*s` of entity %s%s",
                         c->text, STR_ARG(c->token.text), c->entity->name, suggestion);
    }
    ColumnRole role = c->entity->columns[column].role;
    if (role == ROLE_SETTLE || role == ROLE_GOLD || role == ROLE_SURROGATE)
        return error_set(c->err, STATE_CONFIG, "check \"%s\": `%.*s` is not known from one row alone",
                         c->text, STR_ARG(c->token.text));
    advance(c);
    c->reads |= UINT64_C(1) << column;
    *ret = (Operand){widened((int)c->entity->columns[column].type), NO_LITERAL, true};
    return emit(c, (Instruction){.run = run_column, .column = column}, 1);
}

static bool emit_literal(Compiler *c, Str text, int type, Operand *ret) {
    *ret = (Operand){type, c->n, false};
    Instruction instruction = {.run = run_literal, .column = COLUMN_NONE, .literal = value_text(text)};
    return emit(c, instruction, 1);
}

static bool parse_number(Compiler *c, Operand *ret) {
    bool is_negative = accept(c, TOKEN_SIGN, "-");
    if (c->token.kind != TOKEN_NUMBER)
        return fail_at(c, "a number");
    Str text = c->token.text;
    if (is_negative)
        text = str_of(arena_printf(c->arena, "-%.*s", STR_ARG(text)));
    advance(c);
    return emit_literal(c, text, TYPE_LITERAL_NUMBER, ret);
}

/* What stands between the quotes; a doubled one is one. */
static Str text_within(Compiler *c) {
    Str quoted = {c->token.text.at + 1, c->token.text.size - 2};
    if (!memchr(quoted.at, '\'', quoted.size))
        return quoted;
    char *text = ARENA_ARRAY(c->arena, char, quoted.size);
    size_t n = 0;
    for (size_t i = 0; i < quoted.size; i++) {
        text[n++] = quoted.at[i];
        i += quoted.at[i] == '\'';
    }
    return (Str){text, n};
}

static bool parse_text(Compiler *c, Operand *ret) {
    Str text = text_within(c);
    advance(c);
    return emit_literal(c, text, TYPE_LITERAL_TEXT, ret);
}

static bool emit_truth(Compiler *c, bool truth, Operand *ret) {
    *ret = (Operand){TYPE_BOOL, NO_LITERAL, false};
    Instruction instruction = {.run = run_literal, .column = COLUMN_NONE, .literal = value_number(truth)};
    return emit(c, instruction, 1);
}

static bool parse_value(Compiler *c, Operand *ret) {
    if (accept(c, TOKEN_SIGN, "("))
        return parse_or(c, ret) && expect(c, ")");
    if (accept(c, TOKEN_WORD, "true"))
        return emit_truth(c, true, ret);
    if (accept(c, TOKEN_WORD, "false"))
        return emit_truth(c, false, ret);
    if (c->token.kind == TOKEN_WORD)
        return parse_column(c, ret);
    if (c->token.kind == TOKEN_TEXT)
        return parse_text(c, ret);
    if (c->token.kind == TOKEN_NUMBER || (c->token.kind == TOKEN_SIGN && *c->token.text.at == '-'))
        return parse_number(c, ret);
    return fail_at(c, "a column or a value");
}

/* The type of a sum, or -1: money ± money, whole ± whole, date - date, date ± whole. */
static int sum_type(int left, int right, bool is_minus) {
    bool is_amount = left == TYPE_MONEY || left == TYPE_PERCENT || left == TYPE_BIGINT;
    if (is_amount && left == right)
        return left;
    if (left == TYPE_DATE && right == TYPE_BIGINT)
        return TYPE_DATE;
    return left == TYPE_DATE && right == TYPE_DATE && is_minus ? TYPE_BIGINT : -1;
}

static bool parse_sum(Compiler *c, Operand *ret) {
    if (!parse_value(c, ret))
        return false;
    while (c->token.kind == TOKEN_SIGN && (*c->token.text.at == '+' || *c->token.text.at == '-')) {
        bool is_minus = *c->token.text.at == '-';
        advance(c);
        Operand right;
        if (!parse_value(c, &right))
            return false;
        bool is_days = ret->type == TYPE_DATE && right.type == TYPE_LITERAL_NUMBER;
        if (!(is_days ? settle_literal(c, &right, TYPE_BIGINT) : settle_pair(c, ret, &right)))
            return false;
        int type = sum_type(ret->type, right.type, is_minus);
        if (type < 0)
            return fail_types(c, is_minus ? "subtracts" : "adds", ret->type, right.type);
        *ret = (Operand){type, NO_LITERAL, false};
        if (!emit(c, (Instruction){.run = is_minus ? run_subtract : run_add}, -1))
            return false;
    }
    return true;
}

typedef struct Comparison {
    const char *sign;
    Run *numbers, *in_place, *texts;
} Comparison;

static const Comparison COMPARISONS[] = {
    {"=", run_number_eq, run_column_eq, run_text_eq},  {"<>", run_number_ne, run_column_ne, run_text_ne},
    {"!=", run_number_ne, run_column_ne, run_text_ne}, {"<=", run_number_le, run_column_le, run_text_le},
    {">=", run_number_ge, run_column_ge, run_text_ge}, {"<", run_number_lt, run_column_lt, run_text_lt},
    {">", run_number_gt, run_column_gt, run_text_gt},
};

static const Comparison *accept_comparison(Compiler *c) {
    for (size_t i = 0; i < sizeof COMPARISONS / sizeof *COMPARISONS; i++)
        if (accept(c, TOKEN_SIGN, COMPARISONS[i].sign))
            return &COMPARISONS[i];
    return NULL;
}

/* The last two instructions push a column and what it is compared with: they become one. False when they do not. */
static bool emit_in_place(Compiler *c, Run *run) {
    const Instruction *left = &c->code[c->n - 2], *right = &c->code[c->n - 1];
    if (left->run != run_column || (right->run != run_column && right->run != run_literal))
        return false;
    Instruction made = {.run = run, .column = left->column, .other = right->column, .literal = right->literal};
    c->n -= 2;
    c->depth -= 2;
    return emit(c, made, 1);
}

static bool emit_comparison(Compiler *c, const Comparison *comparison, Operand *left, Operand *right) {
    if (!settle_pair(c, left, right))
        return false;
    if (left->type != right->type)
        return fail_types(c, "compares", left->type, right->type);
    if (left->type != TYPE_TEXT && emit_in_place(c, comparison->in_place))
        return true;
    Run *run = left->type == TYPE_TEXT ? comparison->texts : comparison->numbers;
    return emit(c, (Instruction){.run = run}, -1);
}

/* The items are compiled as literals are, to be typed by the column, and then taken out of the code. */
static bool parse_item(Compiler *c, const Operand *column, Value *ret_item) {
    Operand item;
    if (!(c->token.kind == TOKEN_TEXT ? parse_text(c, &item) : parse_number(c, &item)) ||
        !settle_literal(c, &item, column->type))
        return false;
    *ret_item = c->code[--c->n].literal;
    c->depth--;
    return true;
}

static bool parse_in(Compiler *c, const Operand *left) {
    if (!left->is_column)
        return fail(c, "only a column can be `in` a list");
    Value *items = ARENA_ARRAY(c->arena, Value, INSTRUCTIONS_MAX);
    int n = 0;
    if (!expect(c, "("))
        return false;
    do {
        if (n == INSTRUCTIONS_MAX)
            return fail(c, "it is too long");
        if (!parse_item(c, left, &items[n++]))
            return false;
    } while (accept(c, TOKEN_SIGN, ","));
    Run *run = left->type == TYPE_TEXT ? run_text_in : run_number_in;
    return expect(c, ")") && emit(c, (Instruction){.run = run, .items = items, .n_items = n}, 0);
}

static bool expect_text_column(Compiler *c, const Operand *left, const char *what) {
    return (left->is_column && left->type == TYPE_TEXT) ||
           error_set(c->err, STATE_CONFIG, "check \"%s\": only a column of text %s", c->text, what);
}

static bool parse_form(Compiler *c, const Operand *left) {
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        if (accept(c, TOKEN_WORD, FORMS[i].name))
            return expect_text_column(c, left, "has a form; the others have their type already") &&
                   emit(c, (Instruction){.run = run_has_form, .has_form = FORMS[i].has_form}, 0);
    return fail_at(c, "`null` or a form");
}

static bool parse_is(Compiler *c, const Operand *left) {
    bool is_not = accept(c, TOKEN_WORD, "not");
    if (left->is_column && accept(c, TOKEN_WORD, "null")) {
        c->code[c->n - 1].run = is_not ? run_column_is_known : run_column_is_null;
        return true;
    }
    bool ok = accept(c, TOKEN_WORD, "null") ? emit(c, (Instruction){.run = run_is_null}, 0) : parse_form(c, left);
    return ok && (!is_not || emit(c, (Instruction){.run = run_not}, 0));
}

static bool parse_matches(Compiler *c, const Operand *left) {
    Error why = {0};
    if (!expect_text_column(c, left, "matches a pattern"))
        return false;
    if (c->token.kind != TOKEN_TEXT)
        return fail_at(c, "a 'pattern'");
    const Pattern *pattern = pattern_compile(c->arena, text_within(c), &why);
    if (!pattern)
        return error_set(c->err, STATE_CONFIG, "check \"%s\": %.*s is no pattern: %s", c->text,
                         STR_ARG(c->token.text), why.text);
    advance(c);
    return emit(c, (Instruction){.run = run_matches, .pattern = pattern}, 0);
}

static bool parse_comparison(Compiler *c, Operand *ret) {
    Operand left, right;
    if (!parse_sum(c, &left))
        return false;
    const Comparison *comparison = accept_comparison(c);
    *ret = (Operand){TYPE_BOOL, NO_LITERAL, false};
    if (comparison)
        return parse_sum(c, &right) && emit_comparison(c, comparison, &left, &right);
    if (accept(c, TOKEN_WORD, "is"))
        return parse_is(c, &left);
    bool is_not = accept(c, TOKEN_WORD, "not");
    bool is_in = accept(c, TOKEN_WORD, "in");
    if (is_in || accept(c, TOKEN_WORD, "matches"))
        return (is_in ? parse_in(c, &left) : parse_matches(c, &left)) &&
               (!is_not || emit(c, (Instruction){.run = run_not}, 0));
    if (is_not)
        return fail_at(c, "`in` or `matches`");
    *ret = left;
    return true;
}

static bool expect_condition(Compiler *c, const Operand *operand) {
    return operand->type == TYPE_BOOL ||
           error_set(c->err, STATE_CONFIG, "check \"%s\": a condition is expected, not %s", c->text,
                     type_name(operand->type));
}

static bool parse_not(Compiler *c, Operand *ret) {
    if (!accept(c, TOKEN_WORD, "not"))
        return parse_comparison(c, ret);
    if (++c->nesting > INSTRUCTIONS_MAX)
        return fail(c, "it is too long");
    return parse_not(c, ret) && expect_condition(c, ret) && emit(c, (Instruction){.run = run_not}, 0);
}

typedef bool Parse(Compiler *c, Operand *ret);

static bool parse_chain(Compiler *c, Operand *ret, const char *word, Parse *part, Run *run) {
    if (!part(c, ret))
        return false;
    while (accept(c, TOKEN_WORD, word)) {
        Operand right;
        if (!expect_condition(c, ret) || !part(c, &right) || !expect_condition(c, &right) ||
            !emit(c, (Instruction){.run = run}, -1))
            return false;
    }
    return true;
}

static bool parse_and(Compiler *c, Operand *ret) {
    return parse_chain(c, ret, "and", parse_not, run_and);
}

static bool parse_or(Compiler *c, Operand *ret) {
    if (++c->nesting > INSTRUCTIONS_MAX)
        return fail(c, "it is too long");
    return parse_chain(c, ret, "or", parse_and, run_or);
}

const Check *check_compile(Arena *arena, const Entity *entity, const char *text, Error *err) {
    Compiler c = {.arena = arena, .entity = entity, .text = text, .at = text, .err = err,
                  .token = {TOKEN_SIGN, {text, 0}}};
    advance(&c);
    Operand whole;
    TRY_NULL(parse_or(&c, &whole));
    TRY_NULL(c.token.kind == TOKEN_END || fail_at(&c, "its end"));
    TRY_NULL(expect_condition(&c, &whole));
    Instruction *code = ARENA_ARRAY(arena, Instruction, (size_t)c.n);
    memcpy(code, c.code, sizeof *code * (size_t)c.n);
    Check *check = ARENA_NEW(arena, Check);
    *check = (Check){code, c.n, c.reads};
    return check;
}

bool check_is_broken(const Check *check, const Value *values) {
    Value stack[STACK_MAX];
    Value *top = stack;
    for (const Instruction *i = check->code, *end = i + check->n; i < end; i++)
        top = i->run(i, values, top);
    return is_false(&stack[0]);
}

bool check_reads_only(const Check *check, const bool *is_filled) {
    for (uint64_t rest = check->reads; rest; rest &= rest - 1)
        if (!is_filled[__builtin_ctzll(rest)])
            return false;
    return true;
}
