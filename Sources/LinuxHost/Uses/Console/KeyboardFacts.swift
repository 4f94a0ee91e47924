// The keyboards of a machine, as input devices: by the keys that they have, as udev tells them.

import EventLoop
import PCI

/// An input device with the keys of a keyboard.
struct Keyboard: Equatable, Sendable {
    var name: String
    /// Its folder.
    var path: [String]

    /// Whether the keys are a keyboard's: all of the first 32 but 0, escape and digits to S
    /// (systemd's udev-builtin-input_id.c). A power button or a mouse has keys as well.
    ///
    /// - Parameter bits: `capabilities/key`, words of a bitmap of which the last is the first.
    /// - Returns: false for what is no bitmap.
    static func isKeyboard(_ bits: String) -> Bool {
        guard let last = bits.split(separator: " ").last, let word = hexadecimalNumber(last) else { return false }
        return word & 0xffff_fffe == 0xffff_fffe
    }

    /// All keyboards that are hardware's: what a program has made up is nobody's way in.
    @LoopActor
    static func all(_ reader: UseReader) -> [Keyboard] {
        reader.devices("class/input").compactMap { name, path in
            guard name.hasPrefix("input"), !path.starts(with: ["devices", "virtual"]),
                let bits = reader.text("key", in: path + ["capabilities"]), isKeyboard(bits)
            else { return nil }
            return Keyboard(name: reader.text("name", in: path) ?? name, path: path)
        }
    }
}
