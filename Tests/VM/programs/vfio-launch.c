// Has the daemon hand a claim over (Launch), and becomes a command that inherits what came (VFIOGROUPD_HANDOVER), as
// `vfiogroupctl claim ... -- COMMAND` does for a claim that is new.
//     vfio-launch CLAIM ACCESS COMMAND...
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Index N of the reply becomes descriptor BASE + N. What comes before one digit makes it that in the text, too.
#define BASE 100
#define BEFORE_INDEX "10"
#define MOST 10

static int checked(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void call(int daemon, const char *claim, const char *access) {
    char text[512];
    // A message of Varlink ends with a NUL.
    int length = 1 + snprintf(text, sizeof text, "{\"method\":\"io.vfiogroupd.Claims.Launch\",\"parameters\":"
                              "{\"claim\":\"%s\",\"access\":\"%s\"}}", claim, access);
    checked(write(daemon, text, length) == length ? 0 : -1, "write");
}

// Reads the reply; its descriptors get their places.
static void receive(int daemon, char *reply, size_t size) {
    int count = 0;
    for (size_t length = 0;;) {
        char control[CMSG_SPACE(MOST * sizeof(int))];
        struct iovec part = {.iov_base = reply + length, .iov_len = size - length};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t got = checked(recvmsg(daemon, &message, 0), "recvmsg");
        for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
            int *descriptors = (int *)CMSG_DATA(at);
            size_t here = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t number = 0; number < here; number++) {
                checked(dup2(descriptors[number], BASE + count++), "dup2");
                close(descriptors[number]);
            }
        }
        length += got;
        if (length > 0 && reply[length - 1] == 0) return;
        if (got == 0 || length == size) {
            fprintf(stderr, "the daemon's reply has no end\n");
            exit(1);
        }
    }
}

// Copies the handover out of the reply, with descriptors where it has indices.
static void copy_handover(const char *reply, char *to) {
    static const char *keys[] = {"\"iommufd\":", "\"container\":", "\"descriptor\":"};
    const char *from = strstr(reply, "\"handover\":");
    if (!from) {
        fprintf(stderr, "nothing was handed over: %s\n", reply);
        exit(1);
    }
    from += strlen("\"handover\":");
    for (int depth = 0; *from;) {
        if (*from == '{') depth++;
        if (*from == '}') depth--;
        for (size_t key = 0; key < sizeof keys / sizeof *keys; key++) {
            size_t length = strlen(keys[key]);
            if (strncmp(from, keys[key], length)) continue;
            to = stpcpy(stpncpy(to, from, length), BEFORE_INDEX);
            from += length;
        }
        *to++ = *from++;
        if (depth == 0) break;
    }
    *to = 0;
}

int main(int count, char **words) {
    if (count < 4) return 2;
    static char reply[1 << 16], handover[1 << 17];
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/vfiogroupd/io.vfiogroupd"};
    int daemon = checked(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    checked(connect(daemon, (struct sockaddr *)&address, sizeof address), address.sun_path);
    call(daemon, words[1], words[2]);
    receive(daemon, reply, sizeof reply);
    copy_handover(reply, handover);
    close(daemon);
    checked(setenv("VFIOGROUPD_HANDOVER", handover, 1), "setenv");
    execvp(words[3], words + 3);
    checked(-1, words[3]);
}
