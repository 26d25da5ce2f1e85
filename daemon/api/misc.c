/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: the functions without a subject. Any thread. */
#include <erl_driver.h>

#include "api/r12.h"
#include "base/errno_id.h"

/* erl_driver(3), erl_errno_id. The text is not for writing, though the type would let. */
char *erl_errno_id(int error)
{
    return (char *)ph_errno_id(error);
}

/* erl_driver(3), null_func: for the entries of old drivers that need a callback which does nothing. */
int null_func(void)
{
    return 0;
}

/* The R12 interface, driver_event: -1, which then meant that the poll set cannot do it. The callback it would lead to
 * is gone from the driver entry. */
int driver_event(ErlDrvPort port, ErlDrvEvent event, ErlDrvEventData event_data)
{
    (void)port;
    (void)event;
    (void)event_data;
    return -1;
}
