/* The engine's log, taken from its `stderr` before it reaches file descriptor 2. See shim.h for the contract.
 *
 * All four writers in liblitert-lm (absl, LiteRT, TFLite, Dawn) print with libc's stdio on `stderr`, and the
 * library finds that variable by one slot of its own, which the dynamic linker has filled (a GLOB_DAT
 * relocation). Pointing the slot at a FILE of ours takes the library's output and nobody else's: no other
 * library, no child process, and not the descriptor. The FILE's write callback runs on the engine's threads
 * and only copies lines.
 */
#define _GNU_SOURCE /* dlinfo, fopencookie, RTLD_NOLOAD */

#include "shim.h"

#include <stdio.h> /* defines __GLIBC__ */

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- the lines ---- */

enum {
    LINE_BYTES = 8192,     /* the rest of a longer line is cut off */
    RING_BYTES = 1 << 18,  /* a thousand lines or more; a load at the most talkative level has 171 */
};

/* Guards `lines`. Held for the copying of a line, never across a call to anything else but the write() of a
 * process that is about to abort. */
static pthread_mutex_t mutex;
static pthread_cond_t arrived;

static struct {
    char ring[RING_BYTES]; /* whole lines, each with its '\n' */
    size_t first;
    size_t size;
    size_t dropped; /* lines that had to make room, since the last gn_logs_take() */
    char line[LINE_BYTES]; /* the one that is being written */
    size_t length;
    bool last_words; /* the process is about to end: lines go to file descriptor 2, too */
    bool stopped;
} lines;

static void drop_oldest_line(void)
{
    char byte;
    do {
        byte = lines.ring[lines.first];
        lines.first = (lines.first + 1) % RING_BYTES;
        lines.size--;
    } while (byte != '\n');
    lines.dropped++;
}

static void keep_line(void)
{
    while (RING_BYTES - lines.size < lines.length) {
        drop_oldest_line();
    }
    for (size_t i = 0; i < lines.length; i++) {
        lines.ring[(lines.first + lines.size++) % RING_BYTES] = lines.line[i];
    }
}

static bool starts_with(const char *pattern)
{
    size_t i = 0;
    for (; pattern[i] != '\0' && i < lines.length; i++) {
        char byte = lines.line[i];
        bool fits = pattern[i] == '#' ? byte >= '0' && byte <= '9' : byte == pattern[i];
        if (!fits) {
            return false;
        }
    }
    return pattern[i] == '\0';
}

static void write_through(void)
{
    size_t written = 0;
    while (written < lines.length) {
        ssize_t more = write(STDERR_FILENO, lines.line + written, lines.length - written);
        if (more < 0 && errno != EINTR) {
            return;
        }
        written += more > 0 ? (size_t)more : 0;
    }
}

static void end_line(void)
{
    lines.line[lines.length++] = '\n';
    /* absl's FATAL, with its stack on the lines after it, and the C++ runtime's farewell. What is only kept
     * here dies with the process, and people would see a kernel that is gone without a word. */
    if (starts_with("F#### ##:##:#") || starts_with("libc++abi: ")) {
        lines.last_words = true;
    }
    if (lines.last_words) {
        write_through();
    }
    keep_line();
    lines.length = 0;
}

static ssize_t take_written(void *cookie, const char *data, size_t size)
{
    (void)cookie;
    pthread_mutex_lock(&mutex);
    bool ended = false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            end_line();
            ended = true;
        } else if (lines.length < LINE_BYTES - 1) {
            lines.line[lines.length++] = data[i];
        }
    }
    if (ended) {
        pthread_cond_broadcast(&arrived);
    }
    pthread_mutex_unlock(&mutex);
    return (ssize_t)size;
}

/* The oldest line, if it fits into `room`: its bytes, or 0. */
static size_t take_line(char *to, size_t room)
{
    size_t length = 0;
    while (length < lines.size && length < room) {
        to[length] = lines.ring[(lines.first + length) % RING_BYTES];
        if (to[length++] == '\n') {
            lines.first = (lines.first + length) % RING_BYTES;
            lines.size -= length;
            return length;
        }
    }
    return 0;
}

size_t gn_logs_take(char *buffer, size_t room, size_t *dropped)
{
    size_t taken = 0;
    pthread_mutex_lock(&mutex);
    for (size_t more; (more = take_line(buffer + taken, room - taken)) > 0; taken += more) {
    }
    *dropped = lines.dropped;
    lines.dropped = 0;
    pthread_mutex_unlock(&mutex);
    return taken;
}

static struct timespec deadline_after(double timeout_s)
{
    const double year_s = 365.0 * 24 * 3600;
    double wait_s = timeout_s > 0 ? timeout_s : 0; /* NaN too */
    wait_s = wait_s < year_s ? wait_s : year_s;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    long nanoseconds = time.tv_nsec + (long)((wait_s - (double)(time_t)wait_s) * 1e9);
    time.tv_sec += (time_t)wait_s + nanoseconds / 1000000000;
    time.tv_nsec = nanoseconds % 1000000000;
    return time;
}

int gn_logs_wait(double timeout_s)
{
    struct timespec deadline = deadline_after(timeout_s);
    int status = 0;
    pthread_mutex_lock(&mutex);
    while (lines.size == 0 && !lines.stopped && status == 0) {
        status = pthread_cond_timedwait(&arrived, &mutex, &deadline);
    }
    int something = lines.size > 0;
    pthread_mutex_unlock(&mutex);
    return something;
}

void gn_logs_stop(void)
{
    pthread_mutex_lock(&mutex);
    lines.stopped = true;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&mutex);
}

/* ---- the FILE ---- */

static FILE *engine_stderr;
static pthread_mutex_t capture_mutex;

static void init_locks(void)
{
    pthread_mutex_init(&mutex, NULL);
    pthread_mutex_init(&capture_mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&arrived, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* A thread that held the mutex in the parent does not exist here, and what it was writing is half done.
 * (Taking the mutex before the fork would be a deadlock with fflush(NULL), which comes here with stdio's
 * own locks held, and fork() wants those next.) */
static void start_anew_in_child(void)
{
    init_locks();
    lines.first = lines.size = lines.dropped = lines.length = 0;
    lines.last_words = lines.stopped = false;
}

__attribute__((constructor)) static void prepare(void)
{
    init_locks();
    pthread_atfork(NULL, NULL, start_anew_in_child);
}

/* Called with capture_mutex held. Stays open until the process ends. */
static bool open_file(void)
{
    static char buffer[LINE_BYTES];
    if (engine_stderr == NULL) {
        engine_stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_written});
        if (engine_stderr != NULL) {
            setvbuf(engine_stderr, buffer, _IOLBF, sizeof buffer);
        }
    }
    return engine_stderr != NULL;
}

/* ---- the slot ---- */

#ifdef __x86_64__
#define GLOB_DAT R_X86_64_GLOB_DAT
#else
#define GLOB_DAT R_AARCH64_GLOB_DAT
#endif

/* What of a library's dynamic section leads to the slot. */
typedef struct {
    const struct link_map *map;
    const ElfW(Rela) *relocations;
    size_t relocations_size;
    const ElfW(Sym) *symbols;
    const char *names;
} dynamic_part;

/* glibc has replaced the offsets in most libraries' sections by addresses, but not in read-only ones. */
static const void *address_in(const struct link_map *map, ElfW(Addr) value)
{
    return (const void *)(value < map->l_addr ? map->l_addr + value : value);
}

static bool read_dynamic_section(const struct link_map *map, dynamic_part *part)
{
    *part = (dynamic_part){.map = map};
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_RELA:
            part->relocations = address_in(map, entry->d_un.d_ptr);
            break;
        case DT_RELASZ:
            part->relocations_size = entry->d_un.d_val;
            break;
        case DT_SYMTAB:
            part->symbols = address_in(map, entry->d_un.d_ptr);
            break;
        case DT_STRTAB:
            part->names = address_in(map, entry->d_un.d_ptr);
            break;
        default:
            break;
        }
    }
    return part->relocations != NULL && part->symbols != NULL && part->names != NULL;
}

static bool is_for_stderr(const dynamic_part *part, const ElfW(Rela) *relocation)
{
    if (ELF64_R_TYPE(relocation->r_info) != GLOB_DAT || relocation->r_addend != 0) {
        return false;
    }
    const ElfW(Sym) *symbol = &part->symbols[ELF64_R_SYM(relocation->r_info)];
    return strcmp(part->names + symbol->st_name, "stderr") == 0;
}

/* The pages that the dynamic linker has made read-only once it had filled them (RELRO). */
typedef struct {
    ElfW(Addr) library;
    ElfW(Addr) begin;
    ElfW(Addr) end;
} read_only_part;

static int find_read_only_part(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    read_only_part *part = data;
    if (info->dlpi_addr != part->library) {
        return 0;
    }
    ElfW(Addr) page = (ElfW(Addr))sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_GNU_RELRO) {
            part->begin = (info->dlpi_addr + header->p_vaddr) & ~(page - 1);
            part->end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(page - 1);
        }
    }
    return 1;
}

/* Other threads may be inside the library: the page stays readable and the slot changes in one store. */
static bool write_slot(const struct link_map *map, FILE ***slot, FILE **target)
{
    read_only_part read_only = {.library = map->l_addr};
    dl_iterate_phdr(find_read_only_part, &read_only);
    ElfW(Addr) address = (ElfW(Addr))slot;
    bool locked = address >= read_only.begin && address < read_only.end;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *its_page = (void *)(address & ~(ElfW(Addr))(page - 1));
    if (locked && mprotect(its_page, page, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    __atomic_store_n(slot, target, __ATOMIC_RELEASE);
    if (locked) {
        mprotect(its_page, page, PROT_READ);
    }
    return true;
}

static bool redirect(const struct link_map *map)
{
    dynamic_part part;
    if (!read_dynamic_section(map, &part)) {
        return false;
    }
    bool redirected = false;
    for (size_t i = 0; i < part.relocations_size / sizeof *part.relocations; i++) {
        const ElfW(Rela) *relocation = &part.relocations[i];
        if (!is_for_stderr(&part, relocation)) {
            continue;
        }
        FILE ***slot = (FILE ***)(map->l_addr + relocation->r_offset);
        /* Anything else in it: somebody was here before us, or this is not what we take it for. */
        if (*slot == &stderr && !write_slot(map, slot, &engine_stderr)) {
            return false;
        }
        redirected = redirected || *slot == &engine_stderr;
    }
    return redirected;
}

int gn_logs_capture(const char *library_path)
{
    void *library = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
    if (library == NULL) {
        return 0;
    }
    struct link_map *map = NULL;
    pthread_mutex_lock(&capture_mutex);
    bool captured = dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && open_file() && redirect(map);
    pthread_mutex_unlock(&capture_mutex);
    dlclose(library);
    return captured;
}

#else /* Another executable format or C library: the engine's log stays where the engine puts it. */

int gn_logs_capture(const char *library_path)
{
    (void)library_path;
    return 0;
}

int gn_logs_wait(double timeout_s)
{
    (void)timeout_s;
    return 0;
}

size_t gn_logs_take(char *buffer, size_t room, size_t *dropped)
{
    (void)buffer;
    (void)room;
    *dropped = 0;
    return 0;
}

void gn_logs_stop(void)
{
}

#endif
