// Habits 21 to 24: cdevs and iommufd.

import Inventory
import Testing
import TestSupport

@testable import SimulatedHost

@Suite("The simulated kernel's cdevs")
struct KernelCdevTests {
    typealias Refusal = SimulatedKernel.Refusal

    @Test("second open fine, second BIND EINVAL, with any iommufd")
    func bindOnce() throws {
        var kernel = try takenKernel()
        let first = try kernel.openCdev(network)
        let second = try kernel.openCdev(network)
        let iommufd = try kernel.openIOMMUFD()
        let foreign = try kernel.openIOMMUFD()
        try kernel.bindIOMMUFD(first, iommufd)
        for cdev in [first, second] {
            #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(cdev, iommufd) } == .einval)
            #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(cdev, foreign) } == .einval)
        }
        try kernel.close(first)
        try kernel.bindIOMMUFD(second, foreign)
    }

    @Test("BIND while the legacy group is open EBUSY and the reverse")
    func legacy() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        let iommufd = try kernel.openIOMMUFD()
        let group = try kernel.openGroup(1)
        #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(cdev, iommufd) } == .ebusy)
        try kernel.close(group)
        try kernel.bindIOMMUFD(cdev, iommufd)
        #expect(refusal { () throws(Refusal) in try kernel.openGroup(1) } == .ebusy)
        try kernel.close(cdev)
        _ = try kernel.openGroup(1)
    }

    @Test("GET_INFO before BIND EINVAL")
    func info() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        #expect(refusal { () throws(Refusal) in try kernel.getInfo(cdev) } == .einval)
        #expect(refusal { () throws(Refusal) in try kernel.attach(cdev) } == .einval)
        try kernel.bindIOMMUFD(cdev, try kernel.openIOMMUFD())
        try kernel.getInfo(cdev)
    }

    @Test("BIND can happen right after the FIRST member is on vfio-pci while the others are only driverless")
    func early() throws {
        var kernel = try takenKernel()
        let iommufd = try kernel.openIOMMUFD()
        try kernel.bindIOMMUFD(try kernel.openCdev(network), iommufd)
        try kernel.take(sound)
        try kernel.bindIOMMUFD(try kernel.openCdev(sound), iommufd)
    }

    @Test("one member kept BOUND: the other members BIND in the same iommufd; in its own iommufd: EPERM")
    func sameIOMMUFD() throws {
        var kernel = try takenKernel()
        try kernel.take(sound)
        let ours = try kernel.openIOMMUFD()
        let theirs = try kernel.openIOMMUFD()
        let kept = try kernel.openCdev(network)
        try kernel.bindIOMMUFD(kept, ours)
        let given = try kernel.openCdev(sound)
        #expect(refusal { () throws(Refusal) in try kernel.bindIOMMUFD(given, theirs) } == .eperm)
        try kernel.bindIOMMUFD(given, ours)
        try kernel.close(given)
        #expect(kernel.isOwned(1), "after the launcher's death the group stays owned")
    }

    @Test("a bound cdev passed by SCM_RIGHTS, the sender closing its copies: never unowned, even after DETACH")
    func passed() throws {
        var kernel = try takenKernel()
        let cdev = try kernel.openCdev(network)
        let iommufd = try kernel.openIOMMUFD()
        try kernel.bindIOMMUFD(cdev, iommufd)
        try kernel.copy(cdev)
        try kernel.copy(iommufd)
        try kernel.close(cdev)
        try kernel.close(iommufd)
        #expect(kernel.isOwned(1))
        try kernel.attach(cdev)
        try kernel.detach(cdev)
        #expect(kernel.isOwned(1))
        try kernel.close(iommufd)
        #expect(kernel.isOwned(1))
        try kernel.close(cdev)
        #expect(!kernel.isOwned(1))
        #expect(!kernel.isOpen(cdev))
    }

    @Test("after kill -9 of the launcher a spare OPEN cdev fd BINDs again")
    func spare() throws {
        var kernel = try takenKernel()
        let launcher = try kernel.openCdev(network)
        let spare = try kernel.openCdev(network)
        try kernel.bindIOMMUFD(launcher, try kernel.openIOMMUFD())
        try kernel.close(launcher)
        #expect(!kernel.isOwned(1))
        try kernel.bindIOMMUFD(spare, try kernel.openIOMMUFD())
        #expect(kernel.isOwned(1))
    }

    @Test("no Debian kernel has CONFIG_IOMMUFD: then there is no /dev/iommu and no cdev")
    func missing() throws {
        var configuration = SimulatedKernel.Configuration()
        configuration.hasIOMMUFD = false
        var kernel = SimulatedKernel(
            machine(pciDevice("0000:01:00.0", group: 1, driver: "vfio-pci")), configuration: configuration)
        #expect(refusal { () throws(Refusal) in try kernel.openIOMMUFD() } == .enoent)
        #expect(refusal { () throws(Refusal) in try kernel.openCdev(0) } == .enoent)
        _ = try kernel.openGroup(1)
    }
}
