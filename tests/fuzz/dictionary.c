/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a dictionary for libFuzzer from the tables of the code: dictionary wire|text|config. */
#include <stdio.h>
#include <string.h>

#include "config/keys.h"
#include "proto.h"

/* An atom of the external format, or the text itself. */
static void entry(const char *text, int as_atom)
{
    printf("\"");
    if (as_atom)
        printf("\\x77\\x%02x", (unsigned)strlen(text));
    for (; *text; text++)
        printf("\\x%02x", (unsigned char)*text);
    printf("\"\n");
}

static void names_of_protocol(int as_atom)
{
    static const char *const names[] = {
#define X(name, atom, ...) atom,
        PH_REQUESTS(X)
        PH_FAULTS(X)
#undef X
#define X(name) #name,
        PH_CALLBACKS(X)
        PH_TRACE_EVENTS(X)
#undef X
        /* options, items and values of PROTOCOL.md */
        "self", "name", "binary", "parallelism", "true", "false", "undefined", "normal", "kill", "ok", "error", "badarg", "id", "links",
        "input", "output", "connected", "registered_name", "os_pid", "memory", "queue_size", "pending", "pending_driver", "loaded", "unloaded",
        "driver_options", "kill_ports", "reload", "process", "processes", "monitor", "echo_drv", "output_probe_drv", "busy_probe_drv",
        "timer_probe_drv", "vector_probe_drv",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        entry(names[i], as_atom);
}

static void words_of_text(void)
{
    static const char *const words[] = {
        "test \"", "env ", "set ", "caller ", "repeat ", "end", "sleep ", "expect ", "within ", "as ", "-> ok", "-> error", "<<", ">>", "/binary", "++", "#{", "=>",
        "#Port<0.1>", "#Ref<0.1.2.3>", "<0.1.0>", "16#", "1.0e", "$\\", "\\x{", "'", "\"", "porthost recording 1\n", "> 0.0 ", "< 0.0 ", "= 0.0 cut", "= 0.0 client ended",
        "= 0.0 host ended", "frame ", "rest ",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        entry(words[i], 0);
}

static void keys_of_config(void)
{
    for (size_t i = 0; i < ph_key_count; i++)
        entry(ph_keys[i].name, 0);
    for (const char *p = "{}[]:,\""; *p; p++)
        entry((char[]){*p, '\0'}, 0);
}

int main(int argc, char **argv)
{
    const char *which = argc == 2 ? argv[1] : "";
    if (strcmp(which, "wire") == 0)
        names_of_protocol(1);
    else if (strcmp(which, "text") == 0)
        names_of_protocol(0), words_of_text();
    else if (strcmp(which, "config") == 0)
        keys_of_config();
    else
        return 2;
    return 0;
}
