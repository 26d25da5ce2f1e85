/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the count of such lines. The alarm that ends a period is the first reactor's; it rings under the reactor's alarms, so mu is not held when it is set. */
#include "conn/refusal.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/log.h"
#include "sched/alarm.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; a leaf */
static uint64_t begun_ns; /* 0: none yet */
static unsigned lines;    /* of this period */
static uint64_t more;     /* that were not written */

static void tell_more(struct ph_alarm *alarm)
{
    (void)alarm;
    pthread_mutex_lock(&mu);
    uint64_t n = more;
    more = 0;
    lines = 0;
    pthread_mutex_unlock(&mu);
    ph_log(PH_LOG_WARNING, NULL, "%" PRIu64 " more connections were refused, or ended before their hello, within %u seconds", n, PH_REFUSAL_SECONDS);
}

static struct ph_alarm end = {.ring = tell_more};

bool ph_refusal_told(void)
{
    uint64_t now = ph_now_ns(), length = PH_REFUSAL_SECONDS * UINT64_C(1000000000);
    pthread_mutex_lock(&mu);
    if (lines == 0 || (more == 0 && now - begun_ns > length)) {
        begun_ns = now;
        lines = 0;
    }
    bool may = lines < PH_REFUSAL_LINES, first = !may && more == 0;
    uint64_t due = begun_ns + length;
    lines += may;
    more += !may;
    pthread_mutex_unlock(&mu);
    if (first)
        ph_alarm_set(ph_reactor_first(), &end, due);
    return may;
}
