/* SPDX-License-Identifier: Apache-2.0 */
/* memory_TARGET EVERY FILE...: each file is an input of the fuzz target, conn or hello (tests/fuzz), with which this is linked. It is run again and again, and each time another
 * allocation of the daemon's fails: the 1st, the one EVERY later, and so on until all have had their turn. Each is tried in two ways: that one alone, and all from
 * there to the end. The target asserts that the daemon writes nothing but whole frames and that connections and ports end; here is asserted that the reserve is given back, and
 * that the next client finds everything well as soon as there is memory. The leak checker has the last word.
 *
 * malloc is wrapped for what is linked here; libevent and zlib are told to use the same, and what allocates in libc is wrapped itself. Allocations of this thread, the clients',
 * never fail. */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include "../fuzz/fuzz.h"
#include "base/mem.h"
#include "conn/conn.h"

#define PATIENCE_MS 20000

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__real_strndup(const char *s, size_t n);
char *__real_realpath(const char *name, char *to);
int __real_inflateInit_(z_streamp z, const char *version, int size);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_realpath(const char *name, char *to);
int __wrap_inflateInit_(z_streamp z, const char *version, int size);

static _Thread_local bool client; /* the main thread */
static atomic_ulong seen;
static atomic_ulong first = ULONG_MAX, last; /* which fail */

static bool fails(void)
{
    if (client)
        return false;
    unsigned long n = atomic_fetch_add(&seen, 1) + 1;
    bool yes = n >= first && n <= last;
    if (yes)
        errno = ENOMEM;
    return yes;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

/* --- what allocates elsewhere --- */

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

char *__wrap_realpath(const char *name, char *to)
{
    return fails() ? NULL : __real_realpath(name, to);
}

static voidpf zlib_alloc(voidpf opaque, uInt n, uInt size)
{
    (void)opaque;
    return __wrap_calloc(n, size);
}

static void zlib_free(voidpf opaque, voidpf p)
{
    (void)opaque;
    free(p);
}

int __wrap_inflateInit_(z_streamp z, const char *version, int size)
{
    z->zalloc = zlib_alloc;
    z->zfree = zlib_free;
    return __real_inflateInit_(z, version, size);
}

/* --- which fail --- */

static void arm(unsigned long from, unsigned long to)
{
    last = to;
    first = from;
    seen = 0;
}

static void disarm(void)
{
    first = ULONG_MAX;
}

/* --- the next client --- */

static void await_input(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    int n;
    while ((n = poll(&pfd, 1, PATIENCE_MS)) < 0 && errno == EINTR)
        ;
    FUZZ_ASSERT(n == 1);
}

/* Says hello, asks for a ping, and must be answered both; then it goes, and so must its connection. */
static void well(void)
{
    static const char requests[] = "\0\0\0\x11\x83h\3w\5helloa\1t\0\0\0\0" "\0\0\0\x0b\x83h\2w\4pinga\x2a";
    static const char pong[] = "h\3w\2oka\x2aw\4pong";
    char heard[1024];
    size_t len = 0;
    int fds[2];
    FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    FUZZ_ASSERT(send(fds[0], requests, sizeof requests - 1, 0) == sizeof requests - 1);
    ph_conn_start(NULL, NULL, fds[1], fds[1]);
    while (!memmem(heard, len, pong, sizeof pong - 1)) {
        await_input(fds[0]);
        ssize_t n = read(fds[0], heard + len, sizeof heard - len);
        FUZZ_ASSERT(n > 0);
        len += (size_t)n;
    }
    close(fds[0]);
    for (int ms = 0; ph_conns_count(); ms++) {
        FUZZ_ASSERT(ms < PATIENCE_MS);
        usleep(1000);
    }
}

/* --- one input --- */

struct input {
    const char *name;
    uint8_t *data;
    size_t size;
};

static void try(const struct input *in, unsigned long from, unsigned long to)
{
    static size_t before; /* what threads keep that came to be in an earlier try is found there */
    fprintf(stderr, "%s: allocations %lu to %lu of %s\n", __func__, from, to, in->name);
    arm(from, to);
    LLVMFuzzerTestOneInput(in->data, in->size);
    disarm();
    well();
    size_t kept = ph_reserve_used();
    FUZZ_ASSERT(kept <= before + 16); /* a frame buffer, a block of counters: once for each thread, for ever */
    before = kept > before ? kept : before;
    FUZZ_ASSERT(before < PH_RESERVE_BLOCKS / 4);
}

static unsigned long run(const struct input *in, unsigned long every)
{
    unsigned long n, tries = 0;
    arm(ULONG_MAX, 0);
    LLVMFuzzerTestOneInput(in->data, in->size);
    unsigned long all = seen;
    for (n = 1; n <= all; n += every) {
        try(in, n, n);
        try(in, n, ULONG_MAX - 1);
        tries += 2;
    }
    return tries;
}

static struct input read_file(const char *name)
{
    struct input in = {.name = name};
    FILE *f = fopen(name, "rbe");
    FUZZ_ASSERT(f && fseek(f, 0, SEEK_END) == 0);
    in.size = (size_t)ftell(f);
    in.data = malloc(in.size + 1);
    rewind(f);
    FUZZ_ASSERT(in.data && fread(in.data, 1, in.size, f) == in.size);
    fclose(f);
    return in;
}

int main(int argc, char **argv)
{
    unsigned long tries = 0;
    client = true;
    event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
    for (int i = 2; i < argc; i++) {
        struct input in = read_file(argv[i]);
        tries += run(&in, strtoul(argv[1], NULL, 10));
        free(in.data);
    }
    printf("%lu allocations failed\n%d passed\n", tries, argc - 2);
    return 0;
}
