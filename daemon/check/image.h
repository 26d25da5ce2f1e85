/* SPDX-License-Identifier: Apache-2.0 */
/* Which object file an address is of: the host's own, a library that it is linked with, or one that has gone. Any thread. */
#ifndef PH_CHECK_IMAGE_H
#define PH_CHECK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void ph_images_start(void); /* before a driver is loaded */
/* These two: in handlers of signals, too. */
bool ph_image_is_host(const void *at);   /* porthostd's code */
bool ph_image_is_linked(const void *at); /* libc, and what else porthostd is linked with */
void ph_images_keep(void); /* before an object is unloaded whose addresses may be told later */
/* An address that is in no object now was in this one when ph_images_keep was called last: its file, in buf, and the address in the file. False: in none. */
bool ph_image_gone(const void *at, char *buf, size_t size, uint64_t *in_file);

#endif
