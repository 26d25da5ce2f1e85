/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: memory and binaries, and flattening a vector. Thin over base/mem and base/bin; any thread. */
#include <erl_driver.h>
#include <pthread.h>
#include <string.h>

#include "base/bin.h"
#include "base/mem.h"
#include "check/memory.h"

#define STRUCT_SIZE 4096u /* what is larger is a buffer, and zeroing it would cost */

static bool watched;

static void find_out(void)
{
    watched = ph_mem_is_watched();
}

/* erl_driver(3), driver_alloc. Size 0 gives memory too; NULL: out of memory. The contents are undefined by contract, but zero up to
 * STRUCT_SIZE: the VM's memory for drivers is mostly fresh, and there are drivers that live by that (OTP's trace_ip_drv). Not under memcheck or a
 * sanitizer, which are to find such drivers. */
void *driver_alloc(ErlDrvSizeT size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (ph_checking())
        return ph_block_alloc(size);
    void *p = ph_alloc_try(size);
    pthread_once(&once, find_out);
    if (p && size <= STRUCT_SIZE && !watched)
        memset(p, 0, size);
    return p;
}

/* erl_driver(3), driver_realloc. NULL: out of memory, ptr stays. */
void *driver_realloc(void *ptr, ErlDrvSizeT size)
{
    return ph_checking() ? ph_block_realloc(ptr, size) : ph_realloc_try(ptr, size);
}

/* erl_driver(3), driver_free */
void driver_free(void *ptr)
{
    if (ph_checking())
        ph_block_free(ptr);
    else
        ph_free(ptr);
}

/* The reference is the driver's. */
static ErlDrvBinary *new_binary(size_t size)
{
    ErlDrvBinary *bin = ph_bin_new(size);
    if (ph_checking())
        ph_binary_made(bin);
    return bin;
}

/* erl_driver(3), driver_alloc_binary */
ErlDrvBinary *driver_alloc_binary(ErlDrvSizeT size)
{
    return new_binary(size);
}

/* erl_driver(3), driver_realloc_binary */
ErlDrvBinary *driver_realloc_binary(ErlDrvBinary *bin, ErlDrvSizeT size)
{
    if (bin == NULL)
        return new_binary(size);
    return ph_checking() ? ph_binary_realloc(bin, size, __func__) : ph_bin_realloc(bin, size);
}

/* erl_driver(3), driver_free_binary */
void driver_free_binary(ErlDrvBinary *bin)
{
    if (bin && ph_checking())
        ph_binary_free(bin, __func__);
    else
        ph_bin_unref(bin);
}

/* erl_driver(3), driver_binary_get_refc */
ErlDrvSInt driver_binary_get_refc(ErlDrvBinary *dbp)
{
    return ph_checking() && !ph_binary_is_live(dbp, __func__) ? 0 : ph_bin_refc(dbp);
}

/* erl_driver(3), driver_binary_inc_refc */
ErlDrvSInt driver_binary_inc_refc(ErlDrvBinary *dbp)
{
    return ph_checking() ? ph_binary_inc(dbp, __func__) : ph_bin_inc(dbp);
}

/* erl_driver(3), driver_binary_dec_refc. A binary that gets to 0 this way is not freed. */
ErlDrvSInt driver_binary_dec_refc(ErlDrvBinary *dbp)
{
    return ph_checking() ? ph_binary_dec(dbp, __func__) : ph_bin_dec(dbp);
}

/* erl_driver(3), driver_vec_to_buf. Returns the bytes copied, whatever the manual says; ev->size is not looked at. */
ErlDrvSizeT driver_vec_to_buf(ErlIOVec *ev, char *buf, ErlDrvSizeT len)
{
    size_t done = 0;
    if (ph_checking() && !ph_vector_is_good(ev, __func__))
        return 0;
    for (int i = 0; i < ev->vsize && done < len; i++) {
        size_t n = ev->iov[i].iov_len < len - done ? ev->iov[i].iov_len : len - done;
        if (n > 0) {
            memcpy(buf + done, ev->iov[i].iov_base, n);
            done += n;
        }
    }
    return done;
}
