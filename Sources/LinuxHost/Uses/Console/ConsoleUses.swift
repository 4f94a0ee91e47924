// The host's consoles: serial ports that the kernel writes its messages to, and the keyboard of the screen.

import EventLoop
import Host

/// What consoles the devices have.
struct ConsoleUses: UseSource {
    /// The terminals that the kernel writes to, by their names, with their folders.
    var terminals: [String: [String]] = [:]
    /// Keyboards by the devices that are asked about, if no other keyboard is left on a host with a screen.
    var lastKeyboards: [Keyboard] = []
    /// Why not all is known of terminals.
    var unreadTerminals: String?
    /// The folders of terminals that are devices'.
    var ports: [[String]] = []

    @LoopActor static func read(_ question: UseQuestion) async -> ConsoleUses {
        let reader = UseReader(below: question.host.root)
        var uses = ConsoleUses()
        let proc = ProcReader(below: question.host.root)
        let names = consoles(proc.text("consoles") ?? "")
        let subjects = question.subjects
        for (name, path) in reader.devices("class/tty") where subjects.contains(where: { $0.has(path) }) {
            uses.ports.append(path)
            // "Y", for a port of the serial core, where /proc/consoles is not there
            if names.contains(name) || reader.text("console", in: path) == "Y" { uses.terminals[name] = path }
        }
        uses.unreadTerminals = proc.failure ?? reader.failure
        // A dummy console shows nothing: nobody types at it.
        let hasScreen = reader.devices("class/vtconsole").contains { console in
            reader.text("bind", in: console.path) == "1"
                && reader.text("name", in: console.path)?.hasSuffix("dummy device") == false
        }
        if hasScreen {
            let keyboards = Keyboard.all(reader)
            let own = keyboards.filter { keyboard in subjects.contains { $0.has(keyboard.path) } }
            if own.count == keyboards.count { uses.lastKeyboards = own }
        }
        return uses
    }

    /// The names in /proc/consoles: "ttyS0   -W- (EC p a)    4:64".
    static func consoles(_ text: String) -> Set<String> {
        Set(text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map { String($0) } })
    }

    func kinds(of subject: UseSubject) -> [DeviceUse.Kind] {
        var kinds: [DeviceUse.Kind] = terminals.sorted { $0.key < $1.key }.filter { subject.has($0.value) }
            .map { .kernelConsole(terminal: $0.key) }
        kinds += lastKeyboards.filter { subject.has($0.path) }.map { .onlyKeyboard(name: $0.name) }
        if let unreadTerminals, ports.contains(where: subject.has) { kinds.append(.unknown(reason: unreadTerminals)) }
        return kinds
    }
}
