// What a takeover changes in a device, as sysfs shows it now.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding? {
        try requireWritable()
        let folder: Directory
        do throws(SystemError) { folder = try Directory(path: self.folder(of: device)) } catch {
            if error.isVanished { return nil }
            throw .system(call: "open the folder of \(device)", errno: error.errno)
        }
        let names =
            ["driver_override", "power/control", "d3cold_allowed"]
            + (folder.has("sriov_numvfs") ? ["sriov_numvfs"] : [])
        let readings = await lockedAttributes.read(names, below: folder.descriptor)
        var texts: [String?] = []
        for (name, reading) in zip(names, readings) {
            switch reading {
            case .late: throw .deviceBusy(device)
            case .bytes(let bytes):
                texts.append(String(decoding: bytes.prefix { $0 != 0x0a && $0 != 0 }, as: UTF8.self))
            case .failed(let errno) where SystemError(errno: errno).isVanished: texts.append(nil)
            case .failed(let errno): throw .system(call: "read \(name) of \(device)", errno: errno)
            }
        }
        // Last: had the device been in an unbind, the attributes above came after it.
        let driver: String?
        let canReset: Bool
        let identification: PCIFunction.Identification?
        let enableCount: Int?
        do throws(SystemError) {
            driver = try folder.driver()
            canReset = folder.has("reset")
            identification = device.pci == nil ? nil : try folder.identification()
            enableCount = device.pci == nil ? nil : try folder.textIfReadable("enable").flatMap { decimal($0) }
            // A folder of sysfs that was removed while it was open is empty.
            _ = try Directory(path: self.folder(of: device))
        } catch {
            if error.isVanished { return nil }
            throw .system(call: "read what \(device) is", errno: error.errno)
        }
        let module = driver == nil ? nil : try? folder.linkName("driver/module")
        return DeviceBinding(
            driver: driver, driverOverride: readings[0].driverOverride.value, canOverride: texts[0] != nil,
            powerControl: texts[1].flatMap { PowerControl(rawValue: $0) },
            d3coldAllowed: texts[2].flatMap { ["0": false, "1": true][$0] }, canReset: canReset,
            identification: identification, enableCount: enableCount,
            virtualFunctionCount: texts.count > 3 ? texts[3].flatMap { decimal($0) } : nil, module: module)
    }

    public func identification(of device: DeviceAddress) -> PCIFunction.Identification? {
        guard device.pci != nil else { return nil }
        return try? Directory(path: folder(of: device)).identification()
    }

    public func enableCount(of device: DeviceAddress) -> Int? {
        guard device.pci != nil else { return nil }
        return (try? Directory(path: folder(of: device)))?.enableCount()
    }

    public func isAnswering(_ device: DeviceAddress) async -> Bool? {
        guard device.pci != nil, let folder = try? Directory(path: folder(of: device)) else { return nil }
        // Reading it resumes a device that sleeps, which may take as long as that takes.
        guard case .bytes(let bytes)? = await lockedAttributes.read(["config"], below: folder.descriptor).first,
            bytes.count >= 2
        else { return nil }
        return bytes[0] != 0xff || bytes[1] != 0xff
    }

    public func hasDriver(_ name: String, onBusOf device: DeviceAddress) -> Bool? {
        guard !name.contains("/"), !device.bus.contains("/"),
            let drivers = try? Directory(path: joined("sys/bus/\(device.bus)/drivers"))
        else { return nil }
        return drivers.has(name)
    }

    public func driverLink(of device: DeviceAddress) -> DriverLink? {
        do throws(SystemError) {
            let folder = try Directory(path: folder(of: device))
            return DriverLink(to: try folder.driver())
        } catch { return error.isVanished ? .noDevice : nil }
    }
}

extension Directory {
    /// What the PCI function is whose folder this is, without what cannot be read.
    fileprivate func identification() throws(SystemError) -> PCIFunction.Identification {
        func number(_ name: String) throws(SystemError) -> UInt64? {
            guard let text = try textIfReadable(name), text.hasPrefix("0x") else { return nil }
            return unsignedInteger(text.utf8.dropFirst(2), radix: 16)
        }
        func word(_ name: String) throws(SystemError) -> UInt16? { try number(name).flatMap { UInt16(exactly: $0) } }
        return .init(
            vendorID: try word("vendor"), deviceID: try word("device"),
            subsystemVendorID: try word("subsystem_vendor"), subsystemDeviceID: try word("subsystem_device"),
            classCode: try number("class").flatMap { UInt32(exactly: $0) }.map { ClassCode(rawValue: $0) })
    }

    /// The text of an attribute; nil for what is not there or refuses to be read, but not for want of descriptors: what
    /// is not known of a device is taken to be right.
    fileprivate func textIfReadable(_ name: String) throws(SystemError) -> String? {
        do throws(SystemError) { return try text(name) } catch {
            if error.isShortage { throw error }
            return nil
        }
    }

    /// How often the PCI function is enabled whose folder this is.
    fileprivate func enableCount() -> Int? { (try? text("enable")).flatMap { decimal($0) } }

    /// The driver of the device whose folder this is.
    fileprivate func driver() throws(SystemError) -> String? {
        do throws(SystemError) { return try linkName("driver") } catch {
            if error.isVanished { return nil }
            throw error
        }
    }
}
