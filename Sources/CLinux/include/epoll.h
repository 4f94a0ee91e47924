// epoll(7), eventfd(2) and timerfd_create(2): what the event loop sleeps on.
#ifndef CLINUX_EPOLL_H
#define CLINUX_EPOLL_H
#include "gnu.h"
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

// The EPOLL* names are members of a C enum: Swift would need `.rawValue` at every use.
static const uint32_t CLINUX_EPOLLIN = EPOLLIN;
static const uint32_t CLINUX_EPOLLOUT = EPOLLOUT;
static const uint32_t CLINUX_EPOLLERR = EPOLLERR;
static const uint32_t CLINUX_EPOLLHUP = EPOLLHUP;
static const uint32_t CLINUX_EPOLLRDHUP = EPOLLRDHUP;

/// epoll_create1(2), close-on-exec; a descriptor, or -errno.
static inline int clinux_epoll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/// EPOLL_CTL_ADD with `data` to be handed back in each event; 0, or -errno.
static inline int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/// EPOLL_CTL_MOD; 0, or -errno.
static inline int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

/// EPOLL_CTL_DEL; 0, or -errno.
static inline int clinux_epoll_remove(int epoll, int fd) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

/// epoll_wait(2); the number of events, or -errno. `timeout` in milliseconds, -1 waits for ever.
static inline int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout) {
    int n = epoll_wait(epoll, events, capacity, timeout);
    return n < 0 ? -errno : n;
}

/// eventfd(2), close-on-exec and non-blocking; a descriptor, or -errno.
static inline int clinux_eventfd(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/// timerfd_create(2) on CLOCK_MONOTONIC, close-on-exec and non-blocking; a descriptor, or -errno.
static inline int clinux_timerfd(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/// timerfd_settime(2) to one absolute expiry in nanoseconds of CLOCK_MONOTONIC; 0 disarms. 0, or -errno.
static inline int clinux_timerfd_set(int fd, uint64_t nanoseconds) {
    struct itimerspec when = {
        .it_value = { .tv_sec = (time_t)(nanoseconds / 1000000000u), .tv_nsec = (long)(nanoseconds % 1000000000u) }
    };
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

/// Takes the eight-byte count off an eventfd or a timerfd and drops it.
static inline void clinux_clear_count(int fd) {
    uint64_t count;
    ssize_t unused = read(fd, &count, sizeof count);
    (void)unused;
}

/// Adds one to an eventfd's count.
static inline void clinux_eventfd_signal(int fd) {
    uint64_t one = 1;
    ssize_t unused = write(fd, &one, sizeof one);
    (void)unused;
}
#endif
