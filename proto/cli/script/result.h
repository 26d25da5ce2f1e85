/* SPDX-License-Identifier: Apache-2.0 */
/* Results of tests, on their way from the process that runs a script to the one that reports them: over a pipe, one after the other. */
#ifndef PH_SCRIPT_RESULT_H
#define PH_SCRIPT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum ph_verdict { PH_PASSED, PH_FAILED, PH_LOST /* the host was */, PH_NOT_RUN };

struct ph_test_result {
    enum ph_verdict verdict;
    int64_t ms;
    char *name; /* owned; empty: the script as a whole */
    char *text; /* owned; lines for people, empty if it passed */
};

struct ph_test_writer {
    FILE *f; /* the pipe */
};

/* How scripts are run. */
struct ph_run_options {
    int timeout_ms; /* for a whole script */
    int patience;   /* 1, or by how much longer things take under a tool */
};

/* All of it is written at once. */
void ph_test_write(struct ph_test_writer *out, enum ph_verdict verdict, int64_t ms, const char *name, const char *text);

/* Reads the next result from the bytes, and *used is what it took. False if they hold no whole one. */
bool ph_test_read(const char *bytes, size_t len, struct ph_test_result *r, size_t *used);
void ph_test_result_free(struct ph_test_result *r);

#endif
