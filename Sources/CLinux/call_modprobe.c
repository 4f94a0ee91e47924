// Loading a module with modprobe, which knows aliases, dependencies, options and compression.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_call_modprobe(const struct clinux_call *call) {
    // A driver that is there needs none, and where it is built in, there may be no modprobe at all.
    if (access(call->folder, F_OK) == 0) return 0;
    if (access(call->path, X_OK) != 0) return errno;
    pid_t pid = fork();
    if (pid < 0) return errno;
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        // The number it has is the lowest free one.
        for (int fd = 0; fd < 3; fd++)
            if (fcntl(fd, F_GETFD) < 0) dup2(null, fd);
        char *const arguments[] = { (char *)call->path, "--", (char *)call->text, NULL };
        char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        execve(call->path, arguments, environment);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    // It tells only that it failed, and the reason on stderr.
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOEXEC : ENOENT;
}
