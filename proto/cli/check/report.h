/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out about one file: a JSON object, which is also what the text is made from. One thread.
 *
 *   file, object               the path; what kind of file it is
 *   driver                     name, version [Major,Minor], flags, callbacks, known_from: "file" or "host"
 *   imports, r12               API functions that it uses; those of them that only the R12 interface had
 *   libraries                  the shared libraries that it names
 *   missing                    [{name, what}]: symbols that nothing here provides
 *   permitted                  whether a client over a socket may have it loaded
 *   trial                      "loaded", "refused", "crashed", "hung" or "ended"; not there: it was not loaded
 *   crash, log                 signal, callback, backtrace (a list of lines); the host's log if it ended badly but could not say so
 *   problems, remarks          [{what, text}]; the file is good if there are no problems
 */
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
