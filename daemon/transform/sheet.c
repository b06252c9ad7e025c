/* sheet.c - see sheet.h. */
#include "transform/sheet.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t digits_at(Str text, size_t i) {
    size_t n = 0;
    while (i + n < text.size && is_digit(text.at[i + n]))
        n++;
    return n;
}

/* As Excel writes it: one digit, its decimals, a sign, and at least two digits of the power. */
bool sheet_has_rounded(Str id) {
    size_t i = digits_at(id, 0);
    if (i != 1)
        return false;
    if (i < id.size && (id.at[i] == '.' || id.at[i] == ',')) {
        size_t n_decimals = digits_at(id, i + 1);
        if (n_decimals == 0)
            return false;
        i += 1 + n_decimals;
    }
    if (i + 2 > id.size || (id.at[i] | 32) != 'e' || id.at[i + 1] != '+')
        return false;
    size_t n_power = digits_at(id, i + 2);
    return n_power >= 2 && i + 2 + n_power == id.size;
}

/* As all words of a total do: of nearly all ids this alone is looked at. */
static bool may_begin_total(char c) {
    switch (c) {
    case 't': case 'T': case 'g': case 'G': case 's': case 'S':
        return true;
    default:
        return false;
    }
}

bool sheet_says_total(Str id) {
    static const Str WORDS[] = {STR("total"), STR("totals"), STR("grand total"), STR("grand totals"), STR("subtotal"), STR("sub-total"),
                                STR("sub total"), STR("sum")};
    id = str_trim(id);
    if (id.size == 0 || !may_begin_total(id.at[0]))
        return false;
    if (id.at[id.size - 1] == ':')
        id = str_trim((Str){id.at, id.size - 1});
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_equal_nocase(id, WORDS[i]))
            return true;
    return false;
}
