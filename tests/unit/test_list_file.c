#include "in_arena.h"

#include "base/buf.h"
#include "base/error.h"
#include "transform/formats/list_file.h"

static const ListFormat FORMAT = {.columns = {{"code", true}, {"description", true}, {"category"}}, .n = 3};

static ListRow *rows;
static size_t n;

static void reads(Str bytes) {
    Error err = {0};
    if (!list_read(bytes, &FORMAT, arena, &rows, &n, &err))
        fail_msg("%s", err.text);
}

static void refuses(const char *text, const char *sentence) {
    Error err = {0};
    assert_false(list_read(str_of(text), &FORMAT, arena, &rows, &n, &err));
    assert_string_equal(err.text, sentence);
    assert_int_equal(error_class(&err), ERROR_DATA);
}

static void columns_are_found_by_their_names_wherever_they_stand(void **state) {
    (void)state;
    reads(STR("Category,Note,DESCRIPTION, Code\r\nSurgery,x,\"Repair, simple\", 12001 \r\n\r\n,,Visit,99213\r\n"));
    assert_int_equal(n, 2);
    assert_str(rows[0].values[0], "12001");
    assert_str(rows[0].values[1], "Repair, simple");
    assert_str(rows[0].values[2], "Surgery");
    assert_int_equal(rows[0].line, 2);
    assert_str(rows[1].values[0], "99213");
    assert_str(rows[1].values[2], NULL);
    assert_int_equal(rows[1].line, 4);
}

static void the_delimiter_is_the_one_that_finds_the_columns(void **state) {
    (void)state;
    static const char *const TEXTS[] = {"code;description\n1;a, b\n", "code\tdescription\n1\ta, b\n",
                                        "code|description\n1|a, b\n", "code,description\n1,\"a, b\"\n"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        reads(str_of(TEXTS[i]));
        assert_int_equal(n, 1);
        assert_str(rows[0].values[1], "a, b");
        assert_str(rows[0].values[2], NULL);
    }
}

static void other_encodings_are_read_as_those_of_claims_files(void **state) {
    (void)state;
    reads(STR("\xef\xbb\xbf" "code,description\n1,M\xc3\xa9ni\xc3\xa8re\n"));
    assert_str(rows[0].values[1], "M\xc3\xa9ni\xc3\xa8re");
    reads(STR("code,description\n1,M\xe9ni\xe8re\n"));
    assert_str(rows[0].values[1], "M\xc3\xa9ni\xc3\xa8re");
    static const char WIDE[] = "\xff\xfe" "c\0o\0d\0e\0,\0d\0e\0s\0c\0r\0i\0p\0t\0i\0o\0n\0\n\0" "1\0,\0\xe9\0\n";
    reads((Str){WIDE, sizeof WIDE});
    assert_str(rows[0].values[1], "\xc3\xa9");
}

static void a_file_that_is_no_such_list_is_told_by_its_line(void **state) {
    (void)state;
    refuses("", "it lists nothing");
    refuses("code,description\n", "it lists nothing");
    refuses("code,text\n1,a\n", "its first line names no column `description`");
    refuses("code,description\n1,a, b\n", "line 2 has 3 fields, its first line 2");
    refuses("code,description\n1,a\n2\n", "line 3 has 1 fields, its first line 2");
    refuses("code,description\n1,a\n,b\n", "line 3 has no `code`");
    refuses("code,description\n1, \n", "line 2 has no `description`");
    refuses("code,description\n1,\"a\n", "line 2: a quoted field never ends");
}

static void a_long_list_is_read_to_its_end(void **state) {
    (void)state;
    enum { ROWS = 20000 };
    Buf text;
    buf_init(&text, 1 << 20);
    buf_put_str(&text, STR("code,description\n"));
    for (int i = 0; i < ROWS; i++)
        buf_printf(&text, "%d,text of %d\n", i, i);
    reads(buf_str(&text));
    assert_int_equal(n, ROWS);
    assert_str(rows[ROWS - 1].values[1], "text of 19999");
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found_by_their_names_wherever_they_stand),
        cmocka_unit_test(the_delimiter_is_the_one_that_finds_the_columns),
        cmocka_unit_test(other_encodings_are_read_as_those_of_claims_files),
        cmocka_unit_test(a_file_that_is_no_such_list_is_told_by_its_line),
        cmocka_unit_test(a_long_list_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
