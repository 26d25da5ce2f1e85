/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out about one file: the JSON object that CHECK.md describes, which is also what the text is made from. One thread. */
#ifndef PH_CLI_CHECK_REPORT_H
#define PH_CLI_CHECK_REPORT_H

#include <jansson.h>
#include <stdbool.h>

json_t *ph_report_new(const char *file); /* to be freed with json_decref */

/* what: a word for machines, the same for each way something can be wrong. The text is for people: what is wrong and what helps. */
void ph_report_problem(json_t *report, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
void ph_report_remark(json_t *report, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Appends a text to the list `key` of an object, which is made if it is not there. The bytes need not be UTF-8. */
void ph_report_add(json_t *object, const char *key, const char *text);

/* A JSON string of bytes from a file: what is not UTF-8 is replaced. New reference. */
json_t *ph_report_text(const char *text);

bool ph_report_has_problem(const json_t *report, const char *what);
bool ph_report_good(const json_t *report);

/* On stdout: a line of JSON, or readable lines. */
void ph_report_print(const json_t *report, bool json);

#endif
