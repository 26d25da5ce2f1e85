/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with a host after the hello: requests and their replies, one at a time, and events, which are handed on as they
 * come while something waits. One thread. */
#ifndef PH_CLI_SESSION_H
#define PH_CLI_SESSION_H

#include <stdint.h>

#include "args.h"
#include "auth.h"
#include "cli.h"
#include "host/conn.h"
#include "etf.h"
#include "wbuf.h"

enum ph_result {
    PH_RESULT_OK,
    PH_RESULT_ERROR,   /* the host said so; the value is the reason */
    PH_RESULT_TIMEOUT, /* for these and what follows, why was written to stderr */
    PH_RESULT_LOST,
    PH_RESULT_INTERRUPTED,
    PH_RESULT_INPUT    /* only of ph_session_listen */
};

/* An event: its name, and a cursor behind the name, with arity - 1 elements to come. Borrowed for the call. */
struct ph_event {
    char name[32];
    uint32_t arity;
    struct ph_cur args;
    struct ph_slice whole; /* the event's term */
};

struct ph_session {
    const struct ph_cli *cli;
    struct ph_link *link;
    struct ph_wbuf out;    /* the request being built */
    struct ph_wbuf self;   /* our pid, encoded: the caller, owner and user of every request */
    struct ph_wbuf hello;  /* the map of the host's hello */
    uint8_t client_nonce[PH_NONCE], host_nonce[PH_NONCE]; /* with a cookie */
    uint64_t tag;          /* of the last tagged request */
    uint64_t opened, granted; /* ids of ports: so many were given */
    bool faulted;          /* the host did not understand a request */
    void (*on_event)(void *arg, const struct ph_event *e);
    bool (*lives)(void *arg, struct ph_slice pid); /* whether a process of our node other than self is there; NULL: none is */
    void *arg;
    struct ph_ports *ports; /* of this session, or NULL: set by ph_ports_init */
};

/* Connects and exchanges hellos, with a cookie also proofs. PH_EXIT_OK or PH_EXIT_NO_CONNECTION, then why was written to stderr. */
enum ph_exit ph_session_open(struct ph_session *s, const struct ph_cli *cli);
void ph_session_close(struct ph_session *s);

/* The same for one who has something else to do with what went wrong than to write it to stderr: it is in why, which is empty if nothing did.
 * A daemon of our own gets that time to end by itself. */
void ph_session_end(struct ph_session *s, int grace_ms, char *why, size_t cap);

/* Begin a request; the caller appends the elements behind the name (and the tag) to s->out and then posts or asks. */
void ph_session_begin(struct ph_session *s, const char *name, uint32_t arity);
void ph_session_begin_tagged(struct ph_session *s, const char *name, uint32_t arity);
void ph_session_put_self(struct ph_session *s);
void ph_session_put(struct ph_session *s, const struct ph_wbuf *term);

/* The id of a port that is to be opened. With the first one the host is granted some for ports that drivers create, and from then on one more for each that is created.
 * The term of such a port is an atom, created_1, created_2 and so on: nothing else is to be called so. Not while a request is built. */
uint64_t ph_session_port_id(struct ph_session *s);
void ph_session_created_name(uint64_t id, char *name, size_t cap);
bool ph_session_is_created_name(struct ph_text name);

/* Sends an untagged request; waits only while much is unsent. PH_RESULT_OK or one that says why not. */
enum ph_result ph_session_post(struct ph_session *s);

/* Sends a tagged request and waits for its reply; the value is borrowed until the next call. */
enum ph_result ph_session_ask(struct ph_session *s, struct ph_slice *value);

/* Handles events until the deadline (then PH_RESULT_OK), until other_fd (-1: none) is readable (PH_RESULT_INPUT), or until the function,
 * asked after every event, says that it is enough (PH_RESULT_OK); NULL: once nothing can be written to stdout any more. */
enum ph_result ph_session_listen(struct ph_session *s, int64_t deadline, int other_fd, bool (*enough)(void *arg), void *arg);

bool ph_session_is_self(const struct ph_session *s, struct ph_slice pid);

/* The number of this connection at the host; 0 if it does not tell. */
uint64_t ph_session_connection(const struct ph_session *s);

/* For as long as something looks at the events before whoever does otherwise: installs on_event, which hands on what is not its own. */
struct ph_session_tap {
    void (*on_event)(struct ph_session_tap *tap, const struct ph_event *e);
    struct ph_session *session;
    void (*below)(void *arg, const struct ph_event *e);
    void *below_arg;
};
void ph_session_tap(struct ph_session *s, struct ph_session_tap *tap);
void ph_session_untap(struct ph_session_tap *tap);
void ph_session_pass_on(const struct ph_session_tap *tap, const struct ph_event *e);

enum ph_exit ph_result_exit(enum ph_result r);

#endif
