// Devices that the kernel knows by name: foreign requester IDs, and isolation beside or against what registers say.

import Inventory
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("The rules for known devices", .timeLimit(.minutes(15)))
struct PredictionQuirkTests {
    private func predict(_ devices: Device...) -> Prediction { Prediction(machine(isolated(devices))) }

    private func groups(_ prediction: Prediction) -> [String] {
        prediction.groups.filter { $0.count > 1 }.map { $0.map { String($0.name.dropFirst(5)) }.joined(separator: " ") }
    }

    /// Two functions of a slot, each alone by its ACS, so that only requester IDs can bring them together.
    private func pair(_ first: UInt32, _ second: UInt32) -> Prediction {
        predict(
            function("0000:00:04.0", .rootComplexEndpoint, acs: (0, 0), multifunction: true, id: first),
            function("0000:00:04.1", .rootComplexEndpoint, acs: (0, 0), id: second))
    }

    @Test("a function that uses another's requester ID is in that one's group")
    func aliases() throws {
        let ricoh = pair(0x1180_0476, 0x1180_e832)
        #expect(groups(ricoh) == ["00:04.0 00:04.1"])
        guard case .aliasQuirk? = ricoh.edges.first?.reason else {
            Issue.record("\(ricoh.edges)")
            return
        }
        #expect(groups(pair(0x1b4b_9230, 0x1b4b_91a4)) == ["00:04.0 00:04.1"])
        // Function 0 is not told to use function 0, nor 1 to use 1.
        #expect(groups(pair(0x1180_e832, 0x1af4_1000)) == [])
        #expect(groups(pair(0x1af4_1000, 0x1b4b_9230)) == [])
    }

    @Test("a phantom function brings nobody together, a real one in its place does") func phantoms() {
        let alone = predict(function("0000:00:05.0", .endpoint, id: 0x1b4b_9123), function("0000:00:06.0", .endpoint))
        #expect(groups(alone) == [])
        let mic = predict(
            function("0000:00:05.0", .endpoint, id: 0x8086_2260), function("0000:00:12.3", .endpoint, acs: (0, 0)),
            function("0000:00:12.4", .endpoint, acs: (0, 0)))
        #expect(groups(mic) == ["00:05.0 00:12.3"])
        let plx = predict(
            function("0000:00:05.0", .endpoint, id: 0x10b5_87b0), function("0000:00:12.0", .endpoint),
            function("0000:00:13.0", .endpoint))
        #expect(groups(plx) == ["00:05.0 00:12.0 00:13.0"])
    }

    @Test("an Adaptec card uses a foreign ID by its subsystem alone") func subsystem() {
        func card(_ subsystem: UInt16) -> Prediction {
            var card = function("0000:00:05.0", .endpoint, id: 0x9005_0285)
            if var pci = card.pci {
                pci.identification.subsystemVendorID = 0x9005
                pci.identification.subsystemDeviceID = subsystem
                card.kind = .pci(pci)
            }
            return predict(card, function("0000:00:01.0", .endpoint))
        }
        #expect(groups(card(0x02bb)) == ["00:01.0 00:05.0"])
        #expect(groups(card(0x02bd)) == [])
    }

    @Test("where only a driver reads the table of IDs, the group is unknown, not split") func unknownAliases() {
        let prediction = predict(
            function("0000:00:05.0", .endpoint, id: 0x11f8_8531, classCode: 0x068000),
            function("0000:00:06.0", .endpoint))
        #expect(groups(prediction) == ["00:05.0 00:06.0"])
        #expect(prediction.edges.allSatisfy { !$0.isCertain })
    }

    @Test("behind Intel VMD everything bears the VMD's requester ID, across host bridges") func vmd() throws {
        let vmd = try #require(PCIAddress("0000:00:0e.0"))
        let devices = isolated([
            function("0000:00:0e.0", .rootComplexEndpoint, id: 0x8086_467f),
            function("10000:00:01.0", .rootPort, acs: isolating),
            function("10000:01:00.0", .endpoint, below: "10000:00:01.0"), function("0000:00:02.0", .endpoint),
        ])
        let inventory = Inventory(
            hostBridges: [
                HostBridge(id: HostBridgeID(domain: 0, bus: 0)),
                HostBridge(id: HostBridgeID(domain: 0x10000, bus: 0), parent: vmd),
            ], devices: devices, kernelGroups: devices.compactMap(\.kernelGroup).map { KernelGroup(number: $0) })
        let prediction = Prediction(inventory)
        #expect(prediction.groups.map(\.count) == [1, 3])
        #expect(prediction.edges.map(\.reason) == [.sharedRequester, .sharedRequester])
    }

    @Test(
        "a vendor's word counts where registers say nothing",
        arguments: [0x8086_1521, 0x1924_0903, 0x14e4_1750, 0x1d17_3038, 0x8088_1001] as [UInt32])
    func vouched(id: UInt32) {
        func card(_ id: UInt32) -> Prediction {
            predict(
                function("0000:00:01.0", .rootPort, acs: isolating),
                function("0000:01:00.0", .endpoint, below: "0000:00:01.0", multifunction: true, id: id),
                function("0000:01:00.1", .endpoint, below: "0000:00:01.0", id: id))
        }
        #expect(groups(card(id)) == [])
        #expect(groups(card(0x1af4_1000)) == ["01:00.0 01:00.1"])
    }

    @Test(
        "root ports that isolate without ACS, and those that do not in spite of it",
        arguments: [
            (0x17cb_0400, nil, true), (0x1def_e005, nil, true), (0x1def_e00d, nil, false), (0x177d_a123, nil, true),
            (0x177d_b000, nil, false), (0x1c36_0031, nil, true), (0x0014_7a29, nil, true), (0x1957_8d90, nil, true),
            (0x1d17_0710, nil, true), (0x1d17_0722, isolating, false), (0x8086_1901, nil, false),
        ] as [(UInt32, Services?, Bool)])
    func rootPorts(id: UInt32, acs: Services?, isolates: Bool) {
        let prediction = predict(
            function("0000:00:01.0", .rootPort, acs: acs, id: id),
            function("0000:01:00.0", .endpoint, below: "0000:00:01.0"))
        #expect(groups(prediction).isEmpty == isolates)
    }

    @Test("a chipset root port without ACS isolates where the kernel told it to") func chipsetPorts() {
        func behind(_ reading: Reading<Bool>) -> Prediction {
            var port = function("0000:00:1c.0", .rootPort, id: 0x8086_8c10)
            if var pci = port.pci {
                pci.capabilities.invalidBusNumberCheck = reading
                port.kind = .pci(pci)
            }
            return predict(port, function("0000:02:00.0", .endpoint, below: "0000:00:1c.0"))
        }
        #expect(groups(behind(.present(true))) == [])
        #expect(groups(behind(.present(false))) == ["00:1c.0 02:00.0"])
        let unknown = behind(.unknown(.headerOnly))
        #expect(groups(unknown) == ["00:1c.0 02:00.0"])
        #expect(unknown.edges.allSatisfy { !$0.isCertain })
    }

    @Test("Intel's endpoints of the root complex isolate, other vendors' need ACS") func rootComplexEndpoints() {
        #expect(groups(pairWithoutServices(0x8086_7ae0)) == [])
        #expect(groups(pairWithoutServices(0x1022_1480)) == ["00:04.0 00:04.1"])
    }

    private func pairWithoutServices(_ id: UInt32) -> Prediction {
        predict(
            function("0000:00:04.0", .rootComplexEndpoint, multifunction: true, id: id),
            function("0000:00:04.1", .rootComplexEndpoint, id: id))
    }

    @Test("AMD's south bridge isolates on the root bus where AMD's IOMMU is") func southBridge() {
        func board(_ others: Device...) -> Prediction {
            Prediction(
                machine(
                    isolated(
                        [
                            function("0000:00:14.0", nil, multifunction: true, id: 0x1002_4385),
                            function("0000:00:14.2", nil, multifunction: true, id: 0x1002_4383),
                            function("0000:00:14.3", nil, multifunction: true, id: 0x1022_790e),
                        ] + others)))
        }
        let iommu = function("0000:00:00.2", nil, id: 0x1022_1481, classCode: 0x080600)
        #expect(groups(board(iommu)) == [])
        #expect(groups(board()) == ["00:14.0 00:14.2 00:14.3"])
    }
}
