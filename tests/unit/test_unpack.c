#include "test.h"

#include "base/own.h"
#include "steps/unpack.h"

#include <stdio.h>
#include <sys/mman.h>
#include <zlib.h>

enum { PLAIN_BYTES = 300 * 1000, PACKED_BYTES = 400 * 1000 };
static const UnpackLimits NO_LIMITS = {0};

static int file_of(Str bytes) {
    int fd = memfd_create("unpack", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.at, bytes.size), bytes.size);
    return fd;
}

static size_t pack(Str text, char *packed) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text.at, .avail_in = (uInt)text.size, .next_out = (Bytef *)packed,
                       .avail_out = PACKED_BYTES};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static Str numbers(char *text) {
    size_t used = 0;
    for (int i = 0; used + 20 < PLAIN_BYTES; i++)
        used += (size_t)sprintf(text + used, "%d,%d\n", i, i * 7919 % 10007);
    return (Str){text, used};
}

static size_t read_all(Unpacker *unpacker, char *text) {
    Error err = {0};
    size_t used = 0, n;
    do {
        assert_true(unpack_read(unpacker, text + used, 997, &n, &err));
        used += n;
    } while (n > 0);
    return used;
}

static void reading_goes_on_anywhere(void **state) {
    (void)state;
    static char plain[PLAIN_BYTES], packed[PACKED_BYTES], got[PLAIN_BYTES];
    Str text = numbers(plain);
    Str files[2] = {text, {packed, pack(text, packed)}};
    for (int f = 0; f < 2; f++) {
        Error err = {0};
        CLEANUP(unpack_drop) Unpacker *unpacker = unpack_open(file_of(files[f]), NO_LIMITS, &err);
        assert_non_null(unpacker);
        assert_int_equal(unpack_packing(unpacker), f == 0 ? PACKED_PLAIN : PACKED_GZIP);
        assert_int_equal(unpack_size(unpacker), text.size);
        const size_t offsets[] = {0, 1, 70000, 200001, 5, text.size, text.size - 1};
        for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
            assert_true(unpack_seek(unpacker, (int64_t)offsets[i], &err));
            assert_int_equal(read_all(unpacker, got), text.size - offsets[i]);
            assert_memory_equal(got, text.at + offsets[i], text.size - offsets[i]);
        }
        assert_false(unpack_is_cut(unpacker));
    }
}

static void gzips_behind_one_another_are_one_file(void **state) {
    (void)state;
    char packed[PACKED_BYTES / 100], got[100];
    size_t size = pack(STR("a,b\n"), packed);
    size += pack(STR("1,2\n"), packed + size);
    memset(packed + size, 0, 512); /* a tape's block */
    Error err = {0};
    CLEANUP(unpack_drop) Unpacker *unpacker = unpack_open(file_of((Str){packed, size + 512}), NO_LIMITS, &err);
    assert_non_null(unpacker);
    assert_int_equal(read_all(unpacker, got), 8);
    assert_memory_equal(got, "a,b\n1,2\n", 8);
}

static void expect_refused(Str bytes, UnpackLimits limits, const char *sentence) {
    Error err = {0};
    assert_null(unpack_open(file_of(bytes), limits, &err));
    assert_string_equal(err.text, sentence);
    assert_int_equal(error_class(&err), ERROR_DATA);
}

static void a_damaged_gzip_gives_nothing_and_a_cut_one_what_it_has(void **state) {
    (void)state;
    static char plain[PLAIN_BYTES], packed[PACKED_BYTES], got[PLAIN_BYTES];
    Str text = numbers(plain);
    size_t size = pack(text, packed);
    Error err = {0};
    CLEANUP(unpack_drop) Unpacker *cut = unpack_open(file_of((Str){packed, size / 2}), NO_LIMITS, &err);
    assert_non_null(cut);
    size_t used = read_all(cut, got);
    assert_true(used > text.size / 4 && used < text.size && unpack_is_cut(cut));
    assert_memory_equal(got, text.at, used);

    memcpy(packed + size, "rest", 4);
    expect_refused((Str){packed, size + 4}, NO_LIMITS, "the gzip file is damaged: other bytes follow behind its end");
    packed[size - 6] ^= 1;
    expect_refused((Str){packed, size}, NO_LIMITS, "the gzip file is damaged: its checksum does not match");
    packed[10] = (char)0xFF; /* no such block */
    expect_refused((Str){packed, size}, NO_LIMITS, "the gzip file is damaged: its bytes do not unpack");
}

/* The last match of a run is longer than the room left, and zlib keeps it when the file has no more to give. */
static void what_zlib_holds_back_is_given(void **state) {
    (void)state;
    char run[3000], packed[PACKED_BYTES / 100], got[sizeof run];
    memset(run, 'a', sizeof run);
    size_t size = pack((Str){run, sizeof run}, packed);
    for (size_t missing = 8; missing < 14; missing++) {
        Error err = {0};
        CLEANUP(unpack_drop) Unpacker *cut = unpack_open(file_of((Str){packed, size - missing}), NO_LIMITS, &err);
        assert_non_null(cut);
        for (int64_t left = 1; left < 300 && left <= unpack_size(cut); left++) {
            size_t used = 0;
            assert_true(unpack_seek(cut, unpack_size(cut) - left, &err));
            for (size_t n = 1; n > 0; used += n)
                assert_true(unpack_read(cut, got, 1, &n, &err));
            assert_int_equal(used, left);
        }
    }
}

static void what_unpacks_to_too_much_is_stopped(void **state) {
    (void)state;
    static char zeros[PLAIN_BYTES * 10], packed[PACKED_BYTES];
    Str text = {zeros, sizeof zeros};
    memset(zeros, '0', sizeof zeros);
    Str bytes = {packed, pack(text, packed)};
    expect_refused(bytes, (UnpackLimits){.max_ratio = 200},
                   "the file unpacks to more than 200 times its size (max_unpacked_ratio), and was not unpacked");
    expect_refused(bytes, (UnpackLimits){.max_bytes = 2999999},
                   "the file unpacks to more than 2999999 bytes (max_unpacked_bytes), and was not unpacked");
    Error err = {0};
    CLEANUP(unpack_drop) Unpacker *allowed =
        unpack_open(file_of(bytes), (UnpackLimits){.max_bytes = 3000000, .max_ratio = 1100}, &err);
    assert_non_null(allowed);
}

static void looking_through_a_packed_file_can_be_canceled(void **state) {
    (void)state;
    char packed[PACKED_BYTES / 100];
    Str text = STR("a,b\n1,2\n"), bytes = {packed, pack(text, packed)};
    atomic_bool canceled = true;
    UnpackLimits limits = {.canceled = &canceled};
    Error err = {0};
    assert_null(unpack_open(file_of(bytes), limits, &err));
    assert_int_equal(error_class(&err), ERROR_CANCELED);
    CLEANUP(unpack_drop) Unpacker *plain = unpack_open(file_of(text), limits, &err); /* nothing is looked through */
    assert_non_null(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_goes_on_anywhere),
        cmocka_unit_test(gzips_behind_one_another_are_one_file),
        cmocka_unit_test(a_damaged_gzip_gives_nothing_and_a_cut_one_what_it_has),
        cmocka_unit_test(what_zlib_holds_back_is_given),
        cmocka_unit_test(looking_through_a_packed_file_can_be_canceled),
        cmocka_unit_test(what_unpacks_to_too_much_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
