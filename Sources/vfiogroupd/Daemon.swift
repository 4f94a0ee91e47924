// The start of the daemon as a list of steps, its work, and its end.

import CLinux
import Config
import EventLoop
import Files
import Glibc
import GroupAPI
import Grouping
import GroupTree
import Host
import HostSnapshot
import Inventory
import JSON
import Keeper
import LinuxHost
import Registry
import Service
import SimulatedHost
import Systemd
import Takeover
import Varlink

/// One run of the daemon.
@LoopActor
struct Daemon {
    /// A step of the start that failed: the sentence that ends the daemon.
    struct Failure: Error {
        var message: String
        /// For the service manager.
        var errno = EINVAL
    }

    let options: Options
    let log = Logger()
    let manager = ServiceManager()

    init(_ options: Options) { self.options = options }

    /// Runs until told to stop; the process's exit code.
    func run() async -> Int32 {
        do throws(Failure) {
            if let code = answerFromConfiguration() { return code }
            let signals = try catchSignals()
            let passed = try takePassed()
            let configuration = try readConfiguration()
            // A large machine takes a while to be read, and a crowded one to be let go of.
            let starting = manager.extendTimeout()
            defer { starting?.cancel() }
            let (host, registry) = try await readHost(configuration)
            if options.mode == .printGroups { return printGroups(registry.snapshot) }
            let keeper = try takeUpClaims(of: host, registry, configuration, passed.stored)
            rememberBoot(keeper, configuration)
            let server = VarlinkServer(
                .init(vendor: Version.vendor, product: Version.product, version: Version.text, url: Version.url))
            let service = serve(keeper, configuration, on: server)
            keepReservations(keeper, configuration)
            let links = try await listen(server, on: passed, configuration)
            let tree = keepTree(of: keeper, configuration)
            // A scan of a large machine leaves more behind than is kept of it.
            clinux_release_memory()
            announce(keeper)
            starting?.cancel()
            let watchdog = manager.feedWatchdog()
            let following = follow(keeper)
            await untilStopped(signals, service)
            tell(.stopping, .status("stopping"))
            let stopping = manager.extendTimeout()
            defer { for task in [watchdog, stopping] { task?.cancel() } }
            for task in following { task.cancel() }
            // Claims outlast the daemon: the next one finds them on record.
            keeper.stop()
            service.endMonitors()
            await server.stop(within: .seconds(1))
            links.remove()
            leaveMemory(of: keeper)
            await tree?.remove()
            return 0
        } catch {
            log.error("\(error.message)")
            tell(.errno(error.errno), .status(error.message))
            return 1
        }
    }
}

extension Daemon {
    private func catchSignals() throws(Failure) -> Signals {
        do throws(LoopError) { return try Signals([SIGTERM, SIGINT, SIGHUP]) } catch {
            throw Failure(message: "signals cannot be received: \(error)")
        }
    }

    /// Reads the machine, and says what stands out about it.
    private func readHost(_ configuration: Configuration) async throws(Failure) -> (any Host, Registry) {
        do throws(HostError) {
            let host: any Host =
                switch options.simulate {
                case nil: LinuxHost(root: "/")
                case "demo": try SimulatedHost.demo()
                case let path?: try await machine(at: path)
                }
            let registry = Registry(
                try await host.readInventory(),
                policy: options.backend.map { BackendPolicy($0) } ?? BackendPolicy(configuration))
            let snapshot = registry.snapshot
            let bridges = Set(snapshot.inventory.hostBridges.map(\.id))
            for bridge in configuration.hostBridges.keys where !bridges.contains(bridge) {
                log.warning("[HostBridge \(bridge)]: this host has no such host bridge")
            }
            for warning in snapshot.warnings { log.warning("\(warning)") }
            for disagreement in snapshot.disagreements {
                log.notice(
                    "group \(disagreement.group): \(disagreement.explanation)",
                    fields: ["GROUP": disagreement.group.text])
            }
            for remark in snapshot.remarks { log.notice("\(remark)") }
            return (host, registry)
        } catch {
            throw Failure(message: error.description)
        }
    }

    /// Finds the claims again that are on record, and finishes or undoes what was half done.
    private func takeUpClaims(
        of host: any Host, _ registry: Registry, _ configuration: Configuration, _ left: [StoredDescriptor]
    ) throws(Failure) -> Keeper {
        // Every claim has a descriptor or two open for as long as it lives.
        clinux_raise_descriptor_limit()
        let keeper: Keeper
        do throws(FileFailure) {
            let journal: any ClaimJournal =
                options.simulate != nil
                ? JournalInMemory() : try JournalFolder(path: try claimsFolder(), bootID: host.bootID)
            // What a simulation has open is nothing to another process.
            let store = options.simulate == nil ? manager.store() : nil
            keeper = try Keeper(
                of: host, registry, journal: journal, store: store, left: left,
                timing: TakeoverTiming(configuration.timing), onReport: { [log] message in log.warning("\(message)") })
        } catch {
            throw Failure(message: "the claims on record cannot be read: \(error)", errno: error.errno)
        }
        keeper.onMessage = { [log] message in log.log(message) }
        for problem in keeper.takeover.problems { log.warning("\(problem)") }
        let claims = keeper.takeover.views.map(\.claim.id)
        guard !claims.isEmpty else { return keeper }
        log.log(
            JournalMessage(
                .claimsFound, "found \(claims.count) claims on record", claims.map { .init(.claim, $0) }))
        return keeper
    }

    /// Has the server answer every interface of this machine.
    private func serve(
        _ keeper: Keeper, _ configuration: Configuration, on server: VarlinkServer
    ) -> GroupService {
        let identity = GroupService.Identity(version: Version.text, isSimulated: options.simulate != nil)
        let service = GroupService(identity, of: keeper, configuration, on: server)
        service.onMessage = { [log] message in log.log(message) }
        if let machine = keeper.host as? SimulatedHost { service.registerSimulation(of: machine) }
        watchIncidents(server)
        offerReload(of: service, keeper)
        return service
    }

    /// Where claims are on record: beside the socket, in a folder that goes with the boot.
    private func claimsFolder() throws(FileFailure) -> String {
        let parent = geteuid() == 0 ? "/run/vfiogroupd" : SocketPath.privateFolder()
        try Files.makeFolder(parent, mode: 0o755)
        return parent + "/claims"
    }

    /// The machine that was captured in a snapshot or a folder.
    private func machine(at path: String) async throws(HostError) -> SimulatedHost {
        if let machine = try SimulatedHost(snapshotFile: path) { return machine }
        let tree = LinuxHost(root: path)
        let inventory = try await tree.readInventory()
        let numbers = await tree.serialNumbers(of: inventory.devices.map(\.address))
        return SimulatedHost(name: path, inventory: inventory, serialNumbers: numbers)
    }

    /// The parameters of a ListGroups reply as one JSON object on stdout.
    private func printGroups(_ snapshot: Snapshot) -> Int32 {
        var writer = JSONWriter()
        snapshot.writeAllGroups(to: &writer)
        writer.endLine()
        return printOut(UnsafeRawBufferPointer(start: writer.buffer.baseAddress, count: writer.count))
    }

    private func watchIncidents(_ server: VarlinkServer) {
        server.onIncident = { [log] incident in
            switch incident {
            case .malformed(let peer, let reason):
                log.info("closed the connection of pid \(peer.pid) (uid \(peer.uid)): \(reason)")
            case .tooManyConnections(let peer):
                log.warning("closed a connection of pid \(peer.pid) (uid \(peer.uid)): there are too many")
            case .acceptFailed(let errno):
                log.warning("a connection could not be accepted: \(String(cString: strerror(errno)))")
            }
        }
    }

    private func announce(_ keeper: Keeper) {
        var last = keeper.statusLine
        tell(.ready, .status(last))
        log.log(JournalMessage(.started, "serving \(last)"))
        keeper.observe { [log, unowned keeper] change in
            for event in change.events { log.log(event, in: keeper.snapshot) }
        }
        keeper.onActivity = { [unowned keeper] in
            guard keeper.statusLine != last else { return }
            last = keeper.statusLine
            tell(.status(last))
        }
    }

    private func follow(_ keeper: Keeper) -> [Task<Void, Never>] {
        [
            EventLoop.main.spawn { [log] in
                do throws(HostError) { try await keeper.followHost() } catch {
                    // What was read stays true until something changes, and stays served.
                    log.error("the host cannot be read any more: \(error)")
                }
            },
            EventLoop.main.spawn { await keeper.followUses() },
        ]
    }

    private func untilStopped(_ signals: Signals, _ service: GroupService) async {
        do throws(LoopError) {
            var signal = try await signals.next()
            while signal == SIGHUP {
                reloadOnSignal(service)
                signal = try await signals.next()
            }
            log.log(JournalMessage(.stopping, "stopping on signal \(signal)"))
        } catch {
            log.error("stopping, because signals cannot be received: \(error)")
        }
    }

    func tell(_ states: ServiceState...) {
        for state in states {
            do throws(SystemdError) { try manager.notify(state) } catch { log.warning("\(error)") }
        }
    }
}
