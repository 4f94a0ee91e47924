// How a call into the simulated kernel ends: at once, with an error, or not yet.

import Inventory

extension SimulatedKernel {
    /// A call that has not returned. On a real host a child process sits in it; here it ends when another call lets it.
    public struct Operation: Hashable, Sendable, CustomStringConvertible {
        let number: Int
        public var description: String { "operation \(number)" }
    }

    /// How a write to sysfs ended.
    public enum Outcome: Equatable, Sendable {
        /// The write returned as many bytes as it was given. Whether it did anything is for the read-back to tell.
        case done
        case failed(KernelErrno)
        /// It has not returned; `outcome(of:)` tells when it has.
        case blocked(Operation)
    }

    /// Why a call that yields something yielded nothing.
    public enum Refusal: Error, Equatable, Sendable {
        case failed(KernelErrno)
        /// It has not returned. What was asked for is had by asking again once the operation is over.
        case blocked(Operation)
    }
}
