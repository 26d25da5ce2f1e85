/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: the environment. As in the VM it is one of its own, begun with what the process was started with; libc's is
 * neither read after that nor written, so drivers cannot race with getenv(3). Any key is allowed. Any thread. */
#include <erl_driver.h>
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct variable {
    char *key;
    char *value;
};

static void *variables; /* tsearch(3) tree of struct variable, under the lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool seeded; /* under the lock */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct variable *)a)->key, ((const struct variable *)b)->key);
}

static struct variable *find_locked(const char *key)
{
    struct variable wanted = {.key = (char *)key};
    struct variable **node = tfind(&wanted, &variables, by_key);
    return node == NULL ? NULL : *node;
}

/* new; NULL: out of memory. */
static char *copy(const char *s)
{
    size_t size = strlen(s) + 1;
    char *p = ph_alloc_try(size);
    return p == NULL ? NULL : memcpy(p, s, size);
}

/* 0 or ENOMEM. The value is taken, also on failure. */
static int add_locked(const char *key, char *value)
{
    struct variable *v = ph_alloc_try(sizeof *v);
    char *k = copy(key);
    if (v != NULL && k != NULL) {
        *v = (struct variable){.key = k, .value = value};
        if (tsearch(v, &variables, by_key) != NULL) {
            return 0;
        }
    }
    ph_free(v);
    ph_free(k);
    ph_free(value);
    return ENOMEM;
}

static int put_locked(const char *key, const char *value)
{
    char *new_value = copy(value);
    if (new_value == NULL) {
        return ENOMEM;
    }
    struct variable *v = find_locked(key);
    if (v == NULL) {
        return add_locked(key, new_value);
    }
    ph_free(v->value);
    v->value = new_value;
    return 0;
}

/* Of two entries with one key, the first counts, as in getenv(3). */
static int seed_one_locked(const char *entry, size_t key_len)
{
    char *key = ph_alloc_try(key_len + 1);
    if (key == NULL) {
        return ENOMEM;
    }
    memcpy(key, entry, key_len);
    key[key_len] = '\0';
    int err = find_locked(key) == NULL ? put_locked(key, entry + key_len + 1) : 0;
    ph_free(key);
    return err;
}

/* 0, or ENOMEM: then the next call goes on where this one has come to. */
static int seed_locked(void)
{
    for (char **e = environ; !seeded && e != NULL && *e != NULL; e++) {
        const char *equals = strchr(*e, '=');
        if (equals != NULL && seed_one_locked(*e, (size_t)(equals - *e)) != 0) {
            return ENOMEM;
        }
    }
    seeded = true;
    return 0;
}

/* erl_driver(3), erl_drv_putenv. 0, EINVAL for a NULL, or ENOMEM. */
int erl_drv_putenv(const char *key, char *value)
{
    if (key == NULL || value == NULL) {
        return EINVAL;
    }
    pthread_mutex_lock(&lock);
    int err = seed_locked();
    if (err == 0) {
        err = put_locked(key, value);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

static int copy_out(const char *from, char *value, size_t *value_size)
{
    size_t len = strlen(from);
    if (*value_size <= len) {
        *value_size = len + 1;
        return 1;
    }
    memcpy(value, from, len + 1);
    *value_size = len;
    return 0;
}

/* erl_driver(3), erl_drv_getenv. 0: *value_size is the length without the NUL; 1: too small, *value_size is the size
 * needed with it; -1: not found, or no memory for the
 * environment; *value_size untouched. */
int erl_drv_getenv(const char *key, char *value, size_t *value_size)
{
    if (key == NULL || value_size == NULL) {
        return -1;
    }
    pthread_mutex_lock(&lock);
    const struct variable *v = seed_locked() == 0 ? find_locked(key) : NULL;
    int result = v == NULL ? -1 : copy_out(v->value, value, value_size);
    pthread_mutex_unlock(&lock);
    return result;
}
