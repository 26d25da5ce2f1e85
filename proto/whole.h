/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, and short messages in a pipe, read as a whole: a read may be interrupted, or give less than there is. Any thread. */
#ifndef PH_WHOLE_H
#define PH_WHOLE_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* As much as there is, size bytes at most. -1 and errno: it cannot be read. */
static inline ssize_t ph_read_whole(int fd, void *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

#endif
