/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: output to the owner, port flags, busy. Only from callbacks of the port's lock; an invalid port is answered as the VM does. */
#include <erl_driver.h>

#include "check/memory.h"
#include "port/busy.h"
#include "port/misuse.h"
#include "port/output.h"

/* In the checking mode: false, and reported, if there can be no such bytes. */
__attribute__((cold)) static bool are_bytes(const char *function, const char *hbuf, size_t hlen, const char *buf, size_t len)
{
    bool ok = (hbuf || !hlen) && (buf || !len);
    if (!ok)
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: %zu and %zu bytes at %p and %p", function, hlen, len, (const void *)hbuf, (const void *)buf);
    return ok;
}

__attribute__((cold)) static bool are_bytes_of(const char *function, const char *hbuf, size_t hlen, const ErlDrvBinary *bin, size_t offset, size_t len)
{
    bool ok = are_bytes(function, hbuf, hlen, "", 0) && ph_binary_is_live(bin, function) && ph_binary_has(bin, offset, len, function);
    if (ok)
        ph_binary_sent(bin, offset, len);
    return ok;
}

__attribute__((cold)) static bool is_vector(const char *function, const char *hbuf, size_t hlen, const ErlIOVec *ev, size_t skip)
{
    bool ok = are_bytes(function, hbuf, hlen, "", 0) && ph_vector_is_good(ev, function);
    if (ok)
        ph_vector_sent(ev, skip);
    return ok;
}

/* erl_driver(3), driver_output2 */
int driver_output2(ErlDrvPort port, char *hbuf, ErlDrvSizeT hlen, char *buf, ErlDrvSizeT len)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p || (ph_checking() && !are_bytes(__func__, hbuf, hlen, buf, len)))
        return -1;
    ph_out_data(p, hbuf, hlen, buf, len);
    return 0;
}

/* erl_driver(3), driver_output */
int driver_output(ErlDrvPort port, char *buf, ErlDrvSizeT len)
{
    return driver_output2(port, NULL, 0, buf, len);
}

/* erl_driver(3), driver_output_binary */
int driver_output_binary(ErlDrvPort port, char *hbuf, ErlDrvSizeT hlen, ErlDrvBinary *bin, ErlDrvSizeT offset, ErlDrvSizeT len)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p || (ph_checking() && !are_bytes_of(__func__, hbuf, hlen, bin, offset, len)))
        return -1;
    ph_out_binary(p, hbuf, hlen, bin, offset, len);
    return 0;
}

/* erl_driver(3), driver_outputv */
int driver_outputv(ErlDrvPort port, char *hbuf, ErlDrvSizeT hlen, ErlIOVec *ev, ErlDrvSizeT skip)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p || (ph_checking() && !is_vector(__func__, hbuf, hlen, ev, skip)))
        return -1;
    ph_out_vector(p, hbuf, hlen, ev, skip);
    return 0;
}

/* erl_driver(3), set_port_control_flags */
void set_port_control_flags(ErlDrvPort port, int flags)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (p)
        p->control_flags = (uint8_t)flags;
}

/* erl_driver(3), get_port_flags: 0 inside start(), where the options are not in force yet */
int get_port_flags(ErlDrvPort port)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p)
        return 0;
    return (p->binary ? PORT_FLAG_BINARY : 0) | (p->line ? PORT_FLAG_LINE : 0);
}

/* erl_driver(3), set_busy_port */
void set_busy_port(ErlDrvPort port, int on)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (p)
        ph_busy_set(p, on != 0);
}

/* erl_driver(3), erl_drv_busy_msgq_limits */
void erl_drv_busy_msgq_limits(ErlDrvPort port, ErlDrvSizeT *low, ErlDrvSizeT *high)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (p) {
        ph_busy_msgq_limits(p, low, high);
        return;
    }
    if (low)
        *low = ERL_DRV_BUSY_MSGQ_DISABLED;
    if (high)
        *high = ERL_DRV_BUSY_MSGQ_DISABLED;
}
