/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of the configuration: what it is called, what it may be, what it is if it is not given, where it is kept. The parser, the defaults, the messages,
 * and the tests that compare the sample and the man page with the code, all go by this table. For config/ and its tests. */
#ifndef PH_KEYS_H
#define PH_KEYS_H

#include <jansson.h>

#include "config/config.h"

enum ph_section { PH_IN_ROOT, PH_IN_LISTENER, PH_IN_DRIVER, PH_IN_STACK, PH_IN_LIMITS, PH_IN_LOG, PH_SECTIONS };

enum ph_type {
    PH_TYPE_SECTION,  /* an object with keys of its own, kept in the same struct */
    PH_TYPE_LISTENERS, /* struct ph_config: an array of objects */
    PH_TYPE_DRIVERS,  /* struct ph_config: an object of objects */
    PH_TYPE_BOOL,     /* bool */
    PH_TYPE_NUMBER,   /* uint64_t */
    PH_TYPE_THREADS,  /* int64_t: a number or "auto" */
    PH_TYPE_CHOICE,   /* unsigned: the position among the choices */
    PH_TYPE_PATH,     /* char *, or NULL */
    PH_TYPE_PATHS,    /* struct ph_strings */
    PH_TYPE_ADDRESS,  /* char *, or NULL: "HOST:PORT" */
    PH_TYPE_NUMBERED, /* the same, its port a number */
    PH_TYPE_NAMES,    /* struct ph_strings */
    PH_TYPE_MODE,     /* uint64_t */
    PH_TYPE_USER,     /* uint32_t, or PH_NOBODY */
    PH_TYPE_GROUP,
    PH_TYPE_USERS,    /* struct ph_ids */
    PH_TYPE_GROUPS,
};

/* X(section, key, type, struct, field, detail, default as JSON, when a change has effect) */
#define PH_CONFIG_KEYS(X)                                                                                                                     \
    X(ROOT, listeners, LISTENERS, ph_config, listeners, ANY, "[]", RELOAD)                                                                    \
    X(LISTENER, unix, PATH, ph_access, unix_path, UP_TO(107), "null", RELOAD)                                                                 \
    X(LISTENER, tcp, ADDRESS, ph_access, tcp, ANY, "null", RELOAD)                                                                            \
    X(LISTENER, cookie_file, PATH, ph_access, cookie_file, UP_TO(4095), "null", RELOAD)                                                       \
    X(LISTENER, mode, MODE, ph_access, mode, ANY, "\"0600\"", RELOAD)                                                                         \
    X(LISTENER, owner, USER, ph_access, owner, ANY, "null", RELOAD)                                                                           \
    X(LISTENER, group, GROUP, ph_access, group, ANY, "null", RELOAD)                                                                          \
    X(LISTENER, uids, USERS, ph_access, uids, ANY, "[]", RELOAD)                                                                              \
    X(LISTENER, gids, GROUPS, ph_access, gids, ANY, "[]", RELOAD)                                                                             \
    X(LISTENER, load, BOOL, ph_access, load, ANY, "true", RELOAD)                                                                             \
    X(LISTENER, open, NAMES, ph_access, open, ANY, "[\"*\"]", RELOAD)                                                                         \
    X(LISTENER, all_ports, BOOL, ph_access, all_ports, ANY, "true", RELOAD)                                                                   \
    X(LISTENER, administer, BOOL, ph_access, administer, ANY, "false", RELOAD)                                                                \
    X(ROOT, driver_path, PATHS, ph_config, driver_path, UP_TO(4095), "[]", RELOAD)                                                            \
    X(ROOT, drivers, DRIVERS, ph_config, drivers, ANY, "{}", RELOAD)                                                                          \
    X(DRIVER, path, PATH, ph_driver_settings, path, UP_TO(4095), "null", RELOAD)                                                              \
    X(DRIVER, preload, BOOL, ph_driver_settings, preload, ANY, "false", RELOAD)                                                               \
    X(DRIVER, max_ports, NUMBER, ph_driver_settings, max_ports, RANGE(1, 10000000), "1000000", RELOAD)                                        \
    X(DRIVER, lock, CHOICE, ph_driver_settings, lock, ONE_OF("declared|driver"), "\"declared\"", RELOAD)                                      \
    X(DRIVER, worker, CHOICE, ph_driver_settings, worker, ONE_OF("auto|always|never"), "\"auto\"", RELOAD)                                    \
    X(DRIVER, async_keys, CHOICE, ph_driver_settings, async_keys, ONE_OF("shared|own"), "\"shared\"", RELOAD)                                 \
    X(ROOT, reactors, THREADS, ph_config, reactors, RANGE(1, 64), "\"auto\"", RESTART)                                                        \
    X(ROOT, workers, THREADS, ph_config, workers, RANGE(1, 1024), "\"auto\"", RESTART)                                                        \
    X(ROOT, async_threads, THREADS, ph_config, async_threads, RANGE(0, 1024), "\"auto\"", RESTART)                                            \
    X(ROOT, busy_poll_us, NUMBER, ph_config, busy_poll_us, RANGE(0, 1000), "20", RESTART)                                                     \
    X(ROOT, stack_kib, SECTION, ph_config, limits, IN(STACK), "{}", RESTART)                                                                  \
    X(STACK, reactor, NUMBER, ph_config, reactor_stack_kib, RANGE(0, 1048576), "0", RESTART)                                                  \
    X(STACK, worker, NUMBER, ph_config, worker_stack_kib, RANGE(0, 1048576), "0", RESTART)                                                    \
    X(STACK, async, NUMBER, ph_config, async_stack_kib, RANGE(0, 1048576), "0", RESTART)                                                      \
    X(ROOT, limits, SECTION, ph_config, limits, IN(LIMITS), "{}", RELOAD)                                                                     \
    PH_LIMITS(PH_LIMIT_KEY, X)                                                                                                                \
    X(ROOT, shutdown_s, NUMBER, ph_config, shutdown_s, RANGE(0, 3600), "10", RELOAD)                                                          \
    X(ROOT, state_dir, PATH, ph_config, state_dir, UP_TO(4095), "null", RELOAD)                                                               \
    X(ROOT, check_drivers, BOOL, ph_config, check_drivers, ANY, "false", RESTART)                                                             \
    X(ROOT, check_callback_ms, NUMBER, ph_config, check_callback_ms, RANGE(1, 3600000), "100", RELOAD)                                        \
    X(ROOT, crash_limit, NUMBER, ph_config, crash_limit, RANGE(0, 1000), "3", RELOAD)                                                         \
    X(ROOT, crash_window_s, NUMBER, ph_config, crash_window_s, RANGE(0, 31536000), "3600", RELOAD)                                            \
    X(ROOT, metrics, NUMBERED, ph_config, metrics, ANY, "null", RELOAD)                                                                        \
    X(ROOT, metrics_remote, BOOL, ph_config, metrics_remote, ANY, "false", RELOAD)                                                            \
    X(ROOT, log, SECTION, ph_config, limits, IN(LOG), "{}", RELOAD)                                                                           \
    X(LOG, level, CHOICE, ph_config, log_level, ONE_OF("error|warning|notice|info|debug"), "\"notice\"", RELOAD)                       \
    X(LOG, format, CHOICE, ph_config, log_format, ONE_OF("text|json"), "\"text\"", RELOAD)                                                    \
    X(LOG, priority_prefix, CHOICE, ph_config, log_prefix, ONE_OF("auto|always|never"), "\"auto\"", RELOAD)

#define PH_LIMIT_KEY(X, NAME, key, value, least, most) X(LIMITS, key, NUMBER, ph_config, limits[PH_LIMIT_##NAME], RANGE(least, most), #value, RELOAD)

struct ph_key {
    enum ph_section section;
    const char *name;
    enum ph_type type;
    size_t offset;         /* of the value in the section's struct */
    uint64_t least, most;  /* of a number, or bytes of a path */
    const char *choices;   /* separated by '|' */
    enum ph_section inner; /* of a section */
    const char *preset;    /* the default, JSON */
    bool restart;          /* a change has effect only after a restart */
};

extern const struct ph_key ph_keys[];
extern const size_t ph_key_count;

const struct ph_key *ph_key_find(enum ph_section section, const char *name); /* or NULL */
/* The section's place: "" or "listeners[]." or "drivers.NAME." and so on: what stands before its keys in documentation. */
const char *ph_section_prefix(enum ph_section section);
/* What the value must be, for people: "an integer from 1 to 64 or \"auto\"". */
void ph_key_describe(const struct ph_key *key, char *buf, size_t size);

/* --- value.c: one value, at `to` --- */

bool ph_value_set(const struct ph_key *key, void *to, const json_t *value); /* false, and nothing changed, if it is not what it must be */
void ph_value_clear(const struct ph_key *key, void *to);
bool ph_value_equal(const struct ph_key *key, const void *a, const void *b); /* these two: of numbers and booleans, which keys that need a restart are */
size_t ph_value_size(const struct ph_key *key);

/* --- where.c --- */

/* The line (from 1) on which a value begins in text, which must be well-formed JSON. path: for each level the position, from 0, of the member of the
 * object or the element of the array. */
unsigned ph_json_line(const char *text, const size_t *path, size_t depth);

#endif
