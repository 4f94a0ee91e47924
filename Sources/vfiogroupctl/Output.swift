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
        if let address = try? Groups.DeviceAddress(typed: text) {
            device = address
        } else if text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text) {
            kernelGroup = number
        } else {
            id = text
        }
    }
}
