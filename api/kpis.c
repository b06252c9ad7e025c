/* kpis.c - /v1/kpis: the figures, with numerator, denominator and definition version, or what is missing. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/own.h"

bool kpis_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_KPIS, (const char *const[3]){NULL}, err);
}

static bool date_param(Call *call, const char *name, const char **ret_date) {
    *ret_date = call_param(call, name);
    return !*ret_date || call_is_date(*ret_date) ||
           reply_input_error(&call->reply, arena_printf(call->arena, "?%s", name),
                             "must be a date like 2026-01-31");
}

/* "month,payer_name" as an array literal; NULL stays NULL. */
static bool by_param(Call *call, const char **ret_by, Error *err) {
    char *words = (char *)(uintptr_t)call_param(call, "by"); /* the arena's copy */
    *ret_by = NULL;
    if (!words)
        return true;
    CLEANUP(buf_drop) Buf array = pg_array(4096);
    for (const char *word; (word = strsep(&words, ","));)
        pg_array_text(&array, str_of(word));
    const char *literal = pg_array_end(&array, err);
    if (literal)
        *ret_by = arena_string(call->arena, str_of(literal));
    return literal != NULL;
}

static bool read_question(Call *call, KpiQuestion *ret_question) {
    ret_question->name = call_segment(call, 0);
    bool fine = date_param(call, "as_of", &ret_question->as_of);
    fine = date_param(call, "from", &ret_question->from) && fine;
    return date_param(call, "to", &ret_question->to) && fine;
}

static bool answer_figures(Call *call, const KpiQuestion *question, const KpiAnswer *answer,
                           const Buf *items, Error *err) {
    json_t *figures = json_loadb(items->data, items->size, JSON_DECODE_ANY, NULL);
    if (!figures)
        return error_set(err, STATE_RESOURCES, "the figure's rows are more than an answer may hold");
    reply_json(&call->reply, 200,
               json_pack("{s:s, s:o, s:o}", "kpi", question->name, "as_of",
                         json_text(answer->as_of ? answer->as_of : question->as_of), "items",
                         figures));
    return true;
}

bool kpis_get(Call *call, struct Pg *pg, Error *err) {
    KpiQuestion question = {0};
    KpiAnswer answer;
    if (!read_question(call, &question))
        return true;
    TRY(by_param(call, &question.by, err));
    CLEANUP(buf_done) Buf items;
    buf_init(&items, REPLY_MAX_BYTES);
    TRY(report_kpi(pg, &question, call->arena, &items, &answer, err));
    if (!answer.is_known)
        reply_problem(&call->reply, 404, "there is no such figure");
    else if (answer.no_dimension)
        reply_input_error(&call->reply, "?by", "the figures have no dimension %s",
                          answer.no_dimension);
    else
        return answer_figures(call, &question, &answer, &items, err);
    return true;
}
