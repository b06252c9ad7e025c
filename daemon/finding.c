/* finding.c - see finding.h. */
#include "finding.h"

#include <stdarg.h>

void finding_remark(Finding *finding, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
}

void finding_mind(Finding *finding, const char *mend, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    snprintf(finding->mend, sizeof finding->mend, "%s", mend);
    finding->kind = FINDING_MIND;
}

void finding_bad(Finding *finding, const Error *err) {
    snprintf(finding->text, sizeof finding->text, "%s", err->text);
    snprintf(finding->mend, sizeof finding->mend, "%s", err->hint);
    finding->kind = FINDING_BAD;
}

void report_finding(Report *report, const char *subject, const char *check, const Finding *finding) {
    static const char *const WORDS[] = {[FINDING_OK] = "ok", [FINDING_MIND] = "mind", [FINDING_BAD] = "BAD"};
    if (finding->kind == FINDING_NOTHING)
        return;
    fprintf(report->out, "%-4s  %s, %s%s%s\n", WORDS[finding->kind], subject, check,
            finding->text[0] ? ": " : "", finding->text);
    if (finding->mend[0])
        fprintf(report->out, "      mend: %s\n", finding->mend);
    if (finding->kind == FINDING_BAD)
        report->is_well = false;
}
