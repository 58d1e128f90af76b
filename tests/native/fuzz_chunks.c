/* A libFuzzer target: any events of an engine, in any order, against a model of what a reader must get.
 *
 * The input is a program: each step is one byte for what happens, and what that needs. The engine is played here,
 * on one thread, so that an input always does the same; tests of races are in stress_cases.c.
 */
#include <stdlib.h>

static _Bool refuse_allocations;
static _Bool refused_one;

static void *fuzz_realloc(void *memory, size_t size)
{
    refused_one = refused_one || refuse_allocations;
    return refuse_allocations ? NULL : realloc(memory, size);
}

#define realloc fuzz_realloc
#include "shim.c"
#include STREAMS_C /* native/streams.c, or one that is broken on purpose */
#undef realloc

#define CHECK(condition) ((condition) ? (void)0 : abort())

enum { STREAMS = 3, ERROR_ROOM = sizeof((gn_stream *)0)->error };

/* ---- the engine ---- */

struct LiteRtLmStreamChunk {
    const char *text;
    const char *error;
    bool final;
};

static const char *get_text(const LiteRtLmStreamChunk *chunk)
{
    return chunk->text;
}

static const char *get_error(const LiteRtLmStreamChunk *chunk)
{
    return chunk->error;
}

static bool is_final(const LiteRtLmStreamChunk *chunk)
{
    return chunk->final;
}

static void clear_last_error(void)
{
}

static const char *get_last_error_message(void)
{
    return NULL;
}

/* ---- the input ---- */

typedef struct {
    const uint8_t *data;
    size_t left;
} input;

static unsigned next_byte(input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

/* A text of its own on the heap, so that a sanitizer sees who keeps it: NULs cannot be in one. */
static char *next_text(input *in)
{
    size_t size = next_byte(in);
    size_t times = size % 16 == 15 ? 1 + next_byte(in) : 1; /* some are long: the buffer has to grow at once */
    size = size < in->left ? size : in->left;
    char *text = malloc(size * times + 1);
    for (size_t i = 0; i < size * times; i++) {
        uint8_t byte = in->data[i % size];
        text[i] = (char)(byte != 0 ? byte : 'x');
    }
    text[size * times] = '\0';
    in->data += size;
    in->left -= size;
    return text;
}

/* ---- the model: what was sent and not yet taken ---- */

typedef struct {
    gn_stream *stream; /* NULL: released, or never there */
    uintptr_t id;      /* what the engine calls it by, for ever */
    char *expected;
    size_t size;
    size_t untaken;
    size_t chunks;
    size_t late;
    bool lost;
    bool ended;
    bool failed;
    char error[ERROR_ROOM];
} model;

static model models[STREAMS];
static input *script;

static void expect_text(model *one, const char *text)
{
    one->chunks++;
    if (one->lost || one->stream == NULL) {
        return;
    }
    size_t size = strlen(text) + 1;
    one->expected = realloc(one->expected, one->size + size);
    memcpy(one->expected + one->size, text, size);
    one->size += size;
    one->untaken++;
}

static void expect_end(model *one, const char *error)
{
    if (error == NULL && one->lost) {
        error = "RESOURCE_EXHAUSTED: the reply was cut short: out of memory";
    }
    one->ended = true;
    one->failed = error != NULL;
    if (error != NULL) {
        gn_copy_text(one->error, sizeof one->error, error);
    }
}

/* One call of the callback, with what the input says. */
static void play_event(model *one)
{
    unsigned kind = next_byte(script);
    LiteRtLmStreamChunk *chunk = malloc(sizeof *chunk);
    char *text = kind & 1 ? next_text(script) : NULL;
    char *error = kind & 2 ? next_text(script) : NULL;
    *chunk = (LiteRtLmStreamChunk){text, error, (kind & 4) != 0};
    refused_one = false;
    on_chunk((void *)one->id, chunk);
    free(chunk);
    if (one->ended) {
        one->late++;
    } else {
        size_t before = one->untaken;
        if (text != NULL) {
            expect_text(one, text);
        }
        if (refused_one) { /* the chunk that there was no room for, and all that follow */
            CHECK(one->untaken == before + 1);
            one->size -= strlen(text) + 1;
            one->untaken--;
            one->lost = true;
        }
        if ((kind & 4) != 0 || error != NULL) {
            expect_end(one, error);
        }
    }
    free(text);
    free(error);
}

/* ---- the reader ---- */

static void take(model *one)
{
    if (one->stream == NULL) {
        return;
    }
    gn_batch batch;
    int something = gn_stream_take(one->stream, 0, &batch);
    CHECK(something == (one->size > 0 || one->ended));
    CHECK(batch.size == one->size && batch.chunks == one->untaken);
    CHECK(one->size == 0 || memcmp(batch.data, one->expected, one->size) == 0);
    CHECK(batch.ended == one->ended);
    CHECK((batch.error != NULL) == (one->ended && one->failed));
    CHECK(batch.error == NULL || strcmp(batch.error, one->error) == 0);
    one->size = 0;
    one->untaken = 0;
}

static void look(model *one)
{
    if (one->stream == NULL) {
        return;
    }
    gn_stream_stats stats;
    CHECK(gn_stream_wait_end(one->stream, 0) == one->ended);
    gn_stream_get_stats(one->stream, &stats);
    CHECK(stats.chunks == one->chunks && stats.late_events == one->late);
    CHECK((stats.ended_s > 0) == one->ended);
}

static void release(model *one)
{
    gn_stream_release(one->stream);
    one->stream = NULL;
}

static void end_if_open(model *one)
{
    if (one->id != 0 && !one->ended) {
        LiteRtLmStreamChunk last = {NULL, NULL, true};
        on_chunk((void *)one->id, &last);
        expect_end(one, NULL);
    }
}

static model *sending;

/* The engine accepts or refuses, and may call back before it does either. */
static int send_stream(LiteRtLmConversation *conversation, const char *message, const char *context,
                       const LiteRtLmConversationOptionalArgs *args, LiteRtLmStreamCallback callback, void *user_data)
{
    (void)conversation, (void)message, (void)context, (void)args;
    CHECK(callback == on_chunk);
    sending->id = (uintptr_t)user_data;
    sending->stream = (gn_stream *)1; /* a reader is to come: what arrives now counts */
    unsigned plan = next_byte(script);
    for (unsigned i = 0; i < plan % 4; i++) {
        play_event(sending);
    }
    return plan & 8 ? -1 : 0;
}

static const gn_api api = {
    .clear_last_error = clear_last_error,
    .get_last_error_message = get_last_error_message,
    .conversation_send_message_stream = send_stream,
    .stream_chunk_get_text = get_text,
    .stream_chunk_get_error = get_error,
    .stream_chunk_is_final = is_final,
};

static void start(model *one)
{
    release(one);
    end_if_open(one);
    free(one->expected);
    *one = (model){0};
    sending = one;
    gn_error error;
    one->stream = gn_conversation_send_stream(&api, NULL, "{}", NULL, &error);
    if (one->stream == NULL) { /* refused: whatever the engine still says of it goes nowhere */
        CHECK(error.code == GN_ERROR_UNKNOWN);
        one->ended = true;
    }
}

static void step(void)
{
    unsigned what = next_byte(script);
    model *one = &models[what / 8 % STREAMS];
    switch (what % 8) {
    case 0:
        start(one);
        break;
    case 1:
    case 2:
    case 3:
        play_event(one);
        break;
    case 4:
        take(one);
        break;
    case 5:
        look(one);
        break;
    case 6:
        release(one);
        break;
    default:
        refuse_allocations = (what & 64) != 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    script = &in;
    while (in.left > 0) {
        step();
    }
    refuse_allocations = false;
    for (int i = 0; i < STREAMS; i++) {
        take(&models[i]);
        end_if_open(&models[i]);
        take(&models[i]);
        look(&models[i]);
        release(&models[i]);
        free(models[i].expected);
        models[i] = (model){0};
    }
    CHECK(gn_streams_alive() == 0);
    return 0;
}
