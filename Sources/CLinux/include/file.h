// Files and folders: what of openat(2) does not import into Swift because it is variadic.
#ifndef CLINUX_FILE_H
#define CLINUX_FILE_H
#include "gnu.h"
#include <errno.h>
#include <fcntl.h>

/// openat(2), close-on-exec; a descriptor, or -errno.
static inline int clinux_openat(int directory, const char *name, int flags) {
    int fd = openat(directory, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
#endif
