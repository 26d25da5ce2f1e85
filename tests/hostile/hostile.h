/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd of clients that break the rules of proto/PROTOCOL.md, and a few beside it that keep them. One process for the crowd, with libevent; one for the good ones,
 * over the load generator's links (tests/bench/load.h). What cannot be done ends the program with a message and status 1. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crowd_options {
    const char *unix_path; /* where strangers may connect */
    int tcp_port;          /* where a cookie is asked for */
    const char *good_path; /* for the good ones */
    size_t clients;        /* at a time */
    uint64_t seconds;
    size_t ports;          /* so many are to be opened and abandoned, and each move to be made; the crowd goes on longer for that, but not more than ten times */
    size_t hesitate_ms;    /* at most, before a client that has connected says anything: not all of the crowd do something at any time, for then the machine would be what is slow */
    size_t drip_ms;        /* from one byte to the next, of who sends a byte at a time */
    size_t max_frame, max_ports, nested;
    size_t queue, requests, unsent, kept; /* bytes that the host's limits allow */
};

/* What is sent is a hello (if the move wants one) and what build makes, or the frame. */
enum move_end {
    GOES_ON, /* a ping follows: `expect` comes, then pong */
    ENDS,    /* the host says goodbye with `expect` (if that is NULL, perhaps nothing), and closes */
    WAITS,   /* the same, or nothing at all happens for a while: a host that has been tried so often takes its time, or has no room for one more who is to say hello */
    STAYS,   /* nobody says anything more for a while; then the client goes */
    DEAF,    /* the same, and it does not read */
    DRIPS,   /* all is sent a byte at a time, over a while; then as GOES_ON */
    LEAVES   /* it goes as soon as all is sent */
};

enum move_hello { HELLO, NO_HELLO, OVER_TCP }; /* OVER_TCP: no hello either */

struct move {
    const char *rule;   /* of PROTOCOL.md: section, sentence */
    enum move_hello hello;
    enum move_end end;
    const char *frame;  /* as ei_x_format has it, with one pid; or NULL */
    void (*build)(struct evbuffer *out, const struct crowd_options *o);
    const char *expect; /* an atom that the host must say, or NULL */
};

/* moves.c: the table, one or more rows for each rule. */
extern const struct move moves[];
extern const size_t moves_count;

/* bytes.c: what the rows send. */
void put_frame(struct evbuffer *out, const void *term, size_t len); /* length and version in front */
void put_format(struct evbuffer *out, const char *format);
void put_hello(struct evbuffer *out);
void put_ping(struct evbuffer *out);

typedef void build_fn(struct evbuffer *out, const struct crowd_options *o);
build_fn build_empty, build_4gib, build_over, build_header, build_part, build_no_version, build_two_terms, build_cut, build_compressed, build_nested, build_bad_tags,
    build_long_binary, build_long_list, build_wide_tuple, build_wide_map, build_long_big, build_bad_utf8, build_equal_keys, build_large_tag, build_large_port_term,
    build_atoms, build_nodes, build_ports, build_too_many_ports, build_kept, build_large_answers, build_pings, build_queue, build_hellos, build_hello_twice_self, build_long_name, build_bad_self,
    build_bad_auth, build_grants, build_arities, build_types, build_forged, build_garbage, build_flipped, build_data, build_large_hello, build_twice_open, build_unload, build_wrong_proof, put_hello_only;

/* crowd.c: the whole attack; prints what each move came to. The number of moves that were answered otherwise than they must be. */
size_t crowd_run(const struct crowd_options *o);

/* good.c: a process that verifies answers until it is told to stop. */
struct good;
struct good *good_start(const struct crowd_options *o);
void good_attack(struct good *g); /* the quiet time is over */
int good_stop(struct good *g);    /* prints latencies; its status */

#endif
