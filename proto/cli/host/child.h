/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon of our own, talked to through its stdin and stdout; its stderr is ours unless the options say otherwise. It never outlives us. */
#ifndef PH_CLI_CHILD_H
#define PH_CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli.h"

struct ph_child {
    pid_t pid; /* 0: none */
    int in;    /* we read, non-blocking; -1: closed */
    int out;   /* we write, non-blocking; -1: closed */
};

/* Starts what the options say: argv; or the address (a shell command, to which --stdio and the driver path are added); or without both the
 * porthostd beside this executable, else in PATH. 0, or -1 with the reason in why. */
int ph_child_start(struct ph_child *c, const struct ph_cli *cli, char *why, size_t cap);

/* The porthostd in the directory of this executable, or in the sbin beside it. False if there is none. */
bool ph_child_beside(char *path, size_t cap);

#define PH_CHILD_GRACE_MS 2000

/* Closes the pipes, which tells the daemon to end; terminates it if it has not within that time, and then kills it; an interrupt shortens the
 * waiting. Reaps it. How it ended is described in `how`, which is empty if it ended well. */
void ph_child_end(struct ph_child *c, int grace_ms, char *how, size_t cap);

#endif
