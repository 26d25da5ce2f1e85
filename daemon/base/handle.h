/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: 60-bit names for objects that may be gone. A handle is a slot number (28 bits) and the slot's generation (32 bits);
 * a stale or invented one is refused, never dereferenced. Any thread; each slot's content is guarded by one of a few mutexes (ARCHITECTURE.md: shards). */
#ifndef PH_HANDLE_H
#define PH_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

struct ph_handles;

struct ph_handles *ph_handles_new(void);
/* A handle for obj; never 0. 0 if 2^28 are in use. The table holds no reference: the owner removes the handle before it frees obj. */
uint64_t ph_handle_add(struct ph_handles *t, void *obj);
/* The object, after ref(obj) was called under the slot's mutex (NULL: no call; the caller knows that obj stays); NULL if the handle is not valid. */
void *ph_handle_get(struct ph_handles *t, uint64_t handle, void (*ref)(void *obj));
bool ph_handle_was_given(struct ph_handles *t, uint64_t handle); /* valid now, or before */
/* fn for the objects in so many slots, under the slot's mutex: it may take no other handle's. *at is 0 at first, and says where to go on; false: there are no more. Objects that
 * come or go between the first and the last: perhaps. The slots are as many as ever were in use at a time. */
bool ph_handles_some(struct ph_handles *t, uint32_t *at, uint32_t slots, void (*fn)(void *obj, void *arg), void *arg);
void ph_handle_remove(struct ph_handles *t, uint64_t handle);

#endif
