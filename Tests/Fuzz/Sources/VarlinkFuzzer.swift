// The wire: a stream in pieces has the messages that it has in one; a call that was read and is written again reads the
// same, and so do the parameters of every method and the replies that clients read.

import GroupAPI
import JSON

@testable import Varlink

func fuzzVarlink(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let stream = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    let whole = messages(of: stream, pieces: max(1, stream.count))
    let cut = messages(of: stream, pieces: Int(first) + 1)
    require(whole == cut, "in pieces of \(Int(first) + 1) the messages are \(cut), and not \(whole)")
    for message in whole {
        message.withUnsafeBytes { bytes in
            readCall(bytes)
            readReply(bytes)
        }
    }
}

private func messages(of stream: UnsafeRawBufferPointer, pieces: Int) -> [[UInt8]] {
    var framer = MessageFramer(limit: 4096)
    var messages: [[UInt8]] = []
    var rest = stream[...]
    while !rest.isEmpty {
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(pieces))
        rest = rest.dropFirst(pieces)
        do {
            if let whole = framer.whole(piece) {
                messages.append(Array(whole))
                continue
            }
            framer.append(piece)
            while let message = try framer.next({ (bytes) throws(CloseReason) in Array(bytes) }) {
                messages.append(message)
            }
        } catch { return messages }
    }
    return messages
}

private func readCall(_ bytes: UnsafeRawBufferPointer) {
    guard let call = try? CallMessage(parsing: bytes, limits: JSONLimits()) else { return }
    var writer = JSONWriter()
    CallMessage.write(method: call.method, parameters: call.parameters, mode: call.mode, to: &writer)
    let again = try? CallMessage(
        parsing: UnsafeRawBufferPointer(rebasing: writer.buffer.dropLast()), limits: JSONLimits())
    require(again == call, "\(call) reads differently: \(String(describing: again))")
    let value = JSONValue.object(call.parameters)
    read(value, as: Groups.GetGroup.Parameters.self, .call)
    read(value, as: Groups.Explain.Parameters.self, .call)
    read(value, as: Claims.Claim.Parameters.self, .call)
    read(value, as: Claims.Attach.Parameters.self, .call)
    read(value, as: Manager.TakeSnapshot.Parameters.self, .call)
}

private func readReply(_ bytes: UnsafeRawBufferPointer) {
    guard let reply = try? ReplyMessage(parsing: bytes, limits: .lenient) else { return }
    let value = JSONValue.object(reply.parameters)
    read(value, as: Groups.GetGroup.Reply.self, .reply)
    read(value, as: Groups.Explain.Reply.self, .reply)
    read(value, as: Claims.GetClaim.Reply.self, .reply)
    read(value, as: Manager.GetStatus.Reply.self, .reply)
}

/// A value that was read, and is written again, reads the same.
func read<Value: VarlinkValue>(_ value: JSONValue, as type: Value.Type, _ mode: ReadingMode) {
    guard let read = try? Value(reading: value, mode) else { return }
    var writer = JSONWriter()
    read.write(to: &writer)
    guard let text = try? JSONValue(parsing: writer.buffer, limits: .lenient),
        let again = try? Value(reading: text, .call)
    else { fatalError("\(type) cannot be read again: \(String(decoding: writer.buffer, as: UTF8.self))") }
    require(again == read, "\(type) reads differently: \(String(decoding: writer.buffer, as: UTF8.self))")
}
