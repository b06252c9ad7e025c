/* x12_tool - what the parser finds in X12 files, as JSON lines on stdout, for tests/component/test_x12.py.
 *
 *     x12_tool CHUNK_BYTES FILE …
 *     x12_tool rows FILE …         the claims' rows, one JSON object a line
 *
 * One line per file: envelopes, faults with their sentences, and the totals of each transaction set; amounts are cents. */
#include "base/buf.h"
#include "base/own.h"
#include "transform/formats/x12_rows.h"
#include "transform/formats/x12_tally.h"

#include <stdio.h>

enum { OUT_BYTES_MAX = 64 * 1024 * 1024, CHUNK_BYTES_MAX = 1024 * 1024 };

typedef struct Found {
    int64_t segments;
    X12Place last;
    Buf transactions, faults;
} Found;

static void put_fault(Found *found, const X12Fault *fault) {
    char sentence[X12_SENTENCE_BYTES];
    buf_printf(&found->faults, "%s{\"cost\": %d, \"text\": ", found->faults.size ? ", " : "", (int)fault->cost);
    buf_put_json(&found->faults, x12_fault_text(fault, sentence));
    buf_printf(&found->faults, "}");
}

/* What is told of a segment, or of an element, that is not counted. */
static void put_told(Buf *out, const X12Totals *totals) {
    const X12Misplaced *misplaced = &totals->misplaced, *unread = &totals->unread;
    const X12BadAmount *bad = &totals->bad_amount;
    if (misplaced->segment)
        buf_printf(out, ", \"misplaced\": \"%s %lld outside %s\"", misplaced->name, (long long)misplaced->segment, misplaced->outside);
    if (unread->segment)
        buf_printf(out, ", \"unread\": \"%s %lld outside %s\"", unread->name, (long long)unread->segment, unread->outside);
    if (bad->segment)
        buf_printf(out, ", \"bad_amount\": \"%s%02d of %lld %s\"", bad->name, bad->element, (long long)bad->segment, bad->what);
}

static void put_totals(Found *found, const X12Totals *totals) {
    Buf *out = &found->transactions;
    buf_printf(out, "%s{\"kind\": ", out->size ? ", " : "");
    buf_put_json(out, totals->kind);
    buf_printf(out, ", \"control\": ");
    buf_put_json(out, totals->control);
    buf_printf(out, ", \"version\": ");
    buf_put_json(out, totals->version);
    buf_printf(out, ", \"complete\": %s, \"se_count_ok\": %s", totals->is_complete ? "true" : "false",
               totals->is_se_count_ok ? "true" : "false");
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"claims", totals->claims}, {"lines", totals->lines}, {"reversals", totals->reversals},
        {"charged", totals->charged}, {"paid", totals->paid}, {"plb", totals->plb}, {"check", totals->check},
        {"lines_out_of_balance", totals->lines_out_of_balance},
        {"claims_out_of_balance", totals->claims_out_of_balance},
        {"claims_whose_line_charges_differ", totals->claims_whose_line_charges_differ},
        {"transaction_difference", x12_difference(totals)}, {"unreadable", totals->unreadable_amounts},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        buf_printf(out, ", \"%s\": %lld", numbers[i].name, (long long)numbers[i].value);
    put_told(out, totals);
    buf_printf(out, ", \"balanced\": %s}", x12_is_balanced(totals) ? "true" : "false");
}

static void read_file(FILE *file, size_t chunk_bytes, Found *found) {
    static char chunk[CHUNK_BYTES_MAX];
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){0});
    X12Tally tally = {0};
    X12Totals totals;
    X12Segment segment;
    X12Fault fault;
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        size_t size = status == X12_MORE ? fread(chunk, 1, chunk_bytes, file) : 0;
        if (status == X12_MORE && size > 0)
            x12_feed(x12, (Str){chunk, size});
        else if (status == X12_MORE)
            x12_finish(x12);
        if (status == X12_FAULT) {
            x12_tally_fault(&tally, &fault);
            put_fault(found, &fault);
        }
        if (status != X12_SEGMENT)
            continue;
        found->segments++;
        found->last = segment.place;
        if (x12_tally_take(&tally, &segment, &totals))
            put_totals(found, &totals);
    }
    if (x12_tally_finish(&tally, &totals))
        put_totals(found, &totals);
}

static void print_row(const X12Row *row) {
    Buf out;
    buf_init(&out, OUT_BYTES_MAX);
    buf_printf(&out, "{\"segment\": %lld, \"set\": %lld", (long long)row->place.segment, (long long)row->place.transaction);
    for (int i = 0; i < X12_N_COLUMNS; i++) {
        if (str_is_null(row->fields[i]))
            continue;
        CLEANUP(arena_drop) Arena *arena = arena_open();
        buf_printf(&out, ", \"%s\": ", x12_column_name((X12Column)i));
        buf_put_json(&out, arena_string(arena, row->fields[i]));
    }
    const X12BadAmount *bad = &row->bad_amount;
    if (bad->segment)
        buf_printf(&out, ", \"bad_amount\": \"%s%02d of %lld %s\"", bad->name, bad->element, (long long)bad->segment, bad->what);
    if (row->why_not) {
        buf_printf(&out, ", \"why_not\": ");
        buf_put_json(&out, row->why_not);
    }
    printf("%.*s}\n", STR_ARG(buf_str(&out)));
    buf_done(&out);
}

static void read_rows(FILE *file) {
    static char chunk[4096];
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){0});
    CLEANUP(x12_rows_drop) X12Rows *rows = x12_rows_open();
    X12Segment segment;
    X12Fault fault;
    X12Row row;
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        size_t size = status == X12_MORE ? fread(chunk, 1, sizeof chunk, file) : 0;
        if (status == X12_MORE && size > 0)
            x12_feed(x12, (Str){chunk, size});
        else if (status == X12_MORE)
            x12_finish(x12);
        if (status == X12_SEGMENT && x12_rows_take(rows, &segment, &row))
            print_row(&row);
    }
    if (x12_rows_finish(rows, &row))
        print_row(&row);
}

static int print_rows(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        CLEANUP(file_drop) FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        read_rows(file);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "rows") == 0)
        return print_rows(argc, argv);
    long chunk_bytes = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (chunk_bytes < 1 || chunk_bytes > CHUNK_BYTES_MAX)
        return 2;
    for (int i = 2; i < argc; i++) {
        Found found = {0};
        buf_init(&found.transactions, OUT_BYTES_MAX);
        buf_init(&found.faults, OUT_BYTES_MAX);
        CLEANUP(file_drop) FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        read_file(file, (size_t)chunk_bytes, &found);
        printf("{\"interchanges\": %lld, \"groups\": %lld, \"segments\": %lld, \"transactions\": [%.*s], "
               "\"faults\": [%.*s]}\n",
               (long long)found.last.interchange, (long long)found.last.group, (long long)found.segments,
               STR_ARG(buf_str(&found.transactions)), STR_ARG(buf_str(&found.faults)));
        buf_done(&found.transactions);
        buf_done(&found.faults);
    }
    return 0;
}
