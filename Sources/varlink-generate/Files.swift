import Files
import Glibc

/// The text of a file of interfaces or types; EILSEQ where it is none.
func readText(_ path: String) throws(FileFailure) -> String {
    guard let bytes = try readFile(path, limit: 1 << 26) else {
        throw FileFailure(path: path, call: "open", errno: ENOENT)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw FileFailure(path: path, call: "read", errno: EILSEQ)
    }
    return text
}
