/* SPDX-License-Identifier: Apache-2.0 */
/* The script reader of porthostctl (proto/cli/script/script.h). Nothing is run. */
#include <string.h>

#include "fuzz.h"
#include "script/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[32];
    if (memmem(data, size, "include", 7))
        return 0; /* it would read any file of this machine, or wait for a terminal */
    int fd = fuzz_file(data, size, name);
    struct ph_script *script = ph_script_read(name);
    if (script)
        ph_script_free(script);
    close(fd);
    return 0;
}
