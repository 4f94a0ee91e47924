// Makes a sysfs-like tree of a synthetic machine: 250 PCI functions in 75 kernel groups below each host bridge, so that
// 40 host bridges are 10,000 functions in 3,000 groups.
//
// A unit of ten functions is a root port, a switch of one upstream and two downstream ports below it, and a slot of
// three functions below each of the latter. Its bridges are one kernel group, and so is each slot.
//
// usage: tree FOLDER HOST_BRIDGES
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNITS = 25, GROUPS_A_UNIT = 3, FUNCTIONS_A_SLOT = 3 };

/// What a real function's folder holds besides what is read: both readers have to list it.
static const char *const others[] = {
    "ari_enabled", "broken_parity_status", "consistent_dma_mask_bits", "current_link_speed", "current_link_width",
    "d3cold_allowed", "dma_mask_bits", "enable", "irq", "local_cpulist", "local_cpus", "max_link_speed",
    "max_link_width", "modalias", "msi_bus", "power_state", "remove", "rescan", "reset", "reset_method", "resource",
    "resource0", "resource2", "uevent",
};

/// A PCI function to be made.
struct function {
    unsigned domain, bus, device, number;
    /// Device/Port Type of the PCI Express capability: 0 endpoint, 4 root port, 5 and 6 a switch's ports.
    unsigned express;
    /// The bus below a bridge.
    unsigned below;
    unsigned group;
    unsigned vendor, id, class_code;
    const char *driver, *override;
    /// How much of the configuration space is there: 4096 bytes, or 256.
    size_t config_size;
};

/// printf to a text that is never freed: the program makes its tree and ends.
static char *__attribute__((format(printf, 1, 2))) text(const char *format, ...) {
    char *result;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&result, format, arguments) < 0) err(1, "vasprintf");
    va_end(arguments);
    return result;
}

/// Makes a folder, where it is not there, and opens it.
static int make_folder(int at, const char *name) {
    if (mkdirat(at, name, 0755) < 0 && errno != EEXIST) err(1, "mkdir %s", name);
    int folder = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) err(1, "open %s", name);
    return folder;
}

static void make_file(int folder, const char *name, const void *bytes, size_t length) {
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 || write(file, bytes, length) != (ssize_t)length) err(1, "%s", name);
    close(file);
}

static void make_text(int folder, const char *name, const char *content) {
    make_file(folder, name, content, strlen(content));
}

static void make_link(const char *target, int folder, const char *name) {
    if (symlinkat(target, folder, name) < 0) err(1, "symlink %s", name);
}

static void put(uint8_t *at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static void make_config(int folder, const struct function *f) {
    uint8_t config[4096] = { 0 };
    put(config, f->vendor | f->id << 16, 4);
    put(config + 6, 0x10, 2);
    put(config + 8, f->class_code << 8 | 1, 4);
    config[0x0e] = f->express ? 1 : 0x80;
    if (f->express) put(config + 0x18, f->bus | f->below << 8 | f->below << 16, 3);
    else put(config + 0x2c, f->vendor | 0x1234u << 16, 4);
    config[0x34] = 0x40;
    put(config + 0x40, 0x5001, 2);  // power management, then MSI-X, then PCI Express
    put(config + 0x50, 0x7011, 2);
    put(config + 0x70, 0x0010 | (f->express << 4 | 2) << 16, 4);
    put(config + 0x94, 0x20, 4);
    put(config + 0x100, 0x14810001, 4);  // advanced error reporting, then ACS, then (in endpoints) ARI
    put(config + 0x148, f->express ? 0x0001000d : 0x1601000d, 4);
    put(config + 0x14c, 0x001d005f, 4);
    put(config + 0x160, 0x0001000e, 4);
    make_file(folder, "config", config, f->config_size);
}

/// Makes a function's folder below `above`, a path below sys of `depth` components, with all links to it and from it.
/// Returns its path below sys.
static const char *make_function(int sys, const struct function *f, const char *above, int depth) {
    const char *name = text("%04x:%02x:%02x.%u", f->domain, f->bus, f->device, f->number);
    const char *path = text("%s/%s", above, name);
    const char *up = "../../../../../../../../" + 3 * (7 - depth);
    int folder = make_folder(sys, path);
    make_config(folder, f);
    make_text(folder, "vendor", text("0x%04x\n", f->vendor));
    make_text(folder, "device", text("0x%04x\n", f->id));
    make_text(folder, "subsystem_vendor", text("0x%04x\n", f->vendor));
    make_text(folder, "subsystem_device", "0x1234\n");
    make_text(folder, "class", text("0x%06x\n", f->class_code));
    make_text(folder, "revision", "0x01\n");
    make_text(folder, "numa_node", f->domain % 2 ? "1\n" : "0\n");
    make_text(folder, "driver_override", text("%s\n", f->override));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (linkat(sys, "empty", folder, others[i], 0) < 0) err(1, "link %s", others[i]);
    close(make_folder(folder, "power"));
    make_link(text("%sbus/pci", up), folder, "subsystem");
    make_link(text("%sdevices/virtual/iommu/dmar%u", up, f->domain), folder, "iommu");
    make_link(text("%skernel/iommu_groups/%u", up, f->group), folder, "iommu_group");
    if (f->driver) make_link(text("%sbus/pci/drivers/%s", up, f->driver), folder, "driver");
    close(folder);
    make_link(text("../../../%s", path), sys, text("bus/pci/devices/%s", name));
    make_link(text("../../../../%s", path), sys, text("kernel/iommu_groups/%u/devices/%s", f->group, name));
    return path;
}

static void make_group(int sys, unsigned number) {
    int folder = make_folder(sys, text("kernel/iommu_groups/%u", number));
    close(make_folder(folder, "devices"));
    make_text(folder, "type", "DMA-FQ\n");
    make_text(folder, "reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
    close(folder);
}

static void make_slot(int sys, unsigned domain, unsigned bus, unsigned group, const char *above) {
    static const struct function kinds[FUNCTIONS_A_SLOT] = {
        { .vendor = 0x15b3, .id = 0x1017, .class_code = 0x020000, .driver = "mlx5_core", .override = "(null)",
          .config_size = 4096 },
        { .vendor = 0x8086, .id = 0x154d, .class_code = 0x020000, .driver = "vfio-pci", .override = "vfio-pci",
          .config_size = 4096 },
        { .vendor = 0x1b36, .id = 0x0010, .class_code = 0x010802, .override = "(null)", .config_size = 256 },
    };
    for (unsigned number = 0; number < FUNCTIONS_A_SLOT; number++) {
        struct function f = kinds[number];
        f.domain = domain, f.bus = bus, f.number = number, f.group = group;
        make_function(sys, &f, above, 5);
    }
}

static void make_unit(int sys, unsigned domain, unsigned unit, unsigned group) {
    struct function f = {
        .domain = domain, .device = unit, .express = 4, .below = 4 * unit + 1, .group = group, .vendor = 0x8086,
        .id = 0x347a, .class_code = 0x060400, .driver = "pcieport", .override = "(null)", .config_size = 4096,
    };
    for (unsigned i = 0; i < GROUPS_A_UNIT; i++) make_group(sys, group + i);
    const char *port = make_function(sys, &f, text("devices/pci%04x:00", domain), 2);
    f.bus = f.below, f.device = 0, f.express = 5, f.below = 4 * unit + 2;
    const char *upstream = make_function(sys, &f, port, 3);
    f.bus = f.below, f.express = 6;
    for (unsigned slot = 0; slot < 2; slot++) {
        f.device = slot, f.below = 4 * unit + 3 + slot;
        make_slot(sys, domain, f.below, group + 1 + slot, make_function(sys, &f, upstream, 4));
    }
}

int main(int argc, char **argv) {
    static const char *const folders[] = {
        "sys/devices", "sys/bus", "sys/bus/pci", "sys/bus/pci/devices", "sys/class", "sys/class/pci_bus",
        "sys/kernel", "sys/kernel/iommu_groups", "proc", "proc/sys", "proc/sys/kernel",
    };
    if (argc != 3) errx(2, "usage: tree FOLDER HOST_BRIDGES");
    int root = make_folder(AT_FDCWD, argv[1]), sys = make_folder(root, "sys");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) close(make_folder(root, folders[i]));
    make_text(root, "proc/sys/kernel/osrelease", "6.12.0-bench\n");
    make_text(sys, "empty", "");
    unsigned bridges = (unsigned)strtoul(argv[2], NULL, 10);
    for (unsigned domain = 0; domain < bridges; domain++) {
        close(make_folder(sys, text("devices/pci%04x:00", domain)));
        make_link(text("../../devices/pci%04x:00/pci_bus/%04x:00", domain, domain), sys,
                  text("class/pci_bus/%04x:00", domain));
        for (unsigned unit = 0; unit < UNITS; unit++)
            make_unit(sys, domain, unit, (domain * UNITS + unit) * GROUPS_A_UNIT);
    }
    return 0;
}
