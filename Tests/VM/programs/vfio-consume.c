// Uses what it was handed over (VFIOGROUPD_HANDOVER) as a virtual machine monitor does, without any right of its own: it
// becomes uid 65534, maps memory, and reads the device's config space through vfio.
//     vfio-consume once [ADDRESS]       says "read VENDOR:DEVICE" and lets go
//     vfio-consume hold [ADDRESS]       says so, and holds on until it is killed
//     vfio-consume device [ADDRESS]     so too, but closes the container and the group before
// A container's device is opened by its ADDRESS. What was not bound for it, it binds by itself: the fresh cdev of the
// device at ADDRESS, or by path its node or, with the word `group` behind, that of its kernel group.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOBODY 65534
#define SIZE (1 << 20)
#define IOVA 0x100000

// Debian 12's headers are older than iommufd (include/uapi/linux/iommufd.h).
struct ioas_map {
    __u32 size, flags, ioas_id, reserved;
    __aligned_u64 user_va, length, iova;
};
struct ioas_unmap {
    __u32 size, ioas_id;
    __aligned_u64 iova, length;
};
struct ioas_alloc {
    __u32 size, flags, out_ioas_id;
};
struct bind_iommufd {
    __u32 argsz, flags;
    __s32 iommufd;
    __u32 out_devid;
};
struct attach_iommufd {
    __u32 argsz, flags, pt_id;
};
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 19)
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP _IO(';', 0x85)
#define IOAS_UNMAP _IO(';', 0x86)
#define IOAS_MAP_FLAGS 7 // FIXED_IOVA | WRITEABLE | READABLE

static int checked(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

// The number that follows a name in the handover. There is nothing in it that needs more of a parser.
static int number(const char *text, const char *name) {
    const char *found = text ? strstr(text, name) : NULL;
    if (!found) {
        fprintf(stderr, "the handover has no %s: %s\n", name, text ? text : "there is none");
        exit(1);
    }
    return atoi(found + strlen(name));
}

static int has(const char *text, const char *part) { return text && strstr(text, part) != NULL; }

// Opens the first node of the handover whose path begins so.
static int open_node(const char *handover, const char *beginning) {
    const char *found = strstr(handover, beginning);
    if (!found) {
        fprintf(stderr, "the handover has no node %s: %s\n", beginning, handover);
        exit(1);
    }
    char path[128];
    size_t length = strcspn(found, "\"");
    snprintf(path, sizeof path, "%.*s", (int)length, found);
    return checked(open(path, O_RDWR), path);
}

// Binds a cdev that nobody has bound yet, and gives it an address space of its own.
static __u32 bind_and_attach(int device, int iommufd) {
    struct bind_iommufd bind = {.argsz = sizeof bind, .iommufd = iommufd};
    checked(ioctl(device, BIND_IOMMUFD, &bind), "BIND_IOMMUFD");
    struct ioas_alloc allocation = {.size = sizeof allocation};
    checked(ioctl(iommufd, IOAS_ALLOC, &allocation), "IOAS_ALLOC");
    struct attach_iommufd attach = {.argsz = sizeof attach, .pt_id = allocation.out_ioas_id};
    checked(ioctl(device, ATTACH_IOMMUFD, &attach), "ATTACH");
    return allocation.out_ioas_id;
}

// The descriptor of the device at an address, of those that were handed over; the others are closed.
static int descriptor_of(const char *handover, const char *address) {
    char name[64];
    snprintf(name, sizeof name, "\"name\":\"%s\"},\"descriptor\":", address);
    int wanted = number(handover, name);
    for (const char *at = handover; (at = strstr(at, "\"descriptor\":")); at++) {
        int other = atoi(at + strlen("\"descriptor\":"));
        if (other != wanted) close(other);
    }
    return wanted;
}

static void read_config(int device) {
    struct vfio_region_info region = {.argsz = sizeof region, .index = VFIO_PCI_CONFIG_REGION_INDEX};
    checked(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region), "GET_REGION_INFO");
    uint16_t ids[2];
    checked(pread(device, ids, sizeof ids, region.offset) == sizeof ids ? 0 : -1, "read config space");
    printf("read 0x%04x:0x%04x as uid %d\n", ids[0], ids[1], getuid());
    fflush(stdout);
}

int main(int count, char **words) {
    if (count < 2) return 2;
    const char *handover = getenv("VFIOGROUPD_HANDOVER");
    checked(setgroups(0, NULL), "setgroups");
    checked(setgid(NOBODY), "setgid");
    checked(setuid(NOBODY), "setuid");
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    checked(memory == MAP_FAILED ? -1 : 0, "mmap");
    int container = -1, group = -1, iommufd = -1, device;
    __u32 ioas = 0;
    int by_path = has(handover, "\"access\":\"path\"");
    int by_group = by_path && (!has(handover, "/dev/vfio/devices/") || (count > 3 && !strcmp(words[3], "group")));
    if (by_group || has(handover, "\"container\":")) {
        if (by_group) {
            container = checked(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
            group = open_node(handover, "/dev/vfio/");
            checked(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "SET_CONTAINER");
            checked(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
        } else {
            container = number(handover, "\"container\":");
            group = number(handover, "\"descriptor\":");
        }
        device = checked(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, count > 2 ? words[2] : ""), "GET_DEVICE_FD");
        struct vfio_iommu_type1_dma_map map = {
            .argsz = sizeof map, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
            .vaddr = (uintptr_t)memory, .iova = IOVA, .size = SIZE};
        checked(ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
    } else {
        iommufd = number(handover, "\"iommufd\":");
        if (has(handover, "\"ioas\":")) {
            ioas = number(handover, "\"ioas\":");
            device = number(handover, "\"descriptor\":");
        } else {
            device = by_path ? open_node(handover, "/dev/vfio/devices/")
                             : descriptor_of(handover, count > 2 ? words[2] : "");
            ioas = bind_and_attach(device, iommufd);
        }
        struct ioas_map map = {.size = sizeof map, .flags = IOAS_MAP_FLAGS, .ioas_id = ioas,
                               .user_va = (uintptr_t)memory, .length = SIZE, .iova = IOVA};
        checked(ioctl(iommufd, IOAS_MAP, &map), "IOAS_MAP");
    }
    int closes = !strcmp(words[1], "device");
    if (closes) {
        close(container);
        close(group);
    }
    read_config(device);
    if (closes || !strcmp(words[1], "hold"))
        for (;;) pause();
    if (container >= 0) {
        struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof unmap, .iova = IOVA, .size = SIZE};
        checked(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap), "UNMAP_DMA");
    } else {
        struct ioas_unmap unmap = {.size = sizeof unmap, .ioas_id = ioas, .iova = IOVA, .length = SIZE};
        checked(ioctl(iommufd, IOAS_UNMAP, &unmap), "IOAS_UNMAP");
    }
    return 0;
}
