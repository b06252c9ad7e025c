#include "test.h"

#include "transform/date.h"

static void every_day_of_ten_millennia_comes_back(void **state) {
    (void)state;
    int64_t expected = date_to_days((CivilDate){1, 1, 1});
    assert_int_equal(expected, -719162);
    for (int year = 1; year <= 9999; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= date_days_in_month(year, month); day++, expected++) {
                CivilDate date = {year, month, day};
                int64_t days = date_to_days(date);
                CivilDate back = date_from_days(days);
                if (days != expected || back.year != year || back.month != month || back.day != day)
                    fail_msg("%04d-%02d-%02d", year, month, day);
            }
    assert_int_equal(expected - 1, 2932896); /* 9999-12-31 */
}

static void weekdays_follow_each_other(void **state) {
    (void)state;
    assert_int_equal(date_weekday(0), 4);  /* 1970-01-01, Thursday */
    assert_int_equal(date_weekday(-4), 7); /* Sunday before */
    assert_int_equal(date_weekday(date_to_days((CivilDate){2024, 2, 29})), 4);
    for (int64_t day = -800000; day < 800000; day++)
        if (date_weekday(day + 1) != date_weekday(day) % 7 + 1)
            fail_msg("day %lld", (long long)day);
}

static void days_that_do_not_exist_are_not_valid(void **state) {
    (void)state;
    assert_true(date_is_valid((CivilDate){2024, 2, 29}));
    assert_true(date_is_valid((CivilDate){2000, 2, 29}));
    assert_false(date_is_valid((CivilDate){1900, 2, 29}));
    assert_false(date_is_valid((CivilDate){2023, 2, 29}));
    assert_false(date_is_valid((CivilDate){2023, 4, 31}));
    assert_false(date_is_valid((CivilDate){2023, 0, 1}));
    assert_false(date_is_valid((CivilDate){2023, 13, 1}));
    assert_false(date_is_valid((CivilDate){2023, 1, 0}));
    assert_false(date_is_valid((CivilDate){0, 1, 1}));
}

typedef struct IsoCase {
    const char *text;
    bool is_read;
    int64_t us;
    bool has_offset;
    int offset_seconds;
} IsoCase;

static void iso_texts_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    static const IsoCase CASES[] = {
        {"1970-01-01", true, 0},
        {"1970-01-02T00:00:01", true, 86401000000},
        {"1970-01-01 00:01", true, 60000000},
        {"1970-01-01 00:00:00.5", true, 500000},
        {"1970-01-01 00:00:00.1234567", true, 123456},
        {"1970-01-01T00:00:00Z", true, 0, true, 0},
        {"1970-01-01T00:00:00-05:30", true, 0, true, -19800},
        {"1970-01-01 00:00:00+02", true, 0, true, 7200},
        {"1969-12-31 23:59:59.999999", true, -1},
        {"0000-00-00", false}, {"2023-02-29", false}, {"2024-1-01", false}, {"2024-01-01x", false},
        {"2024-01-01 24:00:00", false}, {"2024-01-01 12:60", false}, {"2024-01-01 12:00:60", false},
        {"2024-01-01T", false}, {"2024-01-01T12", false}, {"2024-01-01 12:00:00.", false},
        {"01/02/2024", false}, {"20240101", false}, {"", false}, {"2024-01-01 12:00+2", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CivilTime civil;
        bool is_read = civil_parse_iso(str_of(CASES[i].text), &civil);
        if (is_read != CASES[i].is_read)
            fail_msg("%s", CASES[i].text);
        if (!is_read)
            continue;
        assert_int_equal(civil_to_us(&civil), CASES[i].us);
        assert_int_equal(civil.has_offset, CASES[i].has_offset);
        assert_int_equal(civil.offset_seconds, CASES[i].offset_seconds);
    }
}

/* A day with any byte in any place of it. */
static void a_day_is_made_of_digits_and_two_dashes(void **state) {
    (void)state;
    static const char *const DAYS[] = {"2024-02-29", "1999-12-31", "2000-10-10", "0001-01-01", "9999-11-30"};
    for (size_t i = 0; i < 5 * 10 * 256; i++) {
        char text[11];
        memcpy(text, DAYS[i / 2560], sizeof text);
        text[i / 256 % 10] = (char)(i % 256);
        bool is_formed = true;
        int part[3] = {0}, at = 0;
        for (int k = 0; k < 10; k++) {
            bool is_dash = k == 4 || k == 7;
            is_formed &= is_dash ? text[k] == '-' : text[k] >= '0' && text[k] <= '9';
            at += is_dash;
            part[at] = is_dash ? 0 : part[at] * 10 + (text[k] - '0');
        }
        CivilDate date = {part[0], part[1], part[2]};
        CivilTime civil;
        bool is_read = civil_parse_iso((Str){text, 10}, &civil);
        if (is_read != (is_formed && date_is_valid(date)))
            fail_msg("\"%.10s\" gave %d", text, is_read);
        if (is_read)
            assert_memory_equal(&civil.date, &date, sizeof date);
    }
}

typedef struct FormatCase {
    const char *format, *text, *iso; /* iso NULL: not readable */
} FormatCase;

static void a_declared_format_reads_its_texts_only(void **state) {
    (void)state;
    static const FormatCase CASES[] = {
        {"MM/DD/YYYY", "05/25/2024", "2024-05-25"},
        {"MM/DD/YYYY", "5/2/2024", "2024-05-02"},
        {"MM/DD/YYYY", "25/05/2024", NULL}, /* month 25: never guessed the other way round */
        {"DD.MM.YYYY", "25.05.2024", "2024-05-25"},
        {"DD-MON-YYYY", "25-may-2024", "2024-05-25"},
        {"YYYYMMDD", "20240525", "2024-05-25"},
        {"MM/DD/YYYY hh:mm:ss AM", "05/25/2024 01:02:03 pm", "2024-05-25 13:02:03"},
        {"MM/DD/YYYY hh:mm AM", "05/25/2024 12:02 AM", "2024-05-25 00:02"},
        {"MM/DD/YYYY hh:mm AM", "05/25/2024 13:02 PM", NULL},
        {"MM/DD/YYYY", "02/30/2024", NULL},
        {"MM/DD/YYYY", "05/25/24", NULL},
        {"MM/DD/YYYY", "05/25/2024 ", NULL},
        {"MM/DD/YYYY", "", NULL},
        {"YYYY-MM-DD hh:mm:ss", "2024-05-25 01:02:03.25", "2024-05-25 01:02:03.25"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CivilTime civil, expected;
        bool is_read = civil_parse_format(str_of(CASES[i].text), CASES[i].format, &civil);
        if (is_read != (CASES[i].iso != NULL))
            fail_msg("%s by %s", CASES[i].text, CASES[i].format);
        if (!is_read)
            continue;
        assert_true(civil_parse_iso(str_of(CASES[i].iso), &expected));
        assert_int_equal(civil_to_us(&civil), civil_to_us(&expected));
    }
}

static void a_format_must_name_the_whole_day_once(void **state) {
    (void)state;
    assert_true(civil_format_is_complete("MM/DD/YYYY"));
    assert_true(civil_format_is_complete("DD MON YYYY hh:mm:ss AM"));
    assert_false(civil_format_is_complete("MM/DD/YY"));
    assert_false(civil_format_is_complete("MM/MM/YYYY"));
    assert_false(civil_format_is_complete("MM/DD/YYYY AM"));
    assert_false(civil_format_is_complete("MM MON DD YYYY"));
    assert_false(civil_format_is_complete(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_ten_millennia_comes_back),
        cmocka_unit_test(weekdays_follow_each_other),
        cmocka_unit_test(days_that_do_not_exist_are_not_valid),
        cmocka_unit_test(iso_texts_are_read_whole_or_not_at_all),
        cmocka_unit_test(a_day_is_made_of_digits_and_two_dashes),
        cmocka_unit_test(a_declared_format_reads_its_texts_only),
        cmocka_unit_test(a_format_must_name_the_whole_day_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
