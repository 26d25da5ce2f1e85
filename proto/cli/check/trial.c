/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the trial: the session with the host, and what its log says if it ends badly. Called by check.c. */
#include "check/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/report.h"
#include "driver.h"
#include "host/child.h"
#include "host/session.h"

#define LOG_MAX (256 * 1024)
#define LOG_LINES 40
#define HUNG_GRACE_MS 100 /* nobody expects it to end by itself */

/* ---- the entry as the host tells it ---- */

static void read_atoms(struct ph_cur *c, json_t *driver, const char *key)
{
    char text[1024];
    size_t len;
    uint32_t n;
    json_object_set_new(driver, key, json_array());
    if (ph_etf_list(c, &n) < 0)
        return;
    for (uint32_t i = 0; i < n && ph_etf_atom(c, text, sizeof text, &len) == 0; i++)
        ph_report_add(driver, key, text);
    if (n)
        ph_etf_nil(c);
}

static void read_version(struct ph_cur *c, json_t *driver)
{
    uint32_t arity;
    int64_t major = 0, minor = 0;
    if (ph_etf_tuple(c, &arity) == 0 && arity == 2 && ph_etf_int64(c, &major) == 0 && ph_etf_int64(c, &minor) == 0)
        json_object_set_new(driver, "version", json_pack("[I,I]", (json_int_t)major, (json_int_t)minor));
}

void ph_trial_describe(json_t *report, const char *name, const void *entry, size_t len, const char *known_from)
{
    struct ph_cur c = {entry, (const uint8_t *)entry + len};
    char key[1024];
    size_t key_len;
    uint32_t pairs;
    json_t *driver = json_object();
    json_object_set_new(driver, "name", ph_report_text(name));
    if (ph_etf_map(&c, &pairs) < 0)
        pairs = 0;
    for (uint32_t i = 0; i < pairs && ph_etf_atom(&c, key, sizeof key, &key_len) == 0; i++) {
        if (strcmp(key, "version") == 0)
            read_version(&c, driver);
        else if (strcmp(key, "flags") == 0 || strcmp(key, "callbacks") == 0)
            read_atoms(&c, driver, key);
        else if (ph_etf_skip(&c, PH_MAX_DEPTH) < 0)
            break;
    }
    json_object_set_new(driver, "known_from", json_string(known_from));
    json_object_set_new(report, "driver", driver);
}

/* ---- the host's log ---- */

/* All of it, or its end; a new text. */
static char *read_log(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END), from = size > LOG_MAX ? size - LOG_MAX : 0;
    char *text = calloc(1, LOG_MAX + 1);
    if (text && size > 0 && pread(fd, text, LOG_MAX, from) < 0)
        text[0] = 0;
    return text;
}

/* What the loader says behind "FILE: WHAT: ", which is more than the reason. Without it: an empty text. */
static void reason_in_log(const char *log, const char *what, char *text, size_t cap)
{
    char mark[80];
    int n = snprintf(mark, sizeof mark, ": %s: ", strcmp(what, "open_error") == 0 ? "cannot be opened" : what);
    const char *at = log ? strstr(log, mark) : NULL;
    text[0] = 0;
    if (at)
        snprintf(text, cap, "%.*s", (int)strcspn(at + n, "\n"), at + n);
}

static void add_lines(json_t *object, const char *key, const char *text)
{
    for (int i = 0; i < LOG_LINES && *text; i++) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        if (line)
            ph_report_add(object, key, line);
        free(line);
        text += n + (text[n] == '\n');
    }
}

/* The host's last words: "CRITICAL SIGNAL in callback NAME[ of ...]" and a backtrace. False if it had no time for them. */
static bool take_crash(json_t *report, const char *log, const char *when)
{
    const char *at = log ? strstr(log, "CRITICAL ") : NULL;
    char signal[32], callback[64];
    if (!at || sscanf(at, "CRITICAL %31s in callback %63[^ \n]", signal, callback) != 2)
        return false;
    json_t *crash = json_object();
    json_object_set_new(crash, "signal", json_string(signal));
    json_object_set_new(crash, "callback", json_string(callback));
    const char *trace = strchr(at, '\n');
    if (trace)
        add_lines(crash, "backtrace", trace + 1);
    json_object_set_new(report, "crash", crash);
    ph_report_problem(report, "crashed", "it crashes while it is %s: %s in callback %s", when, signal, callback);
    return true;
}

/* ---- the trial ---- */

struct trial {
    struct ph_session session;
    json_t *report;
    const char *name, *when;
    char refused[64]; /* the reason's atom */
};

static struct ph_text text(const char *s)
{
    return (struct ph_text){s, strlen(s)};
}

static void set_refusal(struct trial *t, struct ph_slice reason)
{
    struct ph_cur c = {reason.p, reason.p + reason.len};
    char atom[1024] = "refused";
    size_t len;
    uint32_t arity;
    ph_etf_tuple(&c, &arity);
    ph_etf_atom(&c, atom, sizeof atom, &len);
    snprintf(t->refused, sizeof t->refused, "%.63s", atom);
}

static enum ph_result ask_entry(struct trial *t)
{
    struct ph_session *s = &t->session;
    struct ph_slice value = {0};
    ph_session_begin_tagged(s, "driver_info", 4);
    ph_w_binary(&s->out, t->name, strlen(t->name));
    ph_w_atom(&s->out, "entry");
    enum ph_result r = ph_session_ask(s, &value);
    if (r == PH_RESULT_OK)
        ph_trial_describe(t->report, t->name, value.p, value.len, "host");
    return r == PH_RESULT_ERROR ? PH_RESULT_OK : r; /* a host of another version may not know the item */
}

/* The reply to `drivers` comes when the unloading before it is done. */
static enum ph_result ask_unload(struct trial *t)
{
    struct ph_slice value = {0};
    enum ph_result r = ph_driver_unload(&t->session, text(t->name), &value);
    if (r == PH_RESULT_ERROR)
        set_refusal(t, value);
    if (r != PH_RESULT_OK)
        return r;
    ph_session_begin_tagged(&t->session, "drivers", 2);
    return ph_session_ask(&t->session, &value);
}

static enum ph_result run(struct trial *t, const char *dir)
{
    struct ph_slice value = {0};
    t->when = "loaded";
    enum ph_result r = ph_driver_load(&t->session, text(dir), text(t->name), &value);
    if (r == PH_RESULT_ERROR)
        set_refusal(t, value);
    if (r == PH_RESULT_OK)
        r = ask_entry(t);
    if (r != PH_RESULT_OK)
        return r;
    t->when = "unloaded";
    return ask_unload(t);
}

/* permanent: the driver has called driver_lock_driver, which is its right. */
static void take_refusal(struct trial *t, const char *log)
{
    char why[512];
    if (strcmp(t->refused, "permanent") == 0) {
        json_object_set_new(t->report, "trial", json_string("loaded"));
        ph_report_remark(t->report, "permanent", "it has locked itself and cannot be unloaded");
        return;
    }
    reason_in_log(log, t->refused, why, sizeof why);
    json_object_set_new(t->report, "trial", json_string("refused"));
    if (!ph_report_has_problem(t->report, t->refused))
        ph_report_problem(t->report, t->refused, "the host refuses it: %s", why[0] ? why : t->refused);
}

static void judge_bad_end(struct trial *t, enum ph_result r, const char *log, const char *how)
{
    const char *trial = "ended";
    if (r == PH_RESULT_TIMEOUT) {
        trial = "hung";
        ph_report_problem(t->report, trial, "it does not come back within %g seconds from being %s", t->session.cli->timeout_ms / 1000.0, t->when);
    } else if (take_crash(t->report, log, t->when)) {
        trial = "crashed";
    } else {
        ph_report_problem(t->report, trial, "the host ends while it is %s: %s", t->when, how);
    }
    json_object_set_new(t->report, "trial", json_string(trial));
    if (log && !json_object_get(t->report, "crash"))
        add_lines(t->report, "log", log);
}

static void judge(struct trial *t, enum ph_result r, const char *log, const char *how)
{
    if (r == PH_RESULT_ERROR)
        take_refusal(t, log);
    else if (r != PH_RESULT_OK || how[0])
        judge_bad_end(t, r, log, how);
    else
        json_object_set_new(t->report, "trial", json_string("loaded"));
}

static enum ph_exit try_with_log(const struct ph_cli *cli, const char *dir, const char *name, json_t *report)
{
    struct trial t = {.report = report, .name = name};
    char how[512] = "";
    enum ph_exit e = ph_session_open(&t.session, cli);
    if (e != PH_EXIT_OK)
        return e;
    enum ph_result r = run(&t, dir);
    ph_session_end(&t.session, r == PH_RESULT_TIMEOUT ? HUNG_GRACE_MS : PH_CHILD_GRACE_MS, how, sizeof how);
    if (r == PH_RESULT_INTERRUPTED)
        return PH_EXIT_FAILED;
    char *log = read_log(cli->log_fd);
    judge(&t, r, log, how);
    free(log);
    return PH_EXIT_OK;
}

enum ph_exit ph_trial_run(const struct ph_cli *cli, const char *file, const char *name, json_t *report)
{
    struct ph_cli own = *cli;
    char *dir = strdup(file), *slash = dir ? strrchr(dir, '/') : NULL;
    own.log_fd = memfd_create("log", MFD_CLOEXEC);
    enum ph_exit e = PH_EXIT_FAILED;
    if (slash)
        slash[slash == dir] = 0;
    if (own.log_fd < 0 || !dir)
        ph_complain("cannot keep the log of the host: %s", strerror(errno));
    else
        e = try_with_log(&own, slash ? dir : ".", name, report);
    if (own.log_fd >= 0)
        close(own.log_fd);
    free(dir);
    return e;
}
