/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the names of drivers that are checked, and how often each broke which rule. Reports go to the log, one at a time. */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/counters.h"
#include "base/mem.h"
#include "base/thread.h"
#include "check/violation.h"
#include "check/memory.h"

#define OWN_THREAD "a thread of its own" /* instead of a callback */
#define TOLD_MAX 20u /* reports of a driver and a kind that are written; the others are only counted */

bool ph_checking_on;

static const struct ph_where *(*where_of_port)(const struct ph_port *p, struct ph_where *where);

struct named {
    STAILQ_ENTRY(named) link;
    uint64_t counts[PH_VIOLATION_COUNT];
    char name[];
};

static pthread_mutex_t names_mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list, which only grows, and the counts; a leaf */
static STAILQ_HEAD(, named) all = STAILQ_HEAD_INITIALIZER(all);
static pthread_mutex_t tell_mu = PTHREAD_MUTEX_INITIALIZER; /* the lines of a report stay together; over the log */

static const char *const kind_names[] = {
#define X(name, text) #text,
    PH_VIOLATIONS(X)
#undef X
};

const char *ph_violation_name(enum ph_violation kind)
{
    return kind_names[kind];
}

void ph_check_start(const struct ph_where *(*where_of)(const struct ph_port *p, struct ph_where *where))
{
    ph_stack_start();
    ph_blocks_start();
    where_of_port = where_of;
    ph_checking_on = true;
}

/* --- who --- */

/* The one with that name; len bytes of it. */
static struct named *named_locked(const char *name, size_t len)
{
    struct named *d;
    STAILQ_FOREACH(d, &all, link)
        if (strlen(d->name) == len && memcmp(d->name, name, len) == 0)
            return d;
    d = ph_calloc(1, sizeof *d + len + 1);
    memcpy(d->name, name, len);
    STAILQ_INSERT_TAIL(&all, d, link);
    return d;
}

static const char *lasting_name(const char *name, size_t len)
{
    pthread_mutex_lock(&names_mu);
    const char *lasting = named_locked(name, len)->name;
    pthread_mutex_unlock(&names_mu);
    return lasting;
}

struct ph_who ph_who_driver(const char *name, const char *callback)
{
    return (struct ph_who){.driver = lasting_name(name, strcspn(name, " ")), .callback = callback};
}

static struct ph_who who_of_port(void)
{
    struct ph_where where;
    where_of_port(ph_self.port, &where);
    struct ph_who who = ph_who_driver(where.driver, ph_self.callback);
    who.has_port = true;
    who.port = where.port;
    who.connection = where.connection;
    return who;
}

/* A thread that the host knows nothing of is known by its code. */
static struct ph_who who_foreign(const struct ph_stack *s)
{
    char object[256];
    if (!ph_stack_object(s, object, sizeof object))
        return (struct ph_who){.callback = OWN_THREAD};
    return ph_who_driver(object, OWN_THREAD);
}

void ph_act_now(struct ph_act *a)
{
    *a = (struct ph_act){.who.callback = "no callback"};
    bool is_driver = ph_self.port || ph_self.driver, is_own = ph_self.kind == PH_THREAD_FOREIGN || ph_self.kind == PH_THREAD_DRIVER;
    if (!is_driver && !is_own) /* the host itself */
        return;
    ph_stack_take(&a->stack);
    if (ph_self.port)
        a->who = who_of_port();
    else if (ph_self.driver)
        a->who = ph_who_driver(ph_self.driver, ph_self.callback ? ph_self.callback : OWN_THREAD);
    else
        a->who = who_foreign(&a->stack);
}

const char *ph_who_text(const struct ph_who *who, char *buf, size_t size)
{
    if (who->has_port)
        snprintf(buf, size, "in %s of port %" PRIu64 " of %s", who->callback, who->port, who->driver);
    else if (who->driver)
        snprintf(buf, size, "in %s of %s", who->callback, who->driver);
    else
        snprintf(buf, size, "by the host");
    return buf;
}

/* --- reports --- */

void ph_report_init(struct ph_report *r, enum ph_violation kind, const struct ph_act *act, const char *fmt, ...)
{
    va_list ap;
    r->kind = kind;
    r->act = *act;
    r->notes = 0;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
}

void ph_report_note(struct ph_report *r, const struct ph_stack *stack, const char *fmt, ...)
{
    va_list ap;
    if (r->notes == PH_NOTES)
        return;
    struct ph_note *n = &r->note[r->notes++];
    n->stack = *stack;
    va_start(ap, fmt);
    vsnprintf(n->text, sizeof n->text, fmt, ap);
    va_end(ap);
}

/* How many there were before. */
static uint64_t count(const struct ph_report *r)
{
    const char *name = r->act.who.driver ? r->act.who.driver : "";
    pthread_mutex_lock(&names_mu);
    uint64_t before = named_locked(name, strlen(name))->counts[r->kind]++;
    pthread_mutex_unlock(&names_mu);
    ph_count(PH_COUNT_VIOLATIONS, 1);
    return before;
}

static void tell_stack(const struct ph_where *where, const struct ph_stack *s)
{
    char frame[512];
    for (unsigned i = 0; i < s->n; i++) {
        ph_stack_describe(s->at[i], frame, sizeof frame);
        ph_log(PH_LOG_ERROR, where, "check:     %s", frame);
    }
}

static void tell(const struct ph_report *r, const struct ph_where *where)
{
    ph_log(PH_LOG_ERROR, where, "check: %s in %s: %s", kind_names[r->kind], r->act.who.callback, r->text);
    tell_stack(where, &r->act.stack);
    for (unsigned i = 0; i < r->notes; i++) {
        ph_log(PH_LOG_ERROR, where, "check:   %s%s", r->note[i].text, r->note[i].stack.n ? " at" : "");
        tell_stack(where, &r->note[i].stack);
    }
}

void ph_report_tell(const struct ph_report *r)
{
    struct ph_where where = {.connection = r->act.who.connection, .has_port = r->act.who.has_port, .port = r->act.who.port, .driver = r->act.who.driver};
    uint64_t before = count(r);
    if (before > TOLD_MAX)
        return;
    pthread_mutex_lock(&tell_mu);
    if (before == TOLD_MAX)
        ph_log(PH_LOG_ERROR, &where, "check: %s: more of these are only counted", kind_names[r->kind]);
    else
        tell(r, &where);
    pthread_mutex_unlock(&tell_mu);
}

void ph_violation(enum ph_violation kind, const char *fmt, ...)
{
    struct ph_report r = {.kind = kind};
    va_list ap;
    ph_act_now(&r.act);
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    ph_report_tell(&r);
}

/* --- counts --- */

uint64_t ph_violations_of(enum ph_violation kind)
{
    uint64_t sum = 0;
    struct named *d;
    pthread_mutex_lock(&names_mu);
    STAILQ_FOREACH(d, &all, link)
        sum += d->counts[kind];
    pthread_mutex_unlock(&names_mu);
    return sum;
}

const char *ph_violations_by(unsigned nth, uint64_t *counts)
{
    pthread_mutex_lock(&names_mu);
    struct named *d = STAILQ_FIRST(&all);
    while (d && nth--)
        d = STAILQ_NEXT(d, link);
    if (d)
        memcpy(counts, d->counts, sizeof d->counts);
    pthread_mutex_unlock(&names_mu);
    return d ? d->name : NULL;
}
