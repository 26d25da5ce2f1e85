/* SPDX-License-Identifier: Apache-2.0 */
#include "base/inherit.h"

#include <stddef.h>

#include "base/log.h"

/* At the end of the thread. */
static void leave(void *block)
{
    struct ph_inherited *b = block;
    struct ph_inheritance *i = b->of;
    i->gone();
    pthread_mutex_lock(&i->mu);
    b->next = i->left;
    i->left = b;
    pthread_mutex_unlock(&i->mu);
}

void *ph_inherit(struct ph_inheritance *i)
{
    pthread_mutex_lock(&i->mu);
    if (!i->made && pthread_key_create(&i->key, leave))
        ph_fatal("no key is left for what threads leave to others");
    i->made = true;
    struct ph_inherited *b = i->left;
    if (b)
        i->left = b->next;
    pthread_mutex_unlock(&i->mu);
    if (b)
        ph_bequeath(i, b);
    return b;
}

void ph_bequeath(struct ph_inheritance *i, struct ph_inherited *block)
{
    block->of = i;
    (void)pthread_setspecific(i->key, block); /* without memory nobody inherits it */
}
