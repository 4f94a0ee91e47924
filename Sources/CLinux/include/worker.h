// Workers: child processes for kernel calls that may never return. A thread stuck in the kernel cannot be killed and
// keeps its process from ending; a child can be left behind.
#ifndef CLINUX_WORKER_H
#define CLINUX_WORKER_H
#include <stddef.h>
#include <stdint.h>

/// The longest attribute a reader takes, in bytes; sysfs gives at most a page.
#define CLINUX_ATTRIBUTE_MAX 4096

/// What a reader answers, in memory that it shares with its parent: a system call an answer would cost more than the
/// reading, and what was read until a reader got stuck is there whatever becomes of it.
struct clinux_answers;

/// Room for the answers on `count` files, of which only what is used takes memory; null when there is none.
struct clinux_answers *clinux_make_answers(size_t count);

void clinux_free_answers(struct clinux_answers *answers);

/// How many files were answered for by now.
size_t clinux_answer_count(const struct clinux_answers *answers);

/// The answer at `*offset` (0 is the first), one of those counted: how many bytes `*bytes` then points to, or -errno.
/// Sets `*offset` to the next.
int clinux_answer_at(const struct clinux_answers *answers, size_t *offset, const void **bytes);

/// Forks a child that reads files below `directory`, one after the other: `paths` holds `length` bytes of relative
/// paths, each ended by NUL. It answers for each in `answers`, made for that many, and ends. It holds no other
/// descriptor of the caller but the pipe whose reading end, close-on-exec, is stored in `*end`: nothing is written to
/// it, and it is at its end when the child has ended. Returns its pid, or -errno.
int clinux_start_attribute_reader(int directory, const char *paths, size_t length, struct clinux_answers *answers,
                                  int *end);

/// Forks a child that does nothing and ends with its parent's thread: what a simulated call that does not return sits
/// in. It holds no descriptor of the caller. Returns its pid, or -errno.
int clinux_start_stand_in(void);

/// SIGKILLs a worker. Returns 0 or -errno.
int clinux_kill_worker(int pid);

/// Reaps a worker if it has ended: 1 when it is gone, 0 while it still runs (it may be stuck in the kernel).
int clinux_reap_worker(int pid);
#endif
