@main
struct GraftBenchmarksMain {
  static func main() {}
}
