// The structures and numbers of vfio's and iommufd's ioctls, against what the kernel's headers make of them on a 64-bit
// machine (include/uapi/linux/vfio.h and iommufd.h of Linux 6.12): a wrong one is a wrong call into the kernel.

import CLinux
import Testing

@Suite("Structures of the kernel's interface")
struct LayoutTests {
    /// _IO(';', number), which sets no direction bit but on POWER, MIPS and SPARC.
    private func io(_ number: Int) -> Int {
        #if arch(powerpc64le) || arch(powerpc64)
            0x2000_3b00 | number
        #else
            0x3b00 | number
        #endif
    }

    @Test("the numbers of the ioctls")
    func numbers() {
        #expect(Int(CLINUX_VFIO_CHECK_EXTENSION) == io(0x65))
        #expect(Int(CLINUX_VFIO_SET_IOMMU) == io(0x66))
        #expect(Int(CLINUX_VFIO_GROUP_SET_CONTAINER) == io(0x68))
        #expect(Int(CLINUX_VFIO_GROUP_GET_DEVICE_FD) == io(0x6a))
        #expect(Int(CLINUX_VFIO_IOMMU_GET_INFO) == io(0x70))
        #expect(Int(CLINUX_VFIO_DEVICE_BIND_IOMMUFD) == io(0x76))
        #expect(Int(CLINUX_VFIO_DEVICE_ATTACH_IOMMUFD_PT) == io(0x77))
        #expect(Int(CLINUX_VFIO_DEVICE_DETACH_IOMMUFD_PT) == io(0x78))
        #expect(Int(CLINUX_IOMMU_IOAS_ALLOC) == io(0x81))
        #expect(Int(CLINUX_IOMMU_IOAS_IOVA_RANGES) == io(0x84))
    }

    @Test("type 1: the ranges come in a capability after the structure")
    func type1() {
        typealias Info = clinux_vfio_iommu_type1_info
        #expect(MemoryLayout<Info>.size == 24)
        #expect(MemoryLayout<Info>.offset(of: \.iova_pgsizes) == 8)
        #expect(MemoryLayout<Info>.offset(of: \.cap_offset) == 16)
        typealias Capability = clinux_vfio_cap_iova_range
        #expect(MemoryLayout<clinux_vfio_info_cap_header>.size == 8)
        #expect(MemoryLayout<clinux_vfio_info_cap_header>.offset(of: \.next) == 4)
        #expect(MemoryLayout<Capability>.size == 16)
        #expect(MemoryLayout<Capability>.offset(of: \.nr_iovas) == 8)
        #expect(MemoryLayout<clinux_range>.size == 16)
    }

    @Test("sPAPR TCE: the 32-bit window of a PE, and the dynamic ones")
    func sPAPR() {
        typealias Info = clinux_vfio_spapr_tce_info
        #expect(MemoryLayout<Info>.size == 32)
        #expect(MemoryLayout<Info>.offset(of: \.dma32_window_start) == 8)
        #expect(MemoryLayout<Info>.offset(of: \.dma32_window_size) == 12)
        #expect(MemoryLayout<Info>.offset(of: \.ddw) == 16)
        #expect(MemoryLayout<clinux_vfio_spapr_tce_ddw_info>.offset(of: \.max_dynamic_windows_supported) == 8)
        #expect(MemoryLayout<clinux_vfio_spapr_tce_ddw_info>.offset(of: \.levels) == 12)
    }

    @Test("cdev: bind, attach, detach")
    func cdev() {
        #expect(MemoryLayout<clinux_vfio_device_bind_iommufd>.size == 16)
        #expect(MemoryLayout<clinux_vfio_device_bind_iommufd>.offset(of: \.iommufd) == 8)
        #expect(MemoryLayout<clinux_vfio_device_bind_iommufd>.offset(of: \.out_devid) == 12)
        #expect(MemoryLayout<clinux_vfio_device_attach_iommufd_pt>.size == 12)
        #expect(MemoryLayout<clinux_vfio_device_attach_iommufd_pt>.offset(of: \.pt_id) == 8)
        #expect(MemoryLayout<clinux_vfio_device_detach_iommufd_pt>.size == 8)
    }

    @Test("iommufd: an address space and its ranges")
    func iommufd() {
        #expect(MemoryLayout<clinux_iommu_ioas_alloc>.size == 12)
        #expect(MemoryLayout<clinux_iommu_ioas_alloc>.offset(of: \.out_ioas_id) == 8)
        typealias Ranges = clinux_iommu_ioas_iova_ranges
        #expect(MemoryLayout<Ranges>.size == 32)
        #expect(MemoryLayout<Ranges>.offset(of: \.ioas_id) == 4)
        #expect(MemoryLayout<Ranges>.offset(of: \.num_iovas) == 8)
        #expect(MemoryLayout<Ranges>.offset(of: \.allowed_iovas) == 16)
        #expect(MemoryLayout<Ranges>.offset(of: \.out_iova_alignment) == 24)
    }
}
