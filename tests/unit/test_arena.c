#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/own.h"

static void rewinding_gives_back_what_came_after_the_mark(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Str kept = arena_copy(arena, STR("kept"));
    ArenaMark mark = arena_mark(arena);
    size_t before = 0;
    for (int page = 0; page < 50; page++) {
        for (int i = 0; i < 100; i++)
            memset(arena_alloc(arena, 10007), 'x', 10007);
        if (page == 1)
            before = arena_size_bytes(arena);
        arena_rewind(arena, mark);
    }
    assert_true(arena_size_bytes(arena) <= before);
    assert_str(kept, "kept");
}

/* Pages that grow by a little each leave no copy of every size behind. */
static void pieces_that_grow_take_what_the_largest_needs(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    size_t largest = 0;
    for (int page = 0; page < 1000; page++) {
        largest = 300000 + (size_t)page * 1000;
        arena_alloc(arena, largest);
        arena_rewind(arena, (ArenaMark){NULL, 0});
    }
    assert_true(arena_size_bytes(arena) < 4 * largest);
}

static void a_buffer_stops_at_its_maximum_and_says_so(void **state) {
    (void)state;
    Buf buf;
    buf_init(&buf, 10);
    buf_put(&buf, "12345678", 8);
    assert_false(buf_overflowed(&buf));
    buf_put(&buf, "abc", 3);
    assert_true(buf_overflowed(&buf));
    buf_put(&buf, "z", 1); /* sticky: a later piece that fits must not close the gap */
    assert_str(buf_str(&buf), "12345678");
    buf_clear(&buf);
    buf_put_i32(&buf, 1);
    assert_memory_equal(buf.data, "\0\0\0\1", 4);
    buf_done(&buf);
}

static void a_field_is_its_length_and_its_bytes_or_nothing(void **state) {
    (void)state;
    char text[80];
    for (size_t size = 0; size <= sizeof text; size++) {
        CLEANUP(buf_drop) Buf buf;
        buf_init(&buf, 4 + sizeof text - 1);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(i * 7);
        buf_put_str_field(&buf, (Str){text, size});
        assert_int_equal(buf_overflowed(&buf), size == sizeof text); /* no length without its bytes */
        assert_int_equal(buf.size, size == sizeof text ? 0 : 4 + size);
        if (size == sizeof text)
            continue;
        assert_memory_equal(buf.data, "\0\0\0", 3);
        assert_int_equal(buf.data[3], size);
        assert_memory_equal(buf.data + 4, text, size);
        buf_clear(&buf);
        buf_put_str(&buf, (Str){text, size});
        assert_int_equal(buf.size, size);
        assert_memory_equal(buf.data, text, size);
    }
    CLEANUP(buf_drop) Buf buf;
    buf_init(&buf, 100);
    buf_put_str_field(&buf, STR_NULL);
    buf_put_i32_field(&buf, -2);
    buf_put_i64_field(&buf, 258);
    assert_int_equal(buf.size, 4 + 8 + 12);
    assert_memory_equal(buf.data, "\xFF\xFF\xFF\xFF\0\0\0\4\xFF\xFF\xFF\xFE\0\0\0\10\0\0\0\0\0\0\1\2", buf.size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewinding_gives_back_what_came_after_the_mark),
        cmocka_unit_test(pieces_that_grow_take_what_the_largest_needs),
        cmocka_unit_test(a_field_is_its_length_and_its_bytes_or_nothing),
        cmocka_unit_test(a_buffer_stops_at_its_maximum_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
