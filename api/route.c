/* route.c - see route.h. */
#include "api/route.h"

#include "api/resources.h"

#define PAGED "limit", "cursor"

const Route ROUTES[] = {
    {"GET", "/healthz", SCOPE_NONE, ROUTE_READS, health_alive, NULL, {0}},
    {"GET", "/readyz", SCOPE_NONE, ROUTE_READS, health_ready, NULL, {0}},
    {"GET", "/metrics", SCOPE_NONE, ROUTE_READS, health_metrics, NULL, {0}},
    {"GET", "/openapi.json", SCOPE_NONE, ROUTE_READS, contract_openapi, NULL, {0}},
    {"GET", "/", SCOPE_NONE, ROUTE_READS, contract_dashboard, NULL, {0}},
    {"GET", "/dashboard.js", SCOPE_NONE, ROUTE_READS, contract_script, NULL, {0}},
    {"GET", "/dashboard.css", SCOPE_NONE, ROUTE_READS, contract_style, NULL, {0}},
    {"GET", "/v1/status", SCOPE_READ, ROUTE_READS, status_get, NULL, {0}},
    {"GET", "/v1/jobs", SCOPE_READ, ROUTE_READS, jobs_list, NULL, {PAGED}},
    {"GET", "/v1/jobs/{job}", SCOPE_READ, ROUTE_READS, jobs_get, NULL, {0}},
    {"POST", "/v1/jobs/{job}/runs", SCOPE_OPERATE, ROUTE_STARTS, jobs_post_run, NULL, {0}},
    {"POST", "/v1/jobs/{job}/pause", SCOPE_OPERATE, ROUTE_CHANGES, jobs_post_pause, NULL, {0}},
    {"POST", "/v1/jobs/{job}/resume", SCOPE_OPERATE, ROUTE_CHANGES, jobs_post_resume, NULL, {0}},
    {"GET", "/v1/runs", SCOPE_READ, ROUTE_READS, NULL, runs_list,
     {PAGED, "job", "state", "since"}},
    {"GET", "/v1/runs/{id}", SCOPE_READ, ROUTE_READS, runs_get, runs_get_stored, {"wait"}},
    {"POST", "/v1/runs/{id}/cancel", SCOPE_OPERATE, ROUTE_CHANGES, runs_cancel, runs_cancel_stored,
     {0}},
    {"POST", "/v1/runs/{id}/approve", SCOPE_OPERATE, ROUTE_CHANGES, runs_approve, runs_approve_stored,
     {0}},
    {"POST", "/v1/runs/{id}/retry", SCOPE_OPERATE, ROUTE_STARTS, runs_retry, runs_retry_stored, {0}},
    {"GET", "/v1/sources", SCOPE_READ, ROUTE_READS, sources_list, NULL, {PAGED}},
    {"GET", "/v1/feeds/{feed}", SCOPE_READ, ROUTE_READS, feeds_get, feeds_get_stored, {0}},
    {"GET", "/v1/files", SCOPE_READ, ROUTE_READS, NULL, files_list, {PAGED, "feed", "state"}},
    {"POST", "/v1/files", SCOPE_OPERATE, ROUTE_TAKES_FILE, NULL, files_post, {"feed"}},
    {"GET", "/v1/files/{id}", SCOPE_READ, ROUTE_READS, files_get, files_get_stored, {"wait"}},
    {"POST", "/v1/files/{id}/replay", SCOPE_OPERATE, ROUTE_STARTS, files_replay, files_replay_stored, {0}},
    {"POST", "/v1/claims", SCOPE_OPERATE, ROUTE_TAKES_ROWS, claims_post, claims_place, {"feed", "source"}},
    {"GET", "/v1/quarantine", SCOPE_READ, ROUTE_READS, NULL, quarantine_counts, {PAGED, "feed"}},
    {"POST", "/v1/quarantine/replay", SCOPE_OPERATE, ROUTE_STARTS, quarantine_replay, quarantine_replay_stored, {0}},
    {"POST", "/v1/quarantine/{id}/dismiss", SCOPE_OPERATE, ROUTE_CHANGES, NULL, quarantine_dismiss_entry, {0}},
    {"GET", "/v1/quarantine/{id}", SCOPE_PHI, ROUTE_READS_PHI, NULL, quarantine_get, {0}},
    {"GET", "/v1/quality", SCOPE_READ, ROUTE_READS, NULL, quality_get, {PAGED}},
    {"GET", "/v1/rules", SCOPE_READ, ROUTE_READS, NULL, rules_list, {PAGED}},
    {"GET", "/v1/orphans", SCOPE_READ, ROUTE_READS, NULL, orphans_list, {PAGED, "entity", "orphan", "state"}},
    {"GET", "/v1/reports/quality", SCOPE_READ, ROUTE_READS, NULL, quality_report, {"format"}},
    {"GET", "/v1/kpis", SCOPE_READ, ROUTE_READS, NULL, kpis_list, {PAGED}},
    {"GET", "/v1/kpis/{kpi}", SCOPE_READ, ROUTE_READS, NULL, kpis_get, {"from", "to", "as_of", "by"}},
    {"GET", "/v1/lineage/{table}/{key}", SCOPE_PHI, ROUTE_READS_PHI, NULL, lineage_get, {0}},
    {"POST", "/v1/lineage/search", SCOPE_PHI, ROUTE_READS_PHI, NULL, lineage_search, {0}},
    {"GET", "/v1/patients/{patient_key}/versions", SCOPE_PHI, ROUTE_READS_PHI, NULL, patients_versions, {0}},
    {"POST", "/v1/patients/search", SCOPE_PHI, ROUTE_READS_PHI, NULL, patients_search, {0}},
    {"GET", "/v1/persons/review", SCOPE_PHI, ROUTE_READS_PHI, NULL, persons_review, {PAGED}},
    {"GET", "/v1/persons/{person_id}", SCOPE_PHI, ROUTE_READS_PHI, NULL, persons_get, {0}},
    {"POST", "/v1/persons/review/{id}/dismiss", SCOPE_OPERATE, ROUTE_CHANGES, NULL, persons_dismiss, {0}},
    {"POST", "/v1/persons/{person_id}/split", SCOPE_OPERATE, ROUTE_CHANGES, persons_decide, persons_split, {0}},
    {"POST", "/v1/persons/{person_id}/merge", SCOPE_OPERATE, ROUTE_CHANGES, persons_decide, persons_merge, {0}},
    {"GET", "/v1/audit", SCOPE_ADMIN, ROUTE_READS, NULL, audit_list, {PAGED, "who", "since", "object"}},
    {"GET", "/v1/audit/verify", SCOPE_ADMIN, ROUTE_READS, NULL, audit_verify_get, {"from", "known"}},
    {"GET", "/v1/holds", SCOPE_ADMIN, ROUTE_READS, NULL, holds_list, {PAGED, "state"}},
    {"GET", "/v1/holds/{id}", SCOPE_ADMIN, ROUTE_READS, NULL, holds_get, {0}},
    {"POST", "/v1/holds", SCOPE_ADMIN, ROUTE_STARTS, NULL, holds_post, {0}},
    {"DELETE", "/v1/holds/{id}", SCOPE_ADMIN, ROUTE_CHANGES, NULL, holds_delete, {0}},
    {"GET", "/v1/publications", SCOPE_READ, ROUTE_READS, NULL, publications_list, {PAGED}},
    {"GET", "/v1/reconciliations", SCOPE_READ, ROUTE_READS, NULL, reconciliations_list, {PAGED}},
    {"GET", "/v1/config", SCOPE_ADMIN, ROUTE_READS, config_get, NULL, {0}},
    {"POST", "/v1/config/reload", SCOPE_ADMIN, ROUTE_CHANGES, config_post_reload, NULL, {0}},
};
const size_t N_ROUTES = sizeof ROUTES / sizeof *ROUTES;

/* One segment of the pattern; false at its end. `at` begins at a slash. */
static bool next_segment(const char **at, Str *ret_segment) {
    if (**at != '/')
        return false;
    const char *begin = *at + 1;
    const char *end = strchrnul(begin, '/');
    *ret_segment = (Str){begin, (size_t)(end - begin)};
    *at = end;
    return true;
}

static bool matches(const char *pattern, const Uri *uri, Str *ret_segments) {
    Str part;
    size_t n = 0, n_taken = 0;
    while (next_segment(&pattern, &part)) {
        if (n == uri->n_segments)
            return false;
        Str actual = uri->segments[n++];
        bool is_open = part.size > 0 && part.at[0] == '{';
        if (is_open ? actual.size == 0 : !str_equal(part, actual))
            return false;
        if (is_open)
            ret_segments[n_taken++] = actual;
    }
    return n == uri->n_segments;
}

static void add_allowed(char *allow, const char *method) {
    snprintf(allow + strlen(allow), ROUTE_ALLOW_BYTES - strlen(allow), "%s%s%s",
             *allow ? ", " : "", method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

RouteOutcome route_find(const char *method, const Uri *uri, const Route **ret_route,
                        Str *ret_segments, char *ret_allow) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    *ret_allow = 0;
    for (size_t i = 0; i < N_ROUTES; i++) {
        Str segments[2] = {STR_NULL, STR_NULL};
        if (!matches(ROUTES[i].pattern, uri, segments))
            continue;
        if (strcmp(ROUTES[i].method, wanted) == 0) {
            *ret_route = &ROUTES[i];
            memcpy(ret_segments, segments, sizeof segments);
            return ROUTE_FOUND;
        }
        add_allowed(ret_allow, ROUTES[i].method);
    }
    return *ret_allow ? ROUTE_WRONG_METHOD : ROUTE_NOT_FOUND;
}

bool route_knows_param(const Route *route, Str name) {
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && route->params[i]; i++)
        if (str_equal(str_of(route->params[i]), name))
            return true;
    return false;
}
