/* Growing text, and a tokenizer whose tokens are words. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fe_allocate(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL) {
        fe_misuse("out of memory");
    }
    return memory;
}

char *fe_copy(const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    char *copy = fe_allocate(strlen(text) + 1);
    strcpy(copy, text);
    return copy;
}

void fe_append(fe_text *text, const char *more, size_t size)
{
    if (text->size + size + 1 > text->capacity) {
        text->capacity = 2 * (text->size + size + 1);
        text->data = realloc(text->data, text->capacity);
    }
    if (text->data == NULL) {
        fe_misuse("out of memory");
    }
    memcpy(text->data + text->size, more, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void fe_print(fe_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *more = fe_allocate((size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(more, (size_t)size + 1, format, arguments);
    va_end(arguments);
    fe_append(text, more, (size_t)size);
    free(more);
}

void fe_clear(fe_text *text)
{
    free(text->data);
    *text = (fe_text){0};
}

void fe_note_text(fe_text *options, const char *name, const char *value)
{
    if (value != NULL) {
        fe_print(options, "%s=%s" FE_RECORD, name, value);
    }
}

void fe_note_number(fe_text *options, const char *name, int value)
{
    if (value != FE_UNSET) {
        fe_print(options, "%s=%d" FE_RECORD, name, value);
    }
}

void fe_add_piece(fe_pieces *pieces, const char *text, size_t size)
{
    char **items = realloc(pieces->items, (pieces->count + 1) * sizeof *items);
    if (items == NULL) {
        fe_misuse("out of memory");
    }
    pieces->items = items;
    char *piece = fe_allocate(size + 1);
    memcpy(piece, text, size);
    items[pieces->count++] = piece;
}

fe_pieces fe_split(const char *text)
{
    fe_pieces pieces = {0};
    while (*text != '\0') {
        size_t size = 1 + strcspn(text + 1, " ");
        fe_add_piece(&pieces, text, size);
        text += size;
    }
    return pieces;
}

void fe_free_pieces(fe_pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        free(pieces->items[i]);
    }
    free(pieces->items);
    pieces->items = NULL;
    pieces->count = 0;
}

/* A piece gets its id when it is first seen. */
static fe_pieces vocabulary;

int fe_piece_id(const char *piece)
{
    for (size_t i = 0; i < vocabulary.count; i++) {
        if (strcmp(vocabulary.items[i], piece) == 0) {
            return (int)i;
        }
    }
    fe_add_piece(&vocabulary, piece, strlen(piece));
    return (int)vocabulary.count - 1;
}

const char *fe_piece_text(int id)
{
    return id >= 0 && (size_t)id < vocabulary.count ? vocabulary.items[id] : NULL;
}

int fe_vocabulary_size(void)
{
    return (int)vocabulary.count;
}
