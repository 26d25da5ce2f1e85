/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the steps: their names, arguments and what they do. Called by the command `open` and by the shell. */
#include "steps.h"

#include <string.h>

#define WAIT_MAX_MS 86400000u

struct ph_step_kind {
    const char *name, *arguments, *help;
    bool (*read)(struct ph_args *a, struct ph_step *step);
    enum ph_exit (*run)(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port);
};

static bool read_command(struct ph_args *a, struct ph_step *step)
{
    return ph_args_data(a, "the data of command", &step->term);
}

static bool read_control(struct ph_args *a, struct ph_step *step)
{
    return ph_args_number(a, "the operation of control", UINT32_MAX, &step->number) &&
           ph_args_data(a, "the data of control", &step->term);
}

/* The first argument is the operation if it is a number and not all there is. */
static bool read_call(struct ph_args *a, struct ph_step *step)
{
    struct ph_args ahead = *a;
    uint64_t op;
    if (ph_text_number(ph_args_word(&ahead), UINT32_MAX, &op) && ph_args_left(&ahead) &&
        !(ahead.argv && ph_step_is(ph_args_peek(&ahead)))) {
        step->number = op;
        *a = ahead;
    }
    return ph_args_term(a, "the term of call", &step->term);
}

static bool read_connect(struct ph_args *a, struct ph_step *step)
{
    struct ph_cur c;
    struct ph_slice pid;
    if (!ph_args_term(a, "the process of connect", &step->term))
        return false;
    c = (struct ph_cur){step->term.buf, step->term.buf + step->term.len};
    if (ph_etf_pid(&c, &pid) == 0)
        return true;
    ph_args_complain(a, "the process of connect: this term is no pid; one is written <0.5.0>");
    return false;
}

static bool read_nothing(struct ph_args *a, struct ph_step *step)
{
    (void)a;
    (void)step;
    return true;
}

static bool read_wait(struct ph_args *a, struct ph_step *step)
{
    return ph_args_number(a, "the milliseconds of wait", WAIT_MAX_MS, &step->number);
}

static enum ph_exit run_command(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)ports;
    return ph_port_command(port, &step->term);
}

static enum ph_exit run_control(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)ports;
    return ph_port_control(port, (uint32_t)step->number, &step->term);
}

static enum ph_exit run_call(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)ports;
    return ph_port_call(port, (uint32_t)step->number, &step->term);
}

static enum ph_exit run_connect(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)ports;
    return ph_port_connect(port, &step->term);
}

static enum ph_exit run_close(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)ports;
    (void)step;
    return ph_port_close(port);
}

static enum ph_exit run_wait(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    (void)port;
    return ph_result_exit(ph_session_listen(ports->session, ph_now_ms() + (int64_t)step->number, -1, NULL, NULL));
}

static const struct ph_step_kind kinds[] = {
    {"command", "DATA", "send data", read_command, run_command},
    {"control", "OP DATA", "port_control; OP is a number", read_control, run_control},
    {"call", "[OP] TERM", "port_call; OP is 0 if it is not given", read_call, run_call},
    {"connect", "PID", "make that process the owner", read_connect, run_connect},
    {"close", "", "close the port", read_nothing, run_close},
    {"wait", "MS", "print what comes in that time", read_wait, run_wait},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const struct ph_step_kind *find(struct ph_text word)
{
    for (size_t i = 0; i < KINDS; i++)
        if (ph_text_is(word, kinds[i].name))
            return &kinds[i];
    return NULL;
}

bool ph_step_is(struct ph_text word)
{
    return find(word) != NULL;
}

const char *ph_step_name(size_t i)
{
    return i < KINDS ? kinds[i].name : NULL;
}

int ph_step_read(struct ph_args *a, struct ph_step *step)
{
    struct ph_text word = ph_args_word(a);
    *step = (struct ph_step){.kind = find(word)};
    if (!step->kind) {
        ph_args_complain(a, "expected command, control, call, connect, close or wait, found %.*s", (int)word.len, word.p ? word.p : "");
        return -1;
    }
    ph_wbuf_init(&step->term, NULL);
    if (step->kind->read(a, step))
        return 0;
    ph_step_free(step);
    return -1;
}

void ph_step_free(struct ph_step *step)
{
    ph_wbuf_free(&step->term);
}

enum ph_exit ph_step_run(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port)
{
    return step->kind->run(step, ports, port);
}

void ph_steps_help(FILE *f)
{
    for (size_t i = 0; i < KINDS; i++)
        fprintf(f, PH_HELP_LINE, kinds[i].name, kinds[i].arguments, kinds[i].help);
}

/* ---- open ---- */

static bool read_options(struct ph_args *a, struct ph_opening *o)
{
    while (ph_text_is(ph_args_peek(a), "-o")) {
        ph_args_word(a);
        if (!ph_args_term_word(a, "the option of open", &o->options))
            return false;
        o->n++;
    }
    return true;
}

int ph_opening_read(struct ph_args *a, struct ph_opening *o)
{
    *o = (struct ph_opening){0};
    ph_wbuf_init(&o->options, NULL);
    bool ok = read_options(a, o);
    if (ok) {
        o->command = ph_args_rest(a);
        ok = o->command.p && o->command.len > 0;
        if (!ok)
            ph_args_complain(a, "the command of open is missing: the name of a driver, and what it is started with");
    }
    if (ok && read_options(a, o))
        return 0;
    ph_opening_free(o);
    return -1;
}

void ph_opening_free(struct ph_opening *o)
{
    ph_wbuf_free(&o->options);
}
