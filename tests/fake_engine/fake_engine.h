/* What a test can tell the stub of liblitert-lm, and ask it.
 *
 * Settings are text under a key. Each can also come from the environment: FAKE_ENGINE_TOKEN_DELAY_US=500
 * sets token_delay_us, unless fake_engine_set() has; read whenever engine settings or a model file are made.
 *
 * How a call behaves, for any function <f> (its name without "litert_lm_"):
 *   fail_<f>            "count[:code[:message]]": the next `count` calls fail (-1: all). An empty message:
 *                       fail without saying why. For functions that can fail.
 *   hold_<f>            "1": the call waits inside until the key is unset.
 *   print_<f>           the call prints these lines on stderr, separated by U+001E.
 * What a reply is (default: the stub's own memory of the chat, else an echo of the last user message):
 *   reply               text, split before each space into chunks; several, separated by U+001E, are
 *                       used in turn and the last one for ever
 *   chunks              every reply is these chunks, sent as they are, separated by U+001E
 *   chunk_replies       chunks as above for several replies, which are separated by U+001D, used in turn, the last
 *                       one for ever
 *   final_text          text that comes in the same chunk as is_final
 *   end_error           "CODE: message" that ends a generation; the conversation is then spent
 *   end_error_early     "1": that error comes in a chunk without is_final, and nothing after it
 *   context_tokens      the context size when the engine was not given one (1024)
 * How it comes:
 *   synchronous         "1": every callback runs inside send_message_stream
 *   token_delay_us      a pause before each token
 *   prefill_delay_us    a pause before the first
 *   gate                "1": each token, and each late event, waits for fake_engine_allow()
 *   never_finish        "1": no terminal event, not even after a cancel
 *   late_events         this many chunks, and one more terminal event, come after the end
 *   refuse_after_end    "1": send_message_stream ends the stream and then returns -1
 *   refuse_after_chunk  "1": it delivers one chunk, no end, and then returns -1
 *   spent               "silent": a cancelled conversation ends later sends without text or error
 *   serial              "1": create, clone, get_token_count and send_message_stream return only when no
 *                       generation of the engine runs, as the real ones do
 * Other:
 *   strict              "1": abort where the real engine only blocks, leaves things dangling, or clones what
 *                       nobody can use
 *   crash_on_load       "1": abort in engine_create, as a file with a bad tokenizer makes the real one do
 *   backends            the backends that exist, as "cpu,gpu" (default "cpu")
 *   info_<field>        a number for litert_lm_loaded_file_<field>; info_version for the version text
 *
 * Misuse aborts the process with a line that begins "fake_engine: misuse:".
 */
#ifndef FAKE_ENGINE_H_
#define FAKE_ENGINE_H_

/* Forgets settings, counts and log, and starts numbering anew. Nothing may be alive. */
void fake_engine_reset(void);
/* NULL unsets. */
void fake_engine_set(const char *key, const char *value);
/* Lets this many more gated tokens through. */
void fake_engine_allow(long tokens);

/* Calls of a function, by its name without "litert_lm_"; or one of: token, end, late, dangling,
 * live_engines, live_conversations, live_objects, generating. */
long fake_engine_get_count(const char *name);
/* Waits until that count is at least `count`: 1, or 0 on a time-out. */
int fake_engine_wait(const char *name, long count, double timeout_s);
/* One line per event, in order: "engine_create 1", "create 1", "clone 1 2", "send 1", "cancel 1",
 * "end 1 stop", "delete 1", "engine_delete 1". Valid until the next call of one of these three. */
const char *fake_engine_get_log(void);
/* The options that engine or conversation number `id` was created with, as records "key=value", each
 * followed by U+001E; and those of its sends, as "send_<key>", with the JSON as "send_message". */
const char *fake_engine_get_options(const char *kind, int id);
/* The turns that conversation number `id` holds, as records "role: text". */
const char *fake_engine_get_turns(int id);

#endif /* FAKE_ENGINE_H_ */
