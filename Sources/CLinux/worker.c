#define _GNU_SOURCE
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

struct clinux_answers {
    size_t capacity;
    /// Both are the child's to set, the count last.
    size_t length;
    _Atomic size_t count;
    /// Each an int32_t and as many bytes as it says, where it is no error.
    char bytes[];
};

static const size_t longest_answer = sizeof(int32_t) + CLINUX_ATTRIBUTE_MAX;

struct clinux_answers *clinux_make_answers(size_t count) {
    size_t capacity = sizeof(struct clinux_answers) + count * longest_answer;
    struct clinux_answers *answers = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (answers == MAP_FAILED) return NULL;
    answers->capacity = capacity;
    return answers;
}

void clinux_free_answers(struct clinux_answers *answers) { munmap(answers, answers->capacity); }

size_t clinux_answer_count(const struct clinux_answers *answers) {
    return atomic_load_explicit(&answers->count, memory_order_acquire);
}

int clinux_answer_at(const struct clinux_answers *answers, size_t *offset, const void **bytes) {
    int32_t result;
    memcpy(&result, answers->bytes + *offset, sizeof result);
    *bytes = answers->bytes + *offset + sizeof result;
    *offset += sizeof result + (result > 0 ? (size_t)result : 0);
    return result;
}

static void answer(struct clinux_answers *answers, int directory, const char *path) {
    char *at = answers->bytes + answers->length;
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : read(fd, at + sizeof(int32_t), CLINUX_ATTRIBUTE_MAX);
    int32_t result = n < 0 ? -errno : (int32_t)n;
    if (fd >= 0) close(fd);
    memcpy(at, &result, sizeof result);
    answers->length += sizeof result + (n > 0 ? (size_t)n : 0);
    atomic_fetch_add_explicit(&answers->count, 1, memory_order_release);
}

int clinux_start_attribute_reader(int directory, const char *paths, size_t length, struct clinux_answers *answers,
                                  int *end) {
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
        *end = ends[0];
        return pid;
    }
    close_other_descriptors(directory, ends[1]);
    for (const char *path = paths; path < paths + length; path += strlen(path) + 1) answer(answers, directory, path);
    _exit(0);
}

int clinux_start_stand_in(void) {
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "vfiogroupd-sim");
    syscall(SYS_close_range, 0, ~0U, 0);
    for (;;) pause();
}

int clinux_kill_worker(int pid) { return kill(pid, SIGKILL) < 0 ? -errno : 0; }

int clinux_reap_worker(int pid) {
    pid_t n = waitpid(pid, NULL, WNOHANG);
    return n == pid || (n < 0 && errno == ECHILD);
}
