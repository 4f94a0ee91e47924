// Looking for one sequence in another. `firstRange(of:)`, `ranges(of:)`, `replacing(_:with:)` and a String's `contains` of
// another would do; they are in _StringProcessing, which brings the parser of regular expressions along: more than a
// megabyte of a daemon that is linked statically.

extension Collection where Element: Equatable {
    /// Where `other` stands in it, from the front, without overlaps; nowhere for an empty one.
    func runs(of other: some Collection<Element>) -> [Range<Index>] {
        guard !other.isEmpty else { return [] }
        var found: [Range<Index>] = []
        var start = startIndex
        while start != endIndex {
            if let end = end(of: other, at: start) {
                found.append(start..<end)
                start = end
            } else {
                formIndex(after: &start)
            }
        }
        return found
    }

    /// Where `other` ends if it begins at `start`.
    private func end(of other: some Collection<Element>, at start: Index) -> Index? {
        var index = start
        for element in other {
            guard index != endIndex, self[index] == element else { return nil }
            formIndex(after: &index)
        }
        return index
    }
}
