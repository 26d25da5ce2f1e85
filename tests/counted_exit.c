/* SPDX-License-Identifier: Apache-2.0 */
/* For make coverage, linked in place of _exit (--wrap): what the process has run is written down before it ends. */
#include <gcov.h>
#include <unistd.h>

_Noreturn void __wrap__exit(int status);
_Noreturn void __real__exit(int status);

_Noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
