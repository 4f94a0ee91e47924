#define _GNU_SOURCE
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_other_descriptors(int first, int second) {
    int low = first < second ? first : second, high = first < second ? second : first;
    // A worker stuck in the kernel would keep whatever it inherited open for as long as it is stuck.
    if (low > 3) syscall(SYS_close_range, 3, low - 1, 0);
    if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

static int write_all(int fd, const void *data, size_t length) {
    for (const char *at = data; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

int clinux_start_attribute_reader(int directory, const char *paths, size_t length, int *pipe_out) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (pid > 0) {
        close(ends[1]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        *pipe_out = ends[0];
        return pid;
    }
    signal(SIGPIPE, SIG_DFL);
    close_other_descriptors(directory, ends[1]);
    for (const char *path = paths; path < paths + length; path += strlen(path) + 1) {
        char answer[sizeof(struct clinux_attribute_header) + CLINUX_ATTRIBUTE_MAX];
        struct clinux_attribute_header header;
        int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        ssize_t n = fd < 0 ? -1 : read(fd, answer + sizeof header, CLINUX_ATTRIBUTE_MAX);
        header.result = n < 0 ? -errno : (int32_t)n;
        if (fd >= 0) close(fd);
        memcpy(answer, &header, sizeof header);
        if (write_all(ends[1], answer, sizeof header + (n > 0 ? (size_t)n : 0)) < 0) _exit(1);
    }
    _exit(0);
}

int clinux_kill_worker(int pid) { return kill(pid, SIGKILL) < 0 ? -errno : 0; }

int clinux_reap_worker(int pid) {
    pid_t n = waitpid(pid, NULL, WNOHANG);
    return n == pid || (n < 0 && errno == ECHILD);
}
