/* A small test harness: `program DIRECTORY [NAME…]` runs each CASE(NAME), or all of them, and says so before
 * each. A case that fails aborts.
 *
 * DIRECTORY holds the fake engine, a model file and some broken libraries. After each case nothing may be
 * alive: no stream, engine, conversation or configuration.
 */
#ifndef HARNESS_H_
#define HARNESS_H_

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "shim.h"

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;

void add_case(test_case *added);

#define CASE(name_)                                                   \
    static void run_##name_(void);                                    \
    __attribute__((constructor)) static void add_##name_(void)        \
    {                                                                 \
        static test_case added = {#name_, run_##name_, NULL};         \
        add_case(&added);                                             \
    }                                                                 \
    static void run_##name_(void)

_Noreturn void fail_check(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void)0 : fail_check(__FILE__, __LINE__, #condition))
#define CHECK_TEXT(text, expected) CHECK(strcmp((text), (expected)) == 0)
#define CHECK_HAS(text, part) CHECK(strstr((text), (part)) != NULL)

/* Long enough for the slowest machine: only a broken shim ever waits for it. */
#define PATIENCE_S 20.0

/* shim.c and streams.c are compiled so that their allocations come here. The allocation after `successes` more
 * fails, and so do all that follow; a negative number ends that. */
void fail_allocations_after(long successes);
long allocations_refused(void);

/* A path in DIRECTORY; valid until the next call. */
const char *path_to(const char *name);

/* The fake engine's table, opened once. */
const gn_api *fake(void);
extern gn_error error;

LiteRtLmEngine *make_engine(void);
LiteRtLmConversation *make_conversation(LiteRtLmEngine *engine);
gn_conversation_options plain_conversation(void);
/* A user message; text must need no escapes. Valid until the next call on this thread. */
const char *user(const char *text);
gn_stream *send_text(LiteRtLmConversation *conversation, const char *text);

/* All that a stream gives, to its end. */
typedef struct {
    char *chunks; /* each followed by a newline */
    size_t count;
    char *error;  /* NULL when it ended well */
} reply;

reply read_all(gn_stream *stream);
void free_reply(reply *reply);
/* Reads to the end, releases the stream, and checks the chunks and the error. */
void expect(gn_stream *stream, const char *chunks, const char *error_text);

#endif /* HARNESS_H_ */
