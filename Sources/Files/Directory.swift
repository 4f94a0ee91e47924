// An open folder of sysfs and what is read relative to it. Paths are walked by descriptor, so that a device that is
// replaced during a scan is not mixed up with its successor.

import CLinux
import Glibc

/// An error number, with the call's path left to whoever reports it.
public struct SystemError: Error, Equatable {
    public var errno: Int32

    /// An error with this number.
    public init(errno: Int32) { self.errno = errno }

    /// The folder or its device went away while it was read.
    public var isVanished: Bool { errno == ENOENT || errno == ENODEV || errno == ENXIO || errno == ENOTDIR }

    /// The reader lacked descriptors or memory: what was to be read may be anything.
    public var isShortage: Bool { errno == EMFILE || errno == ENFILE || errno == ENOMEM }
}

/// An error number in words, as strerror has them.
public func errorText(_ errno: Int32) -> String { String(cString: clinux_error_description(errno)) }

/// An open folder, closed at the end of its life.
public struct Directory: ~Copyable {
    /// Its descriptor, open as long as it lives.
    public let descriptor: Int32

    /// Opens a folder by path.
    public init(path: String) throws(SystemError) { try self.init(path, at: AT_FDCWD) }

    /// Opens a folder below another; a symbolic link as the last component is refused.
    public init(_ name: String, below directory: borrowing Directory) throws(SystemError) {
        try self.init(name, at: directory.descriptor, flags: O_NOFOLLOW)
    }

    private init(_ name: String, at directory: Int32, flags: Int32 = 0) throws(SystemError) {
        let result = clinux_openat(directory, name, O_RDONLY | O_DIRECTORY | flags)
        guard result >= 0 else { throw SystemError(errno: -result) }
        descriptor = result
    }

    deinit { close(descriptor) }

    /// Calls `body` with every entry's name (without its NUL) and type (DT_DIR, DT_LNK, ...) but `.` and `..`.
    public func forEachEntry(_ body: (UnsafeBufferPointer<UInt8>, UInt8) -> Void) throws(SystemError) {
        let rewound = clinux_rewind(descriptor)
        guard rewound == 0 else { throw SystemError(errno: -rewound) }
        let error = withUnsafeTemporaryAllocation(byteCount: 32768, alignment: 16) { buffer -> Int in
            while true {
                let count = clinux_read_entries(descriptor, buffer.baseAddress, buffer.count)
                guard count > 0 else { return -count }
                var entry = clinux_entry()
                var offset = 0
                while offset < count {
                    offset = clinux_entry_at(buffer.baseAddress, offset, &entry)
                    guard let text = entry.name else { continue }
                    text.withMemoryRebound(to: UInt8.self, capacity: entry.name_length) { bytes in
                        let name = UnsafeBufferPointer(start: bytes, count: entry.name_length)
                        let isDot = name[0] == UInt8(ascii: ".")
                        if isDot, name.count == 1 || (name.count == 2 && name[1] == name[0]) { return }
                        body(name, entry.type)
                    }
                }
            }
        }
        if error != 0 { throw SystemError(errno: Int32(error)) }
    }

    /// The names of all entries, sorted, so that two scans of one host meet devices in one order.
    public func names() throws(SystemError) -> [String] {
        var names: [String] = []
        try forEachEntry { name, _ in names.append(String(decoding: name, as: UTF8.self)) }
        return names.sorted()
    }

    /// Reads a file of at most `capacity` bytes and hands out what was read. O_NONBLOCK keeps a FIFO in a made-up tree
    /// from stopping the scan; sysfs ignores it. A read that comes short has met the end, of sysfs's files as of others:
    /// the attributes are many, and asking each for its end as well is a third more calls.
    public func read<Result>(
        _ name: String, capacity: Int = 4096, _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(SystemError) -> Result {
        let file = clinux_openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw SystemError(errno: -file) }
        defer { close(file) }
        let outcome = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) {
            buffer -> Swift.Result<Result, SystemError> in
            var count = 0
            while count < capacity {
                let n = Glibc.read(file, buffer.baseAddress.map { $0 + count }, capacity - count)
                if n < 0 && errno == EINTR { continue }
                if n < 0 { return .failure(SystemError(errno: errno)) }
                let asked = capacity - count
                count += n
                if n < asked { break }
            }
            return .success(body(UnsafeRawBufferPointer(rebasing: buffer[..<count])))
        }
        return try outcome.get()
    }

    /// All bytes of a file of any length up to `limit`; EFBIG beyond.
    public func readAll(_ name: String, limit: Int = 1 << 26) throws(SystemError) -> [UInt8] {
        try contents(of: name, below: descriptor, limit: limit)
    }

    /// Whether there is an entry of this name, a dangling link included.
    public func has(_ name: String) -> Bool {
        var status = stat()
        return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// The target of a symbolic link, as it is written.
    public func link(_ name: String) throws(SystemError) -> String {
        try readLink(name) { String(decoding: $0, as: UTF8.self) }
    }

    private func readLink<Result>(
        _ name: String, _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(SystemError) -> Result {
        let outcome = withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) {
            buffer -> Swift.Result<Result, SystemError> in
            let n = buffer.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlinkat(descriptor, name, $0, text.count) } ?? -1
            }
            guard n >= 0 else { return .failure(SystemError(errno: errno)) }
            return .success(body(UnsafeRawBufferPointer(rebasing: buffer[..<n])))
        }
        return try outcome.get()
    }

    /// The last component of a link's target: `iommu_group` -> `12`, `driver` -> `nvme`.
    public func linkName(_ name: String) throws(SystemError) -> String {
        try readLink(name) { target in
            let start = target.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
            return String(decoding: target[start...], as: UTF8.self)
        }
    }
}

extension Directory {
    /// The text of an attribute without surrounding white space.
    public func text(_ name: String) throws(SystemError) -> String {
        try read(name) { bytes in
            let isSpace: (UInt8) -> Bool = { $0 == 0x0a || $0 == 0x20 || $0 == 0x09 || $0 == 0 }
            guard let first = bytes.firstIndex(where: { !isSpace($0) }),
                let last = bytes.lastIndex(where: { !isSpace($0) })
            else { return "" }
            return String(decoding: bytes[first...last], as: UTF8.self)
        }
    }
}
