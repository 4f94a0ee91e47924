import GroupAPI
import HostSnapshot
import Inventory
import JSON

extension Inventory {
    /// The inventory after a journey through a snapshot in its JSON form.
    public static func replaying(_ inventory: Inventory) throws -> Inventory {
        var writer = JSONWriter()
        inventory.snapshot().write(to: &writer)
        return try Inventory(snapshot: writer.bytes)
    }
}
