// What the host uses, as people read it: a word in tables, and sentences where one group or claim is shown.

import GroupAPI

extension Groups.Group {
    /// Its state. One that could be claimed but for what the host uses of it is said to be in use.
    var stateText: String { state == .available && refusesClaim ? "in use" : state.rawValue }

    private var refusesClaim: Bool { uses?.contains { $0.severity != .warns } ?? false }

    /// What the host uses a device for, in words for a table: `mounted,swap`.
    func useWords(of address: Groups.DeviceAddress) -> String {
        var words: [String] = []
        for use in uses ?? [] where use.address.text == address.text && !words.contains(use.kind) {
            words.append(use.kind)
        }
        return words.isEmpty ? "-" : words.joined(separator: ",").printable
    }

    /// What the host uses, a line each, and what would end it.
    var useLines: [String] {
        (uses ?? []).flatMap { use in
            text(use.address.text, use.detail, use.severity == .warns, remedy: use.remedy)
        }
    }
}

extension Claims.Use {
    /// What it is, a line, and what would end it, another.
    var lines: [String] { text(address.text, reason, severity == .warns, remedy: remedy) }
}

/// A use over one or two lines.
private func text(_ device: String, _ detail: String, _ isWarning: Bool, remedy: String?) -> [String] {
    ["\(device): \(detail.printable)" + (isWarning ? " (refuses no claim)" : "")]
        + (remedy.map { ["  \($0.printable)"] } ?? [])
}

/// Uses that did not stop a claim; nil where there are none.
func usesText(_ uses: [Claims.Use]) -> String? {
    guard !uses.isEmpty else { return nil }
    return (["The host uses, all the same:"] + uses.flatMap(\.lines).map { "  " + $0 }).joined(separator: "\n")
}
