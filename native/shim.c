/* See shim.h for the contract. Three parts: the symbol table, plain calls, and streams. */
#define _GNU_SOURCE      /* RTLD_NODELETE */
#define _DARWIN_C_SOURCE /* pthread_cond_timedwait_relative_np */

#include "shim.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "litert_lm.h"

/* ---- errors ---- */

static bool is_utf8_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Copies what fits, and never cuts a UTF-8 character in two: Python decodes the result strictly. */
static void copy_text(char *to, size_t room, const char *from)
{
    size_t length = strlen(from);
    if (length >= room) {
        length = room - 1;
        while (length > 0 && is_utf8_continuation(from[length])) {
            length--;
        }
    }
    memcpy(to, from, length);
    to[length] = '\0';
}

static void set_error(gn_error *error, int code, const char *message)
{
    if (error != NULL) {
        error->code = code;
        copy_text(error->message, sizeof error->message, message);
    }
}

static void out_of_memory(gn_error *error)
{
    set_error(error, GN_ERROR_MEMORY, "Out of memory.");
}

/* ---- the symbol table ---- */

/* The one list of what we use; the table, its types and the names in messages all come from it. */
#define GN_SYMBOLS(X) \
    X(set_min_log_level) \
    X(get_last_error_code) \
    X(get_last_error_message) \
    X(clear_last_error) \
    X(engine_settings_create) \
    X(engine_settings_delete) \
    X(engine_settings_set_max_num_tokens) \
    X(engine_settings_set_num_threads) \
    X(engine_settings_set_cache_dir) \
    X(engine_settings_set_lora_rank) \
    X(engine_settings_set_supported_lora_ranks) \
    X(engine_create) \
    X(engine_delete) \
    X(engine_tokenize) \
    X(tokenize_result_delete) \
    X(tokenize_result_get_tokens) \
    X(tokenize_result_get_num_tokens) \
    X(engine_detokenize) \
    X(detokenize_result_delete) \
    X(detokenize_result_get_string) \
    X(sampler_params_create) \
    X(sampler_params_delete) \
    X(sampler_params_set_top_k) \
    X(sampler_params_set_top_p) \
    X(sampler_params_set_temperature) \
    X(sampler_params_set_seed) \
    X(session_config_create) \
    X(session_config_delete) \
    X(session_config_set_max_output_tokens) \
    X(session_config_set_sampler_params) \
    X(session_config_set_lora_path) \
    X(thinking_config_create) \
    X(thinking_config_delete) \
    X(thinking_config_set_enable_thinking) \
    X(thinking_config_set_thinking_token_budget) \
    X(conversation_config_create) \
    X(conversation_config_delete) \
    X(conversation_config_set_session_config) \
    X(conversation_config_set_system_message) \
    X(conversation_config_set_messages) \
    X(conversation_config_set_tools) \
    X(conversation_config_set_extra_context) \
    X(conversation_config_set_prompt_template) \
    X(conversation_config_set_enable_constrained_decoding) \
    X(conversation_config_set_constraint_provider) \
    X(conversation_config_set_filter_channel_content_from_kv_cache) \
    X(conversation_config_set_stream_tool_calls) \
    X(conversation_config_set_thinking_config) \
    X(conversation_optional_args_create) \
    X(conversation_optional_args_delete) \
    X(conversation_optional_args_set_max_output_tokens) \
    X(conversation_optional_args_set_constraint) \
    X(conversation_create) \
    X(conversation_clone) \
    X(conversation_delete) \
    X(conversation_send_message) \
    X(conversation_send_message_stream) \
    X(conversation_cancel_process) \
    X(conversation_get_token_count) \
    X(conversation_render_message_to_string) \
    X(json_response_delete) \
    X(json_response_get_string) \
    X(stream_chunk_get_text) \
    X(stream_chunk_is_final) \
    X(stream_chunk_get_error) \
    X(loaded_file_create) \
    X(loaded_file_delete) \
    X(loaded_file_max_context_tokens) \
    X(loaded_file_is_dynamic_context) \
    X(loaded_file_supports_thinking) \
    X(loaded_file_supports_function_calling) \
    X(loaded_file_supports_input_modality) \
    X(loaded_file_sampler_type) \
    X(loaded_file_sampler_top_k) \
    X(loaded_file_sampler_top_p) \
    X(loaded_file_sampler_temperature) \
    X(loaded_file_min_runtime_version)

struct gn_api {
#define GN_FIELD(name) __typeof__(&litert_lm_##name) name;
    GN_SYMBOLS(GN_FIELD)
#undef GN_FIELD
};

typedef struct {
    const char *name;
    size_t offset;
} symbol;

static const symbol symbols[] = {
#define GN_SYMBOL(name) {"litert_lm_" #name, offsetof(gn_api, name)},
    GN_SYMBOLS(GN_SYMBOL)
#undef GN_SYMBOL
};

enum { SYMBOL_COUNT = sizeof symbols / sizeof symbols[0] };

const char *gn_api_symbols(void)
{
#define GN_NAME(name) "\nlitert_lm_" #name
    static const char names[] = GN_SYMBOLS(GN_NAME);
#undef GN_NAME
    return &names[1];
}

/* Writes `name` to the end of a comma-separated list. */
static void append_name(gn_error *error, const char *separator, const char *name)
{
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, "%s%s", separator, name);
}

static int fill_table(gn_api *api, void *library, gn_error *error)
{
    int missing = 0;
    for (size_t i = 0; i < SYMBOL_COUNT; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) {
            append_name(error, missing == 0 ? "" : ", ", symbols[i].name);
            missing++;
        }
        /* ISO C has no cast from an object pointer to a function pointer; POSIX gives both one size. */
        memcpy((char *)api + symbols[i].offset, &address, sizeof address);
    }
    return missing;
}

gn_api *gn_api_open(const char *library_path, gn_error *error)
{
    gn_error scratch;
    error = error != NULL ? error : &scratch;
    set_error(error, 0, "");
    void *library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        const char *reason = dlerror();
        set_error(error, GN_ERROR_LIBRARY, reason != NULL ? reason : "dlopen failed without a reason");
        return NULL;
    }
    gn_api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        out_of_memory(error);
    } else if (fill_table(api, library, error) > 0) {
        error->code = GN_ERROR_SYMBOL;
        free(api);
        api = NULL;
    }
    if (api == NULL) {
        dlclose(library);
    }
    return api;
}

void gn_set_min_log_level(const gn_api *api, int level)
{
    api->set_min_log_level(level);
}

void gn_free(void *memory)
{
    free(memory);
}

/* ---- plain calls ---- */

/* Before a call that may fail: forget what an earlier one left on this thread. */
static void begin(const gn_api *api, gn_error *error)
{
    api->clear_last_error();
    set_error(error, 0, "");
}

/* After a call that failed: the engine's own words, or ours when it has none. */
static void fail(const gn_api *api, gn_error *error, const char *otherwise)
{
    const char *message = api->get_last_error_message();
    if (message != NULL && message[0] != '\0') {
        set_error(error, api->get_last_error_code(), message);
    } else {
        set_error(error, GN_ERROR_UNKNOWN, otherwise);
    }
}

static void *copy_bytes(const void *from, size_t size, gn_error *error)
{
    void *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        out_of_memory(error);
    } else if (size > 0) {
        memcpy(copy, from, size);
    }
    return copy;
}

static char *copy_string(const gn_api *api, const char *from, gn_error *error, const char *otherwise)
{
    if (from == NULL) {
        fail(api, error, otherwise);
        return NULL;
    }
    return copy_bytes(from, strlen(from) + 1, error);
}

static int set_lora_rank(const gn_api *api, LiteRtLmEngineSettings *settings, int rank, gn_error *error)
{
    if (rank == 0) {
        return 0;
    }
    api->engine_settings_set_lora_rank(settings, rank);
    if (api->engine_settings_set_supported_lora_ranks(settings, &rank, 1) != 0) {
        fail(api, error, "The engine refused the LoRA rank.");
        return -1;
    }
    return 0;
}

static LiteRtLmEngineSettings *make_engine_settings(const gn_api *api, const gn_engine_options *options,
                                                    gn_error *error)
{
    LiteRtLmEngineSettings *settings = api->engine_settings_create(
        options->model_path, options->backend, options->vision_backend, options->audio_backend);
    if (settings == NULL) {
        fail(api, error, "The engine refused the model path or the backend.");
        return NULL;
    }
    if (options->cache_dir != NULL) {
        api->engine_settings_set_cache_dir(settings, options->cache_dir);
    }
    if (options->max_num_tokens > 0) {
        api->engine_settings_set_max_num_tokens(settings, options->max_num_tokens);
    }
    /* The setting belongs to the CPU executor; the others reject it. */
    if (options->num_threads > 0 && strcmp(options->backend, "cpu") == 0) {
        api->engine_settings_set_num_threads(settings, options->num_threads);
    }
    if (set_lora_rank(api, settings, options->lora_rank, error) != 0) {
        api->engine_settings_delete(settings);
        return NULL;
    }
    return settings;
}

LiteRtLmEngine *gn_engine_create(const gn_api *api, const gn_engine_options *options, gn_error *error)
{
    begin(api, error);
    LiteRtLmEngineSettings *settings = make_engine_settings(api, options, error);
    if (settings == NULL) {
        return NULL;
    }
    LiteRtLmEngine *engine = api->engine_create(settings);
    if (engine == NULL) {
        fail(api, error, "The engine could not be created.");
    }
    api->engine_settings_delete(settings);
    return engine;
}

void gn_engine_delete(const gn_api *api, LiteRtLmEngine *engine)
{
    if (engine != NULL) {
        api->engine_delete(engine);
    }
}

int *gn_engine_tokenize(const gn_api *api, LiteRtLmEngine *engine, const char *text, size_t *count,
                        gn_error *error)
{
    begin(api, error);
    *count = 0;
    LiteRtLmTokenizeResult *result = api->engine_tokenize(engine, text);
    if (result == NULL) {
        fail(api, error, "The engine could not tokenize the text.");
        return NULL;
    }
    size_t tokens = api->tokenize_result_get_num_tokens(result);
    int *ids = copy_bytes(api->tokenize_result_get_tokens(result), tokens * sizeof *ids, error);
    if (ids != NULL) {
        *count = tokens;
    }
    api->tokenize_result_delete(result);
    return ids;
}

char *gn_engine_detokenize(const gn_api *api, LiteRtLmEngine *engine, const int *ids, size_t count,
                           gn_error *error)
{
    begin(api, error);
    LiteRtLmDetokenizeResult *result = api->engine_detokenize(engine, ids, count);
    if (result == NULL) {
        fail(api, error, "The engine could not turn the token ids into text.");
        return NULL;
    }
    char *text = copy_string(api, api->detokenize_result_get_string(result), error,
                             "The engine gave no text for the token ids.");
    api->detokenize_result_delete(result);
    return text;
}

static void fill_model_info(const gn_api *api, const LiteRtLmLoadedFile *file, gn_model_info *info)
{
    uint32_t context = api->loaded_file_max_context_tokens(file);
    info->max_context_tokens = context > INT_MAX ? INT_MAX : (int)context;
    info->is_dynamic_context = api->loaded_file_is_dynamic_context(file);
    info->supports_thinking = api->loaded_file_supports_thinking(file);
    info->supports_function_calling = api->loaded_file_supports_function_calling(file);
    info->supports_vision = api->loaded_file_supports_input_modality(file, kLiteRtLmModalityVision);
    info->supports_audio = api->loaded_file_supports_input_modality(file, kLiteRtLmModalityAudio);
    info->sampler_type = api->loaded_file_sampler_type(file);
    info->sampler_top_k = api->loaded_file_sampler_top_k(file);
    info->sampler_top_p = api->loaded_file_sampler_top_p(file);
    info->sampler_temperature = api->loaded_file_sampler_temperature(file);
    const char *version = api->loaded_file_min_runtime_version(file);
    copy_text(info->min_runtime_version, sizeof info->min_runtime_version, version != NULL ? version : "");
}

int gn_model_info_read(const gn_api *api, const char *model_path, gn_model_info *info, gn_error *error)
{
    begin(api, error);
    memset(info, 0, sizeof *info);
    LiteRtLmLoadedFile *file = api->loaded_file_create(model_path);
    if (file == NULL) {
        fail(api, error, "The model file could not be read.");
        return -1;
    }
    fill_model_info(api, file, info);
    api->loaded_file_delete(file);
    return 0;
}

static int set_sampler(const gn_api *api, LiteRtLmSessionConfig *config,
                       const gn_conversation_options *options, gn_error *error)
{
    if (!options->has_sampler) {
        return 0;
    }
    LiteRtLmSamplerParams *params = api->sampler_params_create(options->sampler_type);
    if (params == NULL) {
        fail(api, error, "The engine refused the sampler type.");
        return -1;
    }
    api->sampler_params_set_top_k(params, options->top_k);
    api->sampler_params_set_top_p(params, options->top_p);
    api->sampler_params_set_temperature(params, options->temperature);
    api->sampler_params_set_seed(params, options->seed);
    api->session_config_set_sampler_params(config, params);
    api->sampler_params_delete(params);
    return 0;
}

static int set_session(const gn_api *api, LiteRtLmSessionConfig *config,
                       const gn_conversation_options *options, gn_error *error)
{
    if (options->max_output_tokens > 0) {
        api->session_config_set_max_output_tokens(config, options->max_output_tokens);
    }
    if (options->lora_path != NULL && api->session_config_set_lora_path(config, options->lora_path) != 0) {
        fail(api, error, "The engine refused the LoRA file.");
        return -1;
    }
    return set_sampler(api, config, options, error);
}

static int add_session(const gn_api *api, LiteRtLmConversationConfig *config,
                       const gn_conversation_options *options, gn_error *error)
{
    LiteRtLmSessionConfig *session = api->session_config_create();
    if (session == NULL) {
        fail(api, error, "The engine gave no session configuration.");
        return -1;
    }
    int status = set_session(api, session, options, error);
    if (status == 0) {
        api->conversation_config_set_session_config(config, session);
    }
    api->session_config_delete(session);
    return status;
}

static int add_thinking(const gn_api *api, LiteRtLmConversationConfig *config,
                        const gn_conversation_options *options, gn_error *error)
{
    if (options->enable_thinking < 0) {
        return 0;
    }
    LiteRtLmThinkingConfig *thinking = api->thinking_config_create();
    if (thinking == NULL) {
        fail(api, error, "The engine gave no thinking configuration.");
        return -1;
    }
    api->thinking_config_set_enable_thinking(thinking, options->enable_thinking != 0);
    if (options->enable_thinking) {
        api->thinking_config_set_thinking_token_budget(thinking, options->thinking_token_budget);
    }
    api->conversation_config_set_thinking_config(config, thinking);
    api->thinking_config_delete(thinking);
    return 0;
}

static void add_texts(const gn_api *api, LiteRtLmConversationConfig *config,
                      const gn_conversation_options *options)
{
    if (options->system_message_json != NULL) {
        api->conversation_config_set_system_message(config, options->system_message_json);
    }
    if (options->messages_json != NULL) {
        api->conversation_config_set_messages(config, options->messages_json);
    }
    if (options->tools_json != NULL) {
        api->conversation_config_set_tools(config, options->tools_json);
    }
    if (options->extra_context_json != NULL) {
        api->conversation_config_set_extra_context(config, options->extra_context_json);
    }
    if (options->prompt_template != NULL) {
        api->conversation_config_set_prompt_template(config, options->prompt_template);
    }
}

static void add_switches(const gn_api *api, LiteRtLmConversationConfig *config,
                         const gn_conversation_options *options)
{
    if (options->constraint_provider >= 0) {
        int provider = options->constraint_provider;
        api->conversation_config_set_enable_constrained_decoding(
            config, provider != kLiteRtLmConstraintProviderTypeNone);
        api->conversation_config_set_constraint_provider(config, &provider);
    }
    if (options->filter_channel_content >= 0) {
        api->conversation_config_set_filter_channel_content_from_kv_cache(
            config, options->filter_channel_content != 0);
    }
    if (options->stream_tool_calls >= 0) {
        api->conversation_config_set_stream_tool_calls(config, options->stream_tool_calls != 0);
    }
}

static LiteRtLmConversationConfig *make_conversation_config(const gn_api *api,
                                                            const gn_conversation_options *options,
                                                            gn_error *error)
{
    LiteRtLmConversationConfig *config = api->conversation_config_create();
    if (config == NULL) {
        fail(api, error, "The engine gave no conversation configuration.");
        return NULL;
    }
    add_texts(api, config, options);
    add_switches(api, config, options);
    if (add_session(api, config, options, error) != 0 || add_thinking(api, config, options, error) != 0) {
        api->conversation_config_delete(config);
        return NULL;
    }
    return config;
}

LiteRtLmConversation *gn_conversation_create(const gn_api *api, LiteRtLmEngine *engine,
                                             const gn_conversation_options *options, gn_error *error)
{
    begin(api, error);
    LiteRtLmConversationConfig *config = make_conversation_config(api, options, error);
    if (config == NULL) {
        return NULL;
    }
    LiteRtLmConversation *conversation = api->conversation_create(engine, config);
    if (conversation == NULL) {
        fail(api, error, "The conversation could not be created.");
    }
    api->conversation_config_delete(config);
    return conversation;
}

LiteRtLmConversation *gn_conversation_clone(const gn_api *api, LiteRtLmConversation *conversation,
                                            gn_error *error)
{
    begin(api, error);
    LiteRtLmConversation *clone = api->conversation_clone(conversation);
    if (clone == NULL) {
        fail(api, error, "The conversation could not be cloned.");
    }
    return clone;
}

void gn_conversation_delete(const gn_api *api, LiteRtLmConversation *conversation)
{
    if (conversation != NULL) {
        api->conversation_delete(conversation);
    }
}

void gn_conversation_cancel(const gn_api *api, LiteRtLmConversation *conversation)
{
    api->conversation_cancel_process(conversation);
}

int gn_conversation_token_count(const gn_api *api, LiteRtLmConversation *conversation, gn_error *error)
{
    begin(api, error);
    int tokens = api->conversation_get_token_count(conversation);
    if (tokens < 0) {
        fail(api, error, "The engine could not count the tokens in the KV cache.");
        return -1;
    }
    return tokens;
}

char *gn_conversation_render(const gn_api *api, LiteRtLmConversation *conversation,
                             const char *message_json, gn_error *error)
{
    begin(api, error);
    /* The string belongs to the conversation and dies at its next render: copied at once. */
    return copy_string(api, api->conversation_render_message_to_string(conversation, message_json), error,
                       "The engine could not render the message.");
}

/* The tokens of a text, or -1 with error filled. */
static int count_tokens(const gn_api *api, LiteRtLmEngine *engine, const char *text, gn_error *error)
{
    LiteRtLmTokenizeResult *result = api->engine_tokenize(engine, text);
    if (result == NULL) {
        fail(api, error, "The engine could not tokenize the text.");
        return -1;
    }
    int tokens = (int)api->tokenize_result_get_num_tokens(result);
    api->tokenize_result_delete(result);
    return tokens;
}

int gn_conversation_measure(const gn_api *api, LiteRtLmEngine *engine, LiteRtLmConversation *conversation,
                            const char *message_json, char *room, size_t room_size, gn_measure *measure,
                            gn_error *error)
{
    memset(measure, 0, sizeof *measure);
    measure->context_tokens = gn_conversation_token_count(api, conversation, error);
    if (measure->context_tokens < 0) {
        return -1;
    }
    const char *rendered = api->conversation_render_message_to_string(conversation, message_json);
    if (rendered == NULL) {
        fail(api, error, "The engine could not render the message.");
        return -1;
    }
    measure->rendered_size = strlen(rendered) + 1;
    if (measure->rendered_size > room_size) {
        return 0;
    }
    memcpy(room, rendered, measure->rendered_size);
    measure->message_tokens = count_tokens(api, engine, room, error);
    return measure->message_tokens < 0 ? -1 : 0;
}

/* NULL in *args when there is nothing to say. Returns -1 with error filled. */
static int make_send_args(const gn_api *api, const gn_send_options *options,
                          LiteRtLmConversationOptionalArgs **args, gn_error *error)
{
    *args = NULL;
    if (options == NULL || (options->max_output_tokens <= 0 && options->constraint_type == 0)) {
        return 0;
    }
    *args = api->conversation_optional_args_create();
    if (*args == NULL) {
        fail(api, error, "The engine gave no arguments for the message.");
        return -1;
    }
    if (options->max_output_tokens > 0) {
        api->conversation_optional_args_set_max_output_tokens(*args, options->max_output_tokens);
    }
    if (options->constraint_type != 0) {
        api->conversation_optional_args_set_constraint(*args, options->constraint_type, options->constraint);
    }
    return 0;
}

static void free_send_args(const gn_api *api, LiteRtLmConversationOptionalArgs *args)
{
    if (args != NULL) {
        api->conversation_optional_args_delete(args);
    }
}

static const char *send_context(const gn_send_options *options)
{
    return options != NULL ? options->extra_context_json : NULL;
}

char *gn_conversation_send(const gn_api *api, LiteRtLmConversation *conversation, const char *message_json,
                           const gn_send_options *options, gn_error *error)
{
    begin(api, error);
    LiteRtLmConversationOptionalArgs *args;
    if (make_send_args(api, options, &args, error) != 0) {
        return NULL;
    }
    LiteRtLmJsonResponse *response =
        api->conversation_send_message(conversation, message_json, send_context(options), args);
    char *reply = NULL;
    if (response == NULL) {
        fail(api, error, "The engine gave no reply.");
    } else {
        reply = copy_string(api, api->json_response_get_string(response), error,
                            "The engine gave an empty reply.");
        api->json_response_delete(response);
    }
    free_send_args(api, args);
    return reply;
}

/* ---- streams ---- */

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
        copy_text(stream->error, sizeof stream->error, error);
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
    begin(api, error);
    LiteRtLmConversationOptionalArgs *args;
    if (make_send_args(api, options, &args, error) != 0) {
        return NULL;
    }
    gn_stream *stream = new_stream(api);
    if (stream == NULL) {
        out_of_memory(error);
        free_send_args(api, args);
        return NULL;
    }
    stream->stats.sent_s = now();
    const char *context = send_context(options);
    int status = api->conversation_send_message_stream(conversation, message_json, context, args, on_chunk,
                                                       (void *)stream->id);
    if (status != 0) {
        fail(api, error, "The engine refused the message.");
        discard_refused(stream);
        stream = NULL;
    }
    free_send_args(api, args);
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
