// What a takeover changes in a device, as sysfs shows it now.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func readBinding(of device: DeviceAddress) async throws(HostError) -> DeviceBinding? {
        try requireWritable()
        guard let folder = try? Directory(path: folder(of: device)) else { return nil }
        let names = ["driver_override", "power/control", "d3cold_allowed"]
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
        do throws(SystemError) { driver = try folder.driver() } catch {
            throw .system(call: "read driver of \(device)", errno: error.errno)
        }
        let canReset = folder.has("reset")
        // A folder of sysfs that was removed while it was open is empty.
        guard (try? Directory(path: self.folder(of: device))) != nil else { return nil }
        return DeviceBinding(
            driver: driver, driverOverride: readings[0].driverOverride.value, canOverride: texts[0] != nil,
            powerControl: texts[1].flatMap { PowerControl(rawValue: $0) },
            d3coldAllowed: texts[2].flatMap { ["0": false, "1": true][$0] }, canReset: canReset)
    }

    public func driverLink(of device: DeviceAddress) -> DriverLink? {
        do throws(SystemError) {
            let folder = try Directory(path: folder(of: device))
            return try folder.driver().map { .driver($0) } ?? .driverless
        } catch { return error.isVanished ? .noDevice : nil }
    }
}

extension Directory {
    /// The driver of the device whose folder this is.
    fileprivate func driver() throws(SystemError) -> String? {
        do throws(SystemError) { return try linkName("driver") } catch {
            if error.isVanished { return nil }
            throw error
        }
    }
}
