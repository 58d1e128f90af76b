/* The symbol table and plain calls. See shim.h for the contract; streams.c has the generations. */
#define _GNU_SOURCE /* RTLD_NODELETE */

#include "internal.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

static bool is_utf8_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

void gn_copy_text(char *to, size_t room, const char *from)
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
        gn_copy_text(error->message, sizeof error->message, message);
    }
}

void gn_out_of_memory(gn_error *error)
{
    set_error(error, GN_ERROR_MEMORY, "Out of memory.");
}

/* ---- the symbol table ---- */

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
        gn_out_of_memory(error);
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

void gn_begin(const gn_api *api, gn_error *error)
{
    api->clear_last_error();
    set_error(error, 0, "");
}

void gn_fail(const gn_api *api, gn_error *error, const char *otherwise)
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
        gn_out_of_memory(error);
    } else if (size > 0) {
        memcpy(copy, from, size);
    }
    return copy;
}

static char *copy_string(const gn_api *api, const char *from, gn_error *error, const char *otherwise)
{
    if (from == NULL) {
        gn_fail(api, error, otherwise);
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
        gn_fail(api, error, "The engine refused the LoRA rank.");
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
        gn_fail(api, error, "The engine refused the model path or the backend.");
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
    gn_begin(api, error);
    LiteRtLmEngineSettings *settings = make_engine_settings(api, options, error);
    if (settings == NULL) {
        return NULL;
    }
    LiteRtLmEngine *engine = api->engine_create(settings);
    if (engine == NULL) {
        gn_fail(api, error, "The engine could not be created.");
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
    gn_begin(api, error);
    *count = 0;
    LiteRtLmTokenizeResult *result = api->engine_tokenize(engine, text);
    if (result == NULL) {
        gn_fail(api, error, "The engine could not tokenize the text.");
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
    gn_begin(api, error);
    LiteRtLmDetokenizeResult *result = api->engine_detokenize(engine, ids, count);
    if (result == NULL) {
        gn_fail(api, error, "The engine could not turn the token ids into text.");
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
    gn_copy_text(info->min_runtime_version, sizeof info->min_runtime_version, version != NULL ? version : "");
}

int gn_model_info_read(const gn_api *api, const char *model_path, gn_model_info *info, gn_error *error)
{
    gn_begin(api, error);
    memset(info, 0, sizeof *info);
    LiteRtLmLoadedFile *file = api->loaded_file_create(model_path);
    if (file == NULL) {
        gn_fail(api, error, "The model file could not be read.");
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
        gn_fail(api, error, "The engine refused the sampler type.");
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
        gn_fail(api, error, "The engine refused the LoRA file.");
        return -1;
    }
    return set_sampler(api, config, options, error);
}

static int add_session(const gn_api *api, LiteRtLmConversationConfig *config,
                       const gn_conversation_options *options, gn_error *error)
{
    LiteRtLmSessionConfig *session = api->session_config_create();
    if (session == NULL) {
        gn_fail(api, error, "The engine gave no session configuration.");
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
        gn_fail(api, error, "The engine gave no thinking configuration.");
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
        gn_fail(api, error, "The engine gave no conversation configuration.");
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
    gn_begin(api, error);
    LiteRtLmConversationConfig *config = make_conversation_config(api, options, error);
    if (config == NULL) {
        return NULL;
    }
    LiteRtLmConversation *conversation = api->conversation_create(engine, config);
    if (conversation == NULL) {
        gn_fail(api, error, "The conversation could not be created.");
    }
    api->conversation_config_delete(config);
    return conversation;
}

LiteRtLmConversation *gn_conversation_clone(const gn_api *api, LiteRtLmConversation *conversation,
                                            gn_error *error)
{
    gn_begin(api, error);
    LiteRtLmConversation *clone = api->conversation_clone(conversation);
    if (clone == NULL) {
        gn_fail(api, error, "The conversation could not be cloned.");
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
    gn_begin(api, error);
    int tokens = api->conversation_get_token_count(conversation);
    if (tokens < 0) {
        gn_fail(api, error, "The engine could not count the tokens in the KV cache.");
        return -1;
    }
    return tokens;
}

char *gn_conversation_render(const gn_api *api, LiteRtLmConversation *conversation,
                             const char *message_json, gn_error *error)
{
    gn_begin(api, error);
    /* The string belongs to the conversation and dies at its next render: copied at once. */
    return copy_string(api, api->conversation_render_message_to_string(conversation, message_json), error,
                       "The engine could not render the message.");
}

/* The tokens of a text, or -1 with error filled. */
static int count_tokens(const gn_api *api, LiteRtLmEngine *engine, const char *text, gn_error *error)
{
    LiteRtLmTokenizeResult *result = api->engine_tokenize(engine, text);
    if (result == NULL) {
        gn_fail(api, error, "The engine could not tokenize the text.");
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
        gn_fail(api, error, "The engine could not render the message.");
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

int gn_make_send_args(const gn_api *api, const gn_send_options *options,
                      LiteRtLmConversationOptionalArgs **args, gn_error *error)
{
    *args = NULL;
    if (options == NULL || (options->max_output_tokens <= 0 && options->constraint_type == 0)) {
        return 0;
    }
    *args = api->conversation_optional_args_create();
    if (*args == NULL) {
        gn_fail(api, error, "The engine gave no arguments for the message.");
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

void gn_free_send_args(const gn_api *api, LiteRtLmConversationOptionalArgs *args)
{
    if (args != NULL) {
        api->conversation_optional_args_delete(args);
    }
}

const char *gn_send_context(const gn_send_options *options)
{
    return options != NULL ? options->extra_context_json : NULL;
}

char *gn_conversation_send(const gn_api *api, LiteRtLmConversation *conversation, const char *message_json,
                           const gn_send_options *options, gn_error *error)
{
    gn_begin(api, error);
    LiteRtLmConversationOptionalArgs *args;
    if (gn_make_send_args(api, options, &args, error) != 0) {
        return NULL;
    }
    LiteRtLmJsonResponse *response =
        api->conversation_send_message(conversation, message_json, gn_send_context(options), args);
    char *reply = NULL;
    if (response == NULL) {
        gn_fail(api, error, "The engine gave no reply.");
    } else {
        reply = copy_string(api, api->json_response_get_string(response), error,
                            "The engine gave an empty reply.");
        api->json_response_delete(response);
    }
    gn_free_send_args(api, args);
    return reply;
}
