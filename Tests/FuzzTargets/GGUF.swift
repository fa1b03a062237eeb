import GraftCore
import GraftFormats
import GraftModels

extension FuzzTarget {
  /// Accepted: readable whole; as a model, every tensor dequantizes.
  static let gguf = FuzzTarget(
    "gguf", seeds: ["Formats/gguf/accept", "Formats/gguf/reject", "Fixtures/golden/gguf"],
    dictionary: [
      "GGUF", "general.architecture", "general.alignment", "llama", "qwen2", "qwen3",
      "llama.block_count", "llama.attention.head_count", "tokenizer.ggml.tokens",
      "tokenizer.ggml.merges", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "split.count",
      "token_embd.weight",
    ],
    structure: .numbers,
    run: fromFile { path, byteCount in
      guard let reader = try? GGUFReader(path: path) else { return }
      readAll(reader, byteCount: byteCount)
      _ = reader.metadata
      guard let model = try? GGUFModel(reader, as: .bf16) else { return }
      promise(model.files.contains { $0.name == "config.json" }, "a model is configured")
      readAll(model, byteCount: byteCount, step: 2)
      if let tokenizer = model.files.first(where: { $0.name == "tokenizer.json" }) {
        _ = try? Tokenizer(tokenizerJSON: tokenizer.bytes, file: tokenizer.name).encode("A text.")
      }
    })
}
