/* stored.h - what the routes over report.h have in common: a page of a list, one item. On a worker. */
#pragma once
#include "api/call.h"
#include "storage/report.h"

/* Answers {"items": […], "next_cursor": …}; `filters` are query parameters in the list's order. */
bool stored_list(Call *call, struct Pg *pg, ReportList list,
                 const char *const filters[REPORT_FILTERS_MAX], Error *err);
/* Answers the item whose id stands in the path, or 404. */
bool stored_item(Call *call, struct Pg *pg, ReportItem item, Error *err);
