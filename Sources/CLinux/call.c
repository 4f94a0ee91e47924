// The life of a worker, from fork(2) to its answer.
#define _GNU_SOURCE
#include "call.h"
#include "calls.h"
#include "socket.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/// Closes all but `count` descriptors: what a worker that is stuck in the kernel has inherited stays open as long as it
/// is stuck, and one stuck in an unbind would wait for its own copy of the device's file.
static void keep_only(int *keep, int count) {
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && keep[j - 1] > keep[j]; j--) {
            int other = keep[j];
            keep[j] = keep[j - 1];
            keep[j - 1] = other;
        }
    int next = 0;
    for (int i = 0; i < count; i++) {
        if (keep[i] < next) continue;
        if (keep[i] > next) syscall(SYS_close_range, next, keep[i] - 1, 0);
        next = keep[i] + 1;
    }
    syscall(SYS_close_range, next, ~0U, 0);
}

/// The parent's handlers must not run here, what it ignores must not be ignored, and a worker must be killable.
static void reset_signals(void) {
    struct sigaction standard = { .sa_handler = SIG_DFL };
    for (int signal = 1; signal <= SIGRTMAX; signal++) sigaction(signal, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int clinux_add_range(struct clinux_result *result, uint64_t first, uint64_t last) {
    if (last < first) return 0;
    if (result->answer.range_count == CLINUX_RANGE_MAX) return EMSGSIZE;
    result->ranges[result->answer.range_count++] = (struct clinux_range) { first, last };
    return 0;
}

static int make(const struct clinux_call *call, struct clinux_result *result) {
    switch (call->kind) {
    case CLINUX_CALL_WRITE: return clinux_call_write(call);
    case CLINUX_CALL_MODPROBE: return clinux_call_modprobe(call);
    case CLINUX_CALL_START_MODPROBE: return clinux_call_start_modprobe(call);
    case CLINUX_CALL_OPEN_NODE:
    case CLINUX_CALL_OPEN_LOADING_NODE:
    case CLINUX_CALL_SET_PERMISSIONS: return clinux_call_node(call, result);
    case CLINUX_CALL_SET_CONTAINER: return clinux_call_set_container(call);
    case CLINUX_CALL_SET_IOMMU: return clinux_call_set_iommu(call);
    case CLINUX_CALL_GET_DEVICE: return clinux_call_get_device(call, result);
    case CLINUX_CALL_CONTAINER_RANGES: return clinux_call_container_ranges(call, result);
    case CLINUX_CALL_BIND_IOMMUFD: return clinux_call_bind_iommufd(call);
    case CLINUX_CALL_ATTACH: return clinux_call_attach(call);
    case CLINUX_CALL_DETACH: return clinux_call_detach(call);
    case CLINUX_CALL_IS_BOUND: return clinux_call_is_bound(call, result);
    case CLINUX_CALL_HAS_CONTAINER: return clinux_call_has_container(call, result);
    case CLINUX_CALL_ALLOCATE_IOAS: return clinux_call_allocate_ioas(call, result);
    case CLINUX_CALL_IOAS_RANGES: return clinux_call_ioas_ranges(call, result);
    case CLINUX_CALL_CLOSE: return call->files[0] < 0 || close(call->files[0]) == 0 ? 0 : errno;
    }
    return ENOSYS;
}

static void answer(int socket, const struct clinux_result *result) {
    size_t length = sizeof result->answer + result->answer.range_count * sizeof(struct clinux_range);
    // One piece: the ranges follow the answer without padding (calls.h; both are multiples of 8).
    clinux_send_descriptors(socket, &result->answer, length, &result->descriptor, result->descriptor >= 0);
}

_Static_assert(offsetof(struct clinux_result, ranges) == sizeof(struct clinux_answer), "the answer is sent in one piece");

static void work(const struct clinux_call *call, int socket) {
    prctl(PR_SET_NAME, "vfiogroupd-call");
    setsid();
    // A program says on stderr why it could not.
    int is_program = call->kind == CLINUX_CALL_MODPROBE || call->kind == CLINUX_CALL_START_MODPROBE;
    int keep[] = { socket, call->files[0], call->files[1], is_program ? 2 : -1 };
    keep_only(keep, sizeof keep / sizeof keep[0]);
    reset_signals();
    char go;
    ssize_t n;
    do n = recv(socket, &go, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n != 1) _exit(1);
    // It was const before the fork; nobody else sees this copy.
    static struct clinux_result result;
    memset(&result.answer, 0, sizeof result.answer);
    result.descriptor = -1;
    result.answer.error = make(call, &result);
    answer(socket, &result);
    _exit(0);
}

int clinux_start_call(const struct clinux_call *call, int *socket) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) work(call, ends[1]);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -error;
    }
    *socket = ends[0];
    return pid;
}

int clinux_let_go(int socket) {
    ssize_t n = clinux_send(socket, "g", 1);
    return n < 0 ? (int)n : 0;
}

int clinux_take_answer(int socket, struct clinux_answer *answer, struct clinux_range *ranges, int *descriptor) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec parts[] = {
        { answer, sizeof *answer },
        { ranges, sizeof *ranges * CLINUX_RANGE_MAX },
    };
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    *descriptor = -1;
    ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // A worker that was killed with its leave unread resets the socket.
    if (n < 0) return errno == ECONNRESET ? 0 : -errno;
    if (n == 0) return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS
        && header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    if ((size_t)n < sizeof *answer || answer->range_count > CLINUX_RANGE_MAX
        || (size_t)n != sizeof *answer + answer->range_count * sizeof *ranges) {
        if (*descriptor >= 0) close(*descriptor);
        *descriptor = -1;
        return -EBADMSG;
    }
    return 1;
}
