/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets have in common. A target is one file fuzz_NAME.c that defines LLVMFuzzerTestOneInput; it is linked with libFuzzer for `make fuzz`, and
 * with replay.c for `make test`. A target aborts if what it tries breaks its contract. */
#ifndef PH_FUZZ_H
#define PH_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what was broken; the input is libFuzzer's or replay.c's to name. */
#define FUZZ_ASSERT(condition)                                                          \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);     \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* A file with these bytes, for what reads files only. name gets its path; the descriptor is the caller's to close. */
static inline int fuzz_file(const uint8_t *data, size_t size, char name[32])
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    snprintf(name, 32, "/proc/self/fd/%d", fd);
    return fd;
}

/* The next byte of the input, 0 behind its end. */
static inline uint8_t fuzz_byte(const uint8_t **p, const uint8_t *end)
{
    return *p < end ? *(*p)++ : 0;
}

#endif
