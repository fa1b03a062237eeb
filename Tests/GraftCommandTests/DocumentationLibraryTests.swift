import Foundation
import TestSupport
import Testing

// README:begin
import Graft

/// Trains an adapter for `base` on `text`, merges it, and gives the tuned model's loss.
func adapt(_ base: String, to text: String, output: String) throws -> Double {
  let model = try LanguageModel(base)
  try model.train(
    TrainingRequest(
      adapter: LoRAConfiguration(rank: 8, alpha: 32, targetModules: ["q_proj", "v_proj"]),
      data: [text], output: output + "/adapter",
      settings: TrainingSettings(steps: 20, batchSize: 8, sequenceLength: 256)))

  let receipt = try merge(
    base: OpenedCheckpoint(path: base), adapters: [WeightedAdapter(path: output + "/adapter")],
    output: output + "/merged")
  print(receipt)

  return try LanguageModel(output + "/merged").evaluate([text], sequenceLength: 256).loss
}
// README:end

/// The library as README.md shows it.
struct DocumentationLibraryTests {
  @Test func `README shows the code of this file`() throws {
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let parts = source.split(separator: "// README:").dropFirst()
    let code = try #require(parts.first).dropFirst("begin\n".count)
    let readme = try Documentation.text(of: "README.md")
    #expect(readme.contains("```swift\n" + code + "```"))
  }

  @Test func `the code of README adapts a model`() throws {
    let scratch = TemporaryFolder()
    let fixtures = Documentation.root + "/Fixtures"
    let text = fixtures + "/text/gospels.txt"
    let before = try LanguageModel(fixtures + "/model").evaluate([text], sequenceLength: 256).loss
    let after = try adapt(fixtures + "/model", to: text, output: scratch.folder.path)
    #expect(after < before - 0.02)
  }
}
