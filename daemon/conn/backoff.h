/* SPDX-License-Identifier: Apache-2.0 */
/* How long an address that has failed to prove itself is made to wait for the answer: longer each time. A fixed number of addresses is remembered. Any thread. */
#ifndef PH_BACKOFF_H
#define PH_BACKOFF_H

#include <stdint.h>
#include <sys/socket.h>

#define PH_BACKOFF_FIRST_MS 500u
#define PH_BACKOFF_MOST_MS 8000u
#define PH_BACKOFF_ADDRESSES 256u
#define PH_BACKOFF_FORGET_NS UINT64_C(600000000000)

/* Counts a failure of the address (an IPv6 one with the first 64 bits only) at that time; milliseconds to wait. */
unsigned ph_backoff_failed(const struct sockaddr *addr, uint64_t now_ns);

#endif
