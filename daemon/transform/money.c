/* money.c - see money.h.
 *
 * Three ways: most amounts are of eight characters at most, and are read all at once; those up to twelve digits, a
 * point, and digits, in one pass; all else goes through a list of digits with the place of the point, from which cents
 * are rounded. Each of the first two says of what it does not read that the next one is to decide. */
#include "transform/money.h"

#include "base/words.h"

enum { DIGITS_MAX = 40, WHOLE_DIGITS_MAX = 12 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* 1.50, 1234.5, 12345.67: four to eight characters, of which one or two stand behind a point. No branch depends on how
 * many stand before it, which differs from amount to amount and cannot be foretold. */
static bool parse_short(Str text, int64_t *ret_cents) {
    if (text.size < 4 || text.size > 8)
        return false;
    uint32_t first, last;
    memcpy(&first, text.at, sizeof first);
    memcpy(&last, text.at + text.size - sizeof last, sizeof last);
    uint64_t characters = first | (uint64_t)last << 8 * (text.size - sizeof last);
    uint64_t points = word_equal(characters, '.');
    unsigned before = points ? (unsigned)__builtin_ctzll(points) / 8 : 0, behind = (unsigned)text.size - before - 1;
    if (before == 0 || behind == 0 || behind > 2 || text.at[before] != '.')
        return false;
    uint64_t whole = characters & ((UINT64_C(1) << 8 * before) - 1);
    uint64_t cents = (characters >> 8 * before >> 8) | (behind == 1 ? '0' << 8 : 0);
    unsigned missing = 8 - (before + 2); /* digits in front */
    uint64_t zeros = EVERY_BYTE('0') & ((UINT64_C(1) << 8 * missing) - 1);
    *ret_cents = word_number(zeros | (whole | cents << 8 * before) << 8 * missing);
    return *ret_cents >= 0;
}

/* 12345.67…: false when it is not of that plain form, which the long way then decides. */
static bool parse_plain(Str text, int64_t *ret_cents) {
    bool is_negative = text.size > 0 && text.at[0] == '-';
    size_t i = is_negative, start = i;
    int64_t value = 0;
    for (; i < text.size && is_digit(text.at[i]) && i - start < WHOLE_DIGITS_MAX; i++)
        value = value * 10 + (text.at[i] - '0');
    if (i == start || i - start == WHOLE_DIGITS_MAX)
        return false; /* none, or so many that rounding may leave the range */
    int digits[3] = {0};
    if (i < text.size) {
        if (text.at[i++] != '.' || i == text.size)
            return false;
        for (size_t k = 0; i < text.size; i++, k++) {
            if (!is_digit(text.at[i]))
                return false;
            if (k < 3)
                digits[k] = text.at[i] - '0';
        }
    }
    value = value * 100 + digits[0] * 10 + digits[1] + (digits[2] >= 5);
    *ret_cents = is_negative ? -value : value;
    return true;
}

/* An amount taken apart: its digits, and how many of them stand before the point. */
typedef struct Digits {
    char at[DIGITS_MAX];
    int count, point;
    bool is_negative;
} Digits;

static void push(Digits *digits, char c) {
    if (digits->count == 0 && c == '0')
        digits->point--; /* zeros in front carry nothing but the point's place */
    else if (digits->count < DIGITS_MAX)
        digits->at[digits->count++] = (char)(c - '0'); /* those behind cannot move a cent */
}

static bool strip_sign(Str *text, bool *ret_negative) {
    if (text->size == 0 || (text->at[0] != '-' && text->at[0] != '+'))
        return false;
    *ret_negative = text->at[0] == '-';
    text->at++, text->size--;
    return true;
}

/* 100.00-, as mainframes write it. */
static bool strip_trailing_sign(Str *text, bool *ret_negative) {
    if (text->size < 2 || text->at[text->size - 1] != '-')
        return false;
    *ret_negative = true;
    *text = str_trim((Str){text->at, text->size - 1});
    return true;
}

/* Takes off (…), signs and "$", in the orders people use: -$5, $-5, ($5), 5-. */
static bool strip_signs(Str *text, MoneyStyle style, bool *ret_negative) {
    bool is_in_parentheses = false;
    int n_signs = 0;
    if (style.parentheses && text->size >= 2 && text->at[0] == '(' && text->at[text->size - 1] == ')') {
        is_in_parentheses = true;
        *text = str_trim((Str){text->at + 1, text->size - 2});
    }
    n_signs += strip_sign(text, ret_negative);
    if (text->size > 0 && text->at[0] == '$') {
        *text = str_trim((Str){text->at + 1, text->size - 1});
        if (n_signs == 0)
            n_signs += strip_sign(text, ret_negative);
    }
    n_signs += strip_trailing_sign(text, ret_negative);
    if (is_in_parentheses)
        *ret_negative = true;
    return n_signs + is_in_parentheses <= 1;
}

/* The sign between groups of three that stands there: the style's own, an apostrophe, a blank of any kind. */
static Str separator_at(Str text, MoneyStyle style) {
    static const Str SEPARATORS[] = {STR("'"), STR(" "), STR("\xC2\xA0"), STR("\xE2\x80\xAF"), STR("\xE2\x80\x99")};
    if (text.at[0] == (style.decimal_comma ? '.' : ','))
        return (Str){text.at, 1};
    for (size_t i = 0; i < sizeof SEPARATORS / sizeof *SEPARATORS; i++)
        if (text.size >= SEPARATORS[i].size && memcmp(text.at, SEPARATORS[i].at, SEPARATORS[i].size) == 0)
            return (Str){text.at, SEPARATORS[i].size};
    return STR_NULL;
}

/* 1234567 or 1,234,567, the same sign between all groups; returns the bytes read, 0 when the groups are not of three. */
static size_t read_whole(Str text, MoneyStyle style, Digits *digits) {
    size_t i = 0, in_group = 0;
    Str separator = STR_NULL;
    while (i < text.size) {
        if (is_digit(text.at[i])) {
            push(digits, text.at[i++]);
            digits->point++;
            if (++in_group > 3 && separator.at)
                return 0;
            continue;
        }
        Str found = separator_at((Str){text.at + i, text.size - i}, style);
        if (!found.at)
            break;
        if (in_group == 0 || in_group > 3 || (separator.at && (in_group != 3 || !str_equal(found, separator))))
            return 0;
        separator = found;
        in_group = 0;
        i += found.size;
    }
    return separator.at && in_group != 3 ? 0 : i;
}

static bool read_exponent(Str text, int *ret_exponent) {
    int64_t value;
    if (!str_to_int64(text, &value) || value < -400 || value > 400)
        return false;
    *ret_exponent = (int)value;
    return true;
}

static bool read_number(Str text, MoneyStyle style, Digits *digits) {
    size_t i = read_whole(text, style, digits);
    bool has_digits = i > 0;
    if (i < text.size && text.at[i] == (style.decimal_comma ? ',' : '.'))
        for (i++; i < text.size && is_digit(text.at[i]); i++) {
            push(digits, text.at[i]);
            has_digits = true;
        }
    int exponent = 0;
    if (i < text.size && (text.at[i] | 32) == 'e') {
        if (!read_exponent((Str){text.at + i + 1, text.size - i - 1}, &exponent))
            return false;
        i = text.size;
    }
    digits->point += exponent;
    return has_digits && i == text.size;
}

static bool round_to_cents(const Digits *digits, int64_t *ret_cents) {
    if (digits->count > 0 && digits->point > WHOLE_DIGITS_MAX)
        return false;
    int64_t cents = 0;
    int last = digits->point + 2; /* digits that are whole cents */
    for (int i = 0; i < last; i++)
        cents = cents * 10 + (i < digits->count ? digits->at[i] : 0);
    if (last >= 0 && last < digits->count && digits->at[last] >= 5)
        cents++;
    if (cents > MONEY_CENTS_MAX)
        return false;
    *ret_cents = digits->is_negative ? -cents : cents;
    return true;
}

static bool parse_long(Str text, MoneyStyle style, int64_t *ret_cents) {
    text = str_trim(text);
    if (!style.decimal_comma && !style.minor_units && parse_plain(text, ret_cents))
        return true;
    Digits digits = {.point = style.minor_units ? -2 : 0};
    return strip_signs(&text, style, &digits.is_negative) && read_number(text, style, &digits) &&
           round_to_cents(&digits, ret_cents);
}

bool money_parse(Str text, MoneyStyle style, int64_t *ret_cents) {
    bool is_usual = !style.decimal_comma && !style.minor_units;
    return (is_usual && parse_short(text, ret_cents)) || parse_long(text, style, ret_cents);
}
