/* openlineage.c - see openlineage.h. The facets are of the versions that their URLs say. */
#include "openlineage.h"

#include "base/clock.h"
#include "base/own.h"
#include "storage/bigquery.h"
#include "storage/star.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PRODUCER "urn:revcycled:" REVCYCLED_VERSION
#define SPEC "https://openlineage.io/spec/"

enum { TEXT_BYTES = 512, UUID_TEXT_BYTES = 37 };

typedef struct Teller {
    const LineageHouse *house;
    const Run *run;
    Arena *arena;
    json_t *inputs, *outputs;
} Teller;

/* ---- pieces ---- */

static json_t *facet(const char *schema) {
    return json_pack("{s:s, s:s}", "_producer", PRODUCER, "_schemaURL", schema);
}

static json_t *instant(int64_t wall_us) {
    char text[CLOCK_TEXT_BYTES];
    clock_format_utc(wall_us, text);
    return json_string(text);
}

/* A version 8 UUID (RFC 9562): the same of a run whoever tells it, and another of another database's. */
static json_t *run_uuid(const Teller *t) {
    const Run *run = t->run;
    const char *name = arena_printf(t->arena, "%s|%s|%s|%s|%lld|%lld", t->house->namespace, t->house->store,
                                    t->house->database, run->job, (long long)run->id, (long long)run->queued_us);
    XXH128_hash_t hash = XXH3_128bits(name, strlen(name));
    uint64_t high = (hash.high64 & ~UINT64_C(0xf000)) | UINT64_C(0x8000);
    uint64_t low = (hash.low64 & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    char text[UUID_TEXT_BYTES];
    snprintf(text, sizeof text, "%08llx-%04llx-%04llx-%04llx-%012llx", (unsigned long long)(high >> 32),
             (unsigned long long)(high >> 16 & 0xffff), (unsigned long long)(high & 0xffff),
             (unsigned long long)(low >> 48), (unsigned long long)(low & UINT64_C(0xffffffffffff)));
    return json_string(text);
}

static json_t *data_source(const char *address, const char *uri) {
    json_t *source = facet(SPEC "facets/1-0-1/DatasourceDatasetFacet.json#/$defs/DatasourceDatasetFacet");
    json_object_set_new(source, "name", json_string(address));
    json_object_set_new(source, "uri", json_string(uri));
    return source;
}

/* {namespace, name, facets: {}}: borrowed, `list` has it. */
static json_t *add_dataset(json_t *list, const char *address, const char *name) {
    json_t *dataset = json_pack("{s:s, s:s, s:{}}", "namespace", address, "name", name, "facets");
    json_array_append_new(list, dataset);
    return dataset;
}

static void set_facet(json_t *dataset, const char *name, json_t *value) {
    json_object_set_new(json_object_get(dataset, "facets"), name, value);
}

/* ---- schemas ---- */

static const char *type_in_store(ColumnType type) {
    static const char *const TYPES[] = {
        [TYPE_TEXT] = "text", [TYPE_DATE] = "date", [TYPE_TIMESTAMP] = "timestamptz", [TYPE_MONEY] = "numeric(14,2)",
        [TYPE_PERCENT] = "numeric(7,2)", [TYPE_INT] = "int", [TYPE_BIGINT] = "bigint", [TYPE_BOOL] = "boolean",
        [TYPE_TEXTS] = "text[]", [TYPE_UUID] = "uuid", [TYPE_BYTES] = "bytea",
    };
    return TYPES[type];
}

static json_t *new_schema(void) {
    json_t *schema = facet(SPEC "facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet");
    json_object_set_new(schema, "fields", json_array());
    return schema;
}

static void add_field(json_t *schema, const char *name, const char *type, const char *description) {
    json_t *field = json_pack("{s:s}", "name", name);
    if (type)
        json_object_set_new(field, "type", json_string(type));
    if (description)
        json_object_set_new(field, "description", json_string(description));
    json_array_append_new(json_object_get(schema, "fields"), field);
}

static json_t *silver_schema(const Entity *entity) {
    json_t *schema = new_schema();
    for (int i = 0; i < entity->n_columns; i++)
        if (column_is_stored(&entity->columns[i]))
            add_field(schema, entity->columns[i].name, type_in_store(entity->columns[i].type), entity->columns[i].description);
    return schema;
}

/* The columns that the mapping reads, each once: of others this house knows nothing. */
static json_t *read_schema(const MappingSpec *mapping) {
    json_t *schema = new_schema(), *seen = json_object();
    for (size_t i = 0; i < mapping->n_columns; i++)
        for (size_t k = 0; k < mapping->columns[i].n_from; k++) {
            const char *name = mapping->columns[i].from[k];
            if (json_object_get(seen, name))
                continue;
            json_object_set_new(seen, name, json_true());
            add_field(schema, name, NULL, NULL);
        }
    json_decref(seen);
    return schema;
}

/* ---- which column comes from which ---- */

static json_t *new_column_lineage(void) {
    json_t *lineage = facet(SPEC "facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet");
    json_object_set_new(lineage, "fields", json_object());
    return lineage;
}

static json_t *input_field(const json_t *dataset, const char *field, const char *subtype, const char *description) {
    json_t *change = json_pack("{s:s, s:s, s:b}", "type", "DIRECT", "subtype", subtype, "masking", 0);
    if (description)
        json_object_set_new(change, "description", json_string(description));
    return json_pack("{s:O, s:O, s:s, s:[o]}", "namespace", json_object_get(dataset, "namespace"), "name",
                     json_object_get(dataset, "name"), "field", field, "transformations", change);
}

/* The cleaners by name; NULL: those that the column's type has by default. */
static const char *cleaners_of(Arena *arena, const MapSpec *column) {
    const char *text = NULL;
    for (size_t i = 0; i < column->n_clean; i++)
        text = text ? arena_printf(arena, "%s, %s", text, column->clean[i].name) : column->clean[i].name;
    return text;
}

static json_t *mapped_columns(Arena *arena, const MappingSpec *mapping, const json_t *input) {
    json_t *lineage = new_column_lineage(), *fields = json_object_get(lineage, "fields");
    for (size_t i = 0; i < mapping->n_columns; i++) {
        const MapSpec *column = &mapping->columns[i];
        json_t *from = json_array();
        for (size_t k = 0; k < column->n_from; k++)
            json_array_append_new(from, input_field(input, column->from[k], "TRANSFORMATION", cleaners_of(arena, column)));
        json_object_set_new(fields, column->column, json_pack("{s:o}", "inputFields", from));
    }
    return lineage;
}

/* ---- datasets of the store ---- */

static json_t *add_in_store(Teller *t, json_t *list, const char *schema, const char *table) {
    return add_dataset(list, t->house->store, arena_printf(t->arena, "%s.%s.%s", t->house->database, schema, table));
}

static void describe_store(Teller *t, json_t *dataset) {
    set_facet(dataset, "dataSource",
              data_source(t->house->store, arena_printf(t->arena, "%s/%s", t->house->store, t->house->database)));
}

static json_t *add_silver(Teller *t, json_t *list, const Entity *entity) {
    json_t *dataset = add_in_store(t, list, "silver", entity->name);
    describe_store(t, dataset);
    set_facet(dataset, "schema", silver_schema(entity));
    return dataset;
}

static void add_bronze(Teller *t, const char *feed) {
    const char *dot = strchr(feed, '.');
    const char *name = dot ? arena_printf(t->arena, "%.*s__%s", (int)(dot - feed), feed, dot + 1) : feed;
    describe_store(t, add_in_store(t, t->outputs, "bronze", name));
}

/* What a feed's rows become, column by column. */
static void add_clean(Teller *t, const MappingSpec *mapping, const json_t *input) {
    json_t *dataset = add_silver(t, t->outputs, mapping->entity);
    set_facet(dataset, "columnLineage", mapped_columns(t->arena, mapping, input));
    json_t *statistics = facet(SPEC "facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/"
                               "OutputStatisticsOutputDatasetFacet");
    json_object_set_new(statistics, "rowCount", json_integer(t->run->counts.rows_changed));
    json_object_set_new(dataset, "outputFacets", json_pack("{s:o}", "outputStatistics", statistics));
}

/* ---- by kind of job ---- */

static void tell_table(Teller *t) {
    const FeedConfig *feed = t->run->feed;
    const SourceConfig *source = feed->source;
    const char *host = source->host ? source->host : "localhost";
    const char *address = arena_printf(t->arena, "mysql://%s:%d", host, source->port);
    const char *database = source->database ? source->database : "";
    json_t *input = add_dataset(t->inputs, address, arena_printf(t->arena, "%s.%s", database, feed->table));
    set_facet(input, "dataSource", data_source(address, arena_printf(t->arena, "%s/%s", address, database)));
    set_facet(input, "schema", read_schema(&feed->mapping));
    add_bronze(t, feed->name);
    add_clean(t, &feed->mapping, input);
}

static void tell_files(Teller *t) {
    const ClaimsConfig *claims = t->run->claims;
    json_t *input = add_dataset(t->inputs, "file", claims->directory);
    set_facet(input, "dataSource", data_source("file", arena_printf(t->arena, "file://%s", claims->directory)));
    set_facet(input, "schema", read_schema(&claims->mapping));
    add_bronze(t, claims->name);
    add_clean(t, &claims->mapping, input);
}

static void tell_settle(Teller *t) {
    for (int i = 0; i < N_ENTITIES; i++) {
        describe_store(t, add_in_store(t, t->inputs, "silver", ENTITIES[i].name));
        add_silver(t, t->outputs, &ENTITIES[i]);
    }
}

static void tell_reference(Teller *t) {
    describe_store(t, add_in_store(t, t->inputs, "ref", "npi"));
    describe_store(t, add_in_store(t, t->inputs, "ref", "code"));
    for (int i = 0; i < REFERENCES; i++)
        if (t->run->config->references[i].enabled)
            add_silver(t, t->outputs, entity_find(str_of(REFERENCE_KINDS[i].table)));
}

static void tell_publication(Teller *t) {
    const BigQueryConfig *bigquery = &t->run->config->bigquery;
    for (int i = 0; i < N_ENTITIES; i++) {
        json_t *input = add_in_store(t, t->inputs, "gold", ENTITIES[i].gold);
        describe_store(t, input);
        json_t *output = add_dataset(t->outputs, "bigquery", arena_printf(t->arena, "%s.%s.%s", bigquery->project,
                                                                          bigquery->dataset, ENTITIES[i].gold));
        const BigQueryTable *table = star_table(t->arena, &ENTITIES[i], bigquery->profile);
        json_t *schema = new_schema(), *lineage = new_column_lineage();
        for (int k = 0; k < table->n_fields; k++) {
            add_field(schema, table->fields[k].name, table->fields[k].type, NULL);
            json_object_set_new(json_object_get(lineage, "fields"), table->fields[k].name,
                                json_pack("{s:[o]}", "inputFields", input_field(input, table->fields[k].name, "IDENTITY", NULL)));
        }
        set_facet(output, "schema", schema);
        set_facet(output, "columnLineage", lineage);
    }
}

static void tell_figures(Teller *t) {
    for (int i = 0; i < N_ENTITIES; i++)
        describe_store(t, add_in_store(t, t->inputs, "gold", ENTITIES[i].gold));
    describe_store(t, add_in_store(t, t->outputs, "ops", "kpi_snapshot"));
}

static const struct {
    void (*tell)(Teller *t);
} KINDS[] = {
    [JOB_EXTRACT] = {tell_table},       [JOB_RECEIVE] = {tell_files},         [JOB_RECONCILE] = {tell_table},
    [JOB_SETTLE] = {tell_settle},       [JOB_REFERENCE] = {tell_reference},   [JOB_PUBLISH] = {tell_publication},
    [JOB_KPI] = {tell_figures},         [JOB_RETENTION] = {NULL},
};

bool openlineage_tells(JobKind kind) { return KINDS[kind].tell != NULL; }

/* ---- the event ---- */

static json_t *run_json(const Teller *t, LineageMoment moment) {
    const Run *run = t->run;
    json_t *facets = json_object();
    json_t *engine = facet(SPEC "facets/1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet");
    json_object_set_new(engine, "name", json_string("revcycled"));
    json_object_set_new(engine, "version", json_string(REVCYCLED_VERSION));
    json_object_set_new(facets, "processing_engine", engine);
    if (moment == LINEAGE_END && run->error.state[0]) {
        json_t *error = facet(SPEC "facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet");
        json_object_set_new(error, "message", json_string(run->error.text));
        json_object_set_new(error, "programmingLanguage", json_string("C"));
        json_object_set_new(facets, "errorMessage", error);
    }
    return json_pack("{s:o, s:o}", "runId", run_uuid(t), "facets", facets);
}

static json_t *job_json(const Teller *t) {
    json_t *type = facet(SPEC "facets/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet");
    json_object_set_new(type, "processingType", json_string("BATCH"));
    json_object_set_new(type, "integration", json_string("REVCYCLED"));
    json_object_set_new(type, "jobType", json_string(job_kind_name(t->run->kind)));
    return json_pack("{s:s, s:s, s:{s:o}}", "namespace", t->house->namespace, "name", t->run->job, "facets", "jobType", type);
}

static const char *type_of(const Run *run, LineageMoment moment) {
    if (moment == LINEAGE_BEGIN)
        return "START";
    return run->state == RUN_SUCCEEDED ? "COMPLETE" : run->state == RUN_CANCELED ? "ABORT" : "FAIL";
}

char *openlineage_event(const LineageHouse *house, const Run *run, LineageMoment moment) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Teller t = {.house = house, .run = run, .arena = arena, .inputs = json_array(), .outputs = json_array()};
    KINDS[run->kind].tell(&t);
    int64_t began_us = run->started_us ? run->started_us : run->queued_us;
    json_t *event = json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "eventType", type_of(run, moment), "eventTime",
                              instant(moment == LINEAGE_BEGIN ? began_us : run->finished_us), "producer", PRODUCER,
                              "schemaURL", SPEC "2-0-2/OpenLineage.json#/$defs/RunEvent", "run", run_json(&t, moment),
                              "job", job_json(&t), "inputs", t.inputs, "outputs", t.outputs);
    char *text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!text)
        abort();
    return text;
}
