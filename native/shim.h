/* The C API between gemma_notebook.engine and the LiteRT-LM library.
 *
 * Rules that hold for every function here:
 *   - No Python: cffi compiles this, and nothing below includes Python.h or calls back into Python.
 *   - No lock is held across a call into the engine, because the engine may call the stream
 *     callback synchronously and under its own lock.
 *   - The engine's last error is thread-local and never cleared by success, so it is cleared before
 *     the call that may fail and copied into `gn_error` inside the same function, on the same thread.
 *   - Strings going in are NUL-terminated UTF-8; NULL means "not set". Strings and arrays coming out
 *     are copies that the caller frees with gn_free().
 *
 * The part between the markers is what cffi's cdef() reads (native/build.py): plain declarations only.
 */
#ifndef GEMMA_NOTEBOOK_SHIM_H_
#define GEMMA_NOTEBOOK_SHIM_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cdef: begin */

/* Engine objects are opaque; only the engine's own functions touch them. */
typedef struct LiteRtLmEngine LiteRtLmEngine;
typedef struct LiteRtLmConversation LiteRtLmConversation;

/* One opened library and its table of checked function pointers. Never unloaded. */
typedef struct gn_api gn_api;

/* One generation: a refcounted buffer that the engine's thread fills and one reader empties. */
typedef struct gn_stream gn_stream;

/* Why a call failed. `code` is the engine's (an absl status code) or one of the GN_* codes below when the shim itself refused. `message` is always terminated. */
typedef struct {
    int code;
    char message[4096]; /* room for the name of every symbol */
} gn_error;

#define GN_ERROR_LIBRARY -1001      /* dlopen failed */
#define GN_ERROR_SYMBOL -1002       /* a symbol that we need is missing */
#define GN_ERROR_MEMORY -1003       /* malloc failed */
#define GN_ERROR_UNKNOWN -1004      /* the engine failed without saying why */

typedef struct {
    const char *model_path;         /* required */
    const char *backend;            /* required: "cpu", "gpu", "npu" */
    const char *vision_backend;
    const char *audio_backend;
    const char *cache_dir;
    int max_num_tokens;             /* 0: the model's own limit */
    int num_threads;                /* 0: the engine's default (only for "cpu") */
    int lora_rank;                  /* 0: LoRA off */
} gn_engine_options;

typedef struct {
    const char *system_message_json; /* a JSON value: a bare word would be parsed as another type */
    const char *messages_json;       /* a JSON array of messages to start from */
    const char *tools_json;          /* a JSON array of declarations */
    const char *extra_context_json;  /* a JSON object for the chat template */
    const char *prompt_template;     /* Jinja; NULL: the model's own */
    const char *lora_path;
    int has_sampler;                 /* 0: the model's own sampler, and the next five are ignored */
    int sampler_type;                /* LiteRtLmSamplerType: 1 top-k, 2 top-p, 3 greedy */
    int top_k;
    float top_p;
    float temperature;
    int seed;
    int max_output_tokens;           /* 0: no limit of its own */
    int enable_thinking;             /* -1: unset, else 0 or 1 */
    int thinking_token_budget;       /* used when enable_thinking is 1; -1: no budget */
    int constraint_provider;         /* -1: unset; 1: LL_GUIDANCE */
    int filter_channel_content;      /* -1: unset, else 0 or 1: keep thinking out of the KV cache */
    int stream_tool_calls;           /* -1: unset, else 0 or 1 */
} gn_conversation_options;

typedef struct {
    const char *extra_context_json;
    int max_output_tokens;           /* 0: unset */
    int constraint_type;             /* 0: none, 1: regular expression, 2: JSON schema */
    const char *constraint;
} gn_send_options;

/* What the model file says about itself. */
typedef struct {
    int max_context_tokens;          /* 0: unknown */
    int is_dynamic_context;
    int supports_thinking;
    int supports_function_calling;
    int supports_vision;
    int supports_audio;
    int sampler_type;                /* LiteRtLmSamplerType */
    int sampler_top_k;
    float sampler_top_p;
    float sampler_temperature;
    char min_runtime_version[64];
} gn_model_info;

/* What a message would add to a conversation. */
typedef struct {
    int context_tokens;              /* in the KV cache now */
    int message_tokens;              /* in the rendering; 0 while that did not fit */
    size_t rendered_size;            /* bytes of the rendering, its NUL included */
} gn_measure;

/* CLOCK_MONOTONIC seconds, taken in C; 0 while the thing has not happened. */
typedef struct {
    double sent_s;
    double first_chunk_s;
    double last_chunk_s;
    double ended_s;
    size_t chunks;
    size_t late_events;              /* callbacks after the terminal one: dropped, counted */
} gn_stream_stats;

/* All that had arrived when gn_stream_take() was called. Everything in it belongs to the stream
 * and is valid until the next gn_stream_take() or gn_stream_release() of the same stream. */
typedef struct {
    const char *data;                /* chunks, each followed by one NUL byte */
    size_t size;                     /* bytes in data, the NULs included */
    size_t chunks;
    int ended;                       /* 1: the terminal event has arrived and data is the rest */
    const char *error;               /* at the end: the engine's "CODE: message", or NULL */
    gn_stream_stats stats;           /* as of this hand-over */
} gn_batch;

gn_api *gn_api_open(const char *library_path, gn_error *error);
/* The names of all symbols that gn_api_open() checks, separated by '\n'; static storage. */
const char *gn_api_symbols(void);
void gn_set_min_log_level(const gn_api *api, int level);
void gn_free(void *memory);

LiteRtLmEngine *gn_engine_create(const gn_api *api, const gn_engine_options *options, gn_error *error);
void gn_engine_delete(const gn_api *api, LiteRtLmEngine *engine);
/* Token ids of text, *count of them; NULL on failure. An empty text gives a non-NULL pointer and 0. */
int *gn_engine_tokenize(const gn_api *api, LiteRtLmEngine *engine, const char *text, size_t *count,
                        gn_error *error);
char *gn_engine_detokenize(const gn_api *api, LiteRtLmEngine *engine, const int *ids, size_t count,
                           gn_error *error);
/* 0, or -1 with error filled. Opens the file only to read its metadata. */
int gn_model_info_read(const gn_api *api, const char *model_path, gn_model_info *info, gn_error *error);

LiteRtLmConversation *gn_conversation_create(const gn_api *api, LiteRtLmEngine *engine,
                                             const gn_conversation_options *options, gn_error *error);
LiteRtLmConversation *gn_conversation_clone(const gn_api *api, LiteRtLmConversation *conversation,
                                            gn_error *error);
void gn_conversation_delete(const gn_api *api, LiteRtLmConversation *conversation);
/* Returns at once; the stream still ends with its terminal event. */
void gn_conversation_cancel(const gn_api *api, LiteRtLmConversation *conversation);
/* Tokens in the KV cache, or -1 with error filled. Waits for a running generation. */
int gn_conversation_token_count(const gn_api *api, LiteRtLmConversation *conversation, gn_error *error);
char *gn_conversation_render(const gn_api *api, LiteRtLmConversation *conversation,
                             const char *message_json, gn_error *error);
/* What the next send of this message would add to the context, in one call, because a caller that holds Python's
 * GIL has to win it back after each: the rendering is copied into `room`, with its NUL, and counted. When
 * measure->rendered_size is above room_size it was not: call again with more room. 0, or -1 with error filled. */
int gn_conversation_measure(const gn_api *api, LiteRtLmEngine *engine, LiteRtLmConversation *conversation,
                            const char *message_json, char *room, size_t room_size, gn_measure *measure,
                            gn_error *error);
/* The whole reply as JSON, blocking, without callbacks. */
char *gn_conversation_send(const gn_api *api, LiteRtLmConversation *conversation, const char *message_json,
                           const gn_send_options *options, gn_error *error);
/* Starts a generation. NULL with error filled when the engine refuses it; then nothing calls back. */
gn_stream *gn_conversation_send_stream(const gn_api *api, LiteRtLmConversation *conversation,
                                       const char *message_json, const gn_send_options *options,
                                       gn_error *error);

/* Waits up to timeout_s for something to arrive, then hands over all of it. Returns 1 when there is
 * data or the end, 0 on a time-out. One reader at a time. After the end it keeps returning 1 with
 * ended == 1 and no data. */
int gn_stream_take(gn_stream *stream, double timeout_s, gn_batch *batch);
/* gn_stream_take() after a pause in which chunks gather, and which the end cuts short. */
int gn_stream_gather(gn_stream *stream, double pause_s, double timeout_s, gn_batch *batch);
/* Waits up to timeout_s for the terminal event without taking anything: 1 ended, 0 not yet.
 * Any thread, also beside a reader. */
int gn_stream_wait_end(gn_stream *stream, double timeout_s);
void gn_stream_get_stats(gn_stream *stream, gn_stream_stats *stats);
/* Gives up the caller's reference. The engine keeps its own until the terminal event. */
void gn_stream_release(gn_stream *stream);
/* Streams not yet freed in this process: for leak checks. */
size_t gn_streams_alive(void);

/* From here to the end of the process, takes what the opened library prints on stderr, and nothing that
 * anybody else prints there: 1, or 0 when that cannot be done here and all stays as it was. Lines that
 * announce an abort (absl's FATAL and what follows it) still go to file descriptor 2, too. Idempotent. */
int gn_logs_capture(const char *library_path);
/* Waits up to timeout_s for a line: 1 when there is one, 0 on a time-out or after gn_logs_stop(). */
int gn_logs_wait(double timeout_s);
/* Moves the oldest whole lines into the buffer, each with its '\n', as many as fit: the bytes written, 0
 * when there was no line. `room` is 8192 or more, as long as a line can be. *dropped: the lines lost since
 * the last call, because nobody took them in time. Any thread. */
size_t gn_logs_take(char *buffer, size_t room, size_t *dropped);
/* Ends the waits, now and later: before the interpreter ends, whose threads must not wake up after it. */
void gn_logs_stop(void);

/* cdef: end */

#ifdef __cplusplus
}
#endif

#endif /* GEMMA_NOTEBOOK_SHIM_H_ */
