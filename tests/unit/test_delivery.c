#include "test.h"

#include "base/own.h"
#include "steps/delivery.h"

#include <stdio.h>
#include <sys/mman.h>
#include <zlib.h>

static ClaimsConfig claims(int page_rows) {
    static const char *const FROM[] = {"a"};
    static const MapSpec COLUMN = {.column = "source_claim_id", .from = FROM, .n_from = 1};
    return (ClaimsConfig){.name = "claims.test", .fold_ids = true, .max_line_bytes = 200, .max_field_bytes = 50,
                          .page_rows = page_rows, .page_bytes = 1 << 20,
                          .mapping = {.columns = &COLUMN, .n_columns = 1}};
}

static int file_of(Str bytes) {
    int fd = memfd_create("delivery", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.at, bytes.size), bytes.size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* "line:a|b " for a row, "line!rule " for a reject, "#" at a page's end, "~" when the file was cut. */
static void render(DeliveryFile *file, Arena *arena, size_t skip_pages, char *ret_text) {
    size_t n_fields;
    delivery_fields(file, &n_fields);
    char *at = ret_text;
    DeliveryPage page;
    Error err = {0};
    do {
        assert_true(delivery_read(file, arena, &page, &err));
        for (size_t r = 0; r < page.rows.n_rows && skip_pages == 0; r++) {
            const RawReject *reject = &page.rows.rejects[r];
            at += sprintf(at, reject->rule ? "%lld!%s" : "%lld:", (long long)page.rows.lines[r],
                          reject->rule);
            for (size_t f = 0; f < n_fields && !reject->rule; f++)
                at += sprintf(at, "%s%.*s", f ? "|" : "", STR_ARG(page.rows.fields[r * n_fields + f]));
            *at++ = ' ';
        }
        if (skip_pages > 0)
            skip_pages--;
        else
            *at++ = '#';
        if (page.was_cut)
            *at++ = '~';
    } while (!page.is_last);
    *at = 0;
}

static void check_by(const ClaimsConfig *config, Str bytes, const char *expected) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Error err = {0};
    CLEANUP(delivery_drop) DeliveryFile *file = delivery_open(file_of(bytes), config, NULL, NULL, arena, &err);
    assert_non_null(file);
    char text[2000];
    render(file, arena, 0, text);
    assert_string_equal(text, expected);
}

static void check(int page_rows, Str bytes, const char *expected) {
    ClaimsConfig config = claims(page_rows);
    check_by(&config, bytes, expected);
}

static const FixedColumn PLACES[] = {{"a", 1, 3}, {"b", 5, 2}}, WIDER[] = {{"a", 1, 3}, {"b", 5, 3}};

static void the_format_says_what_parts_the_fields(void **state) {
    (void)state;
    static const struct {
        ClaimsFormat format;
        char delimiter;
        const char *bytes;
    } CASES[] = {
        {FORMAT_CSV, 0, "a,b\n1,2;3\n"},      {FORMAT_CSV, '~', "a~b\n1~2;3\n"},    {FORMAT_TSV, 0, "a\tb\n1\t2;3\n"},
        {FORMAT_SEMICOLON, 0, "a;b\n1;\"2;3\"\n"}, {FORMAT_PIPE, 0, "a|b\n1|2;3\n"}, {FORMAT_DETECT, 0, "a,b\n1,2;3\n"},
        {FORMAT_DETECT, 0, "b|a|c\n2;3|1|x\n"}, {FORMAT_DETECT, 0, "A \tb\r\n1\t2;3"}, {FORMAT_FIXED, 0, "  1 2;3\n"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ClaimsConfig config = claims(9);
        config.format = CASES[i].format;
        config.delimiter = CASES[i].delimiter;
        if (config.format == FORMAT_FIXED)
            config.columns = WIDER, config.n_columns = 2;
        const char *expected = i == 6 ? "2:2;3|1|x #" : i == 8 ? "1:1|2;3 #" : "2:1|2;3 #";
        check_by(&config, str_of(CASES[i].bytes), expected);
    }
}

static void a_header_may_be_missing_or_be_replaced(void **state) {
    (void)state;
    ClaimsConfig config = claims(9);
    config.columns = (FixedColumn[]){{"a", 0, 0}, {"b", 0, 0}};
    config.n_columns = 2;
    check_by(&config, STR("1,2\n3,4\n"), "1:1|2 2:3|4 #");
    config.header = HEADER_YES;
    check_by(&config, STR("x,y\n1,2\n"), "2:1|2 #");
    config.format = FORMAT_DETECT;
    check_by(&config, STR("x;y\n1;2\n"), "2:1|2 #");
    config.columns = PLACES;
    config.format = FORMAT_FIXED;
    check_by(&config, STR("AAA BB\n1   2\n123 45\n\xC3\xA9\xC3\xA9  6\n12\n1   2\n1"),
             "2:1|2 3:123|45 4:\xC3\xA9\xC3\xA9|6 5!field_count 6:1|2 7!line_cut #~");
}

static void columns_are_known_by_other_names(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ClaimsConfig config = claims(9);
    static const char *const OTHERS[] = {"Claim No", "claim_no"};
    config.aliases = &(ColumnAlias){"a", OTHERS, 2};
    config.n_aliases = 1;
    static const char *const HEADERS[][3] = {
        {"x,CLAIM NO\n", "x", "a"}, {"claim_no,x\n", "a", "x"}, {"x,A\n", "x", "a"}, {"a,A\n", "a", "A"}, {"claim_no,a\n", "claim_no", "a"}};
    for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
        Error err = {0};
        size_t n;
        CLEANUP(delivery_drop) DeliveryFile *file =
            delivery_open(file_of(str_of(HEADERS[i][0])), &config, NULL, NULL, arena, &err);
        const Field *fields = delivery_fields(file, &n);
        assert_string_equal(fields[0].name, HEADERS[i][1]);
        assert_string_equal(fields[1].name, HEADERS[i][2]);
    }
}

static void rows_come_in_pages_with_their_lines(void **state) {
    (void)state;
    check(2, STR("a,b\n1,2\n\n\"3\n\",4\n5,6\n"), "2:1|2 4:3\n|4 #6:5|6 #");
    check(2, STR("a,b\n"), "#");
    check(2, STR("a,b\n1,2"), "2:1|2 #");
}

static void a_bad_row_is_rejected_and_the_others_are_not(void **state) {
    (void)state;
    check(9, STR("a,b\n1\n2,3\n4,5,6\n\"7\"x,8\n9,10\n"),
          "2!field_count 3:2|3 4!field_count 5!line_unreadable 6:9|10 #");
}

static void a_cut_last_line_is_rejected_and_said(void **state) {
    (void)state;
    check(9, STR("a,b\n1,2\n3"), "2:1|2 3!line_cut #~");
    check(9, STR("a,b\n1,2\n3,\"4"), "2:1|2 3!line_cut #~");
    check(9, STR("a,b\n1,2024-01-01\n2,2024-01-02\n3,2024-01-0"), "2:1|2024-01-01 3:2|2024-01-02 4!line_cut #~");
    check(9, STR("a,b\n1,10\n2,200\n3,4"), "2:1|10 3:2|200 4:3|4 #"); /* widths differ: nothing shows a cut */
    check(9, STR("a,b\n1,10.00\n2,200.00\n3,40.0"), "2:1|10.00 3:2|200.00 4!line_cut #~");
    check(9, STR("a,b\n1,10.00\n2,200.00\n3,4"), "2:1|10.00 3:2|200.00 4!line_cut #~");
    check(9, STR("a,b\n1,10.00\n2,\n3,200.00\n4,"), "2:1|10.00 3:2| 4:3|200.00 5:4| #"); /* may be empty */
    check(9, STR("a,b\n1,10.00\n2,5.5\n3,4"), "2:1|10.00 3:2|5.5 4:3|4 #");               /* tails differ */
}

/* The last row alone on its page: the first rows tell. */
static void a_cut_last_line_is_found_however_pages_fall(void **state) {
    (void)state;
    for (int page_rows = 1; page_rows < 6; page_rows++) {
        CLEANUP(arena_drop) Arena *arena = arena_open();
        ClaimsConfig config = claims(page_rows);
        Error err = {0};
        Str bytes = STR("a,b\n1,2024-01-01\n2,2024-01-02\n3,2024-01-03\n4,2024-01-04\n5,2024-01-0");
        CLEANUP(delivery_drop) DeliveryFile *file = delivery_open(file_of(bytes), &config, NULL, NULL, arena, &err);
        size_t n;
        const Field *fields = delivery_fields(file, &n);
        const Mapping *mapping = mapping_compile(arena, &(MappingSpec){.entity = entity_find(STR("claims")),
                                                                       .columns = config.mapping.columns, .n_columns = 1},
                                                 fields, n, NULL, &err);
        assert_non_null(mapping);
        assert_true(delivery_check_values(file, mapping, arena, &err));
        char text[2000];
        render(file, arena, 0, text);
        assert_int_equal(strstr(text, "6!line_cut") != NULL, page_rows > 1); /* one row shows no width */
    }
}

/* Blanks that fill the last column are no part of it: the line tells. */
static void a_line_of_fixed_width_is_cut_when_it_is_shorter(void **state) {
    (void)state;
    ClaimsConfig config = claims(9);
    config.columns = PLACES;
    config.n_columns = 2;
    config.format = FORMAT_FIXED;
    check_by(&config, STR("123 45\n234 56\n345   "), "1:123|45 2:234|56 3:345| #");
    check_by(&config, STR("123 45\n234 56\n345  "), "1:123|45 2:234|56 3!line_cut #~");
}

static void a_header_among_rows_is_none_of_them(void **state) {
    (void)state;
    static const char *const FROM[] = {"id", "amount", "paid"};
    static const MapSpec COLUMNS[] = {{.column = "source_claim_id", .from = FROM, .n_from = 1},
                                      {.column = "claim_amount", .from = FROM + 1, .n_from = 1},
                                      {.column = "paid_amount", .from = FROM + 2, .n_from = 1}};
    ClaimsConfig config = claims(9);
    config.mapping = (MappingSpec){.columns = COLUMNS, .n_columns = 3};
    check_by(&config, STR("id,amount,paid,x\n1,2,3,4\nID, amount ,\"paid\",x\n5,6,7,8\n"), "2:1|2|3|4 3!header_again 4:5|6|7|8 #");
    check_by(&config, STR("id,amount,paid,x,y\n1,2,3,paid,Paid\n4,5,6,x,y\n7,8,paid,y,x\n"),
             "2:1|2|3|paid|Paid 3:4|5|6|x|y 4:7|8|paid|y|x #"); /* one name twice; names of columns that nobody reads */
    check_by(&config, STR("id,amount,paid\n1,2,3\n\xEF\xBB\xBFid,amount,paid\n"), "2:1|2|3 3!header_again #");
    check_by(&config, STR("id,amount,paid\nid,2,3\n1,2,paid\n1,amount,3\n"), "2:id|2|3 3:1|2|paid 4:1|amount|3 #"); /* rows that hold a name */
    static const char UNSEEN[] = "x,id,amount,paid,y\n1,2,3,4,5\nz, id,paid\xC2\xA0,\xEF\xBB\xBF" "amount ,w\n"; /* no \xBFa */
    static const char *const OTHERS[] = {"id,amount,paid\n1,2,3\nid,paid,amount\n1,2,3\n", "id,amount,paid\n1,2,3\nx,id,amount,paid\n",
                                         "x,id,amount,paid\n1,2,3,4\nid,amount\n", UNSEEN};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        CLEANUP(arena_drop) Arena *arena = arena_open();
        Error err = {0};
        DeliveryPage page;
        CLEANUP(delivery_drop) DeliveryFile *file = delivery_open(file_of(str_of(OTHERS[i])), &config, NULL, NULL, arena, &err);
        assert_non_null(file);
        for (int j = 0; j < 2; j++) { /* the row before it is read, whoever begins there anew; it is not */
            assert_true(delivery_read(file, arena, &page, &err));
            assert_int_equal(page.rows.n_rows, 1);
            assert_false(page.is_last);
            assert_false(delivery_read(file, arena, &page, &err));
            assert_non_null(strstr(err.text, "line 3 is a header again"));
            assert_true(delivery_seek(file, page.offset, page.line, &err));
            assert_false(delivery_read(file, arena, &page, &err));
            assert_true(delivery_seek(file, (int64_t)strcspn(OTHERS[i], "\n") + 1, 2, &err));
        }
    }
    config.columns = (FixedColumn[]){{"id", 0, 0}, {"amount", 0, 0}, {"paid", 0, 0}};
    config.n_columns = 3;
    check_by(&config, STR("id,amount,paid\n1,2,3\n"), "1!header_again 2:1|2|3 #"); /* without one, it was said */
    config.header = HEADER_YES;
    check_by(&config, STR("a,b,c\n1,2,3\na,b,c\n"), "2:1|2|3 3!header_again #"); /* line 1, whatever it calls them */
}

static void nothing_of_a_raw_row_is_lost(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ClaimsConfig config = claims(9);
    Error err = {0};
    CLEANUP(delivery_drop) DeliveryFile *file =
        delivery_open(file_of(STR("a,b\n1,2,3,4\n5\n")), &config, NULL, NULL, arena, &err);
    DeliveryPage page;
    assert_true(file && delivery_read(file, arena, &page, &err));
    assert_str(page.rows.fields[1], "2,3,4");
    assert_str(page.rows.fields[2], "5");
    assert_true(str_is_null(page.rows.fields[3]));
}

static void reading_goes_on_at_the_end_of_any_page(void **state) {
    (void)state;
    Str bytes = STR("a,b\n1,2\n\"3\n\",4\n5,6\n\"x\n7,8\n9,1");
    ClaimsConfig config = claims(2);
    for (size_t n_done = 0; n_done < 3; n_done++) {
        CLEANUP(arena_drop) Arena *arena = arena_open();
        Error err = {0};
        CLEANUP(delivery_drop) DeliveryFile *whole = delivery_open(file_of(bytes), &config, NULL, NULL, arena, &err);
        CLEANUP(delivery_drop) DeliveryFile *rest = delivery_open(file_of(bytes), &config, NULL, NULL, arena, &err);
        DeliveryPage page;
        for (size_t i = 0; i <= n_done; i++)
            assert_true(delivery_read(whole, arena, &page, &err));
        assert_true(delivery_seek(rest, page.offset, page.line, &err));
        char expected[500], got[500];
        render(whole, arena, 0, expected);
        render(rest, arena, 0, got);
        assert_string_equal(got, expected);
    }
}

static void gzip_is_read_as_what_it_holds(void **state) {
    (void)state;
    Bytef packed[200];
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)"a,b\n1,2\n3,4\n", .avail_in = 12, .next_out = packed,
                       .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t size = stream.total_out;
    deflateEnd(&stream);
    check(1, (Str){(const char *)packed, size}, "2:1|2 #3:3|4 ##");
    check(9, (Str){(const char *)packed, size - 8}, "2:1|2 3:3|4 #~"); /* its end is missing */
}

/* UTF-16, and going on in it at every page's end. */
static void other_encodings_are_read_as_utf_8_and_gone_on_in(void **state) {
    (void)state;
    Str bytes = {"\xFF\xFE" "a\0,\0b\0\n\0001\0,\0\xE9\0\n\0002\0,\0\xAC\x20\n\0003\0,\0004\0\n\0", 34};
    check(1, bytes, "2:1|\xC3\xA9 #3:2|\xE2\x82\xAC #4:3|4 ##");
    ClaimsConfig config = claims(1);
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Error err = {0};
    CLEANUP(delivery_drop) DeliveryFile *whole = delivery_open(file_of(bytes), &config, NULL, NULL, arena, &err);
    CLEANUP(delivery_drop) DeliveryFile *rest = delivery_open(file_of(bytes), &config, NULL, NULL, arena, &err);
    DeliveryPage page;
    char text[200];
    assert_true(delivery_read(whole, arena, &page, &err) && delivery_seek(rest, page.offset, page.line, &err));
    render(rest, arena, 0, text);
    assert_string_equal(text, "3:2|\xE2\x82\xAC #4:3|4 ##");
}

static void a_header_that_is_not_as_declared_is_refused(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ClaimsConfig config = claims(1);
    Error err = {0};
    config.encoding = DECLARED_UTF_8;
    assert_null(delivery_open(file_of(STR("a,\xE9\n")), &config, NULL, NULL, arena, &err));
    assert_string_equal(err.text, "the header is not the text that `encoding` declares");
    config.encoding = DECLARED_DETECT;
    CLEANUP(delivery_drop) DeliveryFile *file = delivery_open(file_of(STR("a,\xE9\n")), &config, NULL, NULL, arena, &err);
    size_t n;
    assert_string_equal(delivery_fields(file, &n)[1].name, "\xC3\xA9");
}

static void a_file_that_is_no_good_is_refused_with_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *sentence;
        size_t size;
    } CASES[] = {
        {"", "the file is empty", 0},
        {"\n\n", "the file has no header: it holds blank lines at most", 2},
        {"PK\3\4...", "the zip archive was cut: the directory at its end is missing", 7},
        {"a,\"b\n", "the header cannot be read: a quoted field never ends", 5},
        {"a,b, a\n1,2,3\n", "columns 1 and 3 of the header bear one name", 13},
        {"\x1F\x8B\x08\0\0\0\0\0\0\3", "the gzip file was cut within its first line", 10},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CLEANUP(arena_drop) Arena *arena = arena_open();
        ClaimsConfig config = claims(9);
        Error err = {0};
        assert_null(delivery_open(file_of((Str){CASES[i].bytes, CASES[i].size}), &config, NULL, NULL, arena, &err));
        assert_int_equal(error_class(&err), ERROR_DATA);
        assert_string_equal(err.text, CASES[i].sentence);
    }
}

/* So many lines of 144 bytes; how many rows its first two pages have. */
static void check_first_pages(size_t n_lines, size_t n_first, size_t n_second) {
    enum { LINE = 144 };
    ClaimsConfig config = claims(2500);
    CLEANUP(arena_drop) Arena *arena = arena_open();
    char *text = arena_alloc(arena, n_lines * LINE + 1);
    sprintf(text, "%-47s,%-47s,%-47s\n", "a", "b", "c");
    for (size_t i = 1; i < n_lines; i++)
        sprintf(text + i * LINE, "%047zu,%047d,%047d\n", i, 0, 0);
    Error err = {0};
    CLEANUP(delivery_drop) DeliveryFile *file = delivery_open(file_of((Str){text, n_lines * LINE}), &config, NULL, NULL, arena, &err);
    assert_non_null(file);
    DeliveryPage page;
    assert_true(delivery_read(file, arena, &page, &err));
    assert_int_equal(page.rows.n_rows, n_first);
    assert_true(delivery_read(file, arena, &page, &err));
    assert_int_equal(page.rows.n_rows, n_second);
}

static void the_first_page_of_a_large_file_is_short(void **state) {
    (void)state;
    check_first_pages(4001, 2500, 1500);
    check_first_pages(60000, 250, 2500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_pages_with_their_lines),
        cmocka_unit_test(a_bad_row_is_rejected_and_the_others_are_not),
        cmocka_unit_test(a_cut_last_line_is_rejected_and_said),
        cmocka_unit_test(a_cut_last_line_is_found_however_pages_fall),
        cmocka_unit_test(a_line_of_fixed_width_is_cut_when_it_is_shorter),
        cmocka_unit_test(a_header_among_rows_is_none_of_them),
        cmocka_unit_test(nothing_of_a_raw_row_is_lost),
        cmocka_unit_test(reading_goes_on_at_the_end_of_any_page),
        cmocka_unit_test(gzip_is_read_as_what_it_holds),
        cmocka_unit_test(the_format_says_what_parts_the_fields),
        cmocka_unit_test(a_header_may_be_missing_or_be_replaced),
        cmocka_unit_test(columns_are_known_by_other_names),
        cmocka_unit_test(other_encodings_are_read_as_utf_8_and_gone_on_in),
        cmocka_unit_test(a_header_that_is_not_as_declared_is_refused),
        cmocka_unit_test(the_first_page_of_a_large_file_is_short),
        cmocka_unit_test(a_file_that_is_no_good_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
