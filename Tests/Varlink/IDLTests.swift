import Testing
import Varlink

@Suite("The definition language")
struct IDLTests {
    private func parse(_ text: String, strict: Bool = true) throws(IDLError) -> InterfaceDefinition {
        try InterfaceDefinition(parsing: text, file: "x.varlink", strict: strict)
    }

    private func fault(_ text: String, strict: Bool = true) -> String? {
        do throws(IDLError) {
            _ = try parse(text, strict: strict)
            return nil
        } catch { return error.description }
    }

    @Test("A definition becomes its tree, with the comments of everything")
    func tree() throws {
        let definition = try parse(
            """
            # Licence

            # About it.
            #
            #  Indented.
            interface org.example.x1

            # A type.
            type T (
              # A field.
              a: ?[]string,
              # Another.
              b: (one, two)
            )
            # A method.
            method M(t: T) -> (
              # What comes.
              m: [string]T
            )
            # An error.
            error E (code: int)
            """)
        #expect(definition.name == "org.example.x1")
        #expect(definition.comment == ["About it.", "", " Indented."])
        let type = try #require(definition.types.first)
        #expect(type.comment == ["A type."])
        guard case .structure(let fields) = type.body else {
            throw IDLError(file: "", line: 0, message: "no structure")
        }
        #expect(fields.map(\.comment) == [["A field."], ["Another."]])
        #expect(fields[0].type == .optional(.array(.string)))
        #expect(fields[0].line == 11)
        #expect(definition.methods.first?.reply.first?.type == .map(.named("T")))
        #expect(definition.methods.first?.reply.first?.comment == ["What comes."])
        #expect(definition.errors.first?.name == "E")
    }

    @Test(
        "What is wrong is told with its line",
        arguments: [
            ("", "1: expected 'interface'"), ("type T ()", "1: expected 'interface'"),
            ("interface x", "1: 'x' is no interface name"), ("interface a..b", "1: 'a..b' is no interface name"),
            ("interface a.b-\n", "1: 'a.b-' is no interface name"),
            (
                "interface a.b\nmethod m() -> ()",
                "2: expected the name of the method, which begins with an upper-case letter"
            ),
            ("interface a.b\nmethod M()", "2: expected '->'"),
            ("interface a.b\nfoo", "2: expected 'type', 'method' or 'error', not 'foo'"),
            ("interface a.b\nmethod M(\n a: int\n b: int) -> ()", "4: expected ',' or ')'"),
            ("interface a.b\nmethod M(a: int,) -> ()", "2: a comma before ')'"),
            ("interface a.b\nmethod M(a: integer) -> ()", "2: 'integer' is no type"),
            ("interface a.b\nmethod M(a: ??int) -> ()", "2: '?' twice"),
            ("interface a.b\nmethod M(a: int, a: int) -> ()", "2: 'a' twice"),
            ("interface a.b\nmethod M(a, b) -> ()", "2: expected 'name: type'"),
            ("interface a.b\nmethod M(a: T) -> ()", "2: no type 'T' in this interface"),
            ("interface a.b\nmethod M() -> ()\nerror M ()", "3: 'M' is defined on line 2 already"),
            ("interface a.b\nmethod M(a_: int) -> ()", "2: 'a_' is no field name"),
            ("interface a.b\nmethod M(a: %) -> ()", "2: unexpected character '%'"),
            ("interface a.b\nmethod M(a: int) -> (", "2: expected a field's name"),
        ])
    func wrong(_ text: String, _ message: String) {
        #expect(fault(text) == "x.varlink:" + message)
    }

    @Test(
        "What not every implementation parses is refused, but in full grammar",
        arguments: [
            "interface a.b\nmethod M(a: any) -> ()", "interface a.b\ntype T ()\nmethod M() -> ()",
            "interface a.b\nmethod M(a: ()) -> ()", "interface a.b\nmethod M(a: [string]()) -> ()",
            "interface a.b\nmethod M(a: [][]int) -> ()", "interface a.b\nmethod M(a: []?int) -> ()",
            "interface a.b\nmethod M() -> () # trailing", "interface a.b # trailing\nmethod M() -> ()",
            "interface a.b\r\nmethod M() -> ()\r\n", "interface a.b-c\nmethod M() -> ()",
            "interface a.b\nmethod M(Upper: int) -> ()", "interface a.b\nerror E ()",
        ])
    func subset(_ text: String) {
        #expect(fault(text)?.contains("not every Varlink implementation parses") == true)
        #expect(fault(text, strict: false) == nil)
    }

    @Test("No prefix and no single changed character of a definition makes the parser trap")
    func mutations() {
        let text = Array(
            "# c\ninterface a.b\n# d\nmethod M(a: ?[]T) -> (b: [string](c: int))\ntype T (one, two)\n".utf8)
        for end in text.indices { _ = fault(String(decoding: text[..<end], as: UTF8.self)) }
        for index in text.indices {
            for byte in Array("#(),:?->[]\n\r aA0_.\u{80}".utf8) {
                var mutant = text
                mutant[index] = byte
                _ = fault(String(decoding: mutant, as: UTF8.self))
            }
        }
    }
}
