// AF_UNIX stream sockets: listen, accept, connect, who the peer is, and descriptors in SCM_RIGHTS messages.
#ifndef CLINUX_SOCKET_H
#define CLINUX_SOCKET_H
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/// The most descriptors one message carries (SCM_MAX_FD of the kernel).
static const unsigned CLINUX_SCM_MAX_FD = 253;

/// A stream socket, close-on-exec and non-blocking; a descriptor, or -errno.
int clinux_unix_socket(void);

/// A datagram socket, close-on-exec and non-blocking; a descriptor, or -errno.
int clinux_unix_datagram_socket(void);

/// The address of `path`; its length, or 0 when the path does not fit (107 bytes). A leading '@' is the abstract
/// name space.
socklen_t clinux_unix_address(const char *path, struct sockaddr_un *address);

/// bind(2) to a path; 0, or -errno (-ENAMETOOLONG).
int clinux_unix_bind(int fd, const char *path);

/// connect(2) to a path; 0, or -errno (-EAGAIN: the listener's backlog is full).
int clinux_unix_connect(int fd, const char *path);

/// listen(2); 0, or -errno.
int clinux_listen(int fd, int backlog);

/// accept4(2), close-on-exec and non-blocking; a descriptor, or -errno.
int clinux_accept(int listener);

/// 1 when `fd` is a listening AF_UNIX stream socket, 0 when it is something else, or -errno.
int clinux_is_unix_listener(int fd);

/// The path that an AF_UNIX socket is bound to, as clinux_unix_address takes it; its length, 0 when there is none, or
/// -errno (-ENAMETOOLONG).
int clinux_unix_path(int fd, unsigned char *path, size_t size);

/// Sets O_NONBLOCK; 0, or -errno.
int clinux_set_nonblocking(int fd);

/// Makes the kernel refuse descriptors that a peer sends (Linux 6.16; sockets accepted later inherit it);
/// 0, or -errno (-ENOPROTOOPT: an older kernel).
int clinux_refuse_descriptors(int fd);

/// SO_PEERCRED: who connected; 0, or -errno.
int clinux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

/// SO_PEERGROUPS: the supplementary groups that the peer had when it connected, stored where all have room. How many
/// there are, or -errno.
int clinux_peer_groups(int fd, gid_t *groups, unsigned capacity);

/// SO_PEERPIDFD (Linux 6.5): a pidfd of the process that connected, or -errno.
int clinux_peer_pidfd(int fd);

/// What the peer has not read yet, in bytes of the kernel's buffers; 0: all is read. Or -errno.
int clinux_unread_output(int fd);

/// send(2) without SIGPIPE and without blocking; bytes sent, or -errno.
ssize_t clinux_send(int fd, const void *bytes, size_t count);

/// recv(2) without blocking and without room for descriptors, so that the kernel drops those; bytes, or -errno.
ssize_t clinux_receive(int fd, void *bytes, size_t count);

/// recv(2) that leaves what it reads in the socket; bytes, or -errno.
ssize_t clinux_peek(int fd, void *bytes, size_t count);

/// sendmsg(2) with descriptors attached to the first byte; bytes sent, or -errno (-EINVAL: more than 253).
ssize_t clinux_send_descriptors(int fd, const void *bytes, size_t count, const int *descriptors,
                                unsigned descriptor_count);

/// recvmsg(2) that takes up to `count` bytes and the descriptors that came with them, close-on-exec.
/// `descriptors` has room for 253, `descriptor_count` is set; bytes, or -errno.
ssize_t clinux_receive_descriptors(int fd, void *bytes, size_t count, int *descriptors,
                                   unsigned *descriptor_count);
#endif
