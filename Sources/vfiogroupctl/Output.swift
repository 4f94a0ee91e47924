// Printing: lines, tables and JSON.

import ArgumentParser
import Files
import Glibc
import GroupAPI
import JSON

/// Writes all of a text. A reader that has gone (`| head`) ends the program quietly, by SIGPIPE.
func write(_ text: String, to descriptor: Int32) {
    // There is nobody left to tell of a failure.
    try? writeAll(text.utf8, to: descriptor)
}

func printLine(_ text: String = "") { write(text + "\n", to: STDOUT_FILENO) }

/// Prints lines below a title; nothing where there are none.
func printSection(_ title: String, _ lines: [String]) {
    guard !lines.isEmpty else { return }
    printLine("\n\(title):")
    for line in lines { printLine("  \(line)") }
}

/// Prints a reply as it came.
func printJSON(_ object: JSONObject) { printLine(JSONValue.object(object).description) }

/// Rows of columns, each as wide as its widest cell. The last column is as long as it likes.
struct Table {
    private var rows: [[String]]

    /// A table with these titles; without any it has no title line.
    init(_ titles: String...) { rows = titles.isEmpty ? [] : [titles] }

    mutating func add(_ cells: String...) { rows.append(cells) }

    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.compactMap { $0.indices.contains(column) ? $0[column].count : nil }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.count + 2)
                }
            }
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}

/// A hexadecimal number of at least so many digits.
func hexadecimal(_ value: Int, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

extension String {
    /// Without control characters: names and commands are what anybody chose, and would drive the reader's terminal.
    var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
    }
}

extension Groups.DeviceAddress {
    /// A PCI address alone, or `BUS/NAME`.
    var text: String { bus == "pci" ? name : "\(bus)/\(name)" }

    /// Reads what people type: a PCI address with or without its domain, or `BUS/NAME`; nil for anything else.
    init?(typed text: String) {
        if let slash = text.firstIndex(of: "/") {
            let name = text[text.index(after: slash)...]
            guard slash != text.startIndex, !name.isEmpty else { return nil }
            self.init(bus: String(text[..<slash]), name: String(name))
            return
        }
        let parts = text.lowercased().split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, let last = parts.last,
            last.split(separator: ".", omittingEmptySubsequences: false).count == 2,
            text.utf8.allSatisfy({ $0 == 0x3a || $0 == 0x2e || Character(Unicode.Scalar($0)).isHexDigit })
        else { return nil }
        self.init(bus: "pci", name: (parts.count == 2 ? "0000:" : "") + text.lowercased())
    }
}

/// What people name a group by.
struct Subject {
    /// What the help says of it.
    static let help = ArgumentHelp(
        "A group's identity, a kernel group's number, or a device: a PCI address with or without its domain, or BUS/NAME.",
        valueName: "group-or-address")

    /// A group's identity.
    var id: String?
    /// A device.
    var device: Groups.DeviceAddress?
    /// The number of a kernel group.
    var kernelGroup: Int?

    /// Reads a device's address, a number, or anything else as an identity.
    init(typed text: String) {
        if let address = Groups.DeviceAddress(typed: text) {
            device = address
        } else if text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text) {
            kernelGroup = number
        } else {
            id = text
        }
    }
}
