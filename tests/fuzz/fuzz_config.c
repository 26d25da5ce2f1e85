/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration (daemon/config/config.h): any file is read, or refused and nothing is kept of it. */
#include <limits.h>

#include "config/config.h"
#include "fuzz.h"

/* A file that none but this user may write, in a directory of which the same is true: no other is read. */
static char dir[PATH_MAX], file[PATH_MAX + 8];

static void remove_dir(void)
{
    unlink(file);
    rmdir(dir);
}

static void write_file(const uint8_t *data, size_t size)
{
    if (!*dir) {
        const char *tmp = getenv("TMPDIR");
        snprintf(dir, sizeof dir, "%s/fuzz-config-XXXXXX", tmp ? tmp : "/tmp");
        FUZZ_ASSERT(mkdtemp(dir));
        snprintf(file, sizeof file, "%s/json", dir);
        atexit(remove_dir);
    }
    FILE *f = fopen(file, "we");
    FUZZ_ASSERT(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_config c, same;
    write_file(data, size);
    if (ph_config_read(&c, file) == 0) {
        FUZZ_ASSERT(ph_config_read(&same, file) == 0);
        ph_config_keep_fixed(&same, &c);
        FUZZ_ASSERT(same.listener_count == c.listener_count && same.driver_count == c.driver_count);
        ph_config_clear(&same);
    }
    ph_config_clear(&c);
    return 0;
}
