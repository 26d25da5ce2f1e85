/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API functions of the R12 interface that erl_driver.h no longer declares. Drivers built then still link to them. */
#ifndef PH_R12_H
#define PH_R12_H

#include <erl_driver.h>

/* The events a driver asks for and gets, in poll(2)'s bits. */
typedef struct erl_drv_event_data {
    short events;
    short revents;
} * ErlDrvEventData;

int driver_async_cancel(long id);
int driver_event(ErlDrvPort port, ErlDrvEvent event, ErlDrvEventData event_data);

#endif
