/* SPDX-License-Identifier: Apache-2.0 */
/* The C load generator: links (byte streams with frames), the client's half of the protocol, the works. One thread; what cannot be
 * done ends the program with a message and status 1. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* load_link.c: frames over pipes and sockets. */

struct link {
    bool rests; /* does not spin while it waits: where processors are what is measured */
    int in, out;
    pid_t pid; /* of the process at the other end; -1: not known */
    uint8_t *buf;
    size_t start, end, cap;
};

struct frame {
    uint8_t *p; /* with the length in front; the caller frees it */
    size_t len;
};

struct target {
    const char *unix_path;
    int tcp_port;
    const char *command; /* words separated by spaces: run with pipes, as open_port would */
    bool bare;           /* speaks no protocol: it echoes frames */
};

void link_open(struct link *l, const struct target *t);
void link_close(struct link *l); /* a child is waited for */
void link_write(struct link *l, const void *p, size_t len);
/* Waits for a frame; it is valid until the next call. */
const uint8_t *link_frame(struct link *l, size_t *len);
/* Waits for frames and passes over all that are there, until max of them were answers; their number, which may be 0. */
size_t link_pass(struct link *l, size_t max);
bool link_ready(struct link *l); /* is there a whole frame? Reads, but does not wait. */

/* load_host.c: requests. */

void host_hello(struct link *l);
void host_open(struct link *l, uint64_t id, const char *driver);
struct frame host_open_frame(uint64_t id, const char *driver);
struct frame host_close_frame(uint64_t id);
void host_await(struct link *l, size_t n); /* n replies that are `ok` */
struct frame host_down(uint64_t monitor);
struct frame host_command(uint64_t id, const void *data, size_t len);
struct frame host_control(uint64_t id, unsigned op, const void *data, size_t len);
struct frame bare_frame(const void *data, size_t len);
struct frame frame_repeat(struct frame f, size_t n); /* so many times f, one behind the other */
void host_mode(struct link *l, uint64_t id, int mode, uint32_t argument, const char *path);
void host_ping(struct link *l);
void host_sync(struct link *l, uint64_t id); /* everything sent before has been done */

enum { OP_ECHO, OP_MODE, OP_BURST, OP_TERMS, OP_TIMERS };
enum { MODE_ECHO, MODE_SINK, MODE_FILE, MODE_WORK, MODE_SPIN, MODE_BLOCK };

/* load_stat.c: time, samples, what the kernel says of a process. */

struct samples {
    uint64_t *ns;
    size_t n, cap;
};

uint64_t now_ns(void);
void samples_add(struct samples *s, uint64_t ns);
void samples_print(struct samples *s); /* p50, p99, p999 in ns, n; frees them */
uint64_t cpu_ns(pid_t pid);
uint64_t resident_bytes(pid_t pid);
void print_value(const char *name, double value);

/* load.c */

struct job {
    struct target target, other; /* other: where the heavy work goes */
    const char *driver, *heavy, *file;
    bool control;
    size_t size, window, count;
    uint64_t ms;
};

void work_rtt(const struct job *j);
void work_pipe(const struct job *j);
void work_oneway(const struct job *j);
void work_burst(const struct job *j);
void work_start(const struct job *j);
void work_ports(const struct job *j);
void work_conns(const struct job *j);
void work_reopen(const struct job *j);
void work_cpu(const struct job *j);
void work_spin(const struct job *j);
void work_light(const struct job *j);
void work_tick(const struct job *j);

#endif
