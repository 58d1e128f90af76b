/* What the stub's files share. One mutex and one condition guard everything in it. */
#ifndef FAKE_ENGINE_INTERNAL_H_
#define FAKE_ENGINE_INTERNAL_H_

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default)
#include "fake_engine.h"
#include "litert_lm.h"
#pragma GCC visibility pop

/* ---- control.c ---- */

extern pthread_mutex_t fe_mutex;
extern pthread_cond_t fe_changed;

/* Set while this thread runs a callback: then only the accessors of the chunk may be called. */
extern _Thread_local bool fe_in_callback;

_Noreturn void fe_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first line of every API function: checks, counts and holds the call. */
#define FE_ENTER() fe_enter(__func__)
void fe_enter(const char *function);
/* Whether this call was told to fail; then the last error is set. */
#define FE_FAILS() fe_fails(__func__)
bool fe_fails(const char *function);
void fe_set_error(int code, const char *message);
/* The same for the text of a chunk, whose code is the word before the colon. */
void fe_set_status_error(const char *status);
void fe_read_environment(void);
/* These want fe_mutex held. */
const char *fe_setting(const char *key);
long fe_number(const char *key, long otherwise);
void fe_set(const char *key, const char *value);
long fe_get_count(const char *name);
bool fe_is_set(const char *key);
void fe_count(const char *name, long change);
void fe_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- text.c ---- */

typedef struct {
    char *data; /* always terminated, NULL while empty */
    size_t size;
    size_t capacity;
} fe_text;

void *fe_allocate(size_t size);
char *fe_copy(const char *text); /* NULL gives NULL */
void fe_append(fe_text *text, const char *more, size_t size);
void fe_print(fe_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fe_clear(fe_text *text);

/* Options are handed out as records "name=value"; what was not set has none. */
#define FE_RECORD "\x1E"
enum { FE_UNSET = -2 }; /* no option has that value */
void fe_note_text(fe_text *options, const char *name, const char *value);
void fe_note_number(fe_text *options, const char *name, int value);

/* Tokens are words, each with the space before it. */
typedef struct {
    char **items;
    size_t count;
} fe_pieces;

fe_pieces fe_split(const char *text);
void fe_add_piece(fe_pieces *pieces, const char *text, size_t size);
void fe_free_pieces(fe_pieces *pieces);
/* The vocabulary wants fe_mutex held. */
int fe_piece_id(const char *piece);
const char *fe_piece_text(int id); /* NULL for an id that does not exist */
int fe_vocabulary_size(void);

/* ---- json.c: values are pointers into the text ---- */

bool fe_json_valid(const char *text);
const char *fe_json_get(const char *object, const char *key);
const char *fe_json_first(const char *array);
const char *fe_json_next(const char *item);
char *fe_json_string(const char *value); /* decoded; NULL when it is no string */
void fe_json_quote(fe_text *to, const char *text);

/* ---- objects.c ---- */

struct LiteRtLmEngineSettings {
    int kind;
    char *model_path;
    char *backend;
    char *vision_backend;
    char *audio_backend;
    char *cache_dir;
    int max_num_tokens;
    int num_threads;
    int lora_rank;
    int supported_lora_rank;
};

struct LiteRtLmSamplerParams {
    int kind;
    int type;
    int top_k;
    float top_p;
    float temperature;
    int seed;
};

struct LiteRtLmSessionConfig {
    int kind;
    bool has_sampler;
    LiteRtLmSamplerParams sampler;
    int max_output_tokens;
    char *lora_path;
};

struct LiteRtLmThinkingConfig {
    int kind;
    bool enable;
    int budget;
};

struct LiteRtLmConversationConfig {
    int kind;
    bool has_session;
    LiteRtLmSessionConfig session;
    char *system_message;
    char *messages;
    char *tools;
    char *extra_context;
    char *prompt_template;
    int constrained_decoding;
    int constraint_provider;
    int filter_channel_content;
    int stream_tool_calls;
    int enable_thinking;
    int thinking_budget;
};

struct LiteRtLmConversationOptionalArgs {
    int kind;
    int max_output_tokens;
    int constraint_type;
    char *constraint;
};

typedef enum {
    FE_DELETED = 0x0DEAD,
    FE_SETTINGS = 0x5E771,
    FE_SAMPLER,
    FE_SESSION,
    FE_THINKING,
    FE_CONFIG,
    FE_ARGS,
    FE_RESPONSE,
    FE_TOKENS,
    FE_DETOKENIZED,
    FE_FILE,
} fe_kind;

/* Every small object begins with its kind, so that a wrong or deleted one is noticed. */
void *fe_new(size_t size, fe_kind kind);
void fe_check(const void *object, fe_kind kind, const char *function);
void fe_delete(void *object, fe_kind kind, const char *function);

#define FE_CHECK(object, kind) fe_check(object, kind, __func__)
#define FE_DELETE(object, kind) fe_delete(object, kind, __func__)

LiteRtLmJsonResponse *fe_new_response(const char *text);

/* ---- engine.c ---- */

typedef struct fe_generation fe_generation;

/* Engines and conversations are never freed, only emptied, so that a use after delete is always seen. */
struct LiteRtLmEngine {
    int id;
    bool deleted;
    LiteRtLmEngine *next;
    long context_tokens;
    int lora_rank;
    bool sampler_ready;
    fe_generation *queue; /* one decodes at a time: the first */
    fe_text options;
};

extern LiteRtLmEngine *fe_engines;

void fe_check_engine(LiteRtLmEngine *engine, const char *function);
#define FE_CHECK_ENGINE(engine) fe_check_engine(engine, __func__)

/* ---- conversation.c ---- */

typedef struct {
    char *role;
    char *text;
} fe_turn;

struct LiteRtLmConversation {
    int id;
    bool deleted;
    LiteRtLmConversation *next;
    LiteRtLmEngine *engine;
    int sampler_type;
    int max_output_tokens;
    fe_turn *turns;
    size_t turn_count;
    long tokens;         /* in the KV cache */
    long pending_tokens; /* of the preface, which the first message brings into it */
    int generating;      /* generations whose threads are at work */
    int decoding;        /* those of them that have not reached their end */
    bool cancelled;
    bool failed;
    bool dead;      /* the clone of one that was spent or overfull */
    bool abandoned; /* being deleted: a stuck generation has to leave */
    char *rendered;
    fe_text options;
};

extern LiteRtLmConversation *fe_conversations;

void fe_check_conversation(LiteRtLmConversation *conversation, const char *function);
#define FE_CHECK_CONVERSATION(conversation) fe_check_conversation(conversation, __func__)

/* Adds a message, or an array of them; false when the JSON is none. */
bool fe_add_messages(LiteRtLmConversation *conversation, const char *json);
void fe_add_turn(LiteRtLmConversation *conversation, const char *role, const char *text);
/* What the stub has to say to the last turn. */
void fe_answer(const LiteRtLmConversation *conversation, fe_text *reply);
void fe_render(const char *role, const char *text, fe_text *to);
void fe_wait_idle(LiteRtLmConversation *conversation);
/* When "serial": until no generation of the engine runs. */
void fe_wait_engine(LiteRtLmEngine *engine);

/* fake_engine_reset() calls these; fe_mutex is held. */
void fe_restart_engine_numbers(void);
void fe_restart_conversation_numbers(void);
void fe_restart_gate(void);

#endif /* FAKE_ENGINE_INTERNAL_H_ */
