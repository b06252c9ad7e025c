/* bench_transform - how many rows a second one core parses and cleans.
 *
 *     bench_transform                                    claims of 18 columns, made here, in memory
 *     bench_transform FILE ENTITY COLUMN=FIELD …         rows of a CSV file, once
 *
 * Works as place does, without any database, and prints rows per second: of parsing alone, with
 * cleaning (record_hash is part of it), with source_hash besides, of the claims with ten rules of a site too; of five
 * passes each the fastest, which is the one that had most of its core, and the middle one. Then what was flagged and
 * rejected, by rule. */
#include "bench.h"

#include "transform/formats/csv.h"
#include "transform/hash.h"
#include "transform/mapping.h"

enum { FIELDS_MAX = 64, PASSES = 5, PAGE_ROWS = 2500, CHUNK_BYTES = 64 * 1024, MADE_ROWS = 500000 };

typedef enum Work { WORK_PARSE, WORK_CLEAN, WORK_HASH, WORK_RULES /* the same, with rules of a site's own */ } Work;

typedef struct Bench {
    Arena *arena;
    Work work;
    MappingSpec spec;
    Field fields[FIELDS_MAX];
    size_t n_fields;
    Mapping *mapping;
    int64_t rows, rejected, flags[FLAGS_MAX];
} Bench;

static const char *const CLAIM_MAP[] = {
    "source_claim_id=ClaimID", "source_transaction_id=TransactionID", "source_patient_id=PatientID",
    "source_encounter_id=EncounterID", "source_provider_id=ProviderID", "source_department_id=DeptID",
    "service_date=ServiceDate", "claim_date=ClaimDate", "source_payer_id=PayorID",
    "claim_amount=ClaimAmount", "paid_amount=PaidAmount", "claim_status=ClaimStatus",
    "payer_type=PayorType", "deductible=Deductible", "coinsurance=Coinsurance", "copay=Copay",
    "source_inserted_at=InsertDate", "source_modified_at=ModifiedDate",
};

/* One or two of every kind that looks at one row. */
static const RuleSpec SITE_RULES[] = {
    {.name = "r_check", .entity = "claims", .check = "copay <= 500 and claim_date <= service_date + 365"},
    {.name = "r_null", .entity = "claims", .kind = RULE_NOT_NULL, .attribute = "payer_type"},
    {.name = "r_patient", .entity = "claims", .kind = RULE_NOT_NULL, .attribute = "source_patient_id"},
    {.name = "r_type", .entity = "claims", .kind = RULE_TYPE, .attribute = "source_department_id", .form = "whole_number"},
    {.name = "r_amount", .entity = "claims", .kind = RULE_RANGE, .attribute = "claim_amount", .min = "0.01", .max = "4000"},
    {.name = "r_dates", .entity = "claims", .kind = RULE_RANGE, .attribute = "service_date", .min = "2024-01-01", .max = "2024-12-31"},
    {.name = "r_claim", .entity = "claims", .kind = RULE_PATTERN, .attribute = "source_claim_id", .pattern = "CLAIM[0-9]{6,7}"},
    {.name = "r_person", .entity = "claims", .kind = RULE_PATTERN, .attribute = "source_patient_id", .pattern = "HOSP(1|2)-\\d{6}"},
    {.name = "r_payer", .entity = "claims", .kind = RULE_LIST, .attribute = "source_payer_id",
     .values = (const char *const[]){"MEDICARE", "BLUECROSS", "AETNA"}, .n_values = 3},
    {.name = "r_status", .entity = "claims", .kind = RULE_LIST, .attribute = "claim_status",
     .values = (const char *const[]){"Paid", "Approved", "Denied"}, .n_values = 3},
};

static void use_rules(Bench *bench) {
    bench->spec.rules = SITE_RULES;
    bench->spec.n_rules = sizeof SITE_RULES / sizeof *SITE_RULES;
    bench->mapping = NULL; /* compiled anew with the header */
    bench->n_fields = 0;
}

static void make_spec(Bench *bench, const char *entity, const char *const *maps, size_t n) {
    bench->spec.entity = entity_find(str_of(entity));
    if (!bench->spec.entity) {
        fprintf(stderr, "bench_transform: no entity %s\n", entity);
        exit(2);
    }
    MapSpec *columns = ARENA_ARRAY(bench->arena, MapSpec, n);
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(maps[i], '=');
        const char **from = ARENA_NEW(bench->arena, const char *);
        if (!equals) {
            fprintf(stderr, "bench_transform: %s is not COLUMN=FIELD\n", maps[i]);
            exit(2);
        }
        *from = equals + 1;
        columns[i] = (MapSpec){
            .column = arena_string(bench->arena, (Str){maps[i], (size_t)(equals - maps[i])}),
            .from = from, .n_from = 1};
    }
    bench->spec.columns = columns;
    bench->spec.n_columns = n;
}

static void take_header(Bench *bench, const CsvRow *row) {
    for (; bench->n_fields < row->n_fields && bench->n_fields < FIELDS_MAX; bench->n_fields++)
        bench->fields[bench->n_fields] = (Field){
            .name = arena_string(bench->arena, row->fields[bench->n_fields]), .folds_case = true};
    Error err = {0};
    bench->mapping = mapping_compile(bench->arena, &bench->spec, bench->fields, bench->n_fields,
                                     zone_utc(), &err);
    if (!bench->mapping) {
        fprintf(stderr, "bench_transform: %s\n", err.text);
        exit(2);
    }
}

static void clean_row(Bench *bench, const CsvRow *row, Arena *page) {
    Str padded[FIELDS_MAX];
    const Str *fields = row->fields;
    if (row->n_fields < bench->n_fields) {
        memcpy(padded, row->fields, row->n_fields * sizeof *padded);
        for (size_t i = row->n_fields; i < bench->n_fields; i++)
            padded[i] = STR_NULL;
        fields = padded;
    }
    Record record = {.values = ARENA_ARRAY(page, Value, (size_t)bench->spec.entity->n_columns)};
    int64_t hash = bench->work >= WORK_HASH ? hash_source(bench->fields, fields, bench->n_fields) : 0;
    mapping_clean(bench->mapping, fields, hash, page, &record);
    bench->rejected += record.reject_rule != NULL;
    for (uint64_t rest = record.flags; rest; rest &= rest - 1)
        bench->flags[__builtin_ctzll(rest)]++;
}

/* One pass over the text; returns microseconds of processor time. */
static int64_t run(Bench *bench, Str text, Work work) {
    CLEANUP(csv_drop) CsvParser *csv = csv_open(&(CsvOptions){0});
    CLEANUP(arena_drop) Arena *page = arena_open();
    ArenaMark mark = arena_mark(page);
    int64_t started = cpu_us();
    size_t fed = 0;
    CsvRow row;
    CsvStatus status;
    bench->work = work;
    bench->rows = bench->rejected = 0;
    memset(bench->flags, 0, sizeof bench->flags);
    while ((status = csv_next(csv, &row)) != CSV_END) {
        if (status == CSV_MORE) {
            size_t size = text.size - fed < CHUNK_BYTES ? text.size - fed : CHUNK_BYTES;
            if (size > 0)
                csv_feed(csv, (Str){text.at + fed, size});
            else
                csv_finish(csv);
            fed += size;
            continue;
        }
        if (!bench->mapping)
            take_header(bench, &row);
        else if (row.line > 1 && row.n_fields <= FIELDS_MAX) {
            bench->rows++;
            if (work != WORK_PARSE)
                clean_row(bench, &row, page);
            if (bench->rows % PAGE_ROWS == 0)
                arena_rewind(page, mark);
        }
    }
    return cpu_us() - started;
}

static Str make_claims(Arena *arena) {
    static const char *const STATUSES[] = {"Paid", "Approved", "Pending", "Denied", "Rejected"};
    static const char *const PAYERS[] = {"Medicare", "BlueCross", "UnitedHealthcare", "Aetna"};
    char *text = arena_alloc(arena, (size_t)MADE_ROWS * 200 + 400);
    size_t used = (size_t)sprintf(text, "ClaimID,TransactionID,PatientID,EncounterID,ProviderID,DeptID,"
        "ServiceDate,ClaimDate,PayorID,ClaimAmount,PaidAmount,ClaimStatus,PayorType,Deductible,"
        "Coinsurance,Copay,InsertDate,ModifiedDate\n");
    unsigned seed = 1;
    for (int i = 1; i <= MADE_ROWS; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned r = seed >> 8;
        used += (size_t)sprintf(text + used,
            "CLAIM%06d,TRANS%06u,HOSP1-%06u,ENC%06u,PROV%04u,DEPT%03u,2024-%02u-%02u,2024-%02u-%02u,%s,"
            "%u.%02u,%u.%u,%s,Private,%u.%02u,%u.%02u,%u.%02u,2022-06-%02u,2024-03-%02u\n",
            i, r % 999999, r % 5000, r % 20000, r % 500, r % 20, r % 12 + 1, r % 28 + 1,
            r / 3 % 12 + 1, r / 7 % 28 + 1, PAYERS[r % 4], r % 5000, r % 100, r % 4000, r % 10,
            STATUSES[r % 5], r % 400, r % 100, r % 200, r % 100, r % 50, r % 100, r % 28 + 1, r % 27 + 1);
    }
    return (Str){text, used};
}

static int compare_us(const void *a, const void *b) {
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static void print_rate(const char *what, Bench *bench, Str text, Work work) {
    int64_t us[PASSES];
    for (int i = 0; i < PASSES; i++)
        us[i] = run(bench, text, work);
    qsort(us, PASSES, sizeof *us, compare_us);
    double rows = (double)bench->rows;
    printf("%-28s %8.0f rows  %8.3f s  %10.0f rows/s (the middle pass %.0f)\n", what, rows, (double)us[0] / 1e6,
           rows * 1e6 / (double)(us[0] > 0 ? us[0] : 1), rows * 1e6 / (double)(us[PASSES / 2] > 0 ? us[PASSES / 2] : 1));
}

int main(int argc, char **argv) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Bench bench = {.arena = arena};
    bool has_file = argc >= 4;
    Str text = has_file ? read_file(arena, argv[1]) : make_claims(arena);
    if (has_file)
        make_spec(&bench, argv[2], (const char *const *)argv + 3, (size_t)argc - 3);
    else
        make_spec(&bench, "claims", CLAIM_MAP, sizeof CLAIM_MAP / sizeof *CLAIM_MAP);
    static const char *const WORKS[] = {"parse", "parse and clean", "parse, clean and hash", "with ten rules of a site's"};
    for (Work work = WORK_PARSE; work <= (has_file ? WORK_HASH : WORK_RULES); work++) {
        if (work == WORK_RULES)
            use_rules(&bench);
        print_rate(WORKS[work], &bench, text, work);
    }
    for (int flag = 0; flag < FLAGS_MAX; flag++)
        if (bench.flags[flag])
            printf("  %-26s %8lld\n", mapping_flag_name(bench.mapping, flag), (long long)bench.flags[flag]);
    printf("  %-26s %8lld\n", "rejected", (long long)bench.rejected);
    return 0;
}
