// Where the daemon listens: on what systemd hands over, or on a socket of its own.

import Config
import EventLoop
import Glibc
import GroupAPI
import Systemd
import Takeover
import Varlink

/// The links to the socket that clients look interfaces up by, one an interface. systemd makes them for a socket that
/// it owns (Symlinks= in vfiogroupd.socket).
struct RegistryLinks {
    static let folder = "/run/varlink/registry"

    private var made: [String] = []

    /// No links.
    init() {}

    /// Links each interface to the socket. A link that cannot be made is left out: clients that know the path need none.
    init(to socket: String, for interfaces: [String]) {
        mkdir("/run/varlink", 0o755)
        mkdir(Self.folder, 0o755)
        for interface in interfaces {
            let link = "\(Self.folder)/\(interface)"
            var status = stat()
            if lstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFLNK { unlink(link) }
            if symlink(socket, link) == 0 { made.append(link) }
        }
    }

    /// Removes what was made.
    func remove() { for link in made { unlink(link) } }
}

/// What the service manager passed.
struct Passed {
    /// Its sockets.
    var sockets: [PassedDescriptor] = []
    /// What an earlier daemon left in its store: of claims, and a socket of its own.
    var stored: [StoredDescriptor] = []
    var own: [OwnSocket] = []

    init(_ passed: [PassedDescriptor]) {
        for descriptor in passed {
            if let socket = OwnSocket(descriptor) {
                own.append(socket)
            } else if Takeover.isStoreName(descriptor.name) {
                stored.append(StoredDescriptor(name: descriptor.name, descriptor: descriptor.descriptor))
            } else {
                sockets.append(descriptor)
            }
        }
    }
}

extension Daemon {
    /// Takes over what the service manager passed.
    func takePassed() throws(Failure) -> Passed {
        do throws(SystemdError) { return Passed(try manager.takeListenDescriptors()) } catch {
            throw Failure(message: error.description)
        }
    }

    /// Opens the sockets, or serves those that were passed; what is returned is to be removed at the end.
    func listen(
        _ server: VarlinkServer, on passed: Passed, _ configuration: Configuration
    ) async throws(Failure) -> RegistryLinks {
        guard passed.sockets.isEmpty else {
            for socket in passed.own { forget(socket, "the service manager's socket is served instead") }
            for descriptor in passed.sockets { try take(descriptor, server) }
            return RegistryLinks()
        }
        let path = try socketPath(configuration)
        let isKept = try await listen(server, at: path, passed.own)
        guard path == SocketPath.system, geteuid() == 0, options.simulate == nil else { return RegistryLinks() }
        let links = RegistryLinks(
            to: path, for: [Claims.interface.name, Groups.interface.name, Manager.interface.name])
        return isKept ? RegistryLinks() : links
    }

    /// Listens on the socket of an earlier daemon, or on a new one that the next daemon will have; whether it will.
    private func listen(
        _ server: VarlinkServer, at path: String, _ left: [OwnSocket]
    ) async throws(Failure) -> Bool {
        let kept = left.first { $0.isReached(by: path) }
        for socket in left where socket != kept { forget(socket, "nobody who connects to \(path) reaches it") }
        let descriptor: Int32
        do throws(ListenError) {
            if let kept {
                try server.listen(inherited: Descriptor(owning: kept.passed.descriptor))
                log.info("listening on \(path), as the daemon before")
                return true
            }
            descriptor = try server.listen(path: path)
        } catch {
            throw Failure(message: "cannot listen on \(path): \(error); choose another place with --socket=PATH")
        }
        log.info("listening on \(path)")
        guard let store = manager.store(), let name = OwnSocket.storeName(at: path) else { return false }
        do throws(DescriptorStoreError) { try await store.keep(descriptor, as: name) } catch {
            log.warning("whoever connects while the daemon is restarted will be refused: \(error.reason)")
            return false
        }
        server.leavePaths()
        return true
    }

    /// Closes a socket of an earlier daemon.
    private func forget(_ socket: OwnSocket, _ reason: String) {
        log.notice("the stored socket \(socket.path ?? "without a path") of an earlier daemon is closed: \(reason)")
        manager.store()?.drop(socket.passed.name)
        socket.remove()
    }

    private func take(_ passed: PassedDescriptor, _ server: VarlinkServer) throws(Failure) {
        do throws(ListenError) {
            try server.listen(inherited: Descriptor(owning: passed.descriptor))
        } catch {
            throw Failure(
                message: "the socket \"\(passed.name)\" of the service manager cannot be served: \(error); "
                    + "it must be ListenStream= with a path")
        }
        log.info("listening on the service manager's socket \"\(passed.name)\"")
    }

    private func socketPath(_ configuration: Configuration) throws(Failure) -> String {
        if let socket = options.socket ?? configuration.socket { return socket }
        if options.simulate == nil, geteuid() == 0 {
            makeFolder("/run/vfiogroupd", mode: 0o755)
            return SocketPath.system
        }
        let folder = SocketPath.privateFolder()
        makeFolder(folder, mode: 0o700)
        guard SocketPath.isOwn(folder) else {
            throw Failure(
                message: "\(folder) is not a folder that only this user can write to; remove it, or choose another "
                    + "place with --socket=PATH")
        }
        return SocketPath.ofUser
    }

    private func makeFolder(_ path: String, mode: mode_t) {
        // What is wrong with the folder, binding the socket in it will tell.
        _ = mkdir(path, mode)
    }
}
