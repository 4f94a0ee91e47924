// io.vfiogroupd.Groups: listing, looking up, watching.

import EventLoop
import GroupAPI
import Grouping
import Inventory
import JSON
import Keeper
import Registry
import Takeover
import Varlink

extension GroupService {
    func registerGroups() {
        server.add(Groups.interface)
        server.handleWriting(Groups.ListGroups.self) { [self] (call) throws(ErrorReply) in
            await keeper.refreshUses()
            let operations = takeover.operations
            let sentences = keeper.lastBoot?.sentences ?? [:]
            let uses = keeper.uses
            return try await list(snapshot.groups, as: "groups", call) { record in
                Groups.Group(
                    record, operation: operations[record.id], uses: uses.uses(of: record),
                    sinceLastBoot: sentences[record.id])
            }
        }
        server.handleWriting(Groups.ListDevices.self) { [self] (call) throws(ErrorReply) in
            let snapshot = snapshot
            return try await list(snapshot.inventory.devices, as: "devices", call) { Groups.Device($0, in: snapshot) }
        }
        let hasUses: @LoopActor () -> Bool = { [self] in keeper.areUsesReady }
        server.answer(Groups.GetGroup.self, when: hasUses, after: { [self] in await keeper.refreshUses() }) {
            [self] (call) throws(ErrorReply) in
            let bytes = try encodedGroup(call.parameters)
            return Answer(writing: { writer in
                writer.object { writer in
                    writer.key("group")
                    writer.encoded(bytes)
                }
            })
        }
        server.answer(Groups.GetDevice.self) { [self] (call) throws(ErrorReply) in
            let snapshot = snapshot
            let device = try device(call.parameters.device, in: snapshot)
            return Answer(.init(device: Groups.Device(device, in: snapshot)))
        }
        server.answer(Groups.Explain.self) { [self] (call) throws(ErrorReply) in Answer(try explain(call.parameters)) }
        server.answer(Groups.GetResets.self) { [self] (call) throws(ErrorReply) in Answer(try resets(call.parameters)) }
        server.handle(Groups.Monitor.self) { [self] (call) throws(ErrorReply) in try await monitor(call) }
    }

    /// One element a reply with `more`, all in one reply without; the server replies ExpectedMore where that is longer
    /// than a reply may be.
    private func list<Method: VarlinkMethod, Element: Sendable>(
        _ elements: [Element], as name: StaticString, _ call: Call<Method>,
        _ value: @escaping @Sendable (Element) -> some VarlinkValue
    ) async throws(ErrorReply) -> Answer<Method> {
        func reply(_ elements: ArraySlice<Element>) -> Answer<Method> {
            Answer(writing: { writer in writer.list(elements.lazy.map(value), as: name) })
        }
        guard call.wantsMore else { return reply(elements[...]) }
        for index in elements.indices.dropLast() { try await call.send(reply(elements[index...index])) }
        return reply(elements.suffix(1))
    }

    private func encodedGroup(_ parameters: Groups.GetGroup.Parameters) throws(ErrorReply) -> [UInt8] {
        let uses = keeper.uses
        let moment = ReplyCache.Moment(generation: snapshot.generation, uses: uses.version)
        func encoding(of record: GroupRecord, _ operation: GroupOperation? = nil) -> Groups.Group {
            Groups.Group(
                record, operation: operation, uses: uses.uses(of: record), windows: keeper.windows(of: record),
                sinceLastBoot: keeper.lastBoot?.sentences[record.id])
        }
        // What is going on is different with every look.
        let operations = takeover.operations
        if !operations.isEmpty {
            let record = try group(parameters)
            if let operation = operations[record.id] {
                var writer = JSONWriter()
                encoding(of: record, operation).write(to: &writer)
                return writer.bytes
            }
        }
        if let id = parameters.id, parameters.device == nil, parameters.kernelGroup == nil,
            let bytes = cache.bytes(of: id, moment)
        {
            return bytes
        }
        return cache.bytes(of: try group(parameters), moment) { encoding(of: $0) }
    }

    func group(_ parameters: Groups.GetGroup.Parameters) throws(ErrorReply) -> GroupRecord {
        switch (parameters.id, parameters.device, parameters.kernelGroup) {
        case (let id?, nil, nil):
            guard let record = GroupID(id).flatMap({ snapshot.group($0) }) else {
                throw ErrorReply(Groups.Failure.noSuchGroup(id: String(id.prefix(GroupID.longest)), kernelGroup: nil))
            }
            return record
        case (nil, let address?, nil):
            let device = try device(address, in: snapshot)
            guard let record = snapshot.group(of: device.address) else {
                throw ErrorReply(
                    Groups.Failure.deviceInNoGroup(
                        device: address, reason: snapshot.reasonUngrouped(device.address) ?? "unknown"))
            }
            return record
        case (nil, nil, let number?):
            guard let record = snapshot.group(kernelGroup: number) else {
                throw ErrorReply(Groups.Failure.noSuchGroup(id: nil, kernelGroup: number))
            }
            return record
        case (nil, nil, nil): throw .invalidParameter("id")
        case (.some, .some, _): throw .invalidParameter("device")
        default: throw .invalidParameter("kernelGroup")
        }
    }

    func device(
        _ address: Groups.DeviceAddress, in snapshot: Snapshot
    ) throws(ErrorReply) -> Device {
        guard let device = try DeviceAddress(address, "device").flatMap({ snapshot.inventory[$0] }) else {
            throw ErrorReply(Groups.Failure.noSuchDevice(device: address))
        }
        return device
    }

    private func monitor(_ call: Call<Groups.Monitor>) async throws(ErrorReply) -> Groups.Monitor.Reply {
        try call.requireMore()
        let queue = monitors.add(for: call.caller)
        defer { monitors.remove(queue) }
        try await call.send(.init(generation: snapshot.generation, kind: .ready))
        while true {
            for item in await queue.next() where queue.refusal == nil {
                switch item {
                case .event(let event): try await call.send(.init(event))
                case .overflow: try await call.send(.init(generation: snapshot.generation, kind: .overflow))
                }
            }
            if let refusal = queue.refusal { throw refusal }
            if Task.isCancelled || queue.isClosed { throw .clientGone }
        }
    }
}

extension Groups.Monitor.Reply {
    fileprivate init(_ event: GroupEvent) {
        self.init(
            generation: event.generation, kind: .init(event), group: event.group?.text,
            claim: event.claim, member: event.member.map { .init($0) }, cause: event.cause)
    }
}

extension Groups.EventKind {
    /// What the API calls an event.
    public init(_ event: GroupEvent) {
        switch event {
        case .registry(let event): self.init(event.kind)
        case .claim(let event, _): self.init(event.change)
        }
    }

    private init(_ kind: RegistryEvent.Kind) {
        switch kind {
        case .groupAdded: self = .groupAdded
        case .groupRemoved: self = .groupRemoved
        case .memberAdded: self = .memberAdded
        case .memberRemoved: self = .memberRemoved
        case .memberDriverChanged: self = .memberDriverChanged
        case .groupStateChanged: self = .groupStateChanged
        case .deviceAdded: self = .deviceAdded
        case .deviceRemoved: self = .deviceRemoved
        case .degraded: self = .degraded
        }
    }

    private init(_ change: ClaimEvent.Change) {
        switch change {
        case .added, .adopted: self = .claimAdded
        case .changed, .groupChanged: self = .claimChanged
        case .removed: self = .claimRemoved
        case .quarantined: self = .degraded
        case .memberAdded: self = .memberAdded
        case .memberPinned: self = .memberDriverChanged
        case .removalRequested: self = .removalRequested
        case .memberRetaken: self = .memberRetaken
        }
    }
}

extension JSONWriter {
    /// Writes a reply whose one field is an array, an element at a time: all of them as values would be several times
    /// what is written.
    mutating func list(_ elements: some Sequence<some VarlinkValue>, as name: StaticString) {
        object { writer in
            writer.key(name)
            writer.array { writer in for element in elements { element.write(to: &writer) } }
        }
    }
}
