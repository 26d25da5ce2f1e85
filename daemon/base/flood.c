/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the counts of such lines. mu is held while they are counted, not while a line is written. */
#include "base/flood.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define LENGTH_NS (PH_FLOOD_SECONDS * NS_PER_S)

struct budget {
    const char *text; /* of what was not written */
    unsigned most;    /* lines of a period */
    unsigned lines;   /* of this period; 0: none has begun */
    uint64_t begun_ns;
    uint64_t more;    /* that were not written */
};

static struct budget budgets[PH_FLOODS] = {
    [PH_FLOOD_NEWCOMERS] = {.most = 20, .text = "connections were refused, or ended before their hello,"},
    [PH_FLOOD_CLIENTS] = {.most = 200, .text = "requests were refused, or connections ended for what the client did,"},
    [PH_FLOOD_DRIVERS] = {.most = 200, .text = "lines about drivers and their ports were left out"},
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the budgets; a leaf */
static void (*await_end)(enum ph_flood what, uint64_t due_ns);

void ph_flood_on_excess(void (*await)(enum ph_flood what, uint64_t due_ns))
{
    await_end = await;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* How many lines its summary has to tell of. */
static uint64_t end_period_locked(struct budget *b)
{
    uint64_t more = b->more;
    b->more = 0;
    b->lines = 0;
    return more;
}

static void tell_more(const struct budget *b, uint64_t more)
{
    if (more > 0)
        ph_log(PH_LOG_WARNING, NULL, "%" PRIu64 " more %s within %u seconds", more, b->text, PH_FLOOD_SECONDS);
}

/* May a line be written? */
static bool take(enum ph_flood what)
{
    struct budget *b = &budgets[what];
    uint64_t now = now_ns(), before = 0;
    pthread_mutex_lock(&mu);
    if (b->lines > 0 && now - b->begun_ns >= LENGTH_NS)
        before = end_period_locked(b);
    if (b->lines == 0)
        b->begun_ns = now;
    bool may = b->lines < b->most, first = !may && b->more == 0;
    uint64_t due = b->begun_ns + LENGTH_NS;
    b->lines += may;
    b->more += !may;
    pthread_mutex_unlock(&mu);
    tell_more(b, before);
    if (first && await_end)
        await_end(what, due);
    return may;
}

void ph_log_flood(enum ph_flood what, enum ph_log_level level, const struct ph_where *where, const char *fmt, ...)
{
    if (!ph_log_wants(level))
        return;
    int saved = errno;
    bool may = ph_log_wants(PH_LOG_DEBUG) || take(what);
    errno = saved;
    va_list ap;
    va_start(ap, fmt);
    if (may)
        ph_vlog(level, where, fmt, ap);
    va_end(ap);
}

static void end_period(enum ph_flood what, uint64_t least_ns)
{
    struct budget *b = &budgets[what];
    uint64_t now = now_ns(), more = 0;
    pthread_mutex_lock(&mu);
    if (now - b->begun_ns >= least_ns)
        more = end_period_locked(b);
    pthread_mutex_unlock(&mu);
    tell_more(b, more);
}

void ph_flood_over(enum ph_flood what)
{
    end_period(what, LENGTH_NS);
}

void ph_flood_end(void)
{
    for (int i = 0; i < PH_FLOODS; i++)
        end_period((enum ph_flood)i, 0);
}
