// Keeps trying to bind a host driver to a device of a claimed group, as fast as it can: clears its override, takes it from
// whatever has it, and binds it to the driver.
//     bind-attack ADDRESS DRIVER
// Prints "attacking" when it begins, "won" and ends when the driver has the device, and "refused N" after every ten binds
// that failed. An unbind that waits for somebody
// who has the device open is left to a child; until that ends there is one of them.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int put(const char *path, const char *text) {
    int file = open(path, O_WRONLY);
    if (file < 0) return -1;
    ssize_t written = write(file, text, strlen(text));
    close(file);
    return written < 0 ? -1 : 0;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    char override[128], unbind[128], bind[128], link[128], target[256];
    snprintf(override, sizeof override, "/sys/bus/pci/devices/%s/driver_override", words[1]);
    snprintf(unbind, sizeof unbind, "/sys/bus/pci/devices/%s/driver/unbind", words[1]);
    snprintf(bind, sizeof bind, "/sys/bus/pci/drivers/%s/bind", words[2]);
    snprintf(link, sizeof link, "/sys/bus/pci/devices/%s/driver", words[1]);
    puts("attacking");
    fflush(stdout);
    pid_t child = 0;
    for (int refused = 0, status;;) {
        if (child > 0 && waitpid(child, &status, WNOHANG) == child) {
            child = 0;
            if (status != 0 && ++refused % 10 == 0) {
                printf("refused %d\n", refused);
                fflush(stdout);
            }
        }
        if (child == 0) {
            child = fork();
            if (child == 0) {
                put(override, "\n");
                put(unbind, words[1]);
                // With the override cleared and the device driverless, only ownership is left to refuse it.
                put(override, "\n");
                _exit(put(bind, words[1]) < 0);
            }
        }
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length > 0) {
            target[length] = 0;
            const char *name = strrchr(target, '/');
            if (name && !strcmp(name + 1, words[2])) {
                puts("won");
                return 0;
            }
        }
        usleep(1000);
    }
}
