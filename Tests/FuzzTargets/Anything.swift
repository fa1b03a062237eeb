import Graft

extension FuzzTarget {
  /// A file of which nothing is known, as `graft inspect` and `graft verify` take it.
  static let anything = FuzzTarget(
    "anything",
    seeds: [
      "Formats/safetensors", "Formats/gguf", "Formats/shard-index", "Formats/word-vectors",
      "Formats/pytorch/accept", "Formats/numpy/accept", "Formats/fasttext/accept",
    ],
    dictionary: ["GGUF", "weight_map", "{\"", "1 1\na 1\n", "PK\u{3}\u{4}", "data.pkl", ".npy"],
    structure: .file,
    run: fromFile { path, _ in
      guard let checkpoint = try? OpenedCheckpoint(path: path) else { return }
      _ = checkpoint.kind
      guard let inspection = try? inspect(checkpoint) else { return }
      var count = 0
      inspection.writeJSON { count += $0.count }
      promise(count > 0, "a report says something")
    })
}
