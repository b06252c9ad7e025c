/* table_pages.c - see table_pages.h. */
#include "steps/table_pages.h"

static Str *key_of_last_row(const SourceTable *table, const MyPage *page, Arena *arena) {
    const Str *row = page->fields + (page->n_rows - 1) * page->n_fields;
    Str *key = ARENA_ARRAY(arena, Str, table->n_key);
    for (size_t i = 0; i < table->n_key; i++)
        key[i] = row[table->key[i]];
    return key;
}

static bool ask(const TablePages *pages, Arena *arena, MyPage *ret_page, Error *err) {
    pthread_mutex_lock(pages->my_mutex);
    bool ok = source_read_load(pages->my, pages->table, pages->after_key, pages->limits, arena, ret_page, err);
    pthread_mutex_unlock(pages->my_mutex);
    return ok;
}

bool table_pages_read(void *ctx, AheadPage *page, Error *err) {
    TablePages *pages = ctx;
    TablePage *table_page = ARENA_NEW(page->arena, TablePage);
    MyPage read;
    TRY(ask(pages, page->arena, &read, err));
    *table_page = (TablePage){
        .read = read,
        .rows = {.fields = read.fields, .n_rows = read.n_rows, .source_now_us = pages->source_now_us,
                 .is_first_load = pages->is_first_load, .is_mostly_new = pages->is_first_load},
        .last_key = read.n_rows > 0 ? key_of_last_row(pages->table, &read, page->arena) : NULL,
    };
    pages->after_key = table_page->last_key;
    page->read = table_page;
    page->rows = &table_page->rows;
    page->is_last = !read.is_cut && read.n_rows < pages->limits.rows;
    return true;
}
