/* What shim.c and streams.c share: the table of the engine's functions, errors, and the arguments of a send. */
#ifndef GEMMA_NOTEBOOK_INTERNAL_H_
#define GEMMA_NOTEBOOK_INTERNAL_H_

#include "shim.h"

#include "litert_lm.h"

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

/* Before a call that may fail: forget what an earlier one left on this thread. */
void gn_begin(const gn_api *api, gn_error *error);

/* After a call that failed: the engine's own words, or ours when it has none. */
void gn_fail(const gn_api *api, gn_error *error, const char *otherwise);

/* Copies what fits, and never cuts a UTF-8 character in two: Python decodes the result strictly. */
void gn_copy_text(char *to, size_t room, const char *from);

void gn_out_of_memory(gn_error *error);

/* NULL in *args when there is nothing to say. Returns -1 with error filled. */
int gn_make_send_args(const gn_api *api, const gn_send_options *options,
                      LiteRtLmConversationOptionalArgs **args, gn_error *error);

void gn_free_send_args(const gn_api *api, LiteRtLmConversationOptionalArgs *args);

const char *gn_send_context(const gn_send_options *options);

#endif /* GEMMA_NOTEBOOK_INTERNAL_H_ */
