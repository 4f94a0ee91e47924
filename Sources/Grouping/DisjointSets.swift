// Union-find: which devices belong together when several rules put them together.

/// Sets of the numbers 0..<count that only grow together.
struct DisjointSets {
    private var parent: [Int]

    /// Every number alone.
    init(count: Int) { parent = Array(0..<count) }

    /// The number that stands for the set of `element`.
    mutating func representative(of element: Int) -> Int {
        var current = element
        while parent[current] != current {
            parent[current] = parent[parent[current]]
            current = parent[current]
        }
        return current
    }

    /// Makes one set of all that hold any of these.
    mutating func unite(_ elements: some Sequence<Int>) {
        var first: Int?
        for element in elements {
            let root = representative(of: element)
            if let first { parent[root] = representative(of: first) } else { first = root }
        }
    }
}
