/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the signals of this process and the pipe that makes them a readable descriptor. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t came;
static int pipe_fds[2] = {-1, -1};

static void on_signal(int sig)
{
    int saved = errno;
    came = sig;
    ssize_t ignored = write(pipe_fds[1], "", 1);
    (void)ignored; /* full: then it is readable already */
    errno = saved;
}

int ph_interrupt_install(void)
{
    /* No SA_RESTART: a blocking read of a file or of stdin must end as well. */
    struct sigaction act = {.sa_handler = on_signal}, old;
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) /* nohup, or a background job of a plain shell */
            sigaction(signals[i], &act, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

int ph_interrupt_fd(void)
{
    return pipe_fds[0];
}

int ph_interrupt_signal(void)
{
    return came;
}

bool ph_interrupt_take(void)
{
    char bytes[64];
    if (came != SIGINT)
        return false;
    came = 0;
    while (read(pipe_fds[0], bytes, sizeof bytes) > 0)
        ;
    return true;
}

void ph_interrupt_finish(void)
{
    if (!came)
        return;
    signal(came, SIG_DFL);
    raise(came);
}

void ph_interrupt_reset(void)
{
    /* exec itself resets what has a handler. */
    signal(SIGPIPE, SIG_DFL);
}
