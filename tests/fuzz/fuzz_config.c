/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration (daemon/config/config.h): any file is read, or refused and nothing is kept of it. */
#include "config/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_config c, same;
    char name[32];
    int fd = fuzz_file(data, size, name);
    if (ph_config_read(&c, name) == 0 && ph_config_read(&same, name) == 0) {
        ph_config_keep_fixed(&same, &c);
        FUZZ_ASSERT(same.listener_count == c.listener_count && same.driver_count == c.driver_count);
        ph_config_clear(&same);
    }
    ph_config_clear(&c);
    close(fd);
    return 0;
}
