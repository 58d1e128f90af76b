/* As much JSON as the stub needs to read messages. */
#define _GNU_SOURCE /* strnlen */
#define _DARWIN_C_SOURCE

#include "internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
        at++;
    }
    return at;
}

/* Each skip_ returns what follows the thing, or NULL when the thing is not there. */
static const char *skip_value(const char *at);

static const char *skip_string(const char *at)
{
    if (*at != '"') {
        return NULL;
    }
    for (at++; *at != '"'; at++) {
        if (*at == '\0' || (unsigned char)*at < 0x20 || (*at == '\\' && *++at == '\0')) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_member(const char *at)
{
    at = skip_string(skip_space(at));
    if (at == NULL || *(at = skip_space(at)) != ':') {
        return NULL;
    }
    return skip_value(at + 1);
}

static const char *skip_list(const char *at, char close, const char *(*skip_item)(const char *))
{
    at = skip_space(at + 1);
    if (*at == close) {
        return at + 1;
    }
    for (;;) {
        at = skip_item(at);
        if (at == NULL) {
            return NULL;
        }
        at = skip_space(at);
        if (*at == close) {
            return at + 1;
        }
        if (*at++ != ',') {
            return NULL;
        }
    }
}

static const char *skip_number(const char *at)
{
    char *end;
    strtod(at, &end);
    return end > at ? end : NULL;
}

static const char *skip_word(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(at, words[i], strlen(words[i])) == 0) {
            return at + strlen(words[i]);
        }
    }
    return NULL;
}

static const char *skip_value(const char *at)
{
    at = skip_space(at);
    switch (*at) {
    case '"':
        return skip_string(at);
    case '{':
        return skip_list(at, '}', skip_member);
    case '[':
        return skip_list(at, ']', skip_value);
    case 't':
    case 'f':
    case 'n':
        return skip_word(at);
    default:
        return *at == '-' || isdigit((unsigned char)*at) ? skip_number(at) : NULL;
    }
}

bool fe_json_valid(const char *text)
{
    const char *end = skip_value(text);
    return end != NULL && *skip_space(end) == '\0';
}

const char *fe_json_first(const char *list)
{
    const char *item = skip_space(skip_space(list) + 1);
    return *item == ']' || *item == '}' ? NULL : item;
}

/* The value after this one in its list; for a member of an object, pass the member's value. */
const char *fe_json_next(const char *item)
{
    const char *at = skip_space(skip_value(item));
    return *at == ',' ? skip_space(at + 1) : NULL;
}

const char *fe_json_get(const char *object, const char *key)
{
    if (*skip_space(object) != '{') {
        return NULL;
    }
    const char *name = fe_json_first(object);
    while (name != NULL) {
        const char *value = skip_space(skip_space(skip_string(name)) + 1);
        char *decoded = fe_json_string(name);
        bool found = strcmp(decoded, key) == 0;
        free(decoded);
        if (found) {
            return value;
        }
        name = fe_json_next(value);
    }
    return NULL;
}

static unsigned hex4(const char *at)
{
    char digits[5] = {0};
    strncpy(digits, at, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

static void append_utf8(fe_text *to, unsigned point)
{
    char bytes[4];
    size_t size = 0;
    if (point < 0x80) {
        bytes[size++] = (char)point;
    } else {
        if (point < 0x800) {
            bytes[size++] = (char)(0xC0 | point >> 6);
        } else {
            if (point < 0x10000) {
                bytes[size++] = (char)(0xE0 | point >> 12);
            } else {
                bytes[size++] = (char)(0xF0 | point >> 18);
                bytes[size++] = (char)(0x80 | (point >> 12 & 0x3F));
            }
            bytes[size++] = (char)(0x80 | (point >> 6 & 0x3F));
        }
        bytes[size++] = (char)(0x80 | (point & 0x3F));
    }
    fe_append(to, bytes, size);
}

/* `at` is behind a \u; returns what follows the character. */
static const char *append_escaped_point(fe_text *to, const char *at)
{
    unsigned point = hex4(at);
    at += strnlen(at, 4);
    if (point >= 0xD800 && point < 0xDC00 && at[0] == '\\' && at[1] == 'u') {
        point = 0x10000 + ((point - 0xD800) << 10) + (hex4(at + 2) - 0xDC00);
        at += 2 + strnlen(at + 2, 4);
    }
    append_utf8(to, point);
    return at;
}

/* `at` is behind a backslash. */
static const char *append_escaped(fe_text *to, const char *at)
{
    static const char names[] = "bfnrt";
    static const char meant[] = "\b\f\n\r\t";
    if (*at == 'u') {
        return append_escaped_point(to, at + 1);
    }
    const char *name = strchr(names, *at);
    fe_append(to, name != NULL ? &meant[name - names] : at, 1);
    return at + 1;
}

char *fe_json_string(const char *value)
{
    value = skip_space(value);
    if (*value != '"') {
        return NULL;
    }
    fe_text text = {0};
    fe_append(&text, "", 0);
    for (const char *at = value + 1; *at != '"' && *at != '\0';) {
        if (*at == '\\') {
            at = append_escaped(&text, at + 1);
        } else {
            fe_append(&text, at++, 1);
        }
    }
    return text.data;
}

void fe_json_quote(fe_text *to, const char *text)
{
    fe_append(to, "\"", 1);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fe_print(to, "\\%c", *text);
        } else if ((unsigned char)*text < 0x20) {
            fe_print(to, "\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            fe_append(to, text, 1);
        }
    }
    fe_append(to, "\"", 1);
}
