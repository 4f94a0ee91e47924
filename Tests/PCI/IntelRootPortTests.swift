// Intel's chipset root ports, each by its ID, and their neighbours, which are none.

import PCI
import Testing
import TestSupport

@Suite("Intel's chipset root ports", .timeLimit(.minutes(15)))
struct IntelRootPortTests {
    private func port(_ device: UInt16, type: UInt8 = 4, vendor: UInt16 = 0x8086) -> ConfigBuilder {
        var config = ConfigBuilder(headerType: 1)
        config.word(0x00, vendor)
        config.word(0x02, device)
        config.capabilityList(at: 0x40)
        config.express(at: 0x40, type: type)
        return config
    }

    private func read(_ config: ConfigBuilder) -> FunctionCapabilities {
        var warnings: [ConfigWarning] = []
        return FunctionCapabilities(ConfigSpace(config.bytes), warnings: &warnings)
    }

    private func all(_ ranges: [ClosedRange<UInt16>], evenOnly: [ClosedRange<UInt16>] = []) -> Set<UInt16> {
        Set(ranges.flatMap { Array($0) } + evenOnly.flatMap { Array($0) }.filter { $0 % 2 == 0 })
    }

    private func around(_ known: Set<UInt16>) -> Set<UInt16> { Set(known.flatMap { [$0, $0 - 1, $0 + 1, $0 ^ 0x40] }) }

    @Test("the control register of the 100 and 200 series is a double word further on")
    func wide() {
        let wide = all([
            0xa110...0xa11f, 0xa167...0xa16a, 0xa290...0xa29f, 0xa2e7...0xa2ee, 0x9d10...0x9d1b,
        ])
        for device in around(wide) {
            for (type, vendor) in [(4, 0x8086), (6, 0x8086), (4, 0x1022)] as [(UInt8, UInt16)] {
                var config = port(device, type: type, vendor: vendor)
                config.acs(at: 0x100, capability: 0x1d, control: 0x01)
                config.word(0x108, 0x1c)
                let isWide = wide.contains(device) && type == 4 && vendor == 0x8086
                #expect(read(config).acs.value == .init(capability: 0x1d, control: isWide ? 0x1c : 0x01), "\(device)")
            }
        }
    }

    @Test("those without ACS say in a register of their own whether they were told to isolate")
    func invalidBusNumberCheck() {
        let ports = all(
            [
                0x3b42...0x3b51, 0x1c10...0x1c1f, 0x1e10...0x1e1f, 0x8c10...0x8c1f, 0x9c10...0x9c1b, 0x9c90...0x9c9b,
                0x8d10...0x8d1e,
            ], evenOnly: [0x1d10...0x1d1e, 0x8c90...0x8c9e])
        for device in around(ports) {
            for isOn in [true, false] {
                var config = port(device)
                config.doubleWord(0xd8, isOn ? 1 << 26 : ~(1 << 26))
                let wanted: Reading<Bool> = ports.contains(device) ? .present(isOn) : .absent
                #expect(read(config).invalidBusNumberCheck == wanted, "\(device)")
                config.bytes[0x42] = 6 << 4 | 2
                #expect(read(config).invalidBusNumberCheck == .absent)
            }
        }
        #expect(read(port(0x8c10, vendor: 0x1022)).invalidBusNumberCheck == .absent)
    }
}
