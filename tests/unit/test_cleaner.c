/* Chains of cleaners over single fields. */
#include "in_arena.h"

#include "base/own.h"
#include "transform/chain.h"
#include "transform/date.h"
#include "transform/record.h"

#include <stdio.h>

static const Zone *chicago;

static int open_zone(void **state) {
    open_arena(state);
    CLEANUP(file_drop) FILE *file = fopen("/usr/share/zoneinfo/America/Chicago", "rb");
    if (!file)
        return -1;
    char *bytes = arena_alloc(arena, 1 << 16);
    Error err = {0};
    chicago = zone_parse(arena, "America/Chicago", (Str){bytes, fread(bytes, 1, 1 << 16, file)}, &err);
    return chicago ? 0 : -1;
}

static void fail_on_mistake(void *context, int line, int column, const char *sentence) {
    (void)context, (void)line, (void)column;
    fail_msg("%s", sentence);
}

/* "null_if a,b" or "map M:Male,F:Female", one cleaner per text. */
static CleanerSpec cleaner_of(const char *text) {
    char *copy = arena_string(arena, str_of(text));
    CleanerSpec spec = {.name = strsep(&copy, " ")};
    CleanerArg *args = ARENA_ARRAY(arena, CleanerArg, 8);
    for (char *word; copy && (word = strsep(&copy, ","));) {
        char *colon = strcmp(spec.name, "map") == 0 ? strchr(word, ':') : NULL;
        if (colon)
            *colon = '\0';
        args[spec.n_args++] = (CleanerArg){colon ? word : NULL, colon ? colon + 1 : word};
    }
    spec.args = args;
    return spec;
}

typedef struct Try {
    const char *column; /* of patients or transactions */
    const char *cleaners[3];
    const char *text; /* NULL: the source has NULL */
    const char *expected;
    FieldKind kind;
    uint64_t flags;
} Try;

/* The short way says nothing, or what the long one says of a text that is clean and raises no flag. */
static void assert_short_way(const Chain *chain, const CellSource *source, Str text, Value expected, uint64_t flags) {
    CleanRow clean = {.page = arena, .zone = chicago};
    Value value = VALUE_NULL;
    Cell cell = {.value = &value, .source = source, .row = &clean};
    if (!chain_run_short(chain, &cell, text))
        return;
    if (!text_is_clean_utf8(text) || !expected.is_set || flags || clean.flags)
        fail_msg("\"%.*s\" is not for the short way", STR_ARG(text));
    if (chain->steps[0].read)
        assert_int_equal(value.number, expected.number);
    else
        assert_true(str_equal(value_str(value), value_str(expected)));
}

static Value run(const Entity *entity, const Try *try, uint64_t *ret_flags) {
    CleanerSpec specs[3];
    MapSpec map = {.column = try->column, .from = (const char *[]){"x"}, .n_from = 1, .clean = specs};
    for (; map.n_clean < 3 && try->cleaners[map.n_clean]; map.n_clean++)
        specs[map.n_clean] = cleaner_of(try->cleaners[map.n_clean]);
    Chain chain;
    const Column *column = &entity->columns[entity_column(entity, str_of(try->column))];
    assert_true(chain_compile(arena, &map, column, false, fail_on_mistake, NULL, &chain));
    CleanRow clean = {.page = arena, .zone = chicago};
    Value value = value_text(str_of(try->text));
    CellSource source = {.kind = try->kind};
    Cell cell = {.value = &value, .source = &source, .row = &clean};
    chain_run(&chain, &cell);
    assert_short_way(&chain, &source, str_of(try->text), value, clean.flags);
    *ret_flags = clean.flags;
    return value;
}

#define BIT(flag) (UINT64_C(1) << (flag))

static void texts_run_through_their_cleaners(void **state) {
    (void)state;
    static const Try TRIES[] = {
        {"middle_name", {"trim", "upper"}, " a b ", "A B"},
        {"middle_name", {"collapse", "lower"}, " A  B ", "a b"},
        {"middle_name", {"unknown_words"}, " n/a ", NULL},
        {"middle_name", {"unknown_words tbd,none given"}, "TBD", NULL},
        {"middle_name", {"unknown_words tbd"}, "NULL", "NULL"}, /* the list given is the list */
        {"middle_name", {"null_if x,y"}, "Y", NULL},
        {"middle_name", {"null_if x,y"}, "z", "z"},
        {"middle_name", {"default Z"}, NULL, "Z"},
        {"middle_name", {"default Z"}, " ", "Z"},
        {"middle_name", {"default Z"}, "a", "a"},
        {"middle_name", {"unknown_words", "default Z", "lower"}, "-", "z"},
        {"middle_name", {"digits"}, "a1-2b", "12"},
        {"middle_name", {"digits"}, "ab", NULL},
        {"middle_name", {"map m:Male,f:Female"}, " M ", "Male"},
        {"middle_name", {"map m:Male,f:Female"}, "q", "q"},
        {"middle_name", {"map m:Male,*:Other"}, "q", "Other"},
        {"middle_name", {"map *:Other,m:Male"}, "m", "Male"},
        {"middle_name", {"map m:Male,*:Other"}, NULL, NULL},
        {"middle_name", {"title"}, "FOLLOW UP", "Follow Up"},
        {"middle_name", {"proper_case"}, "o'brien", "O'Brien"},
        {"middle_name", {"code"}, " a  b ", "A B"},
        {"gender", {NULL}, "f", "Female"}, {"gender", {NULL}, " MALE ", "Male"}, {"gender", {NULL}, "X", "Other"},
        {"gender", {NULL}, "q", "Unknown"}, {"gender", {NULL}, NULL, "Unknown"}, {"gender", {NULL}, "NULL", "Unknown"},
        {"ssn", {NULL}, "188-23-9828", "188239828"}, {"ssn", {NULL}, "12", NULL},
        {"zip", {NULL}, "4330", "04330", FIELD_NUMBER}, {"zip", {NULL}, "901", "00901", FIELD_NUMBER},
        {"zip", {NULL}, "4330", NULL, FIELD_TEXT, BIT(FLAG_ADDRESS_UNPARSED)},
        {"zip", {NULL}, "unknown", NULL},
        {"email", {NULL}, " A@B.CO ", "a@b.co"}, {"email", {NULL}, "nobody", NULL, FIELD_TEXT, BIT(FLAG_EMAIL_INVALID)},
        {"email", {NULL}, "none", NULL},
        {"phone", {"phone +44"}, "020 7946 0018", "+442079460018"},
        {"phone", {NULL}, "12345", NULL, FIELD_TEXT, BIT(FLAG_PHONE_INVALID)},
        {"phone_extension", {NULL}, "x12", "12"},
        {"phone_extension", {"phone"}, "703-210-5078x12", "12"},
        {"phone_extension", {"phone"}, "703-210-5078", NULL},
        {"state", {NULL}, "ny ", "NY"}, {"city", {NULL}, "NEW YORK", "New York"}, {"city", {NULL}, "DeKalb", "DeKalb"},
        {"city", {"us_address"}, "1 Main St, Reno, NV 89501", "Reno"},
        {"city", {"us_address"}, "by the lake", NULL, FIELD_TEXT, BIT(FLAG_ADDRESS_UNPARSED)},
        {"address", {"us_address"}, "by the lake", "by the lake", FIELD_TEXT, BIT(FLAG_ADDRESS_UNPARSED)},
    };
    for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
        uint64_t flags;
        Value value = run(entity_find(STR("patients")), &TRIES[i], &flags);
        Str text = value_str(value);
        if (!str_equal(text, str_of(TRIES[i].expected)) || flags != TRIES[i].flags)
            fail_msg("%s of \"%s\": %.*s, flags %llx", TRIES[i].column, TRIES[i].text ? TRIES[i].text : "NULL",
                     STR_ARG(text), (unsigned long long)flags);
    }
}

static int64_t number_of(const char *iso, bool is_date) {
    CivilTime civil;
    assert_true(civil_parse_iso(str_of(iso), &civil));
    return is_date ? date_to_days(civil.date) : civil_to_us(&civil);
}

/* Expected in UTC; the source's zone is Chicago. */
static void dates_and_times_are_read_in_the_sources_zone(void **state) {
    (void)state;
    static const Try TRIES[] = {
        {"service_date", {NULL}, "2024-05-25", "2024-05-25", FIELD_CIVIL},
        {"service_date", {NULL}, " 2024-05-25 23:59:59 ", "2024-05-25", FIELD_CIVIL},
        {"service_date", {NULL}, "2024-05-25 03:00:00", "2024-05-24", FIELD_INSTANT}, /* evening before */
        {"service_date", {NULL}, "2024-05-25T03:00:00Z", "2024-05-24", FIELD_TEXT},
        {"service_date", {"date MM/DD/YYYY"}, "5/2/2024", "2024-05-02"},
        {"service_date", {"date ISO,MM/DD/YYYY"}, "2024-05-02", "2024-05-02"},
        {"service_date", {"trim", "date ISO,MM/DD/YYYY"}, "05/02/2024", "2024-05-02"},
        {"service_date", {"trim"}, " 2024-05-02 ", "2024-05-02"}, /* the reader is added */
        {"service_date", {NULL}, "05/02/2024", NULL, FIELD_TEXT, BIT(FLAG_DATE_INVALID)},
        {"service_date", {NULL}, "0000-00-00", NULL, FIELD_CIVIL, BIT(FLAG_DATE_INVALID)},
        {"service_date", {NULL}, "2024-02-30", NULL, FIELD_CIVIL, BIT(FLAG_DATE_INVALID)},
        {"service_date", {NULL}, "soon", NULL, FIELD_TEXT, BIT(FLAG_DATE_INVALID)},
        {"service_date", {NULL}, "N/A", NULL}, {"service_date", {NULL}, "", NULL}, {"service_date", {NULL}, NULL, NULL},
        {"source_modified_at", {NULL}, "2024-01-15", "2024-01-15 06:00:00", FIELD_CIVIL},
        {"source_modified_at", {NULL}, "2024-07-15 12:00:00.5", "2024-07-15 17:00:00.5", FIELD_CIVIL},
        {"source_modified_at", {NULL}, "2024-07-15 12:00:00", "2024-07-15 12:00:00", FIELD_INSTANT},
        {"source_modified_at", {NULL}, "2024-07-15T12:00:00+02:00", "2024-07-15 10:00:00", FIELD_TEXT},
        {"source_modified_at", {"timestamp MM/DD/YYYY hh:mm AM"}, "7/15/2024 1:30 pm", "2024-07-15 18:30:00"},
        {"source_modified_at", {NULL}, "yesterday", NULL, FIELD_TEXT, BIT(FLAG_DATE_INVALID)},
    };
    for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
        uint64_t flags;
        Value value = run(entity_find(STR("transactions")), &TRIES[i], &flags);
        bool is_date = strcmp(TRIES[i].column, "service_date") == 0;
        bool is_right = TRIES[i].expected ? value.is_set && value.number == number_of(TRIES[i].expected, is_date)
                                          : !value.is_set;
        if (!is_right || flags != TRIES[i].flags)
            fail_msg("%s of \"%s\": flags %llx", TRIES[i].column, TRIES[i].text, (unsigned long long)flags);
    }
}

static void amounts_and_numbers_are_read_or_unreadable(void **state) {
    (void)state;
    static const struct {
        Try try;
        int64_t expected;
    } TRIES[] = {
        {{"amount", {NULL}, "988.3699951171875", ""}, 98837},
        {{"amount", {NULL}, " $1,234.50 ", ""}, 123450},
        {{"amount", {"cents parentheses"}, "(12.00)", ""}, -1200},
        {{"amount", {"cents decimal_comma"}, "1.234,50", ""}, 123450},
        {{"amount", {"cents minor_units"}, "123450", ""}, 123450},
        {{"amount", {"default 0", "cents minor_units"}, NULL, ""}, 0},
        {{"amount", {NULL}, "(12.00)", NULL, FIELD_TEXT, BIT(FLAG_AMOUNT_UNREADABLE)}, 0},
        {{"amount", {NULL}, "--", NULL, FIELD_TEXT, BIT(FLAG_AMOUNT_UNREADABLE)}, 0},
        {{"amount", {NULL}, "1000000000000", NULL, FIELD_TEXT, BIT(FLAG_AMOUNT_UNREADABLE)}, 0},
        {{"amount", {NULL}, "-", NULL}, 0}, {{"amount", {NULL}, "NULL", NULL}, 0},
        {{"amount", {"default 0"}, NULL, ""}, 0},
    };
    for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
        uint64_t flags;
        Value value = run(entity_find(STR("transactions")), &TRIES[i].try, &flags);
        if (value.is_set != (TRIES[i].try.expected != NULL) || flags != TRIES[i].try.flags ||
            (value.is_set && value.number != TRIES[i].expected))
            fail_msg("\"%s\": flags %llx", TRIES[i].try.text, (unsigned long long)flags);
    }
}

static void several_columns_meet_in_concat(void **state) {
    (void)state;
    const Entity *entity = entity_find(STR("patients"));
    static const int OTHERS[] = {1, 2};
    static const struct {
        const char *separator, *fields[3], *expected;
    } CASES[] = {
        {NULL, {"1 Main St", "Apt. 4", "rear"}, "1 Main St Apt. 4 rear"},
        {", ", {"1 Main St", NULL, "rear"}, "1 Main St, rear"},
        {"-", {NULL, "", "rear"}, "rear"},
        {"-", {NULL, NULL, NULL}, NULL},
        {"-", {"M\xFC", "\xFC", ""}, "Mü-ü"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CleanerArg arg = {NULL, CASES[i].separator};
        CleanerSpec spec = {.name = "concat", .args = &arg, .n_args = CASES[i].separator != NULL};
        MapSpec map = {.column = "address", .clean = &spec, .n_clean = 1};
        Chain chain;
        const Column *column = &entity->columns[entity_column(entity, STR("address"))];
        assert_true(chain_compile(arena, &map, column, false, fail_on_mistake, NULL, &chain));
        Str fields[3] = {str_of(CASES[i].fields[0]), str_of(CASES[i].fields[1]), str_of(CASES[i].fields[2])};
        CleanRow clean = {.page = arena, .zone = chicago};
        Value value = value_text(fields[0]);
        CellSource source = {.others = OTHERS, .n_others = 2};
        Cell cell = {.value = &value, .fields = fields, .source = &source, .row = &clean};
        chain_run(&chain, &cell);
        assert_str(value_str(value), CASES[i].expected);
        assert_int_equal(clean.flags, strchr(CASES[i].expected ? CASES[i].expected : "", '\xC3') ? BIT(FLAG_TEXT_REPAIRED) : 0);
    }
}

static uint32_t seed = 11;
static uint32_t random_below(uint32_t n) {
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* Bytes that look now like one thing, now like another, exactly as long as their memory. */
static Str random_text(Arena *page) {
    static const char *const PIECES[] = {"2024-02-29", "12.34", "$", ",", "x", "ext", "+1", "(703)", "555", "@", "b.co",
                                         "KY 99809", "DPO AA", "HOSP1-000042", "\xC3\xBC", "\xFC", "'", "-", " ", "\n", "\xC2\xA0", "Mc",
                                         "de la", "NULL", "e5", "0", "00", "80840", ":", "Z", "\xF0\x9F\x98\x80"};
    char text[256];
    size_t used = 0;
    for (uint32_t n = random_below(8); n > 0; n--) {
        if (random_below(4) == 0) {
            text[used++] = (char)random_below(256);
        } else {
            Str piece = str_of(PIECES[random_below(sizeof PIECES / sizeof *PIECES)]);
            memcpy(text + used, piece.at, piece.size);
            used += piece.size;
        }
    }
    return arena_copy(page, (Str){text, used});
}

/* Every cleaner of the table, by its default arguments, on the column it fits. */
static bool fuzz_chain(const Cleaner *cleaner, Chain *ret_chain) {
    static const CleanerArg WORD = {NULL, "a"}, PAIR = {"a", "b"};
    static const char *const COLUMNS[][2] = {{"date", "birth_date"}, {"timestamp", "source_modified_at"}, {"phone", "phone"},
                                             {"us_address", "city"}};
    const char *name = cleaner->name;
    const Entity *entity = entity_find(STR("patients"));
    const char *target = "middle_name";
    for (size_t i = 0; i < 4; i++)
        if (strcmp(COLUMNS[i][0], name) == 0)
            target = COLUMNS[i][1];
    bool is_number = strcmp(name, "cents") == 0 || strcmp(name, "integer") == 0 || strcmp(name, "bigint") == 0;
    if (is_number) {
        entity = entity_find(strcmp(name, "cents") == 0 ? STR("transactions") : STR("adjustments"));
        target = strcmp(name, "cents") == 0 ? "amount" : strcmp(name, "integer") == 0 ? "service_line" : "file_id";
    }
    CleanerSpec spec = {.name = name};
    if (strcmp(name, "map") == 0)
        spec.args = &PAIR, spec.n_args = 1;
    else if (strcmp(name, "default") == 0 || strcmp(name, "null_if") == 0)
        spec.args = &WORD, spec.n_args = 1;
    MapSpec map = {.column = target, .clean = &spec, .n_clean = 1};
    return chain_compile(arena, &map, &entity->columns[entity_column(entity, str_of(target))], false,
                         fail_on_mistake, NULL, ret_chain);
}

static void any_bytes_do_no_harm_in_any_cleaner(void **state) {
    (void)state;
    int n_cleaners = 0;
    for (const Cleaner *cleaner = cleaner_next(NULL); cleaner; cleaner = cleaner_next(cleaner)) {
        Chain chain;
        n_cleaners++;
        assert_true(fuzz_chain(cleaner, &chain));
        ArenaMark mark = arena_mark(arena);
        for (int round = 0; round < 4000; round++) {
            CleanRow clean = {.page = arena, .zone = chicago};
            Str text = random_text(arena);
            Value value = value_text(text);
            CellSource source = {.kind = (FieldKind)random_below(5), .folds_case = random_below(2)};
            Cell cell = {.value = &value, .source = &source, .row = &clean};
            chain_run(&chain, &cell);
            assert_short_way(&chain, &source, text, value, clean.flags);
            arena_rewind(arena, mark);
        }
    }
    assert_true(n_cleaners >= 25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_run_through_their_cleaners),
        cmocka_unit_test(dates_and_times_are_read_in_the_sources_zone),
        cmocka_unit_test(amounts_and_numbers_are_read_or_unreadable),
        cmocka_unit_test(several_columns_meet_in_concat),
        cmocka_unit_test(any_bytes_do_no_harm_in_any_cleaner),
    };
    return cmocka_run_group_tests(tests, open_zone, close_arena);
}
