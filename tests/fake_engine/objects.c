/* Settings, configurations, results and model files: things with setters and getters, and no behaviour. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

void *fe_new(size_t size, fe_kind kind)
{
    int *object = fe_allocate(size);
    *object = (int)kind;
    pthread_mutex_lock(&fe_mutex);
    fe_count("live_objects", 1);
    pthread_mutex_unlock(&fe_mutex);
    return object;
}

void fe_check(const void *object, fe_kind kind, const char *function)
{
    if (object == NULL) {
        fe_misuse("%s was given NULL", function);
    }
    if (*(const int *)object != (int)kind) {
        fe_misuse("%s was given a deleted object or one of another kind", function);
    }
}

void fe_delete(void *object, fe_kind kind, const char *function)
{
    fe_check(object, kind, function);
    *(int *)object = FE_DELETED;
    free(object);
    pthread_mutex_lock(&fe_mutex);
    fe_count("live_objects", -1);
    pthread_mutex_unlock(&fe_mutex);
}

static void replace(char **text, const char *value)
{
    char *copy = fe_copy(value);
    free(*text);
    *text = copy;
}

/* ---- engine settings ---- */

/* Whether `name` is one of the comma-separated `names`. */
static bool is_listed(const char *name, const char *names)
{
    size_t size = strlen(name);
    for (const char *at = names; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

LiteRtLmEngineSettings *litert_lm_engine_settings_create(const char *model_path, const char *backend,
                                                         const char *vision_backend,
                                                         const char *audio_backend)
{
    FE_ENTER();
    fe_read_environment();
    if (FE_FAILS()) {
        return NULL;
    }
    if (!is_listed(backend, "cpu,gpu,npu")) {
        fe_set_error(3, "INVALID_ARGUMENT: Unsupported backend. Supported backends are: [CPU, GPU, NPU]");
        return NULL;
    }
    LiteRtLmEngineSettings *settings = fe_new(sizeof *settings, FE_SETTINGS);
    settings->model_path = fe_copy(model_path);
    settings->backend = fe_copy(backend);
    settings->vision_backend = fe_copy(vision_backend);
    settings->audio_backend = fe_copy(audio_backend);
    settings->max_num_tokens = settings->num_threads = settings->lora_rank = FE_UNSET;
    settings->supported_lora_rank = FE_UNSET;
    return settings;
}

void litert_lm_engine_settings_delete(LiteRtLmEngineSettings *settings)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    free(settings->model_path);
    free(settings->backend);
    free(settings->vision_backend);
    free(settings->audio_backend);
    free(settings->cache_dir);
    FE_DELETE(settings, FE_SETTINGS);
}

void litert_lm_engine_settings_set_max_num_tokens(LiteRtLmEngineSettings *settings, int max_num_tokens)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    settings->max_num_tokens = max_num_tokens;
}

void litert_lm_engine_settings_set_num_threads(LiteRtLmEngineSettings *settings, int num_threads)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    settings->num_threads = num_threads;
}

void litert_lm_engine_settings_set_cache_dir(LiteRtLmEngineSettings *settings, const char *cache_dir)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    replace(&settings->cache_dir, cache_dir);
}

void litert_lm_engine_settings_set_lora_rank(LiteRtLmEngineSettings *settings, int rank)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    settings->lora_rank = rank;
}

int litert_lm_engine_settings_set_supported_lora_ranks(LiteRtLmEngineSettings *settings, const int *ranks,
                                                       size_t num_ranks)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    if (FE_FAILS()) {
        return -1;
    }
    settings->supported_lora_rank = num_ranks > 0 ? ranks[0] : FE_UNSET;
    return 0;
}

/* ---- sampler, session, thinking ---- */

LiteRtLmSamplerParams *litert_lm_sampler_params_create(int type)
{
    FE_ENTER();
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmSamplerParams *params = fe_new(sizeof *params, FE_SAMPLER);
    params->type = type;
    return params;
}

void litert_lm_sampler_params_delete(LiteRtLmSamplerParams *params)
{
    FE_ENTER();
    FE_DELETE(params, FE_SAMPLER);
}

void litert_lm_sampler_params_set_top_k(LiteRtLmSamplerParams *params, int top_k)
{
    FE_ENTER();
    FE_CHECK(params, FE_SAMPLER);
    params->top_k = top_k;
}

void litert_lm_sampler_params_set_top_p(LiteRtLmSamplerParams *params, float top_p)
{
    FE_ENTER();
    FE_CHECK(params, FE_SAMPLER);
    params->top_p = top_p;
}

void litert_lm_sampler_params_set_temperature(LiteRtLmSamplerParams *params, float temperature)
{
    FE_ENTER();
    FE_CHECK(params, FE_SAMPLER);
    params->temperature = temperature;
}

void litert_lm_sampler_params_set_seed(LiteRtLmSamplerParams *params, int seed)
{
    FE_ENTER();
    FE_CHECK(params, FE_SAMPLER);
    params->seed = seed;
}

LiteRtLmSessionConfig *litert_lm_session_config_create(void)
{
    FE_ENTER();
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmSessionConfig *config = fe_new(sizeof *config, FE_SESSION);
    config->max_output_tokens = FE_UNSET;
    return config;
}

void litert_lm_session_config_delete(LiteRtLmSessionConfig *config)
{
    FE_ENTER();
    FE_CHECK(config, FE_SESSION);
    free(config->lora_path);
    FE_DELETE(config, FE_SESSION);
}

void litert_lm_session_config_set_max_output_tokens(LiteRtLmSessionConfig *config, int max_output_tokens)
{
    FE_ENTER();
    FE_CHECK(config, FE_SESSION);
    config->max_output_tokens = max_output_tokens;
}

void litert_lm_session_config_set_sampler_params(LiteRtLmSessionConfig *config,
                                                 const LiteRtLmSamplerParams *params)
{
    FE_ENTER();
    FE_CHECK(config, FE_SESSION);
    FE_CHECK(params, FE_SAMPLER);
    config->sampler = *params;
    config->has_sampler = true;
}

int litert_lm_session_config_set_lora_path(LiteRtLmSessionConfig *config, const char *path)
{
    FE_ENTER();
    FE_CHECK(config, FE_SESSION);
    if (FE_FAILS()) {
        return -1;
    }
    replace(&config->lora_path, path);
    return 0;
}

LiteRtLmThinkingConfig *litert_lm_thinking_config_create(void)
{
    FE_ENTER();
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmThinkingConfig *config = fe_new(sizeof *config, FE_THINKING);
    config->budget = FE_UNSET;
    return config;
}

void litert_lm_thinking_config_delete(LiteRtLmThinkingConfig *config)
{
    FE_ENTER();
    FE_DELETE(config, FE_THINKING);
}

void litert_lm_thinking_config_set_enable_thinking(LiteRtLmThinkingConfig *config, bool enable)
{
    FE_ENTER();
    FE_CHECK(config, FE_THINKING);
    config->enable = enable;
}

void litert_lm_thinking_config_set_thinking_token_budget(LiteRtLmThinkingConfig *config, int budget)
{
    FE_ENTER();
    FE_CHECK(config, FE_THINKING);
    config->budget = budget;
}

/* ---- conversation configuration ---- */

LiteRtLmConversationConfig *litert_lm_conversation_config_create(void)
{
    FE_ENTER();
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmConversationConfig *config = fe_new(sizeof *config, FE_CONFIG);
    config->constrained_decoding = config->constraint_provider = FE_UNSET;
    config->filter_channel_content = config->stream_tool_calls = FE_UNSET;
    config->enable_thinking = config->thinking_budget = FE_UNSET;
    return config;
}

void litert_lm_conversation_config_delete(LiteRtLmConversationConfig *config)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    free(config->session.lora_path);
    free(config->system_message);
    free(config->messages);
    free(config->tools);
    free(config->extra_context);
    free(config->prompt_template);
    FE_DELETE(config, FE_CONFIG);
}

void litert_lm_conversation_config_set_session_config(LiteRtLmConversationConfig *config,
                                                      const LiteRtLmSessionConfig *session_config)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    FE_CHECK(session_config, FE_SESSION);
    free(config->session.lora_path);
    config->session = *session_config;
    config->session.lora_path = fe_copy(session_config->lora_path);
    config->has_session = true;
}

void litert_lm_conversation_config_set_system_message(LiteRtLmConversationConfig *config, const char *json)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    replace(&config->system_message, json);
}

void litert_lm_conversation_config_set_messages(LiteRtLmConversationConfig *config, const char *json)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    replace(&config->messages, json);
}

void litert_lm_conversation_config_set_tools(LiteRtLmConversationConfig *config, const char *json)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    replace(&config->tools, json);
}

void litert_lm_conversation_config_set_extra_context(LiteRtLmConversationConfig *config, const char *json)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    replace(&config->extra_context, json);
}

void litert_lm_conversation_config_set_prompt_template(LiteRtLmConversationConfig *config, const char *jinja)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    replace(&config->prompt_template, jinja);
}

void litert_lm_conversation_config_set_enable_constrained_decoding(LiteRtLmConversationConfig *config,
                                                                   bool enable)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    config->constrained_decoding = enable;
}

void litert_lm_conversation_config_set_constraint_provider(LiteRtLmConversationConfig *config,
                                                           const int *provider)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    config->constraint_provider = *provider;
}

void litert_lm_conversation_config_set_filter_channel_content_from_kv_cache(
    LiteRtLmConversationConfig *config, bool filter)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    config->filter_channel_content = filter;
}

void litert_lm_conversation_config_set_stream_tool_calls(LiteRtLmConversationConfig *config, bool stream)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    config->stream_tool_calls = stream;
}

void litert_lm_conversation_config_set_thinking_config(LiteRtLmConversationConfig *config,
                                                       const LiteRtLmThinkingConfig *thinking)
{
    FE_ENTER();
    FE_CHECK(config, FE_CONFIG);
    FE_CHECK(thinking, FE_THINKING);
    config->enable_thinking = thinking->enable;
    config->thinking_budget = thinking->budget;
}

/* ---- arguments of one send ---- */

LiteRtLmConversationOptionalArgs *litert_lm_conversation_optional_args_create(void)
{
    FE_ENTER();
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmConversationOptionalArgs *args = fe_new(sizeof *args, FE_ARGS);
    args->max_output_tokens = FE_UNSET;
    return args;
}

void litert_lm_conversation_optional_args_delete(LiteRtLmConversationOptionalArgs *args)
{
    FE_ENTER();
    FE_CHECK(args, FE_ARGS);
    free(args->constraint);
    FE_DELETE(args, FE_ARGS);
}

void litert_lm_conversation_optional_args_set_max_output_tokens(LiteRtLmConversationOptionalArgs *args,
                                                                int max_output_tokens)
{
    FE_ENTER();
    FE_CHECK(args, FE_ARGS);
    args->max_output_tokens = max_output_tokens;
}

void litert_lm_conversation_optional_args_set_constraint(LiteRtLmConversationOptionalArgs *args, int type,
                                                         const char *constraint)
{
    FE_ENTER();
    FE_CHECK(args, FE_ARGS);
    args->constraint_type = type;
    replace(&args->constraint, constraint);
}

/* ---- results ---- */

struct LiteRtLmJsonResponse {
    int kind;
    char *text;
};

LiteRtLmJsonResponse *fe_new_response(const char *text)
{
    LiteRtLmJsonResponse *response = fe_new(sizeof *response, FE_RESPONSE);
    response->text = fe_copy(text);
    return response;
}

void litert_lm_json_response_delete(LiteRtLmJsonResponse *response)
{
    FE_ENTER();
    FE_CHECK(response, FE_RESPONSE);
    free(response->text);
    FE_DELETE(response, FE_RESPONSE);
}

const char *litert_lm_json_response_get_string(const LiteRtLmJsonResponse *response)
{
    FE_ENTER();
    FE_CHECK(response, FE_RESPONSE);
    return FE_FAILS() ? NULL : response->text;
}

struct LiteRtLmTokenizeResult {
    int kind;
    int *tokens;
    size_t count;
};

LiteRtLmTokenizeResult *litert_lm_engine_tokenize(LiteRtLmEngine *engine, const char *text)
{
    FE_ENTER();
    FE_CHECK_ENGINE(engine);
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmTokenizeResult *result = fe_new(sizeof *result, FE_TOKENS);
    fe_pieces pieces = fe_split(text);
    result->count = pieces.count;
    result->tokens = fe_allocate(pieces.count * sizeof *result->tokens);
    pthread_mutex_lock(&fe_mutex);
    for (size_t i = 0; i < pieces.count; i++) {
        result->tokens[i] = fe_piece_id(pieces.items[i]);
    }
    pthread_mutex_unlock(&fe_mutex);
    fe_free_pieces(&pieces);
    return result;
}

void litert_lm_tokenize_result_delete(LiteRtLmTokenizeResult *result)
{
    FE_ENTER();
    FE_CHECK(result, FE_TOKENS);
    free(result->tokens);
    FE_DELETE(result, FE_TOKENS);
}

const int *litert_lm_tokenize_result_get_tokens(const LiteRtLmTokenizeResult *result)
{
    FE_ENTER();
    FE_CHECK(result, FE_TOKENS);
    return result->count > 0 ? result->tokens : NULL;
}

size_t litert_lm_tokenize_result_get_num_tokens(const LiteRtLmTokenizeResult *result)
{
    FE_ENTER();
    FE_CHECK(result, FE_TOKENS);
    return result->count;
}

struct LiteRtLmDetokenizeResult {
    int kind;
    fe_text text;
};

static bool append_pieces(fe_text *text, const int *tokens, size_t count)
{
    char message[128];
    for (size_t i = 0; i < count; i++) {
        const char *piece = fe_piece_text(tokens[i]);
        if (piece == NULL) {
            snprintf(message, sizeof message, "NOT_FOUND: Token id %d is out of range. Vocab size is %d",
                     tokens[i], fe_vocabulary_size());
            fe_set_error(5, message);
            return false;
        }
        fe_append(text, piece, strlen(piece));
    }
    return true;
}

LiteRtLmDetokenizeResult *litert_lm_engine_detokenize(LiteRtLmEngine *engine, const int *tokens,
                                                      size_t num_tokens)
{
    FE_ENTER();
    FE_CHECK_ENGINE(engine);
    if (FE_FAILS()) {
        return NULL;
    }
    fe_text text = {0};
    fe_append(&text, "", 0);
    pthread_mutex_lock(&fe_mutex);
    bool known = append_pieces(&text, tokens, num_tokens);
    pthread_mutex_unlock(&fe_mutex);
    if (!known) {
        fe_clear(&text);
        return NULL;
    }
    LiteRtLmDetokenizeResult *result = fe_new(sizeof *result, FE_DETOKENIZED);
    result->text = text;
    return result;
}

void litert_lm_detokenize_result_delete(LiteRtLmDetokenizeResult *result)
{
    FE_ENTER();
    FE_CHECK(result, FE_DETOKENIZED);
    fe_clear(&result->text);
    FE_DELETE(result, FE_DETOKENIZED);
}

const char *litert_lm_detokenize_result_get_string(const LiteRtLmDetokenizeResult *result)
{
    FE_ENTER();
    FE_CHECK(result, FE_DETOKENIZED);
    return FE_FAILS() ? NULL : result->text.data;
}

/* ---- a model file's metadata: what the test set as info_<field> ---- */

struct LiteRtLmLoadedFile {
    int kind;
    char *version;
};

LiteRtLmLoadedFile *litert_lm_loaded_file_create(const char *model_path)
{
    FE_ENTER();
    fe_read_environment();
    if (FE_FAILS()) {
        return NULL;
    }
    FILE *stream = fopen(model_path, "rb");
    if (stream == NULL) {
        fe_text message = {0};
        fe_print(&message, "INTERNAL: Could not open file: %s", model_path);
        fe_set_error(13, message.data);
        fe_clear(&message);
        return NULL;
    }
    fclose(stream);
    LiteRtLmLoadedFile *file = fe_new(sizeof *file, FE_FILE);
    pthread_mutex_lock(&fe_mutex);
    file->version = fe_copy(fe_setting("info_version"));
    pthread_mutex_unlock(&fe_mutex);
    return file;
}

void litert_lm_loaded_file_delete(LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    free(file->version);
    FE_DELETE(file, FE_FILE);
}

static double info(const char *field, double otherwise)
{
    char key[64];
    snprintf(key, sizeof key, "info_%s", field);
    pthread_mutex_lock(&fe_mutex);
    const char *value = fe_setting(key);
    double number = value != NULL ? strtod(value, NULL) : otherwise;
    pthread_mutex_unlock(&fe_mutex);
    return number;
}

uint32_t litert_lm_loaded_file_max_context_tokens(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return (uint32_t)info("max_context_tokens", 1024);
}

bool litert_lm_loaded_file_is_dynamic_context(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return info("is_dynamic_context", 0) != 0;
}

bool litert_lm_loaded_file_supports_thinking(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return info("supports_thinking", 0) != 0;
}

bool litert_lm_loaded_file_supports_function_calling(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return info("supports_function_calling", 0) != 0;
}

bool litert_lm_loaded_file_supports_input_modality(const LiteRtLmLoadedFile *file, int modality)
{
    static const char *const fields[] = {"supports_text", "supports_vision", "supports_audio",
                                         "supports_video"};
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return info(fields[modality & 3], modality == 0) != 0;
}

int litert_lm_loaded_file_sampler_type(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return (int)info("sampler_type", 0);
}

int32_t litert_lm_loaded_file_sampler_top_k(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return (int32_t)info("sampler_top_k", 0);
}

float litert_lm_loaded_file_sampler_top_p(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return (float)info("sampler_top_p", 0);
}

float litert_lm_loaded_file_sampler_temperature(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return (float)info("sampler_temperature", 0);
}

const char *litert_lm_loaded_file_min_runtime_version(const LiteRtLmLoadedFile *file)
{
    FE_ENTER();
    FE_CHECK(file, FE_FILE);
    return file->version;
}
