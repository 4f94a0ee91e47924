// A bare epoll server: for every NUL that comes in, the same bytes go out. What a request costs at least, on one thread
// and with the sockets that a Varlink server has.
//
// usage: answer SOCKET REPLY_FILE
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char *reply;
static size_t reply_length;

static void read_reply(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0) err(1, "%s", path);
    reply_length = (size_t)status.st_size;
    reply = malloc(reply_length + 1);
    if (!reply || read(file, reply, reply_length) != (ssize_t)reply_length) err(1, "%s", path);
    close(file);
}

static int listen_on(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) errx(2, "%s is too long", path);
    strcpy(address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0)
        err(1, "%s", path);
    return listener;
}

/// Sends a reply whole; -1 when the client is gone. A client that does not read holds everyone up: none of ours does.
static int send_reply(int client) {
    for (size_t sent = 0; sent < reply_length;) {
        ssize_t n = send(client, reply + sent, reply_length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) poll(&(struct pollfd){ .fd = client, .events = POLLOUT }, 1, -1);
        else if (n < 0) return -1;
        else sent += (size_t)n;
    }
    return 0;
}

static void serve(int client) {
    static char input[65536];
    ssize_t count = recv(client, input, sizeof input, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    for (ssize_t i = 0; i < count; i++)
        if (input[i] == 0 && send_reply(client) < 0) count = 0;
    if (count <= 0) close(client);
}

int main(int argc, char **argv) {
    if (argc != 3) errx(2, "usage: answer SOCKET REPLY_FILE");
    read_reply(argv[2]);
    int listener = listen_on(argv[1]), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[256];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) err(1, "epoll");
    while (1) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (event.data.fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) < 0) err(1, "epoll_ctl");
        }
    }
}
