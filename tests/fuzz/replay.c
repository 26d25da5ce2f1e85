/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libFuzzer where inputs are only to be run again: replay FILE... runs each once. Prints "N passed, 0 failed"; an input that fails ends the process, after
 * its name has been printed. */
#include "fuzz.h"

static void run(const char *name)
{
    FILE *f = fopen(name, "rbe");
    FUZZ_ASSERT(f && fseek(f, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(f);
    uint8_t *data = malloc(size ? size : 1); /* of its size, so that a sanitizer sees a read behind it */
    rewind(f);
    FUZZ_ASSERT(data && fread(data, 1, size, f) == size);
    fclose(f);
    printf("running %s\n", name);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%d passed, 0 failed\n", argc - 1);
    return 0;
}
