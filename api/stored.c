/* stored.c - see stored.h. */
#include "api/stored.h"

#include "api/page.h"

bool stored_list(Call *call, struct Pg *pg, ReportList list,
                 const char *const filters[REPORT_FILTERS_MAX], Error *err) {
    Page page;
    if (!page_read(call, &page))
        return true;
    ReportQuery query = {.limit = page.limit, .after = page.after};
    for (size_t i = 0; i < REPORT_FILTERS_MAX && filters[i]; i++)
        query.filters[i] = call_param(call, filters[i]);
    const char *next = NULL;
    Reply *reply = &call->reply;
    reply_text(reply, 200, "application/json", STR("{\"items\":["));
    TRY(report_list(pg, list, &query, call->arena, &reply->body, &next, err));
    if (next)
        buf_printf(&reply->body, "],\"next_cursor\":\"%s\"}\n", page_cursor(call, next));
    else
        buf_put_str(&reply->body, STR("],\"next_cursor\":null}\n"));
    return true;
}

bool stored_item(Call *call, struct Pg *pg, ReportItem item, Error *err) {
    int64_t id;
    bool found;
    if (!call_id_segment(call, 0, &id))
        return true;
    reply_text(&call->reply, 200, "application/json", STR(""));
    TRY(report_item(pg, item, id, &call->reply.body, &found, err));
    buf_put_byte(&call->reply.body, '\n');
    if (!found)
        reply_problem(&call->reply, 404, "there is nothing with this id");
    return true;
}
