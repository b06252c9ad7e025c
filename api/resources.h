/* resources.h - the handlers of all routes, by file. See call.h for what they may do. */
#pragma once
#include "api/call.h"

/* health.c */
Handling health_alive(Call *call, Error *err);
Handling health_ready(Call *call, Error *err);
Handling health_metrics(Call *call, Error *err);
/* contract.c */
Handling contract_openapi(Call *call, Error *err);
Handling contract_dashboard(Call *call, Error *err);
Handling contract_script(Call *call, Error *err);
Handling contract_style(Call *call, Error *err);
/* status.c */
Handling status_get(Call *call, Error *err);
/* jobs.c */
Handling jobs_list(Call *call, Error *err);
Handling jobs_get(Call *call, Error *err);
Handling jobs_post_run(Call *call, Error *err);
Handling jobs_post_pause(Call *call, Error *err);
Handling jobs_post_resume(Call *call, Error *err);
/* Answers with the new run, or why there is none; CONTROL_UNKNOWN (no such job) is the caller's to answer. */
ControlOutcome jobs_start_run(Call *call, const ControlTrigger *trigger);
/* A job's last run, as /v1/runs/{id} shows it; JSON null for id 0. */
json_t *run_json(const RunView *run);
/* sources.c */
Handling sources_list(Call *call, Error *err);
Handling feeds_get(Call *call, Error *err);
bool feeds_get_stored(Call *call, struct Pg *pg, Error *err);
/* runs.c */
bool runs_list(Call *call, struct Pg *pg, Error *err);
Handling runs_get(Call *call, Error *err);
bool runs_get_stored(Call *call, struct Pg *pg, Error *err);
Handling runs_cancel(Call *call, Error *err);
bool runs_cancel_stored(Call *call, struct Pg *pg, Error *err);
Handling runs_approve(Call *call, Error *err);
bool runs_approve_stored(Call *call, struct Pg *pg, Error *err);
Handling runs_retry(Call *call, Error *err);
bool runs_retry_stored(Call *call, struct Pg *pg, Error *err);
/* files.c */
bool files_list(Call *call, struct Pg *pg, Error *err);
Handling files_get(Call *call, Error *err);
bool files_get_stored(Call *call, struct Pg *pg, Error *err);
/* With the head of an upload: makes call->upload, or fills the reply and is false. */
bool files_expect(Call *call);
bool files_post(Call *call, struct Pg *pg, Error *err);
Handling files_replay(Call *call, Error *err);
bool files_replay_stored(Call *call, struct Pg *pg, Error *err);
/* ledgers.c */
bool publications_list(Call *call, struct Pg *pg, Error *err);
bool reconciliations_list(Call *call, struct Pg *pg, Error *err);
bool quality_get(Call *call, struct Pg *pg, Error *err);
bool rules_list(Call *call, struct Pg *pg, Error *err);
bool orphans_list(Call *call, struct Pg *pg, Error *err);
/* assessment.c */
bool quality_report(Call *call, struct Pg *pg, Error *err);
/* claims.c */
Handling claims_post(Call *call, Error *err);
bool claims_place(Call *call, struct Pg *pg, Error *err);
/* persons.c */
bool persons_get(Call *call, struct Pg *pg, Error *err);
bool persons_review(Call *call, struct Pg *pg, Error *err);
bool persons_dismiss(Call *call, struct Pg *pg, Error *err);
/* What people decide of persons: figures follow. */
Handling persons_decide(Call *call, Error *err);
bool persons_split(Call *call, struct Pg *pg, Error *err);
bool persons_merge(Call *call, struct Pg *pg, Error *err);
/* holds.c */
bool holds_list(Call *call, struct Pg *pg, Error *err);
bool holds_get(Call *call, struct Pg *pg, Error *err);
bool holds_post(Call *call, struct Pg *pg, Error *err);
bool holds_delete(Call *call, struct Pg *pg, Error *err);
/* quarantine.c */
bool quarantine_counts(Call *call, struct Pg *pg, Error *err);
bool quarantine_get(Call *call, struct Pg *pg, Error *err);
Handling quarantine_replay(Call *call, Error *err);
bool quarantine_replay_stored(Call *call, struct Pg *pg, Error *err);
bool quarantine_dismiss_entry(Call *call, struct Pg *pg, Error *err);
/* config.c */
Handling config_get(Call *call, Error *err);
Handling config_post_reload(Call *call, Error *err);
/* audit.c */
bool audit_list(Call *call, struct Pg *pg, Error *err);
bool audit_verify_get(Call *call, struct Pg *pg, Error *err);
/* lineage.c */
bool patients_versions(Call *call, struct Pg *pg, Error *err);
bool patients_search(Call *call, struct Pg *pg, Error *err);
bool lineage_get(Call *call, struct Pg *pg, Error *err);
bool lineage_search(Call *call, struct Pg *pg, Error *err);
/* kpis.c */
bool kpis_list(Call *call, struct Pg *pg, Error *err);
bool kpis_get(Call *call, struct Pg *pg, Error *err);
