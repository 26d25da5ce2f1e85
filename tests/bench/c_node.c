/* SPDX-License-Identifier: Apache-2.0 */
/* The other way that OTP offers: a C node on ei. c_node NAME@127.0.0.1 COOKIE: takes one node's connection, echoes the binary of
 * each {Pid, Binary} to Pid, ends with the connection. Needs epmd. Prints "ready" when it can be reached. */
#include <arpa/inet.h>
#include <ei.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int listen_any(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 5) || getsockname(fd, (struct sockaddr *)&a, &len))
        err(1, "listen");
    *port = ntohs(a.sin_port);
    return fd;
}

/* The answer is the encoded binary behind the pid, as it came. */
static void answer(int fd, const ei_x_buff *in, ei_x_buff *out)
{
    erlang_pid to;
    int at = 0, version, arity;
    if (ei_decode_version(in->buff, &at, &version) || ei_decode_tuple_header(in->buff, &at, &arity) || arity != 2
        || ei_decode_pid(in->buff, &at, &to))
        return;
    out->index = 0;
    ei_x_encode_version(out);
    ei_x_append_buf(out, in->buff + at, in->index - at);
    ei_send(fd, &to, out->buff, out->index);
}

static void serve(int fd)
{
    ei_x_buff in, out;
    erlang_msg msg;
    ei_x_new(&in);
    ei_x_new(&out);
    for (int got; (got = ei_xreceive_msg(fd, &msg, &in)) != ERL_ERROR;)
        if (got == ERL_MSG && (msg.msgtype == ERL_SEND || msg.msgtype == ERL_REG_SEND))
            answer(fd, &in, &out);
    ei_x_free(&in);
    ei_x_free(&out);
}

int main(int argc, char **argv)
{
    ei_cnode node;
    ErlConnect peer;
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    char alive[64];
    int port, epmd, fd, listener;
    if (argc != 3 || !strchr(argv[1], '@'))
        errx(2, "usage: c_node NAME@127.0.0.1 COOKIE");
    snprintf(alive, sizeof alive, "%.*s", (int)strcspn(argv[1], "@"), argv[1]);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a node that ends before it has connected would leave us waiting */
    ei_init();
    if (ei_connect_xinit(&node, "127.0.0.1", alive, argv[1], &loopback, argv[2], 1))
        errx(1, "ei_connect_xinit");
    listener = listen_any(&port);
    if ((epmd = ei_publish(&node, port)) < 0)
        err(1, "ei_publish");
    puts("ready");
    fflush(stdout);
    if ((fd = ei_accept(&node, listener, &peer)) < 0)
        errx(1, "ei_accept");
    serve(fd);
    close(epmd);
    return 0;
}
