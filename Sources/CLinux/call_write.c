// Writing an attribute of sysfs: unbind, drivers_probe, driver_override, reset.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int clinux_call_write(const struct clinux_call *call) {
    int fd = open(call->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0) return errno;
    size_t length = strlen(call->text);
    // In one write: for the kernel a second one is another value.
    ssize_t n = write(fd, call->text, length);
    int error = n < 0 ? errno : (size_t)n == length ? 0 : EIO;
    close(fd);
    return error;
}
