/* SPDX-License-Identifier: Apache-2.0 */
/* A recording is played to a host. One thread. */
#ifndef PH_CLI_PLAY_H
#define PH_CLI_PLAY_H

#include "cli.h"
#include "record/recording.h"

/* Connects, plays, and prints on stdout "ok FILE", or "not ok FILE:LINE: ..." and how the host differs. The recording's lines are changed (rules.h). */
enum ph_exit ph_play(const struct ph_cli *cli, struct ph_recording *r);

#endif
