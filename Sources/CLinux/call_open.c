// Opening a node of vfio or iommufd, or giving it to a user. A node appears some time after its device, through devtmpfs or by udev's hand, and
// one that was left behind leads to another device; so its device number has to be the one that sysfs tells.
#define _GNU_SOURCE
#include "calls.h"
#include "directory.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/// The device number in an attribute `dev`, "MAJOR:MINOR".
static int device_number(const char *attribute, dev_t *device) {
    char text[32];
    int fd = open(attribute, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0) return errno;
    ssize_t n = read(fd, text, sizeof text);
    int error = errno;
    close(fd);
    if (n < 0) return error;
    unsigned numbers[2] = { 0, 0 };
    int part = 0, digits = 0;
    for (ssize_t i = 0; i < n && text[i] != '\n'; i++) {
        if (text[i] == ':' && part == 0 && digits > 0) {
            part = 1;
            digits = 0;
        } else if (text[i] >= '0' && text[i] <= '9' && digits++ < 9) {
            numbers[part] = numbers[part] * 10 + (unsigned)(text[i] - '0');
        } else {
            return EINVAL;
        }
    }
    if (part != 1 || digits == 0) return EINVAL;
    *device = makedev(numbers[0], numbers[1]);
    return 0;
}

/// Joins up to four parts, the rest null; 0 when they do not fit.
static int join(char path[PATH_MAX], const char *const parts[4]) {
    size_t length = 0;
    path[0] = 0;
    for (int i = 0; i < 4 && parts[i]; i++) {
        size_t more = strlen(parts[i]);
        if (length + more >= PATH_MAX) return 0;
        memcpy(path + length, parts[i], more + 1);
        length += more;
    }
    return 1;
}

/// /proc/self/fd/NUMBER. Not by snprintf: stdio is not for a forked child.
static void descriptor_path(char path[32], int number) {
    char digits[12];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(path, "/proc/self/fd/", 14);
    for (int i = 0; i < count; i++) path[14 + i] = digits[count - 1 - i];
    path[14 + count] = 0;
}

/// The only entry of a device's `vfio-dev`: vfioN.
static int only_entry(const char *folder, char *name, size_t capacity) {
    char buffer[1024] __attribute__((aligned(16)));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = ENOENT;
    ssize_t n = clinux_read_entries(fd, buffer, sizeof buffer);
    if (n < 0) error = (int)-n;
    struct clinux_entry entry;
    for (size_t at = 0; n > 0 && at < (size_t)n;) {
        at = clinux_entry_at(buffer, at, &entry);
        if (entry.name[0] == '.' || entry.name_length >= capacity) continue;
        memcpy(name, entry.name, entry.name_length + 1);
        error = 0;
        break;
    }
    close(fd);
    return error;
}

/// In this order a user who loses the node can change nothing of it any more when the rest is set.
static int set_permissions(const char *path, const struct clinux_call *call) {
    if (chown(path, call->owner, call->group) < 0) return errno;
    // Nothing to remove, or a file system without such lists.
    if (removexattr(path, "system.posix_acl_access") < 0 && errno != ENODATA && errno != EOPNOTSUPP) return errno;
    return chmod(path, call->mode) < 0 ? errno : 0;
}

/// Does to the node what is asked, if it is the right one: that is done to what was looked at, whoever renames meanwhile.
static int do_checked(const char *node, dev_t device, const struct clinux_call *call, int *descriptor) {
    int found = open(node, O_PATH | O_CLOEXEC);
    if (found < 0) return errno;
    struct stat status;
    int error = fstat(found, &status) < 0 ? errno : 0;
    if (error == 0 && (!S_ISCHR(status.st_mode) || status.st_rdev != device)) error = ENXIO;
    if (error == 0) {
        char path[32];
        descriptor_path(path, found);
        if (call->kind == CLINUX_CALL_SET_PERMISSIONS) {
            error = set_permissions(path, call);
        } else {
            *descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
            if (*descriptor < 0) error = errno;
        }
    }
    close(found);
    return error;
}

/// Opening loads the module, which makes the attribute appear.
static void load_by_opening(const char *node) {
    int fd = open(node, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) close(fd);
}

int clinux_call_node(const struct clinux_call *call, struct clinux_result *result) {
    uint64_t deadline = milliseconds() + call->patience;
    char node[PATH_MAX], attribute[PATH_MAX];
    char name[NAME_MAX + 1];
    int fits;
    if (call->folder) {
        int error = only_entry(call->folder, name, sizeof name);
        if (error) return error;
        fits = join(node, (const char *[4]) { call->path, "/", name })
            && join(attribute, (const char *[4]) { call->folder, "/", name, "/dev" });
    } else {
        fits = join(node, (const char *[4]) { call->path }) && join(attribute, (const char *[4]) { call->text });
    }
    if (!fits) return ENAMETOOLONG;
    for (int attempt = 0;; attempt++) {
        dev_t device = 0;
        int error = device_number(attribute, &device);
        if (error == ENOENT && attempt == 0 && call->kind == CLINUX_CALL_OPEN_LOADING_NODE) {
            load_by_opening(node);
            continue;
        }
        // The attribute is there before the device can be asked for: without it there is nothing to wait for.
        if (error) return error;
        error = do_checked(node, device, call, &result->descriptor);
        if (error != ENOENT && error != ENXIO) return error;
        if (milliseconds() >= deadline) return error;
        nanosleep(&(struct timespec) { .tv_nsec = 5000000 }, NULL);
    }
}
