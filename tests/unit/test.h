/* test.h - cmocka with its headers in the order it wants. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(actual, expected)                                   \
    do {                                                               \
        Str actual_ = (actual);                                        \
        const char *expected_ = (expected);                            \
        assert_int_equal(actual_.at == NULL, expected_ == NULL);       \
        if (expected_) {                                               \
            assert_int_equal(actual_.size, strlen(expected_));         \
            assert_memory_equal(actual_.at, expected_, actual_.size);  \
        }                                                              \
    } while (0)
