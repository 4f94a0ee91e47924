// The ioctls of iommufd, and those that bring a vfio cdev to it.
#define _GNU_SOURCE
#include "calls.h"
#include "iommufd_uapi.h"
#include "vfio_uapi.h"
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

int clinux_call_bind_iommufd(const struct clinux_call *call) {
    // A negative one would ask for the kernel's no-IOMMU mode.
    if (call->files[1] < 0) return EBADF;
    struct clinux_vfio_device_bind_iommufd bind = { .argsz = sizeof bind, .iommufd = call->files[1] };
    return ioctl(call->files[0], CLINUX_VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0 ? errno : 0;
}

int clinux_call_attach(const struct clinux_call *call) {
    struct clinux_vfio_device_attach_iommufd_pt attach = { .argsz = sizeof attach, .pt_id = call->number };
    return ioctl(call->files[0], CLINUX_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) < 0 ? errno : 0;
}

int clinux_call_detach(const struct clinux_call *call) {
    struct clinux_vfio_device_detach_iommufd_pt detach = { .argsz = sizeof detach };
    return ioctl(call->files[0], CLINUX_VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach) < 0 ? errno : 0;
}

int clinux_call_is_bound(const struct clinux_call *call, struct clinux_result *result) {
    struct clinux_vfio_device_info info = { .argsz = sizeof info };
    result->answer.number = ioctl(call->files[0], CLINUX_VFIO_DEVICE_GET_INFO, &info) == 0;
    // Before BIND a cdev answers nothing but EINVAL (drivers/vfio/vfio_main.c, vfio_device_fops_unl_ioctl).
    return result->answer.number || errno == EINVAL ? 0 : errno;
}

int clinux_call_allocate_ioas(const struct clinux_call *call, struct clinux_result *result) {
    struct clinux_iommu_ioas_alloc allocation = { .size = sizeof allocation };
    if (ioctl(call->files[0], CLINUX_IOMMU_IOAS_ALLOC, &allocation) < 0) return errno;
    result->answer.number = allocation.out_ioas_id;
    return 0;
}

int clinux_call_ioas_ranges(const struct clinux_call *call, struct clinux_result *result) {
    // struct iommu_iova_range is a struct clinux_range: start and last, inclusive.
    struct clinux_iommu_ioas_iova_ranges ranges = {
        .size = sizeof ranges, .ioas_id = call->number, .num_iovas = CLINUX_RANGE_MAX,
        .allowed_iovas = (uintptr_t)result->ranges,
    };
    if (ioctl(call->files[0], CLINUX_IOMMU_IOAS_IOVA_RANGES, &ranges) < 0) return errno;
    result->answer.range_count = ranges.num_iovas;
    return 0;
}
