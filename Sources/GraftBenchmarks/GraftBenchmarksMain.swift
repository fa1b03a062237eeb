import Graft
import GraftCore
import GraftKernels

/// `graft-benchmarks`: what the comparisons of `Tests/Peers` ask of the library and no verb prints.
@main
struct GraftBenchmarksMain {
  private static let usage = """
    usage: graft-benchmarks logits MODEL IDS.json OUT_DIRECTORY [bf16|f32] [ADAPTER]
           graft-benchmarks tokenize TOKENIZER.json LINES.json [ROUNDS]
           graft-benchmarks attention BATCH LENGTH bf16|f32 THREADS
           graft-benchmarks products MODEL BATCH LENGTH [bf16|f32]
           graft-benchmarks kernels [THREADS]
    """

  static func main() {
    do {
      try run(Array(CommandLine.arguments.dropFirst()))
    } catch let error as any DiagnosableError {
      fail(error.diagnosis.summary + (error.diagnosis.location.map { "\n  \($0)" } ?? ""))
    } catch {
      fail("\(error)")
    }
  }

  private static func run(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("logits", 4...6):
      guard let precision = ComputePrecision(rawValue: arguments.count > 4 ? arguments[4] : "f32")
      else { fail(usage) }
      try Logits(
        model: arguments[1], ids: arguments[2], output: arguments[3], precision: precision,
        adapter: arguments.count > 5 ? arguments[5] : nil
      ).run()
    case ("tokenize", 3...4):
      guard let rounds = Int(arguments.count > 3 ? arguments[3] : "1"), rounds > 0 else {
        fail(usage)
      }
      print(try Tokenization(tokenizer: arguments[1], lines: arguments[2], rounds: rounds).run())
    case ("attention", 5):
      guard let batch = Int(arguments[1]), let length = Int(arguments[2]), batch > 0, length > 0,
        let precision = ComputePrecision(rawValue: arguments[3]),
        let threads = Int(arguments[4]), threads > 0
      else { fail(usage) }
      let attention = Attention(
        batch: batch, sequence: length, dtype: precision == .bf16 ? .bf16 : .f32, threads: threads)
      print(try attention.run())
    case ("products", 4...5):
      guard let batch = Int(arguments[2]), let length = Int(arguments[3]), batch > 0, length > 0,
        let precision = ComputePrecision(rawValue: arguments.count > 4 ? arguments[4] : "bf16")
      else { fail(usage) }
      let products = Products(
        model: arguments[1], batchSize: batch, sequenceLength: length, precision: precision)
      print(try products.run())
    case ("kernels", 1...2):
      let threads = arguments.count > 1 ? Int(arguments[1]) : ThreadPool.processorCount
      guard let threads, threads > 0 else { fail(usage) }
      print(try FusedPasses(threads: threads).run())
    default: fail(usage)
    }
  }
}
