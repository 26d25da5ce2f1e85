/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's part of a stack: its frames, and those of its libraries, from the call into the host on. Any thread. */
#ifndef PH_STACK_H
#define PH_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PH_STACK_DEPTH 12u

struct ph_stack {
    unsigned n; /* 0: no frame of a driver */
    void *at[PH_STACK_DEPTH];
};

void ph_stack_start(void); /* before the first: loads what backtrace(3) needs */
void ph_stack_take(struct ph_stack *s);
/* That of another thread, which lives and has said that it answers; by a signal, which it gets whatever it does. False: it has not answered within a second, and s is as it
 * was. One at a time. */
bool ph_stack_take_of(pid_t thread, struct ph_stack *s);
void ph_stack_answer_here(void); /* the calling thread does from now on */
/* "function+0x12 (/path/file.so+0x1234)", as far as it is known, in buf. */
void ph_stack_describe(const void *at, char *buf, size_t size);
/* The object file, without directory and suffix, of the innermost frame that is not the host's or of a library that it is linked with; in buf. False: there is none. */
bool ph_stack_object(const struct ph_stack *s, char *buf, size_t size);

#endif
