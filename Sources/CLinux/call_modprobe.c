// Loading a module with modprobe, which knows aliases, dependencies, options and compression; in a sandbox that forbids it,
// by systemd's hand.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *path, char *const arguments[]) {
    if (access(path, X_OK) != 0) return errno;
    pid_t pid = fork();
    if (pid < 0) return errno;
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        // The number it has is the lowest free one.
        for (int fd = 0; fd < 3; fd++)
            if (fcntl(fd, F_GETFD) < 0) dup2(null, fd);
        char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        execve(path, arguments, environment);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    // It tells only that it failed, and the reason on stderr.
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOEXEC : ENOENT;
}

int clinux_may_load_modules(void) { return prctl(PR_CAPBSET_READ, CAP_SYS_MODULE, 0, 0, 0) == 1; }

int clinux_call_modprobe(const struct clinux_call *call) {
    // A driver that is there needs none, and where it is built in, there may be no modprobe at all.
    if (access(call->folder, F_OK) == 0) return 0;
    return run(call->path, (char *const[]) { (char *)call->path, "--", (char *)call->text, NULL });
}

int clinux_call_start_modprobe(const struct clinux_call *call) {
    if (access(call->folder, F_OK) == 0) return 0;
    int error = run(call->path, (char *const[]) { (char *)call->path, "start", (char *)call->text, NULL });
    // modprobe@.service ends well whatever modprobe says.
    return error || access(call->folder, F_OK) == 0 ? error : ENOENT;
}
