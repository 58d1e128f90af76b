/* What the library prints on stderr is taken there, and nothing else is. */
#define _GNU_SOURCE

#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_CLO_CHANGE(option)
#endif

#define RECORD "\x1E"
enum { ROOM = 1 << 16 };

static void capture(void)
{
    fake();
    CHECK(gn_logs_capture(path_to("liblitert-lm.so")) == 1);
}

/* Has the library print lines, from inside one of its functions. */
static void print(const char *these)
{
    fake_engine_set("print_set_min_log_level", these);
    gn_set_min_log_level(fake(), 5);
    fake_engine_set("print_set_min_log_level", NULL);
}

/* All that was taken, and how many lines were not; valid until the next call. */
static const char *take_all(size_t *dropped)
{
    static char text[8 * ROOM];
    size_t size = 0, more, lost;
    *dropped = 0;
    do {
        CHECK(size + ROOM < sizeof text);
        more = gn_logs_take(text + size, ROOM, &lost);
        size += more;
        *dropped += lost;
    } while (more > 0);
    text[size] = '\0';
    return text;
}

static void expect_lines(const char *expected)
{
    size_t dropped;
    CHECK_TEXT(take_all(&dropped), expected);
    CHECK(dropped == 0);
}

CASE(what_the_library_prints_is_taken_line_by_line)
{
    capture();
    CHECK(gn_logs_wait(0) == 0);
    print("one" RECORD "two three" RECORD "größer");
    CHECK(gn_logs_wait(PATIENCE_S) == 1);
    expect_lines("one\ntwo three\ngrößer\n");
    CHECK(gn_logs_wait(0) == 0);
}

CASE(a_capture_can_be_repeated)
{
    capture();
    capture();
    print("once");
    expect_lines("once\n");
}

CASE(what_is_not_open_or_never_prints_is_not_captured)
{
    CHECK(gn_logs_capture(path_to("nothing-here")) == 0);
    CHECK(gn_logs_capture(path_to("model.litertlm")) == 0);
    CHECK(gn_api_open(path_to("empty/libempty.so"), &error) == NULL); /* and it stays in the process */
    CHECK(gn_logs_capture(path_to("empty/libempty.so")) == 0);
}

/* What file descriptor 2 gets while `work` runs in a child process; `*status` is how that ends. */
static const char *printed_by_child(void (*work)(void), int *status)
{
    static char text[ROOM];
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm((unsigned)PATIENCE_S); /* a child that hangs */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        work();
        _exit(0);
    }
    close(ends[1]);
    size_t size = 0;
    ssize_t more;
    while ((more = read(ends[0], text + size, sizeof text - 1 - size)) > 0) {
        size += (size_t)more;
    }
    text[size] = '\0';
    close(ends[0]);
    CHECK(waitpid(child, status, 0) == child);
    return text;
}

static void print_of_our_own(void)
{
    print("the library's");
    fprintf(stderr, "ours\n");
    CHECK(write(STDERR_FILENO, "raw\n", 4) == 4);
    CHECK(system("echo a child\\'s >&2") == 0);
    expect_lines("the library's\n");
}

CASE(what_others_print_is_left_alone)
{
    capture();
    int status;
    CHECK_TEXT(printed_by_child(print_of_our_own, &status), "ours\nraw\na child's\n");
    CHECK(status == 0);
}

static void say_last_words(void)
{
    print("E0000 00:00:1795532824.1   11288 a.cc:1] an error" RECORD "FIRST F1 F0000 is no fatal line" RECORD
          "F1234 5 begins none either");
    print("F0000 00:00:1795532824.2   11288 darts.h:9] failed to build" RECORD "    @ 0x1  start");
    abort();
}

CASE(last_words_reach_file_descriptor_2)
{
    capture();
    int status;
    CHECK_TEXT(printed_by_child(say_last_words, &status),
               "F0000 00:00:1795532824.2   11288 darts.h:9] failed to build\n    @ 0x1  start\n");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void die_of_an_exception(void)
{
    print("libc++abi: terminating due to uncaught exception");
}

CASE(the_runtimes_farewell_reaches_file_descriptor_2)
{
    capture();
    int status;
    CHECK_TEXT(printed_by_child(die_of_an_exception, &status), "libc++abi: terminating due to uncaught exception\n");
}

CASE(a_line_that_is_too_long_is_cut_and_the_next_is_whole)
{
    capture();
    static char longer[20001];
    memset(longer, 'x', sizeof longer - 1);
    print(longer);
    print("next");
    size_t dropped;
    const char *text = take_all(&dropped);
    CHECK(dropped == 0 && strspn(text, "x") == 8191);
    CHECK_TEXT(text + 8191, "\nnext\n");
}

CASE(the_oldest_lines_make_room_and_are_counted)
{
    capture();
    enum { LINES = 8000 };
    char line[64];
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "line %05d of those that nobody reads", i);
        print(line);
    }
    size_t dropped, kept = 0;
    const char *text = take_all(&dropped);
    CHECK(dropped > 0);
    snprintf(line, sizeof line, "line %05zu of", dropped);
    CHECK(strncmp(text, line, strlen(line)) == 0);
    for (const char *c = text; *c != '\0'; c++) {
        kept += *c == '\n';
    }
    CHECK(kept + dropped == LINES);
    CHECK_HAS(text, "line 07999 of");
}

CASE(a_small_room_takes_whole_lines_and_leaves_the_rest)
{
    capture();
    print("first" RECORD "second");
    char room[8];
    size_t dropped;
    CHECK(gn_logs_take(room, sizeof room, &dropped) == 6 && memcmp(room, "first\n", 6) == 0);
    CHECK(gn_logs_take(room, sizeof room, &dropped) == 7 && memcmp(room, "second\n", 7) == 0);
    CHECK(gn_logs_take(room, sizeof room, &dropped) == 0);
}

/* ---- threads ---- */

enum { WRITERS = 4, LINES_EACH = 500 };
static atomic_int writing;
static atomic_long written;
static atomic_bool enough;

static void *write_lines(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES_EACH && !atomic_load(&enough); i++) {
        gn_set_min_log_level(fake(), 5);
        atomic_fetch_add(&written, 1);
    }
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

static void start_writers(pthread_t *threads, const char *line)
{
    fake_engine_set("print_set_min_log_level", line);
    atomic_store(&writing, WRITERS);
    atomic_store(&written, 0);
    atomic_store(&enough, false);
    for (int i = 0; i < WRITERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, write_lines, NULL) == 0);
    }
}

static void join_writers(pthread_t *threads)
{
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    static const char line[] = "a line of a thread\n";
    for (; *text != '\0'; text += sizeof line - 1, count++) {
        CHECK(strncmp(text, line, sizeof line - 1) == 0);
    }
    return count;
}

CASE(many_threads_print_while_one_takes)
{
    capture();
    pthread_t threads[WRITERS];
    start_writers(threads, "a line of a thread");
    size_t count = 0, dropped;
    while (count < (size_t)WRITERS * LINES_EACH) {
        CHECK(gn_logs_wait(PATIENCE_S) == 1);
        count += count_lines(take_all(&dropped));
        CHECK(dropped == 0);
    }
    join_writers(threads);
    expect_lines("");
}

/* fork() and flush in a process whose threads print all the time. ThreadSanitizer does not know that the child
 * has none of those threads. */
#ifdef __SANITIZE_THREAD__
enum { FORKS = 0 };
#else
enum { FORKS = 10 };
#endif

static void take_in_child(void)
{
    /* What the parent's other threads held is lost here, and that is no leak. */
    VALGRIND_CLO_CHANGE("--leak-check=no");
    size_t dropped;
    take_all(&dropped);
    CHECK(gn_logs_wait(0) == 0);
}

static void *flush_all(void *unused)
{
    (void)unused;
    while (atomic_load(&writing) > 0) {
        fflush(NULL);
        sched_yield(); /* or nobody else gets at stdio's locks for a long time, where threads take turns */
    }
    return NULL;
}

CASE(a_child_forked_while_others_print_takes_no_harm)
{
    capture();
    /* So long that the mutex is held for most of the time. */
    static char line[8001];
    memset(line, 'x', sizeof line - 1);
    pthread_t threads[WRITERS], flusher;
    start_writers(threads, line);
    CHECK(pthread_create(&flusher, NULL, flush_all, NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        int status;
        printed_by_child(take_in_child, &status);
        CHECK(status == 0);
    }
    atomic_store(&enough, true);
    join_writers(threads);
    pthread_join(flusher, NULL);
    size_t dropped;
    const char *text = take_all(&dropped);
    CHECK((long)(strlen(text) / sizeof line + dropped) == atomic_load(&written));
}

static void *wait_long(void *unused)
{
    (void)unused;
    CHECK(gn_logs_wait(1e9) == 0);
    return NULL;
}

static void stop_a_waiter(void)
{
    pthread_t waiter;
    CHECK(pthread_create(&waiter, NULL, wait_long, NULL) == 0);
    gn_logs_stop();
    pthread_join(waiter, NULL);
    CHECK(gn_logs_wait(1e9) == 0);
}

CASE(a_stop_ends_the_wait)
{
#ifdef __SANITIZE_THREAD__
    return; /* it allows no threads in a forked child, and says so when another case's thread still ends */
#endif
    capture();
    /* In a child, because it is for good. */
    int status;
    CHECK_TEXT(printed_by_child(stop_a_waiter, &status), "");
    CHECK(status == 0);
}
