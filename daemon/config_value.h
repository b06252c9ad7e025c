/* config_value.h - what the texts of a configuration mean. Pure, but for the environment. */
#pragma once
#include "base/arena.h"

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_DAY (86400 * MS_PER_SECOND)

/* "500ms", "30s", "5m", "24h", "7d", "2w", "6y" (of 365 days), or "0". */
bool value_parse_duration(const char *text, int64_t *ret_ms);
/* "4096", "64KiB", "4MiB", "1GiB", "1TiB"; KB, MB, GB, TB count in thousands. */
bool value_parse_size(const char *text, int64_t *ret_bytes);
/* As they would be written. */
#define VALUE_TEXT_BYTES 32
void value_print_duration(int64_t ms, char *ret_text);
void value_print_size(int64_t size_bytes, char *ret_text);
/* host:port, [v6]:port, or the absolute path of a socket. */
bool value_is_address(const char *text);

/* Every ${NAME} replaced; NULL when a variable is not set, and then `ret_missing` names it, or is NULL
 * when a brace is not closed. */
const char *value_expand(Arena *arena, const char *text, const char **ret_missing);
/* NAME when the text is ${NAME} and nothing else; NULL otherwise. */
const char *value_variable(Arena *arena, const char *text);
