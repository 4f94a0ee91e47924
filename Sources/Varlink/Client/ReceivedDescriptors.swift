public import EventLoop
import Glibc
import Synchronization

/// The descriptors that came with a reply. Those that are not taken are closed with this object.
public final class ReceivedDescriptors: Sendable {
    // -1 where one was taken.
    private let numbers: Mutex<[Int32]>

    init(_ numbers: [Int32]) { self.numbers = Mutex(numbers) }

    deinit {
        for number in numbers.withLock({ $0 }) where number >= 0 { close(number) }
    }

    /// How many came.
    public var count: Int { numbers.withLock { $0.count } }

    /// Takes the descriptor that the reply's parameters refer to as `index`; nil when there is none, or it was taken.
    public func take(_ index: Int) -> Descriptor? {
        let number = numbers.withLock { numbers -> Int32 in
            guard numbers.indices.contains(index) else { return -1 }
            defer { numbers[index] = -1 }
            return numbers[index]
        }
        return number < 0 ? nil : Descriptor(owning: number)
    }
}
