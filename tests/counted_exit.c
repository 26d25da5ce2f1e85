/* SPDX-License-Identifier: Apache-2.0 */
/* For make coverage, linked in place of _exit and raise (--wrap): what the process has run is written down before it ends, also when it dies of a signal that it has handled. */
#include <gcov.h>
#include <signal.h>
#include <unistd.h>

_Noreturn void __wrap__exit(int status);
_Noreturn void __real__exit(int status);
int __wrap_raise(int sig);
int __real_raise(int sig);

_Noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}

int __wrap_raise(int sig)
{
    __gcov_dump();
    return __real_raise(sig);
}
