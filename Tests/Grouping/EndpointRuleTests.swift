// The rules for PEs, worked out by hand on machines made up for it.

import EventLoop
import Inventory
import LinuxHost
import PCI
import Testing
import TestSupport

@testable import Grouping

@Suite("The rules for partitionable endpoints", .timeLimit(.minutes(15)))
struct EndpointRuleTests {
    init() throws { try EventLoop.main.runInBackground() }

    @LoopActor private func grouping(_ root: String) async throws -> Grouping {
        Grouping(try await LinuxHost(root: root).readInventory(), policy: .auto)
    }

    @Test("P7IOC: one PE a bus, upwards from 1 in one walk, and one for all behind a PCIe-to-PCI-X bridge")
    @LoopActor func p7ioc() async throws {
        let machine = p7iocMachine()
        let grouping = try await grouping(machine.root)
        #expect(grouping.choices.values.map(\.backend) == [.partitionableEndpoint])
        // By hand, from the rules of 3.6 to 4.4. PE 0 is taken. The walk begins at the root bus.
        let steps: [(pe: Int, devices: [String])] = [
            // Bus 00 gets the first free number. All its functions are in it: three bridges.
            (1, ["0001:00:00.0", "0001:00:01.0", "0001:00:02.0"]),
            // Its first bridge, the root port 00.0, is of type 4: its bus 01 gets a PE and is walked.
            (2, ["0001:01:00.0"]),
            // The upstream port's bus 02: three downstream ports.
            (3, ["0001:02:00.0", "0001:02:01.0", "0001:02:02.0"]),
            // The first downstream port's bus 03: a card with two functions.
            (4, ["0001:03:00.0", "0001:03:00.1"]),
            // The second one's bus 04 has no device. It gets a PE all the same: number 5 is gone.
            (5, []),
            // The third one's bus 05: the PCIe-to-PCI-X bridge itself.
            (6, ["0001:05:00.0"]),
            // That bridge is of type 7: one PE for its buses 06 to 07, the conventional bridge among them, and no walk.
            (7, ["0001:06:01.0", "0001:06:02.0", "0001:06:03.0", "0001:07:01.0"]),
            // Back on bus 00, its second bridge is of type 7: one PE for bus 08.
            (8, ["0001:08:00.0"]),
            // Its third bridge, a root port: bus 09.
            (9, ["0001:09:00.0"]),
        ]
        for (number, devices) in steps {
            #expect(
                Set(grouping.endpoints.filter { $0.value == number }.map(\.key.name)) == Set(devices), "PE \(number)")
        }
        #expect(grouping.endpoints.count == 16)
        // Groups are the PEs with a device that is no bridge; bridges of such a PE belong to it.
        #expect(
            Set(grouping.groups.map { Set($0.members.map(\.name)) })
                == Set(
                    steps.filter { [4, 7, 8, 9].contains($0.pe) }.map { Set($0.devices) }))
        #expect(grouping.ungrouped.count == 8)
    }

    @Test("one machine may have host bridges with and without endpoints, each with its own backend")
    @LoopActor func mixed() async throws {
        let machine = p7iocMachine()
        machine.add("0002:00:00.0", below: "pci0002:00", classCode: 0x060400)
        machine.add("0002:01:00.0", below: "0002:00:00.0")
        let grouping = try await grouping(machine.root)
        #expect(grouping.choices[HostBridgeID(domain: 1, bus: 0)]?.backend == .partitionableEndpoint)
        #expect(grouping.choices[HostBridgeID(domain: 2, bus: 0)]?.backend == .hostBridge)
        #expect(grouping.groups.last?.id.text == "pci0002-00")
        #expect(grouping.groups.last?.members.count == 2)
        #expect(grouping.groups.count == 5)
    }

    /// A PHB with 16 PEs of which the firmware keeps 15, and a window of 16 segments of 1 MiB from 16 MiB on.
    private func ioda(
        _ devices: [Device], reserved: Int = 15, window: M64Window? = M64Window(start: 16 << 20, size: 16 << 20)
    ) -> EndpointDerivation? {
        EndpointDerivation.of(
            devices,
            below: HostBridge(
                id: HostBridgeID(domain: 0, bus: 0),
                partitioning: .ioda(EndpointNumbers(count: 16, reserved: reserved, window: window))))
    }

    private func device(
        _ address: String, below parent: String? = nil, memory: (start: UInt64, size: UInt64)? = nil,
        buses: ClosedRange<UInt8>? = nil, kind: PCIExpress.Kind = .endpoint
    ) -> Device {
        var device = pciDevice(address, parent: parent, isBridge: buses != nil)
        guard var function = device.pci else { return device }
        if let buses {
            function.capabilities.header = .present(
                Header(
                    layout: .bridge(primary: 0, secondary: buses.lowerBound, subordinate: buses.upperBound),
                    isMultifunction: false))
        }
        function.capabilities.express = .present(
            PCIExpress(kind: kind, ariForwardingSupported: false, ariForwardingEnabled: false))
        function.resources =
            memory.map { [Resource(start: $0.start, last: $0.start + $0.size - 1, flags: 0x14_220c)] } ?? []
        device.kind = .pci(function)
        return device
    }

    private func numbers(_ derivation: EndpointDerivation?) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: (derivation?.endpoints ?? [:]).map { ($0.key.name, $0.value) })
    }

    @Test("numbers count down from the top, beside the reserved one and the root's")
    func countingDown() {
        let devices = [
            device("0000:00:00.0", buses: 1...1, kind: .rootPort), device("0000:01:00.0", below: "0000:00:00.0"),
            device("0000:00:01.0", buses: 2...2, kind: .rootPort), device("0000:02:00.0", below: "0000:00:01.0"),
        ]
        #expect(
            numbers(ioda(devices)) == [
                "0000:00:00.0": 14, "0000:00:01.0": 14, "0000:01:00.0": 13, "0000:02:00.0": 12,
            ])
        // The firmware keeps the first: the root has the second.
        #expect(numbers(ioda(devices, reserved: 0))["0000:00:00.0"] == 1)
        #expect(numbers(ioda(devices, reserved: 0))["0000:01:00.0"] == 15)
        // Neither the first nor the last: none is set aside for the root.
        #expect(numbers(ioda(devices, reserved: 7))["0000:00:00.0"] == 15)
    }

    @Test("segments of the 64-bit window are numbers: the lowest is the master, the others are gone")
    func window() {
        let devices = [
            device("0000:00:00.0", buses: 1...1, kind: .rootPort),
            device("0000:01:00.0", below: "0000:00:00.0", memory: (start: (16 + 12) << 20, size: 2 << 20)),
            device("0000:00:01.0", buses: 2...2, kind: .rootPort), device("0000:02:00.0", below: "0000:00:01.0"),
        ]
        // Segments 12 and 13; the next number from the top is not 13 but 11.
        #expect(
            numbers(ioda(devices)) == [
                "0000:00:00.0": 14, "0000:00:01.0": 14, "0000:01:00.0": 12, "0000:02:00.0": 11,
            ])
    }

    @Test("behind a PCIe-to-PCI bridge one PE covers all buses, and a bridge before the endpoints is in no group")
    func busAll() {
        let devices = [
            device("0000:00:00.0", buses: 1...3, kind: .rootPort),
            device("0000:01:00.0", below: "0000:00:00.0", buses: 2...3, kind: .pcieToPCIBridge),
            device("0000:02:01.0", below: "0000:01:00.0", buses: 3...3, kind: .upstreamPort),
            device("0000:02:02.0", below: "0000:01:00.0"), device("0000:03:00.0", below: "0000:02:01.0"),
        ]
        let derivation = ioda(devices)
        #expect(numbers(derivation)["0000:02:01.0"] == 12)
        #expect(numbers(derivation)["0000:03:00.0"] == 12)
        #expect(derivation?.cells.map { $0.devices.map(\.name) } == [["0000:02:02.0", "0000:03:00.0"]])
    }

    @Test("virtual functions get the highest run of free numbers, one PE and one group each")
    func virtualFunctions() {
        var devices = [
            device("0000:00:00.0", buses: 1...1, kind: .rootPort), device("0000:01:00.0", below: "0000:00:00.0"),
            device("0000:00:01.0", buses: 2...2, kind: .rootPort),
            // Segment 10 is in the way of the run from 9.
            device("0000:02:00.0", below: "0000:00:01.0", memory: (start: (16 + 10) << 20, size: 1 << 20)),
        ]
        for number in 0..<3 {
            devices.append(
                pciDevice("0000:01:00.\(number + 1)", parent: "0000:00:00.0", virtual: ("0000:01:00.0", number)))
        }
        let derivation = ioda(devices)
        #expect((1...3).map { numbers(derivation)["0000:01:00.\($0)"] } == [7, 8, 9])
        #expect(derivation?.cells.count == 5)
    }

    @Test("when all numbers are taken, devices have none and are still grouped")
    func exhausted() {
        var devices: [Device] = []
        for port in 0..<20 {
            let name = "0000:00:\(hexadecimal(UInt8(port), width: 2)).0"
            let bus = UInt8(port + 1)
            devices.append(device(name, buses: bus...bus, kind: .rootPort))
            devices.append(device("0000:\(hexadecimal(bus, width: 2)):00.0", below: name))
        }
        let derivation = ioda(devices)
        #expect(derivation?.cells.count == 20)
        #expect(numbers(derivation).count == 20 + 14)
    }

    @Test("where rules and platform differ, the platform is believed and the difference told")
    func crossCheck() throws {
        var stray = device("0000:00:00.0")
        guard var function = stray.pci else { return }
        function.partitionableEndpoint = 3
        stray.kind = .pci(function)
        let bridge = HostBridge(
            id: HostBridgeID(domain: 0, bus: 0),
            partitioning: .ioda(EndpointNumbers(count: 16, reserved: 15, window: nil)))
        let grouping = Grouping(Inventory(hostBridges: [bridge], devices: [stray]), policy: .auto)
        #expect(grouping.endpoints[stray.address] == 3)
        #expect(grouping.warnings.count == 1)
        #expect(grouping.warnings.first?.message.contains("derive PE 0xe") == true)
    }

    @Test(
        "group names of POWER tell the PE: the domain is decimal, the PE hexadecimal",
        arguments: [
            ("domain11-pefd", 0xfd), ("domain0-pe0", 0), ("domainb-pe0", nil), ("domain1-pe", nil),
            ("vfio-noiommu", nil),
            (nil, nil),
        ] as [(String?, Int?)])
    func groupNames(name: String?, number: Int?) {
        #expect(KernelGroup(number: 0, name: name).partitionableEndpoint == number)
    }
}
