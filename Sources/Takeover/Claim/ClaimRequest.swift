// What a client asks for.

import EventLoop
import Grouping
import Inventory
import PCI

/// Which groups are meant.
public enum GroupSelector: Equatable, Sendable {
    case group(String)
    case device(DeviceAddress)
    /// Groups that can be had now and have an endpoint that agrees in all that is given.
    case endpoint(EndpointPattern, count: Int)
}

extension GroupSelector {
    /// What was asked for, in words.
    public var text: String {
        switch self {
        case .group(let id): id
        case .device(let address): address.description
        case .endpoint(_, let count): "\(count) by IDs"
        }
    }
}

/// What an endpoint should be.
public struct EndpointPattern: Equatable, Sendable {
    public var vendorID: UInt16?
    public var deviceID: UInt16?
    public var classCode: ClassCode?
    /// Which of the 24 bits of the class code count.
    public var classMask: UInt32

    public init(vendorID: UInt16?, deviceID: UInt16?, classCode: ClassCode?, classMask: UInt32 = 0xffff00) {
        self.vendorID = vendorID
        self.deviceID = deviceID
        self.classCode = classCode
        self.classMask = classMask
    }

    func matches(_ device: Device) -> Bool {
        guard let pci = device.pci, !pci.isBridge else { return false }
        let ids = pci.identification
        if let vendorID, ids.vendorID != vendorID { return false }
        if let deviceID, ids.deviceID != deviceID { return false }
        guard let classCode else { return true }
        return ids.classCode.map { $0.rawValue & classMask == classCode.rawValue & classMask } ?? false
    }
}

/// A claim that is asked for.
public struct ClaimRequest: Equatable, Sendable {
    public var selectors: [GroupSelector]
    public var name: String?
    public var lifetime: Lifetime
    public var access: Access
    public var leaveOut: [DeviceAddress]
    /// For `path`: who may open the nodes; nil for the owner.
    public var user: UInt32?
    /// Members to take though the host uses them.
    public var force: [DeviceAddress]
    /// How long to wait for groups that other claims have.
    public var wait: Duration
    /// For `path`: how long it is waited for who is to open the nodes; nil for as long as the operator says.
    public var consumerTimeout: ConsumerTimeout?
    /// It was reserved, so that whoever prepared its devices did it for this claim: they may be on vfio drivers already,
    /// and an override that keeps host drivers away is none to go back to.
    public var isReservation = false

    public init(
        _ selectors: [GroupSelector], name: String? = nil, lifetime: Lifetime = .process, access: Access = .hold,
        leaveOut: [DeviceAddress] = [], user: UInt32? = nil, force: [DeviceAddress] = [], wait: Duration = .zero
    ) {
        self.selectors = selectors
        self.name = name
        self.lifetime = lifetime
        self.access = access
        self.leaveOut = leaveOut
        self.user = user
        self.force = force
        self.wait = wait
    }
}
