/* What a conversation holds: turns, tokens, and an honest memory of names. */
#define _GNU_SOURCE

#include "internal.h"

#include <stdlib.h>
#include <string.h>

void fe_render(const char *role, const char *text, fe_text *to)
{
    fe_print(to, "<start_of_turn>%s\n%s<end_of_turn>\n", role, text);
}

/* The text of a message: a plain string, or all the text parts of a list. */
static void read_content(const char *content, fe_text *text)
{
    char *plain = fe_json_string(content);
    if (plain != NULL) {
        fe_append(text, plain, strlen(plain));
        free(plain);
        return;
    }
    if (*content != '[') {
        return;
    }
    for (const char *part = fe_json_first(content); part != NULL; part = fe_json_next(part)) {
        const char *value = fe_json_get(part, "text");
        value = value != NULL ? value : fe_json_get(part, "response"); /* of a tool */
        char *piece = value != NULL ? fe_json_string(value) : NULL;
        if (piece != NULL) {
            fe_append(text, piece, strlen(piece));
            free(piece);
        }
    }
}

void fe_add_turn(LiteRtLmConversation *conversation, const char *role, const char *text)
{
    size_t size = (conversation->turn_count + 1) * sizeof *conversation->turns;
    fe_turn *turns = realloc(conversation->turns, size);
    if (turns == NULL) {
        fe_misuse("out of memory");
    }
    turns[conversation->turn_count++] = (fe_turn){fe_copy(role), fe_copy(text)};
    conversation->turns = turns;
}

/* What the engine puts in for images and sounds, which no rendering shows. */
static long media_tokens(const char *content)
{
    long tokens = 0;
    if (content == NULL || *content != '[') {
        return 0;
    }
    for (const char *part = fe_json_first(content); part != NULL; part = fe_json_next(part)) {
        const char *value = fe_json_get(part, "type");
        char *type = value != NULL ? fe_json_string(value) : NULL;
        if (type != NULL && (strcmp(type, "image") == 0 || strcmp(type, "audio") == 0)) {
            tokens += fe_number("media_tokens", 256);
        }
        free(type);
    }
    return tokens;
}

static void add_message(LiteRtLmConversation *conversation, const char *message)
{
    const char *role_value = fe_json_get(message, "role");
    const char *content = fe_json_get(message, "content");
    char *role = role_value != NULL ? fe_json_string(role_value) : NULL;
    fe_text text = {0};
    fe_append(&text, "", 0);
    if (content != NULL) {
        read_content(content, &text);
    }
    fe_add_turn(conversation, role != NULL ? role : "user", text.data);
    fe_text rendered = {0};
    fe_render(role != NULL ? role : "user", text.data, &rendered);
    fe_pieces pieces = fe_split(rendered.data);
    conversation->pending_tokens += (long)pieces.count + media_tokens(content);
    fe_free_pieces(&pieces);
    fe_clear(&rendered);
    fe_clear(&text);
    free(role);
}

bool fe_add_messages(LiteRtLmConversation *conversation, const char *json)
{
    if (!fe_json_valid(json)) {
        return false;
    }
    json += strspn(json, " \t\r\n");
    if (*json == '{') {
        add_message(conversation, json);
        return true;
    }
    if (*json != '[') {
        return false;
    }
    for (const char *message = fe_json_first(json); message != NULL; message = fe_json_next(message)) {
        add_message(conversation, message);
    }
    return true;
}

static const char *last_name(const LiteRtLmConversation *conversation, size_t *size)
{
    static const char tell[] = "My name is ";
    for (size_t i = conversation->turn_count; i > 0; i--) {
        const fe_turn *turn = &conversation->turns[i - 1];
        const char *found = strcmp(turn->role, "user") == 0 ? strstr(turn->text, tell) : NULL;
        if (found != NULL) {
            found += sizeof tell - 1;
            *size = strcspn(found, ".!?,\n");
            return found;
        }
    }
    return NULL;
}

void fe_answer(const LiteRtLmConversation *conversation, fe_text *reply)
{
    const fe_turn *last = &conversation->turns[conversation->turn_count - 1];
    size_t size = 0;
    const char *name = last_name(conversation, &size);
    if (strstr(last->text, "What is my name?") != NULL) {
        if (name != NULL) {
            fe_print(reply, "Your name is %.*s.", (int)size, name);
        } else {
            fe_print(reply, "You have not told me your name.");
        }
    } else if (strstr(last->text, "My name is ") != NULL && name != NULL) {
        fe_print(reply, "Nice to meet you, %.*s!", (int)size, name);
    } else {
        fe_append(reply, last->text, strlen(last->text));
    }
}
