import Testing

@testable import EventLoop

@Suite("The timer heap")
struct TimerHeapTests {
    @Test("What is inserted in any order comes out in order")
    func order() {
        var heap = TimerHeap<UInt64>()
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let time = generator.next() % 500
            _ = heap.insert(MonotonicTime(nanoseconds: time), time)
        }
        var last: UInt64 = 0
        while let time = heap.popDue(at: MonotonicTime(nanoseconds: 500)) {
            #expect(time >= last)
            last = time
        }
        #expect(heap.count == 0)
    }

    @Test("A removed timer never comes up, and many removed ones do not pile up")
    func removal() {
        var heap = TimerHeap<Int>()
        let kept = (0..<10).map { heap.insert(MonotonicTime(nanoseconds: UInt64(1000 + $0)), $0) }
        for round in 0..<10_000 {
            let id = heap.insert(MonotonicTime(nanoseconds: UInt64(round)), -1)
            #expect(heap.remove(id) == -1)
        }
        #expect(heap.count == kept.count)
        #expect(heap.earliest == MonotonicTime(nanoseconds: 1000))
        #expect(heap.popDue(at: MonotonicTime(nanoseconds: 999)) == nil)
        #expect((0..<10).map { _ in heap.popDue(at: MonotonicTime(nanoseconds: .max)) } == (0..<10).map { $0 })
    }

    @Test("Times that overflow end at the end of time")
    func overflow() {
        let late = MonotonicTime(nanoseconds: .max - 5)
        #expect(late + .seconds(1) == MonotonicTime(nanoseconds: .max))
        #expect(late + .seconds(Int64.max) == MonotonicTime(nanoseconds: .max))
        #expect(late + .seconds(-1) == late)
    }
}
