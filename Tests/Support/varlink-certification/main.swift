import CLinux
import EventLoop
import Glibc
import Varlink

// Serves org.varlink.certification on the socket that is given as `--varlink=unix:PATH`, until SIGTERM.

let option = "--varlink=unix:"
guard let argument = CommandLine.arguments.dropFirst().first, argument.hasPrefix(option) else {
    print("usage: varlink-certification \(option)PATH")
    exit(2)
}
let path = String(argument.dropFirst(option.count))

func serve() async -> Int32 {
    do {
        let signals = try await Signals([SIGTERM, SIGINT])
        let server = await VarlinkServer(
            .init(vendor: "vfiogroupd", product: "Varlink certification", version: "1", url: "https://varlink.org"))
        await Certification.serve(on: server)
        try await server.listen(path: path)
        _ = try await signals.next()
        await server.stop(within: .seconds(1))
        return 0
    } catch {
        print("\(error)")
        return 1
    }
}

do {
    exit(try EventLoop.main.run { await serve() })
} catch {
    print("\(error)")
    exit(1)
}
