/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the form of a report, as JSON and as text. Called by the parts of check. */
#include "check/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "term/utf8.h"

#define MARGIN 16 /* where the values begin */
#define WIDTH 100

json_t *ph_report_text(const char *text)
{
    json_t *plain = json_string(text);
    if (plain)
        return plain;
    char *clean = strdup(text);
    if (!clean)
        return json_null();
    for (char *p = clean, *end = clean + strlen(clean); p < end;) {
        uint32_t code;
        size_t n = ph_utf8_get(p, end, &code);
        if (n == 0)
            *p = '?';
        p += n ? n : 1;
    }
    plain = json_string(clean);
    free(clean);
    return plain;
}

json_t *ph_report_new(const char *file)
{
    json_t *report = json_object();
    json_object_set_new(report, "file", ph_report_text(file));
    return report;
}

static json_t *list_of(json_t *object, const char *key)
{
    json_t *list = json_object_get(object, key);
    if (!list) {
        list = json_array();
        json_object_set_new(object, key, list);
    }
    return list;
}

void ph_report_add(json_t *object, const char *key, const char *text)
{
    json_array_append_new(list_of(object, key), ph_report_text(text));
}

static void note(json_t *report, const char *list, const char *what, const char *format, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, ap);
    json_t *item = json_object();
    json_object_set_new(item, "what", json_string(what));
    json_object_set_new(item, "text", ph_report_text(text));
    json_array_append_new(list_of(report, list), item);
}

void ph_report_problem(json_t *report, const char *what, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    note(report, "problems", what, format, ap);
    va_end(ap);
}

void ph_report_remark(json_t *report, const char *what, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    note(report, "remarks", what, format, ap);
    va_end(ap);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool ph_report_has_problem(const json_t *report, const char *what)
{
    size_t i;
    const json_t *problem;
    json_array_foreach(json_object_get(report, "problems"), i, problem)
        if (strcmp(text_of(problem, "what"), what) == 0)
            return true;
    return false;
}

bool ph_report_good(const json_t *report)
{
    return json_array_size(json_object_get(report, "problems")) == 0;
}

/* ---- as text ---- */

static void print_head(const char *head)
{
    printf("  %-*s", MARGIN - 2, head);
}

/* Words, in as many lines as they need. Nothing for an empty list. */
static void print_words(const char *head, const json_t *list)
{
    size_t i, column = MARGIN;
    const json_t *word;
    if (json_array_size(list) == 0)
        return;
    print_head(head);
    json_array_foreach(list, i, word) {
        const char *text = json_string_value(word);
        size_t len = text ? strlen(text) : 0;
        if (i > 0 && column + 1 + len > WIDTH) {
            printf("\n%*s", MARGIN, "");
            column = MARGIN;
        } else if (i > 0) {
            putchar(' ');
            column++;
        }
        fputs(text ? text : "", stdout);
        column += len;
    }
    putchar('\n');
}

static bool has_word(const json_t *list, const char *text)
{
    size_t i;
    const json_t *word;
    json_array_foreach(list, i, word)
        if (json_string_value(word) && strcmp(json_string_value(word), text) == 0)
            return true;
    return false;
}

static void print_driver(const json_t *driver)
{
    const json_t *version = json_object_get(driver, "version"), *flags = json_object_get(driver, "flags");
    bool by_file = strcmp(text_of(driver, "known_from"), "file") == 0;
    print_head("driver");
    printf("%s, API version %lld.%lld%s\n", text_of(driver, "name"), (long long)json_integer_value(json_array_get(version, 0)),
           (long long)json_integer_value(json_array_get(version, 1)), by_file ? " (as the file has it before its code runs)" : "");
    print_head("lock");
    puts(has_word(flags, "use_port_locking") ? "one for each port" : "one for the driver");
    print_words("flags", flags);
    print_words("callbacks", json_object_get(driver, "callbacks"));
}

static void print_missing(const json_t *missing)
{
    size_t i;
    const json_t *symbol;
    json_array_foreach(missing, i, symbol) {
        print_head(i == 0 ? "missing" : "");
        printf("%s: %s\n", text_of(symbol, "name"), text_of(symbol, "what"));
    }
}

static void print_crash(const json_t *crash)
{
    size_t i;
    const json_t *frame;
    if (!crash)
        return;
    print_head("crash");
    printf("%s in callback %s\n", text_of(crash, "signal"), text_of(crash, "callback"));
    json_array_foreach(json_object_get(crash, "backtrace"), i, frame)
        printf("%*s%s\n", MARGIN, "", json_string_value(frame));
}

static void print_log(const json_t *lines)
{
    size_t i;
    const json_t *line;
    json_array_foreach(lines, i, line) {
        print_head(i == 0 ? "host's log" : "");
        puts(json_string_value(line));
    }
}

static void print_notes(const char *head, const json_t *notes)
{
    size_t i;
    const json_t *item;
    json_array_foreach(notes, i, item) {
        print_head(head);
        printf("%s: %s\n", text_of(item, "what"), text_of(item, "text"));
    }
}

static void print_text(const json_t *report)
{
    const json_t *permitted = json_object_get(report, "permitted");
    printf("%s\n", text_of(report, "file"));
    if (json_object_get(report, "object")) {
        print_head("file");
        puts(text_of(report, "object"));
    }
    if (json_object_get(report, "driver"))
        print_driver(json_object_get(report, "driver"));
    print_words("imports", json_object_get(report, "imports"));
    print_words("only in R12", json_object_get(report, "r12"));
    print_words("libraries", json_object_get(report, "libraries"));
    print_missing(json_object_get(report, "missing"));
    if (permitted) {
        print_head("over sockets");
        puts(json_is_true(permitted) ? "may be loaded" : "may not be loaded");
    }
    if (json_object_get(report, "trial")) {
        print_head("trial");
        puts(text_of(report, "trial"));
    }
    print_crash(json_object_get(report, "crash"));
    print_log(json_object_get(report, "log"));
    print_notes("remark", json_object_get(report, "remarks"));
    print_notes("PROBLEM", json_object_get(report, "problems"));
    print_head("result");
    puts(ph_report_good(report) ? "good" : "not good");
}

void ph_report_print(const json_t *report, bool json)
{
    if (json) {
        json_dumpf(report, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_text(report);
    }
    fflush(stdout);
}
