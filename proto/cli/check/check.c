/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the order of a check: first what the file says, then a trial, which is left out if it can only fail. Called by main.c. */
#include "check/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/entry_scan.h"
#include "check/report.h"
#include "check/symbols.h"
#include "check/trial.h"
#include "driver/entry.h"
#include "driver/path.h"
#include "interrupt.h"
#include "out.h"

/* ---- is it a driver ---- */

struct inits {
    bool exported, hidden, mangled, nif;
};

static bool is_init(const char *name)
{
    return strcmp(name, "driver_init") == 0 || strcmp(name, "_driver_init") == 0;
}

static bool look_for_init(void *arg, const char *name, const GElf_Sym *sym)
{
    struct inits *found = arg;
    if (sym->st_shndx == SHN_UNDEF)
        return true;
    found->exported |= is_init(name);
    found->nif |= strcmp(name, "nif_init") == 0;
    found->mangled |= strncmp(name, "_Z", 2) == 0 && strstr(name, "driver_init");
    return true;
}

static bool look_for_hidden(void *arg, const char *name, const GElf_Sym *sym)
{
    struct inits *found = arg;
    found->hidden |= sym->st_shndx != SHN_UNDEF && is_init(name);
    return !found->hidden;
}

static bool check_init(const struct ph_object *o, json_t *report)
{
    struct inits found = {0};
    ph_object_symbols(o, SHT_DYNSYM, look_for_init, &found);
    ph_object_symbols(o, SHT_SYMTAB, look_for_hidden, &found);
    if (found.exported)
        return true;
    if (found.hidden)
        ph_report_problem(report, "no_driver_init", "its driver_init is not exported: it is static, or hidden by -fvisibility or a version script");
    else if (found.mangled)
        ph_report_problem(report, "no_driver_init", "its driver_init is compiled as C++: declare it extern \"C\"");
    else if (found.nif)
        ph_report_problem(report, "no_driver_init", "it is a library of NIFs (it has nif_init), not a driver: erlang:load_nif/2 is for it");
    else
        ph_report_problem(report, "no_driver_init", "it is a shared object, but no driver: it has no function driver_init (see DRIVER_INIT in erl_driver.h)");
    return false;
}

static void judge_entry(const ErlDrvEntry *e, const char *its_name, const char *name, json_t *report)
{
    if ((unsigned)e->extended_marker != (unsigned)ERL_DRV_EXTENDED_MARKER)
        ph_report_problem(report, "driver_incorrect_version", "extended_marker of its entry is 16#%x and must be ERL_DRV_EXTENDED_MARKER: it was built for a driver interface of before R11, or the field is not set",
                          (unsigned)e->extended_marker);
    else if (!ph_entry_spoken(e))
        ph_report_problem(report, "driver_incorrect_version", "its entry says version %d.%d of the driver interface: spoken here are %d.0 to %d.%d",
                          e->major_version, e->minor_version, ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD, ERL_DRV_EXTENDED_MAJOR_VERSION,
                          ERL_DRV_EXTENDED_MINOR_VERSION);
    if (strcmp(its_name, name) != 0)
        ph_report_problem(report, "bad_driver_name", "its entry calls it %s: driver_name and the file's name without .so must be the same", its_name);
}

static void check_entry(const struct ph_object *o, const char *name, json_t *report)
{
    ErlDrvEntry e;
    struct ph_wbuf w;
    char its_name[256];
    unsigned n = ph_entry_scan(o, name, &e, its_name, sizeof its_name);
    if (n != 1) {
        ph_report_remark(report, "entry", n == 0 ? "its entry is filled in when it runs: what it says is not known before"
                                                 : "it has several entries: which of them is its own is not known before it runs");
        return;
    }
    ph_wbuf_init(&w, NULL);
    ph_w_entry(&w, &e);
    ph_trial_describe(report, its_name, w.buf, w.len, "file");
    ph_wbuf_free(&w);
    judge_entry(&e, its_name, name, report);
}

/* ---- may it be loaded ---- */

/* With a driver path the question is whether a host with that path takes it; without one, what would stand against its own directory. */
static void check_policy(const char *file, const char *name, bool path_given, json_t *report)
{
    const char *why;
    char *resolved = ph_driver_path_resolve(name, file, &why);
    json_object_set_new(report, "permitted", json_boolean(resolved != NULL));
    free(resolved);
    if (resolved)
        return;
    if (!why)
        why = strerror(errno);
    if (path_given)
        ph_report_problem(report, "not_permitted", "a client over a socket may not have it loaded: %s", why);
    else
        ph_report_remark(report, "not_permitted", "a client over a socket may not have it loaded, whatever the driver path is: %s", why);
}

/* The directories as the option has them; or the file's own. */
static void add_dirs(struct ph_strings *path, const char *dirs)
{
    for (size_t n; *dirs; dirs += n + (dirs[n] == ':')) {
        n = strcspn(dirs, ":");
        if (n)
            ph_strings_add(path, dirs, n);
    }
}

static void add_own_dir(struct ph_strings *path, const char *file)
{
    char *resolved = realpath(file, NULL), *slash = resolved ? strrchr(resolved, '/') : NULL;
    if (slash)
        ph_strings_add(path, resolved, slash == resolved ? 1 : (size_t)(slash - resolved));
    free(resolved);
}

static void set_policy(const char *driver_path, const char *file)
{
    struct ph_strings path = {0};
    if (driver_path)
        add_dirs(&path, driver_path);
    else
        add_own_dir(&path, file);
    ph_driver_path_set(&path);
    ph_strings_clear(&path);
}

/* ---- one file ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool has_suffix(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

/* What can be known of a driver without running it. */
static void check_content(const struct ph_object *o, const char *file, const char *name, bool path_given, json_t *report)
{
    check_entry(o, name, report);
    ph_symbols_check(o, file, report);
    check_policy(file, name, path_given, report);
}

/* What is no driver is not tried: the code in it is none of our business. */
static enum ph_exit check_named(const struct ph_cli *cli, const char *file, const char *name, json_t *report)
{
    struct ph_object o;
    if (!ph_object_open(&o, file, report))
        return PH_EXIT_OK;
    bool driver = check_init(&o, report), suffix = has_suffix(file_name(file));
    if (driver)
        check_content(&o, file, name, cli->driver_path, report);
    ph_object_close(&o);
    if (!suffix)
        ph_report_problem(report, "suffix", "its name does not end with .so: it will not be found");
    return driver && suffix ? ph_trial_run(cli, file, name, report) : PH_EXIT_OK;
}

/* The name that a driver is asked for by is its file's without directory and .so. */
static enum ph_exit check_file(const struct ph_cli *cli, const char *file, json_t *report)
{
    const char *base = file_name(file);
    char *name = strndup(base, strlen(base) - (has_suffix(base) ? 3 : 0));
    enum ph_exit e = PH_EXIT_FAILED;
    if (name)
        e = check_named(cli, file, name, report);
    else
        ph_complain("there is no memory for a report");
    free(name);
    return e;
}

static enum ph_exit check_files(const struct ph_cli *cli, struct ph_args *a)
{
    enum ph_exit worst = PH_EXIT_OK;
    struct ph_text file;
    while ((file = ph_args_rest(a)).p && !ph_interrupt_signal() && !ph_out_failed()) {
        set_policy(cli->driver_path, file.p);
        json_t *report = ph_report_new(file.p);
        enum ph_exit e = check_file(cli, file.p, report);
        if (e == PH_EXIT_OK && !ph_report_good(report))
            e = PH_EXIT_FAILED;
        if (!ph_interrupt_signal())
            ph_report_print(report, cli->json);
        json_decref(report);
        worst = e > worst ? e : worst;
    }
    return worst == PH_EXIT_OK && ph_out_failed() ? PH_EXIT_FAILED : worst;
}

enum ph_exit ph_check_run(const struct ph_cli *cli, struct ph_args *a)
{
    if (!ph_args_left(a)) {
        ph_complain("usage: check FILE...");
        return PH_EXIT_USAGE;
    }
    if (cli->transport != PH_OWN_DAEMON) {
        ph_complain("check tries drivers in a host of its own: --unix and --tcp are not for it");
        return PH_EXIT_USAGE;
    }
    if (ph_interrupt_install() < 0) {
        ph_complain("cannot make a pipe: %s", strerror(errno));
        return PH_EXIT_FAILED;
    }
    enum ph_exit e = check_files(cli, a);
    ph_interrupt_finish();
    return e;
}
