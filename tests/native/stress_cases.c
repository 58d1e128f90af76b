/* Many streams from many threads, for the sanitizers to watch. */
#include "harness.h"

#include <pthread.h>

enum { READERS = 4, STREAMS_EACH = 250 };

/* A reader asks for a cancel and reads on; the canceller does it, at whatever moment that is. */
static pthread_mutex_t desk = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static LiteRtLmConversation *wanted[READERS];
static int readers_done;

typedef struct {
    LiteRtLmEngine *engine;
    unsigned seed;
    int number;
} reader;

static unsigned roll(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void want(int reader, LiteRtLmConversation *conversation)
{
    pthread_mutex_lock(&desk);
    wanted[reader] = conversation;
    pthread_cond_signal(&asked);
    pthread_mutex_unlock(&desk);
}

/* A reader does one of what readers do: reads all, reads some, waits for the end, or walks off. */
static void read_somehow(gn_stream *stream, unsigned way)
{
    gn_batch batch;
    gn_stream_stats stats;
    if (way % 4 == 0) {
        reply all = read_all(stream);
        free_reply(&all);
    } else if (way % 4 == 1) {
        gn_stream_take(stream, 0.001, &batch);
    } else if (way % 4 == 2) {
        CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
        CHECK(gn_stream_take(stream, 0, &batch) == 1 && batch.ended);
        gn_stream_get_stats(stream, &stats);
        CHECK(stats.chunks == batch.chunks);
    }
    gn_stream_release(stream);
}

static void *run_reader(void *argument)
{
    reader *self = argument;
    gn_error own;
    gn_conversation_options options = plain_conversation();
    for (int i = 0; i < STREAMS_EACH; i++) {
        LiteRtLmConversation *chat = gn_conversation_create(fake(), self->engine, &options, &own);
        CHECK(chat != NULL);
        gn_stream *stream = gn_conversation_send_stream(fake(), chat, user("a b c d e f g h"), NULL, &own);
        CHECK(stream != NULL);
        want(self->number, roll(&self->seed) % 2 == 0 ? chat : NULL);
        read_somehow(stream, roll(&self->seed));
        want(self->number, NULL);
        gn_conversation_delete(fake(), chat);
    }
    pthread_mutex_lock(&desk);
    readers_done++;
    pthread_cond_signal(&asked);
    pthread_mutex_unlock(&desk);
    return NULL;
}

static void *run_canceller(void *unused)
{
    pthread_mutex_lock(&desk);
    while (readers_done < READERS) {
        for (int i = 0; i < READERS; i++) {
            if (wanted[i] != NULL) {
                gn_conversation_cancel(fake(), wanted[i]);
                wanted[i] = NULL;
            }
        }
        pthread_cond_wait(&asked, &desk);
    }
    pthread_mutex_unlock(&desk);
    return unused;
}

CASE(a_thousand_streams_with_cancels_from_another_thread)
{
    LiteRtLmEngine *engine = make_engine();
    reader readers[READERS];
    pthread_t threads[READERS];
    pthread_t canceller;
    fake_engine_set("token_delay_us", "20");
    fake_engine_set("late_events", "1");
    CHECK(pthread_create(&canceller, NULL, run_canceller, NULL) == 0);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){.engine = engine, .seed = (unsigned)i, .number = i};
        CHECK(pthread_create(&threads[i], NULL, run_reader, &readers[i]) == 0);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_join(canceller, NULL) == 0);
    CHECK(fake_engine_get_count("end") == READERS * STREAMS_EACH);
    CHECK(fake_engine_get_count("conversation_cancel_process") > 0);
    gn_engine_delete(fake(), engine);
}

/* One thread's life: everything that may be asked of a chat, beside those of the others. */
static void *run_asker(void *argument)
{
    reader *self = argument;
    gn_error own;
    gn_conversation_options options = plain_conversation();
    for (int i = 0; i < STREAMS_EACH / 5; i++) {
        LiteRtLmConversation *chat = gn_conversation_create(fake(), self->engine, &options, &own);
        gn_stream *stream = gn_conversation_send_stream(fake(), chat, user("a b c d"), NULL, &own);
        CHECK(stream != NULL);
        if (roll(&self->seed) % 2 == 0) {
            gn_conversation_cancel(fake(), chat); /* before, at or after the end */
        }
        size_t count;
        char *rendered = gn_conversation_render(fake(), chat, user("one"), &own);
        int *ids = gn_engine_tokenize(fake(), self->engine, rendered, &count, &own);
        CHECK(ids != NULL && count > 0);
        gn_free(ids);
        gn_free(rendered);
        LiteRtLmConversation *clone = gn_conversation_clone(fake(), chat, &own);
        CHECK(clone != NULL);
        CHECK(gn_conversation_token_count(fake(), clone, &own) >= 0);
        bool parent_first = roll(&self->seed) % 2 == 0;
        gn_conversation_delete(fake(), parent_first ? chat : clone);
        gn_stream *second = parent_first ? gn_conversation_send_stream(fake(), clone, user("e"), NULL, &own) : NULL;
        gn_stream_release(stream);
        read_somehow(second != NULL ? second : gn_conversation_send_stream(fake(), chat, user("f"), NULL, &own),
                     roll(&self->seed));
        gn_conversation_delete(fake(), parent_first ? clone : chat);
    }
    return NULL;
}

CASE(clones_counts_and_renderings_beside_streams_of_other_threads)
{
    LiteRtLmEngine *engine = make_engine();
    reader askers[READERS];
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        askers[i] = (reader){.engine = engine, .seed = (unsigned)i, .number = i};
        CHECK(pthread_create(&threads[i], NULL, run_asker, &askers[i]) == 0);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(fake_engine_get_count("conversation_clone") == READERS * (STREAMS_EACH / 5));
    gn_engine_delete(fake(), engine);
}
