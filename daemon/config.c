/* config.c - see config.h.
 *
 * Files become trees (config_tree.c), conf.d/ is merged in, sections fill structs by the table of keys
 * (config_keys.c); what one key alone cannot tell (names, zones, mappings, what excludes what) is here. */
#include "config.h"

#include "base/nearest.h"
#include "base/own.h"
#include "config_keys.h"
#include "config_layout.h"
#include "config_map.h"
#include "config_query.h"
#include "config_rules.h"
#include "config_value.h"
#include "job_kind.h"
#include "transform/formats/x12_rows.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <limits.h>
#include <regex.h>
#include <stdlib.h>

/* bronze."<source>__<feed>_raw" must fit into the 63 bytes of a PostgreSQL name. */
enum { NAME_MAX_BYTES = 28, ZONE_MAX_BYTES = 1 << 17 };

typedef struct Loader {
    Mistakes mistakes;
    Config *config;
    const TreeNode *root;
} Loader;

static const TreeNode EMPTY = {.kind = TREE_MAP, .mark = {"", 0, 0}};

/* ---- conf.d/ ---- */

static void append(Arena *arena, TreeNode *node, TreeItem item) {
    TreeItem *items = ARENA_ARRAY(arena, TreeItem, node->n + 1);
    if (node->n > 0)
        memcpy(items, node->items, sizeof *items * node->n);
    items[node->n] = item;
    node->items = items;
    node->n++;
}

static const TreeNode *merge(Loader *loader, const TreeNode *base, const TreeNode *more, int depth);

/* Sections are maps of names or of keys: what both files have is a mistake, but for the top level. */
static void merge_item(Loader *loader, TreeNode *into, const TreeItem *item, int depth) {
    TreeItem *there = (TreeItem *)tree_find(into, item->key);
    if (!there)
        append(loader->mistakes.arena, into, *item);
    else if (depth == 0 && there->value->kind == item->value->kind && there->value->kind != TREE_SCALAR)
        there->value = merge(loader, there->value, item->value, depth + 1);
    else
        mistake_add(&loader->mistakes, item->mark, "`%s` stands already in %s:%d", item->key, there->mark.file,
                    there->mark.line);
}

static const TreeNode *merge(Loader *loader, const TreeNode *base, const TreeNode *more, int depth) {
    TreeNode *merged = ARENA_NEW(loader->mistakes.arena, TreeNode);
    *merged = *base;
    merged->items = ARENA_ARRAY(loader->mistakes.arena, TreeItem, base->n + 1);
    if (base->n > 0)
        memcpy(merged->items, base->items, sizeof *base->items * base->n);
    for (size_t i = 0; i < more->n; i++)
        if (base->kind == TREE_LIST)
            append(loader->mistakes.arena, merged, more->items[i]);
        else
            merge_item(loader, merged, &more->items[i], depth);
    return merged;
}

static int is_yaml(const struct dirent *entry) { return fnmatch("*.yaml", entry->d_name, FNM_PERIOD) == 0; }

static void merge_file(Loader *loader, const char *path) {
    const TreeNode *more = tree_read(&loader->mistakes, path);
    if (more && more->kind == TREE_MAP)
        loader->root = merge(loader, loader->root, more, 0);
    else if (more)
        mistake_add(&loader->mistakes, more->mark, "expected sections here, found %s", tree_kind_name(more->kind));
}

static void merge_directory(Loader *loader) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", loader->config->path);
    const char *directory = arena_printf(loader->mistakes.arena, "%s/conf.d", dirname(copy));
    struct dirent **entries;
    int n = scandir(directory, &entries, is_yaml, alphasort);
    if (n < 0) {
        if (errno != ENOENT)
            mistake_add(&loader->mistakes, (Mark){directory, 0, 0}, "cannot be read: %s", strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        merge_file(loader, arena_printf(loader->mistakes.arena, "%s/%s", directory, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
}

/* ---- helpers of sections ---- */

static const TreeNode *section_of(const TreeNode *node, const char *name) {
    const TreeItem *item = tree_find(node, name);
    return item ? item->value : &EMPTY;
}

static bool is_kind(Loader *loader, const TreeNode *node, TreeKind kind, const char *name) {
    if (node->kind == kind || node == &EMPTY)
        return node->kind == kind;
    mistake_add(&loader->mistakes, node->mark, "`%s` must be %s, not %s", name, tree_kind_name(kind),
                tree_kind_name(node->kind));
    return false;
}

static bool is_name(const char *name) {
    size_t size = strlen(name);
    return size > 0 && size <= NAME_MAX_BYTES && name[0] >= 'a' && name[0] <= 'z' && !strstr(name, "__") &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

static void check_name(Loader *loader, const TreeItem *item, const char *what) {
    if (!is_name(item->key))
        mistake_add(&loader->mistakes, item->mark,
                    "`%s` cannot name %s: at most %d small letters, digits and single _, beginning with a letter",
                    item->key, what, NAME_MAX_BYTES);
    if (strcmp(what, "a source") == 0 && job_kind_takes_name(item->key))
        mistake_add(&loader->mistakes, item->mark, "`%s` cannot name %s: jobs have that name", item->key, what);
}

static Mark mark_in(const TreeNode *node, const char *key) {
    const TreeItem *item = tree_find(node, key);
    return item ? item->value->mark : node->mark;
}

/* ---- zones ---- */

static const char *zone_directory(void) {
    const char *directory = getenv("TZDIR");
    return directory ? directory : "/usr/share/zoneinfo";
}

static bool is_zone_name(const char *name) {
    return name[0] != '/' && name[0] != '.' && !strstr(name, "..") && strlen(name) < 64 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == strlen(name);
}

/* The third column of zone.tab names what people live in. */
static void refuse_zone(Loader *loader, Mark mark, const char *name) {
    Arena *arena = loader->mistakes.arena;
    Nearest nearest = nearest_start(str_of(name));
    CLEANUP(file_drop) FILE *table = fopen(arena_printf(arena, "%s/zone.tab", zone_directory()), "re");
    char line[256], zone[100];
    while (table && fgets(line, sizeof line, table))
        if (line[0] != '#' && sscanf(line, "%*s %*s %99s", zone) == 1)
            nearest_offer(&nearest, arena_string(arena, str_of(zone)));
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(&loader->mistakes, mark, "unknown time zone `%s`%s", name, suggestion);
}

static const Zone *load_zone(Loader *loader, Mark mark, const char *name) {
    if (!name)
        return NULL;
    Arena *arena = loader->mistakes.arena;
    CLEANUP(file_drop) FILE *file =
        is_zone_name(name) ? fopen(arena_printf(arena, "%s/%s", zone_directory(), name), "rbe") : NULL;
    char *bytes = arena_alloc(arena, ZONE_MAX_BYTES);
    size_t size = file ? fread(bytes, 1, ZONE_MAX_BYTES, file) : 0;
    if (size < 4 || memcmp(bytes, "TZif", 4) != 0) {
        refuse_zone(loader, mark, name);
        return NULL;
    }
    Error err = {0};
    const Zone *zone = zone_parse(arena, name, (Str){bytes, size}, &err);
    if (!zone)
        mistake_add(&loader->mistakes, mark, "%s", err.text);
    return zone;
}

/* ---- sources ---- */

static void need(Loader *loader, const TreeItem *item, bool is_there, const char *sentence) {
    if (!is_there)
        mistake_add(&loader->mistakes, item->mark, "%s", sentence);
}

static bool maps_column(const MappingSpec *mapping, const char *column) {
    for (size_t i = 0; i < mapping->n_columns; i++)
        if (strcmp(mapping->columns[i].column, column) == 0)
            return true;
    return false;
}

/* A claim's deliveries are ordered by their files, and one that is not delivered is no less a claim: a table that is
 * polled tells neither. */
static void refuse_claims(Loader *loader, const TreeItem *item, const FeedConfig *feed) {
    const Entity *entity = feed->mapping.entity;
    if (entity && entity->kind == ENTITY_CLAIM)
        mistake_add(&loader->mistakes, mark_in(item->value, "entity"),
                    "entity `%s` cannot come from a table, for its iterations follow the order of files: "
                    "deliver files to one of `claims`", entity->name);
}

static void check_past(Loader *loader, const TreeItem *item, FeedConfig *feed) {
    const Entity *entity = feed->mapping.entity;
    if (feed->tells != TELLS_PAST || !entity)
        return;
    need(loader, item, entity->kind == ENTITY_HISTORY, "`tells: past` is for patients and providers: nothing else has versions");
    need(loader, item, maps_column(&feed->mapping, "source_modified_at"),
         "a table of the past needs `source_modified_at` in its map: when what a row says came true");
    feed->reconcile_ms = 0; /* what a table of the past lacks is not gone */
}

static void read_feed(Loader *loader, const SourceConfig *source, const TreeItem *item, FeedConfig *feed) {
    check_name(loader, item, "a feed");
    feed->local = item->key;
    feed->source = source;
    feed->name = arena_printf(loader->mistakes.arena, "%s.%s", source->name, item->key);
    if (!keys_read(&loader->mistakes, "sources.*.feeds.*", item->value, feed))
        return;
    if (feed->table && feed->query)
        mistake_add(&loader->mistakes, mark_in(item->value, "query"), "`table` and `query` exclude each other");
    if (feed->query)
        query_check(&loader->mistakes, mark_in(item->value, "query"), feed->query);
    if (!feed->table)
        feed->table = feed->local;
    map_read(&loader->mistakes, item->value, loader->config->path, NULL, &feed->mapping);
    map_check(&loader->mistakes, &feed->mapping, item->value, loader->config->path);
    refuse_claims(loader, item, feed);
    check_past(loader, item, feed);
    feed->mapping.rules = loader->config->rules;
    feed->mapping.n_rules = loader->config->n_rules;
}

static void read_feeds(Loader *loader, const TreeNode *node, SourceConfig *source) {
    if (!is_kind(loader, node, TREE_MAP, "feeds"))
        return;
    FeedConfig *feeds = ARENA_ARRAY(loader->mistakes.arena, FeedConfig, node->n + 1);
    source->feeds = feeds;
    source->n_feeds = node->n;
    for (size_t i = 0; i < node->n; i++)
        read_feed(loader, source, &node->items[i], &feeds[i]);
}

static void check_source(Loader *loader, const SourceConfig *source, const TreeItem *item) {
    if (source->kind == SOURCE_FILES) {
        need(loader, item, source->n_feeds == 0, "a source of kind `files` has no feeds: its rows come from claims");
        return;
    }
    need(loader, item, source->host || source->socket, "`host` is missing: name or address of the database server");
    need(loader, item, !source->host || !source->socket, "`host` and `socket` exclude each other");
    need(loader, item, source->database, "`database` is missing: name of the database");
    need(loader, item, source->user, "`user` is missing: account that may read the database");
    need(loader, item, !source->password_file || !source->password_env,
         "`password_file` and `password` exclude each other");
}

static void read_source(Loader *loader, const TreeItem *item, SourceConfig *source) {
    check_name(loader, item, "a source");
    source->name = item->key;
    if (!keys_read(&loader->mistakes, "sources.*", item->value, source))
        return;
    if (source->timezone)
        source->zone = load_zone(loader, mark_in(item->value, "timezone"), source->timezone);
    else
        source->timezone = loader->config->timezone, source->zone = loader->config->zone;
    read_feeds(loader, section_of(item->value, "feeds"), source);
    check_source(loader, source, item);
}

static bool is_source(const Config *config, const char *name) {
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].name, name) == 0)
            return true;
    return false;
}

/* What had the old name has the new one now, and there is one heir. */
static void check_renames(Loader *loader, const TreeNode *sources) {
    const Config *config = loader->config;
    for (size_t i = 0; i < config->n_sources; i++) {
        const char *old = config->sources[i].renamed_from;
        Mark mark = mark_in(sources->items[i].value, "renamed_from");
        if (!old)
            continue;
        if (!is_name(old))
            mistake_add(&loader->mistakes, mark, "`renamed_from: %s` cannot have named a source", old);
        else if (is_source(config, old))
            mistake_add(&loader->mistakes, mark, "`renamed_from: %s` is still a source of its own here", old);
        for (size_t k = 0; k < i; k++)
            if (config->sources[k].renamed_from && strcmp(config->sources[k].renamed_from, old) == 0)
                mistake_add(&loader->mistakes, mark, "`renamed_from: %s` stands at `%s` already", old,
                            config->sources[k].name);
    }
}

static void read_sources(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "sources");
    if (!is_kind(loader, node, TREE_MAP, "sources"))
        return;
    SourceConfig *sources = ARENA_ARRAY(loader->mistakes.arena, SourceConfig, node->n + 1);
    loader->config->sources = sources;
    loader->config->n_sources = node->n;
    for (size_t i = 0; i < node->n; i++)
        read_source(loader, &node->items[i], &sources[i]);
    check_renames(loader, node);
}

/* ---- claims ---- */

static const SourceConfig *find_source(Loader *loader, Mark mark, const char *name) {
    Nearest nearest = nearest_start(str_of(name));
    for (size_t i = 0; i < loader->config->n_sources; i++) {
        if (strcmp(loader->config->sources[i].name, name) == 0)
            return &loader->config->sources[i];
        nearest_offer(&nearest, loader->config->sources[i].name);
    }
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(&loader->mistakes, mark, "there is no source `%s`%s", name, suggestion);
    return NULL;
}

static void check_period(Loader *loader, Mark mark, const char *period) {
    regex_t regex;
    char why[128];
    int code = regcomp(&regex, period, REG_EXTENDED);
    if (code != 0) {
        regerror(code, &regex, why, sizeof why);
        mistake_add(&loader->mistakes, mark, "`period: %s` is no regular expression: %s", period, why);
        return;
    }
    if (regex.re_nsub != 1)
        mistake_add(&loader->mistakes, mark, "`period: %s` must have one group, which is the period", period);
    regfree(&regex);
}

static void read_pattern(Loader *loader, const TreeNode *node, ClaimsFormat format, FilePattern *pattern) {
    if (!keys_read(&loader->mistakes, "claims.*.from[]", node, pattern))
        return;
    const SourceConfig *source =
        pattern->source ? find_source(loader, mark_in(node, "source"), pattern->source) : NULL;
    pattern->timezone = source ? source->timezone : loader->config->timezone;
    pattern->zone = source ? source->zone : loader->config->zone;
    if (pattern->period)
        check_period(loader, mark_in(node, "period"), pattern->period);
    if (pattern->clock_name && format != FORMAT_X12)
        mistake_add(&loader->mistakes, mark_in(node, "timezone"),
                    "`timezone` of a pattern is the zone of an X12 sender's clock; other files' times are the hospital's");
    else if (pattern->clock_name)
        pattern->clock = load_zone(loader, mark_in(node, "timezone"), pattern->clock_name);
}

static void read_patterns(Loader *loader, const TreeNode *node, ClaimsConfig *claims) {
    if (!is_kind(loader, node, TREE_LIST, "from"))
        return;
    if (node->n == 0)
        mistake_add(&loader->mistakes, node->mark, "`from` names no pattern: no file would belong to anybody");
    FilePattern *patterns = ARENA_ARRAY(loader->mistakes.arena, FilePattern, node->n + 1);
    claims->from = patterns;
    claims->n_from = node->n;
    for (size_t i = 0; i < node->n; i++)
        read_pattern(loader, node->items[i].value, claims->format, &patterns[i]);
}

static void read_claim(Loader *loader, const TreeItem *item, ClaimsConfig *claims) {
    check_name(loader, item, "a claims directory");
    claims->local = item->key;
    claims->name = arena_printf(loader->mistakes.arena, "claims.%s", item->key);
    if (!keys_read(&loader->mistakes, "claims.*", item->value, claims))
        return;
    read_patterns(loader, section_of(item->value, "from"), claims);
    const MapDefault standard = {X12_MAP, N_X12_MAP};
    map_read(&loader->mistakes, item->value, loader->config->path, claims->format == FORMAT_X12 ? &standard : NULL,
             &claims->mapping);
    layout_read(&loader->mistakes, item->value, claims);
    map_check(&loader->mistakes, &claims->mapping, item->value, loader->config->path);
    claims->mapping.rules = loader->config->rules;
    claims->mapping.n_rules = loader->config->n_rules;
    const Entity *entity = claims->mapping.entity;
    if (entity && entity->kind != ENTITY_CLAIM)
        mistake_add(&loader->mistakes, mark_in(item->value, "entity"),
                    "entity `%s` cannot come from claims files, only `claims` can", entity->name);
}

static void read_claims(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "claims");
    if (!is_kind(loader, node, TREE_MAP, "claims"))
        return;
    ClaimsConfig *claims = ARENA_ARRAY(loader->mistakes.arena, ClaimsConfig, node->n + 1);
    loader->config->claims = claims;
    loader->config->n_claims = node->n;
    for (size_t i = 0; i < node->n; i++)
        read_claim(loader, &node->items[i], &claims[i]);
}

/* ---- rules ---- */

static void read_rules(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "rules");
    if (node != &EMPTY && is_kind(loader, node, TREE_LIST, "rules"))
        loader->config->n_rules = rules_read(&loader->mistakes, node, &loader->config->rules);
}

static void check_rules(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "rules");
    if (loader->config->n_rules > 0)
        rules_check(&loader->mistakes, node, loader->config);
}

/* ---- persons ---- */

static void check_attribute(Loader *loader, Mark mark, const char *name, bool *is_selective) {
    const PersonAttribute *attribute = person_attribute(str_of(name));
    if (attribute) {
        *is_selective |= attribute->is_selective;
        return;
    }
    Nearest nearest = nearest_start(str_of(name));
    for (size_t i = 0; i < N_PERSON_ATTRIBUTES; i++)
        nearest_offer(&nearest, PERSON_ATTRIBUTES[i].name);
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(&loader->mistakes, mark, "patients have no attribute `%s`%s", name, suggestion);
}

static void check_match(Loader *loader, const TreeNode *match, const PersonRule *rule) {
    bool is_selective = false;
    for (size_t i = 0; i < rule->n_match; i++) {
        Mark mark = match->kind == TREE_LIST ? match->items[i].value->mark : match->mark;
        check_attribute(loader, mark, rule->match[i], &is_selective);
        for (size_t before = 0; before < i; before++)
            if (strcmp(rule->match[before], rule->match[i]) == 0)
                mistake_add(&loader->mistakes, mark, "`%s` is named twice", rule->match[i]);
    }
    if (!is_selective)
        mistake_add(&loader->mistakes, match->mark,
                    "`match` must name ssn, birth_date or phone: everybody would be compared with everybody");
}

static void check_rule_name(Loader *loader, Mark mark, const PersonRule *rules, size_t n_before, const char *name) {
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        mistake_add(&loader->mistakes, mark, "rule `%s` must be named by small letters, digits and _", name);
    if (person_rule_name_is_taken(str_of(name)))
        mistake_add(&loader->mistakes, mark, "`%s` cannot name a rule: explanations use the word", name);
    for (size_t i = 0; i < n_before; i++)
        if (rules[i].name && strcmp(rules[i].name, name) == 0)
            mistake_add(&loader->mistakes, mark, "there is a rule `%s` already", name);
}

static void read_person_rule(Loader *loader, const TreeNode *node, PersonRule *rules, size_t place) {
    PersonRule *rule = &rules[place];
    if (!keys_read(&loader->mistakes, "persons[]", node, rule))
        return;
    if (rule->name)
        check_rule_name(loader, mark_in(node, "name"), rules, place, rule->name);
    if (rule->n_match > 0)
        check_match(loader, tree_find(node, "match")->value, rule);
}

static void read_persons(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "persons");
    loader->config->person_rules = PERSON_RULES;
    loader->config->n_person_rules = N_PERSON_RULES;
    if (!is_kind(loader, node, TREE_LIST, "persons"))
        return;
    if (node->n == 0)
        mistake_add(&loader->mistakes, node->mark, "`persons` names no rule; leave it out to have those built in");
    PersonRule *rules = ARENA_ARRAY(loader->mistakes.arena, PersonRule, node->n + 1);
    loader->config->person_rules = rules;
    loader->config->n_person_rules = node->n;
    for (size_t i = 0; i < node->n; i++)
        read_person_rule(loader, node->items[i].value, rules, i);
}

/* ---- the whole ---- */

/* Where a section is missing its fallbacks still count. */
static void read_part(Loader *loader, const char *name, void *base) {
    const TreeItem *item = tree_find(loader->root, name);
    keys_read(&loader->mistakes, name, item ? item->value : &EMPTY, base);
}

static void read_server(Loader *loader) {
    ServerConfig *server = &loader->config->server;
    read_part(loader, "server", server);
    if (!server->tls_certificate != !server->tls_key)
        mistake_add(&loader->mistakes, section_of(loader->root, "server")->mark,
                    "`tls_certificate` and `tls_key` go together");
}

static void read_bigquery(Loader *loader) {
    loader->config->bigquery.enabled = tree_find(loader->root, "bigquery") != NULL;
    if (loader->config->bigquery.enabled)
        read_part(loader, "bigquery", &loader->config->bigquery);
}

/* What is asked tells whom a hospital employs: it goes over a wire that others cannot read. */
static bool is_private_address(const char *url) {
    static const char *const STARTS[] = {"https://", "http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++)
        if (strncmp(url, STARTS[i], strlen(STARTS[i])) == 0)
            return true;
    return false;
}

static void read_register(Loader *loader, const TreeItem *item, ReferenceService *service) {
    const char *section = arena_printf(loader->mistakes.arena, "reference.%s", item->key);
    service->enabled = keys_read(&loader->mistakes, section, item->value, service);
    if (service->enabled && service->endpoint && !is_private_address(service->endpoint))
        mistake_add(&loader->mistakes, mark_in(item->value, "endpoint"),
                    "`endpoint` must begin with https://; http:// serves for this machine alone, as in http://127.0.0.1:8000/");
}

static void read_reference(Loader *loader) {
    const TreeNode *node = section_of(loader->root, "reference");
    if (!keys_read(&loader->mistakes, "reference", node, loader->config))
        return;
    for (Reference reference = 0; reference < REFERENCES; reference++) {
        const TreeItem *item = tree_find(node, REFERENCE_KINDS[reference].name);
        if (item)
            read_register(loader, item, &loader->config->references[reference]);
    }
}

/* `m` is minutes: whoever meant months must not lose anything. */
static void check_age(Loader *loader, const TreeNode *node, const char *name, int64_t age_ms, int64_t least_days) {
    if (age_ms != 0 && age_ms < least_days * MS_PER_DAY)
        mistake_add(&loader->mistakes, mark_in(node, name), "`%s` must be 0, which is for ever, or at least %lld days", name,
                    (long long)least_days);
}

static void read_retention(Loader *loader) {
    enum { LEAST_DAYS = 30, AUDIT_LEAST_DAYS = 2190 }; /* of the trail six years: 45 CFR 164.316(b)(2)(i) */
    RetentionConfig *retention = &loader->config->retention;
    const TreeNode *node = section_of(loader->root, "retention");
    retention->enabled = tree_find(loader->root, "retention") != NULL;
    if (!retention->enabled || !keys_read(&loader->mistakes, "retention", node, retention))
        return;
    check_age(loader, node, "bronze", retention->bronze_ms, LEAST_DAYS);
    check_age(loader, node, "quarantine", retention->quarantine_ms, LEAST_DAYS);
    check_age(loader, node, "runs", retention->runs_ms, LEAST_DAYS);
    check_age(loader, node, "audit", retention->audit_ms, AUDIT_LEAST_DAYS);
}

static void read_lineage(Loader *loader) {
    LineageConfig *lineage = &loader->config->lineage;
    const TreeNode *node = section_of(loader->root, "lineage");
    lineage->enabled = tree_find(loader->root, "lineage") != NULL;
    if (!lineage->enabled || !keys_read(&loader->mistakes, "lineage", node, lineage))
        return;
    if (!lineage->file == !lineage->url)
        mistake_add(&loader->mistakes, node->mark, "`lineage` needs either `file` or `url`");
    if (lineage->token_file && !lineage->url)
        mistake_add(&loader->mistakes, mark_in(node, "token_file"), "`token_file` is for `url`");
    if (lineage->url && !is_private_address(lineage->url))
        mistake_add(&loader->mistakes, mark_in(node, "url"),
                    "`url` must begin with https://; http:// serves for this machine alone, as in http://127.0.0.1:5000/api/v1/lineage");
}

static void check_whole(Loader *loader) {
    if (loader->config->n_sources == 0 && loader->config->n_claims == 0)
        mistake_add(&loader->mistakes, loader->root->mark, "neither `sources` nor `claims`: there is nothing to read");
}

static void read_root(Loader *loader) {
    Config *config = loader->config;
    if (!keys_read(&loader->mistakes, "", loader->root, config))
        return;
    if (tree_find(loader->root, "store"))
        read_part(loader, "store", config);
    if (tree_find(loader->root, "audit"))
        read_part(loader, "audit", config);
    if (!config->store_owner_dsn)
        config->store_owner_dsn = config->store_dsn;
    config->zone = load_zone(loader, mark_in(loader->root, "timezone"), config->timezone);
    read_server(loader);
    read_rules(loader);
    read_persons(loader);
    read_sources(loader);
    read_claims(loader);
    read_bigquery(loader);
    check_rules(loader);
    read_reference(loader);
    read_retention(loader);
    read_lineage(loader);
    check_whole(loader);
}

void config_print_mistake(void *out, const char *place, const char *sentence) {
    fprintf(out, "%s: %s\n", place, sentence);
}

Config *config_load(const char *path, ConfigReport report, void *context) {
    Arena *arena = arena_open();
    Config *config = ARENA_NEW(arena, Config);
    *config = (Config){.arena = arena, .path = arena_string(arena, str_of(path))};
    Loader loader = {.mistakes = {.arena = arena}, .config = config};
    loader.root = tree_read(&loader.mistakes, config->path);
    if (loader.root && loader.root->kind == TREE_MAP)
        merge_directory(&loader);
    if (loader.root)
        read_root(&loader);
    if (loader.mistakes.n == 0)
        return config;
    mistakes_tell(&loader.mistakes, report, context);
    config_free(config);
    return NULL;
}

void config_free(Config *config) { arena_free(config->arena); }

void config_print_help(FILE *out) {
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const ConfigKey *key = &CONFIG_KEYS[i];
        if (key->type == KEY_LATER)
            continue;
        fprintf(out, "  %-36s %s", key->path, key->help);
        if (key->fallback)
            fprintf(out, " [%s]", key->fallback);
        fprintf(out, "%s\n", key->is_required ? " (required)" : "");
    }
}

bool config_has_feed(const Config *config, const char *name) {
    for (size_t i = 0; i < config->n_claims; i++)
        if (strcmp(config->claims[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < config->n_sources; i++)
        for (size_t k = 0; k < config->sources[i].n_feeds; k++)
            if (strcmp(config->sources[i].feeds[k].name, name) == 0)
                return true;
    return false;
}
