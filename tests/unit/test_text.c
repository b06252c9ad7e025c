#include "in_arena.h"

#include "base/own.h"
#include "transform/name_case.h"
#include "transform/text.h"

/* The definition of RFC 3629, table by table, one byte after the other. */
static bool is_utf8_by_the_book(const uint8_t *s, size_t n) {
    for (size_t i = 0; i < n;) {
        uint8_t c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xC2 && c <= 0xDF ? 1 : c >= 0xE0 && c <= 0xEF ? 2
                      : c >= 0xF0 && c <= 0xF4 ? 3 : 9;
        if (more == 9 || i + more >= n)
            return false;
        uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        uint8_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        for (size_t k = 1; k <= more; k++) {
            if (s[i + k] < (k == 1 ? low : 0x80) || s[i + k] > (k == 1 ? high : 0xBF))
                return false;
        }
        i += more + 1;
    }
    return memchr(s, 0, n) == NULL;
}

static void every_sequence_of_bytes_is_judged_as_rfc_3629_does(void **state) {
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned c = 0; c < 256; c += c > 0x7D && c < 0xC2 ? 1 : 7)
                for (unsigned d = 0; d < 2; d++) {
                    uint8_t bytes[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, d ? 0x80 : 'x'};
                    for (size_t n = 1; n <= 4; n++)
                        if (text_is_clean_utf8((Str){(const char *)bytes, n}) != is_utf8_by_the_book(bytes, n))
                            fail_msg("%02x %02x %02x %02x, %zu bytes", a, b, c, bytes[3], n);
                }
}

static void one_odd_byte_is_found_at_every_place_of_every_length(void **state) {
    (void)state;
    char text[40];
    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++) {
            memset(text, '\x7F', sizeof text);
            assert_true(text_is_clean_utf8((Str){text, size}));
            text[at] = '\0';
            assert_false(text_is_clean_utf8((Str){text, size}));
            text[at] = '\xFF';
            assert_false(text_is_clean_utf8((Str){text, size}));
            assert_false(text_is_ascii((Str){text, size}));
        }
}

static void one_blank_or_letter_is_found_at_every_place_of_every_length(void **state) {
    (void)state;
    char text[40], expected[40];
    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++) {
            memset(text, '~', sizeof text);
            text[at] = '\t';
            memset(expected, '~', sizeof expected);
            expected[at] = ' ';
            Str all = {expected, size}, found = text_collapse(arena, (Str){text, size});
            assert_true(str_equal(found, str_trim(all)));
            text[at] = 'z';
            expected[at] = 'Z';
            assert_true(str_equal(text_upper(arena, (Str){text, size}), all));
            assert_true(str_equal(text_lower(arena, all), (Str){text, size}));
        }
}

static void every_byte_is_judged_at_every_place_of_an_id(void **state) {
    (void)state;
    char text[24];
    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'A' + (int)(size % 26), sizeof text);
                text[at] = (char)byte;
                bool expected = byte > ' ' && byte < 0x7F && !(byte >= 'a' && byte <= 'z');
                if (text_is_upper_ascii((Str){text, size}) != expected)
                    fail_msg("byte %02x at %zu of %zu", (unsigned)byte, at, size);
            }
}

static void bytes_that_are_not_utf8_are_taken_for_windows_1252(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *expected;
    } CASES[] = {
        {"M\xFCller", "Müller"}, {"\x80 5", "€ 5"}, {"it\x92s", "it’s"}, {"a\x81z", "a\uFFFDz"},
        {"M\xC3\xBCller and M\xFCller", "Müller and Müller"}, /* both in one text */
        {"\xC3", "Ã"}, {"\xE2\x82", "â‚"}, {"\xED\xA0\x80", "í\u00A0€"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bool is_repaired = false;
        assert_str(text_repair(arena, str_of(CASES[i].bytes), &is_repaired), CASES[i].expected);
        assert_true(is_repaired);
    }
    bool is_repaired = false;
    assert_str(text_repair(arena, (Str){"a\0b", 3}, &is_repaired), "ab");
    assert_true(is_repaired);
    is_repaired = false;
    Str good = STR("Ünal");
    assert_ptr_equal(text_repair(arena, good, &is_repaired).at, good.at);
    assert_false(is_repaired);
}

static void blanks_are_trimmed_and_collapsed(void **state) {
    (void)state;
    assert_str(text_trim(STR(" \t\xC2\xA0 a  b \xC2\xA0\r\n")), "a  b");
    assert_str(text_trim(STR(" \xC2\xA0 ")), "");
    assert_str(text_trim(STR("\xC2\xA1")), "¡"); /* begins like the blank, is none */
    assert_str(text_collapse(arena, STR("  a \t\xC2\xA0 b\nc  ")), "a b c");
    assert_str(text_collapse(arena, STR("a \xC2\xA1 b")), "a ¡ b");
    Str plain = STR("a b c");
    assert_ptr_equal(text_collapse(arena, plain).at, plain.at); /* borrowed when there is nothing to do */
}

static void case_is_mapped_in_any_script(void **state) {
    (void)state;
    assert_str(text_upper(arena, STR("hosp1-Ünal ß")), "HOSP1-ÜNAL ß");
    assert_str(text_lower(arena, STR("ÜNAL@Example.ORG")), "ünal@example.org");
    assert_str(text_upper(arena, STR("\u0250")), "\u2C6F"); /* two bytes become three */
    Str upper = STR("HOSP1-000001");
    assert_ptr_equal(text_upper(arena, upper).at, upper.at);
    assert_str(text_upper(arena, STR("ABCDEFGHz")), "ABCDEFGHZ");
}

static void words_of_one_case_get_capitals_and_others_stay(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"PAID", "Paid"}, {"in limbo", "In Limbo"}, {"FOLLOW-UP VISIT", "Follow-up Visit"},
        {"Follow-up", "Follow-up"}, {"Self-Pay", "Self-Pay"}, {"iPad", "iPad"}, {"", ""}, {"123", "123"},
        {"ÄRZTE", "Ärzte"}, {"A", "A"}, {"a", "A"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_str(text_title(arena, str_of(CASES[i][0])), CASES[i][1]);
}

static void words_for_nothing_known_are_known(void **state) {
    (void)state;
    static const char *const KNOWN[] = {"NULL", "null", "N/A", "n/a", "-", "none", "None", "Unknown", "unknown", "", "?",
                                        "(null)", "<NULL>", "#N/A", "n.a.", "N.A.", "."};
    static const char *const OTHERS[] = {"Noone", "--", "0", "Nan", "Na", "no", "nil", "Unknowns", "x"};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        assert_true(text_is_unknown_word(str_of(KNOWN[i])));
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        assert_false(text_is_unknown_word(str_of(OTHERS[i])));
}

static const char *const NAMES[][2] = {
    {"rick", "Rick"}, {"RICK", "Rick"}, {"rICK", "Rick"}, {"Rick", "Rick"}, {"u", "U"}, {"U", "U"},
    {"o'brien", "O'Brien"}, {"O'BRIEN", "O'Brien"}, {"O'brien", "O'Brien"}, {"O’BRIEN", "O’Brien"},
    {"d'angelo", "D'Angelo"}, {"DE'ANDRE", "De'Andre"}, {"BA'AL", "Ba'al"}, {"noor's", "Noor's"},
    {"mcdonald", "McDonald"}, {"MCDONALD", "McDonald"}, {"Mcdonald", "McDonald"}, {"McDonald", "McDonald"},
    {"MACLEOD", "MacLeod"}, {"macleod", "MacLeod"}, {"MacLeod", "MacLeod"}, {"Macdonald", "Macdonald"},
    {"MACK", "Mack"}, {"mack", "Mack"}, {"Mack", "Mack"}, {"MACY", "Macy"}, {"macias", "Macias"},
    {"Mace", "Mace"}, {"Macdonald-Smith", "Macdonald-Smith"}, {"MACDONALD-SMITH", "MacDonald-Smith"}, {"MCGEE", "McGee"}, {"Mc", "Mc"},
    {"SMITH-JONES", "Smith-Jones"}, {"smith-jones", "Smith-Jones"}, {"Smith-jones", "Smith-Jones"},
    {"smith - jones", "Smith - Jones"}, {"O'NEILL-MCCARTHY", "O'Neill-McCarthy"},
    {"DE LA CRUZ", "de la Cruz"}, {"De La Cruz", "de la Cruz"}, {"de la cruz", "de la Cruz"},
    {"VAN DER BERG", "van der Berg"}, {"Van Der Berg", "van der Berg"}, {"van dyke", "van Dyke"},
    {"Van Dyke", "Van Dyke"}, {"VAN", "Van"}, {"garcia y vega", "Garcia y Vega"}, {"MARY Y", "Mary Y"},
    {"Delacruz", "Delacruz"}, {"DELEON", "Deleon"},
    {"ÜNAL", "Ünal"}, {"ünal", "Ünal"}, {"U\u0308NAL", "Ünal"}, {"GARCÍA", "García"},
    {"lefèvre", "Lefèvre"}, {"ЧЕХОВ", "Чехов"}, {"李", "李"},
    {"ST. JOHN", "St. John"}, {"st.john", "St.John"}, {"j.r.", "J.R."}, {"JR.", "Jr."},
    {"john smith iii", "John Smith III"}, {"JOHN SMITH JR", "John Smith Jr"}, {"II", "Ii"},
    {"LaToya", "LaToya"}, {"DeShawn", "DeShawn"}, {"jane doe phd", "Jane Doe PhD"}, {"", ""}, {"3", "3"},
};

static void names_are_written_as_their_owners_do(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        Str made = name_case(arena, str_of(NAMES[i][0]));
        if (!str_equal(made, str_of(NAMES[i][1])))
            fail_msg("%s became %.*s", NAMES[i][0], STR_ARG(made));
    }
}

static void a_name_written_right_stays_as_it_is(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        assert_str(name_case(arena, str_of(NAMES[i][1])), NAMES[i][1]);
}

static uint32_t seed = 7;
static uint32_t random_below(uint32_t n) {
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* Twice is once, for any text put together from what the rules look at. */
static void name_case_is_idempotent(void **state) {
    (void)state;
    static const char *const PIECES[] = {
        "o", "'", "’", "-", " ", ".", "mc", "MC", "Mc", "mac", "Mac", "MACLEOD", "de", "DE", "la", "van",
        "der", "y", "Y", "iii", "II", "phd", "ü", "Ü", "ß", "x", "X", "brien", "BRIEN", "u\u0308", "4", "İ",
    };
    ArenaMark mark = arena_mark(arena);
    for (int round = 0; round < 200000; round++) {
        char text[200] = "";
        for (uint32_t n = random_below(9); n > 0; n--)
            strcat(text, PIECES[random_below(sizeof PIECES / sizeof *PIECES)]);
        Str once = name_case(arena, str_of(text));
        Str twice = name_case(arena, once);
        if (!str_equal(once, twice))
            fail_msg("\"%s\" becomes \"%.*s\", then \"%.*s\"", text, STR_ARG(once), STR_ARG(twice));
        arena_rewind(arena, mark);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence_of_bytes_is_judged_as_rfc_3629_does),
        cmocka_unit_test(one_odd_byte_is_found_at_every_place_of_every_length),
        cmocka_unit_test(one_blank_or_letter_is_found_at_every_place_of_every_length),
        cmocka_unit_test(every_byte_is_judged_at_every_place_of_an_id),
        cmocka_unit_test(bytes_that_are_not_utf8_are_taken_for_windows_1252),
        cmocka_unit_test(blanks_are_trimmed_and_collapsed),
        cmocka_unit_test(case_is_mapped_in_any_script),
        cmocka_unit_test(words_of_one_case_get_capitals_and_others_stay),
        cmocka_unit_test(words_for_nothing_known_are_known),
        cmocka_unit_test(names_are_written_as_their_owners_do),
        cmocka_unit_test(a_name_written_right_stays_as_it_is),
        cmocka_unit_test(name_case_is_idempotent),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
