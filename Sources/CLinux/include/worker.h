// Workers: child processes for kernel calls that may never return. A thread stuck in the kernel cannot be killed and
// keeps its process from ending; a child can be left behind.
#ifndef CLINUX_WORKER_H
#define CLINUX_WORKER_H
#include <stddef.h>
#include <stdint.h>

/// The longest attribute a reader sends back, in bytes; sysfs gives at most a page.
#define CLINUX_ATTRIBUTE_MAX 4096

/// What precedes each answer of a reader.
struct clinux_attribute_header {
    /// Bytes that follow, or -errno and nothing follows.
    int32_t result;
};

/// Forks a child that reads files below `directory`, one after the other: `paths` holds `length` bytes of relative
/// paths, each ended by NUL. For each it writes a header and the bytes to the pipe whose reading end is stored in
/// `*pipe` (non-blocking, close-on-exec), then ends. It holds no other descriptor of the caller.
/// Returns its pid, or -errno.
int clinux_start_attribute_reader(int directory, const char *paths, size_t length, int *pipe);

/// SIGKILLs a worker. Returns 0 or -errno.
int clinux_kill_worker(int pid);

/// Reaps a worker if it has ended: 1 when it is gone, 0 while it still runs (it may be stuck in the kernel).
int clinux_reap_worker(int pid);
#endif
