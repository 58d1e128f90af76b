/* What a stream promises. */
#include "harness.h"

#include <pthread.h>

#define RS "\x1E"

/* One conversation on one engine: what most cases need. */
static LiteRtLmEngine *engine;
static LiteRtLmConversation *chat;

static void begin_chat(void)
{
    engine = make_engine();
    chat = make_conversation(engine);
}

static void end_chat(void)
{
    gn_conversation_delete(fake(), chat);
    gn_engine_delete(fake(), engine);
}

CASE(chunks_come_whole_and_in_order)
{
    fake_engine_set("chunks", "one" RS "two" RS "" RS "four");
    begin_chat();
    expect(send_text(chat, "go"), "one\ntwo\n\nfour\n", NULL);
    end_chat();
}

CASE(a_chunk_is_the_engines_json)
{
    begin_chat();
    expect(send_text(chat, "Hello"),
           "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]}\n", NULL);
    end_chat();
}

CASE(a_reply_may_have_no_chunk_at_all)
{
    fake_engine_set("chunks", "");
    begin_chat();
    expect(send_text(chat, "go"), "", NULL);
    end_chat();
}

CASE(text_in_the_terminal_chunk_is_delivered)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("final_text", "last");
    begin_chat();
    expect(send_text(chat, "go"), "one\nlast\n", NULL);
    end_chat();
}

CASE(an_error_ends_the_stream_after_its_chunks)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("end_error", "INTERNAL: no luck");
    begin_chat();
    expect(send_text(chat, "go"), "one\n", "INTERNAL: no luck");
    end_chat();
}

CASE(an_error_without_is_final_ends_the_stream_too)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("end_error", "INTERNAL: no luck");
    fake_engine_set("end_error_early", "1");
    begin_chat();
    expect(send_text(chat, "go"), "one\n", "INTERNAL: no luck");
    end_chat();
}

CASE(text_and_error_may_come_in_one_chunk)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("final_text", "last");
    fake_engine_set("end_error", "INTERNAL: no luck");
    begin_chat();
    expect(send_text(chat, "go"), "one\nlast\n", "INTERNAL: no luck");
    end_chat();
}

CASE(a_synchronous_callback_is_collected)
{
    fake_engine_set("chunks", "one" RS "two");
    fake_engine_set("synchronous", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    gn_batch batch;
    CHECK(gn_stream_wait_end(stream, 0) == 1);
    CHECK(gn_stream_take(stream, 0, &batch) == 1);
    CHECK(batch.chunks == 2 && batch.ended && batch.error == NULL);
    CHECK(batch.size == 8 && memcmp(batch.data, "one\0two", 8) == 0);
    gn_stream_release(stream);
    end_chat();
}

CASE(take_gives_up_after_its_timeout)
{
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "one");
    gn_batch batch;
    CHECK(gn_stream_take(stream, 0, &batch) == 0);
    CHECK(gn_stream_take(stream, 0.01, &batch) == 0);
    CHECK(gn_stream_take(stream, -1, &batch) == 0);
    CHECK(batch.data != NULL && batch.size == 0 && batch.chunks == 0 && !batch.ended && batch.error == NULL);
    CHECK(gn_stream_wait_end(stream, 0.01) == 0);
    fake_engine_allow(1);
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
    gn_stream_release(stream);
    end_chat();
}

CASE(take_hands_over_all_that_has_arrived)
{
    fake_engine_set("chunks", "one" RS "two" RS "three");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    gn_batch batch;
    fake_engine_allow(2);
    CHECK(fake_engine_wait("token", 2, PATIENCE_S));
    CHECK(gn_stream_take(stream, 0, &batch) == 1);
    CHECK(batch.chunks == 2 && batch.size == 8 && memcmp(batch.data, "one\0two", 8) == 0 && !batch.ended);
    CHECK(gn_stream_take(stream, 0, &batch) == 0);
    fake_engine_allow(1);
    expect(stream, "three\n", NULL);
    end_chat();
}

CASE(gather_waits_for_more_but_not_beyond_the_end)
{
    fake_engine_set("chunks", "one" RS "two");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    gn_batch batch;
    fake_engine_allow(1);
    CHECK(fake_engine_wait("token", 1, PATIENCE_S));
    CHECK(gn_stream_gather(stream, 0.01, 0, &batch) == 1 && batch.chunks == 1 && !batch.ended);
    CHECK(batch.stats.chunks == 1 && batch.stats.first_chunk_s >= batch.stats.sent_s && batch.stats.ended_s == 0);
    fake_engine_allow(1);
    CHECK(gn_stream_gather(stream, 3600, 0, &batch) == 1 && batch.chunks == 1 && batch.ended);
    gn_stream_stats stats;
    gn_stream_get_stats(stream, &stats);
    CHECK(batch.stats.chunks == 2 && batch.stats.ended_s == stats.ended_s && stats.ended_s > 0);
    gn_stream_release(stream);
    end_chat();
}

CASE(a_batch_stays_valid_while_more_arrives)
{
    fake_engine_set("chunks", "one" RS "two" RS "three");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    gn_batch batch;
    fake_engine_allow(1);
    CHECK(gn_stream_take(stream, PATIENCE_S, &batch) == 1);
    fake_engine_allow(2);
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
    CHECK_TEXT(batch.data, "one");
    expect(stream, "two\nthree\n", NULL);
    end_chat();
}

CASE(take_repeats_the_end)
{
    fake_engine_set("end_error", "INTERNAL: no luck");
    begin_chat();
    gn_stream *stream = send_text(chat, "one");
    reply all = read_all(stream);
    CHECK(all.count == 1);
    free_reply(&all);
    for (int i = 0; i < 3; i++) {
        gn_batch batch;
        CHECK(gn_stream_take(stream, 0, &batch) == 1);
        CHECK(batch.ended && batch.size == 0 && batch.chunks == 0);
        CHECK_TEXT(batch.error, "INTERNAL: no luck");
    }
    gn_stream_release(stream);
    end_chat();
}

static void *wait_for_end(void *stream)
{
    return gn_stream_wait_end(stream, PATIENCE_S) == 1 ? stream : NULL;
}

CASE(wait_end_beside_a_reader_takes_nothing)
{
    fake_engine_set("chunks", "one" RS "two" RS "three");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    pthread_t waiter;
    void *seen = NULL;
    CHECK(pthread_create(&waiter, NULL, wait_for_end, stream) == 0);
    reply all = read_all(stream);
    CHECK(pthread_join(waiter, &seen) == 0 && seen == stream);
    CHECK_TEXT(all.chunks, "one\ntwo\nthree\n");
    free_reply(&all);
    gn_stream_release(stream);
    end_chat();
}

CASE(a_cancelled_stream_ends_once_as_cancelled)
{
    fake_engine_set("chunks", "one" RS "two" RS "three");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    fake_engine_allow(1);
    CHECK(fake_engine_wait("token", 1, PATIENCE_S));
    gn_conversation_cancel(fake(), chat);
    expect(stream, "one\n", "CANCELLED: Task cancelled");
    end_chat();
}

CASE(a_stream_that_never_ends_times_out_and_counts_as_alive)
{
    fake_engine_set("never_finish", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "one");
    gn_batch batch;
    CHECK(gn_stream_take(stream, PATIENCE_S, &batch) == 1 && batch.chunks == 1 && !batch.ended);
    gn_conversation_cancel(fake(), chat);
    CHECK(gn_stream_wait_end(stream, 0.01) == 0);
    gn_stream_release(stream);
    CHECK(gn_streams_alive() == 1);
    fake_engine_set("never_finish", NULL);
    end_chat();
}

CASE(a_stream_released_before_its_end_is_freed_at_its_end)
{
    fake_engine_set("chunks", "one" RS "two" RS "three");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream_release(send_text(chat, "go"));
    CHECK(gn_streams_alive() == 1);
    fake_engine_allow(3);
    CHECK(fake_engine_wait("token", 3, PATIENCE_S));
    end_chat();
    CHECK(gn_streams_alive() == 0);
}

CASE(a_stream_is_freed_by_its_reader_after_its_end)
{
    begin_chat();
    gn_stream *stream = send_text(chat, "one");
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
    CHECK(gn_streams_alive() == 1);
    gn_stream_release(stream);
    CHECK(gn_streams_alive() == 0);
    end_chat();
}

CASE(a_stream_outlives_its_conversation)
{
    fake_engine_set("chunks", "one" RS "two");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
    end_chat();
    expect(stream, "one\ntwo\n", NULL);
}

CASE(events_after_the_end_are_dropped_and_counted)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("late_events", "2");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    CHECK(fake_engine_wait("late", 3, PATIENCE_S));
    gn_stream_stats stats;
    gn_stream_get_stats(stream, &stats);
    CHECK(stats.late_events == 3 && stats.chunks == 1);
    expect(stream, "one\n", NULL);
    end_chat();
}

CASE(events_after_the_end_touch_no_freed_stream)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("late_events", "2");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    fake_engine_allow(1);
    expect(stream, "one\n", NULL);
    CHECK(gn_streams_alive() == 0);
    fake_engine_allow(3);
    CHECK(fake_engine_wait("late", 3, PATIENCE_S));
    end_chat();
}

CASE(events_after_the_end_reach_no_other_stream)
{
    fake_engine_set("chunks", "one");
    fake_engine_set("late_events", "1");
    fake_engine_set("gate", "1");
    begin_chat();
    LiteRtLmConversation *other = make_conversation(engine);
    gn_stream *first = send_text(chat, "go");
    fake_engine_allow(1);
    expect(first, "one\n", NULL);
    fake_engine_set("late_events", NULL);
    gn_stream *second = send_text(other, "go");
    fake_engine_allow(3);
    expect(second, "one\n", NULL);
    gn_conversation_delete(fake(), other);
    end_chat();
}

CASE(stats_tell_when_things_happened)
{
    fake_engine_set("chunks", "one" RS "two");
    fake_engine_set("gate", "1");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    gn_stream_stats stats;
    gn_stream_get_stats(stream, &stats);
    CHECK(stats.sent_s > 0 && stats.first_chunk_s == 0 && stats.last_chunk_s == 0 && stats.ended_s == 0);
    fake_engine_allow(1);
    CHECK(fake_engine_wait("token", 1, PATIENCE_S));
    gn_stream_get_stats(stream, &stats);
    CHECK(stats.first_chunk_s >= stats.sent_s && stats.last_chunk_s == stats.first_chunk_s);
    fake_engine_allow(1);
    CHECK(gn_stream_wait_end(stream, PATIENCE_S) == 1);
    gn_stream_get_stats(stream, &stats);
    CHECK(stats.last_chunk_s >= stats.first_chunk_s && stats.ended_s >= stats.last_chunk_s);
    CHECK(stats.chunks == 2 && stats.late_events == 0);
    expect(stream, "one\ntwo\n", NULL);
    end_chat();
}

CASE(large_chunks_and_many_chunks_arrive_whole)
{
    enum { LARGE = 1 << 20, MANY = 3000 };
    char *chunks = malloc(LARGE + 2 * MANY + 1);
    memset(chunks, 'x', LARGE);
    for (size_t i = 0; i < MANY; i++) {
        memcpy(chunks + LARGE + 2 * i, RS "y", 2);
    }
    chunks[LARGE + 2 * MANY] = '\0';
    fake_engine_set("chunks", chunks);
    fake_engine_set("context_tokens", "8192");
    begin_chat();
    gn_stream *stream = send_text(chat, "go");
    reply all = read_all(stream);
    CHECK(all.count == 1 + MANY);
    CHECK(strspn(all.chunks, "x") == LARGE);
    free_reply(&all);
    gn_stream_release(stream);
    free(chunks);
    end_chat();
}

CASE(streams_of_two_conversations_do_not_mix)
{
    begin_chat();
    LiteRtLmConversation *other = make_conversation(engine);
    fake_engine_set("chunks", "one" RS "two");
    gn_stream *first = send_text(chat, "go");
    CHECK(gn_stream_wait_end(first, PATIENCE_S) == 1);
    fake_engine_set("chunks", "three");
    gn_stream *second = send_text(other, "go");
    expect(second, "three\n", NULL);
    expect(first, "one\ntwo\n", NULL);
    gn_conversation_delete(fake(), other);
    end_chat();
}

CASE(a_refused_send_leaves_no_stream)
{
    begin_chat();
    CHECK(gn_conversation_send_stream(fake(), chat, "{bad", NULL, &error) == NULL);
    CHECK(error.code == 3);
    CHECK_TEXT(error.message, "Failed to parse message JSON.");
    CHECK(gn_streams_alive() == 0);
    end_chat();
}

CASE(a_send_refused_after_its_end_is_freed_once)
{
    fake_engine_set("refuse_after_end", "1");
    fake_engine_set("fail_conversation_send_message_stream", "1:13:boom");
    begin_chat();
    CHECK(gn_conversation_send_stream(fake(), chat, user("go"), NULL, &error) == NULL);
    CHECK(error.code == 13);
    CHECK_TEXT(error.message, "boom");
    CHECK(gn_streams_alive() == 0);
    end_chat();
}

CASE(a_send_refused_after_a_chunk_is_freed_once)
{
    fake_engine_set("refuse_after_chunk", "1");
    begin_chat();
    CHECK(gn_conversation_send_stream(fake(), chat, user("go"), NULL, &error) == NULL);
    CHECK(error.code == GN_ERROR_UNKNOWN);
    CHECK(gn_streams_alive() == 0);
    end_chat();
}

CASE(release_of_no_stream_does_nothing)
{
    gn_stream_release(NULL);
}
