// Sound, consoles, keyboards, watchdogs, Thunderbolt. Each with a twin that is free.

import EventLoop
import Host
import Inventory
import PCI
import Testing
import TestSupport

@testable import LinuxHost

@Suite("What a host uses: sound, consoles, chipset", .timeLimit(.minutes(15)))
struct ConsoleUseTests {
    @Test("sound that runs warns")
    @LoopActor func sound() async throws {
        let machine = try UseMachine(classCode: 0x040300, driver: "snd_hda_intel")
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let card = machine.components(device).joined(separator: "/") + "/sound/card\(number)"
            machine.list("card\(number)", in: "class/sound", at: card)
            machine.write("proc/asound/card\(number)/pcm0p/sub0/status", "closed")
            machine.write("proc/asound/card\(number)/pcm3p/sub0/status", "state: PREPARED\nowner_pid   : 812")
        }
        #expect(await machine.uses() == [])
        machine.write("proc/asound/card0/pcm3p/sub0/status", "state: RUNNING\nowner_pid   : 812\ntrigger_time: 1.2")
        let uses = await machine.uses()
        #expect(uses == [DeviceUse(machine.device, .sound(stream: "pcm3p"))])
        #expect(uses.allSatisfy { !$0.stopsClaim })
        // A file that is there and cannot be read may say anything.
        machine.sysfs.folder.remove("proc/asound/card1/pcm0p/sub0/status")
        machine.sysfs.folder.makeFolder("proc/asound/card1/pcm0p/sub0/status")
        #expect(await machine.uses(machine.twin).map(\.kind.rule.severity) == [.unknown])
    }

    @Test("a serial port that the kernel writes to, below the ports of the serial core")
    @LoopActor func kernelConsole() async throws {
        let machine = try UseMachine(classCode: 0x070002, driver: "serial")
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let port = machine.components(device).joined(separator: "/") + "/\(device.name):0/\(device.name):0.0"
            machine.list("ttyS\(number + 4)", in: "class/tty", at: "\(port)/tty/ttyS\(number + 4)")
            machine.write("sys/\(port)/tty/ttyS\(number + 4)/console", "N")
        }
        machine.list("ttyS0", in: "class/tty", at: "devices/platform/serial8250/tty/ttyS0")
        let console = "tty0                 -WU (EC  p  )    4:7\n"
        machine.write("proc/consoles", console + "ttyS0                -W- (E   p a)    4:64")
        #expect(await machine.uses() == [])
        machine.write("proc/consoles", console + "ttyS4                -W- (EC  p a)    4:68")
        #expect(await machine.uses() == [DeviceUse(machine.device, .kernelConsole(terminal: "ttyS4"))])
        machine.sysfs.folder.remove("proc/consoles")
        let port = machine.path(machine.twin) + "/\(machine.twin.name):0/\(machine.twin.name):0.0/tty/ttyS5"
        machine.write(port + "/console", "Y")
        #expect(await machine.uses() == [DeviceUse(machine.twin, .kernelConsole(terminal: "ttyS5"))])
        machine.sysfs.folder.makeFolder("proc/consoles")
        #expect(await machine.uses(machine.device).map(\.kind.rule.severity) == [.unknown])
    }

    // A keyboard's, a power button's and a mouse's `capabilities/key`, of a laptop.
    private static let keyboard = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe"
    private static let button = "10000000000000 0"
    private static let mouse = "1f0000 0 0 0 0"

    @Test("the only keyboard of a host with a screen warns")
    @LoopActor func keyboard() async throws {
        let machine = try UseMachine(classCode: 0x0c0330, driver: "xhci_hcd")
        func input(_ number: Int, _ name: String, _ keys: String, below folder: String) {
            let path = "\(folder)/input/input\(number)"
            machine.list("input\(number)", in: "class/input", at: path)
            machine.write("sys/\(path)/name", name)
            machine.write("sys/\(path)/capabilities/key", keys)
        }
        func usb(_ device: DeviceAddress) -> String {
            machine.components(device).joined(separator: "/") + "/usb1/1-1/1-1:1.0/0003:046D:C31C.0001"
        }
        input(0, "Power Button", Self.button, below: "devices/LNXSYSTM:00/LNXPWRBN:00")
        input(5, "Logitech USB Keyboard", Self.keyboard, below: usb(machine.device))
        input(6, "Logitech USB Mouse", Self.mouse, below: usb(machine.twin))
        input(7, "made up", Self.keyboard, below: "devices/virtual")
        // Nobody looks at it.
        machine.write("sys/devices/virtual/vtconsole/vtcon0/name", "(S) dummy device")
        machine.write("sys/devices/virtual/vtconsole/vtcon0/bind", "1")
        machine.list("vtcon0", in: "class/vtconsole", at: "devices/virtual/vtconsole/vtcon0")
        #expect(await machine.uses() == [])
        machine.write("sys/devices/virtual/vtconsole/vtcon0/name", "(S) VGA+")
        let uses = await machine.uses()
        #expect(uses == [DeviceUse(machine.device, .onlyKeyboard(name: "Logitech USB Keyboard"))])
        #expect(uses.allSatisfy { !$0.stopsClaim })
        input(8, "USB Keyboard", Self.keyboard, below: usb(machine.twin))
        #expect(await machine.uses(machine.device) == [])
        // Whoever asks for both loses both.
        #expect(await machine.uses().map(\.device) == [machine.device, machine.twin])
        #expect(!Keyboard.isKeyboard("") && !Keyboard.isKeyboard("x"))
    }

    @Test("a watchdog that runs, and one that does not")
    @LoopActor func watchdog() async throws {
        let machine = try UseMachine(classCode: 0x0c0500, driver: "i801_smbus")
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let folder = machine.components(device).joined(separator: "/") + "/iTCO_wdt/watchdog/watchdog\(number)"
            machine.list("watchdog\(number)", in: "class/watchdog", at: folder)
            machine.write("sys/\(folder)/identity", "iTCO_wdt")
            machine.write("sys/\(folder)/state", number == 0 ? "active" : "inactive")
        }
        #expect(await machine.uses() == [DeviceUse(machine.device, .watchdog(name: "iTCO_wdt (watchdog0)"))])
        machine.write(machine.path(machine.device) + "/iTCO_wdt/watchdog/watchdog0/state", "inactive")
        #expect(await machine.uses() == [])
    }

    @Test("what hangs on a Thunderbolt controller, the first of a chain by its name")
    @LoopActor func thunderbolt() async throws {
        let machine = try UseMachine(classCode: 0x0c0340, driver: "thunderbolt")
        for (number, device) in [machine.device, machine.twin].enumerated() {
            let domain = machine.components(device).joined(separator: "/") + "/domain\(number)"
            machine.list("domain\(number)", in: "bus/thunderbolt/devices", at: domain)
            machine.list("\(number)-0", in: "bus/thunderbolt/devices", at: "\(domain)/\(number)-0")
            machine.list("\(number)-0:1.1", in: "bus/thunderbolt/devices", at: "\(domain)/\(number)-0/\(number)-0:1.1")
        }
        #expect(await machine.uses() == [])
        let host = machine.components(machine.device).joined(separator: "/") + "/domain0/0-0"
        machine.list("0-1", in: "bus/thunderbolt/devices", at: host + "/0-1")
        machine.write("sys/\(host)/0-1/vendor_name", "Dell")
        machine.write("sys/\(host)/0-1/device_name", "WD19TB")
        machine.list("0-301", in: "bus/thunderbolt/devices", at: host + "/0-1/0-301")
        #expect(await machine.uses() == [DeviceUse(machine.device, .routed(device: "Dell WD19TB"))])
    }
}
