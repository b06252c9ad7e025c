/* cleaner.c - see cleaner.h. The functions, then the table. */
#include "transform/cleaner.h"

#include "base/nearest.h"
#include "transform/code.h"
#include "transform/contact.h"
#include "transform/date.h"
#include "transform/money.h"
#include "transform/name_case.h"
#include "transform/text.h"

#include <stddef.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Of a cell that is not NULL. */
static Str text_of(const Cell *cell) { return (Str){cell->value->at, cell->value->size}; }

static void set_text(Cell *cell, Str text) { *cell->value = value_text(text); }

static void flag(Cell *cell, Flag which) {
    cell->row->flags |= UINT64_C(1) << which;
    *cell->value = VALUE_NULL;
}

/* A value that could not be read: words for "nothing known" are NULL, all else is flagged. */
static void give_up(Cell *cell, Flag which) {
    if (text_is_unknown_word(text_trim(text_of(cell))))
        *cell->value = VALUE_NULL;
    else
        flag(cell, which);
}

/* ---- texts --------------------------------------------------------------------------------- */

static void clean_trim(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, text_trim(text_of(cell)));
}

static void clean_collapse(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, text_collapse(cell->row->page, text_of(cell)));
}

static void clean_upper(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, text_upper(cell->row->page, text_of(cell)));
}

static void clean_lower(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, text_lower(cell->row->page, text_of(cell)));
}

static void clean_title(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, text_title(cell->row->page, text_of(cell)));
}

static void clean_proper_case(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, name_case(cell->row->page, text_of(cell)));
}

static void clean_digits(Cell *cell, const void *args) {
    (void)args;
    Str digits = text_digits(cell->row->page, text_of(cell));
    *cell->value = digits.size > 0 ? value_text(digits) : VALUE_NULL;
}

/* A list of words; the built-in one when the configuration gives none. */
typedef struct Words {
    const CleanerArg *at;
    size_t n;
} Words;

static bool is_among(Str text, const Words *words) {
    for (size_t i = 0; i < words->n; i++)
        if (str_equal_nocase(text, str_of(words->at[i].value)))
            return true;
    return false;
}

static void clean_unknown_words(Cell *cell, const void *args) {
    const Words *words = args;
    Str trimmed = text_trim(text_of(cell));
    if (words->n > 0 ? is_among(trimmed, words) : text_is_unknown_word(trimmed))
        *cell->value = VALUE_NULL;
}

static void clean_null_if(Cell *cell, const void *args) {
    if (is_among(text_trim(text_of(cell)), args))
        *cell->value = VALUE_NULL;
}

static void clean_text(Cell *cell, const void *args) {
    (void)args;
    Str text = text_collapse(cell->row->page, text_of(cell));
    *cell->value = text_is_unknown_word(text) ? VALUE_NULL : value_text(text);
}

static void clean_code(Cell *cell, const void *args) {
    clean_text(cell, args);
    if (cell->value->is_set)
        clean_upper(cell, args);
}

/* Ids are folded where the source's collation joins 'abc' and 'ABC'. */
static void clean_id(Cell *cell, const void *args) {
    (void)args;
    Str text = text_trim(text_of(cell));
    if (text_is_unknown_word(text))
        *cell->value = VALUE_NULL;
    else
        set_text(cell, cell->source->folds_case ? text_upper(cell->row->page, text) : text);
}

/* As most ids are: longer than a word for nothing, of capitals, digits and signs that are seen. */
static bool id_leaves(Str text) { return text.size > TEXT_UNKNOWN_BYTES && text_is_upper_ascii(text); }

static void clean_map(Cell *cell, const void *args) {
    const Words *words = args;
    const char *otherwise = NULL;
    Str text = text_trim(text_of(cell));
    for (size_t i = 0; i < words->n; i++) {
        if (str_equal_nocase(text, str_of(words->at[i].key))) {
            set_text(cell, str_of(words->at[i].value));
            return;
        }
        if (strcmp(words->at[i].key, "*") == 0)
            otherwise = words->at[i].value;
    }
    if (otherwise)
        set_text(cell, str_of(otherwise));
}

static void clean_default(Cell *cell, const void *args) {
    const Words *words = args;
    if (!cell->value->is_set || text_trim(text_of(cell)).size == 0)
        set_text(cell, str_of(words->at[0].value));
}

/* The `from` columns in order, those that are NULL or empty left out. */
static void clean_concat(Cell *cell, const void *args) {
    const Words *words = args;
    Str between = words->n > 0 ? str_of(words->at[0].value) : STR(" ");
    Str first = cell->value->is_set ? text_of(cell) : STR("");
    size_t size = first.size;
    for (size_t i = 0; i < cell->source->n_others; i++)
        size += between.size + cell->fields[cell->source->others[i]].size;
    char *made = arena_alloc(cell->row->page, size);
    memcpy(made, first.at, first.size);
    size_t used = first.size;
    for (size_t i = 0; i < cell->source->n_others; i++) {
        Str other = cell->fields[cell->source->others[i]];
        if (other.size == 0)
            continue;
        if (used > 0)
            memcpy(made + used, between.at, between.size);
        used += used > 0 ? between.size : 0;
        memcpy(made + used, other.at, other.size);
        used += other.size;
    }
    bool is_repaired = false;
    Str text = text_repair(cell->row->page, (Str){made, used}, &is_repaired);
    if (is_repaired)
        cell->row->flags |= UINT64_C(1) << FLAG_TEXT_REPAIRED;
    *cell->value = text.size > 0 ? value_text(text) : VALUE_NULL;
}

/* ---- dates, times, amounts ----------------------------------------------------------------- */

/* By the declared formats in order; ISO when none is declared. */
static bool read_civil(Str text, const Words *formats, CivilTime *ret_civil) {
    if (formats->n == 0)
        return civil_parse_iso(text, ret_civil);
    for (size_t i = 0; i < formats->n; i++)
        if (strcmp(formats->at[i].value, "ISO") == 0
                ? civil_parse_iso(text, ret_civil)
                : civil_parse_format(text, formats->at[i].value, ret_civil))
            return true;
    return false;
}

static int64_t instant_of(const Cell *cell, const CivilTime *civil) {
    int64_t us = civil_to_us(civil);
    if (civil->has_offset)
        return us - civil->offset_seconds * US_PER_SECOND;
    return cell->source->kind == FIELD_INSTANT ? us : zone_to_instant(cell->row->zone, us);
}

static int64_t floor_days(int64_t us) { return us / US_PER_DAY - (us % US_PER_DAY < 0); }

static bool read_timestamp(const Cell *cell, Str text, const void *args, int64_t *ret_us) {
    CivilTime civil;
    if (!read_civil(text, args, &civil))
        return false;
    *ret_us = instant_of(cell, &civil);
    return true;
}

/* The day a civil time names is the day; an instant's day is the one in the source's zone. */
static bool read_date(const Cell *cell, Str text, const void *args, int64_t *ret_days) {
    CivilTime civil;
    if (!read_civil(text, args, &civil))
        return false;
    *ret_days = date_to_days(civil.date);
    if (civil.has_offset || cell->source->kind == FIELD_INSTANT)
        *ret_days = floor_days(zone_to_civil(cell->row->zone, instant_of(cell, &civil)));
    return true;
}

static bool read_cents(const Cell *cell, Str text, const void *args, int64_t *ret_cents) {
    (void)cell;
    return money_parse(text, *(const MoneyStyle *)args, ret_cents);
}

static bool read_integer(const Cell *cell, Str text, const void *args, int64_t *ret_number) {
    (void)cell, (void)args;
    return str_to_int64(text, ret_number) && *ret_number >= INT32_MIN && *ret_number <= INT32_MAX;
}

static bool read_bigint(const Cell *cell, Str text, const void *args, int64_t *ret_number) {
    (void)cell, (void)args;
    return str_to_int64(text, ret_number);
}

void cleaner_read(Cell *cell, ReadFunction *read, Flag unread, const void *args) {
    int64_t number;
    if (read(cell, text_trim(text_of(cell)), args, &number))
        *cell->value = value_number(number);
    else
        give_up(cell, unread);
}

/* ---- what has rules of its own ------------------------------------------------------------- */

typedef struct PhoneArgs {
    const char *country; /* calling code */
    bool is_extension;
} PhoneArgs;

static void clean_phone(Cell *cell, const void *args) {
    const PhoneArgs *which = args;
    Phone phone;
    if (!phone_parse(cell->row->page, text_trim(text_of(cell)), which->country, &phone))
        give_up(cell, FLAG_PHONE_INVALID);
    else
        *cell->value = value_text(which->is_extension ? phone.extension : phone.number);
}

static void clean_email(Cell *cell, const void *args) {
    (void)args;
    Str text = text_trim(text_of(cell));
    if (email_is_valid(text))
        set_text(cell, text_lower(cell->row->page, text));
    else
        give_up(cell, FLAG_EMAIL_INVALID);
}

static void clean_ssn(Cell *cell, const void *args) {
    (void)args;
    set_text(cell, ssn_parse(cell->row->page, text_of(cell)));
}

static void clean_icd10(Cell *cell, const void *args) {
    clean_text(cell, args);
    if (cell->value->is_set)
        set_text(cell, icd10_format(cell->row->page, text_of(cell)));
}

static void clean_npi(Cell *cell, const void *args) {
    (void)args;
    Str npi = npi_parse(text_of(cell));
    if (str_is_null(npi))
        give_up(cell, FLAG_NPI_CHECK_DIGIT);
    else
        set_text(cell, npi);
}

/* A ZIP kept as a number has lost its leading zeros. */
static Str restore_zeros(Cell *cell, Str text) {
    if (cell->source->kind != FIELD_NUMBER || text.size < 3 || text.size > 4)
        return text;
    char *made = arena_alloc(cell->row->page, 5);
    memset(made, '0', 5);
    memcpy(made + 5 - text.size, text.at, text.size);
    return (Str){made, 5};
}

static void clean_zip(Cell *cell, const void *args) {
    (void)args;
    Str zip = zip_parse(cell->row->page, restore_zeros(cell, text_trim(text_of(cell))));
    if (str_is_null(zip))
        give_up(cell, FLAG_ADDRESS_UNPARSED);
    else
        set_text(cell, zip);
}

static void clean_gender(Cell *cell, const void *args) {
    (void)args;
    static const char *const WORDS[][2] = {
        {"f", "Female"}, {"female", "Female"}, {"woman", "Female"}, {"m", "Male"}, {"male", "Male"},
        {"man", "Male"}, {"o", "Other"}, {"other", "Other"}, {"x", "Other"},
        {"nonbinary", "Other"}, {"non-binary", "Other"},
    };
    Str text = cell->value->is_set ? text_trim(text_of(cell)) : STR("");
    set_text(cell, STR("Unknown"));
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (str_equal_nocase(text, str_of(WORDS[i][0])))
            set_text(cell, str_of(WORDS[i][1]));
}

static const Address *address_of(Cell *cell) {
    CleanRow *row = cell->row;
    if (row->address_at != cell->value->at || row->address_size != cell->value->size) {
        row->address = address_parse(row->page, text_of(cell));
        row->address_at = cell->value->at;
        row->address_size = cell->value->size;
    }
    return &row->address;
}

/* `args` is the offset of the part in an Address. */
static void clean_us_address(Cell *cell, const void *args) {
    if (text_is_unknown_word(text_trim(text_of(cell)))) {
        *cell->value = VALUE_NULL;
        return;
    }
    const Address *address = address_of(cell);
    if (!address->is_complete)
        cell->row->flags |= UINT64_C(1) << FLAG_ADDRESS_UNPARSED;
    set_text(cell, *(const Str *)((const char *)address + *(const size_t *)args));
}

/* ---- the table ----------------------------------------------------------------------------- */

static const void *prepare_words(const Setting *s) {
    Words *words = ARENA_NEW(s->arena, Words);
    *words = (Words){s->spec->args, s->spec->n_args};
    return words;
}

static const void *prepare_formats(const Setting *s) {
    for (size_t i = 0; i < s->spec->n_args; i++) {
        const char *format = s->spec->args[i].value;
        if (strcmp(format, "ISO") == 0 || civil_format_is_complete(format))
            continue;
        snprintf(s->ret_mistake, CLEANER_MISTAKE_BYTES,
                 "`%s` is no date format: it needs YYYY, MM or MON, and DD, each once, as in \"MM/DD/YYYY\"",
                 format);
        return NULL;
    }
    return prepare_words(s);
}

static const void *prepare_cents(const Setting *s) {
    MoneyStyle *style = ARENA_NEW(s->arena, MoneyStyle);
    for (size_t i = 0; i < s->spec->n_args; i++) {
        const char *word = s->spec->args[i].value;
        if (strcmp(word, "parentheses") == 0)
            style->parentheses = true;
        else if (strcmp(word, "decimal_comma") == 0)
            style->decimal_comma = true;
        else if (strcmp(word, "minor_units") == 0)
            style->minor_units = true;
        else {
            snprintf(s->ret_mistake, CLEANER_MISTAKE_BYTES,
                     "`cents` knows `parentheses`, `decimal_comma` and `minor_units`, not `%s`", word);
            return NULL;
        }
    }
    return style;
}

static const void *prepare_phone(const Setting *s) {
    PhoneArgs *args = ARENA_NEW(s->arena, PhoneArgs);
    args->is_extension = strcmp(s->column->name, "phone_extension") == 0;
    args->country = "1";
    if (s->spec->n_args == 0)
        return args;
    const char *country = s->spec->args[0].value;
    if (strcmp(country, "US") == 0 || strcmp(country, "CA") == 0)
        return args;
    size_t digits = country[0] == '+' ? strspn(country + 1, "0123456789") : 0;
    if (digits >= 1 && digits <= 3 && country[1 + digits] == '\0') {
        args->country = arena_string(s->arena, str_of(country + 1));
        return args;
    }
    snprintf(s->ret_mistake, CLEANER_MISTAKE_BYTES,
             "`phone` takes US, CA or a calling code such as \"+44\", not `%s`", country);
    return NULL;
}

static const void *prepare_us_address(const Setting *s) {
    static const struct {
        const char *column;
        size_t offset;
    } PARTS[] = {
        {"address", offsetof(Address, street)},
        {"city", offsetof(Address, city)},
        {"state", offsetof(Address, state)},
        {"zip", offsetof(Address, zip)},
    };
    for (size_t i = 0; i < COUNT(PARTS); i++)
        if (strcmp(s->column->name, PARTS[i].column) == 0)
            return &PARTS[i].offset;
    snprintf(s->ret_mistake, CLEANER_MISTAKE_BYTES, "`us_address` fills address, city, state and zip, not `%s`",
             s->column->name);
    return NULL;
}

static const Cleaner CLEANERS[] = {
    {"trim", ARGS_NONE, TYPE_TEXT, clean_trim, NULL, false, "without blanks at both ends"},
    {"collapse", ARGS_NONE, TYPE_TEXT, clean_collapse, NULL, false,
     "trim, and one space for every run of blanks"},
    {"unknown_words", ARGS_ANY, TYPE_TEXT, clean_unknown_words, NULL, false,
     "[words]: NULL for NULL, N/A, -, none, unknown, or for the words given"},
    {"null_if", ARGS_SOME, TYPE_TEXT, clean_null_if, NULL, false, "[words]: NULL for these words"},
    {"default", ARGS_ONE, TYPE_TEXT, clean_default, NULL, true,
     "word: this word where there is none"},
    {"map", ARGS_KEYS, TYPE_TEXT, clean_map, NULL, false,
     "{from: to, …}: words for words, whatever their case; \"*\" for all others"},
    {"concat", ARGS_ANY, TYPE_TEXT, clean_concat, NULL, true,
     "separator: the `from` columns in one text; a space when none is given"},
    {"upper", ARGS_NONE, TYPE_TEXT, clean_upper, NULL, false, "capital letters"},
    {"lower", ARGS_NONE, TYPE_TEXT, clean_lower, NULL, false, "small letters"},
    {"title", ARGS_NONE, TYPE_TEXT, clean_title, NULL, false,
     "a capital per word where all letters are of one case"},
    {"proper_case", ARGS_NONE, TYPE_TEXT, clean_proper_case, NULL, false,
     "names of people: O'Brien, McDonald, de la Cruz"},
    {"digits", ARGS_NONE, TYPE_TEXT, clean_digits, NULL, false, "the digits alone"},
    {"text", ARGS_NONE, TYPE_TEXT, clean_text, NULL, false, "collapse and unknown_words"},
    {"code", ARGS_NONE, TYPE_TEXT, clean_code, NULL, false, "text, in capitals"},
    {"id", ARGS_NONE, TYPE_TEXT, clean_id, NULL, false,
     "trimmed, NULL for unknown words, folded where the source's collation folds", .leaves = id_leaves},
    {"date", ARGS_ANY, TYPE_DATE, NULL, prepare_formats, false,
     "[formats]: ISO, or by the declared formats such as \"MM/DD/YYYY\"; never guessed", read_date, FLAG_DATE_INVALID},
    {"timestamp", ARGS_ANY, TYPE_TIMESTAMP, NULL, prepare_formats, false,
     "[formats]: an instant; without an offset, civil time of the source's zone", read_timestamp, FLAG_DATE_INVALID},
    {"cents", ARGS_ANY, TYPE_MONEY, NULL, prepare_cents, false,
     "[parentheses, decimal_comma, minor_units]: an amount of money, exact to the cent; minor_units: a number of cents",
     read_cents, FLAG_AMOUNT_UNREADABLE},
    {"integer", ARGS_NONE, TYPE_INT, NULL, NULL, false, "a whole number of 32 bits", read_integer, FLAG_AMOUNT_UNREADABLE},
    {"bigint", ARGS_NONE, TYPE_BIGINT, NULL, NULL, false, "a whole number of 64 bits", read_bigint, FLAG_AMOUNT_UNREADABLE},
    {"phone", ARGS_ANY, TYPE_TEXT, clean_phone, prepare_phone, false,
     "[country]: E.164; into phone_extension the extension"},
    {"email", ARGS_NONE, TYPE_TEXT, clean_email, NULL, false, "a valid address in small letters"},
    {"ssn", ARGS_NONE, TYPE_TEXT, clean_ssn, NULL, false, "nine digits, else NULL"},
    {"gender", ARGS_NONE, TYPE_TEXT, clean_gender, NULL, true, "Male, Female, Other or Unknown"},
    {"zip", ARGS_NONE, TYPE_TEXT, clean_zip, NULL, false, "12345 or 12345-6789"},
    {"icd10", ARGS_NONE, TYPE_TEXT, clean_icd10, NULL, false,
     "capitals, with the dot after the third character"},
    {"npi", ARGS_NONE, TYPE_TEXT, clean_npi, NULL, false, "ten digits"},
    {"us_address", ARGS_NONE, TYPE_TEXT, clean_us_address, prepare_us_address, false,
     "the part of a one-line address that the column holds"},
};

const Cleaner *cleaner_next(const Cleaner *previous) {
    const Cleaner *next = previous ? previous + 1 : CLEANERS;
    return next < CLEANERS + COUNT(CLEANERS) ? next : NULL;
}

static void say_unknown(const char *name, char *ret_mistake) {
    char suggestion[NEAREST_TEXT_BYTES];
    Nearest nearest = nearest_start(str_of(name));
    for (size_t i = 0; i < COUNT(CLEANERS); i++)
        nearest_offer(&nearest, CLEANERS[i].name);
    nearest_suggest(&nearest, suggestion);
    snprintf(ret_mistake, CLEANER_MISTAKE_BYTES, "unknown cleaner `%s`%s", name, suggestion);
}

const Cleaner *cleaner_find(const char *name, char *ret_mistake) {
    for (size_t i = 0; i < COUNT(CLEANERS); i++)
        if (strcmp(CLEANERS[i].name, name) == 0)
            return &CLEANERS[i];
    say_unknown(name, ret_mistake);
    return NULL;
}

static bool check_args(const Cleaner *cleaner, const CleanerSpec *spec, char *ret_mistake) {
    static const char *const WANTED[] = {
        [ARGS_NONE] = "no argument", [ARGS_ONE] = "one argument", [ARGS_ANY] = "a list of words",
        [ARGS_SOME] = "a list of words", [ARGS_KEYS] = "words with their replacements",
    };
    size_t n_keys = 0;
    for (size_t i = 0; i < spec->n_args; i++)
        n_keys += spec->args[i].key != NULL;
    bool fits = cleaner->args == ARGS_KEYS ? n_keys > 0 && n_keys == spec->n_args : n_keys == 0;
    if (cleaner->args == ARGS_NONE)
        fits &= spec->n_args == 0;
    if (cleaner->args == ARGS_ONE)
        fits &= spec->n_args == 1;
    if (cleaner->args == ARGS_SOME)
        fits &= spec->n_args > 0;
    if (!fits)
        snprintf(ret_mistake, CLEANER_MISTAKE_BYTES, "cleaner `%s` takes %s: %s", cleaner->name,
                 WANTED[cleaner->args], cleaner->usage);
    return fits;
}

const void *cleaner_prepare(const Cleaner *cleaner, const Setting *setting) {
    if (!check_args(cleaner, setting->spec, setting->ret_mistake))
        return NULL;
    return cleaner->prepare ? cleaner->prepare(setting) : prepare_words(setting);
}
