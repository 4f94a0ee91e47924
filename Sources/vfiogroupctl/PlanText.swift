// What a claim would do, as people read it.

import GroupAPI

extension Claims.Plan {
    /// All of it, over several lines.
    var text: String {
        var lines = [
            refused
                ? "The claim would be refused, because the host uses what it would take. Nothing was changed."
                : "The claim would take this. Nothing was changed.", "", memberTable,
        ]
        func add(_ title: String, _ rows: [String]) {
            guard !rows.isEmpty else { return }
            lines += ["", title] + rows.map { "  " + $0 }
        }
        add("The host uses:", uses.flatMap(\.lines))
        add("Passed over, because the host uses it:", passedOver.flatMap(\.lines))
        add("Goes with a driver that is taken away:", groups.flatMap(\.lost).map(\.text))
        for group in groups {
            add(
                "Steps for \(group.id):",
                group.steps.enumerated().map { number, step in
                    let what = step.member?.text ?? step.driver ?? step.kernelGroup.map { "kernel group \($0)" }
                    return "\(number + 1). " + [step.action, what].compactMap { $0 }.joined(separator: " ")
                })
        }
        return lines.joined(separator: "\n")
    }

    /// The members, with the driver that each has and the one that it would get.
    private var memberTable: String {
        var table = Table("GROUP", "DEVICE", "NOW", "", "THEN", "")
        for group in groups {
            for (number, member) in group.members.enumerated() {
                table.add(
                    number == 0 ? group.id : "", member.address.text, member.driver ?? "-", "->",
                    member.vfioDriver ?? "-", member.selected ? "" : "comes along")
            }
        }
        return table.text
    }
}
