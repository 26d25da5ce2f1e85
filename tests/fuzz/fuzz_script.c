/* SPDX-License-Identifier: Apache-2.0 */
/* The script reader of porthostctl (proto/cli/script/script.h). Nothing is run. What a script includes is itself, a small file, or not there: it would read any file of this machine
 * otherwise, or wait for a terminal (linked with --wrap=fopen). */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "script/script.h"

FILE *__wrap_fopen(const char *name, const char *mode);
FILE *__real_fopen(const char *name, const char *mode);

static const char *input; /* NULL: the program itself reads files */

FILE *__wrap_fopen(const char *name, const char *mode)
{
    static char small[] = "open p echo_drv\nrepeat 2\ncommand p \"x\"\nend\n";
    const char *slash = strrchr(name, '/'), *file = slash ? slash + 1 : name;
    if (!input || strcmp(name, input) == 0)
        return __real_fopen(name, mode);
    if (strcmp(file, "itself") == 0)
        return __real_fopen(input, mode);
    if (strcmp(file, "small") == 0) {
        char other[32];
        int fd = fuzz_file((const uint8_t *)small, sizeof small - 1, other);
        FILE *f = __real_fopen(other, mode);
        close(fd);
        return f;
    }
    errno = ENOENT;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[32];
    int fd = fuzz_file(data, size, name);
    input = name;
    struct ph_script *script = ph_script_read(name);
    input = NULL;
    if (script)
        ph_script_free(script);
    close(fd);
    return 0;
}
