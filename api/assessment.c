/* assessment.c - /v1/reports/quality: the data quality assessment, as JSON or as a page with pictures.
 *
 * The page is HTML with inline SVG: no script, no style, nothing that is loaded, under a policy that lets nothing of the
 * kind in. Whatever comes from the store or the configuration goes through put_text(). */
#include "api/resources.h"
#include "base/own.h"
#include "storage/report.h"

#include <math.h>

static const char POLICY[] = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
enum { BAR_LABEL_PX = 220, BAR_PX = 400, BAR_LINE_PX = 22, TREND_WIDTH_PX = 620, TREND_HEIGHT_PX = 90 };

/* ---- text ---- */

/* As HTML and XML hold it, in elements and between double quotes. */
static void put_text(Buf *out, const char *text) {
    for (; *text; text++) {
        const char *escaped = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;"
                            : *text == '"' ? "&quot;" : *text == '\'' ? "&#39;" : NULL;
        if (escaped)
            buf_put_str(out, str_of(escaped));
        else
            buf_put_byte(out, (uint8_t)*text);
    }
}

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static long long whole_of(const json_t *object, const char *name) { return (long long)number_of(object, name); }

static void put_element(Buf *out, const char *element, const char *text) {
    buf_printf(out, "<%s>", element);
    put_text(out, text);
    buf_printf(out, "</%s>\n", element);
}

/* Never rounded up to a whole: 99.996 % is not all. A share of whole hundredths is a little less in binary (0.819), and
 * what is added is less than any row's share. */
static void put_percent(Buf *out, double share) {
    double percent = share < 1 ? floor(share * 10000 + 1e-6) / 100 : 100;
    buf_printf(out, "%.2f %%", percent);
}

/* ---- pictures ---- */

typedef struct Bar {
    const char *label;
    double share;
    const char *text; /* behind it; NULL: the share */
} Bar;

static void open_picture(Buf *out, int width, int height, const char *title) {
    buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
               "font-family=\"sans-serif\" font-size=\"13\"><title>", width, height, width, height);
    put_text(out, title);
    buf_put_str(out, STR("</title>\n"));
}

static void put_bar(Buf *out, const Bar *bar, int line) {
    double share = bar->share < 0 ? 0 : bar->share > 1 ? 1 : bar->share;
    int y = line * BAR_LINE_PX;
    const char *colour = share >= 0.99 ? "#2e7d32" : share >= 0.9 ? "#f9a825" : "#c62828";
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", BAR_LABEL_PX - 8, y + 15);
    put_text(out, bar->label);
    buf_printf(out, "</text><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"16\" fill=\"#eceff1\"/>"
               "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"16\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">",
               BAR_LABEL_PX, y + 2, BAR_PX, BAR_LABEL_PX, y + 2, share * BAR_PX, colour, BAR_LABEL_PX + BAR_PX + 8, y + 15);
    if (bar->text)
        put_text(out, bar->text);
    else
        put_percent(out, bar->share);
    buf_put_str(out, STR("</text>\n"));
}

static void put_bars(Buf *out, const char *title, const Bar *bars, size_t n) {
    open_picture(out, BAR_LABEL_PX + BAR_PX + 120, (int)n * BAR_LINE_PX + 4, title);
    for (size_t i = 0; i < n; i++)
        put_bar(out, &bars[i], (int)i);
    buf_put_str(out, STR("</svg>\n"));
}

/* From the least to the greatest of the scores; a line that stays level says so. */
static void put_trend(Buf *out, const json_t *points) {
    size_t n = json_array_size(points), i;
    double least = 1, most = 0;
    const json_t *point;
    json_array_foreach(points, i, point) {
        least = fmin(least, number_of(point, "score"));
        most = fmax(most, number_of(point, "score"));
    }
    if (n < 2)
        return;
    double span = most - least > 0 ? most - least : 1, step = (TREND_WIDTH_PX - 20.0) / (double)(n - 1);
    open_picture(out, TREND_WIDTH_PX, TREND_HEIGHT_PX, "overall score over time");
    buf_put_str(out, STR("<polyline fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\" points=\""));
    json_array_foreach(points, i, point)
        buf_printf(out, "%.1f,%.1f ", 10 + (double)i * step,
                   TREND_HEIGHT_PX - 24 - (number_of(point, "score") - least) / span * (TREND_HEIGHT_PX - 44));
    buf_put_str(out, STR("\"/>\n<text x=\"10\" y=\"86\">"));
    put_text(out, text_of(json_array_get(points, 0), "at"));
    buf_printf(out, "</text><text x=\"%d\" y=\"86\" text-anchor=\"end\">", TREND_WIDTH_PX - 10);
    put_text(out, text_of(json_array_get(points, n - 1), "at"));
    buf_put_str(out, STR("</text><text x=\"10\" y=\"14\">"));
    put_percent(out, least);
    buf_put_str(out, STR(" to "));
    put_percent(out, most);
    buf_put_str(out, STR("</text></svg>\n"));
}

/* ---- the parts of the page ---- */

static Bar *new_bars(Call *call, const json_t *items) {
    return ARENA_ARRAY(call->arena, Bar, json_array_size(items) + 1);
}

static void put_accepted(Call *call, Buf *out, const json_t *items) {
    Bar *bars = new_bars(call, items);
    size_t i;
    const json_t *item;
    put_element(out, "h2", "Rows accepted of rows received");
    json_array_foreach(items, i, item) {
        bars[i] = (Bar){arena_printf(call->arena, "%s, %s", text_of(item, "entity"), text_of(item, "source_system")),
                        number_of(item, "share"), NULL};
    }
    put_bars(out, "rows accepted of rows received", bars, i);
    buf_put_str(out, STR("<ul>\n"));
    json_array_foreach(items, i, item)
        put_element(out, "li", arena_printf(call->arena, "%s, %s: %lld of %lld", text_of(item, "entity"),
                                            text_of(item, "source_system"), whole_of(item, "accepted"), whole_of(item, "received")));
    buf_put_str(out, STR("</ul>\n"));
}

static void put_row(Buf *out, const char *const *cells, size_t n) {
    buf_put_str(out, STR("<tr>"));
    for (size_t i = 0; i < n; i++)
        put_element(out, "td", cells[i]);
    buf_put_str(out, STR("</tr>\n"));
}

static void put_broken(Call *call, Buf *out, const json_t *items) {
    size_t i;
    const json_t *item;
    if (json_array_size(items) == 0)
        return;
    buf_put_str(out, STR("<table border=\"1\" cellpadding=\"4\">\n<tr><th>rule</th><th>what holds of a good row</th>"
                         "<th>dimension</th><th>severity</th><th>rows asked</th><th>rows that break it</th></tr>\n"));
    json_array_foreach(items, i, item) {
        const char *const cells[] = {text_of(item, "rule"), text_of(item, "says"), text_of(item, "dimension"),
                                     text_of(item, "severity"), arena_printf(call->arena, "%lld", whole_of(item, "checked")),
                                     arena_printf(call->arena, "%lld", whole_of(item, "failed"))};
        put_row(out, cells, sizeof cells / sizeof *cells);
    }
    buf_put_str(out, STR("</table>\n"));
}

static void put_columns(Call *call, Buf *out, const json_t *items) {
    Bar *bars = new_bars(call, items);
    size_t i, n = 0;
    const json_t *item;
    json_array_foreach(items, i, item)
        if (number_of(item, "filled") > 0)
            bars[n++] = (Bar){text_of(item, "column"), number_of(item, "filled") / number_of(item, "rows"), NULL};
    put_element(out, "h4", "How columns are filled");
    put_bars(out, "share of rows in which a column is filled", bars, n);
}

static void put_feed(Call *call, Buf *out, const json_t *feed) {
    const json_t *scores = json_object_get(feed, "scores"), *score;
    Bar *bars = new_bars(call, scores);
    size_t i;
    json_array_foreach(scores, i, score)
        bars[i] = (Bar){text_of(score, "dimension"), number_of(score, "score"), NULL};
    put_element(out, "h3", text_of(feed, "feed"));
    put_bars(out, "share of checks passed", bars, i);
    put_trend(out, json_object_get(feed, "trend"));
    put_broken(call, out, json_object_get(feed, "broken"));
    put_columns(call, out, json_object_get(feed, "columns"));
}

static void put_versions(Call *call, Buf *out, const json_t *items) {
    Bar *bars = new_bars(call, items);
    size_t i;
    const json_t *item;
    double most = 1;
    json_array_foreach(items, i, item)
        most = fmax(most, number_of(item, "members"));
    json_array_foreach(items, i, item)
        bars[i] = (Bar){arena_printf(call->arena, "%s, %s: %lld", text_of(item, "entity"), text_of(item, "source_system"),
                                     whole_of(item, "versions")),
                        number_of(item, "members") / most, arena_printf(call->arena, "%lld", whole_of(item, "members"))};
    put_element(out, "h2", "Versions of patients and providers");
    put_bars(out, "members by their number of versions", bars, i);
}

static void put_orphans(Call *call, Buf *out, const json_t *items) {
    size_t i;
    const json_t *item;
    put_element(out, "h2", "Rows whose parent is missing");
    buf_put_str(out, STR("<table border=\"1\" cellpadding=\"4\">\n<tr><th>table</th><th>what is missing</th><th>source</th>"
                         "<th>open</th><th>oldest</th><th>over a day</th><th>over a week</th><th>resolved</th></tr>\n"));
    json_array_foreach(items, i, item) {
        const char *const cells[] = {
            text_of(item, "entity"), text_of(item, "orphan"), text_of(item, "source_system"),
            arena_printf(call->arena, "%lld", whole_of(item, "open")), text_of(item, "oldest_at"),
            arena_printf(call->arena, "%lld", whole_of(item, "older_than_a_day")),
            arena_printf(call->arena, "%lld", whole_of(item, "older_than_a_week")),
            arena_printf(call->arena, "%lld", whole_of(item, "resolved"))};
        put_row(out, cells, sizeof cells / sizeof *cells);
    }
    buf_put_str(out, STR("</table>\n"));
}

static void put_page(Call *call, Buf *out, const json_t *report) {
    const json_t *feeds = json_object_get(report, "feeds"), *feed;
    size_t i;
    buf_put_str(out, STR("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Data quality</title></head>\n"
                         "<body>\n<h1>Data quality</h1>\n"));
    put_element(out, "p", arena_printf(call->arena, "As of %s.", text_of(report, "taken_at")));
    put_accepted(call, out, json_object_get(report, "accepted"));
    put_element(out, "h2", "Scores");
    json_array_foreach(feeds, i, feed)
        put_feed(call, out, feed);
    put_orphans(call, out, json_object_get(report, "orphans"));
    put_versions(call, out, json_object_get(report, "versions"));
    buf_put_str(out, STR("</body></html>\n"));
}

/* ---- the route ---- */

static void json_drop(json_t **owner) { json_decref(*owner); }

bool quality_report(Call *call, struct Pg *pg, Error *err) {
    const char *format = call_param(call, "format");
    if (format && strcmp(format, "html") != 0 && strcmp(format, "json") != 0) {
        reply_input_error(&call->reply, "?format", "must be html or json");
        return true;
    }
    Reply *reply = &call->reply;
    reply_text(reply, 200, "application/json", STR(""));
    TRY(report_assessment(pg, &reply->body, err));
    if (format && strcmp(format, "json") == 0)
        return true;
    CLEANUP(json_drop) json_t *report = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    if (!report)
        return error_set(err, STATE_BUG, "the quality report is no JSON");
    reply_text(reply, 200, "text/html; charset=utf-8", STR(""));
    put_page(call, &reply->body, report);
    reply_header(reply, "Content-Security-Policy", POLICY);
    reply_header(reply, "Referrer-Policy", "no-referrer");
    return true;
}
