#include "harness.h"

#include <stdatomic.h>

gn_error error;

static test_case *cases;
static const char *directory;

void add_case(test_case *added)
{
    added->next = cases;
    cases = added;
}

_Noreturn void fail_check(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not true: %s\n(last error: %d, %s)\n", file, line, condition, error.code,
            error.message);
    fflush(stderr);
    abort();
}

/* ---- allocations of the shim ---- */

static atomic_long allocations_left = -1;
static atomic_long refused;

void fail_allocations_after(long successes)
{
    atomic_store(&allocations_left, successes);
}

long allocations_refused(void)
{
    return atomic_load(&refused);
}

static bool may_allocate(void)
{
    long left = atomic_load(&allocations_left);
    while (left > 0 && !atomic_compare_exchange_weak(&allocations_left, &left, left - 1)) {
    }
    if (left == 0) {
        atomic_fetch_add(&refused, 1);
    }
    return left != 0;
}

void *test_malloc(size_t size);
void *test_calloc(size_t count, size_t size);
void *test_realloc(void *memory, size_t size);

void *test_malloc(size_t size)
{
    return may_allocate() ? malloc(size) : NULL;
}

void *test_calloc(size_t count, size_t size)
{
    return may_allocate() ? calloc(count, size) : NULL;
}

void *test_realloc(void *memory, size_t size)
{
    return may_allocate() ? realloc(memory, size) : NULL;
}

/* ---- helpers ---- */

const char *path_to(const char *name)
{
    static _Thread_local char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

const gn_api *fake(void)
{
    static gn_api *api;
    if (api == NULL) {
        char library[1024]; /* not path_to(): the caller may have a path of its own in hand */
        snprintf(library, sizeof library, "%s/liblitert-lm.so", directory);
        api = gn_api_open(library, &error);
    }
    CHECK(api != NULL);
    return api;
}

LiteRtLmEngine *make_engine(void)
{
    char model[1024];
    snprintf(model, sizeof model, "%s", path_to("model.litertlm"));
    gn_engine_options options = {.model_path = model, .backend = "cpu"};
    LiteRtLmEngine *engine = gn_engine_create(fake(), &options, &error);
    CHECK(engine != NULL);
    return engine;
}

gn_conversation_options plain_conversation(void)
{
    return (gn_conversation_options){.enable_thinking = -1,
                                     .thinking_token_budget = -1,
                                     .constraint_provider = -1,
                                     .filter_channel_content = -1,
                                     .stream_tool_calls = -1};
}

LiteRtLmConversation *make_conversation(LiteRtLmEngine *engine)
{
    gn_conversation_options options = plain_conversation();
    LiteRtLmConversation *conversation = gn_conversation_create(fake(), engine, &options, &error);
    CHECK(conversation != NULL);
    return conversation;
}

const char *user(const char *text)
{
    static _Thread_local char json[4096];
    static const char format[] = "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}";
    snprintf(json, sizeof json, format, text);
    return json;
}

gn_stream *send_text(LiteRtLmConversation *conversation, const char *text)
{
    gn_stream *stream = gn_conversation_send_stream(fake(), conversation, user(text), NULL, &error);
    CHECK(stream != NULL);
    return stream;
}

static void add_batch(reply *reply, const gn_batch *batch)
{
    size_t old = reply->chunks != NULL ? strlen(reply->chunks) : 0;
    reply->chunks = realloc(reply->chunks, old + batch->size + 1);
    memcpy(reply->chunks + old, batch->data, batch->size);
    for (size_t i = 0; i < batch->size; i++) {
        char *byte = &reply->chunks[old + i];
        reply->count += *byte == '\0';
        *byte = *byte == '\0' ? '\n' : *byte;
    }
    reply->chunks[old + batch->size] = '\0';
}

reply read_all(gn_stream *stream)
{
    reply all = {0};
    size_t counted = 0;
    gn_batch batch;
    do {
        CHECK(gn_stream_take(stream, PATIENCE_S, &batch) == 1);
        add_batch(&all, &batch);
        counted += batch.chunks;
    } while (!batch.ended);
    CHECK(counted == all.count);
    if (batch.error != NULL) {
        all.error = malloc(strlen(batch.error) + 1);
        strcpy(all.error, batch.error);
    }
    return all;
}

void free_reply(reply *reply)
{
    free(reply->chunks);
    free(reply->error);
}

void expect(gn_stream *stream, const char *chunks, const char *error_text)
{
    reply all = read_all(stream);
    CHECK_TEXT(all.chunks, chunks);
    CHECK((all.error == NULL) == (error_text == NULL));
    if (error_text != NULL) {
        CHECK_TEXT(all.error, error_text);
    }
    free_reply(&all);
    gn_stream_release(stream);
}

/* ---- running ---- */

static void run(const test_case *one)
{
    printf("run %s\n", one->name);
    fflush(stdout); /* so that a reader of the output knows the case that crashed */
    one->run();
    fail_allocations_after(-1);
    CHECK(gn_streams_alive() == 0);
    CHECK(fake_engine_get_count("live_engines") == 0);
    CHECK(fake_engine_get_count("live_conversations") == 0);
    CHECK(fake_engine_get_count("live_objects") == 0);
    CHECK(fake_engine_get_count("dangling") == 0);
    fake_engine_reset();
}

static bool is_wanted(const test_case *one, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(one->name, names[i]) == 0) {
            return true;
        }
    }
    return count == 0;
}

int main(int count, char **arguments)
{
    if (count < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [NAME…]\n", arguments[0]);
        return 2;
    }
    directory = arguments[1];
    for (const test_case *one = cases; one != NULL; one = one->next) {
        if (is_wanted(one, count - 2, arguments + 2)) {
            run(one);
        }
    }
    return 0;
}
