// Interface definitions: what the common subset allows means the same in the full grammar, and code is made of it.

import Varlink

func fuzzIDL(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    let full: InterfaceDefinition
    do throws(IDLError) { full = try InterfaceDefinition(parsing: text, file: "input", strict: false) } catch {
        require(!"\(error)".isEmpty, "an error without words")
        let strict = try? InterfaceDefinition(parsing: text, file: "input")
        require(strict == nil, "the subset takes more than the grammar")
        return
    }
    guard let strict = try? InterfaceDefinition(parsing: text, file: "input") else { return }
    require(strict == full, "the subset reads \(strict), and the grammar \(full)")
}
