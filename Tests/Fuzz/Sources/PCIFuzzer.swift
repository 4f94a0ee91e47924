// Configuration space as hardware may give it: any bytes, of any length. A reader who gets less of it may know less, but
// never something else.

import PCI

func fuzzPCI(_ input: UnsafeRawBufferPointer) {
    let whole = read(Array(input))
    for size in [0, 32, 64, 256, input.count / 2] where size < input.count {
        let part = read(Array(input[..<size]))
        compare(part.header, whole.header, "header", size)
        compare(part.express.map(\.kind), whole.express.map(\.kind), "PCI Express", size)
        compare(part.forwarding, whole.forwarding, "ARI forwarding", size)
        compare(part.sriov, whole.sriov, "SR-IOV", size)
        compare(part.ari, whole.ari, "ARI", size)
        compare(part.acs, whole.acs, "ACS", size)
    }
    _ = ConfigSpace(Array(input)).serialNumber
}

private func read(_ bytes: [UInt8]) -> FunctionCapabilities {
    var warnings: [ConfigWarning] = []
    let capabilities = FunctionCapabilities(ConfigSpace(bytes), warnings: &warnings)
    for warning in warnings {
        require((0...4096).contains(warning.offset) && !warning.message.isEmpty, "\(warning)")
    }
    return capabilities
}

extension FunctionCapabilities {
    /// A bit of a register that may be cut off where the capability is there.
    fileprivate var forwarding: Reading<Bool> {
        express.value.flatMap(\.ariForwardingEnabled).map { .present($0) } ?? .absent
    }
}

private func compare<Value: Equatable>(
    _ part: Reading<Value>, _ whole: Reading<Value>, _ name: String, _ size: Int
) {
    guard case .present(let seen) = part, case .present(let known) = whole else { return }
    require(seen == known, "of \(size) bytes \(name) is \(seen), and of all \(known)")
}
