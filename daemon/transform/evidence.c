/* evidence.c - see evidence.h. */
#include "transform/evidence.h"

#include "transform/date.h"
#include "transform/text.h"

#include <stdio.h>

enum { COMPACT_DATE_BYTES = 8 };

/* In pairs where the text alone cannot decide: the order within a pair is of no meaning. */
static const char *const FORMATS[] = {
    "MM/DD/YYYY", "DD/MM/YYYY", "MM-DD-YYYY", "DD-MM-YYYY", "DD.MM.YYYY", "MM.DD.YYYY", "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD",
    "DD-MON-YYYY", "DD MON YYYY", "MON DD, YYYY", "MON DD YYYY", "DDMONYYYY",
    "MM/DD/YYYY hh:mm", "DD/MM/YYYY hh:mm", "MM/DD/YYYY hh:mm:ss", "DD/MM/YYYY hh:mm:ss", "MM/DD/YYYY hh:mm AM", "DD/MM/YYYY hh:mm AM",
    "MM/DD/YYYY hh:mm:ss AM", "DD/MM/YYYY hh:mm:ss AM", "DD.MM.YYYY hh:mm", "DD.MM.YYYY hh:mm:ss", "MM-DD-YYYY hh:mm:ss",
    "DD-MM-YYYY hh:mm:ss", "YYYY/MM/DD hh:mm:ss", "DD-MON-YYYY hh:mm:ss",
};
enum { N_FORMATS = sizeof FORMATS / sizeof *FORMATS };

static bool says_something(Str text) { return text.size > 0 && !text_is_unknown_word(text); }

static bool fits(Str text, const char *format) {
    CivilTime civil;
    bool is_compact = strcmp(format, "YYYYMMDD") == 0; /* whose parts may not be shorter */
    return (!is_compact || text.size == COMPACT_DATE_BYTES) && civil_parse_format(text, format, &civil);
}

static bool fits_all(const Str *texts, size_t n, const char *format, size_t *ret_said) {
    *ret_said = 0;
    for (size_t i = 0; i < n; i++) {
        Str text = texts[i].at ? text_trim(texts[i]) : STR("");
        if (!says_something(text))
            continue;
        if (!fits(text, format))
            return false;
        ++*ret_said;
    }
    return true;
}

size_t evidence_date_formats(const Str *texts, size_t n, const char *ret_formats[EVIDENCE_FORMATS_MAX]) {
    size_t found = 0, said;
    for (size_t i = 0; i < N_FORMATS && found < EVIDENCE_FORMATS_MAX; i++)
        if (fits_all(texts, n, FORMATS[i], &said) && said > 0)
            ret_formats[found++] = FORMATS[i];
    return found;
}

DecimalEvidence evidence_decimal(const Str *texts, size_t n) {
    DecimalEvidence evidence = {0};
    for (size_t i = 0; i < n; i++) {
        Str text = texts[i].at ? text_trim(texts[i]) : STR("");
        int64_t cents;
        if (!says_something(text))
            continue;
        bool by_point = money_parse(text, (MoneyStyle){.parentheses = true}, &cents);
        bool by_comma = money_parse(text, (MoneyStyle){.parentheses = true, .decimal_comma = true}, &cents);
        evidence.n_point += by_point && !by_comma;
        evidence.n_comma += by_comma && !by_point;
        evidence.n_neither += !by_comma && !by_point;
    }
    return evidence;
}
