#include "test.h"

#include "storage/member_cache.h"

#include <stdio.h>

typedef struct Name {
    char text[16];
    size_t size;
} Name;

static Name name_of(int number) {
    Name name;
    name.size = (size_t)snprintf(name.text, sizeof name.text, "P%07d", number);
    return name;
}

static MemberAnswer answer_of(int number) {
    return (MemberAnswer){.key = number == 7 ? INT64_C(1) << 62 : number, .birth_days = number % 3 ? -number : 0,
                          .has_birth = number % 3 != 0, .is_inferred = number % 5 == 0, .is_known = true,
                          .is_only = true};
}

static void put(MemberCache *cache, int number) {
    Name name = name_of(number);
    MemberAnswer answer = answer_of(number);
    member_cache_put(cache, (Str){name.text, name.size}, &answer);
}

/* 1: found, and right; 0: not found. */
static int find(const MemberCache *cache, int number) {
    Name name = name_of(number);
    MemberAnswer found, wanted = answer_of(number);
    if (!member_cache_find(cache, (Str){name.text, name.size}, &found))
        return 0;
    assert_int_equal(found.key, wanted.key);
    assert_int_equal(found.has_birth, wanted.has_birth);
    if (wanted.has_birth)
        assert_int_equal(found.birth_days, wanted.birth_days);
    assert_int_equal(found.is_inferred, wanted.is_inferred);
    assert_true(found.is_known && found.is_only);
    return 1;
}

static void what_was_put_is_found_as_it_was(void **state) {
    (void)state;
    MemberCache cache = {0};
    assert_int_equal(find(&cache, 1), 0);
    for (int i = 0; i < 100000; i++)
        put(&cache, i);
    int found = 0;
    for (int i = 0; i < 100000; i++)
        found += find(&cache, i);
    assert_in_range(found, 99900, 100000); /* a full window forgets */
    for (int i = 100000; i < 200000; i++)
        assert_int_equal(find(&cache, i), 0);
    member_cache_empty(&cache);
    assert_int_equal(find(&cache, 1), 0);
}

static void a_name_put_again_has_its_last_answer(void **state) {
    (void)state;
    MemberCache cache = {0};
    MemberAnswer answer = {.key = 1, .is_known = true, .is_only = true};
    member_cache_put(&cache, STR("P"), &answer);
    answer.key = 2;
    member_cache_put(&cache, STR("P"), &answer);
    assert_int_equal(cache.n_used, 1);
    assert_true(member_cache_find(&cache, STR("P"), &answer));
    assert_int_equal(answer.key, 2);
    member_cache_empty(&cache);
}

/* Twice as many names as there are slots: memory stays bounded, most slots serve, no answer is another's. */
static void more_names_than_slots_are_forgotten_never_mixed_up(void **state) {
    (void)state;
    MemberCache cache = {0};
    for (int i = 0; i < 2 * MEMBER_CACHE_MAX; i++)
        put(&cache, i);
    assert_int_equal(cache.n_slots, MEMBER_CACHE_MAX);
    int found = 0;
    for (int i = 0; i < 2 * MEMBER_CACHE_MAX; i++)
        found += find(&cache, i);
    assert_true(found > MEMBER_CACHE_MAX / 10 * 9 && found <= MEMBER_CACHE_MAX);
    member_cache_empty(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_as_it_was),
        cmocka_unit_test(a_name_put_again_has_its_last_answer),
        cmocka_unit_test(more_names_than_slots_are_forgotten_never_mixed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
