/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions of the driver interface are spoken, and the description of an entry. Called by the loader, ddll_info.c and porthostctl's check. */
#include "driver/entry.h"

#include <string.h>

#include "proto.h"

bool ph_entry_spoken(const ErlDrvEntry *e)
{
    if ((unsigned)e->extended_marker != (unsigned)ERL_DRV_EXTENDED_MARKER)
        return false;
    if (e->major_version < ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD || e->major_version > ERL_DRV_EXTENDED_MAJOR_VERSION)
        return false;
    return e->major_version < ERL_DRV_EXTENDED_MAJOR_VERSION || e->minor_version <= ERL_DRV_EXTENDED_MINOR_VERSION;
}

size_t ph_entry_size(const ErlDrvEntry *e)
{
    bool whole = e->major_version > 3 || (e->major_version == 3 && e->minor_version >= 2);
    return whole ? sizeof *e : offsetof(ErlDrvEntry, emergency_close);
}

const char *ph_entry_difference(const ErlDrvEntry *a, const ErlDrvEntry *b)
{
    if (memcmp(a, b, ph_entry_size(b)) == 0)
        return NULL;
#define X(name)                                                                                           \
    if (offsetof(ErlDrvEntry, name) < ph_entry_size(b) && a->name != b->name)                             \
        return #name;
    PH_CALLBACKS(X)
#undef X
    return "what is no callback";
}

static void write_flags(struct ph_wbuf *w, int set)
{
    static const struct {
        int bit;
        const char *name;
    } flags[] = {
        {ERL_DRV_FLAG_USE_PORT_LOCKING, "use_port_locking"},
        {ERL_DRV_FLAG_SOFT_BUSY, "soft_busy"},
        {ERL_DRV_FLAG_NO_BUSY_MSGQ, "no_busy_msgq"},
        {ERL_DRV_FLAG_USE_INIT_ACK, "use_init_ack"},
    };
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        n += (set & flags[i].bit) != 0;
    ph_w_list(w, n);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (set & flags[i].bit)
            ph_w_atom(w, flags[i].name);
    if (n)
        ph_w_nil(w);
}

static void write_callbacks(struct ph_wbuf *w, const ErlDrvEntry *e)
{
    const char *names[] = {
#define X(name) e->name ? #name : NULL,
        PH_CALLBACKS(X)
#undef X
    };
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        n += names[i] != NULL;
    ph_w_list(w, n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i])
            ph_w_atom(w, names[i]);
    if (n)
        ph_w_nil(w);
}

void ph_w_entry(struct ph_wbuf *w, const ErlDrvEntry *e)
{
    ph_w_map(w, 3);
    ph_w_atom(w, "version");
    ph_w_tuple(w, 2);
    ph_w_int(w, e->major_version);
    ph_w_int(w, e->minor_version);
    ph_w_atom(w, "flags");
    write_flags(w, e->driver_flags);
    ph_w_atom(w, "callbacks");
    write_callbacks(w, e);
}
