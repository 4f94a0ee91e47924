#define _GNU_SOURCE
#include "rtnetlink.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/// Kernels fill a buffer of at most 32 KiB at a time.
static char datagram[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

static int write_whole(int fd, const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

/// Whether a datagram ends the answer to a dump.
static int is_last(const char *data, size_t length) {
    const struct nlmsghdr *header = (const void *)data;
    for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length))
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return 1;
    return 0;
}

/// Asks one question through a fresh socket: 0, or what went wrong.
static int ask(const struct nlmsghdr *question, size_t limit, int out) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1;
    if (fd < 0) return errno;
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    int error = 0;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0
        || sendto(fd, question, question->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        error = errno;
    size_t taken = 0;
    while (!error && taken < limit) {
        struct sockaddr_nl from;
        struct iovec iov = { datagram, sizeof datagram };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n = recvmsg(fd, &message, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) error = errno;
        else if (n == 0 || (message.msg_flags & MSG_TRUNC)) error = EMSGSIZE;
        else if (message.msg_namelen == sizeof from && from.nl_pid == 0) {
            if (write_whole(out, datagram, (size_t)n) < 0) _exit(1);
            taken += (size_t)n;
            if ((question->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP || is_last(datagram, (size_t)n)) break;
        }
    }
    close(fd);
    return error;
}

int clinux_start_route_questions(const void *questions, size_t length, size_t limit, int *end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
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
    int out = ends[1];
    // Low enough for all others to be closed in one go; of what is already that number nothing is needed.
    if (out != 3) out = dup3(out, 3, O_CLOEXEC);
    if (out < 0) _exit(1);
    syscall(SYS_close_range, 4, ~0U, 0);
    const struct nlmsghdr *question = questions;
    for (; NLMSG_OK(question, length); question = NLMSG_NEXT(question, length)) {
        int error = ask(question, limit, out);
        if (!error) continue;
        struct {
            struct nlmsghdr header;
            struct nlmsgerr error;
        } failure = { { sizeof failure, NLMSG_ERROR, 0, question->nlmsg_seq, 0 }, { -error, *question } };
        if (write_whole(out, &failure, sizeof failure) < 0) _exit(1);
    }
    _exit(0);
}
