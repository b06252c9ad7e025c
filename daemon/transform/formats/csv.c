/* csv.c - see csv.h.
 *
 * How it works: `data[start, end)` holds bytes not yet given out. csv_next() scans one row from `start`, and
 * when the row is not whole keeps nothing of the scan: it asks for more and scans from `start` again.
 * So a row is always looked at in one piece, which makes the result independent of the chunks.
 * The scan looks at no more than max_line_bytes + 2 bytes (the longest row and CRLF); a row that
 * has no end there is too long, whatever comes later.
 *
 * A row that breaks the rules of quoting, or is too long, is given out as its first physical line alone, and the
 * scan goes on at the next line: one stray quote would otherwise eat everything up to the next one. A
 * physical line longer than the window is skipped piece by piece, its first max_line_bytes kept. */
#include "transform/formats/csv.h"

#include "base/own.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { LINE_BYTES_DEFAULT = 1024 * 1024, FIELD_BYTES_DEFAULT = 64 * 1024, FIELDS_START = 64 };

struct CsvParser {
    char delimiter;
    CsvQuote quote;
    size_t max_line_bytes, max_field_bytes;
    char *data;
    size_t start, end, capacity;
    int64_t offset; /* of data[start] in the file */
    int64_t line;   /* at data[start] */
    size_t kept;    /* > 0: within a line too long, of which these first bytes are kept at `start` */
    int64_t skipped; /* bytes of that line that were thrown away behind them */
    bool is_finished;
    Str *fields;      /* of the row; until it is whole, as they are written */
    size_t *escaped;  /* indices of those with doubled quotes or backslashes to be undone */
    size_t n_fields, n_escaped, fields_capacity;
    int64_t inner_lines; /* line ends inside quotes of the row */
};

/* What a scan found. `size` without, `end` with the line end, both counted from the row's start. */
typedef enum ScanEnd { SCAN_ROW, SCAN_MORE, SCAN_BROKEN } ScanEnd;
typedef struct Scan {
    const char *text;
    size_t window;   /* bytes that may be looked at */
    uint64_t stops;  /* of the last block looked at */
    size_t block_end; /* where it ends; 0: none was */
    bool is_last;    /* nothing follows the window in the file */
    size_t size, end;
    CsvProblem problem;
    bool has_end;
} Scan;

static void *grow(void *memory, size_t size_bytes) {
    void *grown = realloc(memory, size_bytes);
    if (!grown)
        abort(); /* as arena.h: a daemon that cannot hold a row cannot answer for its data */
    return grown;
}

uint64_t csv_stops(const char *block, char delimiter) {
    uint64_t stops = 0;
#ifdef __SSE2__
    const __m128i delimiters = _mm_set1_epi8(delimiter);
    const __m128i feeds = _mm_set1_epi8('\n'), returns = _mm_set1_epi8('\r');
    for (int i = 0; i < CSV_BLOCK_BYTES; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + i));
        __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiters),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, feeds), _mm_cmpeq_epi8(bytes, returns)));
        stops |= (uint64_t)(unsigned)_mm_movemask_epi8(found) << i;
    }
#else
    for (int i = 0; i < CSV_BLOCK_BYTES; i++)
        stops |= (uint64_t)(block[i] == delimiter || block[i] == '\n' || block[i] == '\r') << i;
#endif
    return stops;
}

/* The first stop from `at` on, or the window's end. Fields are shorter than blocks: one look at a block finds several.
 * Behind the window the buffer has a block's bytes more, whatever they are. */
static size_t find_stop(Scan *scan, size_t at, char delimiter) {
    while (at < scan->window) {
        if (at >= scan->block_end) {
            scan->stops = csv_stops(scan->text + at, delimiter);
            scan->block_end = at + CSV_BLOCK_BYTES;
        }
        uint64_t ahead = scan->stops >> (at + CSV_BLOCK_BYTES - scan->block_end);
        if (ahead != 0) {
            size_t stop = at + (size_t)__builtin_ctzll(ahead);
            return stop < scan->window ? stop : scan->window;
        }
        at = scan->block_end;
    }
    return scan->window;
}

static bool is_line_end(char c) { return c == '\n' || c == '\r'; }

/* Bytes of the line end at `at`: 1 or 2, 0 when a CR stands last and its LF may follow. */
static size_t line_end_size(const char *at, size_t size, bool is_last) {
    if (at[0] == '\n')
        return 1;
    if (size > 1)
        return at[1] == '\n' ? 2 : 1;
    return is_last ? 1 : 0;
}

static int64_t count_line_ends(const char *at, size_t size) {
    int64_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += at[i] == '\n' || (at[i] == '\r' && (i + 1 == size || at[i + 1] != '\n'));
    return n;
}

static void add_field(CsvParser *csv, Str field, bool has_escapes) {
    if (csv->n_fields == csv->fields_capacity) {
        csv->fields_capacity *= 2;
        csv->fields = grow(csv->fields, csv->fields_capacity * sizeof *csv->fields);
        csv->escaped = grow(csv->escaped, csv->fields_capacity * sizeof *csv->escaped);
    }
    if (has_escapes)
        csv->escaped[csv->n_escaped++] = csv->n_fields;
    csv->fields[csv->n_fields++] = field;
}

static ScanEnd scan_broken(Scan *scan, CsvProblem problem) {
    scan->problem = problem;
    return SCAN_BROKEN;
}

/* The window ends inside the row: the row is too long, or more bytes are needed, or that was all. */
static ScanEnd scan_runs_out(const CsvParser *csv, Scan *scan, bool in_quotes) {
    if (scan->window == csv->max_line_bytes + 2)
        return scan_broken(scan, CSV_LINE_TOO_LONG);
    if (!scan->is_last)
        return SCAN_MORE;
    if (in_quotes)
        return scan_broken(scan, CSV_QUOTE_OPEN);
    scan->size = scan->end = scan->window;
    scan->has_end = false;
    return SCAN_ROW;
}

/* The closing quote from `from` on, NULL when the window has none; a quote that is doubled or escaped is none. */
static const char *find_closing(const CsvParser *csv, const Scan *scan, size_t from, bool *ret_has_escapes) {
    const char *at = scan->text + from, *end = scan->text + scan->window;
    bool backslash = csv->quote == CSV_QUOTE_BACKSLASH;
    for (;; *ret_has_escapes = true, at += 2) {
        const char *quote = at < end ? memchr(at, '"', (size_t)(end - at)) : NULL;
        const char *escape = backslash && at < end ? memchr(at, '\\', (size_t)((quote ? quote : end) - at)) : NULL;
        if (!escape && (!quote || backslash || quote + 1 == end || quote[1] != '"'))
            return quote;
        at = escape ? escape : quote;
    }
}

/* From the byte after the opening quote; leaves `*at` after the closing one. False: no such quote. */
static bool scan_quoted(CsvParser *csv, const Scan *scan, size_t *at) {
    bool has_escapes = false;
    const char *from = scan->text + *at, *quote = find_closing(csv, scan, *at, &has_escapes);
    if (!quote)
        return false;
    Str field = {from, (size_t)(quote - from)};
    csv->inner_lines += count_line_ends(field.at, field.size);
    *at += field.size + 1;
    add_field(csv, field, has_escapes);
    return true;
}

/* Where escapes are, those before the stop may hide it. */
static size_t pass_escapes(const CsvParser *csv, Scan *scan, size_t from, size_t stop, bool *ret_has_escapes) {
    for (const char *escape; (escape = memchr(scan->text + from, '\\', stop - from));) {
        *ret_has_escapes = true;
        from = (size_t)(escape - scan->text) + 2;
        from = from < scan->window ? from : scan->window;
        stop = from > stop ? find_stop(scan, from, csv->delimiter) : stop;
    }
    return stop;
}

static void scan_plain(CsvParser *csv, Scan *scan, size_t *at) {
    bool has_escapes = false;
    size_t stop = find_stop(scan, *at, csv->delimiter);
    if (csv->quote == CSV_QUOTE_BACKSLASH)
        stop = pass_escapes(csv, scan, *at, stop, &has_escapes);
    Str field = {scan->text + *at, stop - *at};
    if (has_escapes)
        csv->inner_lines += count_line_ends(field.at, field.size);
    add_field(csv, field, has_escapes);
    *at = stop;
}

/* Adds the fields from `at` on that no quote begins and a delimiter ends, and returns where the next one begins: what
 * scan_row() does with each, without a look at anything else. Most rows have no others, but for their last. */
static size_t pass_plain(CsvParser *csv, Scan *scan, size_t at) {
    const char *const text = scan->text, delimiter = csv->delimiter;
    const size_t window = scan->window;
    const char quote = csv->quote == CSV_QUOTE_DOUBLE ? '"' : '\n'; /* that begins no such field */
    if (csv->quote == CSV_QUOTE_BACKSLASH || delimiter == CSV_WHOLE_LINES || at >= window || text[at] == quote)
        return at;
    Str *field = csv->fields + csv->n_fields, *const limit = csv->fields + csv->fields_capacity;
    size_t block = at;
    uint64_t stops = csv_stops(text + block, delimiter);
    for (;;) {
        while (stops == 0 && block + CSV_BLOCK_BYTES < window)
            stops = csv_stops(text + (block += CSV_BLOCK_BYTES), delimiter);
        size_t stop = stops ? block + (size_t)__builtin_ctzll(stops) : window;
        if (stop >= window || text[stop] != delimiter || text[at] == quote || field == limit)
            break;
        *field++ = (Str){text + at, stop - at};
        at = stop + 1;
        stops &= stops - 1;
    }
    csv->n_fields = (size_t)(field - csv->fields);
    scan->stops = stops;
    scan->block_end = at < block ? 0 : block + CSV_BLOCK_BYTES;
    return at;
}

/* One row from the start of the window. */
static ScanEnd scan_row(CsvParser *csv, Scan *scan) {
    size_t at = 0;
    csv->n_fields = csv->n_escaped = 0;
    csv->inner_lines = 0;
    scan->has_end = true;
    scan->problem = CSV_FINE;
    for (;; at++) {
        at = pass_plain(csv, scan, at);
        bool is_quoted = at < scan->window && scan->text[at] == '"' && csv->quote != CSV_QUOTE_NONE;
        if (is_quoted)
            at++;
        if (is_quoted && !scan_quoted(csv, scan, &at))
            return scan_runs_out(csv, scan, true);
        if (!is_quoted)
            scan_plain(csv, scan, &at);
        if (at == scan->window)
            return scan_runs_out(csv, scan, false);
        if (is_line_end(scan->text[at]))
            break;
        if (scan->text[at] != csv->delimiter)
            return scan_broken(scan, CSV_QUOTE_TRAILING);
    }
    size_t end_size = line_end_size(scan->text + at, scan->window - at, scan->is_last);
    if (at > csv->max_line_bytes)
        return scan_broken(scan, CSV_LINE_TOO_LONG);
    if (end_size == 0)
        return SCAN_MORE;
    scan->size = at;
    scan->end = at + end_size;
    return SCAN_ROW;
}

static void consume(CsvParser *csv, size_t bytes, int64_t lines) {
    csv->start += bytes;
    csv->offset += (int64_t)bytes;
    csv->line += lines;
}

/* As the caller sees it: of doubled quotes one stays, of escapes what they escape, in place. */
static size_t unescape(char *text, size_t size, char escape) {
    char *to = text;
    const char *end = text + size;
    for (const char *at = text; at < end; at++) {
        at += *at == escape && at + 1 < end;
        *to++ = *at;
    }
    return (size_t)(to - text);
}

static bool has_long_field(const CsvParser *csv) {
    for (size_t i = 0; i < csv->n_fields; i++)
        if (csv->fields[i].size > csv->max_field_bytes)
            return true;
    return false;
}

static CsvProblem finish_fields(CsvParser *csv, char *text, size_t size) {
    if (csv->n_fields > CSV_FIELDS_MAX)
        return CSV_TOO_MANY_FIELDS;
    if (memchr(text, '\0', size))
        return CSV_NUL;
    if (size > csv->max_field_bytes && has_long_field(csv))
        return CSV_FIELD_TOO_LONG;
    for (size_t i = 0; i < csv->n_escaped; i++) {
        Str *field = &csv->fields[csv->escaped[i]];
        field->size = unescape(text + (field->at - text), field->size, csv->quote == CSV_QUOTE_BACKSLASH ? '\\' : '"');
    }
    return CSV_FINE;
}

static void give_text(CsvParser *csv, Str text, CsvRow *row) {
    csv->fields[0] = text;
    row->n_fields = 1;
}

static CsvStatus give_row(CsvParser *csv, const Scan *scan, CsvRow *row) {
    char *text = csv->data + csv->start;
    *row = (CsvRow){.line = csv->line, .offset = csv->offset, .has_end = scan->has_end};
    row->problem = finish_fields(csv, text, scan->size);
    row->n_fields = csv->n_fields;
    if (row->problem != CSV_FINE)
        give_text(csv, (Str){text, scan->size}, row);
    consume(csv, scan->end, 1 + csv->inner_lines);
    row->fields = csv->fields;
    row->end = csv->offset;
    row->next_line = csv->line;
    return CSV_ROW;
}

/* Keeps the first bytes of a line too long to hold, and makes room for its next ones. */
static CsvStatus skip_piece(CsvParser *csv, size_t seen) {
    if (csv->kept == 0 && seen <= csv->max_line_bytes + 2)
        return CSV_MORE;
    size_t keep = csv->kept ? csv->kept : csv->max_line_bytes;
    size_t last = seen - (csv->data[csv->start + seen - 1] == '\r'); /* its LF may be next */
    if (last > keep) {
        memmove(csv->data + csv->start + keep, csv->data + csv->start + last, seen - last);
        csv->skipped += (int64_t)(last - keep);
        csv->end -= last - keep;
    }
    csv->kept = keep;
    return CSV_MORE;
}

/* The first physical line of a row that is not fit to be read. */
static CsvStatus give_broken_line(CsvParser *csv, CsvProblem problem, CsvRow *row) {
    char *text = csv->data + csv->start;
    size_t size = csv->end - csv->start, at = csv->kept;
    while (at < size && !is_line_end(text[at]))
        at++;
    size_t end_size = at < size ? line_end_size(text + at, size - at, csv->is_finished) : 0;
    if (end_size == 0 && !csv->is_finished)
        return skip_piece(csv, size);
    *row = (CsvRow){.line = csv->line, .offset = csv->offset, .has_end = end_size > 0};
    row->problem = at > csv->max_line_bytes ? CSV_LINE_TOO_LONG : problem;
    size_t shown = at < csv->max_line_bytes ? at : csv->max_line_bytes;
    give_text(csv, (Str){text, shown}, row);
    consume(csv, at + end_size, 1);
    csv->offset += csv->skipped;
    csv->kept = 0;
    csv->skipped = 0;
    row->fields = csv->fields;
    row->end = csv->offset;
    row->next_line = csv->line;
    return CSV_ROW;
}

/* False when it cannot be told yet whether the file begins with a byte order mark. */
static bool pass_mark(CsvParser *csv) {
    static const char MARK[] = "\xEF\xBB\xBF";
    size_t size = csv->end - csv->start, n = size < 3 ? size : 3;
    if (csv->offset > 0 || memcmp(csv->data + csv->start, MARK, n) != 0)
        return true;
    if (n == 3)
        consume(csv, 3, 0);
    return n == 3 || csv->is_finished;
}

static void pass_blank_lines(CsvParser *csv) {
    while (csv->start < csv->end && is_line_end(csv->data[csv->start])) {
        size_t size = csv->end - csv->start;
        size_t end_size = line_end_size(csv->data + csv->start, size, csv->is_finished);
        if (end_size == 0)
            return;
        consume(csv, end_size, 1);
    }
}

CsvStatus csv_next(CsvParser *csv, CsvRow *ret_row) {
    if (csv->kept > 0)
        return give_broken_line(csv, CSV_LINE_TOO_LONG, ret_row);
    if (csv->start < csv->end && !pass_mark(csv))
        return CSV_MORE;
    pass_blank_lines(csv);
    size_t size = csv->end - csv->start;
    if (size == 0)
        return csv->is_finished ? CSV_END : CSV_MORE;
    size_t most = csv->max_line_bytes + 2;
    Scan scan = {.text = csv->data + csv->start, .window = size < most ? size : most,
                 .is_last = csv->is_finished && size <= most};
    switch (scan_row(csv, &scan)) {
    case SCAN_ROW:
        return give_row(csv, &scan, ret_row);
    case SCAN_BROKEN:
        return give_broken_line(csv, scan.problem, ret_row);
    default:
        return CSV_MORE;
    }
}

CsvParser *csv_open(const CsvOptions *options) {
    CsvParser *csv = grow(NULL, sizeof *csv);
    *csv = (CsvParser){
        .delimiter = options->delimiter ? options->delimiter : ',',
        .quote = options->quote,
        .max_line_bytes = options->max_line_bytes ? options->max_line_bytes : LINE_BYTES_DEFAULT,
        .max_field_bytes =
            options->max_field_bytes ? options->max_field_bytes : FIELD_BYTES_DEFAULT,
        .line = 1,
        .fields_capacity = FIELDS_START,
        .fields = grow(NULL, FIELDS_START * sizeof(Str)),
        .escaped = grow(NULL, FIELDS_START * sizeof(size_t)),
    };
    return csv;
}

void csv_free(CsvParser *csv) {
    free(csv->data);
    free(csv->fields);
    free(csv->escaped);
    free(csv);
}

void csv_resume_at(CsvParser *csv, int64_t offset, int64_t line) {
    csv->offset = offset;
    csv->line = line;
}

void csv_feed(CsvParser *csv, Str chunk) {
    size_t held = csv->end - csv->start;
    if (csv->start > 0 && held > 0)
        memmove(csv->data, csv->data + csv->start, held);
    csv->start = 0;
    csv->end = held;
    if (chunk.size == 0)
        return;
    if (held + chunk.size > csv->capacity) {
        csv->capacity = held + chunk.size;
        csv->data = grow(csv->data, csv->capacity + CSV_BLOCK_BYTES);
    }
    memcpy(csv->data + held, chunk.at, chunk.size);
    csv->end += chunk.size;
}

void csv_finish(CsvParser *csv) { csv->is_finished = true; }

const char *csv_problem_text(CsvProblem problem) {
    static const char *const TEXTS[] = {
        [CSV_FINE] = "",
        [CSV_LINE_TOO_LONG] = "the line is longer than max_line_bytes",
        [CSV_FIELD_TOO_LONG] = "a field is longer than max_field_bytes",
        [CSV_TOO_MANY_FIELDS] = "the line has more than 1593 fields",
        [CSV_QUOTE_OPEN] = "a quoted field never ends",
        [CSV_QUOTE_TRAILING] = "text follows a closing quote",
        [CSV_NUL] = "the line holds a NUL byte",
    };
    return TEXTS[problem];
}
