/* glance.c - see glance.h. */
#include "steps/glance.h"

enum { GLANCE_MAX_BYTES = 4096 };

static bool read_shape(My *my, const char *sql, Arena *arena, uint64_t *ret_shape) {
    MyPage page;
    Error ignored = {0};
    if (!my_read(my, sql, 1, GLANCE_MAX_BYTES, arena, &page, &ignored))
        return false;
    *ret_shape = page.shape;
    return true;
}

void glance_forget(Glance *glance) {
    if (glance->arena)
        arena_free(glance->arena);
    *glance = (Glance){0};
}

void glance_look(Glance *glance, My *my, const char *table, const char *query) {
    glance_forget(glance);
    Arena *arena = arena_open();
    *glance = (Glance){.arena = arena, .columns = source_every_column(arena, table, query)};
    if (!read_shape(my, glance->columns, arena, &glance->shape))
        glance_forget(glance);
}

void glance_remember(Glance *glance, const SourceTable *table, const char *position, int64_t epoch) {
    if (table->cursor_kind == CURSOR_NONE || table->cursor_kind == CURSOR_COUNTER || !position)
        glance_forget(glance);
    if (!glance->arena)
        return;
    glance->has_rows = source_has_rows(glance->arena, table, str_of(position));
    glance->table = (SourceTable){.cursor_kind = table->cursor_kind, .cursor_digits = table->cursor_digits};
    glance->position = arena_string(glance->arena, str_of(position));
    glance->epoch = epoch;
}

static bool has_no_rows(My *my, const char *sql, Arena *arena) {
    MyPage page;
    Error ignored = {0};
    return my_read(my, sql, 1, GLANCE_MAX_BYTES, arena, &page, &ignored) && page.n_rows == 1 &&
           str_equal(page.fields[0], STR("0"));
}

bool glance_is_quiet(const Glance *glance, My *my, int64_t epoch, const WatermarkBasis *basis, const Zone *zone,
                     WatermarkMemory *memory, Arena *arena, Watermark *ret_mark) {
    uint64_t shape;
    Error ignored = {0};
    WatermarkMemory next = *memory; /* a step of the clock is for the whole poll to see */
    if (!glance->position || glance->epoch != epoch ||
        !watermark_take(my, &glance->table, basis, zone, &next, arena, ret_mark, &ignored) || ret_mark->set_back_us > 0 ||
        watermark_is_behind(arena, &glance->table, ret_mark, glance->position) ||
        !read_shape(my, glance->columns, arena, &shape) || shape != glance->shape ||
        !has_no_rows(my, glance->has_rows, arena))
        return false;
    *memory = next;
    return true;
}
