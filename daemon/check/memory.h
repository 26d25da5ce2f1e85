/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of drivers in the checking mode: what driver_alloc gave out, and all binaries, the host's too. Only if ph_checking(). Any thread. */
#ifndef PH_CHECK_MEMORY_H
#define PH_CHECK_MEMORY_H

#include <erl_driver.h>
#include <stdbool.h>
#include <stddef.h>

#include "check/violation.h"

void ph_blocks_start(void); /* binaries come from here from now on; once */

/* driver_alloc, driver_realloc, driver_free. A pointer that is no live block is reported; it is then left alone, and realloc answers NULL. */
void *ph_block_alloc(size_t size);
void *ph_block_realloc(void *p, size_t size);
void ph_block_free(void *p);
/* If it is a live block: a driver_async was given it, with nothing that frees it, whose port has ended before the job. It may be freed otherwise; if it is left, that is told. */
void ph_block_lost(const void *p, const struct ph_act *given);
/* The host takes a block or a driver's reference to a binary over: an answer of control or call. False, with the text and notes of the report, if it is no live one, or
 * has less than size bytes. */
bool ph_block_take(const void *p, size_t size, struct ph_report *r);
bool ph_binary_take(const ErlDrvBinary *b, struct ph_report *r);

void ph_binary_made(ErlDrvBinary *b);                         /* by driver_alloc_binary: the reference is the driver's */
/* Before anything is done with it. False, as below: reported, and the call is not to be done. */
bool ph_binary_is_live(const ErlDrvBinary *b, const char *function);
/* The driver API's functions, on its references and the binary itself. One that may not be done is reported, and answers 0 or NULL. */
ErlDrvSInt ph_binary_inc(ErlDrvBinary *b, const char *function);
ErlDrvSInt ph_binary_dec(ErlDrvBinary *b, const char *function); /* frees nothing */
void ph_binary_free(ErlDrvBinary *b, const char *function);
ErlDrvBinary *ph_binary_realloc(ErlDrvBinary *b, size_t size, const char *function);
bool ph_binary_has(const ErlDrvBinary *b, size_t offset, size_t len, const char *function); /* so many bytes from there; it is live */
/* The driver sends these bytes, which must not change from now on, as long as the host has a reference to the binary. After all that is sent was found live. */
void ph_binary_sent(const ErlDrvBinary *b, size_t offset, size_t len);
void ph_vector_sent(const ErlIOVec *ev, size_t skip); /* but for the first skip bytes */
bool ph_vector_is_good(const ErlIOVec *ev, const char *function); /* all of its binaries are live, and have the elements' bytes */
bool ph_vector_has_size(const ErlIOVec *ev, const char *function); /* so many bytes as it says */

/* What this thread has allocated or freed lately is looked at: after each callback. */
void ph_blocks_look_recent(void);
/* What a driver that is being unloaded has left is reported, and what is in quarantine looked at; afterwards it is nobody's. */
void ph_things_left(const char *driver);
/* Something of the driver's is left, and nothing by which a thread of its could still run: its destructors may change that. */
bool ph_things_may_be_freed(const char *driver);

#endif
