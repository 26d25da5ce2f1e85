/* SPDX-License-Identifier: Apache-2.0 */
/* What the order of a recording's frames is kept among: ports, processes, requests, each with the lines that are still to come. One thread. */
#ifndef PH_CLI_RECORD_STREAMS_H
#define PH_CLI_RECORD_STREAMS_H

#include <stddef.h>

#include "etf.h"

/* The kinds of names that a stream can have. */
enum ph_stream_name {
    PH_BY_PORT = 'p',      /* its id */
    PH_BY_TERM = 'P',      /* the port's term */
    PH_BY_TAG = 't',       /* of a request */
    PH_BY_RECEIVER = 's',  /* of messages that are of no known port */
    PH_BY_DRIVERS = 'd',   /* requests for drivers, one stream */
    PH_BY_HOST = 'h',      /* what is of nobody else, one stream */
    PH_BY_MONITORED = 'm', /* the process */
    PH_BY_MONITOR = 'i',   /* the id, as recorded */
    PH_BY_LIVE_MONITOR = 'I',
    PH_BY_CLIENT_REF = 'r', /* these are no names of streams: they keep who made a reference, and which numbers the host has made */
    PH_BY_HOST_REF = 'R',
    PH_BY_MONITOR_NUMBER = 'n',
    PH_BY_OPEN_ERROR = 'e',
    PH_BY_CONNECTION = 'c'
};

struct ph_stream {
    char *key; /* kind and text */
    struct ph_stream *same; /* another name of the same stream, nearer to its root; NULL: this is the root */
    size_t first, last;     /* lines that are to come; SIZE_MAX: none; only of a root */
    unsigned number;        /* of the names in the order in which they were made */
};

struct ph_streams {
    void *tree; /* of tsearch */
    unsigned n;
};

/* The root of the stream with that name, which is an encoded term; ph_streams_make makes one if there is none. */
struct ph_stream *ph_streams_find(const struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name);
struct ph_stream *ph_streams_make(struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name);
unsigned ph_streams_number(struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name); /* of the name itself, made if need be */
void ph_streams_free(struct ph_streams *s);

/* Makes both one; lines that are to come are those of `into`. */
void ph_stream_join(struct ph_stream *s, struct ph_stream *into);
struct ph_stream *ph_stream_root(struct ph_stream *s);

#endif
