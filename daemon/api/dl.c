/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: a driver's own dynamic libraries. Thin over dlopen(3), whose error text is the calling thread's. Any thread. */
#include <dlfcn.h>
#include <erl_driver.h>
#include <string.h>

#include "base/mem.h"

#define SUFFIX ".so"

/* driver_dl_open of the R12 interface and of erl_driver.h: path without its suffix. NULL on failure. */
void *driver_dl_open(char *path)
{
    if (path == NULL) {
        return NULL;
    }
    size_t len = strlen(path);
    char *file = ph_alloc_try(len + sizeof SUFFIX);
    if (file == NULL) {
        return NULL;
    }
    memcpy(file, path, len);
    memcpy(file + len, SUFFIX, sizeof SUFFIX);
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    ph_free(file);
    return handle;
}

/* driver_dl_sym: NULL if there is none. */
void *driver_dl_sym(void *handle, char *name)
{
    return dlsym(handle, name);
}

/* driver_dl_close: 0 or not. */
int driver_dl_close(void *handle)
{
    return dlclose(handle);
}

/* driver_dl_error: what went wrong last in this thread; valid until its next driver_dl_ call, told once. */
char *driver_dl_error(void)
{
    static char unspecified[] = "unspecified dynamic library error";
    char *text = dlerror();
    return text == NULL ? unspecified : text;
}
