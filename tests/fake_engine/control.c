/* Settings, counts, the log, the last error, and what happens on misuse. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

pthread_mutex_t fe_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t fe_changed = PTHREAD_COND_INITIALIZER;
_Thread_local bool fe_in_callback;

static const char prefix[] = "litert_lm_";

_Noreturn void fe_misuse(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    /* Not on `stderr`: that may have been taken from us (native/logs.c), and nobody reads it after this. */
    dprintf(STDERR_FILENO, "fake_engine: misuse: %s\n", line);
    abort();
}

/* ---- settings and counts: two small tables ---- */

typedef struct {
    char *key;
    char *text;   /* a setting's value, NULL when unset */
    long number;  /* a count's value */
} entry;

typedef struct {
    entry *entries;
    size_t count;
} table;

static table settings;
static table counts;

static entry *find(table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->entries[i].key, key) == 0) {
            return &table->entries[i];
        }
    }
    return NULL;
}

static entry *find_or_add(table *table, const char *key)
{
    entry *found = find(table, key);
    if (found == NULL) {
        entry *entries = fe_allocate((table->count + 1) * sizeof *entries);
        if (table->count > 0) {
            memcpy(entries, table->entries, table->count * sizeof *entries);
        }
        free(table->entries);
        table->entries = entries;
        found = &entries[table->count++];
        found->key = fe_copy(key);
    }
    return found;
}

static void empty(table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->entries[i].key);
        free(table->entries[i].text);
    }
    free(table->entries);
    table->entries = NULL;
    table->count = 0;
}

const char *fe_setting(const char *key)
{
    entry *found = find(&settings, key);
    return found != NULL ? found->text : NULL;
}

long fe_number(const char *key, long otherwise)
{
    const char *value = fe_setting(key);
    return value != NULL ? strtol(value, NULL, 10) : otherwise;
}

bool fe_is_set(const char *key)
{
    return fe_number(key, 0) != 0;
}

void fe_set(const char *key, const char *value)
{
    entry *found = find_or_add(&settings, key);
    char *copy = fe_copy(value);
    free(found->text);
    found->text = copy;
    pthread_cond_broadcast(&fe_changed);
}

void fake_engine_set(const char *key, const char *value)
{
    pthread_mutex_lock(&fe_mutex);
    fe_set(key, value);
    pthread_mutex_unlock(&fe_mutex);
}

static void set_from_environment(const char *variable)
{
    static const char start[] = "FAKE_ENGINE_";
    const char *equals = strchr(variable, '=');
    if (equals == NULL || strncmp(variable, start, sizeof start - 1) != 0) {
        return;
    }
    fe_text key = {0};
    for (const char *c = variable + sizeof start - 1; c < equals; c++) {
        char lower = (char)tolower((unsigned char)*c);
        fe_append(&key, &lower, 1);
    }
    if (key.size > 0 && find(&settings, key.data) == NULL) {
        fe_set(key.data, equals + 1);
    }
    fe_clear(&key);
}

void fe_read_environment(void)
{
    pthread_mutex_lock(&fe_mutex);
    for (char **variable = environ; *variable != NULL; variable++) {
        set_from_environment(*variable);
    }
    pthread_mutex_unlock(&fe_mutex);
}

void fe_count(const char *name, long change)
{
    find_or_add(&counts, name)->number += change;
    pthread_cond_broadcast(&fe_changed);
}

long fe_get_count(const char *name)
{
    entry *found = find(&counts, name);
    return found != NULL ? found->number : 0;
}

long fake_engine_get_count(const char *name)
{
    pthread_mutex_lock(&fe_mutex);
    long count = fe_get_count(name);
    pthread_mutex_unlock(&fe_mutex);
    return count;
}

int fake_engine_wait(const char *name, long count, double timeout_s)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += (time_t)timeout_s + 1; /* whole seconds do: it is there so that no test hangs */
    int status = 0;
    pthread_mutex_lock(&fe_mutex);
    while (fe_get_count(name) < count && status == 0) {
        status = pthread_cond_timedwait(&fe_changed, &fe_mutex, &deadline);
    }
    int reached = fe_get_count(name) >= count;
    pthread_mutex_unlock(&fe_mutex);
    return reached;
}

void fake_engine_allow(long tokens)
{
    pthread_mutex_lock(&fe_mutex);
    fe_count("allowed", tokens);
    pthread_mutex_unlock(&fe_mutex);
}

/* ---- the log and what else is handed out as text ---- */

static fe_text event_log;
static fe_text answer;

void fe_log(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fe_print(&event_log, "%s\n", line);
}

/* With fe_mutex held; gives it back. The copy lives until the next answer. */
static const char *hand_out(const fe_text *text)
{
    fe_clear(&answer);
    fe_append(&answer, text != NULL && text->data != NULL ? text->data : "",
              text != NULL ? text->size : 0);
    const char *data = answer.data;
    pthread_mutex_unlock(&fe_mutex);
    return data;
}

const char *fake_engine_get_log(void)
{
    pthread_mutex_lock(&fe_mutex);
    return hand_out(&event_log);
}

const char *fake_engine_get_options(const char *kind, int id)
{
    pthread_mutex_lock(&fe_mutex);
    const fe_text *found = NULL;
    if (strcmp(kind, "engine") == 0) {
        for (LiteRtLmEngine *engine = fe_engines; engine != NULL; engine = engine->next) {
            found = engine->id == id ? &engine->options : found;
        }
    } else {
        for (LiteRtLmConversation *one = fe_conversations; one != NULL; one = one->next) {
            found = one->id == id ? &one->options : found;
        }
    }
    return hand_out(found);
}

const char *fake_engine_get_turns(int id)
{
    fe_text turns = {0};
    pthread_mutex_lock(&fe_mutex);
    for (LiteRtLmConversation *one = fe_conversations; one != NULL; one = one->next) {
        for (size_t i = 0; one->id == id && i < one->turn_count; i++) {
            fe_print(&turns, "%s: %s" FE_RECORD, one->turns[i].role, one->turns[i].text);
        }
    }
    const char *text = hand_out(&turns);
    fe_clear(&turns);
    return text;
}

/* ---- every call ---- */

/* With fe_mutex held. In two pieces a line, as the real engine's writers do it. */
static void print_lines(const char *lines)
{
    for (const char *line = lines; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, FE_RECORD);
        fprintf(stderr, "%.*s", (int)length, line);
        fputc('\n', stderr);
        line += length + (line[length] != '\0');
    }
}

void fe_enter(const char *function)
{
    const char *name = function + sizeof prefix - 1;
    if (fe_in_callback) {
        fe_misuse("%s called from inside a stream callback", function);
    }
    char hold[128], print[128];
    snprintf(hold, sizeof hold, "hold_%s", name);
    snprintf(print, sizeof print, "print_%s", name);
    pthread_mutex_lock(&fe_mutex);
    fe_count(name, 1);
    print_lines(fe_setting(print));
    while (fe_is_set(hold)) {
        pthread_cond_wait(&fe_changed, &fe_mutex);
    }
    pthread_mutex_unlock(&fe_mutex);
}

/* Takes one off "count[:code[:message]]", and tells code and message; false when none was left. */
static bool take_failure(const char *key, int *code, char *message, size_t room)
{
    const char *value = fe_setting(key);
    char *rest = NULL;
    long left = value != NULL ? strtol(value, &rest, 10) : 0;
    if (left == 0) {
        return false;
    }
    char *copy = fe_copy(rest);
    char *text = copy[0] == ':' ? strchr(copy + 1, ':') : NULL;
    *code = copy[0] == ':' && copy[1] != ':' && copy[1] != '\0' ? atoi(copy + 1) : 13;
    if (text != NULL) {
        snprintf(message, room, "%s", text + 1);
    }
    if (left > 0) {
        fe_text fewer = {0};
        fe_print(&fewer, "%ld%s", left - 1, copy);
        fe_set(key, fewer.data);
        fe_clear(&fewer);
    }
    free(copy);
    return true;
}

bool fe_fails(const char *function)
{
    char key[128];
    static _Thread_local char message[8192];
    int code = 0;
    snprintf(key, sizeof key, "fail_%s", function + sizeof prefix - 1);
    snprintf(message, sizeof message, "INTERNAL: %s was told to fail", function);
    pthread_mutex_lock(&fe_mutex);
    bool fails = take_failure(key, &code, message, sizeof message);
    pthread_mutex_unlock(&fe_mutex);
    if (fails && message[0] != '\0') {
        fe_set_error(code, message);
    }
    return fails;
}

/* ---- the last error of this thread ---- */

static _Thread_local int last_code;
static _Thread_local char last_message[8192];
static _Thread_local bool has_last_message;

void fe_set_error(int code, const char *message)
{
    last_code = code;
    snprintf(last_message, sizeof last_message, "%s", message);
    has_last_message = true;
}

void fe_set_status_error(const char *status)
{
    static const struct {
        const char *word;
        int code;
    } codes[] = {
        {"CANCELLED:", 1},      {"INVALID_ARGUMENT:", 3}, {"NOT_FOUND:", 5},
        {"UNIMPLEMENTED:", 12}, {"INTERNAL:", 13},
    };
    int code = 2; /* UNKNOWN */
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strncmp(status, codes[i].word, strlen(codes[i].word)) == 0) {
            code = codes[i].code;
        }
    }
    fe_set_error(code, status);
}

int litert_lm_get_last_error_code(void)
{
    FE_ENTER();
    return last_code;
}

const char *litert_lm_get_last_error_message(void)
{
    FE_ENTER();
    return has_last_message ? last_message : NULL;
}

void litert_lm_clear_last_error(void)
{
    FE_ENTER();
    last_code = 0;
    has_last_message = false;
}

void litert_lm_set_min_log_level(int level)
{
    FE_ENTER();
    pthread_mutex_lock(&fe_mutex);
    fe_log("log_level %d", level);
    pthread_mutex_unlock(&fe_mutex);
}

void fake_engine_reset(void)
{
    pthread_mutex_lock(&fe_mutex);
    long alive = fe_get_count("live_engines") + fe_get_count("live_conversations");
    if (alive + fe_get_count("live_objects") > 0) {
        fe_misuse("reset while engines, conversations or other objects are alive");
    }
    empty(&settings);
    empty(&counts);
    fe_clear(&event_log);
    fe_restart_engine_numbers();
    fe_restart_conversation_numbers();
    fe_restart_gate();
    pthread_mutex_unlock(&fe_mutex);
}
