@main
struct GraftCommandMain {
  static func main() {}
}
