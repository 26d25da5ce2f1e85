/* SPDX-License-Identifier: Apache-2.0 */
/* A run of one script with one host: the callers, which are processes of ours, the ports they have opened, what came for them, and the test that is
 * run. One thread, in a process of its own. */
#ifndef PH_SCRIPT_RUN_H
#define PH_SCRIPT_RUN_H

#include <sys/queue.h>

#include "host/session.h"
#include "script/result.h"
#include "script/script.h"
#include "script/vars.h"

struct ph_message {
    STAILQ_ENTRY(ph_message) next;
    struct ph_wbuf term;
};
STAILQ_HEAD(ph_mailbox, ph_message);

struct ph_caller {
    char name[PH_SCRIPT_NAME_MAX + 1];
    struct ph_wbuf pid;
    bool dead;
    struct ph_mailbox mailbox;
};

struct ph_script_port {
    char name[PH_SCRIPT_NAME_MAX + 1];
    uint64_t id;
    bool created; /* by the driver of another, its parent, */
    const struct ph_script_port *parent;
    bool unread;  /* and that was not expected yet: its name is its term */
    bool busy;
    bool was_busy; /* since that was last expected */
    bool gone;   /* exit has come, or it could not be opened */
    bool closed; /* the host has nothing of it any more */
    struct ph_wbuf reason; /* of exit */
    const struct ph_caller *owner;
    struct ph_caller **links;
    size_t nlinks;
};

struct ph_script_monitor {
    uint64_t id;
    const struct ph_caller *caller;
};

struct ph_run {
    const struct ph_script *script;
    struct ph_cli cli;          /* our own: the time for a reply is what is left to the script */
    struct ph_session session;
    bool started;
    bool lost;                  /* the host has gone */
    bool stuck;                 /* it is there, but there is no going on with it: the time is over, or a port does not end */
    int patience;               /* factor on the times in which something must happen: what a tool around the daemon costs */
    int64_t deadline;           /* of the whole script */
    struct ph_vars vars;
    struct ph_caller **callers; /* the first is Self */
    size_t ncallers;
    struct ph_script_port **ports;
    size_t nports;
    struct ph_script_monitor *monitors;
    size_t nmonitors;
    unsigned turns;             /* how often a port was created, has ended, become busy or ready */
    FILE *why;                  /* what went wrong in the test that is run */
};

/* Runs the script and writes its results. */
void ph_run_script(const struct ph_script *script, const struct ph_cli *cli, const struct ph_run_options *options, struct ph_test_writer *out);

/* Begins the account of a failure: the statement's place and its text. What else there is to say goes to run->why, in lines that begin with two blanks and
 * end with a newline. Returns false. */
bool ph_run_fail(struct ph_run *run, const struct ph_statement *s);

/* The same with one line more. */
bool ph_run_fail_with(struct ph_run *run, const struct ph_statement *s, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What the session said; false with the failure told if it is not OK or ERROR. */
bool ph_run_check(struct ph_run *run, const struct ph_statement *s, enum ph_result r);

/* Waits until `enough` says so (then true), or that many ms are over, or the script's time is (then false; *ok only if the host is there and there
 * was no interrupt). */
bool ph_run_wait(struct ph_run *run, const struct ph_statement *s, int64_t ms, bool (*enough)(void *arg), void *arg, bool *ok);

#endif
