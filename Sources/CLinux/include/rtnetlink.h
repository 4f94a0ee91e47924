// Questions to the kernel about addresses and routes, NETLINK_ROUTE, asked by a child: the kernel answers under a lock
// (RTNL) that drivers hold while they are unbound, and the sender of a question waits for it, whatever its socket says.
#ifndef CLINUX_RTNETLINK_H
#define CLINUX_RTNETLINK_H
#include <stddef.h>

/// Forks a child that sends the questions in `questions`, `length` bytes of netlink messages, one after the other, each
/// through a socket of its own with strict checking (NETLINK_GET_STRICT_CHK), and writes what the kernel answers into a
/// pipe, message by message. Of the answer to a dump it takes at most `limit` bytes or a little more. Where a question
/// cannot be asked it writes an NLMSG_ERROR with the question's sequence number itself. The pipe's reading end, which does
/// not block and is close-on-exec, is stored in `*end`; it is at its end when the child has ended. The child holds no
/// other descriptor of the caller. Returns its pid, or -errno.
int clinux_start_route_questions(const void *questions, size_t length, size_t limit, int *end);
#endif
