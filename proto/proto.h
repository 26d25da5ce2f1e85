/* Names and numbers of the wire protocol, as in PROTOCOL.md. Knows nothing of the daemon. */
#ifndef PH_PROTO_H
#define PH_PROTO_H

#define PH_PROTO_VERSION 1
#define PH_FRAME_HEADER 4u
#define PH_MAX_FRAME_DEFAULT 134217728u /* bytes, header not counted */
#define PH_MAX_DEPTH 1000u              /* nesting of terms in a frame */
#define PH_MAX_TAG 1024u                /* encoded bytes of a tag or port term */
#define PH_MAX_PORT_ID ((UINT64_C(1) << 59) - 1)

/* X(NAME, atom, ends the connection, text) */
#define PH_FAULTS(X)                                                                       \
    X(FRAME_EMPTY, "frame_empty", 1, "a frame of length 0")                                \
    X(FRAME_TOO_LARGE, "frame_too_large", 1, "a frame over the limit")                     \
    X(BAD_TERM, "bad_term", 1, "a frame that is not one well-formed term")                 \
    X(BAD_HELLO, "bad_hello", 1, "the first frame is not a valid hello")                   \
    X(BAD_VERSION, "bad_version", 1, "a protocol version that is not spoken here")         \
    X(AUTH_REQUIRED, "auth_required", 1, "the client must prove that it knows the cookie")  \
    X(BAD_AUTH, "bad_auth", 1, "the client does not know the cookie")                      \
    X(HELLO_TIMEOUT, "hello_timeout", 1, "no hello in time")                               \
    X(TOO_SLOW, "too_slow", 1, "the client does not read what it is sent")                 \
    X(NO_MEMORY, "no_memory", 1, "the host has no memory for it")  \
    X(SHUTDOWN, "shutdown", 1, "the host ends")                                            \
    X(NOT_A_REQUEST, "not_a_request", 0, "a frame that is not a tuple led by an atom")     \
    X(UNEXPECTED_HELLO, "unexpected_hello", 0, "a second hello")                           \
    X(UNEXPECTED_AUTH, "unexpected_auth", 0, "an auth that was not asked for")             \
    X(UNKNOWN_REQUEST, "unknown_request", 0, "a request that is not known")                \
    X(BAD_REQUEST, "bad_request", 0, "a request with a wrong number or type of elements")  \
    X(BAD_TAG, "bad_tag", 0, "a tag that is too large")

enum ph_fault {
    PH_FAULT_NONE,
#define X(name, atom, ends, text) PH_FAULT_##name,
    PH_FAULTS(X)
#undef X
    PH_FAULT_COUNT
};

/* X(NAME, atom, arity, tagged). `command` has a second form with one element more. */
#define PH_REQUESTS(X)                                      \
    X(HELLO, "hello", 3, 0)                                 \
    X(AUTH, "auth", 2, 0)                                   \
    X(OPEN, "open", 7, 1)                                   \
    X(COMMAND, "command", 4, 0)                             \
    X(CONTROL, "control", 6, 1)                             \
    X(CALL, "call", 6, 1)                                   \
    X(SEND, "send", 4, 0)                                   \
    X(CONNECT, "connect", 5, 1)                             \
    X(CLOSE, "close", 4, 1)                                 \
    X(EXIT, "exit", 4, 0)                                   \
    X(INFO, "info", 4, 1)                                   \
    X(SET_DATA, "set_data", 4, 1)                           \
    X(GET_DATA, "get_data", 3, 1)                           \
    X(PORTS, "ports", 3, 1)                                 \
    X(DOWN, "down", 3, 0)                                   \
    X(GRANT, "grant", 2, 0)                                 \
    X(LOAD, "load", 7, 1)                                   \
    X(UNLOAD, "unload", 6, 1)                               \
    X(MONITOR_DRIVER, "monitor_driver", 6, 1)               \
    X(DEMONITOR_DRIVER, "demonitor_driver", 4, 1)           \
    X(DRIVER_INFO, "driver_info", 4, 1)                     \
    X(DRIVERS, "drivers", 2, 1)                             \
    X(FORMAT_ERROR, "format_error", 3, 1)                   \
    X(ALLOW_DRIVER, "allow_driver", 3, 1)                   \
    X(PING, "ping", 2, 1)                                   \
    X(STATS, "stats", 2, 1)                                 \
    X(PORT_STATS, "port_stats", 3, 1)                       \
    X(PORT_INFO, "port_info", 5, 1)                         \
    X(TRACE, "trace", 5, 1)                                 \
    X(LOG_LEVEL, "log_level", 3, 1)

/* X(name): the callbacks of a driver, in the order of the entry */
#define PH_CALLBACKS(X)                                                                                     \
    X(init) X(start) X(stop) X(output) X(ready_input) X(ready_output) X(finish) X(control) X(timeout)       \
    X(outputv) X(ready_async) X(flush) X(call) X(process_exit) X(stop_select) X(emergency_close)

enum ph_request {
    PH_REQ_UNKNOWN,
#define X(name, atom, arity, tagged) PH_REQ_##name,
    PH_REQUESTS(X)
#undef X
    PH_REQ_COUNT
};

/* X(atom): what a `trace` event is about. */
#define PH_TRACE_EVENTS(X) X(enter) X(leave) X(output) X(eof) X(send) X(busy) X(exit) X(closed) X(dropped)

#endif
