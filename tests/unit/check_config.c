/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/config: defaults, every key's type and range, what is said about wrong files, and that the sample and the man page agree with the code. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/keys.h"
#include "proto.h"
#include "runner.h"

static char said[8192]; /* what the log got while a file was read */

/* Reads the text as a file called "f"; what is logged meanwhile is in `said`. */
static int read_text(struct ph_config *c, const char *text)
{
    char dir[] = "/tmp/check_config.XXXXXX";
    int fds[2], saved = dup(STDERR_FILENO), home = open(".", O_RDONLY);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    FILE *f = fopen("f", "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    int result = ph_config_read(c, "f");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    ssize_t n = read(fds[0], said, sizeof said - 1);
    said[n < 0 ? 0 : n] = '\0';
    close(fds[0]);
    unlink("f");
    ck_assert_int_eq(fchdir(home), 0);
    close(home);
    rmdir(dir);
    return result;
}

static void refused(const char *text, const char *message)
{
    struct ph_config c;
    ck_assert_msg(read_text(&c, text) == -1, "accepted: %s", text);
    ck_assert_msg(strstr(said, message) != NULL, "%s\nexpected: %s\nsaid: %s", text, message, said);
    ph_config_clear(&c);
}

static void accepted(struct ph_config *c, const char *text)
{
    ck_assert_msg(read_text(c, text) == 0, "%s: %s", text, said);
    ck_assert_str_eq(said, "");
}

START_TEST(an_empty_object_means_the_defaults)
{
    struct ph_config c, d;
    ph_config_defaults(&d);
    accepted(&c, "{}");
    ck_assert_uint_eq(c.listener_count + c.driver_count + c.driver_path.n, 0);
    ck_assert_int_eq(c.reactors, PH_AUTO);
    ck_assert_int_eq(c.async_threads, PH_AUTO);
    ck_assert_uint_eq(c.log_level, PH_LOG_NOTICE);
    for (int i = 0; i < PH_LIMIT_COUNT; i++) {
        ck_assert_uint_eq(c.limits[i], ph_limit((enum ph_limit)i));
        ck_assert_uint_eq(d.limits[i], c.limits[i]);
    }
    ck_assert_uint_eq(c.limits[PH_LIMIT_FRAME_BYTES], PH_MAX_FRAME_DEFAULT);
    ck_assert_uint_eq(c.limits[PH_LIMIT_TERM_DEPTH], PH_MAX_DEPTH);
    ph_config_clear(&c);
    ph_config_clear(&d);
}
END_TEST

START_TEST(values_go_where_they_belong)
{
    struct ph_config c;
    accepted(&c, "{\"listeners\": [{\"unix\": \"/run/a\", \"mode\": \"0660\", \"owner\": \"root\", \"group\": 7, \"uids\": [0, \"root\", 1000],"
                 " \"gids\": [5], \"load\": false, \"open\": [\"a_drv\"], \"all_ports\": false, \"administer\": true}, {\"tcp\": \"localhost:1\"}],"
                 " \"driver_path\": [\"/a\", \"/b\"], \"drivers\": {\"x_drv\": {\"path\": \"/x.so\", \"preload\": true, \"max_ports\": 3,"
                 " \"lock\": \"driver\", \"worker\": \"never\", \"async_keys\": \"own\"}},"
                 " \"reactors\": 1, \"workers\": 2, \"async_threads\": 0, \"stack_kib\": {\"worker\": 512},"
                 " \"limits\": {\"frame_bytes\": 4096}, \"log\": {\"level\": \"debug\"}}");
    ck_assert_uint_eq(c.listener_count, 2);
    const struct ph_access *a = c.listeners[0];
    ck_assert_str_eq(a->unix_path, "/run/a");
    ck_assert_ptr_null(a->tcp);
    ck_assert_uint_eq(a->mode, 0660);
    ck_assert_uint_eq(a->owner, 0);
    ck_assert_uint_eq(a->group, 7);
    ck_assert_uint_eq(a->uids.n, 3);
    ck_assert_uint_eq(a->uids.v[1], 0);
    ck_assert_uint_eq(a->gids.v[0], 5);
    ck_assert(!a->load && !a->all_ports && a->administer && !c.listeners[1]->administer);
    ck_assert(ph_access_may_open(a, "a_drv", 5) && !ph_access_may_open(a, "a_drvx", 6) && !ph_access_may_open(a, "*", 1));
    ck_assert_str_eq(c.listeners[1]->tcp, "localhost:1");
    ck_assert(c.listeners[1]->load && c.listeners[1]->all_ports && ph_access_may_open(c.listeners[1], "b", 1));
    ck_assert_str_eq(c.driver_path.v[1], "/b");
    ck_assert_str_eq(c.drivers[0].name, "x_drv");
    ck_assert_str_eq(c.drivers[0].path, "/x.so");
    ck_assert(c.drivers[0].preload);
    ck_assert_uint_eq(c.drivers[0].max_ports, 3);
    ck_assert_uint_eq(c.drivers[0].lock, PH_LOCK_OF_DRIVER);
    ck_assert_uint_eq(c.drivers[0].worker, 2);
    ck_assert_uint_eq(c.drivers[0].async_keys, PH_KEYS_OWN);
    ck_assert_int_eq(c.reactors, 1);
    ck_assert_int_eq(c.workers, 2);
    ck_assert_int_eq(c.async_threads, 0);
    ck_assert_int_eq(c.worker_stack_kib, 512);
    ck_assert_uint_eq(c.limits[PH_LIMIT_FRAME_BYTES], 4096);
    ck_assert_uint_eq(c.log_level, PH_LOG_DEBUG);
    ph_config_clear(&c);
}
END_TEST

START_TEST(each_error_has_file_line_key_and_what_was_expected)
{
    refused("{\n \"limits\": {\n  \"frame_bytes\": \"big\"\n }\n}", "f:3: limits.frame_bytes: expected an integer from 1024 to 2147483647, found \"big\"");
    refused("{\"limits\": {\"frame_bytes\": 1.5}}", "f:1: limits.frame_bytes: expected an integer from");
    refused("{\"limits\":\n\n[]}", "f:3: limits: expected an object, found []");
    refused("{\"log\": {\"level\": \"loud\"}}", "log.level: expected \"error\", \"warning\", \"notice\", \"info\" or \"debug\", found \"loud\"");
    refused("{\"reactors\": 0}", "reactors: expected an integer from 1 to 64 or \"auto\", found 0");
    refused("{\"listeners\": [\n{\"unix\": \"/a\"},\n{\"unix\": 7}]}", "f:3: listeners[1].unix: expected an absolute path of at most 107 bytes, found 7");
    refused("{\"listeners\": [{\"unix\": \"/a\",\n\"mode\": \"0888\"}]}", "f:2: listeners[0].mode: expected a string of three or four octal digits");
    refused("{\"listeners\": [{\"unix\": \"/a\", \"uids\": [\"no such user\"]}]}", "listeners[0].uids: expected an array of names or numbers of users");
    refused("{\"drivers\": {\"a\": {},\n\"b\": {\n\"max_ports\": -1}}}", "f:3: drivers.b.max_ports: expected an integer from 1");
    refused("{\"colour\": 1}", "f:1: colour: unknown key; expected one of listeners, driver_path,");
    refused("{\"listeners\": [{\"tcp\": \"a:1\",\n\"port\": 1}]}", "f:2: listeners[0].port: unknown key; expected one of unix, tcp, cookie_file, mode");
    refused("{\"listeners\": [{\"tcp\":\n\"a:65536\"}]}",
            "f:2: listeners[0].tcp: expected a string \"HOST:PORT\", the port from 0 to 65535 or the name of a service, found \"a:65536\"");
    refused("{\"metrics\": \"localhost:http\"}", "f:1: metrics: expected a string \"HOST:PORT\", the port from 0 to 65535, found \"localhost:http\"");
    refused("[]", "f:1: expected an object, found []");
    refused("{\"listeners\": [\n{\"tcp\": \"a:1\", \"cookie_file\": \"/no/such/file\"}]}", "f:2: listeners[0]: cookie_file: /no/such/file: No such file");
    refused("{\"listeners\": [\n{\"unix\": \"/a\", \"cookie_file\": \"/dev/null\"}]}", "f:2: listeners[0]: expected no key \"cookie_file\": it is for tcp");
}
END_TEST

START_TEST(all_errors_of_a_file_are_told)
{
    refused("{\"reactors\": 0,\n\"workers\": true}", "f:1: reactors");
    ck_assert_ptr_nonnull(strstr(said, "f:2: workers"));
}
END_TEST

START_TEST(what_is_no_json_is_told_with_its_line)
{
    refused("", "f:1: expected JSON: ");
    refused("{\n\"reactors\": 1,\n}", "f:3: expected JSON: ");
    refused("{} {}", "f:1: expected JSON: ");
    refused("{\"reactors\": 1,\n\"reactors\": 2}", "f:2: expected JSON: duplicate object key");
    refused("{\"log\": \"\xff\"}", "expected JSON: ");
    refused("{\"reactors\": 99999999999999999999}", "expected JSON: ");
    struct ph_config c;
    ck_assert_int_eq(ph_config_read(&c, "/no/such/file"), -1);
    ck_assert_int_eq(ph_config_read(&c, "/"), -1);
    char *large = malloc((1 << 20) + 3);
    memset(large, ' ', (1 << 20) + 2);
    large[(1 << 20) + 2] = '\0';
    refused(large, "larger than 1 MiB");
    free(large);
}
END_TEST

START_TEST(a_file_that_is_cut_anywhere_is_refused)
{
    static const char text[] = "{\"listeners\": [{\"unix\": \"/a\", \"uids\": [1]}], \"limits\": {\"frame_bytes\": 4096}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char part[sizeof text];
        memcpy(part, text, n);
        part[n] = '\0';
        refused(part, "expected JSON: ");
    }
}
END_TEST

START_TEST(values_that_contradict_each_other_are_refused)
{
    refused("{\"listeners\": [{}]}", "listeners[0]: expected one of the keys \"unix\" and \"tcp\"");
    refused("{\"listeners\": [{\"unix\": \"/a\", \"tcp\": \"a:1\"}]}", "expected one of the keys");
    refused("{\"listeners\": [{\"tcp\": \"a:1\", \"mode\": \"0600\"}]}", "listeners[0]: expected no key \"mode\"");
    refused("{\"listeners\": [{\"unix\": \"/a\"},\n{\"unix\": \"/a\"}]}", "f:2: listeners[1]: expected another address than that of listeners[0]");
    refused("{\"listeners\": [{\"unix\": \"/a\"},\n{\"unix\": \"//a\"}]}", "f:2: listeners[1]: expected another address than that of listeners[0]");
    refused("{\"listeners\": [{\"tcp\": \"127.0.0.1:1\"},\n{\"tcp\": \"127.1:01\"}]}", "f:2: listeners[1]: expected another address than that of listeners[0]");
    refused("{\"listeners\": [{\n\"load\": true,\n\"tcp\": \"0.0.0.0:1\"}]}",
            "f:3: listeners[0].tcp: not a loopback address, and no cookie_file is configured");
    refused("{\"listeners\": [{\"tcp\": \"[::]:1\"}]}", "listeners[0].tcp: not a loopback address");
    refused("{\n\"metrics\": \"192.0.2.1:1\"}", "f:2: metrics: not a loopback address; see metrics_remote");
    refused("{\"limits\": {\"unsent_bytes\": 65536}}", "limits: expected unsent_pause_bytes to be less than unsent_bytes");
    refused("{\"drivers\": {\"a/b\": {}}}", "drivers.a/b: expected the name of a driver as key");
}
END_TEST

START_TEST(names_are_left_to_the_start)
{
    struct ph_config c;
    accepted(&c, "{\"listeners\": [{\"tcp\": \"localhost:1\"}, {\"tcp\": \"127.0.0.1:1\"}, {\"tcp\": \"no.such.host:http\"}, {\"tcp\": \"[::1]:1\"}],"
                 " \"metrics\": \"no.such.host:1\"}");
    ph_config_clear(&c);
    accepted(&c, "{\"metrics\": \"0.0.0.0:65535\", \"metrics_remote\": true}");
    ph_config_clear(&c);
}
END_TEST

/* Every key refuses what is of another type, and the ends of its range are where the table says. */
static void try_key(const struct ph_key *key, json_t *value, bool good)
{
    union {
        uint64_t number;
        char room[64];
    } to = {.room = {0}};
    char *shown = json_dumps(value, JSON_ENCODE_ANY);
    bool is = ph_value_set(key, &to, value);
    ck_assert_msg(is == good, "%s%s: %s", ph_section_prefix(key->section), key->name, shown);
    if (is)
        ph_value_clear(key, &to);
    free(shown);
    json_decref(value);
}

START_TEST(every_key_has_its_type_and_range)
{
    for (size_t i = 0; i < ph_key_count; i++) {
        const struct ph_key *key = &ph_keys[i];
        try_key(key, json_real(0.5), false);
        try_key(key, json_string("no such thing"), false);
        try_key(key, json_integer(-1), false);
        try_key(key, json_pack("[[]]"), key->type == PH_TYPE_LISTENERS);
        try_key(key, json_true(), key->type == PH_TYPE_BOOL);
        try_key(key, json_null(), strcmp(key->preset, "null") == 0);
        try_key(key, json_loads(key->preset, JSON_DECODE_ANY, NULL), true);
        if (key->type == PH_TYPE_NUMBER || key->type == PH_TYPE_THREADS) {
            try_key(key, json_integer((json_int_t)key->least), true);
            try_key(key, json_integer((json_int_t)key->least - 1), false);
            try_key(key, json_integer((json_int_t)key->most), true);
            try_key(key, json_integer((json_int_t)key->most + 1), false);
        }
    }
}
END_TEST

START_TEST(lines_are_found_whatever_the_text_looks_like)
{
    static const char text[] = "\n{ \"a\\\"}]\" : \"]}\\\\\",\n\"b\"\n:\n[ 1, {\"x\":[ ]}, \"\\\"\n\",\n [ [\n7 ] ] ] }";
    ck_assert_uint_eq(ph_json_line(text, NULL, 0), 2);
    ck_assert_uint_eq(ph_json_line(text, (size_t[]){0}, 1), 2);
    ck_assert_uint_eq(ph_json_line(text, (size_t[]){1}, 1), 5);
    ck_assert_uint_eq(ph_json_line(text, (size_t[]){1, 1, 0}, 3), 5);
    ck_assert_uint_eq(ph_json_line(text, (size_t[]){1, 3}, 2), 6);
    ck_assert_uint_eq(ph_json_line(text, (size_t[]){1, 3, 0, 0}, 4), 7);
}
END_TEST

/* --- the sample and the man page --- */

/* The values that the sample has at the key, of all listeners or drivers: how many, and whether one is the default. */
static void look_in_sample(json_t *object, const struct ph_key *key, int *found, bool *preset)
{
    json_t *value = json_object_get(object, key->name), *is = json_loads(key->preset, JSON_DECODE_ANY, NULL);
    *found += value != NULL;
    *preset = *preset || (value && json_equal(value, is));
    json_decref(is);
}

static void look_everywhere(json_t *root, const struct ph_key *key, int *found, bool *preset)
{
    static const char *const inner[PH_SECTIONS] = {[PH_IN_STACK] = "stack_kib", [PH_IN_LIMITS] = "limits", [PH_IN_LOG] = "log"};
    json_t *o;
    const char *name;
    size_t i;
    if (key->section == PH_IN_LISTENER)
        json_array_foreach(json_object_get(root, "listeners"), i, o)
            look_in_sample(o, key, found, preset);
    else if (key->section == PH_IN_DRIVER)
        json_object_foreach(json_object_get(root, "drivers"), name, o)
            look_in_sample(o, key, found, preset);
    else
        look_in_sample(inner[key->section] ? json_object_get(root, inner[key->section]) : root, key, found, preset);
}

START_TEST(the_sample_is_valid_and_has_every_key_with_its_default)
{
    json_t *root = json_load_file("conf/porthostd.json", JSON_REJECT_DUPLICATES, NULL);
    struct ph_config c;
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(ph_config_read(&c, "conf/porthostd.json"), 0);
    ph_config_clear(&c);
    for (size_t i = 0; i < ph_key_count; i++) {
        const struct ph_key *key = &ph_keys[i];
        int found = 0;
        bool preset = key->preset[0] == '{' || key->preset[0] == '[' || strcmp(key->preset, "null") == 0; /* these are shown with something in them */
        look_everywhere(root, key, &found, &preset);
        ck_assert_msg(found > 0, "not in the sample: %s%s", ph_section_prefix(key->section), key->name);
        ck_assert_msg(preset, "not the default in the sample: %s%s", ph_section_prefix(key->section), key->name);
    }
    json_decref(root);
}
END_TEST

static char *slurp(const char *file)
{
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    char *text = calloc(1, 1 << 18);
    ck_assert_uint_gt(fread(text, 1, (1 << 18) - 1, f), 0);
    fclose(f);
    return text;
}

static unsigned occurrences(const char *text, const char *of)
{
    unsigned n = 0;
    for (; (text = strstr(text, of)); text++)
        n++;
    return n;
}

START_TEST(the_man_page_has_every_key_with_type_and_default_and_no_other)
{
    char *page = slurp("conf/porthostd.json.5"), item[600], type[256];
    for (size_t i = 0; i < ph_key_count; i++) {
        const struct ph_key *key = &ph_keys[i];
        ph_key_describe(key, type, sizeof type);
        snprintf(item, sizeof item, "\n.It Ic %s%s\nValue: %s.\nDefault: %s.\n%s", ph_section_prefix(key->section), key->name, type, key->preset,
                 key->restart ? "A change needs a restart.\n" : "");
        ck_assert_msg(strstr(page, item) != NULL, "not in the man page: %s", item);
    }
    ck_assert_uint_eq(occurrences(page, "\n.It Ic "), ph_key_count);
    unsigned restarts = 0;
    for (size_t i = 0; i < ph_key_count; i++)
        restarts += ph_keys[i].restart;
    ck_assert_uint_eq(occurrences(page, "\nA change needs a restart."), restarts);
    free(page);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *tc = runner_case(s, "config");
    tcase_add_test(tc, an_empty_object_means_the_defaults);
    tcase_add_test(tc, values_go_where_they_belong);
    tcase_add_test(tc, each_error_has_file_line_key_and_what_was_expected);
    tcase_add_test(tc, all_errors_of_a_file_are_told);
    tcase_add_test(tc, what_is_no_json_is_told_with_its_line);
    tcase_add_test(tc, a_file_that_is_cut_anywhere_is_refused);
    tcase_add_test(tc, values_that_contradict_each_other_are_refused);
    tcase_add_test(tc, names_are_left_to_the_start);
    tcase_add_test(tc, every_key_has_its_type_and_range);
    tcase_add_test(tc, lines_are_found_whatever_the_text_looks_like);
    tcase_add_test(tc, the_sample_is_valid_and_has_every_key_with_its_default);
    tcase_add_test(tc, the_man_page_has_every_key_with_type_and_default_and_no_other);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
