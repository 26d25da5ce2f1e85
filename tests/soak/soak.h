/* SPDX-License-Identifier: Apache-2.0 */
/* The soak program: one case against one daemon, over the load generator's links (tests/bench/load.h). One thread; what cannot be done ends the
 * program with a message and status 1. */
#ifndef SOAK_H
#define SOAK_H

#include "../bench/load.h"

/* Memory of the daemon is looked at before the case, when a tenth of it is done, and at its end, while the case still holds its connections. */
struct soak {
    struct target target;
    const char *driver; /* soak_probe_drv, or with a lock for each port */
    size_t count;       /* units that the case is to do */
    size_t wide;        /* how many at a time, of cases that ask for it */
    uint64_t seconds;   /* it stops then, with fewer */
    pid_t pid;          /* of the daemon */
    uint64_t begun;     /* ns */
    size_t done, lost;  /* units; messages that did not come, or not in their place */
    uint64_t start, tenth, end; /* bytes */
};

/* soak.c */

void soak_begin(struct soak *s, pid_t daemon);
bool soak_on(struct soak *s, size_t n); /* n units more are done; false: that was the last */
void soak_tenth(struct soak *s);        /* for cases that go by rounds: this one is the first */
void soak_end(struct soak *s);
void soak_expect(struct soak *s, bool in_place); /* one message more has come; in its place? */

/* soak_wire.c: requests in numbers, and what comes back. */

enum { SOAK_ECHO, SOAK_DATA, SOAK_CALLER, SOAK_TIMER, SOAK_ATOM, SOAK_WATCH, SOAK_SELECT, SOAK_POKE, SOAK_QUIET, SOAK_PRODUCE };

enum event_kind { EVENT_OK, EVENT_DATA, EVENT_NUMBER, EVENT_ATOM, EVENT_MONITOR, EVENT_CLOSED, EVENT_OTHER };

struct event {
    enum event_kind kind;
    uint64_t id;         /* of port or monitor */
    uint32_t to;         /* EVENT_NUMBER: the receiver's id */
    uint32_t number;     /* the term; of EVENT_DATA and EVENT_OK the first 4 bytes of data, or 0 */
    const uint8_t *data; /* of EVENT_DATA, and of EVENT_OK if it is a binary; EVENT_ATOM: the text, with a NUL; until the next event */
    size_t len;
};

void soak_connect(struct soak *s, struct link *l);            /* also begins */
void soak_event(struct link *l, struct event *e);             /* waits for it; errors end the program */
bool soak_next(struct link *l, enum event_kind kind, struct event *e); /* passes others up to one of this kind; false: an EVENT_OK came instead */
struct frame soak_numbers(uint64_t port, unsigned op, uint32_t a, uint32_t b); /* a control with two numbers */
uint32_t soak_control(struct link *l, uint64_t port, unsigned op, uint32_t a, uint32_t b); /* sends it; its result, others passed over */
struct frame soak_data(uint64_t port, size_t len, uint32_t us);   /* a command; its first number is to be set */
struct frame soak_repeat(struct frame f, size_t n);               /* frees f */
/* In frame i of a batch of equal ones made by soak_repeat: where the caller's pid ends, the data begins. */
void soak_set_caller(struct frame batch, size_t n, size_t i, uint32_t id);
void soak_set_number(struct frame batch, size_t n, size_t i, size_t data_len, uint32_t number);
void soak_down(struct link *l, uint64_t monitor);

/* The cases: soak_flow.c, soak_many.c, soak_scale.c */

void case_slow_reader(struct soak *s);
void case_flood(struct soak *s);
void case_large(struct soak *s);
void case_bytes(struct soak *s);
void case_callers(struct soak *s);
void case_reopen(struct soak *s);
void case_timers(struct soak *s);
void case_atoms(struct soak *s);
void case_atom_limit(struct soak *s);
void case_monitors(struct soak *s);
void case_ports(struct soak *s);
void case_connections(struct soak *s);
void case_selected(struct soak *s);
void case_spread(struct soak *s);

#endif
