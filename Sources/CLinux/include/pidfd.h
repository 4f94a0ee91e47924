// pidfd_open(2) and waitid(2) on a pidfd: processes without the races of process numbers.
#ifndef CLINUX_PIDFD_H
#define CLINUX_PIDFD_H
#include "gnu.h"
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/// pidfd_open(2), which is always close-on-exec; a descriptor, or -errno.
static inline int clinux_pidfd_open(pid_t pid) {
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

/// pidfd_send_signal(2); 0, or -errno.
static inline int clinux_pidfd_send_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/// waitid(P_PIDFD) without blocking. 1: the child has ended and is reaped, `code` (CLD_*) and `status` tell how;
/// 0: it still runs; otherwise -errno (-ECHILD: it is no child of ours).
static inline int clinux_pidfd_reap(int pidfd, int *code, int *status) {
    siginfo_t info = { 0 };
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) return -errno;
    if (info.si_pid == 0) return 0;
    *code = info.si_code;
    *status = info.si_status;
    return 1;
}
#endif
