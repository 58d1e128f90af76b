/* Generations: a buffer that the engine's thread fills and Python empties in batches. See shim.h for the contract. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE /* pthread_cond_timedwait_relative_np */

#include "internal.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    char *data;
    size_t size;
    size_t capacity;
} buffer;

struct gn_stream {
    /* Under registry_mutex. */
    gn_stream *next;
    uintptr_t id;
    int owners; /* the reader, until it releases; the engine, until the end */
    int users;  /* callbacks that are at work on it */

    const gn_api *api;
    pthread_mutex_t mutex;
    /* Two, so that whoever waits for the end is not woken by every chunk, nor a reader by more than the
     * first of those that it has not taken yet. */
    pthread_cond_t arrived;
    pthread_cond_t finished;

    /* Under mutex. */
    buffer filling;        /* the engine's thread appends here */
    buffer taken;          /* the reader's, until its next take */
    size_t filling_chunks;
    bool unread;           /* the reader is gone: keep nothing */
    bool lost_chunks;      /* memory ran out */
    bool ended;
    bool failed;
    char error[2048];      /* fixed, so that the end of a stream can never fail for want of memory */
    gn_stream_stats stats;
};

/* The engine is given a stream's number, never its address: a callback that comes after the end, when
 * the stream may be freed, finds nothing here and touches nothing. */
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static gn_stream *registry;
static uintptr_t last_id;
static size_t streams_alive;

static void lock_registry(void)
{
    pthread_mutex_lock(&registry_mutex);
}

static void unlock_registry(void)
{
    pthread_mutex_unlock(&registry_mutex);
}

/* A child that is forked while the engine's thread is in a callback would find the registry locked for ever. */
__attribute__((constructor)) static void keep_registry_over_forks(void)
{
    (void)pthread_atfork(lock_registry, unlock_registry, unlock_registry);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int init_condition(pthread_cond_t *condition)
{
#ifdef __APPLE__
    return pthread_cond_init(condition, NULL);
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return -1;
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int status = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return status;
#endif
}

/* Waits until `deadline` (in now()'s time) at the latest. */
static void wait_for(pthread_cond_t *condition, gn_stream *stream, double deadline)
{
#ifdef __APPLE__
    double seconds = deadline - now();
    seconds = seconds > 0 ? seconds : 0;
#else
    double seconds = deadline;
#endif
    struct timespec time;
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
#ifdef __APPLE__
    pthread_cond_timedwait_relative_np(condition, &stream->mutex, &time);
#else
    pthread_cond_timedwait(condition, &stream->mutex, &time);
#endif
}

static double deadline_after(double timeout_s)
{
    const double year_s = 365.0 * 24 * 3600;
    if (!(timeout_s > 0)) { /* NaN too */
        timeout_s = 0;
    }
    return now() + (timeout_s < year_s ? timeout_s : year_s);
}

static gn_stream *new_stream(const gn_api *api)
{
    gn_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->api = api;
    stream->owners = 2;
    if (pthread_mutex_init(&stream->mutex, NULL) != 0) {
        free(stream);
        return NULL;
    }
    if (init_condition(&stream->arrived) != 0) {
        pthread_mutex_destroy(&stream->mutex);
        free(stream);
        return NULL;
    }
    if (init_condition(&stream->finished) != 0) {
        pthread_cond_destroy(&stream->arrived);
        pthread_mutex_destroy(&stream->mutex);
        free(stream);
        return NULL;
    }
    pthread_mutex_lock(&registry_mutex);
    stream->id = ++last_id;
    stream->next = registry;
    registry = stream;
    streams_alive++;
    pthread_mutex_unlock(&registry_mutex);
    return stream;
}

static void free_stream(gn_stream *stream)
{
    pthread_cond_destroy(&stream->finished);
    pthread_cond_destroy(&stream->arrived);
    pthread_mutex_destroy(&stream->mutex);
    free(stream->filling.data);
    free(stream->taken.data);
    free(stream);
}

static gn_stream *acquire(uintptr_t id)
{
    pthread_mutex_lock(&registry_mutex);
    gn_stream *stream = registry;
    while (stream != NULL && stream->id != id) {
        stream = stream->next;
    }
    if (stream != NULL) {
        stream->users++;
    }
    pthread_mutex_unlock(&registry_mutex);
    return stream;
}

static void unlink_stream(gn_stream *stream)
{
    gn_stream **link = &registry;
    while (*link != stream) {
        link = &(*link)->next;
    }
    *link = stream->next;
    streams_alive--;
}

/* Without owners no callback can find the stream any more; without users too it is freed. */
static void drop(gn_stream *stream, int owners, int users)
{
    pthread_mutex_lock(&registry_mutex);
    stream->owners -= owners;
    stream->users -= users;
    if (owners > 0 && stream->owners == 0) {
        unlink_stream(stream);
    }
    bool last = stream->owners == 0 && stream->users == 0;
    pthread_mutex_unlock(&registry_mutex);
    if (last) {
        free_stream(stream);
    }
}

static bool reserve(buffer *buffer, size_t size)
{
    if (size <= buffer->capacity) {
        return true;
    }
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : 1024;
    while (capacity < size) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

/* After a chunk was lost the later ones are dropped too: a reply may be short, never with a hole. */
static void append_chunk(gn_stream *stream, const char *text)
{
    stream->stats.chunks++;
    stream->stats.last_chunk_s = now();
    if (stream->stats.first_chunk_s == 0) {
        stream->stats.first_chunk_s = stream->stats.last_chunk_s;
    }
    if (stream->unread || stream->lost_chunks) {
        return;
    }
    size_t size = strlen(text) + 1;
    buffer *buffer = &stream->filling;
    if (!reserve(buffer, buffer->size + size)) {
        stream->lost_chunks = true;
        return;
    }
    memcpy(buffer->data + buffer->size, text, size);
    buffer->size += size;
    stream->filling_chunks++;
}

static void end_stream(gn_stream *stream, const char *error)
{
    if (error == NULL && stream->lost_chunks) {
        error = "RESOURCE_EXHAUSTED: the reply was cut short: out of memory";
    }
    if (error != NULL) {
        stream->failed = true;
        gn_copy_text(stream->error, sizeof stream->error, error);
    }
    stream->stats.ended_s = now();
    stream->ended = true;
    /* Still under the mutex, so that a reader who has seen the end is the last owner. */
    drop(stream, 1, 0);
}

static void receive(gn_stream *stream, const char *text, const char *error, bool is_final)
{
    if (stream->ended) {
        stream->stats.late_events++;
        return;
    }
    bool was_empty = stream->filling.size == 0;
    if (text != NULL) {
        append_chunk(stream, text);
    }
    /* An error is an end even without is_final: else a reader could wait for ever. */
    if (is_final || error != NULL) {
        end_stream(stream, error);
        pthread_cond_broadcast(&stream->finished);
        pthread_cond_broadcast(&stream->arrived);
    } else if (was_empty) {
        pthread_cond_broadcast(&stream->arrived);
    }
}

static void on_chunk(void *user_data, LiteRtLmStreamChunk *chunk)
{
    gn_stream *stream = acquire((uintptr_t)user_data);
    if (stream == NULL) {
        return;
    }
    const gn_api *api = stream->api;
    const char *text = api->stream_chunk_get_text(chunk);
    const char *error = api->stream_chunk_get_error(chunk);
    bool is_final = api->stream_chunk_is_final(chunk);
    pthread_mutex_lock(&stream->mutex);
    receive(stream, text, error, is_final);
    pthread_mutex_unlock(&stream->mutex);
    drop(stream, 0, 1);
}

/* The engine refused the message. It may have ended the stream first, and then it owns nothing any more;
 * else the end is claimed here, so that no callback can claim it too. */
static void discard_refused(gn_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    bool ended_before = stream->ended;
    stream->ended = true;
    pthread_mutex_unlock(&stream->mutex);
    drop(stream, ended_before ? 1 : 2, 0);
}

gn_stream *gn_conversation_send_stream(const gn_api *api, LiteRtLmConversation *conversation,
                                       const char *message_json, const gn_send_options *options,
                                       gn_error *error)
{
    gn_begin(api, error);
    LiteRtLmConversationOptionalArgs *args;
    if (gn_make_send_args(api, options, &args, error) != 0) {
        return NULL;
    }
    gn_stream *stream = new_stream(api);
    if (stream == NULL) {
        gn_out_of_memory(error);
        gn_free_send_args(api, args);
        return NULL;
    }
    stream->stats.sent_s = now();
    const char *context = gn_send_context(options);
    int status = api->conversation_send_message_stream(conversation, message_json, context, args, on_chunk,
                                                       (void *)stream->id);
    if (status != 0) {
        gn_fail(api, error, "The engine refused the message.");
        discard_refused(stream);
        stream = NULL;
    }
    gn_free_send_args(api, args);
    return stream;
}

/* Gives the reader what has been filled, and the engine the buffer that the reader is done with. */
static void hand_over(gn_stream *stream, gn_batch *batch)
{
    buffer free_buffer = stream->taken;
    free_buffer.size = 0;
    stream->taken = stream->filling;
    stream->filling = free_buffer;
    batch->data = stream->taken.size > 0 ? stream->taken.data : "";
    batch->size = stream->taken.size;
    batch->chunks = stream->filling_chunks;
    batch->ended = stream->ended;
    batch->error = stream->failed ? stream->error : NULL;
    batch->stats = stream->stats;
    stream->filling_chunks = 0;
}

int gn_stream_take(gn_stream *stream, double timeout_s, gn_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    batch->data = "";
    double deadline = deadline_after(timeout_s);
    pthread_mutex_lock(&stream->mutex);
    while (stream->filling.size == 0 && !stream->ended && now() < deadline) {
        wait_for(&stream->arrived, stream, deadline);
    }
    int something = stream->filling.size > 0 || stream->ended;
    if (something) {
        hand_over(stream, batch);
    }
    pthread_mutex_unlock(&stream->mutex);
    return something;
}

int gn_stream_gather(gn_stream *stream, double pause_s, double timeout_s, gn_batch *batch)
{
    gn_stream_wait_end(stream, pause_s);
    return gn_stream_take(stream, timeout_s, batch);
}

int gn_stream_wait_end(gn_stream *stream, double timeout_s)
{
    double deadline = deadline_after(timeout_s);
    pthread_mutex_lock(&stream->mutex);
    while (!stream->ended && now() < deadline) {
        wait_for(&stream->finished, stream, deadline);
    }
    int ended = stream->ended;
    pthread_mutex_unlock(&stream->mutex);
    return ended;
}

void gn_stream_get_stats(gn_stream *stream, gn_stream_stats *stats)
{
    pthread_mutex_lock(&stream->mutex);
    *stats = stream->stats;
    pthread_mutex_unlock(&stream->mutex);
}

void gn_stream_release(gn_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    pthread_mutex_lock(&stream->mutex);
    stream->unread = true;
    pthread_mutex_unlock(&stream->mutex);
    drop(stream, 1, 0);
}

size_t gn_streams_alive(void)
{
    pthread_mutex_lock(&registry_mutex);
    size_t alive = streams_alive;
    pthread_mutex_unlock(&registry_mutex);
    return alive;
}
