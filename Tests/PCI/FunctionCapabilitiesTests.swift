import PCI
import Testing
import TestSupport

@Suite("What a configuration space says")
struct FunctionCapabilitiesTests {
    private func read(_ config: [UInt8]) -> (FunctionCapabilities, [ConfigWarning]) {
        var warnings: [ConfigWarning] = []
        let capabilities = FunctionCapabilities(ConfigSpace(config), warnings: &warnings)
        return (capabilities, warnings)
    }

    private func downstreamPort() -> ConfigBuilder {
        var config = ConfigBuilder(headerType: 1)
        config.bytes[0x19] = 5
        config.bytes[0x1a] = 7
        config.capabilityList(at: 0x40)
        config.express(at: 0x40, type: 6, ariForwarding: true)
        config.acs(at: 0x100, capability: 0x1f, control: 0x1d)
        return config
    }

    @Test("a switch port shows its buses, type, ARI forwarding and ACS")
    func switchPort() {
        let (capabilities, warnings) = read(downstreamPort().bytes)
        #expect(capabilities.header.value?.busesBelow?.secondary == 5)
        #expect(capabilities.header.value?.busesBelow?.subordinate == 7)
        #expect(capabilities.express.value?.kind == .downstreamPort)
        #expect(capabilities.express.value?.ariForwardingEnabled == true)
        #expect(capabilities.acs == .present(AccessControlServices(capability: 0x1f, control: 0x1d)))
        #expect(capabilities.sriov == .absent)
        #expect(warnings.isEmpty)
    }

    @Test("SR-IOV tells how many VFs there can be and are")
    func sriov() {
        var config = ConfigBuilder()
        config.capabilityList(at: 0x40)
        config.express(at: 0x40, type: 0)
        config.extended(0x10, at: 0x100)
        config.word(0x108, 0x0011)
        config.word(0x10e, 8)
        config.word(0x110, 2)
        config.word(0x114, 1)
        config.word(0x116, 1)
        config.word(0x11a, 0x1520)
        let sriov = read(config.bytes).0.sriov.value
        #expect(sriov?.isEnabled == true)
        #expect(sriov?.ariCapableHierarchy == true)
        #expect(sriov?.totalVFs == 8)
        #expect(sriov?.numberOfVFs == 2)
        #expect(sriov?.vfDeviceID == 0x1520)
    }

    @Test("64 readable bytes leave type and ACS unknown, not missing")
    func headerOnly() {
        let (capabilities, warnings) = read(Array(downstreamPort().bytes.prefix(64)))
        #expect(capabilities.header.value?.isBridge == true)
        #expect(capabilities.express == .unknown(.headerOnly))
        #expect(capabilities.acs == .unknown(.headerOnly))
        #expect(warnings.isEmpty)
    }

    @Test("64 readable bytes of a device without capabilities are enough to say so")
    func headerOnlyConventional() {
        let capabilities = read(ConfigBuilder(size: 64).bytes).0
        #expect(capabilities.express == .absent)
        #expect(capabilities.acs == .absent)
    }

    @Test("256 readable bytes of a PCI Express function leave ACS unknown")
    func noExtendedConfig() {
        let capabilities = read(Array(downstreamPort().bytes.prefix(256))).0
        #expect(capabilities.express.value?.kind == .downstreamPort)
        #expect(capabilities.acs == .unknown(.noExtendedConfig))
    }

    @Test("Intel's 100 and 200 series root ports have their ACS control register at +8")
    func wideAccessControl() {
        func control(_ device: UInt16, type: UInt8) -> UInt16? {
            var config = ConfigBuilder(headerType: 1)
            config.word(0x00, 0x8086)
            config.word(0x02, device)
            config.capabilityList(at: 0x40)
            config.express(at: 0x40, type: type)
            config.acs(at: 0x100, capability: 0x1d, control: 0)
            config.doubleWord(0x108, 0x1d)
            return read(config.bytes).0.acs.value?.control
        }
        for device in [0xa110, 0xa11f, 0xa16a, 0xa290, 0xa2ee, 0x9d1b] as [UInt16] {
            #expect(control(device, type: 4) == 0x1d)
        }
        #expect(control(0xa120, type: 4) == 0)
        #expect(control(0xa110, type: 0) == 0)
    }

    @Test("older chipset root ports isolate by a register of their own, which only they have")
    func invalidBusNumberCheck() {
        func reading(_ device: UInt16, type: UInt8 = 4, register: UInt32 = 1 << 26, size: Int = 256) -> Reading<Bool> {
            var config = ConfigBuilder(size: 256, headerType: 1)
            config.word(0x00, 0x8086)
            config.word(0x02, device)
            config.capabilityList(at: 0x40)
            config.express(at: 0x40, type: type)
            config.doubleWord(0xd8, register)
            return read(Array(config.bytes.prefix(size))).0.invalidBusNumberCheck
        }
        for device in [0x3b42, 0x1c1f, 0x1e10, 0x8c10, 0x9c1b, 0x9c90, 0x1d1e, 0x8d11, 0x8c9e] as [UInt16] {
            #expect(reading(device) == .present(true))
        }
        #expect(reading(0x8c10, register: ~(1 << 26)) == .present(false))
        #expect(reading(0x8c10, size: 64) == .unknown(.headerOnly))
        #expect(reading(0x8c10, type: 0) == .absent)
        #expect(reading(0x1d11) == .absent)
        #expect(reading(0xa338) == .absent)
    }

    @Test("256 bytes of a conventional device have no ACS")
    func conventional() {
        let capabilities = read(ConfigBuilder(size: 256).bytes).0
        #expect(capabilities.express == .absent)
        #expect(capabilities.acs == .absent)
    }

    @Test("no config file leaves everything unknown")
    func noConfig() {
        let (capabilities, warnings) = read([])
        #expect(capabilities == FunctionCapabilities(unknown: .noConfig))
        #expect(warnings.isEmpty)
    }

    @Test("a device that answers with ones is unknown and warned about")
    func allOnes() {
        let (capabilities, warnings) = read([UInt8](repeating: 0xff, count: 4096))
        #expect(capabilities == FunctionCapabilities(unknown: .notResponding))
        #expect(warnings.map(\.offset) == [0])
    }

    @Test("a virtual function's ones in vendor and device ID are no sign of a dead device")
    func virtualFunction() {
        var config = ConfigBuilder()
        config.doubleWord(0, 0xffff_ffff)
        config.capabilityList(at: 0x40)
        config.express(at: 0x40, type: 0)
        #expect(read(config.bytes).0.express.value?.kind == .endpoint)
    }

    @Test("a capability list that loops ends with a warning at the place")
    func loop() {
        var config = ConfigBuilder()
        config.capabilityList(at: 0x40)
        config.bytes[0x40] = 0x01
        config.bytes[0x41] = 0x50
        config.bytes[0x50] = 0x05
        config.bytes[0x51] = 0x40
        let (capabilities, warnings) = read(config.bytes)
        #expect(capabilities.express == .unknown(.malformed))
        #expect(warnings == [ConfigWarning(offset: 0x40, message: "capability list loops")])
    }

    @Test("what was found before a loop counts")
    func beforeLoop() {
        var config = downstreamPort()
        config.bytes[0x41] = 0x40
        let (capabilities, warnings) = read(config.bytes)
        #expect(capabilities.express.value?.kind == .downstreamPort)
        #expect(capabilities.acs.value != nil)
        #expect(warnings.map(\.offset) == [0x40])
    }

    @Test("an extended list that loops leaves what was not found unknown")
    func extendedLoop() {
        var config = downstreamPort()
        config.acs(at: 0x100, capability: 0x1f, control: 0x1d, next: 0x100)
        let (capabilities, warnings) = read(config.bytes)
        #expect(capabilities.acs.value != nil)
        #expect(capabilities.sriov == .unknown(.malformed))
        #expect(warnings.map(\.offset) == [0x100])
    }

    @Test("an extended pointer into the standard space is nonsense")
    func pointerBelow() {
        var config = downstreamPort()
        config.extended(0x01, at: 0x100, next: 0x40)
        let (capabilities, warnings) = read(config.bytes)
        #expect(capabilities.acs == .unknown(.malformed))
        #expect(warnings.map(\.offset) == [0x100])
    }

    @Test("a null first extended capability that points on is legal")
    func nullFirst() {
        var config = downstreamPort()
        config.extended(0, at: 0x100, next: 0x140)
        config.acs(at: 0x140, capability: 0x1d, control: 0)
        let (capabilities, warnings) = read(config.bytes)
        #expect(capabilities.acs.value?.capability == 0x1d)
        #expect(warnings.isEmpty)
    }

    @Test("a config that ends inside the extended list is warned about where it ends")
    func cutOff() {
        var config = downstreamPort()
        config.extended(0x01, at: 0x100, next: 0x800)
        let (capabilities, warnings) = read(Array(config.bytes.prefix(0x400)))
        #expect(capabilities.acs == .unknown(.malformed))
        #expect(warnings.map(\.offset) == [0x800])
    }

    @Test("a header that is cut off is warned about")
    func shortHeader() {
        let (capabilities, warnings) = read(Array(downstreamPort().bytes.prefix(20)))
        #expect(capabilities.header == .unknown(.malformed))
        #expect(warnings.contains { $0.offset == 20 })
    }

    @Test("a header type that does not exist is warned about")
    func headerType() {
        let (capabilities, warnings) = read(ConfigBuilder(headerType: 0x13).bytes)
        #expect(capabilities.header == .unknown(.malformed))
        #expect(warnings.contains { $0.offset == 0x0e })
    }

    @Test("no bytes whatever make it trap")
    func anyBytes() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let length = [0, 1, 15, 63, 64, 65, 255, 256, 257, 300, 4095, 4096, 5000].randomElement(using: &generator)
            var bytes = (0..<(length ?? 0)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if bytes.count > 0x0e { bytes[0x0e] &= 0x83 }
            if bytes.count > 6 { bytes[6] |= 0x10 }
            _ = read(bytes)
        }
    }
}

@Suite("Serial numbers", .timeLimit(.minutes(15)))
struct SerialNumberTests {
    @Test("are written as lspci writes them, and are none where the space ends or has none")
    func serialNumber() {
        var config = ConfigBuilder()
        config.extended(0x03, at: 0x100)
        config.doubleWord(0x104, 0xffa5_b6c7)
        config.doubleWord(0x108, 0x001b_21ff)
        #expect(ConfigSpace(config.bytes).serialNumber == "00-1b-21-ff-ff-a5-b6-c7")
        #expect(ConfigSpace(Array(config.bytes[..<0x10a])).serialNumber == nil)
        #expect(ConfigSpace(ConfigBuilder().bytes).serialNumber == nil)
        #expect(ConfigSpace([]).serialNumber == nil)
        #expect(ConfigSpace([UInt8](repeating: 0xff, count: 4096)).serialNumber == nil)
    }
}
