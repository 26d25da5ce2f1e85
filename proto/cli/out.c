/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what goes to standard output and to standard error. */
#include "out.h"

#include <stdarg.h>
#include <stdio.h>

#include "screen.h"
#include "term/term.h"

static bool incomplete;

void ph_out_term(const struct ph_cli *cli, struct ph_slice term)
{
    if ((cli->json ? ph_term_print_json(stdout, term) : ph_term_print(stdout, term)) < 0) {
        incomplete = true;
        if (!ph_out_failed())
            ph_complain("the host sent a term that cannot be shown; one may be nested %u deep", PH_PRINT_DEPTH);
        return;
    }
    putchar('\n');
    fflush(stdout);
}

bool ph_out_incomplete(void)
{
    return incomplete;
}

static void begin_complaint(void)
{
    fprintf(stderr, "%sporthostctl:%s ", ph_screen_on(stderr, PH_LOOK_RED), ph_screen_off(stderr, PH_LOOK_RED));
}

void ph_out_failure(const char *what, struct ph_slice reason)
{
    begin_complaint();
    fprintf(stderr, "%s: ", what);
    ph_term_print(stderr, reason);
    fputc('\n', stderr);
}

enum ph_exit ph_out_reply(const struct ph_cli *cli, const char *request, enum ph_result r, struct ph_slice value)
{
    if (r == PH_RESULT_OK)
        ph_out_term(cli, value);
    else if (r == PH_RESULT_ERROR)
        ph_out_failure(request, value);
    return ph_result_exit(r);
}

bool ph_out_failed(void)
{
    return ferror(stdout);
}

void ph_complain(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    begin_complaint();
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}
