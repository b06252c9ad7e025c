/* delivery_values.c - see delivery_values.h. */
#include "steps/delivery_values.h"

#include "transform/evidence.h"

static Str *texts_of(const ValueSample *s, int field) {
    const RawRows *rows = s->rows;
    Str *texts = ARENA_ARRAY(s->arena, Str, rows->n_rows + 1);
    for (size_t i = 0; i < rows->n_rows; i++)
        texts[i] = rows->rejects[i].rule ? STR_NULL : rows->fields[i * s->n_fields + (size_t)field];
    return texts;
}

static bool refuse_dates(const char *name, const char *const *formats, size_t n, Error *err) {
    if (n > 1) {
        error_set(err, STATE_DATA, "whether the dates of column `%s` have the month or the day first "
                  "cannot be told from them, and nothing declares it", name);
        return error_hint(err, "say `date_format: \"%s\"` or `date_format: \"%s\"`", formats[0], formats[1]);
    }
    error_set(err, STATE_DATA, "the dates of column `%s` are not written as declared, and all first ones fit %s",
              name, formats[0]);
    return error_hint(err, "if the sender means that, say `date_format: \"%s\"`", formats[0]);
}

static bool check_dates(const char *name, const Str *texts, size_t n, Error *err) {
    const char *formats[EVIDENCE_FORMATS_MAX];
    size_t n_formats = evidence_date_formats(texts, n, formats);
    return n_formats == 0 || refuse_dates(name, formats, n_formats, err);
}

static bool check_amounts(const char *name, const Str *texts, size_t n, Error *err) {
    DecimalEvidence evidence = evidence_decimal(texts, n);
    bool is_comma = evidence.n_comma > 0;
    if (evidence.n_neither > 0 || (evidence.n_comma > 0) == (evidence.n_point > 0))
        return true;
    error_set(err, STATE_DATA, "the amounts of column `%s` have a decimal %s, and that is not declared", name,
              is_comma ? "comma" : "point");
    return error_hint(err, "say `decimal: %s`, or so in the column's `clean`", is_comma ? "comma" : "point");
}

static bool check_reader(const ValueSample *s, MappingReader reader, bool is_unread, DecimalEvidence *sum, Error *err) {
    const char *name = s->fields[reader.field].name;
    const Str *texts = texts_of(s, reader.field);
    size_t n = s->rows->n_rows;
    if (reader.type != TYPE_MONEY)
        return !is_unread || check_dates(name, texts, n, err);
    DecimalEvidence evidence = evidence_decimal(texts, n);
    sum->n_comma += evidence.n_comma;
    sum->n_point += evidence.n_point;
    return !is_unread || check_amounts(name, texts, n, err);
}

/* One bit for each reader of which a value could not be read. */
static uint64_t find_unread(const ValueSample *s, const Mapping *mapping) {
    uint64_t unread = 0;
    for (size_t i = 0; i < s->rows->n_rows; i++)
        if (!s->rows->rejects[i].rule)
            unread |= mapping_unread(mapping, s->rows->fields + i * s->n_fields, s->arena);
    return unread;
}

bool values_check(const ValueSample *sample, const Mapping *mapping, const char **ret_decimal, Error *err) {
    MappingReader readers[ENTITY_COLUMNS_MAX];
    size_t n = mapping_readers(mapping, readers);
    uint64_t unread = find_unread(sample, mapping);
    DecimalEvidence decimal = {0};
    for (size_t i = 0; i < n; i++)
        TRY(check_reader(sample, readers[i], unread >> i & 1, &decimal, err));
    if ((decimal.n_comma > 0) != (decimal.n_point > 0))
        *ret_decimal = decimal.n_comma > 0 ? "comma" : "point";
    return true;
}
