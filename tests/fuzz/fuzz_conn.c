/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon behind its sockets: three connections with different rights, drivers that are loaded as always, and everything that follows from a frame. The input is a
 * sequence of steps: a byte that says which connection (bits 0, 1) and what (bits 2, 3), then, for what is sent, two bytes of length and the bytes.
 *
 *   0 a frame with this term   1 these bytes as they are   2 the client goes away, and the next comes   3 the client reads what is there
 *
 * All frames from the daemon must be well-formed; when the clients have ended their streams, connections and ports must be gone. */
#include "host.h"

#define CLIENTS 3

static struct fuzz_client clients[CLIENTS];
static struct ph_access *rights[CLIENTS]; /* NULL: those of the parent */

static void give_rights(void)
{
    for (int i = 1; i < CLIENTS; i++) {
        rights[i] = ph_access_new();
        rights[i]->all_ports = i == 1;
        rights[i]->administer = i == 1;
        ph_strings_add(&rights[i]->open, i == 1 ? "*" : "echo_drv", i == 1 ? 1 : 8);
    }
}

static void connect_client(struct fuzz_client *c)
{
    fuzz_connect(c, rights[c - clients], NULL);
}

/* --- an input --- */

static void step(const uint8_t **p, const uint8_t *end)
{
    uint8_t how = fuzz_byte(p, end);
    struct fuzz_client *c = &clients[(how & 3) % CLIENTS];
    size_t len = 0;
    if (!(how & 8)) {
        len = (size_t)fuzz_byte(p, end) << 8;
        len |= fuzz_byte(p, end);
    }
    if (len > (size_t)(end - *p))
        len = (size_t)(end - *p);
    switch (how >> 2 & 3) {
    case 0: fuzz_send_frame(c, *p, len); break;
    case 1: fuzz_send(c, *p, len); break;
    case 2:
        close(c->fd);
        connect_client(c);
        break;
    default:
        usleep(500);
        fuzz_hear(c);
        break;
    }
    *p += len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *p = data, *end = data + size;
    if (!rights[1])
        give_rights();
    fuzz_host_start();
    for (int i = 0; i < CLIENTS; i++)
        connect_client(&clients[i]);
    for (int steps = 0; p < end && steps < 256; steps++)
        step(&p, end);
    for (int i = 0; i < CLIENTS; i++)
        fuzz_end(&clients[i]);
    fuzz_await_nothing_left();
    return 0;
}
