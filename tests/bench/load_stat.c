/* SPDX-License-Identifier: Apache-2.0 */
/* Time, samples, and what the kernel says of a process. */
#include <dirent.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void samples_add(struct samples *s, uint64_t ns)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->ns = realloc(s->ns, s->cap * sizeof *s->ns);
        if (!s->ns)
            err(1, "realloc");
    }
    s->ns[s->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void samples_print(struct samples *s)
{
    if (!s->n)
        errx(1, "nothing was measured");
    qsort(s->ns, s->n, sizeof *s->ns, by_size);
    print_value("p50", (double)s->ns[s->n / 2]);
    print_value("p99", (double)s->ns[s->n * 99 / 100]);
    print_value("p999", (double)s->ns[s->n * 999 / 1000]);
    print_value("n", (double)s->n);
    free(s->ns);
}

/* Of all threads that live: finer than what stat counts. */
uint64_t cpu_ns(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        err(1, "%s", path);
    for (struct dirent *e; (e = readdir(dir));) {
        char name[sizeof path + sizeof e->d_name + 16];
        uint64_t ns = 0;
        snprintf(name, sizeof name, "%s/%s/schedstat", path, e->d_name);
        FILE *f = fopen(name, "r");
        if (!f)
            continue;
        if (e->d_name[0] != '.' && fscanf(f, "%" SCNu64, &ns) == 1)
            sum += ns;
        fclose(f);
    }
    closedir(dir);
    return sum;
}

uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    uint64_t size, resident;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
        err(1, "%s", path);
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void print_value(const char *name, double value)
{
    printf("%s %.3f\n", name, value);
}
