// VFIO's ioctls as include/uapi/linux/vfio.h of Linux 6.12 declares them, those that vfiogroupd makes: Debian 12's own
// header has no cdev. The numbers are _IO(';', 100 + n), which are other ones on POWER than on x86.
#ifndef CLINUX_VFIO_UAPI_H
#define CLINUX_VFIO_UAPI_H
#include <stdint.h>
#include <sys/ioctl.h>

enum {
    CLINUX_VFIO_CHECK_EXTENSION = _IO(';', 101),
    CLINUX_VFIO_SET_IOMMU = _IO(';', 102),
    CLINUX_VFIO_GROUP_GET_STATUS = _IO(';', 103),
    CLINUX_VFIO_GROUP_SET_CONTAINER = _IO(';', 104),
    CLINUX_VFIO_GROUP_GET_DEVICE_FD = _IO(';', 106),
    CLINUX_VFIO_DEVICE_GET_INFO = _IO(';', 107),
    /// Of a type 1 container VFIO_IOMMU_GET_INFO, of an sPAPR one VFIO_IOMMU_SPAPR_TCE_GET_INFO.
    CLINUX_VFIO_IOMMU_GET_INFO = _IO(';', 112),
    CLINUX_VFIO_DEVICE_BIND_IOMMUFD = _IO(';', 118),
    CLINUX_VFIO_DEVICE_ATTACH_IOMMUFD_PT = _IO(';', 119),
    CLINUX_VFIO_DEVICE_DETACH_IOMMUFD_PT = _IO(';', 120),
};

/// What VFIO_CHECK_EXTENSION is asked for and VFIO_SET_IOMMU is given.
enum {
    CLINUX_VFIO_TYPE1_IOMMU = 1,
    CLINUX_VFIO_SPAPR_TCE_IOMMU = 2,
    CLINUX_VFIO_TYPE1v2_IOMMU = 3,
    CLINUX_VFIO_SPAPR_TCE_v2_IOMMU = 7,
};

/// struct vfio_group_status
struct clinux_vfio_group_status {
    uint32_t argsz;
    uint32_t flags;
};
/// VFIO_GROUP_FLAGS_CONTAINER_SET
#define CLINUX_VFIO_GROUP_FLAGS_CONTAINER_SET 2

/// struct vfio_device_info, as far as every kernel has it.
struct clinux_vfio_device_info {
    uint32_t argsz;
    uint32_t flags;
    uint32_t num_regions;
    uint32_t num_irqs;
};

/// struct vfio_iommu_type1_info. A chain of capabilities follows where the caller's `argsz` leaves room for it.
struct clinux_vfio_iommu_type1_info {
    uint32_t argsz;
    uint32_t flags;
    uint64_t iova_pgsizes;
    uint32_t cap_offset;
    uint32_t pad;
};
/// VFIO_IOMMU_INFO_CAPS: `cap_offset` is valid.
#define CLINUX_VFIO_IOMMU_INFO_CAPS 2

/// struct vfio_info_cap_header; `next` counts from the start of the whole structure.
struct clinux_vfio_info_cap_header {
    uint16_t id;
    uint16_t version;
    uint32_t next;
};
/// VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE
#define CLINUX_VFIO_CAP_IOVA_RANGE 1

/// struct vfio_iommu_type1_info_cap_iova_range; the ranges, each of two 64-bit ends, follow.
struct clinux_vfio_cap_iova_range {
    struct clinux_vfio_info_cap_header header;
    uint32_t nr_iovas;
    uint32_t reserved;
};

/// struct vfio_iommu_spapr_tce_ddw_info
struct clinux_vfio_spapr_tce_ddw_info {
    uint64_t pgsizes;
    uint32_t max_dynamic_windows_supported;
    uint32_t levels;
};

/// struct vfio_iommu_spapr_tce_info: the 32-bit DMA window of a PE.
struct clinux_vfio_spapr_tce_info {
    uint32_t argsz;
    uint32_t flags;
    uint32_t dma32_window_start;
    uint32_t dma32_window_size;
    struct clinux_vfio_spapr_tce_ddw_info ddw;
};

/// struct vfio_device_bind_iommufd
struct clinux_vfio_device_bind_iommufd {
    uint32_t argsz;
    uint32_t flags;
    int32_t iommufd;
    uint32_t out_devid;
};

/// struct vfio_device_attach_iommufd_pt, as far as 6.12 has it; 6.15 appends `pasid`, which a flag announces.
struct clinux_vfio_device_attach_iommufd_pt {
    uint32_t argsz;
    uint32_t flags;
    uint32_t pt_id;
};

/// struct vfio_device_detach_iommufd_pt, with the same limit.
struct clinux_vfio_device_detach_iommufd_pt {
    uint32_t argsz;
    uint32_t flags;
};
#endif
