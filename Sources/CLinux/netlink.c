#define _GNU_SOURCE
#include "netlink.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int clinux_uevent_open(int buffer) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT), on = 1;
    if (fd < 0) return -errno;
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0
        || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

long clinux_uevent_receive(int fd, void *data, size_t length) {
    union {
        struct cmsghdr align;
        char buffer[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct sockaddr_nl from;
    struct iovec iov = { data, length };
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.buffer, .msg_controllen = sizeof control.buffer,
    };
    ssize_t n = recvmsg(fd, &message, 0);
    if (n < 0) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (message.msg_namelen != sizeof from || from.nl_pid != 0 || (message.msg_flags & MSG_TRUNC) || !header
        || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) return 0;
    struct ucred sender;
    memcpy(&sender, CMSG_DATA(header), sizeof sender);
    return sender.uid == 0 ? n : 0;
}

int clinux_link_open(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int clinux_link_drain(int fd) {
    // One byte of each message: what it says is read elsewhere.
    char byte;
    int any = 0;
    for (;;) {
        if (recv(fd, &byte, sizeof byte, 0) >= 0 || errno == ENOBUFS) any = 1;
        else if (errno == EAGAIN) return any;
        else if (errno != EINTR) return -errno;
    }
}
