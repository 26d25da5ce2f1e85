/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the decision where escape sequences may go. Called by whatever writes for people. */
#include "screen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool ph_screen_is(FILE *f)
{
    const char *term = getenv("TERM");
    return isatty(fileno(f)) && term && *term && strcmp(term, "dumb") != 0;
}

void ph_screen_size(FILE *f, int *rows, int *columns)
{
    struct winsize size = {0};
    bool known = ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}

static bool coloured(FILE *f, enum ph_look look)
{
    const char *no = getenv("NO_COLOR");
    return look != PH_LOOK_PLAIN && !(no && *no) && ph_screen_is(f);
}

const char *ph_screen_on(FILE *f, enum ph_look look)
{
    static const char *const sequences[] = {
        [PH_LOOK_PLAIN] = "",           [PH_LOOK_BOLD] = "\033[1m",   [PH_LOOK_RED] = "\033[31m",
        [PH_LOOK_YELLOW] = "\033[33m", [PH_LOOK_CYAN] = "\033[36m",
    };
    return coloured(f, look) ? sequences[look] : "";
}

const char *ph_screen_off(FILE *f, enum ph_look look)
{
    return coloured(f, look) ? "\033[0m" : "";
}
