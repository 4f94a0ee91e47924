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

extension Daemon {
    /// What the service manager passed: its sockets, and what an earlier daemon left in its store.
    func takePassed() throws(Failure) -> (sockets: [PassedDescriptor], stored: [StoredDescriptor]) {
        do throws(SystemdError) {
            let passed = try manager.takeListenDescriptors()
            return (
                passed.filter { !Takeover.isStoreName($0.name) },
                passed.filter { Takeover.isStoreName($0.name) }.map {
                    StoredDescriptor(name: $0.name, descriptor: $0.descriptor)
                }
            )
        } catch { throw Failure(message: error.description) }
    }

    /// Opens the sockets, or serves those that were passed; what is returned is to be removed at the end.
    func listen(
        _ server: VarlinkServer, on passed: [PassedDescriptor], _ configuration: Configuration
    ) throws(Failure) -> RegistryLinks {
        if !passed.isEmpty {
            for descriptor in passed { try take(descriptor, server) }
            return RegistryLinks()
        }
        let path = try socketPath(configuration)
        do throws(ListenError) { try server.listen(path: path) } catch {
            throw Failure(message: "cannot listen on \(path): \(error); choose another place with --socket=PATH")
        }
        log.info("listening on \(path)")
        guard path == SocketPath.system, geteuid() == 0, options.simulate == nil else { return RegistryLinks() }
        return RegistryLinks(to: path, for: [Claims.interface.name, Groups.interface.name, Manager.interface.name])
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
