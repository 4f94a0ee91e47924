// A launcher: what groups there are, one of them claimed, what was handed over, and all of it given back.
import VFIOGroupClient

let client = GroupClient()
for group in try await client.groups() {
    print(group.id, group.state.rawValue, group.members.map(\.address.name))
}
let claim = try await client.claim(.device(.pci("0000:01:00.0")), name: "launcher", access: .bound)
for descriptor in claim.descriptors { print("handed over:", descriptor) }
// Here the virtual machine runs.
print("given back:", try await claim.release().state)
