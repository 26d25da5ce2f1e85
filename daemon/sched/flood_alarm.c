/* SPDX-License-Identifier: Apache-2.0 */
/* Owns those alarms. Who logs may hold any lock, also that under which alarms ring, so the alarm is set by a task. */
#include "sched/flood_alarm.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/flood.h"
#include "sched/alarm.h"

struct summary {
    struct ph_task set;
    struct ph_alarm alarm;
    atomic_flag posted; /* the task is under way */
    _Atomic uint64_t due_ns;
};

static struct summary summaries[PH_FLOODS];

static void ring(struct ph_alarm *alarm)
{
    struct summary *s = (struct summary *)((char *)alarm - offsetof(struct summary, alarm));
    ph_flood_over((enum ph_flood)(s - summaries));
}

/* Without memory for the alarm the summary comes with the next line, or at the end. */
static void set(struct ph_task *task)
{
    struct summary *s = (struct summary *)((char *)task - offsetof(struct summary, set));
    atomic_flag_clear(&s->posted);
    ph_alarm_set(ph_reactor_first(), &s->alarm, atomic_load(&s->due_ns));
}

static void await(enum ph_flood what, uint64_t due_ns)
{
    struct summary *s = &summaries[what];
    atomic_store(&s->due_ns, due_ns);
    if (!atomic_flag_test_and_set(&s->posted))
        ph_reactor_post(ph_reactor_first(), &s->set);
}

void ph_flood_alarms_init(void)
{
    for (int i = 0; i < PH_FLOODS; i++)
        summaries[i] = (struct summary){.set.run = set, .alarm.ring = ring, .posted = ATOMIC_FLAG_INIT};
    ph_flood_on_excess(await);
}
