/* What happens when memory runs out: an error, never a crash, a leak or a stream without an end. */
#include "harness.h"

#define RS "\x1E"

static const char cut_short[] = "RESOURCE_EXHAUSTED: the reply was cut short: out of memory";

CASE(open_reports_that_memory_ran_out)
{
    fail_allocations_after(0);
    CHECK(gn_api_open(path_to("liblitert-lm.so"), &error) == NULL);
    CHECK(error.code == GN_ERROR_MEMORY && error.message[0] != '\0');
}

CASE(a_send_without_memory_sends_nothing)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_send_options options = {.max_output_tokens = 1};
    fail_allocations_after(0);
    CHECK(gn_conversation_send_stream(fake(), chat, user("one"), &options, &error) == NULL);
    CHECK(error.code == GN_ERROR_MEMORY);
    CHECK(fake_engine_get_count("conversation_send_message_stream") == 0);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(the_end_comes_even_when_no_chunk_can_be_kept)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(chat, "one two");
    fail_allocations_after(0);
    fake_engine_allow(2);
    expect(stream, "", cut_short);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_reply_is_cut_short_but_has_no_hole)
{
    char chunks[6000];
    memset(chunks, 'x', sizeof chunks);
    memcpy(chunks, "one" RS, 4);
    memcpy(chunks + sizeof chunks - 5, RS "end", 5);
    fake_engine_set("chunks", chunks);
    fake_engine_set("gate", "1");
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_stream *stream = send_text(chat, "go");
    fail_allocations_after(1);
    fake_engine_allow(3);
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1); /* so that all chunks meet in one buffer */
    expect(stream, "one\n", cut_short);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(the_engines_own_error_goes_before_lost_memory)
{
    fake_engine_set("end_error", "INTERNAL: no luck");
    fake_engine_set("gate", "1");
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    gn_stream *stream = send_text(chat, "one");
    fail_allocations_after(0);
    fake_engine_allow(1);
    expect(stream, "", "INTERNAL: no luck");
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(a_stream_nobody_reads_keeps_nothing)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    fake_engine_set("gate", "1");
    gn_stream *stream = send_text(chat, "one two");
    gn_stream_release(stream);
    fail_allocations_after(0);
    long before = allocations_refused();
    fake_engine_allow(2);
    CHECK(fake_engine_wait("end", 1, PATIENCE_S));
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
    CHECK(gn_streams_alive() == 0);
    CHECK(allocations_refused() == before); /* none was asked for */
}

CASE(copies_report_that_memory_ran_out)
{
    LiteRtLmEngine *engine = make_engine();
    LiteRtLmConversation *chat = make_conversation(engine);
    size_t count = 7;
    int id = 0;
    int *ids = gn_engine_tokenize(fake(), engine, "one", &count, &error);
    CHECK(ids != NULL && count == 1);
    id = ids[0];
    gn_free(ids);
    fail_allocations_after(0);
    CHECK(gn_engine_tokenize(fake(), engine, "one", &count, &error) == NULL);
    CHECK(error.code == GN_ERROR_MEMORY && count == 0);
    CHECK(gn_engine_detokenize(fake(), engine, &id, 1, &error) == NULL && error.code == GN_ERROR_MEMORY);
    CHECK(gn_conversation_render(fake(), chat, user("one"), &error) == NULL && error.code == GN_ERROR_MEMORY);
    CHECK(gn_conversation_send(fake(), chat, user("one"), NULL, &error) == NULL);
    CHECK(error.code == GN_ERROR_MEMORY);
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}
