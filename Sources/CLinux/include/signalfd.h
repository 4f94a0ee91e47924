// signalfd(2): signals as readable events.
#ifndef CLINUX_SIGNALFD_H
#define CLINUX_SIGNALFD_H
#include "gnu.h"
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/// Blocks `count` signals in the calling thread and opens a signalfd of them, close-on-exec and non-blocking;
/// a descriptor, or -errno. Threads started earlier do not have them blocked.
static inline int clinux_signalfd(const int *signals, unsigned count) {
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < count; i++)
        if (sigaddset(&set, signals[i]) < 0) return -errno;
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) return -error;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/// Takes one pending signal; its number, or -errno (-EAGAIN: none is pending).
static inline int clinux_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof info);
    if (n < 0) return -errno;
    return n == sizeof info ? (int)info.ssi_signo : -EIO;
}
#endif
