/* Engines. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LiteRtLmEngine *fe_engines;
static int last_engine_id;

void fe_check_engine(LiteRtLmEngine *engine, const char *function)
{
    if (engine == NULL) {
        fe_misuse("%s was given NULL", function);
    }
    pthread_mutex_lock(&fe_mutex);
    if (engine->deleted) {
        fe_misuse("%s was given engine %d, which is deleted", function, engine->id);
    }
    pthread_mutex_unlock(&fe_mutex);
}

static void note_options(fe_text *options, const LiteRtLmEngineSettings *settings)
{
    fe_note_text(options, "model_path", settings->model_path);
    fe_note_text(options, "backend", settings->backend);
    fe_note_text(options, "vision_backend", settings->vision_backend);
    fe_note_text(options, "audio_backend", settings->audio_backend);
    fe_note_text(options, "cache_dir", settings->cache_dir);
    fe_note_number(options, "max_num_tokens", settings->max_num_tokens);
    fe_note_number(options, "num_threads", settings->num_threads);
    fe_note_number(options, "lora_rank", settings->lora_rank);
    fe_note_number(options, "supported_lora_rank", settings->supported_lora_rank);
}

static bool backend_exists(const char *backend)
{
    const char *backends = fe_setting("backends");
    return strstr(backends != NULL ? backends : "cpu", backend) != NULL;
}

static bool can_load(const LiteRtLmEngineSettings *settings)
{
    fe_text message = {0};
    FILE *stream = fopen(settings->model_path, "rb");
    pthread_mutex_lock(&fe_mutex);
    if (fe_is_set("crash_on_load")) {
        fe_misuse("not one: the engine was told to crash on load");
    }
    if (stream == NULL) {
        fe_print(&message, "NOT_FOUND: open() failed: %s: No such file or directory", settings->model_path);
    } else if (!backend_exists(settings->backend)) {
        fe_print(&message, "NOT_FOUND: no %s accelerator", settings->backend);
    }
    pthread_mutex_unlock(&fe_mutex);
    if (stream != NULL) {
        fclose(stream);
    }
    bool loads = message.size == 0;
    if (!loads) {
        fe_set_status_error(message.data);
    }
    fe_clear(&message);
    return loads;
}

LiteRtLmEngine *litert_lm_engine_create(const LiteRtLmEngineSettings *settings)
{
    FE_ENTER();
    FE_CHECK(settings, FE_SETTINGS);
    if (FE_FAILS() || !can_load(settings)) {
        return NULL;
    }
    LiteRtLmEngine *engine = fe_allocate(sizeof *engine);
    note_options(&engine->options, settings);
    pthread_mutex_lock(&fe_mutex);
    engine->id = ++last_engine_id;
    engine->context_tokens =
        settings->max_num_tokens > 0 ? settings->max_num_tokens : fe_number("context_tokens", 1024);
    engine->lora_rank = settings->lora_rank > 0 ? settings->lora_rank : 0;
    engine->next = fe_engines;
    fe_engines = engine;
    fe_count("live_engines", 1);
    fe_log("engine_create %d", engine->id);
    pthread_mutex_unlock(&fe_mutex);
    return engine;
}

/* The real engine logs errors and leaves such conversations dangling. */
static void leave_dangling(LiteRtLmConversation *conversation)
{
    if (fe_is_set("strict")) {
        fe_misuse("engine %d deleted before conversation %d", conversation->engine->id, conversation->id);
    }
    fe_count("dangling", 1);
    conversation->abandoned = true;
    pthread_cond_broadcast(&fe_changed);
    fe_wait_idle(conversation);
}

void litert_lm_engine_delete(LiteRtLmEngine *engine)
{
    FE_ENTER();
    FE_CHECK_ENGINE(engine);
    pthread_mutex_lock(&fe_mutex);
    for (LiteRtLmConversation *one = fe_conversations; one != NULL; one = one->next) {
        if (one->engine == engine && !one->deleted) {
            leave_dangling(one);
        }
    }
    engine->deleted = true;
    fe_clear(&engine->options);
    fe_count("live_engines", -1);
    fe_log("engine_delete %d", engine->id);
    pthread_mutex_unlock(&fe_mutex);
}

void fe_restart_engine_numbers(void)
{
    last_engine_id = 0;
    for (LiteRtLmEngine *engine = fe_engines; engine != NULL; engine = engine->next) {
        engine->id = 0;
    }
}
