/* fuzz_x12 - any bytes: no crash, bounded segments, and the same segments, faults, sums and rows however the bytes are cut. What a
 * set adds up to is what its rows have: as many claims, and where a remittance balances, its adjustments.
 *
 * Built and run by scripts/fuzz.
 * The first byte chooses the chunk size. Bit 7 puts a header in front, so that most inputs are past it. */
#include "base/own.h"
#include "transform/formats/acknowledgement.h"
#include "transform/formats/batch_answer.h"
#include "transform/formats/x12_rows.h"
#include "transform/formats/x12_tally.h"

#include <stdlib.h>

enum { MAX_SEGMENT_BYTES = 300 };

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

/* Everything that reads segments, one after the other. */
typedef struct Readers {
    X12Tally tally;
    X12AckReader acks;
    X12BatchReader batch;
    X12Rows *rows;
    struct {
        int64_t transaction, rows, adjusted; /* cents */
        bool is_cut_short;                   /* a list of adjustments was too long */
    } set;
} Readers;

/* The text ends where it ends: nothing stands behind it. */
static int64_t number_at(Str text, size_t i) {
    int64_t number = 0;
    bool is_negative = i < text.size && text.at[i] == '-';
    for (i += is_negative; i < text.size && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        number = 10 * number + (text.at[i] - '0');
    return is_negative ? -number : number;
}

/* line|group|reason|position|cents|…; … */
static int64_t sum_adjustments(Str list) {
    int64_t sum = 0;
    for (size_t i = 0, field = 0; i < list.size; i++) {
        if (list.at[i] == ';')
            field = 0;
        else if (list.at[i] == '|' && ++field == 4)
            sum += number_at(list, i + 1);
    }
    return sum;
}

static void count_row(Readers *readers, const X12Row *row) {
    if (row->place.transaction != readers->set.transaction)
        memset(&readers->set, 0, sizeof readers->set);
    readers->set.transaction = row->place.transaction;
    readers->set.rows++;
    readers->set.is_cut_short |= row->is_too_long;
    if (!str_is_null(row->fields[X12_ADJUSTMENT_LIST]))
        readers->set.adjusted += sum_adjustments(row->fields[X12_ADJUSTMENT_LIST]);
}

static void compare_with_rows(const Readers *readers, const X12Totals *totals) {
    bool is_remittance = strcmp(totals->kind, "835") == 0, is_one = readers->set.transaction == totals->place.transaction;
    int64_t rows = is_one ? readers->set.rows : 0, adjusted = is_one ? readers->set.adjusted : 0;
    if ((is_remittance || strcmp(totals->kind, "837") == 0) && totals->claims != rows)
        abort();
    bool is_exact = is_remittance && x12_is_balanced(totals) && !readers->set.is_cut_short;
    if (is_exact && totals->charged - totals->paid != adjusted)
        abort();
}

static uint64_t mix_row(uint64_t hash, const X12Row *row) {
    hash = mix(hash, &row->place, sizeof row->place);
    for (int i = 0; i < X12_N_COLUMNS; i++)
        hash = mix(mix(hash, row->fields[i].at, row->fields[i].size), "\x1e", 1);
    return hash;
}

static uint64_t mix_totals(uint64_t hash, const X12Totals *totals) {
    const int64_t sums[] = {totals->claims, totals->lines, totals->charged, totals->paid, x12_difference(totals),
                            totals->lines_out_of_balance, totals->claims_out_of_balance, totals->unreadable_amounts};
    return mix(mix(hash, sums, sizeof sums), totals->control, strlen(totals->control));
}

static uint64_t take(Readers *readers, const X12Segment *segment, uint64_t hash) {
    X12Row row;
    X12Totals totals;
    X12Acknowledgement ack;
    X12BatchAnswer answers[X12_BATCH_ANSWERS_MAX];
    if (x12_rows_take(readers->rows, segment, &row)) {
        hash = mix_row(hash, &row);
        count_row(readers, &row);
    }
    if (x12_tally_take(&readers->tally, segment, &totals)) {
        hash = mix_totals(hash, &totals);
        compare_with_rows(readers, &totals);
    }
    if (x12_ack_take(&readers->acks, segment, &ack))
        hash = mix(hash, ack.set_control, strlen(ack.set_control));
    size_t n = x12_batch_take(&readers->batch, segment, answers);
    for (size_t i = 0; i < n; i++)
        hash = mix(mix(hash, &answers[i].place, sizeof answers[i].place), answers[i].code, strlen(answers[i].code));
    return hash;
}

static uint64_t read_segments(Str text, size_t chunk) {
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){MAX_SEGMENT_BYTES});
    CLEANUP(x12_rows_drop) X12Rows *rows = x12_rows_open();
    Readers readers = {.rows = rows};
    uint64_t hash = 0xCBF29CE484222325u;
    size_t fed = 0;
    int64_t end = 0, segments = 0;
    X12Segment segment;
    X12Fault fault;
    char sentence[X12_SENTENCE_BYTES];
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        if (status == X12_MORE) {
            size_t size = text.size - fed < chunk ? text.size - fed : chunk;
            x12_feed(x12, (Str){text.at + fed, size});
            fed += size;
            if (size == 0)
                x12_finish(x12);
            continue;
        }
        if (status == X12_FAULT) {
            const char *said = x12_fault_text(&fault, sentence);
            hash = mix(hash, said, strlen(said));
            continue;
        }
        if (segment.end <= end || segment.end > (int64_t)text.size || segment.place.offset < end ||
            segment.place.segment <= segments || segment.n_elements == 0)
            abort();
        end = segment.end;
        segments = segment.place.segment;
        hash = mix(hash, &segment.place, sizeof segment.place);
        hash = mix(hash, &segment.is_fault, 1);
        for (size_t i = 0; i < segment.n_elements; i++) {
            if (segment.elements[i].size > MAX_SEGMENT_BYTES)
                abort();
            Str element = x12_element(&segment, i), second = x12_component(&segment, element, 1);
            hash = mix(mix(mix(hash, element.at, element.size), second.at, second.size), "\x1f", 1);
        }
        hash = take(&readers, &segment, hash);
    }
    X12Row row;
    return x12_rows_finish(rows, &row) ? mix_row(hash, &row) : hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char HEADER[] = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROVIDER       *250101*1000*^*"
                                 "00501*000000001*0*P*:~GS*HP*P*Q*20250101*1000*1*X*005010X221A1~ST*835*0001~";
    if (size < 1)
        return 0;
    size_t before = data[0] & 0x80 ? sizeof HEADER - 1 : 0;
    CLEANUP(mem_drop) char *bytes = malloc(before + size);
    memcpy(bytes, HEADER, before);
    memcpy(bytes + before, data + 1, size - 1);
    Str text = {bytes, before + size - 1};
    if (read_segments(text, text.size + 1) != read_segments(text, 1u + (data[0] & 0x7f)))
        abort();
    return 0;
}
