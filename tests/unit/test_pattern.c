/* Regular expressions without backtracking, against POSIX's own. */
#include "in_arena.h"

#include "base/own.h"
#include "transform/pattern.h"

#include <regex.h>
#include <stdio.h>
#include <time.h>

static bool matches(const char *pattern, const char *text) {
    Error err = {0};
    const Pattern *compiled = pattern_compile(arena, str_of(pattern), &err);
    if (!compiled)
        fail_msg("%s: %s", pattern, err.text);
    return pattern_matches(compiled, str_of(text));
}

static void a_pattern_describes_the_whole_text(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool holds;
    } CASES[] = {
        {"[0-9]{5}(-[0-9]{4})?", "60601", true}, {"[0-9]{5}(-[0-9]{4})?", "60601-1234", true},
        {"[0-9]{5}(-[0-9]{4})?", "60601-123", false}, {"[0-9]{5}(-[0-9]{4})?", "x60601", false},
        {"^\\d+$", "007", true}, {"^\\d+$", "", false}, {"", "", true}, {"", "a", false}, {"^$", "", true},
        {"a|b|", "", true}, {"a|b|", "b", true}, {"(?:ab)+c", "ababc", true}, {"(?:ab)+c", "abac", false},
        {".", "ä", true}, {".", "漢", true}, {".", "🏥", true}, {"..", "ä", false}, {".", "\n", true},
        {"[^a-z]", "ä", true}, {"[^a-z]", "b", false}, {"[^a-z]", "B", true}, {"\\D", "ä", true}, {"\\D", "1", false},
        {"ä{2}", "ää", true}, {"ä{2}", "ä", false}, {"M(ü|ue)ller", "Müller", true}, {"M(ü|ue)ller", "Mueller", true},
        {"[]]", "]", true}, {"[^]]", "]", false}, {"[a-]", "-", true}, {"[\\d-]", "-", true}, {"[\\d-x]", "a", false},
        {"[\\]\\-]", "-", true}, {"a{0}", "", true}, {"a{0}", "a", false}, {"a{2,}", "a", false}, {"a{2,}", "aaaa", true},
        {"a{1,2}", "aaa", false}, {"\\$5", "$5", true}, {"5\\$", "5$", true}, {"5\\\\$", "5\\", true}, {"\\w\\s\\w", "a b", true},
        {"\\.", "x", false}, {"\\t", "\t", true}, {"(a*)*", "aaa", true}, {"(a|b)*abb", "ababb", true}, {"()+", "", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (matches(CASES[i].pattern, CASES[i].text) != CASES[i].holds)
            fail_msg("%s: %s", CASES[i].pattern, CASES[i].text);
}

static void a_mistake_is_told(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"(a", "a ( is not closed"}, {"a)", "a ) closes nothing"}, {"[a", "a [ is not closed"}, {"[", "a [ is not closed"},
        {"*", "nothing stands before a * + ? or {"}, {"a**", "two of * + ? { follow one another"},
        {"a+?", "two of * + ? { follow one another"}, {"a{2", "{ } is {n}, {n,} or {n,m}"}, {"a{x}", "{ } is {n}, {n,} or {n,m}"},
        {"a{3,2}", "{n,m} ends before it begins"}, {"a{256}", "{ } counts to 255"}, {"a{1,999}", "{ } counts to 255"},
        {"[z-a]", "a range in [ ] ends before it begins"}, {"[ä]", "[ ] holds ASCII characters; write (ä|ö)"},
        {"\\", "a \\ stands at its end"}, {"[\\D]", "\\D, \\W and \\S cannot stand in [ ]"}, {"(?=a)", "(? goes with : alone"},
        {"a^b", "^ stands in front and $ at the end alone"}, {"a$b", "^ stands in front and $ at the end alone"},
        {"\\b", "it has a \\ before a character that has no such meaning; \\d \\w \\s \\D \\W \\S \\t \\n have"},
        {"((a{255}){255}){255}", "it is too large"}, {"(((){255}){255}){255}", "it is too large"},
        {"(a|b)*a(a|b){12}", "it needs more than 500 states; write it shorter"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = {0};
        assert_null(pattern_compile(arena, str_of(CASES[i][0]), &err));
        assert_string_equal(err.state, STATE_CONFIG);
        assert_string_equal(err.text, CASES[i][1]);
    }
    char deep[400];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    Error err = {0};
    assert_null(pattern_compile(arena, str_of(deep), &err));
}

/* What a matcher that backtracks needs 2^60 steps for. */
static void no_text_makes_a_pattern_slow(void **state) {
    (void)state;
    static char text[1000001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 2] = 'b';
    clock_t begin = clock();
    assert_false(matches("(a|a)*(a*)*(a|aa)+", text));
    assert_false(matches("(a*a*a*a*)*c", text));
    assert_true(matches("(x+x+)*a*b", text));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5);
}

static uint32_t seed = 11;
static uint32_t draw(uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 10) % below;
}

static void draw_text(char *text, const char *letters, uint32_t longest) {
    uint32_t n = draw(longest + 1);
    for (uint32_t i = 0; i < n; i++)
        *text++ = letters[draw((uint32_t)strlen(letters))];
    *text = '\0';
}

/* What both understand, both understand alike. */
static void patterns_mean_what_posix_says(void **state) {
    (void)state;
    static const char *const PARTS[] = {"a", "b", "c", "[ab]", "[^a]", "(a|b)", "(", ")", "|", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "."};
    int n_compared = 0;
    ArenaMark mark = arena_mark(arena);
    for (int round = 0; round < 6000; round++) {
        char pattern[200] = "", posix[220], text[20];
        for (uint32_t n = draw(8); n > 0; n--)
            strcat(pattern, PARTS[draw(sizeof PARTS / sizeof *PARTS)]);
        Error err = {0};
        regex_t theirs;
        const Pattern *ours = pattern_compile(arena, str_of(pattern), &err);
        snprintf(posix, sizeof posix, "^(%s)$", pattern);
        if (ours && regcomp(&theirs, posix, REG_EXTENDED | REG_NOSUB) == 0) {
            for (int i = 0; i < 20; i++) {
                draw_text(text, "abc", 6);
                if (pattern_matches(ours, str_of(text)) != (regexec(&theirs, text, 0, NULL, 0) == 0))
                    fail_msg("%s: %s", pattern, text);
                n_compared++;
            }
            regfree(&theirs);
        }
        assert_true(ours || err.text[0]);
        arena_rewind(arena, mark);
    }
    assert_true(n_compared > 15000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_describes_the_whole_text),
        cmocka_unit_test(a_mistake_is_told),
        cmocka_unit_test(no_text_makes_a_pattern_slow),
        cmocka_unit_test(patterns_mean_what_posix_says),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
