/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of error names. It has the names the reference VM has, no more: what a driver reports must be the same
 * atom here and there, and the VM says unknown for the young ones (ECANCELED and what follows, ERESTART, EISNAM). Where two
 * names have one number, the VM's choice stands: enotsup, eagain, edeadlk. Any thread. */
#include "base/errno_id.h"

#include <errno.h>
#include <stddef.h>

/* clang-format off */
#define NAMES(N) \
    N(EPERM, "eperm") N(ENOENT, "enoent") N(ESRCH, "esrch") N(EINTR, "eintr") N(EIO, "eio") N(ENXIO, "enxio") \
    N(E2BIG, "e2big") N(ENOEXEC, "enoexec") N(EBADF, "ebadf") N(ECHILD, "echild") N(EAGAIN, "eagain") \
    N(ENOMEM, "enomem") N(EACCES, "eacces") N(EFAULT, "efault") N(ENOTBLK, "enotblk") N(EBUSY, "ebusy") \
    N(EEXIST, "eexist") N(EXDEV, "exdev") N(ENODEV, "enodev") N(ENOTDIR, "enotdir") N(EISDIR, "eisdir") \
    N(EINVAL, "einval") N(ENFILE, "enfile") N(EMFILE, "emfile") N(ENOTTY, "enotty") N(ETXTBSY, "etxtbsy") \
    N(EFBIG, "efbig") N(ENOSPC, "enospc") N(ESPIPE, "espipe") N(EROFS, "erofs") N(EMLINK, "emlink") \
    N(EPIPE, "epipe") N(EDOM, "edom") N(ERANGE, "erange") N(EDEADLK, "edeadlk") N(ENAMETOOLONG, "enametoolong") \
    N(ENOLCK, "enolck") N(ENOSYS, "enosys") N(ENOTEMPTY, "enotempty") N(ELOOP, "eloop") N(ENOMSG, "enomsg") \
    N(EIDRM, "eidrm") N(ECHRNG, "echrng") N(EL2NSYNC, "el2nsync") N(EL3HLT, "el3hlt") N(EL3RST, "el3rst") \
    N(ELNRNG, "elnrng") N(EUNATCH, "eunatch") N(ENOCSI, "enocsi") N(EL2HLT, "el2hlt") N(EBADE, "ebade") \
    N(EBADR, "ebadr") N(EXFULL, "exfull") N(ENOANO, "enoano") N(EBADRQC, "ebadrqc") N(EBADSLT, "ebadslt") \
    N(EBFONT, "ebfont") N(ENOSTR, "enostr") N(ENODATA, "enodata") N(ETIME, "etime") N(ENOSR, "enosr") \
    N(ENONET, "enonet") N(ENOPKG, "enopkg") N(EREMOTE, "eremote") N(ENOLINK, "enolink") N(EADV, "eadv") \
    N(ESRMNT, "esrmnt") N(ECOMM, "ecomm") N(EPROTO, "eproto") N(EMULTIHOP, "emultihop") N(EDOTDOT, "edotdot") \
    N(EBADMSG, "ebadmsg") N(EOVERFLOW, "eoverflow") N(ENOTUNIQ, "enotuniq") N(EBADFD, "ebadfd") \
    N(EREMCHG, "eremchg") N(ELIBACC, "elibacc") N(ELIBBAD, "elibbad") N(ELIBSCN, "elibscn") N(ELIBMAX, "elibmax") \
    N(ELIBEXEC, "elibexec") N(EILSEQ, "eilseq") N(EUSERS, "eusers") N(ENOTSOCK, "enotsock") \
    N(EDESTADDRREQ, "edestaddrreq") N(EMSGSIZE, "emsgsize") N(EPROTOTYPE, "eprototype") \
    N(ENOPROTOOPT, "enoprotoopt") N(EPROTONOSUPPORT, "eprotonosupport") N(ESOCKTNOSUPPORT, "esocktnosupport") \
    N(ENOTSUP, "enotsup") N(EPFNOSUPPORT, "epfnosupport") N(EAFNOSUPPORT, "eafnosupport") \
    N(EADDRINUSE, "eaddrinuse") N(EADDRNOTAVAIL, "eaddrnotavail") N(ENETDOWN, "enetdown") \
    N(ENETUNREACH, "enetunreach") N(ENETRESET, "enetreset") N(ECONNABORTED, "econnaborted") \
    N(ECONNRESET, "econnreset") N(ENOBUFS, "enobufs") N(EISCONN, "eisconn") N(ENOTCONN, "enotconn") \
    N(ESHUTDOWN, "eshutdown") N(ETOOMANYREFS, "etoomanyrefs") N(ETIMEDOUT, "etimedout") \
    N(ECONNREFUSED, "econnrefused") N(EHOSTDOWN, "ehostdown") N(EHOSTUNREACH, "ehostunreach") \
    N(EALREADY, "ealready") N(EINPROGRESS, "einprogress") N(ESTALE, "estale") N(EUCLEAN, "euclean") \
    N(ENOTNAM, "enotnam") N(ENAVAIL, "enavail") N(EREMOTEIO, "eremoteio") N(EDQUOT, "edquot")
/* clang-format on */

static const char *const names[] = {
#define N(number, name) [number] = name,
    NAMES(N)
#undef N
};

const char *ph_errno_id(int error)
{
    if (error < 0 || (size_t)error >= sizeof names / sizeof names[0] || names[error] == NULL) {
        return "unknown";
    }
    return names[error];
}
