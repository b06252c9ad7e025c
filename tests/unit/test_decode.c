#include "test.h"

#include "base/own.h"
#include "transform/formats/decode.h"

#include <iconv.h>

enum { TEXT_BYTES = 8192 };

static const char SAMPLE[] = "ClaimID,Betrag \xE2\x82\xAC,Ren\xC3\xA9,\xE2\x80\x9Equoted\xE2\x80\x9D\r\n1,2\n";
static const char BEYOND[] = "a \xF0\x9F\x98\x80 b,\xF0\xA0\x80\x80\r\n"; /* pairs of surrogates */

/* What the C library makes of it. */
static size_t convert(const char *to, const char *from, Str text, char *ret) {
    iconv_t how = iconv_open(to, from);
    char *in = (char *)(uintptr_t)text.at, *out = ret;
    size_t in_left = text.size, out_left = TEXT_BYTES;
    assert_true(iconv(how, &in, &in_left, &out, &out_left) != (size_t)-1);
    iconv_close(how);
    return TEXT_BYTES - out_left;
}

static size_t decode_by(size_t chunk, Encoding encoding, Str bytes, char *text) {
    Decoder decoder = {.encoding = encoding};
    size_t used = 0;
    for (size_t at = 0; at < bytes.size; at += chunk) {
        size_t size = bytes.size - at < chunk ? bytes.size - at : chunk;
        used += decoder_take(&decoder, (Str){bytes.at + at, size}, false, text + used);
    }
    return used + decoder_take(&decoder, STR(""), true, text + used);
}

/* However the bytes are cut, the same text. */
static void expect(Encoding encoding, Str bytes, Str expected) {
    for (size_t chunk = 1; chunk <= bytes.size; chunk++) {
        char text[TEXT_BYTES];
        size_t used = decode_by(chunk, encoding, bytes, text);
        assert_int_equal(used, expected.size);
        assert_memory_equal(text, expected.at, used);
    }
}

static void every_chunking_gives_what_the_c_library_gives(void **state) {
    (void)state;
    static const struct {
        const char *name;
        Encoding encoding;
        const char *text;
    } CASES[] = {
        {"UTF-16LE", ENCODING_UTF_16LE, SAMPLE}, {"UTF-16BE", ENCODING_UTF_16BE, SAMPLE},
        {"UTF-16LE", ENCODING_UTF_16LE, BEYOND}, {"UTF-16BE", ENCODING_UTF_16BE, BEYOND},
        {"WINDOWS-1252", ENCODING_WINDOWS_1252, SAMPLE}, {"UTF-8", ENCODING_UTF_8, SAMPLE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char bytes[TEXT_BYTES];
        size_t size = convert(CASES[i].name, "UTF-8", str_of(CASES[i].text), bytes);
        expect(CASES[i].encoding, (Str){bytes, size}, str_of(CASES[i].text));
    }
}

static void every_byte_of_windows_1252_is_its_character(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        bool is_open = byte == 0x81 || byte == 0x8D || byte == 0x8F || byte == 0x90 || byte == 0x9D;
        char one = (char)byte, text[TEXT_BYTES] = "\x81";
        size_t size = is_open ? 1 : convert("UTF-8", "WINDOWS-1252", (Str){&one, 1}, text);
        expect(ENCODING_WINDOWS_1252, (Str){&one, 1}, (Str){text, size});
    }
}

static void what_is_half_is_a_byte_that_is_no_text(void **state) {
    (void)state;
    expect(ENCODING_UTF_16LE, (Str){"a\0\x3D\xD8" "b\0", 6}, STR("a\x81" "b")); /* the high half alone */
    expect(ENCODING_UTF_16LE, (Str){"\x3D\xD8\x3D\xD8\0\xDE", 6}, STR("\x81\xF0\x9F\x98\x80"));
    expect(ENCODING_UTF_16BE, (Str){"\xDE\0\0a", 4}, STR("\x81" "a")); /* the low one */
    expect(ENCODING_UTF_16LE, (Str){"a\0b", 3}, STR("a\x81")); /* cut within a unit */
}

static void the_encoding_is_found_or_refused(void **state) {
    (void)state;
    static const struct {
        Str head;
        EncodingDeclared declared;
        const char *name, *text; /* NULL: the name */
    } CASES[] = {
        {STR("a,b\n1,2\n"), DECLARED_DETECT, "utf-8", NULL},
        {STR("\xEF\xBB\xBF" "a,b\n"), DECLARED_DETECT, "utf-8", NULL},
        {STR("\xFF\xFE" "a\0,\0b\0"), DECLARED_DETECT, "utf-16le", NULL},
        {STR("\xFE\xFF\0a\0,\0b"), DECLARED_UTF_16, "utf-16be", NULL},
        {STR("a,Ren\xE9,b\n1,2,3\n"), DECLARED_DETECT, "windows-1252", NULL},
        {STR("a,Ren\xE9,\xC3\xA9\n1,2,3\n"), DECLARED_DETECT, "utf-8 and windows-1252", NULL},
        {STR("a,Ren\xE9,b\n1,2,3\n"), DECLARED_WINDOWS_1252, "windows-1252", NULL},
        {STR("a\0,\0b\0\n\0001\0,\0002\0\n\0"), DECLARED_UTF_16LE, "utf-16le", NULL},
        {STR("a\0,\0b\0\n\0001\0,\0002\0\n\0"), DECLARED_DETECT, NULL,
         "the file is UTF-16 without a byte order mark, so the order of its bytes is not declared"},
        {STR("\xEF\xBB\xBF" "a,b\n"), DECLARED_WINDOWS_1252, NULL,
         "the file begins with the byte order mark of utf-8, and `encoding: windows-1252` is configured"},
        {STR("\xFF\xFE" "a\0"), DECLARED_UTF_8, NULL,
         "the file begins with the byte order mark of utf-16le, and `encoding: utf-8` is configured"},
        {STR("\xFF\xFE\0\0a\0\0\0"), DECLARED_DETECT, NULL, "the file is UTF-32, which is not read"},
        {STR("a,b\n"), DECLARED_UTF_16, NULL, "the file has no byte order mark, and `encoding: utf-16` is told by it"},
        {STR("\xC3\x93\x81\x89\x94\xC9\xC4\x6B\xE3\x99\x81\x95\xA2\x81\x83\xA3\x89\x96\x95\xC9\xC4\x6B\xD7\x81\xA3\x89\x85\x95\xA3\xC9\xC4\x15"),
         DECLARED_DETECT, NULL, "the file is EBCDIC, or no text at all"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        EncodingFound found;
        Error err = {0};
        bool ok = encoding_find(CASES[i].head, CASES[i].declared, &found, &err);
        assert_string_equal(ok ? found.name : err.text, CASES[i].name ? CASES[i].name : CASES[i].text);
        assert_true(ok == (CASES[i].name != NULL));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunking_gives_what_the_c_library_gives),
        cmocka_unit_test(every_byte_of_windows_1252_is_its_character),
        cmocka_unit_test(what_is_half_is_a_byte_that_is_no_text),
        cmocka_unit_test(the_encoding_is_found_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
