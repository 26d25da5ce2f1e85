/* SPDX-License-Identifier: Apache-2.0 */
/* What clients and drivers may ask for at most. One table: from it come the values here, the keys of the configuration (config/keys.h) and a
 * counter each (counters.h) of how often the limit was met. Read from any thread, also while the configuration is read again. */
#ifndef PH_LIMITS_H
#define PH_LIMITS_H

#include <stdatomic.h>
#include <stdint.h>

/* L(X, NAME, key, default, least, most); X is handed on. What happens at the limit:
 *   FRAME_BYTES, TERM_DEPTH    the connection ends: goodbye frame_too_large, bad_term
 *   PORTS, LOADED_DRIVERS, KEPT_BYTES  open, load, set_data, unload, monitor_driver: error system_limit
 *   NEW_NAMES                  a request with a pid of a new node: bad_request
 *   CONNECTIONS, HELLO_CONNECTIONS  the new connection is closed
 *   HELLO_BYTES, HELLO_S       the connection ends: goodbye frame_too_large, hello_timeout (over TCP, before its hello is answered)
 *   PORT_QUEUE_BYTES           driver_enq and its kin fail and the port ends with reason system_limit
 *   REQUEST_BYTES, UNSENT_PAUSE_BYTES  the connection is not read until it is down to a quarter
 *   UNSENT_BYTES               the connection ends */
#define PH_LIMITS(L, X)                                                                        \
    L(X, CONNECTIONS, connections, 20000, 1, 1000000)                                          \
    L(X, HELLO_CONNECTIONS, hello_connections, 100, 1, 100000)                                 \
    L(X, HELLO_BYTES, hello_bytes, 4096, 1024, 1048576)                                        \
    L(X, HELLO_S, hello_s, 10, 1, 3600)                                                        \
    L(X, PORTS, ports_per_connection, 1000000, 1, 10000000)                                    \
    L(X, LOADED_DRIVERS, loaded_drivers, 1000, 1, 1000)                                        \
    L(X, FRAME_BYTES, frame_bytes, 134217728, 1024, 2147483647)                                \
    L(X, TERM_DEPTH, term_depth, 1000, 16, 1000)                                               \
    L(X, PORT_QUEUE_BYTES, port_queue_bytes, 1073741824, 65536, 1099511627776)                 \
    L(X, REQUEST_BYTES, request_bytes, 16777216, 65536, 1099511627776)                         \
    L(X, UNSENT_PAUSE_BYTES, unsent_pause_bytes, 8388608, 65536, 1099511627776)                \
    L(X, KEPT_BYTES, kept_bytes, 134217728, 65536, 1099511627776)                              \
    L(X, NEW_NAMES, new_names, 1024, 1, 1000000)                                               \
    L(X, UNSENT_BYTES, unsent_bytes, 536870912, 65536, 1099511627776)

enum ph_limit {
#define PH_LIMIT_ENUM(X, name, key, value, least, most) PH_LIMIT_##name,
    PH_LIMITS(PH_LIMIT_ENUM, )
    PH_LIMIT_COUNT
};

extern _Atomic uint64_t ph_limit_values[PH_LIMIT_COUNT]; /* the defaults until ph_limit_set */

static inline uint64_t ph_limit(enum ph_limit limit)
{
    return atomic_load_explicit(&ph_limit_values[limit], memory_order_relaxed);
}

void ph_limit_set(enum ph_limit limit, uint64_t value);
void ph_limit_met(enum ph_limit limit); /* counts that something was refused, held back or ended for it */

#endif
