/* Clones: checkpoints of a chat, with a life of their own. */
#include "harness.h"

#include <pthread.h>

static LiteRtLmConversation *clone_of(LiteRtLmConversation *conversation)
{
    LiteRtLmConversation *clone = gn_conversation_clone(fake(), conversation, &error);
    CHECK(clone != NULL && clone != conversation);
    return clone;
}

static void say(LiteRtLmConversation *conversation, const char *text, const char *expected)
{
    char *reply = gn_conversation_send(fake(), conversation, user(text), NULL, &error);
    CHECK(reply != NULL);
    CHECK_HAS(reply, expected);
    gn_free(reply);
}

CASE(a_clone_has_the_turns_the_tokens_and_the_options)
{
    LiteRtLmEngine *engine = make_engine();
    gn_conversation_options options = plain_conversation();
    options.system_message_json = "\"Be brief.\"";
    options.max_output_tokens = 7;
    LiteRtLmConversation *chat = gn_conversation_create(fake(), engine, &options, &error);
    say(chat, "My name is Ada.", "Ada");
    LiteRtLmConversation *clone = clone_of(chat);
    int tokens = gn_conversation_token_count(fake(), chat, &error);
    CHECK(tokens > 0 && gn_conversation_token_count(fake(), clone, &error) == tokens);
    CHECK_TEXT(fake_engine_get_turns(2), "system: Be brief.\x1E"
                                         "user: My name is Ada.\x1E"
                                         "model: Nice to meet you, Ada!\x1E");
    CHECK_HAS(fake_engine_get_options("conversation", 2), "max_output_tokens=7\x1E");
    gn_conversation_delete(fake(), clone);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_clone_and_its_parent_go_their_own_ways)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    LiteRtLmConversation *fresh = clone_of(chat);
    say(chat, "My name is Ada.", "Ada");
    LiteRtLmConversation *clone = clone_of(chat);
    say(chat, "My name is Bob.", "Bob");
    say(clone, "What is my name?", "Ada");
    say(chat, "What is my name?", "Bob");
    say(fresh, "What is my name?", "not told");
    gn_conversation_delete(fake(), fresh);
    gn_conversation_delete(fake(), chat);
    LiteRtLmConversation *second = clone_of(clone);
    gn_conversation_delete(fake(), clone);
    say(second, "What is my name?", "Ada");
    gn_conversation_delete(fake(), second);
    gn_engine_delete(fake(), engine);
}

CASE(a_clone_outlives_the_cancel_and_the_delete_of_its_parent)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    say(chat, "My name is Ada.", "Ada");
    LiteRtLmConversation *clone = clone_of(chat);
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(chat, "one two");
    gn_conversation_cancel(fake(), chat);
    expect(stream, "", "CANCELLED: Task cancelled");
    gn_conversation_delete(fake(), chat);
    fake_engine_set("gate", NULL);
    say(clone, "What is my name?", "Ada");
    gn_conversation_delete(fake(), clone);
    gn_engine_delete(fake(), engine);
}

CASE(a_clone_generates_on_while_its_parent_is_deleted)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    LiteRtLmConversation *clone = clone_of(chat);
    fake_engine_set("reply", "one two");
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(clone, "go");
    gn_conversation_delete(fake(), chat);
    CHECK(gn_stream_wait_end(stream, 0) == 0);
    fake_engine_allow(2);
    reply all = read_all(stream);
    CHECK(all.count == 2 && all.error == NULL);
    free_reply(&all);
    gn_stream_release(stream);
    gn_conversation_delete(fake(), clone);
    gn_engine_delete(fake(), engine);
}

CASE(a_clone_that_fails_says_why)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    fake_engine_set("fail_conversation_clone", "1:12:UNIMPLEMENTED: no clones here");
    CHECK(gn_conversation_clone(fake(), chat, &error) == NULL);
    CHECK(error.code == 12);
    CHECK_TEXT(error.message, "UNIMPLEMENTED: no clones here");
    CHECK(fake_engine_get_count("live_conversations") == 1);
    gn_conversation_delete(fake(), clone_of(chat));
    CHECK(error.code == 0);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

/* As the real engine has it: no error, but nothing in its KV cache, and no reply. */
CASE(a_clone_of_a_spent_chat_is_spent_and_counts_nothing)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    say(chat, "one", "one");
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(chat, "one two");
    gn_conversation_cancel(fake(), chat);
    expect(stream, "", "CANCELLED: Task cancelled");
    LiteRtLmConversation *clone = clone_of(chat);
    CHECK(gn_conversation_token_count(fake(), chat, &error) > 0);
    CHECK(gn_conversation_token_count(fake(), clone, &error) == 0);
    expect(send_text(clone, "three"), "", "CANCELLED: Task cancelled");
    gn_conversation_delete(fake(), clone);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

static void *make_clone(void *chat)
{
    gn_error own;
    return gn_conversation_clone(fake(), chat, &own);
}

CASE(a_clone_of_a_generating_chat_waits_for_its_end)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    fake_engine_set("gate", "1");
    fake_engine_set("reply", "one two");
    gn_stream *stream = send_text(chat, "go");
    pthread_t thread;
    void *clone;
    CHECK(pthread_create(&thread, NULL, make_clone, chat) == 0);
    CHECK(fake_engine_wait("conversation_clone", 1, PATIENCE_S));
    CHECK(fake_engine_get_count("live_conversations") == 1);
    fake_engine_allow(2);
    CHECK(pthread_join(thread, &clone) == 0);
    CHECK_HAS(fake_engine_get_turns(2), "model: one two\x1E");
    gn_conversation_delete(fake(), clone);
    gn_conversation_delete(fake(), chat);
    reply all = read_all(stream);
    free_reply(&all);
    gn_stream_release(stream);
    gn_engine_delete(fake(), engine);
}

CASE(when_serial_everything_waits_for_the_generation_that_runs)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *first = make_conversation(engine);
    LiteRtLmConversation *second = make_conversation(engine);
    fake_engine_set("serial", "1");
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(first, "one");
    pthread_t thread;
    void *clone;
    CHECK(pthread_create(&thread, NULL, make_clone, second) == 0);
    CHECK(fake_engine_wait("conversation_clone", 1, PATIENCE_S));
    gn_free(gn_conversation_render(fake(), second, user("two"), &error)); /* this one waits for nobody */
    CHECK(fake_engine_get_count("live_conversations") == 2);
    gn_conversation_cancel(fake(), first);
    CHECK(pthread_join(thread, &clone) == 0);
    expect(stream, "", "CANCELLED: Task cancelled");
    gn_conversation_delete(fake(), clone);
    gn_conversation_delete(fake(), second);
    gn_conversation_delete(fake(), first);
    gn_engine_delete(fake(), engine);
}
