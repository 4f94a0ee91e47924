/// An async program that does nothing: what the toolchain's standard library and concurrency runtime weigh alone.
@main
struct Empty {
    static func main() async { await Task.yield() }
}
