// A socket that a daemon opened itself, as the next one gets it back from the store.

import Foundation
import Testing

@testable import Systemd

@Suite("A socket of the daemon's own")
struct OwnSocketTests {
    private func stored(_ descriptor: Int32, as name: String?) throws -> OwnSocket {
        let name = try #require(name)
        return try #require(OwnSocket(PassedDescriptor(descriptor: dup(descriptor), name: name)))
    }

    @Test("is reached by the path that it listens on, and by no other")
    func reached() throws {
        let listener = try LocalSocket(SOCK_STREAM)
        let socket = try stored(listener.descriptor, as: OwnSocket.storeName(at: listener.path))
        #expect(!socket.isReached(by: listener.path), "it does not listen")
        try #require(listen(listener.descriptor, 1) == 0)
        #expect(socket.path == listener.path)
        #expect(socket.isReached(by: listener.path))
        #expect(!socket.isReached(by: listener.path + "x"))
        socket.remove()
        #expect(access(listener.path, F_OK) != 0)
    }

    @Test("is reached no more when its file is gone or another's, which stays")
    func replaced() throws {
        let listener = try LocalSocket(SOCK_STREAM)
        try #require(listen(listener.descriptor, 1) == 0)
        let name = OwnSocket.storeName(at: listener.path)
        let socket = try stored(listener.descriptor, as: name)
        // Kept under another name, so that its number is not given to the next file.
        try #require(link(listener.path, listener.path + ".old") == 0 && unlink(listener.path) == 0)
        defer { unlink(listener.path + ".old") }
        #expect(!socket.isReached(by: listener.path))
        #expect(OwnSocket.storeName(at: listener.path) == nil)
        let other = try LocalSocket(SOCK_STREAM, at: listener.path)
        #expect(!socket.isReached(by: listener.path))
        #expect(OwnSocket.storeName(at: listener.path) != name)
        socket.remove()
        #expect(access(listener.path, F_OK) == 0)
        withExtendedLifetime(other) {}
    }

    @Test("has the path that it was bound to, with @ for an abstract one")
    func abstract() throws {
        let path = "@vfiogroupd-test-\(UUID().uuidString)"
        let listener = try LocalSocket(SOCK_STREAM, at: path)
        try #require(listen(listener.descriptor, 1) == 0)
        let socket = try stored(listener.descriptor, as: OwnSocket.storeName(at: path))
        #expect(socket.path == path && socket.isReached(by: path))
        socket.remove()
        let null = try stored(open("/dev/null", O_RDONLY), as: OwnSocket.storeName(at: path))
        #expect(null.path == nil && !null.isReached(by: path))
        null.remove()
    }

    @Test(
        "is told from other descriptors by its name", arguments: ["varlink", "claim-1.owner", "stored", "own-sockets"])
    func otherNames(_ name: String) {
        #expect(OwnSocket(PassedDescriptor(descriptor: 3, name: name)) == nil)
    }
}
