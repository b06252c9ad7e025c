/* money.c - see money.h.
 *
 * Two ways: most amounts are up to twelve digits, a point, and digits, and are read in one pass; all
 * else goes through a list of digits with the place of the point, from which cents are rounded. */
#include "transform/money.h"

enum { DIGITS_MAX = 40, WHOLE_DIGITS_MAX = 12 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

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

/* Takes off (…), signs and "$", in the orders people use: -$5, $-5, ($5). */
static bool strip_signs(Str *text, MoneyStyle style, bool *ret_negative) {
    bool is_in_parentheses = false, is_signed = false;
    if (style.parentheses && text->size >= 2 && text->at[0] == '(' && text->at[text->size - 1] == ')') {
        is_in_parentheses = true;
        *text = str_trim((Str){text->at + 1, text->size - 2});
    }
    is_signed = strip_sign(text, ret_negative);
    if (text->size > 0 && text->at[0] == '$') {
        *text = str_trim((Str){text->at + 1, text->size - 1});
        if (!is_signed)
            is_signed = strip_sign(text, ret_negative);
    }
    if (is_in_parentheses)
        *ret_negative = true;
    return !(is_in_parentheses && is_signed);
}

/* 1234567 or 1,234,567; returns the characters read, 0 when the groups are not of three. */
static size_t read_whole(Str text, char separator, Digits *digits) {
    size_t i = 0, since_separator = 0;
    bool is_grouped = false;
    for (; i < text.size; i++) {
        if (is_digit(text.at[i])) {
            push(digits, text.at[i]);
            digits->point++;
            since_separator++;
            if (is_grouped && since_separator > 3)
                return 0;
        } else if (text.at[i] == separator) {
            if (since_separator == 0 || since_separator > 3 || (is_grouped && since_separator != 3))
                return 0;
            is_grouped = true;
            since_separator = 0;
        } else {
            break;
        }
    }
    return is_grouped && since_separator != 3 ? 0 : i;
}

static bool read_exponent(Str text, int *ret_exponent) {
    int64_t value;
    if (!str_to_int64(text, &value) || value < -400 || value > 400)
        return false;
    *ret_exponent = (int)value;
    return true;
}

static bool read_number(Str text, MoneyStyle style, Digits *digits) {
    size_t i = read_whole(text, style.decimal_comma ? '.' : ',', digits);
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

bool money_parse(Str text, MoneyStyle style, int64_t *ret_cents) {
    text = str_trim(text);
    if (!style.decimal_comma && !style.minor_units && parse_plain(text, ret_cents))
        return true;
    Digits digits = {.point = style.minor_units ? -2 : 0};
    return strip_signs(&text, style, &digits.is_negative) && read_number(text, style, &digits) &&
           round_to_cents(&digits, ret_cents);
}
