// The ioctls of vfio's groups and containers.
#define _GNU_SOURCE
#include "calls.h"
#include "vfio_uapi.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#if __has_include(<linux/vfio.h>)
#include <linux/vfio.h>
_Static_assert(CLINUX_VFIO_CHECK_EXTENSION == VFIO_CHECK_EXTENSION, "VFIO_CHECK_EXTENSION");
_Static_assert(CLINUX_VFIO_SET_IOMMU == VFIO_SET_IOMMU, "VFIO_SET_IOMMU");
_Static_assert(CLINUX_VFIO_GROUP_GET_STATUS == VFIO_GROUP_GET_STATUS, "VFIO_GROUP_GET_STATUS");
_Static_assert(CLINUX_VFIO_GROUP_FLAGS_CONTAINER_SET == VFIO_GROUP_FLAGS_CONTAINER_SET, "CONTAINER_SET");
_Static_assert(CLINUX_VFIO_DEVICE_GET_INFO == VFIO_DEVICE_GET_INFO, "VFIO_DEVICE_GET_INFO");
_Static_assert(CLINUX_VFIO_GROUP_SET_CONTAINER == VFIO_GROUP_SET_CONTAINER, "VFIO_GROUP_SET_CONTAINER");
_Static_assert(CLINUX_VFIO_GROUP_GET_DEVICE_FD == VFIO_GROUP_GET_DEVICE_FD, "VFIO_GROUP_GET_DEVICE_FD");
_Static_assert(CLINUX_VFIO_IOMMU_GET_INFO == VFIO_IOMMU_GET_INFO, "VFIO_IOMMU_GET_INFO");
_Static_assert(CLINUX_VFIO_IOMMU_GET_INFO == VFIO_IOMMU_SPAPR_TCE_GET_INFO, "VFIO_IOMMU_SPAPR_TCE_GET_INFO");
_Static_assert(sizeof(struct clinux_vfio_spapr_tce_info) == sizeof(struct vfio_iommu_spapr_tce_info), "sPAPR TCE");
#endif

int clinux_call_set_container(const struct clinux_call *call) {
    int container = call->files[1];
    return ioctl(call->files[0], CLINUX_VFIO_GROUP_SET_CONTAINER, &container) < 0 ? errno : 0;
}

int clinux_call_has_container(const struct clinux_call *call, struct clinux_result *result) {
    struct clinux_vfio_group_status status = { .argsz = sizeof status };
    if (ioctl(call->files[0], CLINUX_VFIO_GROUP_GET_STATUS, &status) < 0) return errno;
    result->answer.number = (status.flags & CLINUX_VFIO_GROUP_FLAGS_CONTAINER_SET) != 0;
    return 0;
}

static int offers(int container, int type) { return ioctl(container, CLINUX_VFIO_CHECK_EXTENSION, type) > 0; }

int clinux_call_set_iommu(const struct clinux_call *call) {
    // The best first, as QEMU chooses.
    static const int types[] = { CLINUX_VFIO_TYPE1v2_IOMMU, CLINUX_VFIO_TYPE1_IOMMU, CLINUX_VFIO_SPAPR_TCE_v2_IOMMU,
                                 CLINUX_VFIO_SPAPR_TCE_IOMMU };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (offers(call->files[0], types[i]))
            return ioctl(call->files[0], CLINUX_VFIO_SET_IOMMU, types[i]) < 0 ? errno : 0;
    // Says what is wrong with the descriptor, or ENODEV or the like where no driver of an IOMMU is there.
    return ioctl(call->files[0], CLINUX_VFIO_SET_IOMMU, CLINUX_VFIO_TYPE1v2_IOMMU) < 0 ? errno : 0;
}

int clinux_call_get_device(const struct clinux_call *call, struct clinux_result *result) {
    int fd = ioctl(call->files[0], CLINUX_VFIO_GROUP_GET_DEVICE_FD, call->text);
    if (fd < 0) return errno;
    result->descriptor = fd;
    return 0;
}

static int window(int container, struct clinux_result *result) {
    struct clinux_vfio_spapr_tce_info info = { .argsz = sizeof info };
    if (ioctl(container, CLINUX_VFIO_IOMMU_GET_INFO, &info) < 0) return errno;
    if (info.dma32_window_size == 0) return 0;
    uint64_t first = info.dma32_window_start;
    return clinux_add_range(result, first, first + info.dma32_window_size - 1);
}

int clinux_call_container_ranges(const struct clinux_call *call, struct clinux_result *result) {
    if (offers(call->files[0], CLINUX_VFIO_SPAPR_TCE_IOMMU) || offers(call->files[0], CLINUX_VFIO_SPAPR_TCE_v2_IOMMU))
        return window(call->files[0], result);
    // Room for all ranges that can be answered and for the small capabilities beside them.
    static char buffer[sizeof(struct clinux_vfio_iommu_type1_info) + 16 * CLINUX_RANGE_MAX + 1024]
        __attribute__((aligned(8)));
    struct clinux_vfio_iommu_type1_info info = { .argsz = sizeof buffer };
    memcpy(buffer, &info, sizeof info);
    if (ioctl(call->files[0], CLINUX_VFIO_IOMMU_GET_INFO, buffer) < 0) return errno;
    memcpy(&info, buffer, sizeof info);
    if (info.argsz > sizeof buffer) return EMSGSIZE;
    // Linux before 5.4 tells no ranges.
    if (!(info.flags & CLINUX_VFIO_IOMMU_INFO_CAPS)) return EOPNOTSUPP;
    struct clinux_vfio_cap_iova_range capability;
    for (uint32_t at = info.cap_offset, steps = 0; at != 0 && steps < 64; at = capability.header.next, steps++) {
        if (at > sizeof buffer - sizeof capability) return EBADMSG;
        memcpy(&capability, buffer + at, sizeof capability);
        if (capability.header.id != CLINUX_VFIO_CAP_IOVA_RANGE) continue;
        uint64_t ends[2];
        if (capability.nr_iovas > (sizeof buffer - at - sizeof capability) / sizeof ends) return EBADMSG;
        for (uint32_t i = 0; i < capability.nr_iovas; i++) {
            memcpy(ends, buffer + at + sizeof capability + i * sizeof ends, sizeof ends);
            int error = clinux_add_range(result, ends[0], ends[1]);
            if (error) return error;
        }
        return 0;
    }
    return EOPNOTSUPP;
}
