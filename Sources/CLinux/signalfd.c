#define _GNU_SOURCE
#include "signalfd.h"
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int clinux_signalfd(const int *signals, unsigned count) {
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < count; i++)
        if (sigaddset(&set, signals[i]) < 0) return -errno;
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) return -error;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int clinux_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof info);
    if (n < 0) return -errno;
    return n == sizeof info ? (int)info.ssi_signo : -EIO;
}
