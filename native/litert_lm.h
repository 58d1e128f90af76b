/* The part of LiteRT-LM's C API that shim.c uses, as version 0.18 exports it.
 *
 * The package litert-lm-api carries the library but no header, so these declarations are our own.
 * Nothing links against them: shim.c takes their types and finds the functions with dlsym().
 *
 * Ownership: what a *_create() or a result-returning call gives is deleted with its *_delete().
 * Configurations are copied by the call that takes them. Strings belong to the object that gives them.
 */
#ifndef GEMMA_NOTEBOOK_LITERT_LM_H_
#define GEMMA_NOTEBOOK_LITERT_LM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LiteRtLmEngineSettings LiteRtLmEngineSettings;
typedef struct LiteRtLmEngine LiteRtLmEngine;
typedef struct LiteRtLmSamplerParams LiteRtLmSamplerParams;
typedef struct LiteRtLmSessionConfig LiteRtLmSessionConfig;
typedef struct LiteRtLmThinkingConfig LiteRtLmThinkingConfig;
typedef struct LiteRtLmConversationConfig LiteRtLmConversationConfig;
typedef struct LiteRtLmConversationOptionalArgs LiteRtLmConversationOptionalArgs;
typedef struct LiteRtLmConversation LiteRtLmConversation;
typedef struct LiteRtLmJsonResponse LiteRtLmJsonResponse;
typedef struct LiteRtLmStreamChunk LiteRtLmStreamChunk;
typedef struct LiteRtLmTokenizeResult LiteRtLmTokenizeResult;
typedef struct LiteRtLmDetokenizeResult LiteRtLmDetokenizeResult;
typedef struct LiteRtLmLoadedFile LiteRtLmLoadedFile;

typedef enum {
    kLiteRtLmSamplerTypeUnspecified = 0,
    kLiteRtLmSamplerTypeTopK = 1,
    kLiteRtLmSamplerTypeTopP = 2,
    kLiteRtLmSamplerTypeGreedy = 3,
} LiteRtLmSamplerType;

typedef enum {
    kLiteRtLmModalityText = 0,
    kLiteRtLmModalityVision = 1,
    kLiteRtLmModalityAudio = 2,
    kLiteRtLmModalityVideo = 3,
} LiteRtLmModality;

typedef enum {
    kLiteRtLmConstraintTypeNone = 0,
    kLiteRtLmConstraintTypeRegex = 1,
    kLiteRtLmConstraintTypeJsonSchema = 2,
} LiteRtLmConstraintType;

typedef enum {
    kLiteRtLmConstraintProviderTypeNone = 0,
    kLiteRtLmConstraintProviderTypeLlGuidance = 1,
} LiteRtLmConstraintProviderType;

/* Chunk and strings are valid only during the call, which comes on a thread of the engine, or
 * synchronously inside litert_lm_conversation_send_message_stream(). */
typedef void (*LiteRtLmStreamCallback)(void *user_data, LiteRtLmStreamChunk *chunk);

/* Errors and logs. The last error is thread-local and is not cleared by success. */
void litert_lm_set_min_log_level(int level);
int litert_lm_get_last_error_code(void);
const char *litert_lm_get_last_error_message(void);
void litert_lm_clear_last_error(void);

/* Engine. */
LiteRtLmEngineSettings *litert_lm_engine_settings_create(const char *model_path, const char *backend,
                                                         const char *vision_backend,
                                                         const char *audio_backend);
void litert_lm_engine_settings_delete(LiteRtLmEngineSettings *settings);
void litert_lm_engine_settings_set_max_num_tokens(LiteRtLmEngineSettings *settings, int max_num_tokens);
void litert_lm_engine_settings_set_num_threads(LiteRtLmEngineSettings *settings, int num_threads);
void litert_lm_engine_settings_set_cache_dir(LiteRtLmEngineSettings *settings, const char *cache_dir);
void litert_lm_engine_settings_set_lora_rank(LiteRtLmEngineSettings *settings, int rank);
int litert_lm_engine_settings_set_supported_lora_ranks(LiteRtLmEngineSettings *settings, const int *ranks,
                                                       size_t num_ranks);
LiteRtLmEngine *litert_lm_engine_create(const LiteRtLmEngineSettings *settings);
void litert_lm_engine_delete(LiteRtLmEngine *engine);

/* Tokenizer. */
LiteRtLmTokenizeResult *litert_lm_engine_tokenize(LiteRtLmEngine *engine, const char *text);
void litert_lm_tokenize_result_delete(LiteRtLmTokenizeResult *result);
const int *litert_lm_tokenize_result_get_tokens(const LiteRtLmTokenizeResult *result);
size_t litert_lm_tokenize_result_get_num_tokens(const LiteRtLmTokenizeResult *result);
LiteRtLmDetokenizeResult *litert_lm_engine_detokenize(LiteRtLmEngine *engine, const int *tokens,
                                                      size_t num_tokens);
void litert_lm_detokenize_result_delete(LiteRtLmDetokenizeResult *result);
const char *litert_lm_detokenize_result_get_string(const LiteRtLmDetokenizeResult *result);

/* Sampling and session configuration. */
LiteRtLmSamplerParams *litert_lm_sampler_params_create(int type);
void litert_lm_sampler_params_delete(LiteRtLmSamplerParams *params);
void litert_lm_sampler_params_set_top_k(LiteRtLmSamplerParams *params, int top_k);
void litert_lm_sampler_params_set_top_p(LiteRtLmSamplerParams *params, float top_p);
void litert_lm_sampler_params_set_temperature(LiteRtLmSamplerParams *params, float temperature);
void litert_lm_sampler_params_set_seed(LiteRtLmSamplerParams *params, int seed);
LiteRtLmSessionConfig *litert_lm_session_config_create(void);
void litert_lm_session_config_delete(LiteRtLmSessionConfig *config);
void litert_lm_session_config_set_max_output_tokens(LiteRtLmSessionConfig *config, int max_output_tokens);
void litert_lm_session_config_set_sampler_params(LiteRtLmSessionConfig *config,
                                                 const LiteRtLmSamplerParams *params);
int litert_lm_session_config_set_lora_path(LiteRtLmSessionConfig *config, const char *path);

/* Thinking. */
LiteRtLmThinkingConfig *litert_lm_thinking_config_create(void);
void litert_lm_thinking_config_delete(LiteRtLmThinkingConfig *config);
void litert_lm_thinking_config_set_enable_thinking(LiteRtLmThinkingConfig *config, bool enable);
void litert_lm_thinking_config_set_thinking_token_budget(LiteRtLmThinkingConfig *config, int budget);

/* Conversation configuration. JSON that does not parse is logged and dropped, not refused. */
LiteRtLmConversationConfig *litert_lm_conversation_config_create(void);
void litert_lm_conversation_config_delete(LiteRtLmConversationConfig *config);
void litert_lm_conversation_config_set_session_config(LiteRtLmConversationConfig *config,
                                                      const LiteRtLmSessionConfig *session_config);
void litert_lm_conversation_config_set_system_message(LiteRtLmConversationConfig *config, const char *json);
void litert_lm_conversation_config_set_messages(LiteRtLmConversationConfig *config, const char *json);
void litert_lm_conversation_config_set_tools(LiteRtLmConversationConfig *config, const char *json);
void litert_lm_conversation_config_set_extra_context(LiteRtLmConversationConfig *config, const char *json);
void litert_lm_conversation_config_set_prompt_template(LiteRtLmConversationConfig *config, const char *jinja);
void litert_lm_conversation_config_set_enable_constrained_decoding(LiteRtLmConversationConfig *config,
                                                                   bool enable);
void litert_lm_conversation_config_set_constraint_provider(LiteRtLmConversationConfig *config,
                                                           const int *provider);
void litert_lm_conversation_config_set_filter_channel_content_from_kv_cache(
    LiteRtLmConversationConfig *config, bool filter);
void litert_lm_conversation_config_set_stream_tool_calls(LiteRtLmConversationConfig *config, bool stream);
void litert_lm_conversation_config_set_thinking_config(LiteRtLmConversationConfig *config,
                                                       const LiteRtLmThinkingConfig *thinking);

/* Arguments of one send. */
LiteRtLmConversationOptionalArgs *litert_lm_conversation_optional_args_create(void);
void litert_lm_conversation_optional_args_delete(LiteRtLmConversationOptionalArgs *args);
void litert_lm_conversation_optional_args_set_max_output_tokens(LiteRtLmConversationOptionalArgs *args,
                                                                int max_output_tokens);
void litert_lm_conversation_optional_args_set_constraint(LiteRtLmConversationOptionalArgs *args, int type,
                                                         const char *constraint);

/* Conversation. */
LiteRtLmConversation *litert_lm_conversation_create(LiteRtLmEngine *engine,
                                                    const LiteRtLmConversationConfig *config);
LiteRtLmConversation *litert_lm_conversation_clone(LiteRtLmConversation *conversation);
void litert_lm_conversation_delete(LiteRtLmConversation *conversation);
LiteRtLmJsonResponse *litert_lm_conversation_send_message(LiteRtLmConversation *conversation,
                                                          const char *message_json,
                                                          const char *extra_context_json,
                                                          const LiteRtLmConversationOptionalArgs *args);
/* 0 when accepted. The end is a chunk with is_final; its error is NULL or "CODE: message". */
int litert_lm_conversation_send_message_stream(LiteRtLmConversation *conversation, const char *message_json,
                                               const char *extra_context_json,
                                               const LiteRtLmConversationOptionalArgs *args,
                                               LiteRtLmStreamCallback callback, void *user_data);
void litert_lm_conversation_cancel_process(LiteRtLmConversation *conversation);
int litert_lm_conversation_get_token_count(LiteRtLmConversation *conversation);
const char *litert_lm_conversation_render_message_to_string(LiteRtLmConversation *conversation,
                                                            const char *message_json);
void litert_lm_json_response_delete(LiteRtLmJsonResponse *response);
const char *litert_lm_json_response_get_string(const LiteRtLmJsonResponse *response);
const char *litert_lm_stream_chunk_get_text(const LiteRtLmStreamChunk *chunk);
bool litert_lm_stream_chunk_is_final(const LiteRtLmStreamChunk *chunk);
const char *litert_lm_stream_chunk_get_error(const LiteRtLmStreamChunk *chunk);

/* A model file's metadata. */
LiteRtLmLoadedFile *litert_lm_loaded_file_create(const char *model_path);
void litert_lm_loaded_file_delete(LiteRtLmLoadedFile *file);
uint32_t litert_lm_loaded_file_max_context_tokens(const LiteRtLmLoadedFile *file);
bool litert_lm_loaded_file_is_dynamic_context(const LiteRtLmLoadedFile *file);
bool litert_lm_loaded_file_supports_thinking(const LiteRtLmLoadedFile *file);
bool litert_lm_loaded_file_supports_function_calling(const LiteRtLmLoadedFile *file);
bool litert_lm_loaded_file_supports_input_modality(const LiteRtLmLoadedFile *file, int modality);
int litert_lm_loaded_file_sampler_type(const LiteRtLmLoadedFile *file);
int32_t litert_lm_loaded_file_sampler_top_k(const LiteRtLmLoadedFile *file);
float litert_lm_loaded_file_sampler_top_p(const LiteRtLmLoadedFile *file);
float litert_lm_loaded_file_sampler_temperature(const LiteRtLmLoadedFile *file);
const char *litert_lm_loaded_file_min_runtime_version(const LiteRtLmLoadedFile *file);

#ifdef __cplusplus
}
#endif

#endif /* GEMMA_NOTEBOOK_LITERT_LM_H_ */
