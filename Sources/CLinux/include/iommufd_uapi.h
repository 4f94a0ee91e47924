// iommufd's ioctls as include/uapi/linux/iommufd.h of Linux 6.12 declares them, those that vfiogroupd makes: Debian 12
// has no such header.
#ifndef CLINUX_IOMMUFD_UAPI_H
#define CLINUX_IOMMUFD_UAPI_H
#include <stdint.h>
#include <sys/ioctl.h>

enum {
    CLINUX_IOMMU_IOAS_ALLOC = _IO(';', 0x81),
    CLINUX_IOMMU_IOAS_IOVA_RANGES = _IO(';', 0x84),
};

/// struct iommu_ioas_alloc
struct clinux_iommu_ioas_alloc {
    uint32_t size;
    uint32_t flags;
    uint32_t out_ioas_id;
};

/// struct iommu_ioas_iova_ranges. `allowed_iovas` points to `num_iovas` ranges of two 64-bit ends; EMSGSIZE, with
/// `num_iovas` set to how many there are, where they are more.
struct clinux_iommu_ioas_iova_ranges {
    uint32_t size;
    uint32_t ioas_id;
    uint32_t num_iovas;
    uint32_t reserved;
    uint64_t allowed_iovas;
    uint64_t out_iova_alignment;
};
#endif
