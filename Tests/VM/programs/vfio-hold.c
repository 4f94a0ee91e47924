// Holds a device as a virtual machine monitor does, until it is killed, and lets go of nothing when it is asked to:
//     vfio-hold group NUMBER ADDRESS    group and container, the device opened through them
//     vfio-hold cdev NODE               the character device, bound to an iommufd
//     vfio-hold open NODE               the character device, only opened
// Prints "holding" when it does, or what failed.
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Debian 12's headers are older than the character devices (Linux 6.6, include/uapi/linux/vfio.h).
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct bind_iommufd {
    __u32 argsz, flags;
    __s32 iommufd;
    __u32 out_devid;
};

static int checked(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void hold_by_group(const char *number, const char *address) {
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/%s", number);
    int container = checked(open("/dev/vfio/vfio", O_RDWR), "open /dev/vfio/vfio");
    int group = checked(open(path, O_RDWR), path);
    checked(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "SET_CONTAINER");
    checked(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
    checked(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address), "GET_DEVICE_FD");
}

static void hold_by_cdev(const char *node) {
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/devices/%s", node);
    struct bind_iommufd bind = {.argsz = sizeof bind};
    bind.iommufd = checked(open("/dev/iommu", O_RDWR), "open /dev/iommu");
    checked(ioctl(checked(open(path, O_RDWR), path), BIND_IOMMUFD, &bind), "BIND_IOMMUFD");
}

static void hold_unbound(const char *node) {
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/devices/%s", node);
    checked(open(path, O_RDWR), path);
}

int main(int count, char **words) {
    if (count == 4 && !strcmp(words[1], "group"))
        hold_by_group(words[2], words[3]);
    else if (count == 3 && !strcmp(words[1], "cdev"))
        hold_by_cdev(words[2]);
    else if (count == 3 && !strcmp(words[1], "open"))
        hold_unbound(words[2]);
    else
        return 2;
    puts("holding");
    fflush(stdout);
    for (;;) pause();
}
