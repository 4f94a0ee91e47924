// epoll(7), eventfd(2) and timerfd_create(2): what the event loop sleeps on.
#ifndef CLINUX_EPOLL_H
#define CLINUX_EPOLL_H
#include <stdint.h>
#include <sys/epoll.h>

// The EPOLL* names are members of a C enum: Swift would need `.rawValue` at every use.
static const uint32_t CLINUX_EPOLLIN = EPOLLIN;
static const uint32_t CLINUX_EPOLLOUT = EPOLLOUT;
static const uint32_t CLINUX_EPOLLERR = EPOLLERR;
static const uint32_t CLINUX_EPOLLHUP = EPOLLHUP;
static const uint32_t CLINUX_EPOLLRDHUP = EPOLLRDHUP;

/// epoll_create1(2), close-on-exec; a descriptor, or -errno.
int clinux_epoll_create(void);

/// EPOLL_CTL_ADD with `data` to be handed back in each event; 0, or -errno.
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);

/// EPOLL_CTL_MOD; 0, or -errno.
int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t data);

/// EPOLL_CTL_DEL; 0, or -errno.
int clinux_epoll_remove(int epoll, int fd);

/// epoll_wait(2); the number of events, or -errno. `timeout` in milliseconds, -1 waits for ever.
int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout);

/// eventfd(2), close-on-exec and non-blocking; a descriptor, or -errno.
int clinux_eventfd(void);

/// timerfd_create(2) on CLOCK_MONOTONIC, close-on-exec and non-blocking; a descriptor, or -errno.
int clinux_timerfd(void);

/// timerfd_settime(2) to one absolute expiry in nanoseconds of CLOCK_MONOTONIC; 0 disarms. 0, or -errno.
int clinux_timerfd_set(int fd, uint64_t nanoseconds);

/// Takes the eight-byte count off an eventfd or a timerfd and drops it.
void clinux_clear_count(int fd);

/// Adds one to an eventfd's count.
void clinux_eventfd_signal(int fd);
#endif
