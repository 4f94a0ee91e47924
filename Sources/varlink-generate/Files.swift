import Glibc

/// A file could not be read or written.
struct FileError: Error, CustomStringConvertible {
    let path: String
    let code: Int32

    var description: String { "\(path): \(String(cString: strerror(code)))" }
}

func readFile(_ path: String) throws(FileError) -> String {
    guard let file = fopen(path, "re") else { throw FileError(path: path, code: errno) }
    defer { fclose(file) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        content += chunk[..<count]
        if count < chunk.count { break }
    }
    guard ferror(file) == 0 else { throw FileError(path: path, code: EIO) }
    guard let text = String(validating: content, as: UTF8.self) else { throw FileError(path: path, code: EILSEQ) }
    return text
}

func writeFile(_ path: String, _ text: String) throws(FileError) {
    guard let file = fopen(path, "we") else { throw FileError(path: path, code: errno) }
    let written = Array(text.utf8).withUnsafeBufferPointer { fwrite($0.baseAddress, 1, $0.count, file) }
    let code = errno
    guard fclose(file) == 0, written == text.utf8.count else { throw FileError(path: path, code: code) }
}
