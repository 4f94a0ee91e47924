/// What this program is.
enum Version {
    /// Its version.
    static let text = "0.1.0"
    static let vendor = "The vfiogroupd developers"
    static let product = "vfiogroupd"
    static let url = "https://github.com/vfiogroupd/vfiogroupd"
}
