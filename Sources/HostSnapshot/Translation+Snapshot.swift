// What a platform says of translation, and its slots, as part of snapshots and back.

import GroupAPI
import Host
import Inventory
import PCI

extension Manager.TranslationTables {
    init(_ tables: TranslationTables) {
        self.init(
            lowWindowSize: tables.lowWindowSize.map { "0x\(hexadecimal($0))" },
            pageSizes: "0x\(hexadecimal(tables.pageSizes))", memoryEnd: tables.memoryEnd.map { "0x\(hexadecimal($0))" },
            windows: tables.windows.map {
                .init(
                    node: $0.node, property: $0.property.rawValue, start: "0x\(hexadecimal($0.start))",
                    last: "0x\(hexadecimal($0.last))", pageSizes: "0x\(hexadecimal($0.pageSizes))")
            })
    }
}

extension TranslationTables {
    init(_ tables: Manager.TranslationTables) throws(HostError) {
        var windows: [NodeWindow] = []
        for window in tables.windows {
            guard let property = NodeWindow.Property(rawValue: window.property) else {
                throw .badSnapshot(reason: "\"\(window.property)\" is no property that a DMA window stands in")
            }
            let (start, last) = (try number(window.start), try number(window.last))
            guard start <= last else {
                throw .badSnapshot(reason: "\"\(window.start)\" to \"\(window.last)\" is no window")
            }
            windows.append(
                NodeWindow(
                    node: window.node, property: property, start: start, last: last,
                    pageSizes: try number(window.pageSizes)))
        }
        self.init(
            lowWindowSize: try tables.lowWindowSize.mapThrowing(number), pageSizes: try number(tables.pageSizes),
            memoryEnd: try tables.memoryEnd.mapThrowing(number), windows: windows)
    }
}

extension TranslationUnit {
    init(_ unit: Manager.TranslationUnit) throws(HostError) {
        guard (1...64).contains(unit.addressWidth) else {
            throw .badSnapshot(reason: "an I/O address of \(unit.addressWidth) bits does not exist")
        }
        self.init(name: unit.name, addressWidth: unit.addressWidth, source: unit.source)
    }
}

extension Slot {
    init(_ slot: Manager.SnapshotSlot) throws(HostError) {
        guard let address = Address(slot.address) else {
            throw .badSnapshot(reason: "\"\(slot.address)\" is no address of a slot")
        }
        self.init(name: slot.name, address: address)
    }
}

private func number(_ text: String) throws(HostError) -> UInt64 {
    guard let number = addressNumber(text) else { throw .badSnapshot(reason: "\"\(text)\" is no address") }
    return number
}
