// What /proc/crypto tells of the kernel's own users of algorithms: how many there are of an algorithm, and which module
// brought it; not on which device of that module a session runs (crypto/proc.c). An algorithm that nobody uses has
// refcnt 1.

import Inventory
import PCI

/// Algorithms that are in use.
struct CryptoUsers: Equatable, Sendable {
    /// The name of an algorithm that is in use, by the module that brought it.
    var used: [String: String] = [:]

    /// Blocks of lines `NAME : VALUE`, an algorithm each, with an empty line after it.
    init(_ text: String = "") {
        var block: [Substring: Substring] = [:]
        func close() {
            guard let module = block["module"], let name = block["name"], let count = block["refcnt"],
                let count = decimal(String(count)), count > 1, used[String(module)] == nil
            else { return }
            used[String(module)] = String(name)
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard let colon = line.firstIndex(of: ":") else {
                close()
                block.removeAll()
                continue
            }
            let name = line[..<colon].split(separator: " ").first ?? ""
            block[name] = line[line.index(after: colon)...].drop { $0 == " " }
        }
        close()
    }
}
