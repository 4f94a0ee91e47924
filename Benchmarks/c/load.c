// A closed loop of clients: each sends a call, waits for all of its replies, and sends the next. The calls come from a
// file, one after the other, each ended by NUL. A reply that ends in "continues":true} is not the last of its call.
//
// usage: load SOCKET SERVER_PID CALLS_FILE CONNECTIONS REQUESTS SECONDS
// It ends when REQUESTS are answered or SECONDS are over, and prints what was done and what it cost the server:
// requests, seconds, the server's CPU seconds, bytes received.
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TAIL = 17 };
static const char continues[TAIL + 1] = "\"continues\":true}";

struct client {
    int socket;
    /// The last bytes of the reply that is coming in.
    char tail[TAIL];
    unsigned tail_length;
};

static char *calls;
static size_t calls_length, next_call;
static unsigned long begun, done, wanted, bytes;

static double seconds_of(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0) err(1, "clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void read_calls(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0) err(1, "%s", path);
    calls_length = (size_t)status.st_size;
    calls = malloc(calls_length + 1);
    if (!calls || read(file, calls, calls_length) != (ssize_t)calls_length) err(1, "%s", path);
    if (calls_length == 0 || calls[calls_length - 1] != 0) errx(2, "%s does not end in NUL", path);
    close(file);
}

static int connect_to(const char *path) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) errx(2, "%s is too long", path);
    strcpy(address.sun_path, path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) < 0) err(1, "%s", path);
    return server;
}

static void send_call(const struct client *client) {
    if (begun == wanted) return;
    const char *call = calls + next_call;
    size_t length = strlen(call) + 1;
    if (send(client->socket, call, length, MSG_NOSIGNAL) != (ssize_t)length) err(1, "send");
    next_call = (next_call + length) % calls_length;
    begun++;
}

static void remember_tail(struct client *client, const char *text, size_t length) {
    if (length >= TAIL) {
        memcpy(client->tail, text + length - TAIL, TAIL);
        client->tail_length = TAIL;
        return;
    }
    size_t kept = client->tail_length + length > TAIL ? TAIL - length : client->tail_length;
    memmove(client->tail, client->tail + client->tail_length - kept, kept);
    memcpy(client->tail + kept, text, length);
    client->tail_length = (unsigned)(kept + length);
}

static void receive(struct client *client) {
    static char input[65536];
    ssize_t count = recv(client->socket, input, sizeof input, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) errx(1, "the server has closed a connection");
    bytes += (unsigned long)count;
    for (const char *at = input, *end = input + count; at < end;) {
        const char *nul = memchr(at, 0, (size_t)(end - at));
        remember_tail(client, at, (size_t)((nul ? nul : end) - at));
        if (!nul) return;
        int is_last = client->tail_length < TAIL || memcmp(client->tail, continues, TAIL) != 0;
        client->tail_length = 0;
        at = nul + 1;
        if (!is_last) continue;
        done++;
        send_call(client);
    }
}

int main(int argc, char **argv) {
    if (argc != 7) errx(2, "usage: load SOCKET SERVER_PID CALLS_FILE CONNECTIONS REQUESTS SECONDS");
    clockid_t server_clock;
    if (clock_getcpuclockid(atoi(argv[2]), &server_clock) != 0) errx(1, "no process %s", argv[2]);
    read_calls(argv[3]);
    unsigned connections = (unsigned)strtoul(argv[4], NULL, 10);
    unsigned long requests = strtoul(argv[5], NULL, 10);
    struct client *clients = calloc(connections, sizeof *clients);
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll < 0) err(1, "epoll_create1");
    for (unsigned i = 0; i < connections; i++) {
        clients[i].socket = connect_to(argv[1]);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &clients[i] };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].socket, &event) < 0) err(1, "epoll_ctl");
    }
    // One call of each, before the clock starts: the server has accepted everyone then.
    wanted = connections;
    for (unsigned i = 0; i < connections; i++) send_call(&clients[i]);
    double cpu = 0, start = 0, now = 0, deadline = 0;
    while (1) {
        if (start == 0 && done == connections) {
            start = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(server_clock);
            deadline = start + strtod(argv[6], NULL);
            begun = done = bytes = 0, wanted = requests;
            for (unsigned i = 0; i < connections; i++) send_call(&clients[i]);
        }
        int count = epoll_wait(epoll, events, 256, 1000);
        if (count < 0 && errno != EINTR) err(1, "epoll_wait");
        for (int i = 0; i < count; i++) receive(events[i].data.ptr);
        now = seconds_of(CLOCK_MONOTONIC);
        if (start != 0 && (done >= requests || now >= deadline)) break;
    }
    printf("%lu %.9f %.9f %lu\n", done, now - start, seconds_of(server_clock) - cpu, bytes);
    return 0;
}
