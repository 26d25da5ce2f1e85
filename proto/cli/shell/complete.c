/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what comes next in a statement. Called by the line editor. */
#include "shell/complete.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "steps.h"

#define WORDS_MAX 4 /* of the beginning of a line; more do not matter */

struct completion {
    struct ph_session *session;
    struct ph_text prefix; /* the word begun */
    void (*add)(void *arg, struct ph_text word);
    void *arg;
};

static void offer(const struct completion *c, const char *word, size_t len)
{
    if (len >= c->prefix.len && memcmp(word, c->prefix.p, c->prefix.len) == 0)
        c->add(c->arg, (struct ph_text){word, len});
}

static void offer_words(const struct completion *c, const char *const *words)
{
    for (; *words; words++)
        offer(c, *words, strlen(*words));
}

/* ---- what there is ---- */

static void offer_ports(const struct completion *c)
{
    const struct ph_ports *ports = c->session->ports;
    for (size_t i = 0; ports && i < ports->n; i++)
        if (!ports->at[i]->closed)
            offer(c, ports->at[i]->name, strlen(ports->at[i]->name));
}

static void offer_beginnings(const struct completion *c)
{
    static const char *const words[] = {"help", "quit", "wait", NULL};
    for (size_t i = 0; ph_command_name(i); i++)
        offer(c, ph_command_name(i), strlen(ph_command_name(i)));
    offer_words(c, words);
    offer_ports(c);
}

static void offer_steps(const struct completion *c)
{
    for (size_t i = 0; ph_step_name(i); i++)
        offer(c, ph_step_name(i), strlen(ph_step_name(i)));
    offer(c, "=", 1);
}

/* The loaded ones: the host does not tell which others it would find. */
static void offer_drivers(const struct completion *c)
{
    struct ph_slice value;
    uint32_t n;
    ph_session_begin_tagged(c->session, "drivers", 2);
    if (ph_session_ask(c->session, &value) != PH_RESULT_OK)
        return;
    struct ph_cur cur = {value.p, value.p + value.len};
    if (ph_etf_list(&cur, &n) < 0)
        return;
    for (; n > 0; n--) {
        char *name;
        size_t len;
        if (ph_etf_text(&cur, true, &name, &len) != 0)
            return;
        offer(c, name, len);
        free(name);
    }
}

/* ---- where we are ---- */

static void offer_arguments(const struct completion *c, struct ph_text command)
{
    static const char *const of_watch[] = {"--interval", "--count", NULL}, *const of_ports[] = {"--all", NULL};
    if (ph_text_is(command, "load") || ph_text_is(command, "unload") || ph_text_is(command, "reload"))
        offer_drivers(c);
    else if (ph_text_is(command, "info") || ph_text_is(command, "trace"))
        offer_ports(c);
    else if (ph_text_is(command, "log-level"))
        offer_words(c, ph_log_levels);
    else if (ph_text_is(command, "watch"))
        offer_words(c, of_watch);
    else if (ph_text_is(command, "ports"))
        offer_words(c, of_ports);
}

static void offer_next(const struct completion *c, const struct ph_text *words, size_t n)
{
    if (n == 0)
        offer_beginnings(c);
    else if (ph_command_find(words[0]) && (n == 1 || ph_text_is(words[0], "watch")))
        offer_arguments(c, words[0]);
    else if (n == 1 && !ph_command_find(words[0]) && !ph_text_is(words[0], "wait"))
        offer_steps(c);
    else if (n == 2 && ph_text_is(words[1], "="))
        offer(c, "open", strlen("open"));
    else if (n >= 3 && ph_text_is(words[1], "=") && ph_text_is(words[2], "open"))
        offer_drivers(c);
}

size_t ph_complete(struct ph_session *s, struct ph_text line, void (*add)(void *arg, struct ph_text word), void *arg)
{
    struct ph_text words[WORDS_MAX + 1] = {{0}};
    struct ph_args a = ph_args_of_line(line.p, line.len, 1);
    size_t n = 0;
    while (ph_args_left(&a)) {
        struct ph_text word = ph_args_word(&a);
        words[n < WORDS_MAX ? n : WORDS_MAX] = word;
        n++;
    }
    struct ph_text last = n ? words[n <= WORDS_MAX ? n - 1 : WORDS_MAX] : (struct ph_text){0};
    bool begun = n && last.p + last.len == line.p + line.len;
    struct completion c = {s, begun ? last : (struct ph_text){line.p + line.len, 0}, add, arg};
    offer_next(&c, words, begun ? n - 1 : n);
    return c.prefix.len;
}
