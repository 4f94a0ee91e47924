// Every device that the kernel knows by name, and its neighbours, which it does not know: the tables of
// drivers/pci/quirks.c (6.1.192 and 6.12.117) written down a second time, as text.

import Inventory
import PCI
import Testing

@testable import Grouping

@Suite("The tables of known devices", .timeLimit(.minutes(15)))
struct QuirkTableTests {
    /// Vendor and device ID in one number.
    typealias ID = UInt32

    /// `8086: 10c6 150e-1511; 19a2: 0710`, of hexadecimal device IDs and ranges.
    private func ids(_ text: String) -> Set<ID> {
        var found = Set<ID>()
        for part in text.split(separator: ";") {
            let words = part.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\n" })
            guard let vendor = ID(words[0], radix: 16) else { continue }
            for word in words.dropFirst() {
                let ends = word.split(separator: "-").compactMap { ID($0, radix: 16) }
                guard let first = ends.first, let last = ends.last else { continue }
                for device in first...last { found.insert(vendor << 16 | device) }
            }
        }
        return found
    }

    /// These, those before and behind them, and those of vendors that nobody knows.
    private func around(_ known: Set<ID>) -> Set<ID> {
        Set(known.flatMap { id in [id, id &- 1, id &+ 1, id &+ 0x10, id &- 0x10, 0x1af4_0000 | id & 0xffff] })
    }

    private func identification(_ id: ID) -> PCIFunction.Identification {
        .init(vendorID: UInt16(id >> 16), deviceID: UInt16(truncatingIfNeeded: id))
    }

    private func verdict(
        _ id: ID, _ kind: PCIExpress.Kind?, multifunction: Bool = true, isOnRootBus: Bool = true, hasIVRS: Bool = true
    ) -> AccessControlVerdict? {
        AccessControlQuestion(
            identification: identification(id), kind: kind.map { .present($0) } ?? .absent,
            multifunction: .present(multifunction), isVirtual: false, isOnRootBus: isOnRootBus,
            services: .present(.init(capability: 0x1d, control: 0x1d)), invalidBusNumberCheck: .absent,
            assumesSwitchedOn: false, hasIVRS: hasIVRS
        ).quirk
    }

    /// Those of whatever kind they are.
    private var vouched: Set<ID> {
        ids(
            """
            1924: 0903 0923 0a03; 19a2: 0710; 10df: 0720; 177d: a026 a059 a060;
            14e4: 16d7 1750 1751 1752 1760 1761 1762 1763 d714; 1d17: 3038 3104 9083;
            8086: 10c6 10db 10dd 10e1 10f1 10f7 10f8 10f9 10fa 10fb 10fc 1507 1514 151c 1529 152a 154d 154f 1551 1558 1509
            150e 150f 1510 1511 1516 1527 10c9 10e6 10e7 10e8 150a 150d 1518 1526 10a7 10a9 10d6 1521 1522 1523 1524 105e
            105f 1060 10d9 15b7 15b8;
            17cb: 0400 0401 0115 0111 0120; 1dbf: 0401; 10e8: e004; 1def: e005-e00c;
            0014: 3c09 3c19 3c29 7a09 7a19 7a29 7a39 7a49 7a59 7a69;
            1957: 8d80-8d83 8d88-8d8b 8d90-8d93 8d98-8d9b 8da0 8da1 8da8 8da9 8db0 8db1 8db8 8db9;
            8088: 0100-010f 1001 2001 5010 5025 5040 5110 5125 5140
            """)
    }

    @Test("those that isolate whatever they are, and no others") func whateverTheyAre() {
        let others: Set<UInt16> = [0x8088]
        for id in around(vouched) {
            let got = verdict(id, .endpoint, multifunction: false, isOnRootBus: false)
            let wanted: AccessControlVerdict? =
                vouched.contains(id)
                ? .isolating(.quirk) : others.contains(UInt16(id >> 16)) ? .notIsolating(.quirk) : nil
            #expect(got == wanted, "\(hexadecimal(id, width: 8))")
        }
    }

    @Test("those that isolate as root ports alone") func rootPorts() {
        let ports = ids("177d: a000-a7ff af84 b884; 1c36: 0031")
        for id in around(ports).subtracting(vouched) {
            #expect(
                verdict(id, .rootPort) == (ports.contains(id) ? .isolating(.quirk) : nil),
                "\(hexadecimal(id, width: 8))")
            for kind in [PCIExpress.Kind.downstreamPort, .endpoint, .upstreamPort] {
                #expect(verdict(id, kind) == nil, "\(hexadecimal(id, width: 8))")
            }
        }
    }

    @Test("Zhaoxin's ports: some isolate, all others do not, whatever their ACS says") func zhaoxin() {
        let ports = ids("1d17: 0710-071e 0721 0723-0752")
        for id in around(ports).subtracting(vouched) where id >> 16 == 0x1d17 {
            let wanted: AccessControlVerdict = ports.contains(id) ? .isolating(.quirk) : .notIsolating(.quirk)
            #expect(verdict(id, .rootPort) == wanted && verdict(id, .downstreamPort) == wanted)
            #expect(verdict(id, .endpoint) == nil && verdict(id, nil) == nil)
        }
    }

    @Test("AMD's south bridge: several functions on the root bus beside AMD's IOMMU") func southBridge() {
        let bridges = ids("1002: 4385 439c 4383 439d 4384 4399; 1022: 780f 7809")
        for id in around(bridges) {
            #expect(
                verdict(id, nil) == (bridges.contains(id) ? .isolating(.quirk) : nil), "\(hexadecimal(id, width: 8))")
            #expect(verdict(id, nil, multifunction: false) == nil)
            #expect(verdict(id, nil, isOnRootBus: false) == nil)
            #expect(verdict(id, nil, hasIVRS: false) == nil)
        }
    }

    @Test("Intel's endpoints of the root complex, all of them, and nobody else's") func rootComplex() {
        for device in stride(from: ID(0), through: 0xffff, by: 0x101) {
            #expect(verdict(0x8086_0000 | device, .rootComplexEndpoint) == .isolating(.quirk))
            #expect(verdict(0x1022_0000 | device, .rootComplexEndpoint, isOnRootBus: false) == nil)
        }
    }

    private func mask(_ id: ID, at text: String, subsystem: ID? = nil) -> Set<UInt8>? {
        guard let address = PCIAddress(text) else { return nil }
        var identification = identification(id)
        if let subsystem {
            identification.subsystemVendorID = UInt16(subsystem >> 16)
            identification.subsystemDeviceID = UInt16(truncatingIfNeeded: subsystem)
        }
        let mask = AliasMask(identification, at: address)
        return Set((0...UInt8.max).filter { mask.contains($0) == true })
    }

    @Test("those that use the requester ID of another function of their slot") func foreignFunctions() {
        let zero = ids("1180: e832 e476; 6766: 3d40 3d41")
        let one = ids(
            """
            1b4b: 9120 9123 9125 9128 9130 9170 9172 917a 9182 9183 91a0 9215 9220 9230 9235; 1103: 0642 0645;
            197b: 2392; 1c28: 0122
            """)
        for id in around(zero.union(one)) {
            let first: Set<UInt8> = zero.contains(id) ? [3 << 3] : []
            let second: Set<UInt8> = one.contains(id) ? [3 << 3 | 1] : []
            #expect(mask(id, at: "0000:05:03.0") == second, "\(hexadecimal(id, width: 8))")
            #expect(mask(id, at: "0000:05:03.1") == first, "\(hexadecimal(id, width: 8))")
            #expect(mask(id, at: "0000:05:03.2") == first.union(second), "\(hexadecimal(id, width: 8))")
        }
    }

    @Test("those that use requester IDs of other slots") func foreignSlots() {
        let adaptec: ID = 0x9005_0285
        #expect(mask(adaptec, at: "0000:05:03.0", subsystem: 0x9005_02bb) == [1 << 3])
        #expect(mask(adaptec, at: "0000:05:03.0", subsystem: 0x9005_02bc) == [1 << 3])
        for subsystem: ID? in [nil, 0x9005_02ba, 0x9005_02bd, 0x8086_02bb] {
            #expect(mask(adaptec, at: "0000:05:03.0", subsystem: subsystem) == [])
        }
        let (mic, plx) = (ids("8086: 2260 2264"), ids("10b5: 87b0 87b1"))
        let vca = ids("8086: 2954 2955 2956 2958 2959 295a")
        let functions = (0...0x1f).flatMap { slot in (0...4).map { UInt8(slot << 3 | $0) } }
        for id in around(mic.union(vca).union(plx)) {
            let wanted: Set<UInt8> =
                mic.contains(id)
                ? [0x10 << 3, 0x11 << 3, 0x12 << 3 | 3]
                : vca.contains(id) ? Set(functions) : plx.contains(id) ? Set(0...UInt8.max) : []
            #expect(mask(id, at: "0000:05:00.0") == wanted, "\(hexadecimal(id, width: 8))")
        }
    }

    @Test("those whose requester IDs only their driver knows") func unknownIDs() throws {
        let address = try #require(PCIAddress("0000:05:00.0"))
        let bridge = ClassCode(rawValue: 0x068000)
        for id in ids("11f8: 0000 8531 ffff; 1055: 1001-1006").union(ids("1055: 1000 1007; 11f7: 8531")) {
            var identification = identification(id)
            identification.classCode = bridge
            let isKnown = id >> 16 == 0x11f8 || (0x1055_1001...0x1055_1006).contains(id)
            #expect(AliasMask(identification, at: address) == (isKnown ? .unknown : .none))
            identification.classCode = ClassCode(rawValue: 0x060400)
            #expect(AliasMask(identification, at: address) == .none)
        }
    }

    @Test("bridges that hide what they are, and those that the IOMMU sits in") func bridges() {
        let hidden = ids("1b21: 1080; 10e3: 8113; 1283: 8892 8893; 8086: 244e")
        let roots = ids("14e4: 9000 9084")
        for id in around(hidden.union(roots)) {
            func effect(_ kind: Reading<PCIExpress.Kind?>, below parent: Reading<PCIExpress.Kind?>?) -> BridgeEffect {
                BridgeEffect(identification(id), kind: kind, parent: parent)
            }
            let isRoot = roots.contains(id)
            let plain: BridgeEffect = isRoot ? .translationRoot : .alias(.conventional)
            #expect(effect(.absent, below: .present(.rootPort)) == (hidden.contains(id) ? .alias(.hidden) : plain))
            #expect(effect(.absent, below: nil) == plain)
            #expect(effect(.absent, below: .present(.pcieToPCIBridge)) == plain)
            #expect(effect(.absent, below: .absent) == plain)
            #expect(effect(.present(.rootPort), below: nil) == (isRoot ? .translationRoot : .transparent))
        }
    }
}
