/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the command: reads the files, plays them, tells what differs. The play of one is in play.c. Called by main.c. */
#include "record/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "interrupt.h"
#include "out.h"
#include "record/play.h"

static enum ph_exit play_all(const struct ph_cli *cli, struct ph_recording *recordings, size_t n)
{
    enum ph_exit worst = PH_EXIT_OK;
    for (size_t i = 0; i < n && !ph_interrupt_signal() && !ph_out_failed(); i++) {
        enum ph_exit e = ph_play(cli, &recordings[i]);
        worst = e > worst ? e : worst;
    }
    return worst == PH_EXIT_OK && ph_out_failed() ? PH_EXIT_FAILED : worst;
}

static enum ph_exit read_and_play(const struct ph_cli *cli, struct ph_args *a)
{
    struct ph_recording *recordings = NULL;
    struct ph_text file;
    size_t n = 0;
    bool ok = true;
    while ((file = ph_args_rest(a)).p) {
        recordings = ph_realloc(recordings, (n + 1) * sizeof *recordings);
        if (ph_recording_read(&recordings[n], file.p))
            n++;
        else
            ok = false;
    }
    enum ph_exit e = ok ? play_all(cli, recordings, n) : PH_EXIT_USAGE;
    for (size_t i = 0; i < n; i++)
        ph_recording_free(&recordings[i]);
    ph_free(recordings);
    return e;
}

enum ph_exit ph_replay_run(const struct ph_cli *cli, struct ph_args *a)
{
    if (!ph_args_left(a)) {
        ph_complain("usage: replay FILE...");
        return PH_EXIT_USAGE;
    }
    if (ph_interrupt_install() < 0) {
        ph_complain("cannot make a pipe: %s", strerror(errno));
        return PH_EXIT_FAILED;
    }
    enum ph_exit e = read_and_play(cli, a);
    ph_interrupt_finish();
    return e;
}
