import CLinux
public import EventLoop
import Glibc

/// Why a server cannot listen.
public enum ListenError: Error, Equatable, Sendable, CustomStringConvertible {
    case system(call: String, path: String, errno: Int32)
    /// The descriptor handed over is no listening AF_UNIX stream socket.
    case notAListener(descriptor: Int32)

    public var description: String {
        switch self {
        case .system(let call, let path, let errno): "\(call) \(path): \(String(cString: strerror(errno)))"
        case .notAListener(let descriptor): "descriptor \(descriptor) is no listening AF_UNIX stream socket"
        }
    }
}

/// Beginning and ending to serve.
extension VarlinkServer {
    /// Listens on a socket at `path`, in place of whatever socket was there; a leading `@` is the abstract name space.
    ///
    /// - Parameters:
    ///   - path: of the socket, at most 107 bytes.
    ///   - mode: who may connect; write permission is what counts.
    /// - Returns: the socket, which is the server's to close.
    /// - Throws: the call that failed.
    @discardableResult
    public func listen(path: String, mode: UInt32 = 0o666) throws(ListenError) -> Int32 {
        let descriptor = clinux_unix_socket()
        guard descriptor >= 0 else { throw .system(call: "socket", path: path, errno: -descriptor) }
        do throws(ListenError) {
            if !path.hasPrefix("@") { removeSocket(path) }
            try check(clinux_unix_bind(descriptor, path), "bind", path)
            if !path.hasPrefix("@"), chmod(path, mode) < 0 {
                throw .system(call: "chmod", path: path, errno: errno)
            }
            try check(clinux_listen(descriptor, limits.backlog), "listen", path)
        } catch {
            close(descriptor)
            throw error
        }
        listeners.append(Listener(descriptor, path: path.hasPrefix("@") ? nil : path, for: self))
        return descriptor
    }

    /// Has the paths stay when the server stops, since somebody else keeps their sockets open.
    public func leavePaths() { for listener in listeners { listener.leavePath() } }

    /// Listens on a socket that somebody else has opened, such as systemd's socket activation.
    public func listen(inherited descriptor: consuming Descriptor) throws(ListenError) {
        let number = descriptor.number
        guard clinux_is_unix_listener(number) == 1 else { throw .notAListener(descriptor: number) }
        let flags = clinux_set_nonblocking(number)
        guard flags == 0 else { throw .system(call: "fcntl", path: "descriptor \(number)", errno: -flags) }
        listeners.append(Listener(descriptor.release(), path: nil, for: self))
    }

    /// Stops to listen, lets calls that are being answered end, and closes all connections.
    ///
    /// Streams are calls too: end them first, or they are cut off, like all else, after `grace`.
    public func stop(within grace: Duration) async {
        for listener in listeners { listener.stop() }
        listeners = []
        for connection in connections.values { connection.finish() }
        let timer = EventLoop.main.schedule(at: .now + grace) { [self] in
            for connection in connections.values { connection.abort() }
        }
        defer { timer.cancel() }
        guard !connections.isEmpty else { return }
        let waiter = Waiter<Void>()
        whenEmpty.append(waiter)
        await waiter.waitIgnoringCancellation()
    }

    private func check(_ result: Int32, _ call: String, _ path: String) throws(ListenError) {
        guard result == 0 else { throw .system(call: call, path: path, errno: -result) }
    }

    /// Removes a socket that a predecessor has left; anything that is no socket stays, and lets bind fail.
    private func removeSocket(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
    }
}
