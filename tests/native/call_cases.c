/* The plain calls: options go in, results and reasons come out, nothing is left behind. */
#include "harness.h"

#define RS "\x1E"

static void check_engine_options(const gn_engine_options *options, const char *expected)
{
    LiteRtLmEngine *engine = gn_engine_create(fake(), options, &error);
    CHECK(engine != NULL);
    const char *seen = fake_engine_get_options("engine", (int)fake_engine_get_count("engine_create"));
    seen = strstr(seen, "backend=");
    CHECK_TEXT(seen, expected);
    gn_engine_delete(fake(), engine);
}

CASE(engine_options_reach_the_engine)
{
    char model[1024];
    snprintf(model, sizeof model, "%s", path_to("model.litertlm"));
    fake_engine_set("backends", "cpu,gpu");
    gn_engine_options all = {.model_path = model,
                             .backend = "cpu",
                             .vision_backend = "gpu",
                             .audio_backend = "npu",
                             .cache_dir = "/cache",
                             .max_num_tokens = 256,
                             .num_threads = 3,
                             .lora_rank = 16};
    check_engine_options(&all, "backend=cpu" RS "vision_backend=gpu" RS "audio_backend=npu" RS
                               "cache_dir=/cache" RS "max_num_tokens=256" RS "num_threads=3" RS
                               "lora_rank=16" RS "supported_lora_rank=16" RS);
}

CASE(engine_options_that_are_not_set_stay_unset)
{
    char model[1024];
    snprintf(model, sizeof model, "%s", path_to("model.litertlm"));
    gn_engine_options none = {.model_path = model, .backend = "cpu"};
    check_engine_options(&none, "backend=cpu" RS);
}

CASE(threads_are_set_only_for_the_cpu)
{
    char model[1024];
    snprintf(model, sizeof model, "%s", path_to("model.litertlm"));
    fake_engine_set("backends", "cpu,gpu");
    gn_engine_options gpu = {.model_path = model, .backend = "gpu", .num_threads = 3};
    check_engine_options(&gpu, "backend=gpu" RS);
}

static void check_conversation_options(const gn_conversation_options *options, const char *expected)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = gn_conversation_create(fake(), engine, options, &error);
    CHECK(chat != NULL);
    const char *seen = fake_engine_get_options("conversation", 1);
    CHECK_TEXT(seen, expected);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(conversation_options_reach_the_engine)
{
    gn_conversation_options options = {.system_message_json = "\"Be brief.\"",
                                       .messages_json = "[]",
                                       .tools_json = "[1]",
                                       .extra_context_json = "{}",
                                       .prompt_template = "{{x}}",
                                       .has_sampler = 1,
                                       .sampler_type = 2,
                                       .top_k = 40,
                                       .top_p = 0.5f,
                                       .temperature = 0.25f,
                                       .seed = 7,
                                       .max_output_tokens = 9,
                                       .enable_thinking = 1,
                                       .thinking_token_budget = 11,
                                       .constraint_provider = 1,
                                       .filter_channel_content = 0,
                                       .stream_tool_calls = 1};
    check_conversation_options(
        &options, "system_message=\"Be brief.\"" RS "messages=[]" RS "tools=[1]" RS "extra_context={}" RS
                  "prompt_template={{x}}" RS "constrained_decoding=1" RS "constraint_provider=1" RS
                  "filter_channel_content=0" RS "stream_tool_calls=1" RS "enable_thinking=1" RS
                  "thinking_budget=11" RS "max_output_tokens=9" RS "sampler_type=2" RS "top_k=40" RS
                  "seed=7" RS "top_p=0.5" RS "temperature=0.25" RS);
}

CASE(conversation_options_that_are_not_set_stay_unset)
{
    gn_conversation_options options = plain_conversation();
    check_conversation_options(&options, "");
}

CASE(no_thinking_needs_no_budget)
{
    gn_conversation_options options = plain_conversation();
    options.enable_thinking = 0;
    options.thinking_token_budget = 5;
    check_conversation_options(&options, "enable_thinking=0" RS);
}

CASE(no_constraint_provider_switches_constraints_off)
{
    gn_conversation_options options = plain_conversation();
    options.constraint_provider = 0;
    check_conversation_options(&options, "constrained_decoding=0" RS "constraint_provider=0" RS);
}

CASE(send_options_reach_the_engine)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_send_options options = {.extra_context_json = "{\"a\":1}",
                               .max_output_tokens = 2,
                               .constraint_type = 1,
                               .constraint = "a|b"};
    gn_stream *stream = gn_conversation_send_stream(fake(), chat, user("one two three"), &options, &error);
    reply all = read_all(stream);
    CHECK(all.count == 2);
    free_reply(&all);
    gn_stream_release(stream);
    CHECK_TEXT(fake_engine_get_options("conversation", 1),
               "send_message={\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"one two three\"}]}" RS
               "send_extra_context={\"a\":1}" RS "send_max_output_tokens=2" RS "send_constraint_type=1" RS
               "send_constraint=a|b" RS);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(empty_send_options_send_no_arguments)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_send_options options = {0};
    gn_free(gn_conversation_send(fake(), chat, user("one"), &options, &error));
    CHECK(fake_engine_get_count("conversation_optional_args_create") == 0);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

/* ---- reasons ---- */

CASE(a_failure_carries_the_engines_code_and_text)
{
    fake_engine_set("fail_engine_create", "1:14:UNAVAILABLE: later");
    gn_engine_options options = {.model_path = path_to("model.litertlm"), .backend = "cpu"};
    CHECK(gn_engine_create(fake(), &options, &error) == NULL);
    CHECK(error.code == 14);
    CHECK_TEXT(error.message, "UNAVAILABLE: later");
}

CASE(a_failure_without_a_reason_says_so_itself)
{
    fake_engine_set("fail_engine_create", "1::");
    gn_engine_options options = {.model_path = path_to("model.litertlm"), .backend = "cpu"};
    CHECK(gn_engine_create(fake(), &options, &error) == NULL);
    CHECK(error.code == GN_ERROR_UNKNOWN && error.message[0] != '\0');
}

CASE(an_earlier_failure_is_not_blamed_for_a_later_one)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    CHECK(gn_conversation_send_stream(fake(), chat, "{bad", NULL, &error) == NULL && error.code == 3);
    fake_engine_set("fail_conversation_clone", "1::");
    CHECK(gn_conversation_clone(fake(), chat, &error) == NULL);
    CHECK(error.code == GN_ERROR_UNKNOWN);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(success_leaves_no_error_behind)
{
    LiteRtLmEngine *engine = make_engine();
    error.code = 5;
    strcpy(error.message, "old");
    LiteRtLmConversation *chat = make_conversation(engine);
    CHECK(error.code == 0 && error.message[0] == '\0');
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_long_reason_is_cut_between_characters)
{
    char told[6000] = "1:13:xx"; /* so that the cut does not fall between characters by luck */
    for (size_t i = 7; i + 3 < sizeof told; i += 3) {
        memcpy(told + i, "\xE2\x82\xAC", 4); /* a euro sign */
    }
    fake_engine_set("fail_engine_create", told);
    gn_engine_options options = {.model_path = path_to("model.litertlm"), .backend = "cpu"};
    CHECK(gn_engine_create(fake(), &options, &error) == NULL);
    size_t size = strlen(error.message);
    CHECK((size - 2) % 3 == 0 && size < sizeof error.message - 1 && size + 3 > sizeof error.message - 1);
}

CASE(nobody_has_to_ask_why)
{
    fake_engine_set("fail_engine_create", "1");
    gn_engine_options options = {.model_path = path_to("model.litertlm"), .backend = "cpu"};
    CHECK(gn_engine_create(fake(), &options, NULL) == NULL);
    CHECK(gn_api_open(path_to("nothing-here"), NULL) == NULL);
}

/* Every step of a creation fails in turn; the harness checks that all that was made before is deleted. */
CASE(an_engine_that_fails_halfway_leaves_nothing)
{
    static const char *const steps[] = {"engine_settings_create", "engine_settings_set_supported_lora_ranks",
                                        "engine_create"};
    char key[128];
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        snprintf(key, sizeof key, "fail_%s", steps[i]);
        fake_engine_set(key, "1:13:boom");
        gn_engine_options options = {
            .model_path = path_to("model.litertlm"), .backend = "cpu", .lora_rank = 4};
        CHECK(gn_engine_create(fake(), &options, &error) == NULL);
        CHECK_TEXT(error.message, "boom");
    }
}

CASE(a_conversation_that_fails_halfway_leaves_nothing)
{
    static const char *const steps[] = {"conversation_config_create", "session_config_create",
                                        "session_config_set_lora_path", "sampler_params_create",
                                        "thinking_config_create", "conversation_create"};
    char key[128];
    LiteRtLmEngine *engine = make_engine();
    gn_conversation_options options = plain_conversation();
    options.has_sampler = 1;
    options.enable_thinking = 1;
    options.lora_path = "/lora";
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        snprintf(key, sizeof key, "fail_%s", steps[i]);
        fake_engine_set(key, "1:13:boom");
        CHECK(gn_conversation_create(fake(), engine, &options, &error) == NULL);
        CHECK_TEXT(error.message, "boom");
    }
    gn_engine_delete(fake(), engine);
}

CASE(a_send_that_fails_halfway_leaves_nothing)
{
    static const char *const steps[] = {"conversation_optional_args_create",
                                        "conversation_send_message_stream"};
    char key[128];
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_send_options options = {.max_output_tokens = 2};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        snprintf(key, sizeof key, "fail_%s", steps[i]);
        fake_engine_set(key, "1:13:boom");
        CHECK(gn_conversation_send_stream(fake(), chat, user("one"), &options, &error) == NULL);
        CHECK_TEXT(error.message, "boom");
    }
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

/* ---- results ---- */

CASE(a_blocking_send_gives_the_whole_reply)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    char *reply = gn_conversation_send(fake(), chat, user("one two"), NULL, &error);
    CHECK_HAS(reply, "\"one two\"");
    gn_free(reply);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_blocking_send_that_fails_says_why)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    fake_engine_set("fail_json_response_get_string", "1::");
    CHECK(gn_conversation_send(fake(), chat, user("one"), NULL, &error) == NULL);
    CHECK(error.code == GN_ERROR_UNKNOWN);
    fake_engine_set("end_error", "INTERNAL: no luck");
    CHECK(gn_conversation_send(fake(), chat, user("one"), NULL, &error) == NULL);
    CHECK(error.code == 13);
    CHECK_TEXT(error.message, "INTERNAL: no luck");
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(tokens_become_text_again)
{
    LiteRtLmEngine *engine = make_engine();
    size_t count = 0;
    int *ids = gn_engine_tokenize(fake(), engine, "one two three", &count, &error);
    CHECK(ids != NULL && count == 3);
    char *text = gn_engine_detokenize(fake(), engine, ids, count, &error);
    CHECK_TEXT(text, "one two three");
    gn_free(text);
    gn_free(ids);
    gn_engine_delete(fake(), engine);
}

CASE(no_text_has_no_tokens_and_is_no_failure)
{
    LiteRtLmEngine *engine = make_engine();
    size_t count = 7;
    int *ids = gn_engine_tokenize(fake(), engine, "", &count, &error);
    CHECK(ids != NULL && count == 0);
    gn_free(ids);
    char *text = gn_engine_detokenize(fake(), engine, NULL, 0, &error);
    CHECK_TEXT(text, "");
    gn_free(text);
    gn_engine_delete(fake(), engine);
}

CASE(a_tokenizer_that_fails_says_why)
{
    LiteRtLmEngine *engine = make_engine();
    size_t count = 7;
    int unknown = 999999;
    fake_engine_set("fail_engine_tokenize", "1:13:boom");
    CHECK(gn_engine_tokenize(fake(), engine, "one", &count, &error) == NULL);
    CHECK_TEXT(error.message, "boom");
    CHECK(count == 0);
    CHECK(gn_engine_detokenize(fake(), engine, &unknown, 1, &error) == NULL);
    CHECK(error.code == 5);
    CHECK_HAS(error.message, "999999");
    fake_engine_set("fail_detokenize_result_get_string", "1::");
    CHECK(gn_engine_detokenize(fake(), engine, NULL, 0, &error) == NULL);
    CHECK(error.code == GN_ERROR_UNKNOWN);
    gn_engine_delete(fake(), engine);
}

CASE(a_rendered_message_is_the_callers_own)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    char *first = gn_conversation_render(fake(), chat, user("one"), &error);
    char *second = gn_conversation_render(fake(), chat, user("two"), &error);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
    CHECK_HAS(first, "one<end_of_turn>");
    CHECK_HAS(second, "two<end_of_turn>");
    gn_free(first);
    gn_free(second);
}

CASE(a_message_that_cannot_be_rendered_says_why)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    CHECK(gn_conversation_render(fake(), chat, "{bad", &error) == NULL);
    CHECK(error.code == 3);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_measure_is_what_a_message_would_add)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    char *rendered = gn_conversation_render(fake(), chat, user("one"), &error);
    size_t tokens;
    gn_free(gn_engine_tokenize(fake(), engine, rendered, &tokens, &error));
    char room[4096];
    gn_measure measure;
    CHECK(gn_conversation_measure(fake(), engine, chat, user("one"), room, sizeof room, &measure, &error) == 0);
    CHECK_TEXT(room, rendered);
    CHECK(measure.rendered_size == strlen(rendered) + 1);
    CHECK(measure.message_tokens == (int)tokens && measure.context_tokens == 0);
    gn_free(rendered);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_rendering_without_room_is_not_copied)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    char room[2] = "?";
    gn_measure measure;
    CHECK(gn_conversation_measure(fake(), engine, chat, user("one"), room, 1, &measure, &error) == 0);
    CHECK(measure.rendered_size > 1 && measure.message_tokens == 0);
    CHECK_TEXT(room, "?");
    size_t size = measure.rendered_size;
    char *exact = malloc(size);
    CHECK(gn_conversation_measure(fake(), engine, chat, user("one"), exact, size, &measure, &error) == 0);
    CHECK(measure.rendered_size == size && measure.message_tokens > 0);
    free(exact);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(what_cannot_be_measured_says_why)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    char room[4096];
    gn_measure measure;
    CHECK(gn_conversation_measure(fake(), engine, chat, "{bad", room, sizeof room, &measure, &error) == -1);
    CHECK(error.code == 3);
    static const char *const functions[] = {"fail_conversation_get_token_count",
                                            "fail_conversation_render_message_to_string", "fail_engine_tokenize"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        fake_engine_set(functions[i], "1:13:no");
        CHECK(gn_conversation_measure(fake(), engine, chat, user("one"), room, sizeof room, &measure, &error) == -1);
        CHECK_TEXT(error.message, "no");
    }
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(token_counts_are_numbers_or_errors)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    CHECK(gn_conversation_token_count(fake(), chat, &error) == 0);
    gn_stream_release(send_text(chat, "one"));
    CHECK(gn_conversation_token_count(fake(), chat, &error) == 2);
    fake_engine_set("fail_conversation_get_token_count", "1:13:boom");
    CHECK(gn_conversation_token_count(fake(), chat, &error) == -1);
    CHECK(error.code == 13);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_clone_has_a_life_of_its_own)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_free(gn_conversation_send(fake(), chat, user("My name is Ada."), NULL, &error));
    LiteRtLmConversation *clone = gn_conversation_clone(fake(), chat, &error);
    CHECK(clone != NULL && clone != chat);
    gn_conversation_delete(fake(), chat);
    char *reply = gn_conversation_send(fake(), clone, user("What is my name?"), NULL, &error);
    CHECK_HAS(reply, "Ada");
    gn_free(reply);
    gn_conversation_delete(fake(), clone);
    gn_engine_delete(fake(), engine);
}

CASE(a_model_file_tells_about_itself)
{
    static const char *const set[][2] = {
        {"info_max_context_tokens", "2048"},     {"info_is_dynamic_context", "1"},
        {"info_supports_thinking", "1"},         {"info_supports_function_calling", "1"},
        {"info_supports_vision", "1"},           {"info_supports_audio", "0"},
        {"info_sampler_type", "2"},              {"info_sampler_top_k", "64"},
        {"info_sampler_top_p", "0.5"},           {"info_sampler_temperature", "0.25"},
        {"info_version", "0.18.1"},
    };
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        fake_engine_set(set[i][0], set[i][1]);
    }
    gn_model_info info;
    CHECK(gn_model_info_read(fake(), path_to("model.litertlm"), &info, &error) == 0);
    CHECK(info.max_context_tokens == 2048 && info.is_dynamic_context == 1);
    CHECK(info.supports_thinking == 1 && info.supports_function_calling == 1);
    CHECK(info.supports_vision == 1 && info.supports_audio == 0);
    CHECK(info.sampler_type == 2 && info.sampler_top_k == 64);
    CHECK(info.sampler_top_p == 0.5f && info.sampler_temperature == 0.25f);
    CHECK_TEXT(info.min_runtime_version, "0.18.1");
}

CASE(odd_metadata_fits_all_the_same)
{
    char version[200];
    memset(version, '9', sizeof version);
    version[sizeof version - 1] = '\0';
    fake_engine_set("info_version", version);
    fake_engine_set("info_max_context_tokens", "4294967295");
    gn_model_info info;
    CHECK(gn_model_info_read(fake(), path_to("model.litertlm"), &info, &error) == 0);
    CHECK(strlen(info.min_runtime_version) == sizeof info.min_runtime_version - 1);
    CHECK(info.max_context_tokens > 0);
    fake_engine_set("info_version", NULL);
    CHECK(gn_model_info_read(fake(), path_to("model.litertlm"), &info, &error) == 0);
    CHECK_TEXT(info.min_runtime_version, "");
}

CASE(a_model_file_that_cannot_be_read_says_why)
{
    gn_model_info info;
    CHECK(gn_model_info_read(fake(), path_to("nothing-here"), &info, &error) == -1);
    CHECK(error.code == 13);
    CHECK_HAS(error.message, "nothing-here");
    CHECK(info.max_context_tokens == 0);
}

CASE(deleting_nothing_does_nothing)
{
    gn_conversation_delete(fake(), NULL);
    gn_engine_delete(fake(), NULL);
    gn_free(NULL);
}

CASE(the_log_level_is_passed_on)
{
    gn_set_min_log_level(fake(), 1000);
    CHECK_TEXT(fake_engine_get_log(), "log_level 1000\n");
}
