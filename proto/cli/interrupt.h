/* SPDX-License-Identifier: Apache-2.0 */
/* Being told to end (SIGINT, SIGTERM, SIGHUP): everything that waits also waits for this, so that what was started is ended first. */
#ifndef PH_CLI_INTERRUPT_H
#define PH_CLI_INTERRUPT_H

#include <stdbool.h>

/* 0, or -1 with errno. Also makes SIGPIPE an error of the write. */
int ph_interrupt_install(void);

/* Readable once a signal has come; never to be read by others. -1 before ph_interrupt_install. */
int ph_interrupt_fd(void);

/* The signal that came, or 0. */
int ph_interrupt_signal(void);

/* True if SIGINT came, which is forgotten with that: for what is meant to go on until then. */
bool ph_interrupt_take(void);

/* Ends this process as the signal that came would have; returns if none came. */
void ph_interrupt_finish(void);

/* In a child between fork and exec: signals as they were. */
void ph_interrupt_reset(void);

#endif
