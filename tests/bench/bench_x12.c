/* bench_x12 - how many megabytes of 835 a second one core parses, and parses and adds up.
 *
 *     bench_x12             a remittance made here, in memory
 *     bench_x12 FILE        a file, once */
#include "bench.h"

#include "transform/formats/x12_tally.h"

enum { CHUNK_BYTES = 64 * 1024, MADE_CLAIMS = 400000, CLAIM_BYTES = 700 };

typedef enum Work { WORK_PARSE, WORK_TALLY } Work;

static Str make_remittance(Arena *arena) {
    char *text = arena_alloc(arena, (size_t)MADE_CLAIMS * CLAIM_BYTES);
    size_t used = (size_t)sprintf(text,
        "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROVIDER       *250101*1000*^*00501*000000001*0*P*:~\n"
        "GS*HP*PAYER*PROVIDER*20250101*1000*1*X*005010X221A1~\nST*835*0001~\nBPR*I*%d.00*C*ACH~\n", MADE_CLAIMS * 100);
    int64_t segments = 2;
    for (int i = 1; i <= MADE_CLAIMS; i++, segments += 9)
        used += (size_t)sprintf(text + used,
            "CLP*CLAIM%06d*1*150.00*100.00*20.00*MC*%010d*11*1~\nNM1*QC*1*LAST%d*FIRST****MI*M%08d~\n"
            "DTM*232*20250101~\nSVC*HC:99213:25*100*80**1~\nDTM*472*20250101~\nCAS*CO*45*20~\n"
            "SVC*HC:85025*50*20**1~\nDTM*472*20250101~\nCAS*CO*45*10**PR*20~\n",
            i, i, i % 1000, i);
    used += (size_t)sprintf(text + used, "SE*%lld*0001~\nGE*1*1~\nIEA*1*000000001~\n", (long long)segments + 1);
    return (Str){text, used};
}

static void run(const char *what, Str text, Work work) {
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){0});
    X12Tally tally = {0};
    X12Totals totals = {0};
    X12Segment segment;
    X12Fault fault;
    int64_t started = cpu_us(), segments = 0, claims = 0, faults = 0;
    size_t fed = 0;
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        if (status == X12_MORE) {
            size_t size = text.size - fed < CHUNK_BYTES ? text.size - fed : CHUNK_BYTES;
            if (size > 0)
                x12_feed(x12, (Str){text.at + fed, size});
            else
                x12_finish(x12);
            fed += size;
        }
        segments += status == X12_SEGMENT;
        faults += status == X12_FAULT;
        if (status == X12_SEGMENT && work == WORK_TALLY && x12_tally_take(&tally, &segment, &totals))
            claims += totals.claims;
    }
    int64_t us = cpu_us() - started;
    printf("%-18s %9lld segments  %8lld claims  %6lld faults  %8.3f s  %8.1f MB/s\n", what, (long long)segments,
           (long long)claims, (long long)faults, (double)us / 1e6, (double)text.size / (double)(us > 0 ? us : 1));
}

int main(int argc, char **argv) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Str text = argc > 1 ? read_file(arena, argv[1]) : make_remittance(arena);
    run("parse", text, WORK_PARSE);
    run("parse and add up", text, WORK_TALLY);
    return 0;
}
