/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the values of variables. Called by the patterns and the statements of a run. */
#include "script/vars.h"

#include <stdlib.h>
#include <string.h>

#include "script/memory.h"

static struct ph_var *find(const struct ph_vars *vars, struct ph_text name)
{
    for (size_t i = 0; i < vars->n; i++)
        if (ph_text_is(name, vars->at[i].name))
            return &vars->at[i];
    return NULL;
}

struct ph_slice ph_vars_get(const struct ph_vars *vars, struct ph_text name)
{
    const struct ph_var *v = find(vars, name);
    return v ? (struct ph_slice){v->value.buf, v->value.len} : (struct ph_slice){0};
}

void ph_vars_set(struct ph_vars *vars, struct ph_text name, struct ph_slice value)
{
    struct ph_var *v = find(vars, name);
    struct ph_wbuf copy;
    ph_wbuf_init(&copy, NULL);
    ph_w_raw(&copy, value.p, value.len);
    ph_script_need(!copy.failed);
    if (!v) {
        vars->at = ph_script_grow(vars->at, vars->n, sizeof *vars->at);
        v = &vars->at[vars->n++];
        v->name = ph_script_copy(name);
    } else {
        ph_wbuf_free(&v->value);
    }
    v->value = copy;
}

void ph_vars_truncate(struct ph_vars *vars, size_t n)
{
    while (vars->n > n) {
        struct ph_var *v = &vars->at[--vars->n];
        free(v->name);
        ph_wbuf_free(&v->value);
    }
}

void ph_vars_free(struct ph_vars *vars)
{
    ph_vars_truncate(vars, 0);
    free(vars->at);
    *vars = (struct ph_vars){0};
}
