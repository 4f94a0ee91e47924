// Reads of a sysfs tree what the daemon reads, once each, and does nothing with it: what a scan costs at least.
//
// usage: read-tree FOLDER
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const attributes[] = {
    "vendor", "device", "subsystem_vendor", "subsystem_device", "revision", "class", "config", "numa_node",
    "driver_override", NULL,
};
static const char *const links[] = { "driver", "iommu", "iommu_group", "physfn", NULL };
static const char *const other_buses[] = { "platform", "amba", "fsl-mc", "cdx", "ap", "ccw", "mdev", NULL };

/// What was done; printed at the end, so that no reading can be left out by the compiler.
static struct {
    unsigned long lists, files, bytes, links;
} count;

static bool is_one_of(const char *name, const char *const *names) {
    while (*names && strcmp(*names, name)) names++;
    return *names;
}

static void read_file(int folder, const char *name) {
    char bytes[4096];
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    ssize_t n = read(file, bytes, sizeof bytes);
    if (n > 0) count.bytes += (unsigned long)n;
    close(file);
    count.files++;
}

static void read_link(int folder, const char *name) {
    char target[PATH_MAX];
    if (readlinkat(folder, name, target, sizeof target) >= 0) count.links++;
}

/// Calls `each` with every entry of a folder but those that begin with a dot; nothing when there is no such folder.
static void list(int at, const char *name, void (*each)(int folder, const char *name)) {
    int folder = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    DIR *stream = fdopendir(folder);
    if (!stream) err(1, "fdopendir");
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (entry->d_name[0] != '.') each(folder, entry->d_name);
    closedir(stream);
    count.lists++;
}

static void read_entry(int folder, const char *name) {
    if (strchr(name, ':')) list(folder, name, read_entry);
    else if (is_one_of(name, attributes)) read_file(folder, name);
    else if (is_one_of(name, links) || strncmp(name, "virtfn", 6) == 0) read_link(folder, name);
}

static void read_host_bridge(int devices, const char *name) {
    if (strncmp(name, "pci", 3) == 0) list(devices, name, read_entry);
}

static void read_kernel_group(int groups, const char *name) {
    int group = openat(groups, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0) return;
    read_file(group, "name");
    read_file(group, "type");
    read_file(group, "reserved_regions");
    list(group, "devices", read_link);
    close(group);
}

int main(int argc, char **argv) {
    if (argc != 2) errx(2, "usage: read-tree FOLDER");
    int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int sys = openat(root, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sys < 0) err(1, "%s/sys", argv[1]);
    list(sys, "bus/pci/devices", read_link);
    list(sys, "class/pci_bus", read_link);
    list(sys, "devices", read_host_bridge);
    list(sys, "kernel/iommu_groups", read_kernel_group);
    for (const char *const *bus = other_buses; *bus; bus++) {
        char path[64];
        snprintf(path, sizeof path, "bus/%s/devices", *bus);
        list(sys, path, read_link);
    }
    read_file(root, "proc/sys/kernel/osrelease");
    printf("%lu lists, %lu files of %lu bytes, %lu links\n", count.lists, count.files, count.bytes, count.links);
    return 0;
}
