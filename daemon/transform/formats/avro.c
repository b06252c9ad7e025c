/* avro.c - see avro.h. The encodings follow the specification's sections "Binary Encoding" (zig-zag
 * variable-length integers, little group first) and "Object Container Files". */
#include "transform/formats/avro.h"

#include "base/own.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    BLOCK_BYTES = 64 * 1024,
    ROW_BYTES_MAX = 64 * 1024 * 1024, /* a row may be long, but not without end */
    SCHEMA_BYTES_MAX = 256 * 1024,
    DEFLATE_LEVEL = 4, /* half the time of 6 for 3 % more bytes */
    RAW_DEFLATE = -15  /* the codec is deflate without zlib's header (RFC 1951) */
};

static const char MAGIC[4] = {'O', 'b', 'j', 1};

struct AvroWriter {
    AvroSpec spec;
    Buf rows;    /* the block being filled */
    Buf packed;  /* a block as it goes out */
    int64_t n_rows; /* of the block */
    int column;  /* the one that is put next */
    bool misused;
    z_stream deflate;
    bool has_deflate;
};

/* ---- encoding ------------------------------------------------------------------------------- */

static void put_long(Buf *buf, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (rest >= 0x80) {
        buf_put_byte(buf, (uint8_t)(rest | 0x80));
        rest >>= 7;
    }
    buf_put_byte(buf, (uint8_t)rest);
}

static void put_bytes(Buf *buf, Str bytes) {
    put_long(buf, (int64_t)bytes.size);
    buf_put_str(buf, bytes);
}

/* Two's complement, big endian, as short as its sign allows. */
static void put_decimal(Buf *buf, int64_t value) {
    uint8_t wire[8];
    for (int i = 0; i < 8; i++)
        wire[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
    int skip = 0;
    while (skip < 7 && ((wire[skip] == 0x00 && wire[skip + 1] < 0x80) ||
                        (wire[skip] == 0xff && wire[skip + 1] >= 0x80)))
        skip++;
    put_bytes(buf, (Str){(const char *)wire + skip, (size_t)(8 - skip)});
}

/* ---- schema --------------------------------------------------------------------------------- */

static void put_type(Buf *json, const AvroColumn *column) {
    static const char *const TYPES[] = {
        [AVRO_LONG] = "\"long\"",
        [AVRO_BOOL] = "\"boolean\"",
        [AVRO_STRING] = "\"string\"",
        [AVRO_DATE] = "{\"type\":\"int\",\"logicalType\":\"date\"}",
        [AVRO_TIMESTAMP_US] = "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
        [AVRO_STRINGS] = "{\"type\":\"array\",\"items\":\"string\"}",
    };
    if (column->kind == AVRO_DECIMAL)
        buf_printf(json,
                   "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                   column->precision, column->scale);
    else
        buf_put_str(json, str_of(TYPES[column->kind]));
}

static bool is_union(const AvroColumn *column) {
    return column->nullable && column->kind != AVRO_STRINGS;
}

static void put_schema(Buf *json, const AvroSpec *spec) {
    buf_printf(json, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", spec->record);
    for (int i = 0; i < spec->n_columns; i++) {
        const AvroColumn *column = &spec->columns[i];
        buf_printf(json, "%s{\"name\":\"%s\",\"type\":", i > 0 ? "," : "", column->name);
        if (is_union(column))
            buf_put_str(json, STR("[\"null\","));
        put_type(json, column);
        buf_put_str(json, is_union(column) ? STR("]}") : STR("}"));
    }
    buf_put_str(json, STR("]}"));
}

static bool name_is_valid(const char *name) {
    for (const char *at = name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !(digit && at > name))
            return false;
    }
    return *name != '\0';
}

static bool check_names(const AvroSpec *spec, Error *err) {
    if (!name_is_valid(spec->record))
        return error_set(err, STATE_BUG, "'%s' is no Avro record name", spec->record);
    for (int i = 0; i < spec->n_columns; i++)
        if (!name_is_valid(spec->columns[i].name))
            return error_set(err, STATE_BUG, "'%s' is no Avro field name", spec->columns[i].name);
    return true;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static bool write_header(AvroWriter *writer, Error *err) {
    CLEANUP(buf_done) Buf schema;
    buf_init(&schema, SCHEMA_BYTES_MAX);
    put_schema(&schema, &writer->spec);
    Buf *out = &writer->packed;
    buf_put(out, MAGIC, sizeof MAGIC);
    put_long(out, 2); /* the map of metadata: two entries, then the end */
    put_bytes(out, STR("avro.schema"));
    put_bytes(out, buf_str(&schema));
    put_bytes(out, STR("avro.codec"));
    put_bytes(out, writer->has_deflate ? STR("deflate") : STR("null"));
    put_long(out, 0);
    buf_put(out, writer->spec.sync, AVRO_SYNC_BYTES);
    if (buf_overflowed(&schema) || buf_overflowed(out))
        return error_set(err, STATE_BUG, "the Avro schema of %s is too long", writer->spec.record);
    TRY(writer->spec.sink(writer->spec.sink_context, buf_str(out), err));
    buf_clear(out);
    return true;
}

static bool deflate_rows(AvroWriter *writer, Buf *out, Error *err) {
    z_stream *z = &writer->deflate;
    deflateReset(z);
    size_t bound = deflateBound(z, (uLong)writer->rows.size);
    char *room = buf_reserve(out, bound);
    if (!room)
        return error_set(err, STATE_RESOURCES, "an Avro block of %s is too long",
                         writer->spec.record);
    z->next_in = (Bytef *)writer->rows.data;
    z->avail_in = (uInt)writer->rows.size;
    z->next_out = (Bytef *)room;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return error_set(err, STATE_BUG, "cannot deflate an Avro block");
    out->size += bound - z->avail_out;
    return true;
}

static bool emit_block(AvroWriter *writer, Str rows, Error *err) {
    AvroSpec *spec = &writer->spec;
    CLEANUP(buf_done) Buf head;
    buf_init(&head, 32);
    put_long(&head, writer->n_rows);
    put_long(&head, (int64_t)rows.size);
    Str sync = {(const char *)spec->sync, AVRO_SYNC_BYTES};
    return spec->sink(spec->sink_context, buf_str(&head), err) &&
           spec->sink(spec->sink_context, rows, err) && spec->sink(spec->sink_context, sync, err);
}

static bool write_block(AvroWriter *writer, Error *err) {
    if (writer->n_rows == 0)
        return true;
    Str rows = buf_str(&writer->rows);
    if (writer->has_deflate) {
        buf_clear(&writer->packed);
        TRY(deflate_rows(writer, &writer->packed, err));
        rows = buf_str(&writer->packed);
    }
    TRY(emit_block(writer, rows, err));
    buf_clear(&writer->rows);
    writer->n_rows = 0;
    return true;
}

/* ---- the writer ----------------------------------------------------------------------------- */

AvroWriter *avro_open(const AvroSpec *spec, Error *err) {
    TRY_NULL(check_names(spec, err));
    CLEANUP(avro_drop) AvroWriter *writer = calloc(1, sizeof *writer);
    if (!writer) {
        error_set(err, STATE_RESOURCES, "out of memory");
        return NULL;
    }
    writer->spec = *spec;
    if (!writer->spec.block_bytes)
        writer->spec.block_bytes = BLOCK_BYTES;
    buf_init(&writer->rows, ROW_BYTES_MAX);
    buf_init(&writer->packed, ROW_BYTES_MAX + ROW_BYTES_MAX / 64);
    if (spec->codec == AVRO_CODEC_DEFLATE) {
        if (deflateInit2(&writer->deflate, DEFLATE_LEVEL, Z_DEFLATED, RAW_DEFLATE, 8,
                         Z_DEFAULT_STRATEGY) != Z_OK) {
            error_set(err, STATE_RESOURCES, "cannot start to deflate");
            return NULL;
        }
        writer->has_deflate = true;
    }
    TRY_NULL(write_header(writer, err));
    return TAKE(writer);
}

void avro_free(AvroWriter *writer) {
    if (writer->has_deflate)
        deflateEnd(&writer->deflate);
    buf_done(&writer->rows);
    buf_done(&writer->packed);
    free(writer);
}

/* The column that is put now; NULL and a mark for avro_end_row() when there is none left. */
static const AvroColumn *next_column(AvroWriter *writer) {
    if (writer->column >= writer->spec.n_columns) {
        writer->misused = true;
        return NULL;
    }
    return &writer->spec.columns[writer->column++];
}

static void put_branch(AvroWriter *writer, const AvroColumn *column) {
    if (is_union(column))
        put_long(&writer->rows, 1);
}

void avro_put_null(AvroWriter *writer) {
    const AvroColumn *column = next_column(writer);
    if (column && (is_union(column) || column->kind == AVRO_STRINGS))
        put_long(&writer->rows, 0); /* the union's first branch, or an array's end */
    else
        writer->misused = true;
}

void avro_put_number(AvroWriter *writer, int64_t value) {
    const AvroColumn *column = next_column(writer);
    if (!column || column->kind == AVRO_STRING || column->kind == AVRO_STRINGS) {
        writer->misused = true;
        return;
    }
    put_branch(writer, column);
    if (column->kind == AVRO_DECIMAL)
        put_decimal(&writer->rows, value);
    else if (column->kind == AVRO_BOOL)
        buf_put_byte(&writer->rows, value != 0);
    else
        put_long(&writer->rows, value);
}

void avro_put_string(AvroWriter *writer, Str text) {
    const AvroColumn *column = next_column(writer);
    if (!column || column->kind != AVRO_STRING) {
        writer->misused = true;
        return;
    }
    put_branch(writer, column);
    put_bytes(&writer->rows, text);
}

void avro_put_strings(AvroWriter *writer, const Str *texts, size_t n) {
    const AvroColumn *column = next_column(writer);
    if (!column || column->kind != AVRO_STRINGS) {
        writer->misused = true;
        return;
    }
    if (n > 0)
        put_long(&writer->rows, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        put_bytes(&writer->rows, texts[i]);
    put_long(&writer->rows, 0);
}

bool avro_end_row(AvroWriter *writer, Error *err) {
    if (writer->misused || writer->column != writer->spec.n_columns)
        return error_set(err, STATE_BUG, "a row of %s does not fit its Avro columns",
                         writer->spec.record);
    if (buf_overflowed(&writer->rows))
        return error_set(err, STATE_RESOURCES, "a row of %s is longer than %d MiB",
                         writer->spec.record, ROW_BYTES_MAX >> 20);
    writer->column = 0;
    writer->n_rows++;
    return writer->rows.size < writer->spec.block_bytes || write_block(writer, err);
}

bool avro_finish(AvroWriter *writer, Error *err) {
    if (writer->column != 0)
        return error_set(err, STATE_BUG, "a row of %s was not ended", writer->spec.record);
    return write_block(writer, err);
}
