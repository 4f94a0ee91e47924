// What a configuration space says about isolation, in one value: read once, when a device is met.

/// The header and the capabilities of a function that decide about groups. Everything is unknown until it was read.
public struct FunctionCapabilities: Equatable, Sendable {
    /// The fixed header.
    public var header: Reading<Header>
    /// PCI Express; absent in a conventional device.
    public var express: Reading<PCIExpress>
    /// Access Control Services.
    public var acs: Reading<AccessControlServices>
    /// What stands in for it in Intel's chipset root ports that lack it (IntelRootPorts.swift); absent in all others.
    public var invalidBusNumberCheck: Reading<Bool>
    /// Alternative Routing-ID.
    public var ari: Reading<AlternativeRoutingID>
    /// SR-IOV of a physical function.
    public var sriov: Reading<SingleRootIOV>

    public init(
        header: Reading<Header>, express: Reading<PCIExpress>, acs: Reading<AccessControlServices>,
        invalidBusNumberCheck: Reading<Bool> = .absent, ari: Reading<AlternativeRoutingID>,
        sriov: Reading<SingleRootIOV>
    ) {
        self.header = header
        self.express = express
        self.acs = acs
        self.invalidBusNumberCheck = invalidBusNumberCheck
        self.ari = ari
        self.sriov = sriov
    }

    /// Nothing could be read, for this reason.
    public init(unknown reason: UnknownReason) {
        self.init(
            header: .unknown(reason), express: .unknown(reason), acs: .unknown(reason), ari: .unknown(reason),
            sriov: .unknown(reason))
    }

    /// Reads a configuration space; what breaks its rules is added to `warnings`.
    public init(_ config: ConfigSpace, warnings: inout [ConfigWarning]) {
        guard !config.bytes.isEmpty else {
            self.init(unknown: .noConfig)
            return
        }
        if config.isAllOnes {
            warnings.append(ConfigWarning(offset: 0, message: "config reads all ones: the device does not respond"))
            self.init(unknown: .notResponding)
            return
        }
        let header = config.header
        if case .unknown(.malformed) = header {
            warnings.append(
                config.bytes.count < 64
                    ? ConfigWarning(offset: config.bytes.count, message: "config ends inside the 64-byte header")
                    : ConfigWarning(
                        offset: 0x0e, message: "header type 0x\(hexadecimal(config.bytes[0x0e] & 0x7f)) does not exist")
            )
        }
        let standard = config.standardCapabilities
        warnings += standard.warnings
        let express = standard.first(0x10).flatMap { PCIExpress(config, at: $0.offset, warnings: &warnings) }
        var extended = CapabilityList()
        switch express {
        case .absent where config.bytes.count <= 256: break
        case .unknown(let reason) where config.bytes.count <= 256: extended.incomplete = reason
        case .present, .absent, .unknown: extended = config.extendedCapabilities
        }
        warnings += extended.warnings
        self.init(
            header: header, express: express,
            acs: extended.first(0x0d).flatMap { header in
                AccessControlServices(
                    config, at: header.offset, controlOffset: config.hasWideAccessControl(express) ? 8 : 6,
                    warnings: &warnings)
            },
            invalidBusNumberCheck: config.invalidBusNumberCheck(express),
            ari: extended.first(0x0e).flatMap { AlternativeRoutingID(config, at: $0.offset, warnings: &warnings) },
            sriov: extended.first(0x10).flatMap { SingleRootIOV(config, at: $0.offset, warnings: &warnings) })
    }
}

extension Reading {
    /// Decodes what was found; a structure that the readable bytes cut off is unknown, not absent.
    fileprivate func flatMap<Other>(_ decode: (Value) -> Other?) -> Reading<Other> {
        switch self {
        case .present(let value): decode(value).map { .present($0) } ?? .unknown(.malformed)
        case .absent: .absent
        case .unknown(let reason): .unknown(reason)
        }
    }
}

extension PCIExpress {
    fileprivate init?(_ config: ConfigSpace, at offset: Int, warnings: inout [ConfigWarning]) {
        guard let register = config.word(offset + 2) else {
            warnings.append(ConfigWarning(offset: offset, message: "PCI Express capability is cut off"))
            return nil
        }
        // Version 1 of the capability ends before the second set of registers.
        let hasSecondSet = register & 0x0f >= 2
        self.init(
            kind: Kind(rawValue: UInt8(register >> 4 & 0x0f)),
            ariForwardingSupported: hasSecondSet ? config.doubleWord(offset + 0x24).map { $0 & 0x20 != 0 } : false,
            ariForwardingEnabled: hasSecondSet ? config.word(offset + 0x28).map { $0 & 0x20 != 0 } : false)
    }
}

extension AccessControlServices {
    fileprivate init?(
        _ config: ConfigSpace, at offset: Int, controlOffset: Int, warnings: inout [ConfigWarning]
    ) {
        guard let capability = config.word(offset + 4), let control = config.word(offset + controlOffset) else {
            warnings.append(ConfigWarning(offset: offset, message: "ACS capability is cut off"))
            return nil
        }
        self.init(capability: capability, control: control)
    }
}

extension AlternativeRoutingID {
    fileprivate init?(_ config: ConfigSpace, at offset: Int, warnings: inout [ConfigWarning]) {
        guard let capability = config.word(offset + 4) else {
            warnings.append(ConfigWarning(offset: offset, message: "ARI capability is cut off"))
            return nil
        }
        self.init(capability: capability)
    }
}

extension SingleRootIOV {
    fileprivate init?(_ config: ConfigSpace, at offset: Int, warnings: inout [ConfigWarning]) {
        guard let control = config.word(offset + 0x08), let total = config.word(offset + 0x0e),
            let number = config.word(offset + 0x10), let first = config.word(offset + 0x14),
            let stride = config.word(offset + 0x16), let deviceID = config.word(offset + 0x1a)
        else {
            warnings.append(ConfigWarning(offset: offset, message: "SR-IOV capability is cut off"))
            return nil
        }
        self.init(
            isEnabled: control & 0x01 != 0, ariCapableHierarchy: control & 0x10 != 0, totalVFs: total,
            numberOfVFs: number, firstVFOffset: first, vfStride: stride, vfDeviceID: deviceID)
    }
}
