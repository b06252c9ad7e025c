#include "test.h"

#include "transform/money.h"

#include <stdio.h>

typedef struct Case {
    const char *text;
    bool is_read;
    int64_t cents;
    MoneyStyle style;
} Case;

static void amounts_are_read_as_people_write_them(void **state) {
    (void)state;
    static const Case CASES[] = {
        {"988.3699951171875", true, 98837}, {"315.70001220703125", true, 31570}, {"12345.67", true, 1234567},
        {"0", true, 0}, {"-0", true, 0}, {"007", true, 700}, {".5", true, 50}, {"5.", true, 500},
        {"0.004", true, 0}, {"0.005", true, 1}, {"0.0049999999999999999999999999999999999999999", true, 0},
        {"-0.005", true, -1}, {"1.005", true, 101}, {"-1.005", true, -101}, {"99.995", true, 10000},
        {"$1,234.50", true, 123450}, {"-$5", true, -500}, {"$-5.10", true, -510}, {"$ 5", true, 500},
        {"+12.34", true, 1234}, {" 12.34 ", true, 1234}, {"1,234,567.89", true, 123456789},
        {"1e3", true, 100000}, {"1.5E-2", true, 2}, {"1.234567e+5", true, 12345670}, {"0e400", true, 0},
        {"1e-400", true, 0}, {"999999999999.99", true, MONEY_CENTS_MAX}, {"-999999999999.99", true, -MONEY_CENTS_MAX},
        {"999999999999.994", true, MONEY_CENTS_MAX}, {"999999999999.995", false}, {"1000000000000", false},
        {"99999999999999999999999999999999999999999999999999", false}, {"1e12", false},
        {"0000000000000000000000000000000000000000000000000000012.34", true, 1234},
        {"", false}, {"-", false}, {"$", false}, {".", false}, {"abc", false}, {"12..5", false}, {"--", false},
        {"1,23", false}, {"12,34.5", false}, {"1,2345", false}, {",123", false}, {"1,234,5", false},
        {"1.2.3", false}, {"12 34", false}, {"1e", false}, {"1e5x", false}, {"0x10", false}, {"NaN", false},
        {"inf", false}, {"(12.00)", false}, {"--5", false}, {"-$-5", false}, {"$$1", false},
        {"1-", true, -100}, {"$1,234.50-", true, -123450}, {"-1-", false}, {"-", false}, {"5 -", true, -500},
        {"1 234.50", true, 123450}, {"1'234'567.5", true, 123456750}, {"1\xC2\xA0" "234", true, 123400},
        {"1\xE2\x80\xAF" "234\xE2\x80\xAF" "567", true, 123456700}, {"1,234 567", false}, {"1 2345", false}, {"1  234", false},
        {"1 234,50", true, 123450, {.decimal_comma = true}}, {"1'234,50", true, 123450, {.decimal_comma = true}},
        {"1.234 567,5", false, 0, {.decimal_comma = true}}, {"(5-)", false, 0, {.parentheses = true}},
        {"(12.00)", true, -1200, {.parentheses = true}}, {"($1,234.50)", true, -123450, {.parentheses = true}},
        {"(-12.00)", false, 0, {.parentheses = true}}, {"(12", false, 0, {.parentheses = true}},
        {"1.234,50", true, 123450, {.decimal_comma = true}}, {"12,5", true, 1250, {.decimal_comma = true}},
        {"12.5", false, 0, {.decimal_comma = true}},
        {"1234", true, 1234, {.minor_units = true}}, {"-5", true, -5, {.minor_units = true}},
        {"0", true, 0, {.minor_units = true}}, {"7", true, 7, {.minor_units = true}},
        {"0042", true, 42, {.minor_units = true}}, {"1,234", true, 1234, {.minor_units = true}},
        {"12.5", true, 13, {.minor_units = true}}, {"12.4", true, 12, {.minor_units = true}},
        {"99999999999999", true, MONEY_CENTS_MAX, {.minor_units = true}},
        {"100000000000000", false, 0, {.minor_units = true}}, {"0.4", true, 0, {.minor_units = true}},
        {"(12)", true, -12, {.minor_units = true, .parentheses = true}}, {"", false, 0, {.minor_units = true}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t cents = 0;
        bool is_read = money_parse(str_of(CASES[i].text), CASES[i].style, &cents);
        if (is_read != CASES[i].is_read || (is_read && cents != CASES[i].cents))
            fail_msg("\"%s\" gave %d, %lld", CASES[i].text, is_read, (long long)cents);
    }
}

/* Every amount of up to seven digits, in every way of writing it that the reader takes by its quick way,
 * by its long way, and with a third digit that rounds. */
static void every_cent_is_exact(void **state) {
    (void)state;
    char text[64];
    for (int64_t cents = -200000; cents <= 12000000; cents += cents < 200000 ? 1 : 997) {
        int64_t whole = (cents < 0 ? -cents : cents) / 100, part = (cents < 0 ? -cents : cents) % 100;
        const char *sign = cents < 0 ? "-" : "";
        static const struct {
            const char *before, *behind;
            int64_t more; /* away from zero */
        } WAYS[] = {{"", "", 0}, {"", "4999999", 0}, {"", "5", 1}, {"$", "", 0}, {"", "e0", 0},
                    {"0000000000000000", "9", 1}};
        for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
            if (cents == 0 && WAYS[i].more)
                continue;
            snprintf(text, sizeof text, "%s%s%lld.%02lld%s", sign, WAYS[i].before, (long long)whole,
                     (long long)part, WAYS[i].behind);
            int64_t read = 0, expected = cents + (cents < 0 ? -WAYS[i].more : WAYS[i].more);
            if (!money_parse(str_of(text), (MoneyStyle){0}, &read) || read != expected)
                fail_msg("%s gave %lld", text, (long long)read);
        }
    }
}

/* Digits with a point among them at most, digit by digit; anything else is none here. */
static bool read_by_the_book(Str text, int64_t *ret_cents) {
    int64_t whole = 0, behind = 0, third = 0;
    size_t n_digits = 0, n_points = 0, n_behind = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.at[i] - '0';
        if (text.at[i] == '.') {
            n_points++;
            continue;
        }
        if (digit < 0 || digit > 9)
            return false;
        n_digits++;
        n_behind += n_points > 0;
        if (n_points == 0)
            whole = whole * 10 + digit;
        else if (n_behind <= 2)
            behind = behind * 10 + digit;
        else if (n_behind == 3)
            third = digit;
    }
    *ret_cents = whole * 100 + (n_behind == 1 ? behind * 10 : behind) + (third >= 5);
    return n_digits > 0 && n_points <= 1;
}

/* Points, digits, what stands beside them in ASCII, and what is a point but for its high bit. */
static void short_amounts_are_read_by_the_book(void **state) {
    (void)state;
    static const char ALPHABET[] = "0123456789012345678901234567890123456789..../:\xAE\xB5;\x1F";
    unsigned seed = 7;
    int n_read = 0;
    for (int round = 0; round < 400000; round++) {
        char text[10];
        size_t size = (size_t)round % 11;
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = ALPHABET[(seed >> 16) % (sizeof ALPHABET - 1)];
        }
        int64_t found = -1, expected = -1;
        bool is_read = money_parse((Str){text, size}, (MoneyStyle){0}, &found);
        if (is_read != read_by_the_book((Str){text, size}, &expected) || (is_read && found != expected))
            fail_msg("\"%.*s\" gave %d, %lld", (int)size, text, is_read, (long long)found);
        n_read += is_read;
    }
    assert_in_range(n_read, 50000, 350000);
}

/* What a FLOAT column shows, read as DOUBLE: the shortest text that names the same double. */
static void floats_round_to_the_cent_they_stand_for(void **state) {
    (void)state;
    char text[64];
    for (int64_t cents = 1; cents < 13107200; cents += 101) {
        float amount = (float)((double)cents / 100);
        snprintf(text, sizeof text, "%.17g", (double)amount);
        int64_t read = 0;
        if (!money_parse(str_of(text), (MoneyStyle){0}, &read) || read != cents)
            fail_msg("%s gave %lld", text, (long long)read);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_as_people_write_them),
        cmocka_unit_test(every_cent_is_exact),
        cmocka_unit_test(short_amounts_are_read_by_the_book),
        cmocka_unit_test(floats_round_to_the_cent_they_stand_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
