// The terms of claims as the journal has them, and back.

extension Journal.Lifetime {
    init(_ lifetime: Lifetime) {
        switch lifetime {
        case .process: self = .process
        case .connection: self = .connection
        case .manual: self = .manual
        }
    }
}

extension Lifetime {
    init(_ lifetime: Journal.Lifetime) {
        switch lifetime {
        case .process: self = .process
        case .connection: self = .connection
        case .manual: self = .manual
        }
    }
}

extension Journal.Access {
    init(_ access: Access) {
        switch access {
        case .hold: self = .hold
        case .bound: self = .bound
        case .unbound: self = .unbound
        case .container: self = .container
        case .path: self = .path
        }
    }
}

extension Access {
    init(_ access: Journal.Access) {
        switch access {
        case .hold: self = .hold
        case .bound: self = .bound
        case .unbound: self = .unbound
        case .container: self = .container
        case .path: self = .path
        }
    }
}

extension Journal.Goal {
    init(_ goal: Goal) {
        switch goal {
        case .take: self = .take
        case .hold: self = .hold
        case .restore: self = .restore
        }
    }
}

extension Goal {
    init(_ goal: Journal.Goal) {
        switch goal {
        case .take: self = .take
        case .hold: self = .hold
        case .restore: self = .restore
        }
    }
}
