/* call.c - see call.h. */
#include "api/call.h"

#include "base/clock.h"
#include "transform/date.h"

#include <stdio.h>

enum { WAIT_MAX_S = 60 };

const char *call_param(Call *call, const char *name) {
    Str value = uri_param(&call->uri, name);
    return str_is_null(value) ? NULL : arena_string(call->arena, value);
}

const char *call_segment(Call *call, size_t index) {
    return arena_string(call->arena, call->segment[index]);
}

bool call_id_segment(Call *call, size_t index, int64_t *ret_id) {
    int64_t id;
    if (str_to_int64(call->segment[index], &id) && id > 0) {
        *ret_id = id;
        return true;
    }
    reply_problem(&call->reply, 404, "there is nothing with this id");
    return false;
}

bool call_read_wait(Call *call) {
    const char *wait = call_param(call, "wait");
    int64_t seconds;
    if (!wait || call->wait_until_us)
        return true;
    if (!str_to_int64(str_of(wait), &seconds) || seconds < 0 || seconds > WAIT_MAX_S)
        return reply_input_error(&call->reply, "?wait", "seconds from 0 to %d", WAIT_MAX_S);
    call->wait_until_us = clock_monotonic_us() + seconds * 1000000;
    return true;
}

bool call_is_date(const char *text) {
    int year, month, day, end = 0;
    return sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) == 3 && end == 10 &&
           strlen(text) == 10 && date_is_valid((CivilDate){year, month, day});
}

bool call_is_instant(const char *text) {
    int year, month, day, end = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end != 10)
        return false;
    return !text[10] || (text[10] == 'T' && strspn(text + 11, "0123456789:.+-Z") == strlen(text + 11));
}

json_t *json_instant(int64_t wall_us) {
    if (wall_us == 0)
        return json_null();
    char text[CLOCK_TEXT_BYTES];
    clock_format_utc(wall_us, text);
    return json_string(text);
}

json_t *json_text(const char *text) { return text ? json_string(text) : json_null(); }

json_t *json_id(int64_t id) { return json_sprintf("%lld", (long long)id); }
