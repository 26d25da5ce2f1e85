/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the counts of such lines. The alarm that ends a period is the first reactor's; it rings under the reactor's alarms, so mu is not held when it is set. */
#include "conn/refusal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>

#include "base/log.h"
#include "sched/alarm.h"

struct budget {
    struct ph_alarm end;
    const char *text; /* of what was not written */
    unsigned most;    /* lines of a period */
    uint64_t begun_ns; /* 0: none yet */
    unsigned lines;    /* of this period */
    uint64_t more;     /* that were not written */
};

static void tell_more(struct ph_alarm *alarm);

static struct budget budgets[] = {
    [PH_REFUSED_CONNECTION] = {.end.ring = tell_more, .most = PH_REFUSAL_LINES, .text = "connections were refused, or ended before their hello,"},
    [PH_REFUSED_CLIENT] = {.end.ring = tell_more, .most = PH_CLIENT_LINES, .text = "requests were refused, or connections ended for what the client did,"},
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the budgets but for their alarms; a leaf */

static void tell_more(struct ph_alarm *alarm)
{
    struct budget *b = (struct budget *)((char *)alarm - offsetof(struct budget, end));
    pthread_mutex_lock(&mu);
    uint64_t n = b->more;
    b->more = 0;
    b->lines = 0;
    pthread_mutex_unlock(&mu);
    ph_log(PH_LOG_WARNING, NULL, "%" PRIu64 " more %s within %u seconds", n, b->text, PH_REFUSAL_SECONDS);
}

bool ph_refusal_told(enum ph_refused what)
{
    struct budget *b = &budgets[what];
    uint64_t now = ph_now_ns(), length = PH_REFUSAL_SECONDS * UINT64_C(1000000000);
    pthread_mutex_lock(&mu);
    if (b->lines == 0 || (b->more == 0 && now - b->begun_ns > length)) {
        b->begun_ns = now;
        b->lines = 0;
    }
    bool may = b->lines < b->most, first = !may && b->more == 0;
    uint64_t due = b->begun_ns + length;
    b->lines += may;
    b->more += !may;
    pthread_mutex_unlock(&mu);
    if (first)
        ph_alarm_set(ph_reactor_first(), &b->end, due);
    return may;
}
