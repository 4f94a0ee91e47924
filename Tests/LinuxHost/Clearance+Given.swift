// Leave without a look, for tests of the calls themselves.

import Inventory

@testable import Host

extension Clearance {
    /// Leave to touch whatever is there.
    static func given(_ device: DeviceAddress) -> Clearance { Clearance(device, DeviceBinding()) }
}
