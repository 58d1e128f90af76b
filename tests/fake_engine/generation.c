/* Generations: the queue of an engine, the chunks, and the ways to end. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct LiteRtLmStreamChunk {
    const char *text;
    const char *error;
    bool final;
};

struct fe_generation {
    fe_generation *next;
    LiteRtLmConversation *conversation;
    LiteRtLmStreamCallback callback; /* NULL: a blocking send */
    void *user_data;
    bool sent_when_spent;
    char *message;
    int max_output_tokens;
    fe_pieces pieces;
    bool pieces_are_chunks;
    fe_text text;
    char *error;
    bool lost; /* never_finish: leaves without a terminal event */
};

/* ---- the callback ---- */

const char *litert_lm_stream_chunk_get_text(const LiteRtLmStreamChunk *chunk)
{
    return chunk->text;
}

bool litert_lm_stream_chunk_is_final(const LiteRtLmStreamChunk *chunk)
{
    return chunk->final;
}

const char *litert_lm_stream_chunk_get_error(const LiteRtLmStreamChunk *chunk)
{
    return chunk->error;
}

/* Chunk and strings are on the heap and freed at once, so that a sanitizer sees who keeps them. */
static void deliver(const fe_generation *generation, const char *text, const char *error, bool final)
{
    if (generation->callback == NULL) {
        return;
    }
    char *text_copy = fe_copy(text);
    char *error_copy = fe_copy(error);
    LiteRtLmStreamChunk *chunk = fe_allocate(sizeof *chunk);
    *chunk = (LiteRtLmStreamChunk){text_copy, error_copy, final};
    fe_in_callback = true;
    generation->callback(generation->user_data, chunk);
    fe_in_callback = false;
    free(chunk);
    free(text_copy);
    free(error_copy);
}

static void deliver_piece(const fe_generation *generation, const char *piece)
{
    if (generation->pieces_are_chunks) {
        deliver(generation, piece, NULL, false);
        return;
    }
    fe_text json = {0};
    fe_print(&json, "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":");
    fe_json_quote(&json, piece);
    fe_print(&json, "}]}");
    deliver(generation, json.data, NULL, false);
    fe_clear(&json);
}

/* ---- what to say; all of this under fe_mutex ---- */

static void fail(fe_generation *generation, const char *error)
{
    generation->error = fe_copy(error);
    generation->conversation->failed = true;
}

/* The next of the records of a setting; the last one stays. */
static char *next_record(const char *key, char separator)
{
    const char *value = fe_setting(key);
    if (value == NULL) {
        return NULL;
    }
    char *record = fe_copy(value);
    char *end = strchr(record, separator);
    if (end != NULL) {
        *end = '\0';
        fe_set(key, end + 1);
    }
    return record;
}

static void split_chunks(fe_pieces *pieces, const char *chunks)
{
    while (*chunks != '\0') {
        size_t size = strcspn(chunks, "\x1E");
        fe_add_piece(pieces, chunks, size);
        chunks += size + (chunks[size] != '\0');
    }
}

static void choose_pieces(fe_generation *generation)
{
    const char *chunks = fe_setting("chunks");
    char *chunk_reply = next_record("chunk_replies", '\x1D');
    if (chunk_reply != NULL || chunks != NULL) {
        generation->pieces_are_chunks = true;
        split_chunks(&generation->pieces, chunk_reply != NULL ? chunk_reply : chunks);
        free(chunk_reply);
        return;
    }
    fe_text reply = {0};
    char *record = next_record("reply", '\x1E');
    if (record != NULL) {
        fe_append(&reply, record, strlen(record));
        free(record);
    } else {
        fe_answer(generation->conversation, &reply);
    }
    generation->pieces = fe_split(reply.data);
    fe_clear(&reply);
}

static void keep_at_most(fe_pieces *pieces, long count)
{
    while ((long)pieces->count > count) {
        free(pieces->items[--pieces->count]);
    }
}

/* Reads the message into the KV cache; false when it does not fit or the cache is full already. The real
 * engine says nothing when the cache is full, and lets the prompt of the turn before run past its end. */
static bool prefill(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    long limit = conversation->engine->context_tokens;
    if (conversation->dead || conversation->tokens > limit) {
        return false;
    }
    fe_add_messages(conversation, generation->message);
    if (conversation->pending_tokens >= limit) {
        fe_text error = {0};
        fe_print(&error,
                 "INVALID_ARGUMENT: Input token ids are too long. Exceeding the maximum number of tokens "
                 "allowed: %ld >= %ld",
                 conversation->pending_tokens, limit);
        fail(generation, error.data);
        fe_clear(&error);
        return false;
    }
    conversation->tokens += conversation->pending_tokens;
    conversation->pending_tokens = 0;
    return true;
}

/* The real engine makes its sampler at the first generation, and only for the types 0 and 2; once there is
 * one it serves every type. */
static bool make_sampler(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    bool implemented = conversation->sampler_type == 0 || conversation->sampler_type == 2;
    if (!implemented && !conversation->engine->sampler_ready) {
        fe_text error = {0};
        fe_print(&error, "UNIMPLEMENTED: Sampler type: %d not implemented yet.", conversation->sampler_type);
        fail(generation, error.data);
        fe_clear(&error);
        return false;
    }
    conversation->engine->sampler_ready = true;
    return true;
}

static bool is_spent(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    const char *spent = fe_setting("spent");
    if (conversation->cancelled) {
        bool silent = generation->sent_when_spent && spent != NULL && strcmp(spent, "silent") == 0;
        generation->error = silent ? NULL : fe_copy("CANCELLED: Task cancelled");
        return true;
    }
    if (conversation->failed) {
        generation->error = fe_copy("INTERNAL: Task failed with state: 7");
        return true;
    }
    return false;
}

static void prepare(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    if (is_spent(generation) || !prefill(generation) || !make_sampler(generation)) {
        return;
    }
    choose_pieces(generation);
    long room = conversation->engine->context_tokens - conversation->tokens;
    keep_at_most(&generation->pieces, room > 1 ? room : 1);
    if (conversation->max_output_tokens > 0) {
        keep_at_most(&generation->pieces, conversation->max_output_tokens);
    }
    if (generation->max_output_tokens > 0) {
        keep_at_most(&generation->pieces, generation->max_output_tokens);
    }
}

/* ---- waiting; under fe_mutex too ---- */

static bool must_leave(const LiteRtLmConversation *conversation)
{
    return conversation->cancelled || conversation->abandoned;
}

static void wait_turn(const fe_generation *generation)
{
    while (generation->conversation->engine->queue != generation && !must_leave(generation->conversation)) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
}

static void pause_us(const LiteRtLmConversation *conversation, long us)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += us / 1000000;
    until.tv_nsec += us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (us > 0 && !must_leave(conversation) &&
           pthread_cond_timedwait(&fe_changed, &fe_mutex, &until) == 0) {
    }
}

static long tokens_let_through;

static void pass_gate(const LiteRtLmConversation *conversation, bool heed_cancel)
{
    while (fe_is_set("gate") && tokens_let_through >= fe_get_count("allowed") && !conversation->abandoned &&
           !(heed_cancel && conversation->cancelled)) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
    tokens_let_through += fe_is_set("gate");
}

void fe_restart_gate(void)
{
    tokens_let_through = 0;
}

/* ---- the course of a generation ---- */

static void start(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    fe_generation **last = &conversation->engine->queue;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = generation;
    generation->sent_when_spent = conversation->cancelled || conversation->failed;
    conversation->generating++;
    conversation->decoding++;
    fe_count("generating", 1);
    fe_log("send %d", conversation->id);
}

static void decode(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    pause_us(conversation, fe_number("prefill_delay_us", 0));
    for (size_t i = 0; i < generation->pieces.count; i++) {
        pause_us(conversation, fe_number("token_delay_us", 0));
        pass_gate(conversation, true);
        if (conversation->cancelled) {
            break;
        }
        const char *piece = generation->pieces.items[i];
        pthread_mutex_unlock(&fe_mutex);
        deliver_piece(generation, piece);
        pthread_mutex_lock(&fe_mutex);
        fe_append(&generation->text, piece, strlen(piece));
        conversation->tokens++;
        fe_count("token", 1);
    }
    if (conversation->turn_count > 0) {
        fe_add_turn(conversation, "model", generation->text.data != NULL ? generation->text.data : "");
    }
}

/* Why it ends, when the reason lies in how the decoding went. */
static void conclude(fe_generation *generation)
{
    LiteRtLmConversation *conversation = generation->conversation;
    while (fe_is_set("never_finish") && !conversation->abandoned) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
    generation->lost = fe_is_set("never_finish");
    if (generation->error == NULL && conversation->cancelled && !generation->sent_when_spent) {
        generation->error = fe_copy("CANCELLED: Task cancelled");
    }
    if (generation->error == NULL && fe_setting("end_error") != NULL) {
        fail(generation, fe_setting("end_error"));
    }
    conversation->decoding--;
    if (!generation->lost) {
        bool cancelled = generation->error != NULL && strncmp(generation->error, "CANCELLED", 9) == 0;
        fe_count("end", 1);
        fe_log("end %d %s", conversation->id,
               generation->error == NULL ? "stop" : (cancelled ? "cancelled" : "error"));
    }
}

static void decode_in_turn(fe_generation *generation)
{
    pthread_mutex_lock(&fe_mutex);
    wait_turn(generation);
    prepare(generation);
    decode(generation);
    conclude(generation);
    pthread_mutex_unlock(&fe_mutex);
}

static void deliver_late(const fe_generation *generation, const char *text, bool final)
{
    pthread_mutex_lock(&fe_mutex);
    pass_gate(generation->conversation, false);
    pthread_mutex_unlock(&fe_mutex);
    deliver(generation, text, NULL, final);
    pthread_mutex_lock(&fe_mutex);
    fe_count("late", 1);
    pthread_mutex_unlock(&fe_mutex);
}

static void deliver_end(const fe_generation *generation)
{
    pthread_mutex_lock(&fe_mutex);
    char *final_text = fe_copy(fe_setting("final_text"));
    long late = fe_number("late_events", 0);
    bool early = fe_is_set("end_error_early");
    pthread_mutex_unlock(&fe_mutex);
    deliver(generation, final_text, generation->error, !early);
    for (long i = 0; i < late; i++) {
        deliver_late(generation, "late", false);
    }
    if (late > 0) {
        deliver_late(generation, NULL, true);
    }
    free(final_text);
}

static void leave_queue(fe_generation *generation)
{
    fe_generation **link = &generation->conversation->engine->queue;
    while (*link != generation) {
        link = &(*link)->next;
    }
    *link = generation->next;
    generation->conversation->generating--;
    fe_count("generating", -1);
}

static void finish(fe_generation *generation)
{
    if (!generation->lost) {
        deliver_end(generation);
    }
    pthread_mutex_lock(&fe_mutex);
    leave_queue(generation);
    pthread_mutex_unlock(&fe_mutex);
    fe_free_pieces(&generation->pieces);
    fe_clear(&generation->text);
    free(generation->message);
    free(generation->error);
    free(generation);
}

static void on_new_thread(void *(*run)(void *), fe_generation *generation)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024); /* sanitizers wipe a stack's shadow: small is fast */
    if (pthread_create(&thread, &attributes, run, generation) != 0) {
        fe_misuse("out of threads");
    }
    pthread_attr_destroy(&attributes);
}

static void *run_end(void *generation)
{
    finish(generation);
    return NULL;
}

/* Like the real engine, it tells of the end from another thread than of the tokens. */
static void *run_tokens(void *generation)
{
    decode_in_turn(generation);
    on_new_thread(run_end, generation);
    return NULL;
}

/* ---- sends ---- */

static fe_generation *new_generation(LiteRtLmConversation *conversation, const char *message,
                                     const char *extra_context, const LiteRtLmConversationOptionalArgs *args)
{
    fe_generation *generation = fe_allocate(sizeof *generation);
    generation->conversation = conversation;
    generation->message = fe_copy(message);
    pthread_mutex_lock(&fe_mutex);
    fe_text *options = &conversation->options;
    fe_print(options, "send_message=%s" FE_RECORD, message);
    if (extra_context != NULL) {
        fe_print(options, "send_extra_context=%s" FE_RECORD, extra_context);
    }
    if (args != NULL) {
        generation->max_output_tokens = args->max_output_tokens;
        fe_print(options, "send_max_output_tokens=%d" FE_RECORD, args->max_output_tokens);
        fe_print(options, "send_constraint_type=%d" FE_RECORD, args->constraint_type);
        fe_print(options, "send_constraint=%s" FE_RECORD, args->constraint != NULL ? args->constraint : "");
    }
    pthread_mutex_unlock(&fe_mutex);
    return generation;
}

static bool is_message(const char *json)
{
    bool valid = fe_json_valid(json);
    if (!valid) {
        fe_set_error(3, "Failed to parse message JSON.");
    }
    return valid;
}

LiteRtLmJsonResponse *litert_lm_conversation_send_message(LiteRtLmConversation *conversation,
                                                          const char *message_json,
                                                          const char *extra_context_json,
                                                          const LiteRtLmConversationOptionalArgs *args)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    if (!is_message(message_json) || FE_FAILS()) {
        return NULL;
    }
    fe_generation *generation = new_generation(conversation, message_json, extra_context_json, args);
    pthread_mutex_lock(&fe_mutex);
    start(generation);
    pthread_mutex_unlock(&fe_mutex);
    decode_in_turn(generation);
    LiteRtLmJsonResponse *response = NULL;
    if (generation->error != NULL) {
        fe_set_status_error(generation->error);
    } else if (generation->pieces_are_chunks) {
        response = fe_new_response(generation->text.data);
    } else {
        fe_text json = {0};
        fe_print(&json, "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":");
        fe_json_quote(&json, generation->text.data != NULL ? generation->text.data : "");
        fe_print(&json, "}]}");
        response = fe_new_response(json.data);
        fe_clear(&json);
    }
    finish(generation);
    return response;
}

/* Calls back and refuses all the same. */
static bool refuse_late(LiteRtLmStreamCallback callback, void *user_data)
{
    pthread_mutex_lock(&fe_mutex);
    bool after_end = fe_is_set("refuse_after_end");
    bool after_chunk = fe_is_set("refuse_after_chunk");
    pthread_mutex_unlock(&fe_mutex);
    fe_generation generation = {.callback = callback, .user_data = user_data};
    if (after_end || after_chunk) {
        deliver(&generation, after_chunk ? "chunk" : NULL, NULL, after_end);
    }
    return after_end || after_chunk;
}

int litert_lm_conversation_send_message_stream(LiteRtLmConversation *conversation, const char *message_json,
                                               const char *extra_context_json,
                                               const LiteRtLmConversationOptionalArgs *args,
                                               LiteRtLmStreamCallback callback, void *user_data)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    bool refused = refuse_late(callback, user_data);
    if (!is_message(message_json) || FE_FAILS() || refused) {
        return -1;
    }
    fe_generation *generation = new_generation(conversation, message_json, extra_context_json, args);
    generation->callback = callback;
    generation->user_data = user_data;
    pthread_mutex_lock(&fe_mutex);
    fe_wait_engine(conversation->engine);
    bool synchronous = fe_is_set("synchronous");
    start(generation);
    pthread_mutex_unlock(&fe_mutex);
    if (synchronous) {
        decode_in_turn(generation);
        finish(generation);
    } else {
        on_new_thread(run_tokens, generation);
    }
    return 0;
}
