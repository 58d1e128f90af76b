/* Conversations, except for what they do while they generate. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LiteRtLmConversation *fe_conversations;
static int last_conversation_id;

void fe_check_conversation(LiteRtLmConversation *conversation, const char *function)
{
    if (conversation == NULL) {
        fe_misuse("%s was given NULL", function);
    }
    pthread_mutex_lock(&fe_mutex);
    if (conversation->deleted) {
        fe_misuse("%s was given conversation %d, which is deleted", function, conversation->id);
    }
    bool deletes = strcmp(function, "litert_lm_conversation_delete") == 0;
    if (conversation->engine->deleted && !deletes) {
        fe_misuse("%s was given conversation %d, whose engine is deleted", function, conversation->id);
    }
    pthread_mutex_unlock(&fe_mutex);
}

void fe_wait_idle(LiteRtLmConversation *conversation)
{
    while (conversation->generating > 0) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
}

void fe_wait_engine(LiteRtLmEngine *engine)
{
    while (fe_is_set("serial") && engine->queue != NULL) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
}

static LiteRtLmConversation *add_conversation(LiteRtLmEngine *engine)
{
    LiteRtLmConversation *conversation = fe_allocate(sizeof *conversation);
    conversation->engine = engine;
    conversation->id = ++last_conversation_id;
    conversation->next = fe_conversations;
    fe_conversations = conversation;
    fe_count("live_conversations", 1);
    return conversation;
}

static void note_session(fe_text *options, const LiteRtLmSessionConfig *session)
{
    const LiteRtLmSamplerParams *sampler = &session->sampler;
    fe_note_number(options, "max_output_tokens", session->max_output_tokens);
    fe_note_text(options, "lora_path", session->lora_path);
    if (session->has_sampler) {
        fe_note_number(options, "sampler_type", sampler->type);
        fe_note_number(options, "top_k", sampler->top_k);
        fe_note_number(options, "seed", sampler->seed);
        fe_print(options, "top_p=%g" FE_RECORD, (double)sampler->top_p);
        fe_print(options, "temperature=%g" FE_RECORD, (double)sampler->temperature);
    }
}

static void note_options(fe_text *options, const LiteRtLmConversationConfig *config)
{
    fe_note_text(options, "system_message", config->system_message);
    fe_note_text(options, "messages", config->messages);
    fe_note_text(options, "tools", config->tools);
    fe_note_text(options, "extra_context", config->extra_context);
    fe_note_text(options, "prompt_template", config->prompt_template);
    fe_note_number(options, "constrained_decoding", config->constrained_decoding);
    fe_note_number(options, "constraint_provider", config->constraint_provider);
    fe_note_number(options, "filter_channel_content", config->filter_channel_content);
    fe_note_number(options, "stream_tool_calls", config->stream_tool_calls);
    fe_note_number(options, "enable_thinking", config->enable_thinking);
    fe_note_number(options, "thinking_budget", config->thinking_budget);
    if (config->has_session) {
        note_session(options, &config->session);
    }
}

/* The system message is parsed as JSON first, and taken as it is when it is none. */
static void add_system(LiteRtLmConversation *conversation, const char *message)
{
    char *text = fe_json_valid(message) ? fe_json_string(message) : NULL;
    fe_add_turn(conversation, "system", text != NULL ? text : message);
    fe_pieces pieces = fe_split(text != NULL ? text : message);
    conversation->pending_tokens += (long)pieces.count;
    fe_free_pieces(&pieces);
    free(text);
}

static bool can_adapt(const LiteRtLmEngine *engine, const char *lora_path)
{
    if (lora_path == NULL) {
        return true;
    }
    if (engine->lora_rank == 0) {
        fe_set_error(9, "FAILED_PRECONDITION: the engine was created without a LoRA rank");
        return false;
    }
    FILE *stream = fopen(lora_path, "rb");
    if (stream == NULL) {
        fe_text message = {0};
        fe_print(&message, "NOT_FOUND: open() failed: %s: No such file or directory", lora_path);
        fe_set_status_error(message.data);
        fe_clear(&message);
        return false;
    }
    fclose(stream);
    return true;
}

LiteRtLmConversation *litert_lm_conversation_create(LiteRtLmEngine *engine,
                                                    const LiteRtLmConversationConfig *config)
{
    FE_ENTER();
    FE_CHECK_ENGINE(engine);
    FE_CHECK(config, FE_CONFIG);
    if (FE_FAILS() || !can_adapt(engine, config->session.lora_path)) {
        return NULL;
    }
    pthread_mutex_lock(&fe_mutex);
    fe_wait_engine(engine);
    LiteRtLmConversation *conversation = add_conversation(engine);
    conversation->sampler_type = config->session.has_sampler ? config->session.sampler.type : 0;
    conversation->max_output_tokens = config->session.max_output_tokens;
    note_options(&conversation->options, config);
    if (config->system_message != NULL) {
        add_system(conversation, config->system_message);
    }
    if (config->messages != NULL) {
        fe_add_messages(conversation, config->messages); /* like the real one, without a word when bad */
    }
    fe_log("create %d", conversation->id);
    pthread_mutex_unlock(&fe_mutex);
    return conversation;
}

/* The real engine waits for the end, and a clone of a send that is still queued has half a turn. */
static void check_clonable(const LiteRtLmConversation *conversation)
{
    if (fe_is_set("strict") && conversation->decoding > 0) {
        fe_misuse("conversation %d cloned while it generates", conversation->id);
    }
    if (fe_is_set("strict") && (conversation->cancelled || conversation->failed)) {
        fe_misuse("conversation %d cloned when it is spent, and so is the clone", conversation->id);
    }
}

/* A clone of what is spent or overfull is as useless as its parent, and counts no tokens. */
static bool is_dead(const LiteRtLmConversation *conversation)
{
    return conversation->cancelled || conversation->failed ||
           conversation->tokens > conversation->engine->context_tokens;
}

LiteRtLmConversation *litert_lm_conversation_clone(LiteRtLmConversation *conversation)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    if (FE_FAILS()) {
        return NULL;
    }
    pthread_mutex_lock(&fe_mutex);
    check_clonable(conversation);
    fe_wait_engine(conversation->engine);
    fe_wait_idle(conversation);
    LiteRtLmConversation *clone = add_conversation(conversation->engine);
    clone->sampler_type = conversation->sampler_type;
    clone->max_output_tokens = conversation->max_output_tokens;
    clone->dead = is_dead(conversation);
    clone->tokens = clone->dead ? 0 : conversation->tokens;
    clone->pending_tokens = conversation->pending_tokens;
    clone->cancelled = conversation->cancelled;
    clone->failed = conversation->failed;
    for (size_t i = 0; i < conversation->turn_count; i++) {
        fe_add_turn(clone, conversation->turns[i].role, conversation->turns[i].text);
    }
    fe_append(&clone->options, conversation->options.data != NULL ? conversation->options.data : "",
              conversation->options.size);
    fe_log("clone %d %d", conversation->id, clone->id);
    pthread_mutex_unlock(&fe_mutex);
    return clone;
}

static void empty(LiteRtLmConversation *conversation)
{
    for (size_t i = 0; i < conversation->turn_count; i++) {
        free(conversation->turns[i].role);
        free(conversation->turns[i].text);
    }
    free(conversation->turns);
    conversation->turns = NULL;
    conversation->turn_count = 0;
    free(conversation->rendered);
    conversation->rendered = NULL;
    fe_clear(&conversation->options);
}

void litert_lm_conversation_delete(LiteRtLmConversation *conversation)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    pthread_mutex_lock(&fe_mutex);
    if (fe_is_set("strict") && conversation->decoding > 0 && !conversation->cancelled) {
        fe_misuse("conversation %d deleted while it generates, and not cancelled", conversation->id);
    }
    conversation->abandoned = true;
    pthread_cond_broadcast(&fe_changed);
    fe_wait_idle(conversation);
    conversation->deleted = true;
    empty(conversation);
    fe_count("live_conversations", -1);
    fe_log("delete %d", conversation->id);
    pthread_mutex_unlock(&fe_mutex);
}

/* Without a generation to cancel it does nothing, and the conversation stays usable. */
void litert_lm_conversation_cancel_process(LiteRtLmConversation *conversation)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    pthread_mutex_lock(&fe_mutex);
    conversation->cancelled = conversation->cancelled || conversation->decoding > 0;
    fe_log("cancel %d", conversation->id);
    pthread_cond_broadcast(&fe_changed);
    pthread_mutex_unlock(&fe_mutex);
}

int litert_lm_conversation_get_token_count(LiteRtLmConversation *conversation)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    if (FE_FAILS()) {
        return -1;
    }
    pthread_mutex_lock(&fe_mutex);
    fe_wait_engine(conversation->engine);
    fe_wait_idle(conversation);
    long tokens = conversation->tokens;
    pthread_mutex_unlock(&fe_mutex);
    return (int)tokens;
}

const char *litert_lm_conversation_render_message_to_string(LiteRtLmConversation *conversation,
                                                            const char *message_json)
{
    FE_ENTER();
    FE_CHECK_CONVERSATION(conversation);
    if (FE_FAILS()) {
        return NULL;
    }
    LiteRtLmConversation reading = {0};
    if (!fe_add_messages(&reading, message_json)) {
        fe_set_error(3, "Failed to parse message JSON.");
        return NULL;
    }
    fe_text rendered = {0};
    for (size_t i = 0; i < reading.turn_count; i++) {
        fe_render(reading.turns[i].role, reading.turns[i].text, &rendered);
    }
    fe_print(&rendered, "<start_of_turn>model\n");
    empty(&reading);
    pthread_mutex_lock(&fe_mutex);
    free(conversation->rendered); /* like the real one: it lives until the next render */
    conversation->rendered = rendered.data;
    pthread_mutex_unlock(&fe_mutex);
    return rendered.data;
}

void fe_restart_conversation_numbers(void)
{
    last_conversation_id = 0;
    for (LiteRtLmConversation *one = fe_conversations; one != NULL; one = one->next) {
        one->id = 0;
    }
}
