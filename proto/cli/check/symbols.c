/* SPDX-License-Identifier: Apache-2.0 */
/* Owns who provides the undefined symbols of a driver. Called by check.c. */
#include "check/symbols.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check/libraries.h"
#include "check/report.h"
#include "host/child.h"

struct symbol {
    char *name;
    bool weak, provided;
};

struct symbols {
    struct symbol *at; /* sorted by name once all have been read */
    size_t n;
    json_t *report;
    bool of_host;        /* the libraries being read are porthostd's */
    unsigned not_found;  /* libraries */
};

/* The functions that porthostd exports for drivers, sorted, and whether only the R12 interface had them. */
static const struct function {
    const char *name;
    bool r12;
} functions[] = {
#define X(name, r12) {name, r12},
#include "api_functions.h"
#undef X
};

static const struct function *function_of(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

/* ---- what is undefined ---- */

static bool take_undefined(void *arg, const char *name, const GElf_Sym *sym)
{
    struct symbols *s = arg;
    if (sym->st_shndx != SHN_UNDEF)
        return true;
    if (s->n % 256 == 0) {
        struct symbol *more = realloc(s->at, (s->n + 256) * sizeof *more);
        if (!more)
            return false;
        s->at = more;
    }
    char *copy = strdup(name);
    if (copy)
        s->at[s->n++] = (struct symbol){.name = copy, .weak = GELF_ST_BIND(sym->st_info) == STB_WEAK};
    return copy != NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static void take_functions(struct symbols *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct function *f = function_of(s->at[i].name);
        if (!f)
            continue;
        s->at[i].provided = true;
        ph_report_add(s->report, "imports", f->name);
        if (f->r12)
            ph_report_add(s->report, "r12", f->name);
    }
}

/* ---- who has it ---- */

static bool take_defined(void *arg, const char *name, const GElf_Sym *sym)
{
    struct symbols *s = arg;
    struct symbol key = {.name = (char *)name}, *found;
    if (sym->st_shndx == SHN_UNDEF || GELF_ST_BIND(sym->st_info) == STB_LOCAL)
        return true;
    found = s->n ? bsearch(&key, s->at, s->n, sizeof key, by_name) : NULL;
    if (!found || found->provided)
        return true;
    found->provided = true;
    if (s->of_host && !found->weak)
        ph_report_remark(s->report, "borrowed", "%s comes from a library that porthostd happens to use; link the driver with its library", name);
    return true;
}

/* Complaints name the file and then say what is wrong, such as a version of a symbol. */
static void take_complaint(struct symbols *s, const char *text)
{
    const char *wrong = strstr(text, ": ");
    if (!s->of_host && strstr(text, "version `"))
        ph_report_problem(s->report, "missing_version", "%s", wrong ? wrong + 2 : text);
    else if (!s->of_host)
        ph_report_remark(s->report, "linker", "%s", text);
}

static void take_library(void *arg, const char *name, const char *path)
{
    struct symbols *s = arg;
    struct ph_object o;
    if (!name) {
        take_complaint(s, path);
        return;
    }
    if (!path && !s->of_host) {
        s->not_found++;
        ph_report_problem(s->report, "missing_library", "the library %s is not found: install it, or link with -Wl,-rpath,DIR", name);
    }
    if (path && ph_object_open_quietly(&o, path)) {
        ph_object_symbols(&o, SHT_DYNSYM, take_defined, s);
        ph_object_close(&o);
    }
}

/* Drivers also see the libraries that porthostd itself is linked to. */
static void take_host_libraries(struct symbols *s)
{
    char daemon[4096];
    s->of_host = true;
    if (ph_child_beside(daemon, sizeof daemon))
        ph_libraries_list(daemon, take_library, s);
}

/* ---- what nobody has ---- */

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static const char *what_it_was(const struct symbols *s, const char *name)
{
    static const struct {
        const char *prefix, *what;
    } kinds[] = {
        {"enif_", "a function for NIFs, which only the VM has"},
        {"erts_", "an internal of the VM, which drivers cannot use outside it"},
        {"ethr_", "an internal of the VM (threads), which drivers cannot use outside it"},
        {"sys_", "perhaps an internal of the VM, which drivers cannot use outside it"},
        {"ei_", "a function of ei: link with -lei"},
        {"erl_interface_", "a function of erl_interface, which OTP has dropped: use ei"},
        {"erl_drv_", "of a driver interface that is not known here"},
        {"driver_", "of a driver interface that is not known here"},
        {"erl_", "perhaps a function of erl_interface, which OTP has dropped, or an internal of the VM"},
        {"_Z", "a C++ function: link with g++, or with the library that has it"},
        {"__asan", "of a sanitizer: its run-time library must be loaded first"},
        {"__ubsan", "of a sanitizer: its run-time library must be loaded first"},
        {"__tsan", "of a sanitizer: its run-time library must be loaded first"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (begins(name, kinds[i].prefix))
            return kinds[i].what;
    return s->not_found ? "perhaps of a library that is not found" : "in no library that it names: link with the one that has it";
}

static void report_missing(struct symbols *s)
{
    json_t *missing = json_array();
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i].provided || s->at[i].weak)
            continue;
        json_t *item = json_object();
        json_object_set_new(item, "name", ph_report_text(s->at[i].name));
        json_object_set_new(item, "what", json_string(what_it_was(s, s->at[i].name)));
        json_array_append_new(missing, item);
    }
    size_t n = json_array_size(missing);
    if (n)
        ph_report_problem(s->report, "missing_symbols", "%zu symbol%s that nothing here provides", n, n == 1 ? "" : "s");
    json_object_set_new(s->report, "missing", missing);
}

void ph_symbols_check(const struct ph_object *o, const char *file, json_t *report)
{
    struct symbols s = {.report = report};
    ph_object_symbols(o, SHT_DYNSYM, take_undefined, &s);
    if (s.n)
        qsort(s.at, s.n, sizeof *s.at, by_name);
    take_functions(&s);
    ph_object_libraries(o, report);
    if (ph_libraries_list(file, take_library, &s)) {
        take_host_libraries(&s);
        report_missing(&s);
    } else {
        ph_report_remark(report, "linker", "the dynamic linker cannot be asked for the libraries: what is missing is not known");
    }
    for (size_t i = 0; i < s.n; i++)
        free(s.at[i].name);
    free(s.at);
}
