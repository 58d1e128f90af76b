/* What the fake engine must not let pass. Each case aborts, so each runs in a process of its own. */
#include "harness.h"

#include "litert_lm.h"

static LiteRtLmEngine *engine;
static LiteRtLmConversation *chat;

static void begin_chat(void)
{
    engine = make_engine();
    chat = make_conversation(engine);
}

CASE(conversation_deleted_twice)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    litert_lm_conversation_delete(chat);
}

CASE(clone_deleted_twice)
{
    begin_chat();
    LiteRtLmConversation *clone = litert_lm_conversation_clone(chat);
    litert_lm_conversation_delete(chat); /* which is nothing to the clone */
    litert_lm_conversation_delete(clone);
    litert_lm_conversation_delete(clone);
}

CASE(clone_of_a_deleted_conversation)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    litert_lm_conversation_clone(chat);
}

CASE(clone_whose_engine_is_deleted)
{
    begin_chat();
    LiteRtLmConversation *clone = litert_lm_conversation_clone(chat);
    litert_lm_conversation_delete(chat);
    litert_lm_engine_delete(engine);
    gn_conversation_send_stream(fake(), clone, user("one"), NULL, &error);
}

CASE(clone_while_generating_when_strict)
{
    begin_chat();
    fake_engine_set("strict", "1");
    fake_engine_set("gate", "1");
    gn_stream_release(send_text(chat, "one"));
    litert_lm_conversation_clone(chat);
}

CASE(clone_of_a_spent_conversation_when_strict)
{
    begin_chat();
    fake_engine_set("strict", "1");
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(chat, "one");
    gn_conversation_cancel(fake(), chat);
    expect(stream, "", "CANCELLED: Task cancelled");
    litert_lm_conversation_get_token_count(chat); /* waits until the thread that told of the end is gone */
    litert_lm_conversation_clone(chat);
}

CASE(engine_deleted_twice)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    litert_lm_engine_delete(engine);
    litert_lm_engine_delete(engine);
}

CASE(configuration_deleted_twice)
{
    LiteRtLmConversationConfig *config = litert_lm_conversation_config_create();
    litert_lm_conversation_config_delete(config);
    litert_lm_conversation_config_delete(config);
}

CASE(object_of_another_kind)
{
    litert_lm_session_config_delete((LiteRtLmSessionConfig *)litert_lm_conversation_config_create());
}

CASE(send_to_a_deleted_conversation)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    gn_conversation_send_stream(fake(), chat, user("one"), NULL, &error);
}

CASE(cancel_of_a_deleted_conversation)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    gn_conversation_cancel(fake(), chat);
}

CASE(send_when_the_engine_is_deleted)
{
    begin_chat();
    litert_lm_engine_delete(engine);
    gn_conversation_send_stream(fake(), chat, user("one"), NULL, &error);
}

CASE(conversation_of_a_deleted_engine)
{
    begin_chat();
    litert_lm_conversation_delete(chat);
    litert_lm_engine_delete(engine);
    make_conversation(engine);
}

CASE(engine_deleted_before_its_conversation_when_strict)
{
    begin_chat();
    fake_engine_set("strict", "1");
    litert_lm_engine_delete(engine);
}

CASE(delete_without_cancel_while_generating_when_strict)
{
    begin_chat();
    fake_engine_set("strict", "1");
    fake_engine_set("gate", "1");
    gn_stream_release(send_text(chat, "one"));
    litert_lm_conversation_delete(chat);
}

static void count_tokens(void *conversation, LiteRtLmStreamChunk *chunk)
{
    (void)chunk;
    litert_lm_conversation_get_token_count(conversation);
}

CASE(call_from_inside_a_callback)
{
    begin_chat();
    fake_engine_set("synchronous", "1");
    litert_lm_conversation_send_message_stream(chat, user("one"), NULL, NULL, count_tokens, chat);
}

CASE(reset_with_something_alive)
{
    begin_chat();
    fake_engine_reset();
}

CASE(crash_on_load)
{
    fake_engine_set("crash_on_load", "1");
    make_engine();
}
