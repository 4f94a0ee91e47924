// A PCI function of a machine that is made up, as a value: what decides about groups, and what sits behind it.

import PCI

/// One function, and below a bridge all that is behind it.
struct SyntheticFunction: Sendable {
    /// An ACS capability.
    struct AccessControl: Sendable {
        var capability: UInt16
        var control: UInt16
        var isWide = false

        /// What a root port of today offers, all that isolation takes switched on.
        static let on = AccessControl(capability: 0x5f, control: 0x1d)
        /// The same under a kernel whose IOMMU is off: nothing is switched on.
        static let off = AccessControl(capability: 0x5f, control: 0)
        /// No service at all, as the internal functions of some processors have it: there is nothing to switch on.
        static let empty = AccessControl(capability: 0, control: 0)

        /// Other registers than these.
        static func offering(_ capability: UInt16, on control: UInt16, isWide: Bool = false) -> AccessControl {
            AccessControl(capability: capability, control: control, isWide: isWide)
        }
    }

    /// Device and function number: `1c.0`.
    let slot: String
    /// nil for a conventional function.
    let kind: PCIExpress.Kind?
    let classCode: UInt32
    /// Vendor and device. Only where a rule of the kernel goes by them are they anybody's.
    let id: UInt32
    let acs: AccessControl?
    let driver: String?
    /// Whether the header denies that its slot has other functions, though it has.
    let deniesOthers: Bool
    /// The physical function's address, where this is a virtual one, and its number there.
    let origin: (physical: String, number: Int)?
    /// The bus behind a bridge.
    let bus: UInt8?
    let below: [SyntheticFunction]
    /// The PE that the kernel's rules give it, on POWER.
    private(set) var endpoint: Int?

    private init(
        _ slot: String, _ kind: PCIExpress.Kind?, _ classCode: UInt32, id: UInt32?, acs: AccessControl? = nil,
        driver: String? = nil, deniesOthers: Bool = false, origin: (String, Int)? = nil, bus: UInt8? = nil,
        below: [SyntheticFunction] = []
    ) {
        self.slot = slot
        self.kind = kind
        self.classCode = classCode
        // A vendor that there is not; all models of a class are the same.
        self.id = id ?? 0x5eed_0000 | classCode >> 8
        self.acs = acs
        self.driver = driver
        self.deniesOthers = deniesOthers
        self.origin = origin
        self.bus = bus
        self.below = below
    }

    /// A conventional function, which can have no ACS.
    static func conventional(
        _ slot: String, _ classCode: UInt32, driver: String? = nil, deniesOthers: Bool = false
    ) -> SyntheticFunction {
        SyntheticFunction(slot, nil, classCode, id: nil, driver: driver, deniesOthers: deniesOthers)
    }

    /// A PCI Express function that is no bridge.
    static func express(
        _ slot: String, _ classCode: UInt32, kind: PCIExpress.Kind = .endpoint, id: UInt32? = nil,
        acs: AccessControl? = nil, driver: String? = nil
    ) -> SyntheticFunction {
        SyntheticFunction(slot, kind, classCode, id: id, acs: acs, driver: driver)
    }

    /// A port or bridge with a bus behind it; nil is a conventional bridge.
    static func bridge(
        _ slot: String, _ kind: PCIExpress.Kind?, bus: UInt8, id: UInt32? = nil, acs: AccessControl? = nil,
        _ below: [SyntheticFunction] = []
    ) -> SyntheticFunction {
        SyntheticFunction(
            slot, kind, 0x060400, id: id, acs: acs, driver: kind == nil ? nil : "pcieport", bus: bus, below: below)
    }

    /// A virtual function of the physical one at this address.
    static func virtual(_ slot: String, _ number: Int, of physical: String) -> SyntheticFunction {
        SyntheticFunction(slot, .endpoint, 0x020000, id: nil, origin: (physical, number))
    }

    /// This function in a PE.
    func inEndpoint(_ number: Int) -> SyntheticFunction {
        var function = self
        function.endpoint = number
        return function
    }

    /// The highest bus number behind this bridge.
    var lastBus: UInt8 { max(bus ?? 0, below.map(\.lastBus).max() ?? 0) }

    /// The configuration space, on this bus.
    func config(on bus: UInt8, multifunction: Bool) -> [UInt8] {
        var config = ConfigBuilder(
            function: kind?.rawValue, acs: acs.map { ($0.capability, $0.control) }, isWide: acs?.isWide ?? false,
            buses: self.bus.map { (bus, $0, lastBus) }, multifunction: multifunction && !deniesOthers && origin == nil)
        // A virtual function's has ones for its IDs.
        config.doubleWord(0, origin == nil ? id << 16 | id >> 16 : .max)
        config.doubleWord(8, classCode << 8)
        return config.bytes
    }
}
