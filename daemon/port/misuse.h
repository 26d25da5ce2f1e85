/* SPDX-License-Identifier: Apache-2.0 */
/* What the checking mode looks for around ports: handles, what callbacks leave behind, what they answer, descriptors. Only if ph_checking(). */
#ifndef PH_PORT_MISUSE_H
#define PH_PORT_MISUSE_H

#include "check/violation.h"
#include "port/port.h"

/* ph_port_here said no: reports why. Any thread. */
void ph_port_not_here(ErlDrvPort port, const char *function);
/* The same for the queue and monitors, which a thread that holds the port data lock may also have. */
void ph_port_queue_not_here(ErlDrvPort port, const char *what);
void ph_port_remember_end(const struct ph_port *p); /* at its end: so that its handle is known later */
/* A port of the handle: as ph_port_here, and what is wrong is reported. For the API. */
static inline struct ph_port *ph_port_called(ErlDrvPort port, const char *function)
{
    struct ph_port *p = ph_port_here(port);
    if (!p && ph_checking())
        ph_port_not_here(port, function);
    return p;
}

struct ph_who ph_port_who(const struct ph_port *p, const char *callback);
/* A callback of the port that ran within no other has just returned, after so long. In the lock. */
void ph_port_callback_left(struct ph_port *p, uint64_t ns);
/* About the port, though the thread runs no callback of it now. */
void ph_port_violation(struct ph_port *p, enum ph_violation kind, const char *callback, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* --- what outputv is given --- */

struct ph_vector_copy {
    ErlIOVec was;
    SysIOVec *iov; /* these two: copies */
    ErlDrvBinary **binv;
    unsigned long sum; /* of the data */
};
void ph_vector_keep(struct ph_vector_copy *c, const ErlIOVec *ev);
void ph_vector_compare(struct ph_port *p, struct ph_vector_copy *c, const ErlIOVec *ev); /* and frees the copies */

/* --- answers of control and call: the buffer given is followed by PH_ANSWER_GUARD bytes --- */

#define PH_ANSWER_GUARD 64u
void ph_answer_guard(char *end);
/* False: reported, and there is no answer. given: NULL or what the driver made of it; n: as it returned. */
struct ph_answer {
    const char *callback;
    char *own; /* of size bytes */
    size_t size;
    char *given;
    size_t n;
    bool binary, kept; /* given is an ErlDrvBinary; remains the driver's */
};
bool ph_answer_is_good(struct ph_port *p, const struct ph_answer *a);

/* --- slow.c: callbacks that run --- */

int ph_slow_start(void); /* the thread that looks at them; once, 0 or errno */
void ph_slow_limit(uint64_t ms); /* callbacks that take longer are reported, while they run. Any time, any thread */
/* This thread has entered a callback of the port, from no other, or has left it after ns. In the lock. */
void ph_slow_entered(struct ph_port *p, const char *callback, uint64_t since_ns);
void ph_slow_left(uint64_t ns);

/* --- fd_check.c: descriptors --- */

bool ph_fd_may_select(struct ph_port *p, int fd, int mode, bool on); /* false: reported, and not to be done */
void ph_fds_verify(struct ph_port *p); /* those the port has selected are still what they were; in the lock */
void ph_fd_stolen(int fd);
void ph_fds_forget(const struct ph_port *p);

#endif
