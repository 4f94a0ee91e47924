// pidfd_open(2) and waitid(2) on a pidfd: processes without the races of process numbers.
#ifndef CLINUX_PIDFD_H
#define CLINUX_PIDFD_H
#include <sys/types.h>

/// pidfd_open(2), which is always close-on-exec; a descriptor, or -errno.
int clinux_pidfd_open(pid_t pid);

/// pidfd_send_signal(2); 0, or -errno.
int clinux_pidfd_send_signal(int pidfd, int signal);

/// waitid(P_PIDFD) without blocking. 1: the child has ended and is reaped, `code` (CLD_*) and `status` tell how;
/// 0: it still runs; otherwise -errno (-ECHILD: it is no child of ours).
int clinux_pidfd_reap(int pidfd, int *code, int *status);
#endif
