/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/staff.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/thread.h"

void ph_staff_init(struct ph_staff *s, const char *name, unsigned count, size_t stack)
{
    *s = (struct ph_staff){.name = name, .stack = stack, .most = count + PH_STAFF_EXTRA};
    s->threads = ph_calloc(s->most, sizeof *s->threads);
}

int ph_staff_start_locked(struct ph_staff *s, void *(*run)(void *))
{
    char name[32];
    if (s->n == s->most)
        return EAGAIN;
    snprintf(name, sizeof name, "%s-%u", s->name, s->n + 1);
    int err = ph_thread_start(&s->threads[s->n], name, s->stack, run, NULL);
    s->n += !err;
    s->idle += !err;
    return err;
}

void ph_staff_wakes_locked(struct ph_staff *s)
{
    s->idle--;
    if (s->idle < s->idle_least)
        s->idle_least = s->idle;
}

bool ph_staff_leaves_locked(struct ph_staff *s)
{
    for (unsigned i = 0; s->leave && i < s->n; i++)
        if (pthread_equal(s->threads[i], pthread_self())) {
            s->left[s->left_n++] = s->threads[i];
            s->threads[i] = s->threads[--s->n];
            s->leave--;
            return true;
        }
    return false;
}

void ph_staff_join_left(struct ph_staff *s, pthread_mutex_t *mu)
{
    pthread_t ended[PH_STAFF_EXTRA];
    unsigned n = 0;
    pthread_mutex_lock(mu);
    while (s->left_n)
        ended[n++] = s->left[--s->left_n];
    pthread_mutex_unlock(mu);
    while (n)
        pthread_join(ended[--n], NULL);
}

bool ph_staff_release_locked(struct ph_staff *s, unsigned extra)
{
    s->leave = s->idle_least < extra ? s->idle_least : extra;
    s->idle_least = s->idle;
    return s->leave > 0;
}

void ph_staff_join(struct ph_staff *s, pthread_mutex_t *mu)
{
    ph_staff_join_left(s, mu);
    for (unsigned i = 0; i < s->n; i++)
        pthread_join(s->threads[i], NULL);
    ph_free(s->threads);
    s->threads = NULL;
    s->n = 0;
}
