// Uses what it was handed over (VFIOGROUPD_HANDOVER) as a virtual machine monitor does, without any right of its own: it
// becomes uid 65534, maps memory, and reads the device's config space through vfio.
//     vfio-consume once [ADDRESS]       says "read VENDOR:DEVICE" and lets go
//     vfio-consume hold [ADDRESS]       says so, and holds on until it is killed
//     vfio-consume device [ADDRESS]     so too, but closes the container and the group before
// A container's device is opened by its ADDRESS. What was not bound for it, it binds by itself: the fresh cdev of the
// device at ADDRESS, or by path its node or, with the word `group` behind, that of its kernel group. Further words:
//     marked       marks a register of an e1000e, and ends with "was reset" when the mark has gone
//     file=PATH    says what was mapped before by others, and in how many I/O address spaces; maps this file too, which is
//                  on a tmpfs, by its descriptor where the kernel can; and leaves a further I/O address space behind
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
#define FILE_IOVA 0x10000000

// Debian 12's headers are older than iommufd (include/uapi/linux/iommufd.h).
struct ioas_map {
    __u32 size, flags, ioas_id, reserved;
    __aligned_u64 user_va, length, iova;
};
struct ioas_unmap {
    __u32 size, ioas_id;
    __aligned_u64 iova, length;
};
struct ioas_map_file {
    __u32 size, flags, ioas_id;
    __s32 fd;
    __aligned_u64 start, length, iova;
};
struct ioas_alloc {
    __u32 size, flags, out_ioas_id;
};
struct ioas_iova_ranges {
    __u32 size, ioas_id, num_iovas, reserved;
    __aligned_u64 allowed_iovas, out_iova_alignment;
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
#define IOAS_IOVA_RANGES _IO(';', 0x84)
#define IOAS_MAP _IO(';', 0x85)
#define IOAS_UNMAP _IO(';', 0x86)
#define IOAS_MAP_FILE _IO(';', 0x8f) // Linux 6.13
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

// What is behind a word's beginning, among the words after the ADDRESS; nothing when there is no such word.
static const char *option(char **words, const char *beginning) {
    for (char **at = words + 1; at[0] && at[1]; at++)
        if (!strncmp(at[1], beginning, strlen(beginning))) return at[1] + strlen(beginning);
    return NULL;
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

// Says what of others can be found in an iommufd and its address space, and leaves a trace there for who comes next.
static void search_iommufd(int iommufd, __u32 ioas) {
    int spaces = 0;
    for (__u32 id = 1; id < 256; id++) {
        struct ioas_iova_ranges ranges = {.size = sizeof ranges, .ioas_id = id};
        // EMSGSIZE: it is there, and has more ranges than none.
        if (ioctl(iommufd, IOAS_IOVA_RANGES, &ranges) == 0 || errno == EMSGSIZE) spaces++;
    }
    struct ioas_unmap all = {.size = sizeof all, .ioas_id = ioas, .length = UINT64_MAX};
    checked(ioctl(iommufd, IOAS_UNMAP, &all), "IOAS_UNMAP of all");
    printf("others had %llu bytes mapped, spaces %d\n", (unsigned long long)all.length, spaces);
    struct ioas_alloc further = {.size = sizeof further};
    checked(ioctl(iommufd, IOAS_ALLOC, &further), "IOAS_ALLOC");
}

static void search_container(int container) {
    struct vfio_iommu_type1_dma_unmap all = {.argsz = sizeof all, .flags = VFIO_DMA_UNMAP_FLAG_ALL};
    checked(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &all), "UNMAP_DMA of all");
    printf("others had %llu bytes mapped, spaces 1\n", (unsigned long long)all.size);
}

static void *address_of(int file) {
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    checked(memory == MAP_FAILED ? -1 : 0, "mmap of the file");
    return memory;
}

static void map_file(int iommufd, __u32 ioas, int file) {
    struct ioas_map_file map = {.size = sizeof map, .flags = IOAS_MAP_FLAGS, .ioas_id = ioas, .fd = file,
                                .length = SIZE, .iova = FILE_IOVA};
    int result = ioctl(iommufd, IOAS_MAP_FILE, &map);
    if (result < 0 && errno == ENOTTY) {
        struct ioas_map old = {.size = sizeof old, .flags = IOAS_MAP_FLAGS, .ioas_id = ioas,
                               .user_va = (uintptr_t)address_of(file), .length = SIZE, .iova = FILE_IOVA};
        checked(ioctl(iommufd, IOAS_MAP, &old), "IOAS_MAP of the file");
        puts("mapped the file by its address");
    } else {
        checked(result, "IOAS_MAP_FILE");
        puts("mapped the file by its descriptor");
    }
}

static void map_in_container(int container, void *memory, __u64 iova) {
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof map, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .vaddr = (uintptr_t)memory, .iova = iova, .size = SIZE};
    checked(ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
}

static __u64 region_offset(int device, __u32 index) {
    struct vfio_region_info region = {.argsz = sizeof region, .index = index};
    checked(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region), "GET_REGION_INFO");
    return region.offset;
}

// Marks a register that nothing but a reset changes: FCTTV, while nothing is sent.
#define FCTTV 0x170
#define MARK 0x5a5a
static void watch_for_reset(int device) {
    __u64 command = region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX) + 4;
    __u64 marked = region_offset(device, VFIO_PCI_BAR0_REGION_INDEX) + FCTTV;
    uint16_t memory = 2;
    uint32_t value = MARK;
    checked(pwrite(device, &memory, sizeof memory, command) == sizeof memory ? 0 : -1, "switch memory on");
    checked(pwrite(device, &value, sizeof value, marked) == sizeof value ? 0 : -1, "mark");
    for (int count = 0;; count++) {
        checked(pread(device, &value, sizeof value, marked) == sizeof value ? 0 : -1, "look for the mark");
        if (value != MARK) {
            printf("was reset: 0x%x after %d looks\n", value, count);
            exit(1);
        }
        if (count == 0) puts("marked");
        fflush(stdout);
        usleep(200000);
    }
}

static void read_config(int device) {
    uint16_t ids[2];
    __u64 offset = region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX);
    checked(pread(device, ids, sizeof ids, offset) == sizeof ids ? 0 : -1, "read config space");
    printf("read 0x%04x:0x%04x as uid %d\n", ids[0], ids[1], getuid());
    fflush(stdout);
}

int main(int count, char **words) {
    if (count < 2) return 2;
    const char *handover = getenv("VFIOGROUPD_HANDOVER");
    const char *path = option(words, "file=");
    int file = path ? checked(open(path, O_RDWR), path) : -1;
    checked(setgroups(0, NULL), "setgroups");
    checked(setgid(NOBODY), "setgid");
    checked(setuid(NOBODY), "setuid");
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    checked(memory == MAP_FAILED ? -1 : 0, "mmap");
    int container = -1, group = -1, iommufd = -1, device;
    __u32 ioas = 0;
    int by_path = has(handover, "\"access\":\"path\"");
    int by_group = by_path && (!has(handover, "/dev/vfio/devices/") || option(words, "group"));
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
        if (path) {
            search_container(container);
            map_in_container(container, address_of(file), FILE_IOVA);
            puts("mapped the file by its address");
        }
        map_in_container(container, memory, IOVA);
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
        if (path) {
            search_iommufd(iommufd, ioas);
            map_file(iommufd, ioas, file);
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
    if (option(words, "marked")) watch_for_reset(device);
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
