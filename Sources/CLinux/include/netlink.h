// What the kernel announces over netlink: uevents (NETLINK_KOBJECT_UEVENT), and network interfaces (NETLINK_ROUTE).
#ifndef CLINUX_NETLINK_H
#define CLINUX_NETLINK_H
#include <stddef.h>

/// Opens a non-blocking socket that hears the kernel's own uevents (multicast group 1), with a receive buffer of
/// `buffer` bytes where the privileges allow it; a descriptor, or -errno.
int clinux_uevent_open(int buffer);

/// Receives one uevent into `data`: its length; 0 for a message that the kernel did not send (sender's port and uid
/// must be 0) or that was cut off; -EAGAIN when there is none; -ENOBUFS when some were lost.
long clinux_uevent_receive(int fd, void *data, size_t length);

/// Opens a non-blocking socket that hears of every change of a network interface (RTNLGRP_LINK); a descriptor, or -errno.
int clinux_link_open(void);

/// Takes all that has come, which is not read: 1 when there was something, or something was lost; 0 when there was
/// nothing; -errno.
int clinux_link_drain(int fd);
#endif
