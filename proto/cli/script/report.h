/* SPDX-License-Identifier: Apache-2.0 */
/* What a script's run has brought, and how it is reported: TAP as it comes, JUnit XML at the end. One thread. */
#ifndef PH_SCRIPT_REPORT_H
#define PH_SCRIPT_REPORT_H

#include <stdio.h>

#include "cli.h"
#include "script/result.h"
#include "script/script.h"

struct ph_script_report {
    const struct ph_script *script;
    const char *tool;                /* or empty */
    struct ph_test_result *results;  /* one for each test, then one for the script as a whole */
    size_t n;
    char *err; /* what the daemon wrote to stderr, its end if it is long */
    char *log; /* what the tool wrote */
};

/* How many results a script has. */
unsigned ph_report_points(const struct ph_script *script);

/* Whether all has passed; what the status of the program is. */
enum ph_exit ph_report_status(const struct ph_script_report *r);

/* What a point is called: "FILE" or "FILE: TEST". A new text. */
char *ph_report_name(const struct ph_script_report *r, size_t i);

/* The points of one script, numbered from *number on. */
void ph_report_tap(FILE *f, const struct ph_script_report *r, unsigned *number);

void ph_report_junit(FILE *f, const struct ph_script_report *reports, size_t n);

void ph_report_free(struct ph_script_report *r);

#endif
