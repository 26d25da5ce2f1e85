/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: the driver queue. From callbacks of the port's lock, or from any thread that holds the port data lock. */
#include <erl_driver.h>

#include "base/limits.h"
#include "base/flood.h"
#include "check/memory.h"
#include "port/pdl.h"

#define INVALID ((ErlDrvSizeT)-1)

/* Few drivers look at the result, so a queue at its limit also ends the port: what was to be queued is not lost in silence. */
static void end_overfull(struct ph_port *p)
{
    static const uint8_t reason[] = "\x77\x0c" "system_limit";
    struct ph_where where;
    if (p->queue_overfull)
        return;
    p->queue_overfull = true;
    ph_limit_met(PH_LIMIT_PORT_QUEUE_BYTES);
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, ph_port_where(p, &where), "the driver queue is at its limit of %zu bytes: the port ends", (size_t)ph_limit(PH_LIMIT_PORT_QUEUE_BYTES));
    ph_exit_later(p, (struct ph_slice){reason, sizeof reason - 1}, PH_EXIT_FAILED);
}

/* A lock that there is must be held, in callbacks too. */
static struct ph_queue_access enter(ErlDrvPort port)
{
    struct ph_queue_access a = ph_queue_enter(port);
    if (a.pdl && ph_checking())
        ph_violation(PH_VIOLATION_QUEUE_WITHOUT_LOCK, "the port has a port data lock, which is not held");
    return a;
}

static bool has_room(struct ph_queue_access a, size_t len)
{
    if (!a.port)
        return false;
    uint64_t limit = ph_limit(PH_LIMIT_PORT_QUEUE_BYTES);
    if (ph_port_queued(a.port) <= limit && len <= limit - ph_port_queued(a.port))
        return true;
    end_overfull(a.port);
    return false;
}

/* These in the checking mode: false, and reported, if there can be no such bytes. */
static bool are_bytes(const char *function, const char *buf, size_t len)
{
    if (!buf)
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: %zu bytes at NULL", function, len);
    return buf != NULL;
}

static bool are_bytes_of(const char *function, const ErlDrvBinary *bin, size_t offset, size_t len)
{
    return ph_binary_is_live(bin, function) && ph_binary_has(bin, offset, len, function);
}

static bool is_vector(const char *function, const ErlIOVec *ev)
{
    return ph_vector_is_good(ev, function) && ph_vector_has_size(ev, function);
}

/* erl_driver(3), driver_enq */
int driver_enq(ErlDrvPort port, char *buf, ErlDrvSizeT len)
{
    if (len == 0)
        return 0;
    if (ph_checking() && !are_bytes(__func__, buf, len))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, len) ? ph_ioq_enq(ph_port_ioq(a.port), buf, len) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_pushq */
int driver_pushq(ErlDrvPort port, char *buf, ErlDrvSizeT len)
{
    if (len == 0)
        return 0;
    if (ph_checking() && !are_bytes(__func__, buf, len))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, len) ? ph_ioq_pushq(ph_port_ioq(a.port), buf, len) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_enq_bin */
int driver_enq_bin(ErlDrvPort port, ErlDrvBinary *bin, ErlDrvSizeT offset, ErlDrvSizeT len)
{
    if (len == 0)
        return 0;
    if (ph_checking() && !are_bytes_of(__func__, bin, offset, len))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, len) ? ph_ioq_enq_bin(ph_port_ioq(a.port), bin, offset, len) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_pushq_bin */
int driver_pushq_bin(ErlDrvPort port, ErlDrvBinary *bin, ErlDrvSizeT offset, ErlDrvSizeT len)
{
    if (len == 0)
        return 0;
    if (ph_checking() && !are_bytes_of(__func__, bin, offset, len))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, len) ? ph_ioq_pushq_bin(ph_port_ioq(a.port), bin, offset, len) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_enqv */
int driver_enqv(ErlDrvPort port, ErlIOVec *ev, ErlDrvSizeT skip)
{
    if (ph_checking() && !is_vector(__func__, ev))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, ev->size > skip ? ev->size - skip : 0) ? ph_ioq_enqv(ph_port_ioq(a.port), ev, skip) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_pushqv */
int driver_pushqv(ErlDrvPort port, ErlIOVec *ev, ErlDrvSizeT skip)
{
    if (ph_checking() && !is_vector(__func__, ev))
        return -1;
    struct ph_queue_access a = enter(port);
    int result = has_room(a, ev->size > skip ? ev->size - skip : 0) ? ph_ioq_pushqv(ph_port_ioq(a.port), ev, skip) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_deq */
ErlDrvSizeT driver_deq(ErlDrvPort port, ErlDrvSizeT size)
{
    struct ph_queue_access a = enter(port);
    ErlDrvSizeT left = a.port ? ph_ioq_deq(ph_port_ioq(a.port), size) : INVALID;
    ph_queue_leave(a);
    return left;
}

/* erl_driver(3), driver_sizeq */
ErlDrvSizeT driver_sizeq(ErlDrvPort port)
{
    struct ph_queue_access a = enter(port);
    ErlDrvSizeT size = a.port ? ph_port_queued(a.port) : INVALID;
    ph_queue_leave(a);
    return size;
}

/* erl_driver(3), driver_peekq */
SysIOVec *driver_peekq(ErlDrvPort port, int *vlen)
{
    struct ph_queue_access a = enter(port);
    SysIOVec *v = a.port ? ph_ioq_peek(ph_port_ioq(a.port), vlen) : NULL;
    if (!a.port)
        *vlen = -1;
    ph_queue_leave(a);
    return v;
}

/* erl_driver(3), driver_peekqv */
ErlDrvSizeT driver_peekqv(ErlDrvPort port, ErlIOVec *ev)
{
    struct ph_queue_access a = enter(port);
    ErlDrvSizeT size = a.port ? ph_ioq_peekv(ph_port_ioq(a.port), ev) : INVALID;
    ph_queue_leave(a);
    return size;
}
